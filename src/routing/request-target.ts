// What a request target asks for: a message in one of its URL forms, or some other path. Refuses every spelling that a host would read as another message. Pure.
import { GatewayError } from '../exchange/errors.ts'

export type RequestTarget =
  | {
    readonly kind: 'message'
    readonly form: 'reply' | 'oneway' | 'api'
    /** Lower-case; of the api form, where it is the extension, it may be one that no host knows. */
    readonly format: string
    /** Decoded. */
    readonly name: string
    /** Lower-case: the key of the route table. */
    readonly key: string
    readonly batch: boolean
    /** As received; the api form with its first segment in lower case and without a trailing slash, because hosts answer `/api/X/` with their list of messages. */
    readonly path: string
    /** As received, with its `?`, or ''. */
    readonly query: string
  }
  | { readonly kind: 'other', readonly decodedPath: string, readonly path: string, readonly query: string }

// Nearly every call: plain letters only, so nothing to decode and nothing to refuse.
const plainMessage = /^\/([\w-]+)\/(reply|oneway)\/(\w+)(\[\])?$/
const plainApi = /^\/api\/(\w+)(\[\])?$/
const absoluteForm = /^https?:\/\/([^/?#]*)/i
/** What RFC 3986 allows in a path, the brackets of a batch, and what clients send raw without harm. */
const pathCharacters = /^[!$-[\]^-~]*$/
// eslint-disable-next-line no-control-regex
const controlCharacters = /[\x00-\x1f\x7f]/
/** Paths of ServiceStack.Discovery.Consul below `/discovery`. */
const discoveryPaths = new Set(['registration', 'services'])
/** Where .NET Framework hosts take SOAP messages. */
const soapPaths = new Set(['soap11', 'soap12'])

/**
 * `formats` are those that hosts know. Behind any other first segment `reply` and `oneway` are words like others: what of it a host could take
 * for a message all the same, in a format of its own, is for `messageCandidates` to say.
 * @throws GatewayError BadRequestTarget
 */
export function parseRequestTarget (target: string, formats: ReadonlySet<string>): RequestTarget {
  const queryAt = target.indexOf('?')
  const path = queryAt === -1 ? target : target.slice(0, queryAt)
  const query = queryAt === -1 ? '' : target.slice(queryAt)
  const plain = plainMessage.exec(path)
  if (plain !== null) {
    const name = plain[3]!
    const format = formats.has(plain[1]!) ? plain[1]! : plain[1]!.toLowerCase()
    if (!formats.has(format)) return { kind: 'other', decodedPath: path, path, query }
    return { kind: 'message', form: plain[2] as 'reply' | 'oneway', format, name, key: name.toLowerCase(), batch: plain[4] !== undefined, path, query }
  }
  const api = plainApi.exec(path)
  if (api !== null) return { kind: 'message', form: 'api', format: 'json', name: api[1]!, key: api[1]!.toLowerCase(), batch: api[2] !== undefined, path, query }
  if (path.charCodeAt(0) === slash) return parseCarefully(path, query, formats)
  if (path === '*') return { kind: 'other', decodedPath: '*', path, query }
  return parseAbsolute(target, formats)
}

/** Authority of an absolute-form target (RFC 9112 section 3.2.2: it wins over Host); undefined for the other forms. */
export function absoluteAuthority (target: string): string | undefined {
  return target.charCodeAt(0) === slash ? undefined : absoluteForm.exec(target)?.[1]
}

/** What a host could take a path for. */
export interface Candidate {
  /** Lower-case: the key of the route table. */
  readonly key: string
  /** Neither one-way nor a batch. */
  readonly single: boolean
  /** A host that serves from the root reads it so, in whatever format. Else only one that serves below a segment of its own. */
  readonly isAtRoot: boolean
}

/**
 * Lower-cased names under which a ServiceStack host could look up a message for a path. Wherever in the path, because only the host knows
 * below which of its segments it serves (HandlerFactoryPath). An empty name stands for what is no message's, so never routed: the host's own
 * list at `/api`, and SOAP, whose message stands in the body; GetServices for all that the discovery plugin answers on paths of its own: they
 * tell the whole topology.
 */
export function messageCandidates (decodedPath: string): readonly Candidate[] {
  const segments = decodedPath.toLowerCase().split('/').filter((segment, i, all) => segment !== '' || i === all.length - 1)
  const found: Candidate[] = []
  for (let i = 0; i < segments.length; i++) {
    const segment = segments[i]!
    if (i > 0 && (segment === 'reply' || segment === 'oneway')) {
      const name = segments[i + 1]
      if (name !== undefined && name !== '') found.push({ key: upTo(name, name.lastIndexOf('[')), single: segment === 'reply' && !name.includes('['), isAtRoot: i === 1 })
    } else if (segment === 'api') {
      const last = i === segments.length - 1 ? '' : segments.at(-1)!
      found.push({ key: upTo(last, last.search(/[.[]/)), single: !last.includes('['), isAtRoot: i === 0 })
    } else if (soapPaths.has(segment)) {
      found.push({ key: '', single: true, isAtRoot: i === 0 })
    } else if (segment === 'discovery' && discoveryPaths.has(withoutExtension(segments[i + 1] ?? ''))) {
      found.push({ key: 'getservices', single: true, isAtRoot: i === 0 })
    }
  }
  return found
}

const slash = 0x2f
const upTo = (text: string, end: number): string => end === -1 ? text : text.slice(0, end)
const withoutExtension = (segment: string): string => upTo(segment, segment.indexOf('.'))

function refuse (reason: string): never {
  throw new GatewayError('BadRequestTarget', { detail: { reason } })
}

function parseAbsolute (target: string, formats: ReadonlySet<string>): RequestTarget {
  const authority = absoluteForm.exec(target)
  if (authority === null) return refuse('form')
  const rest = target.slice(authority[0].length)
  return parseRequestTarget(rest.startsWith('/') ? rest : `/${rest}`, formats)
}

function parseCarefully (path: string, query: string, formats: ReadonlySet<string>): RequestTarget {
  if (!pathCharacters.test(path)) refuse('character')
  const raw = path.split('/')
  const segments = raw.map(decodeSegment)
  // One more leading slash is what hosts forgive; `/json//reply/X` they do not.
  const start = segments[1] === '' && segments.length > 2 ? 2 : 1
  const first = segments[start]!.toLowerCase()
  const second = segments[start + 1]?.toLowerCase()
  if ((second === 'reply' || second === 'oneway') && formats.has(first) && hasSegment(segments, start + 2)) {
    const { name, batch } = readMessage(raw, segments, start + 2)
    return { kind: 'message', form: second, format: first, name, key: name.toLowerCase(), batch, path, query }
  }
  if (first === 'api' && hasSegment(segments, start + 1)) return parseApi(raw, segments, start + 1, query)
  return { kind: 'other', decodedPath: segments.join('/'), path, query }
}

/** Whether there is a segment at `at` that is more than a trailing slash. */
function hasSegment (segments: readonly string[], at: number): boolean {
  return at < segments.length && (segments[at] !== '' || at < segments.length - 1)
}

function parseApi (raw: readonly string[], segments: readonly string[], at: number, query: string): RequestTarget {
  const { name: text, batch } = readMessage(raw, segments, at)
  const dot = text.indexOf('.')
  const name = upTo(text, dot)
  const format = dot === -1 ? 'json' : text.slice(dot + 1).toLowerCase()
  if (name === '' || format === '' || format.includes('.')) refuse('message')
  return { kind: 'message', form: 'api', format, name, key: name.toLowerCase(), batch, path: `/api/${raw[at]!}`, query }
}

function readMessage (raw: readonly string[], segments: readonly string[], at: number): { name: string, batch: boolean } {
  if (segments.length > at + 2 || (segments.length === at + 2 && raw[at + 1] !== '')) refuse('after message')
  const text = segments[at]!
  const batch = text.endsWith('[]')
  const name = batch ? text.slice(0, -2) : text
  if (name === '' || /[+;[\]]/.test(name) || controlCharacters.test(name)) refuse('message')
  return { name, batch }
}

function decodeSegment (raw: string): string {
  let segment = raw
  if (raw.includes('%')) {
    try {
      segment = decodeURIComponent(raw)
    } catch {
      refuse('escape')
    }
    // Kestrel decodes once but leaves %2f, which ServiceStack then reads as a slash: %252f is one too.
    if (/[/\\\0]|%(?:2e|2f|5c|00|25)/i.test(segment)) refuse('escape')
  }
  // `..;x` is a dot segment to hosts that know path parameters.
  const name = segment.includes(';') ? segment.slice(0, segment.indexOf(';')) : segment
  if (name === '.' || name === '..') refuse('dot segment')
  return segment
}
