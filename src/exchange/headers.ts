// The client's request headers as an endpoint gets them: read in one pass, hop-by-hop and what clients may not send out, ours in. Pure.
import { debugNames, paramOverride, sessionKeys, withoutDebugCookies } from './debug-names.ts'
import { GatewayError } from './errors.ts'

export type Treat = 'remove' | 'refuse' | 'allow'

/** What the edge believes and lets pass; made once per configuration. */
export interface HeaderRules {
  readonly methodOverride: Treat
  readonly sessionHeaders: Treat
  readonly debugKeys: Treat
  /** Name of the correlation header as it is sent. */
  readonly correlationHeader: string
  /** Header by which trusted callers say how long they wait, and endpoints are told; '' = there is none. */
  readonly timeoutHeader: string
  /** The name this gateway has in Via. */
  readonly pseudonym: string
}

/** What one pass found. */
export class RequestHead {
  /** End-to-end headers in the client's order and letter case, ours not yet among them. Flat list. */
  headers: string[] = []
  host: string | undefined
  contentType: string | undefined
  forwardedFor: string | undefined
  forwardedProto: string | undefined
  forwardedHost: string | undefined
  forwarded: string | undefined
  /** X-Real-IP as a trusted proxy spells it; what it says there may be its client's own word. */
  realIp: string | undefined
  via: string | undefined
  correlationId: string | undefined
  traceparent: string | undefined
  tracestate: string | undefined
  /** The method override, where it is allowed to pass. */
  methodOverride: string | undefined
  /** How long a trusted caller says that it waits, as it wrote it. */
  timeout: string | undefined
  /** Where the value of Cookie stands in `headers`. */
  cookieAt = -1
  /** Header names that Connection names as this hop's own. */
  named: string[] | undefined
}

const action = {
  pass: 0,
  drop: 1,
  host: 2,
  contentType: 3,
  connection: 4,
  forwardedFor: 5,
  forwardedProto: 6,
  forwardedHost: 7,
  forwarded: 8,
  realIp: 9,
  via: 10,
  correlation: 11,
  traceparent: 12,
  tracestate: 13,
  methodOverride: 14,
  session: 15,
  debug: 16,
  cookie: 17,
  timeout: 18
} as const

// Hop-by-hop (RFC 9110 section 7.6.1). Content-Length follows the body, which the gateway may gather; Expect is answered by the gateway;
// request trailers are dropped, so nothing announces them.
const known: ReadonlyArray<readonly [string, number]> = [
  ['connection', action.connection], ['keep-alive', action.drop], ['proxy-connection', action.drop], ['proxy-authorization', action.drop], ['te', action.drop], ['trailer', action.drop],
  ['transfer-encoding', action.drop], ['upgrade', action.drop], ['http2-settings', action.drop], ['expect', action.drop], ['content-length', action.drop],
  ['host', action.host], ['content-type', action.contentType], ['cookie', action.cookie], ['via', action.via], ['forwarded', action.forwarded],
  ['x-forwarded-for', action.forwardedFor], ['x-forwarded-proto', action.forwardedProto], ['x-forwarded-host', action.forwardedHost],
  ['x-real-ip', action.realIp], ['traceparent', action.traceparent], ['tracestate', action.tracestate],
  ['x-http-method-override', action.methodOverride], ['x-ss-id', action.session], ['x-ss-pid', action.session], ['x-ss-opt', action.session],
  ...debugNames.flatMap(name => [[name, action.debug], [paramOverride + name, action.debug]] as const),
  ...sessionKeys.map(name => [paramOverride + name, action.session] as const)
]

/** Reads header lists by one set of rules. */
export class HeaderReader {
  readonly #rules: HeaderRules
  readonly #actions: Map<string, number>
  /** Bit n: some known name that is no X-… has n letters. Most other names are passed over by one comparison of numbers. */
  readonly #lengths: number

  constructor (rules: HeaderRules) {
    this.#rules = rules
    const ours: Array<readonly [string, number]> = [[rules.correlationHeader.toLowerCase(), action.correlation]]
    if (rules.timeoutHeader !== '') ours.push([rules.timeoutHeader.toLowerCase(), action.timeout])
    this.#actions = new Map([...known, ...ours])
    this.#lengths = [...this.#actions.keys()].reduce((bits, name) => name.charCodeAt(1) === hyphen ? bits : bits | (1 << (name.length & 31)), 0)
  }

