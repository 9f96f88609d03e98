// What a request target asks for: a message in one of its URL forms, or something else. Refuses what hosts read otherwise than an edge. Pure.
import { GatewayError } from '../exchange/errors.ts'

export interface MessageTarget {
  readonly kind: 'message'
  readonly form: 'reply' | 'oneway' | 'api'
  /** Lower-case: json, xml, csv … Known or not: the table decides. */
  readonly format: string
  /** Decoded, as the client wrote it. */
  readonly name: string
  /** Lower-case: the key of the table. */
  readonly key: string
  readonly batch: boolean
  /** As received. */
  readonly path: string
  /** As received, with its '?'; '' without one. */
  readonly query: string
}

export interface OtherTarget {
  readonly kind: 'other'
  readonly decodedPath: string
  readonly path: string
  readonly query: string
}

export type RequestTarget = MessageTarget | OtherTarget

// Nearly every call: nothing to decode, nothing to doubt.
const plainMessage = /^\/([a-zA-Z0-9-]+)\/(reply|oneway)\/([a-zA-Z0-9_]+)$/
const plainApi = /^\/api\/([a-zA-Z0-9_]+)$/
const badEscape = /%(?![0-9a-fA-F]{2})/
// Encoded slash, backslash and NUL: Kestrel decodes the first before it matches, so an edge that does not would see another path.
const hostileEscape = /%(?:2f|5c|00)/i
const notInName = /[+;]/

/**
 * @param target the request target as received: origin form, absolute form, or `*`
 * @throws GatewayError BadRequestTarget: dot segments, encoded slashes, backslashes, NUL, bad escapes, `+` or `;` in a message name, or
 *   anything after a message name but one trailing slash or `[]`. All of these reach messages on real hosts (measured).
 */
export function parseRequestTarget (target: string): RequestTarget {
  const origin = target.startsWith('/') ? target : originForm(target)
  const queryAt = origin.indexOf('?')
  const path = queryAt === -1 ? origin : origin.slice(0, queryAt)
  const query = queryAt === -1 ? '' : origin.slice(queryAt)
  const plain = plainMessage.exec(path)
  if (plain !== null) return message(plain[2] as 'reply' | 'oneway', plain[1]!, plain[3]!, false, path, query)
  const api = plainApi.exec(path)
  if (api !== null) return message('api', 'json', api[1]!, false, path, query)

  const decodedPath = decode(path)
  if (hasDotSegment(decodedPath)) throw refused('dot segment', path)
  // A leading double slash is accepted as the hosts do.
  const [first = '', second = '', ...rest] = decodedPath.replace(/^\/{2}/, '/').slice(1).split('/')
  const form = second.toLowerCase()
  if ((form === 'reply' || form === 'oneway') && rest.length > 0 && rest[0] !== '') {
    const { name, batch } = nameOf(rest.join('/'), path)
    return message(form, first, name, batch, path, query)
  }
  if (first.toLowerCase() === 'api' && second !== '') {
    const { name: dotted, batch } = nameOf([second, ...rest].join('/'), path)
    const dot = dotted.indexOf('.')
    return message('api', dot === -1 ? 'json' : dotted.slice(dot + 1), dot === -1 ? dotted : dotted.slice(0, dot), batch, path, query)
  }
  return { kind: 'other', decodedPath, path, query }
}

/**
 * The names a ServiceStack host could read a path as, lower-case, whatever else the path says: hosts take the third segment of x/reply/x, and
 * the last one of /api/…, up to its first dot or bracket.
 */
export function messageCandidates (decodedPath: string): readonly string[] {
  const segments = decodedPath.split('/').filter(segment => segment !== '')
  if (segments.length < 2) return []
  const form = segments[1]!.toLowerCase()
  if (form === 'reply' || form === 'oneway') return segments.length < 3 ? [] : [bare(segments[2]!, /\[/)]
  return segments[0]!.toLowerCase() === 'api' ? [bare(segments.at(-1)!, /[.[]/)] : []
}

function bare (segment: string, end: RegExp): string {
  const at = segment.search(end)
  return (at === -1 ? segment : segment.slice(0, at)).toLowerCase()
}

function message (form: 'reply' | 'oneway' | 'api', format: string, name: string, batch: boolean, path: string, query: string): MessageTarget {
  return { kind: 'message', form, format: format.toLowerCase(), name, key: name.toLowerCase(), batch, path, query }
}

/** The message part: a name, perhaps `[]`, perhaps one trailing slash. */
function nameOf (part: string, path: string): { name: string, batch: boolean } {
  const whole = part.endsWith('/') ? part.slice(0, -1) : part
  const batch = whole.endsWith('[]')
  const name = batch ? whole.slice(0, -2) : whole
  if (name.includes('/') || name.includes('[') || name.includes(']') || name === '') throw refused('text after the message', path)
  if (notInName.test(name)) throw refused('+ or ; in the message', path)
  return { name, batch }
}

function decode (path: string): string {
  if (path.includes('\\')) throw refused('backslash', path)
  if (!path.includes('%')) return path
  if (badEscape.test(path)) throw refused('bad escape', path)
  if (hostileEscape.test(path)) throw refused('encoded slash, backslash or NUL', path)
  try {
    return decodeURIComponent(path)
  } catch (error) {
    throw refused('escapes that are no UTF-8', path, error)
  }
}

function hasDotSegment (path: string): boolean {
  return path.includes('/.') && path.split('/').some(segment => segment === '.' || segment === '..')
}

/** RFC 9112 section 3.2: absolute form is for proxies, but every server must take it; `*` is for OPTIONS. */
function originForm (target: string): string {
  if (target === '*') return '/*'
  const match = /^https?:\/\/[^/?#]*/i.exec(target)
  if (match === null) throw refused('neither a path nor a URL', target)
  const rest = target.slice(match[0].length)
  return rest.startsWith('/') ? rest : `/${rest}`
}

function refused (rule: string, path: string, cause?: unknown): GatewayError {
  return new GatewayError('BadRequestTarget', { detail: { rule, path: path.slice(0, 512) }, cause })
}