  /**
   * `raw` is flat: name, value, … `trusted`: from a trusted proxy, which is believed where the request comes from; what it passes on is its clients'. Pseudo headers are skipped.
   * @throws GatewayError FieldNotAllowed, LoopDetected, BadRequest
   */
  read (raw: readonly string[], trusted: boolean): RequestHead {
    const head = new RequestHead()
    const headers = head.headers
    for (let i = 0; i + 1 < raw.length; i += 2) {
      const name = raw[i]!
      const value = raw[i + 1]!
      // X-…: the only family that is known by its beginning.
      if ((this.#lengths >>> (name.length & 31) & 1) === 0 && name.charCodeAt(1) !== hyphen) {
        if (name.charCodeAt(0) !== colon) headers.push(name, value)
        continue
      }
      const lower = name.toLowerCase()
      const what = this.#actions.get(lower)
      if (what !== undefined) this.#take(what, name, value, head, trusted)
      else if (lower.startsWith('x-forwarded-') && !trusted) continue
      else if (name.charCodeAt(0) !== colon) headers.push(name, value)
    }
    if (head.named !== undefined) head.headers = without(headers, head.named)
    if (head.via !== undefined && occurrences(head.via, this.#rules.pseudonym) > 1) throw new GatewayError('LoopDetected', { detail: { via: head.via } })
    return head
  }

  #take (what: number, name: string, value: string, head: RequestHead, trusted: boolean): void {
    switch (what) {
      case action.host:
        // RFC 9112 section 3.2: two of them are two opinions of where the request goes.
        if (head.host !== undefined) throw new GatewayError('BadRequest', { message: 'The request has more than one Host header.' })
        head.host = value
        return
      case action.contentType:
        // One of them would decide how a body is looked at here, another how the host reads it.
        if (head.contentType !== undefined) throw new GatewayError('BadRequest', { message: 'The request has more than one Content-Type header.' })
        head.contentType = value
        head.headers.push(name, value)
        return
      case action.cookie: {
        const kept = this.#cookies(value)
        if (kept === '') return
        // HTTP/2 clients may send it in pieces; an HTTP/1.1 host wants one line (RFC 9113 section 8.2.3).
        if (head.cookieAt !== -1) head.headers[head.cookieAt] += `; ${kept}`
        else head.cookieAt = head.headers.push(name, kept) - 1
        return
      }
      case action.connection: head.named = connectionOptions(value, head.named); return
      case action.via: head.via = joined(head.via, value); return
      case action.methodOverride:
        if (!allowed(this.#rules.methodOverride, name)) return
        head.methodOverride ??= value
        head.headers.push(name, value)
        return
      case action.session: if (allowed(this.#rules.sessionHeaders, name)) head.headers.push(name, value); return
      case action.debug: if (allowed(this.#rules.debugKeys, name)) head.headers.push(name, value); return
      default: if (trusted) takeFromProxy(what, name, value, head)
    }
  }

  #cookies (value: string): string {
    const { debugKeys } = this.#rules
    if (debugKeys === 'allow') return value
    const kept = withoutDebugCookies(value)
    if (kept !== value) allowed(debugKeys, 'cookie')
    return kept
  }
}

/** What only a trusted proxy is believed. */
function takeFromProxy (what: number, name: string, value: string, head: RequestHead): void {
  switch (what) {
    case action.forwardedFor: head.forwardedFor = joined(head.forwardedFor, value); return
    case action.forwardedProto: head.forwardedProto ??= value; return
    case action.forwardedHost: head.forwardedHost ??= value; return
    case action.forwarded: head.forwarded = joined(head.forwarded, value); return
    case action.realIp: head.realIp = name; return
    case action.correlation: head.correlationId ??= value; return
    case action.timeout: head.timeout ??= value; return
    case action.traceparent: head.traceparent ??= value; return
    case action.tracestate: head.tracestate = joined(head.tracestate, value)
  }
}

const hyphen = 0x2d
const colon = 0x3a

function allowed (treat: Treat, name: string): boolean {
  if (treat === 'refuse') throw new GatewayError('FieldNotAllowed', { detail: { header: name.toLowerCase() } })
  return treat === 'allow'
}

const joined = (before: string | undefined, value: string): string => before === undefined ? value : `${before}, ${value}`

/** Options that name no header of their own cost nothing further. */
const bareOptions = new Set(['close', 'keep-alive', 'upgrade', 'te', 'http2-settings', ''])

/** Names of headers that Connection keeps to this hop (RFC 9110 section 7.6.1), added to those before; undefined when there are none. */
export function connectionOptions (value: string, before: string[] | undefined): string[] | undefined {
  if (value === 'keep-alive' || value === 'close') return before
  const named = value.split(',').map(option => option.trim().toLowerCase()).filter(option => !bareOptions.has(option))
  return named.length === 0 ? before : [...before ?? [], ...named]
}

/** A flat list without the headers of these lower-case names. */
export function without (headers: readonly string[], names: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i < headers.length; i += 2) if (!names.includes(headers[i]!.toLowerCase())) kept.push(headers[i]!, headers[i + 1]!)
  return kept
}

function occurrences (text: string, part: string): number {
  let count = 0
  for (let at = text.indexOf(part); at !== -1; at = text.indexOf(part, at + part.length)) count++
  return count
}

/** The first value of a header of this lower-case name in a flat list. */
export function headerValue (headers: readonly string[], lowerName: string): string | undefined {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i]!.length === lowerName.length && headers[i]!.toLowerCase() === lowerName) return headers[i + 1]
  }
  return undefined
}

/** The value of a cookie of this name (names differ by letter case: RFC 6265 section 5.4), as sent; undefined where there is none. */
export function cookieValue (headers: readonly string[], name: string): string | undefined {
  for (const pair of headerValue(headers, 'cookie')?.split(';') ?? []) {
    const at = pair.indexOf('=')
    if (at !== -1 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim()
  }
  return undefined
}

/**
 * ServiceStack's session of a caller; undefined where it has none. The permanent one first: hosts set both at once, and it outlives the browser, so
 * it is the steadier of the two. Headers win over cookies, as at the hosts (SessionExtensions.cs).
 */
export function sessionId (headers: readonly string[]): string | undefined {
  return headerValue(headers, 'x-ss-pid') ?? cookieValue(headers, 'ss-pid') ?? headerValue(headers, 'x-ss-id') ?? cookieValue(headers, 'ss-id')
}

/** Of an answer. Its first Content-Type counts. */
export function isEventStream (headers: readonly string[]): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]!.length === 12 && headers[i]!.toLowerCase() === 'content-type') return headers[i + 1]!.toLowerCase().startsWith('text/event-stream')
  }
  return false
}
