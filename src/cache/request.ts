// What the cache must know of a request: who asks, what it allows, what tells its answer from another. One pass over its headers. Pure.
import type { PolicyConfig } from '../config/schema.ts'
import { identityPairs, isProxyIdentity, toIdentityCookies, toIdentityHeaders } from '../exchange/identity.ts'
import { toMatch, type Match } from '../lib/match-names.ts'
import { nothingAsked, requestDirectives, type RequestDirectives } from './directives.ts'
import { cookieName, ownCookies, ownHeaders, balancerCookies } from './for-all.ts'

export interface CacheRequest {
  /** The method that decides; HEAD and GET share entries. */
  readonly method: string
  /** Path and query as sent upstream. */
  readonly target: string
  /** As sent upstream. Flat list. */
  readonly headers: readonly string[]
  /** Whether its effect is `safe` (`UpstreamRequest.effect`): it only reads. */
  readonly safe: boolean
  readonly routeKind: 'message' | 'custom' | 'prefix'
  readonly directives: RequestDirectives
  /** What identifies the caller, one name and value a line; empty = nobody. Never logged: a key is made of its hash. */
  readonly identity: string
  /** Further parts of the key: the operator's, and headers that might shape the answer unnamed. One name and value a line; mostly empty. */
  readonly keyParts: string
  readonly conditions: Conditions | undefined
  readonly range: string | undefined
}

/** Conditional fields as the client sent them. */
export interface Conditions {
  ifNoneMatch: string | undefined
  ifModifiedSince: string | undefined
  ifRange: string | undefined
  /** If-Match or If-Unmodified-Since: only an origin may judge them (RFC 9111 section 4.3.2). */
  originOnly: boolean
}

export interface RequestParts {
  readonly method: string
  readonly target: string
  readonly headers: readonly string[]
  readonly safe: boolean
  readonly routeKind: CacheRequest['routeKind']
  /** Whether its Cache-Control counts (cache.clientDirectives). */
  readonly trusted: boolean
}

/**
 * Request headers that shape no answer; or by which HTTP negotiates openly, so that an origin which looks at them says so in Vary
 * (RFC 9110 section 12.5.5); or that the gateway writes itself from what is part of the key.
 */
const inertHeaders = [
  ...ownHeaders, 'accept', 'accept-encoding', 'content-length', 'te', 'cdn-loop', 'via', 'forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-real-ip',
  'traceparent', 'tracestate', 'b3', 'x-b3-*', 'uber-trace-id', 'x-datadog-*', 'x-amzn-trace-id', 'x-cloud-trace-context', 'sentry-trace', 'newrelic'
]

/** By which frameworks let a proxy in front of them say another host, path or method, or where and with what the client is: whoever sends one may get another answer, on every route. */
const shapingHeaders = [
  'x-forwarded-*', 'x-original-*', 'x-rewrite-*', 'x-override-*', 'x-host*', 'x-http-*', 'x-method-override', 'x-url-*', 'x-scheme', 'front-end-https', 'x-wap-profile',
  // Where a CDN says the client is, and with what kind of device.
  'cf-ip*', 'cf-region*', 'cf-metro-code', 'cf-postal-code', 'cf-timezone', 'cf-device-type', 'cloudfront-is-*', 'cloudfront-viewer-*', 'x-akamai-edgescape', 'x-akamai-device-characteristics', 'x-appengine-*', 'x-vercel-ip-*', 'x-client-geo*',
  'x-geo-*', 'x-geoip-*', 'x-country*', 'x-device', 'x-device-type', 'x-ua-device'
]
/** What proxies and CDNs in front write anew for each request or connection: from a trusted one it shapes nothing; from a stranger it may. All else of theirs (a country, a kind of device) shapes. */
const proxyHeaders = [
  'x-original-forwarded-for', 'x-client-ip', 'x-cluster-client-ip', 'true-client-ip', 'cf-ray', 'cf-connecting-ip', 'cf-connecting-ipv6', 'cf-pseudo-ipv4', 'cf-visitor', 'cf-request-id', 'x-amz-cf-id', 'x-amzn-requestid',
  'cloudfront-viewer-address', 'cloudfront-viewer-tls', 'cloudfront-viewer-ja3-fingerprint', 'cloudfront-viewer-ja4-fingerprint', 'fastly-client-ip', 'fastly-ff', 'x-akamai-request-id', 'akamai-origin-hop',
  'x-azure-ref', 'x-azure-clientip', 'x-azure-socketip', 'x-azure-requestchain', 'x-appgw-trace-id', 'x-arr-log-id', 'x-envoy-external-address', 'x-envoy-expected-rq-timeout-ms', 'x-envoy-attempt-count'
]

const kind = { inert: 0, identity: 1, key: 2, unknown: 3, cookie: 4, cacheControl: 5, pragma: 6, ifNoneMatch: 7, ifModifiedSince: 8, originOnly: 9, ifRange: 10, range: 11, shaping: 12, ofProxy: 13, contentType: 14, proxyIdentity: 15, unknownCookie: 16 } as const
type Kind = (typeof kind)[keyof typeof kind]
const known: ReadonlyArray<readonly [string, Kind]> = [
  ['cookie', kind.cookie], ['cache-control', kind.cacheControl], ['pragma', kind.pragma], ['if-none-match', kind.ifNoneMatch], ['if-modified-since', kind.ifModifiedSince],
  ['if-match', kind.originOnly], ['if-unmodified-since', kind.originOnly], ['if-range', kind.ifRange], ['range', kind.range], ['content-type', kind.contentType]
]
/** Spellings of header names whose kind is remembered. Clients choose them, so there must be an end. */
const mostRemembered = 1_000

const none: RequestDirectives = nothingAsked

/** Reads requests by one policy. */
export class RequestReader {
  readonly #config: PolicyConfig['cache']
  readonly #kinds = new Map<string, Kind>()
  readonly #known = new Map<string, Kind>(known)
  readonly #isIdentity: Match
  readonly #isInert: Match
  readonly #isShaping = toMatch(shapingHeaders)
  readonly #isOfProxy = toMatch(proxyHeaders)
  readonly #isIdentityCookie: Match
  readonly #isInertCookie: Match
  readonly #keyHeaders: ReadonlySet<string>
  readonly #keyCookies: ReadonlySet<string>
  readonly #onlyNamed: boolean

  /** `onlyNamed`: headers that neither Vary nor the operator names tell nothing apart. Unknown cookies do, as always: they may be sessions. */
  constructor (config: PolicyConfig['cache'], correlationHeader: string, onlyNamed = false) {
    const { key, identity } = config
    this.#config = config
    this.#onlyNamed = onlyNamed
    this.#isIdentity = toIdentityHeaders(identity.headers)
    this.#isInert = toMatch([...inertHeaders, correlationHeader, ...key.inertHeaders])
    this.#isIdentityCookie = toIdentityCookies(identity.cookies)
    this.#isInertCookie = toMatch([...ownCookies, ...balancerCookies, ...key.inertCookies])
    this.#keyHeaders = new Set(key.headers.map(name => name.toLowerCase()))
    this.#keyCookies = new Set(key.cookies.map(name => name.toLowerCase()))
  }

  read (parts: RequestParts): CacheRequest {
    const { method, target, headers, safe, routeKind, trusted } = parts
    const { clientDirectives } = this.#config
    const keyed = this.#keyed(routeKind, trusted)
    const strict = (keyed & (1 << kind.unknownCookie)) !== 0
    const heard = clientDirectives === 'everybody' || (clientDirectives === 'trusted' && trusted)
    const identity: string[] = []
    const key: string[] = []
    let cacheControl: string | undefined
    let pragma: string | undefined
    let conditions: Conditions | undefined
    let range: string | undefined
    for (let i = 0; i < headers.length; i += 2) {
      const value = headers[i + 1]!
      const is = this.#kindOf(headers[i]!)
      if (is === kind.inert) continue
      if (is === kind.identity || is === kind.proxyIdentity) identity.push(`${headers[i]!.toLowerCase()}: ${value}`)
      if ((keyed & (1 << is)) !== 0) key.push(`${headers[i]!.toLowerCase()}: ${value}`)
      switch (is) {
        case kind.cookie: this.#cookies(value, strict, identity, key); break
        case kind.cacheControl: cacheControl = cacheControl === undefined ? value : `${cacheControl}, ${value}`; break
        case kind.pragma: pragma = value; break
        case kind.range: range = value; break
        case kind.ifNoneMatch: case kind.ifModifiedSince: case kind.ifRange: case kind.originOnly: condition(conditions ??= noConditions(), is, value); break
        default: // Part of the key, or not, by now.
      }
    }
    // Hosts may take a session or an API key from the query as well.
    for (const pair of identityPairs(target)) identity.push(`query ${pair}`)
    return {
      method,
      target,
      headers,
      safe,
      routeKind,
      directives: heard && (cacheControl !== undefined || pragma !== undefined) ? requestDirectives(cacheControl, pragma) : none,
      identity: identity.length === 0 ? '' : identity.sort().join('\n'),
      keyParts: key.length === 0 ? '' : key.sort().join('\n'),
      conditions,
      range
    }
  }

  /** Kinds of headers that tell one answer from another, a bit each. */
  #keyed (routeKind: RequestParts['routeKind'], trusted: boolean): number {
    const { key: { unkeyedHeaders } } = this.#config
    let keyed = 1 << kind.key
    // By it hosts choose the format of an answer to `Accept: */*` on RESTful paths, which prefixes hold too; of a message the URL says which.
    if (routeKind === 'custom' || (routeKind === 'prefix' && unkeyedHeaders !== 'never')) keyed |= 1 << kind.contentType
    if (unkeyedHeaders === 'never') return keyed
    const unknown = unkeyedHeaders === 'always' || routeKind !== 'prefix'
    if (unknown) keyed |= 1 << kind.unknownCookie
    if (this.#onlyNamed) return keyed
    keyed |= 1 << kind.shaping
    if (!trusted) keyed |= (1 << kind.ofProxy) | (1 << kind.proxyIdentity)
    return unknown ? keyed | (1 << kind.unknown) : keyed
  }

  #kindOf (name: string): Kind {
    const remembered = this.#kinds.get(name)
    if (remembered !== undefined) return remembered
    const lower = name.toLowerCase()
    const found = this.#keyHeaders.has(lower) ? kind.key : this.#known.get(lower) ?? this.#kindByPattern(lower)
    if (this.#kinds.size < mostRemembered) this.#kinds.set(name, found)
    return found
  }

  #kindByPattern (lower: string): Kind {
    if (this.#isIdentity(lower)) return kind.identity
    if (this.#isInert(lower)) return kind.inert
    if (isProxyIdentity(lower)) return kind.proxyIdentity
    if (this.#isOfProxy(lower)) return kind.ofProxy
    return this.#isShaping(lower) ? kind.shaping : kind.unknown
  }

  /** An unknown cookie may be a session of a kind we do not know; where headers are keyed unasked, so are they. */
  #cookies (value: string, strict: boolean, identity: string[], key: string[]): void {
    for (const pair of value.split(';')) {
      const name = cookieName(pair)
      if (name === '') continue
      if (this.#keyCookies.has(name)) key.push(`cookie ${pair.trim()}`)
      else if (this.#isIdentityCookie(name)) identity.push(`cookie ${pair.trim()}`)
      else if (strict && !this.#isInertCookie(name)) key.push(`cookie ${pair.trim()}`)
    }
  }
}

function condition (conditions: Conditions, which: Kind, value: string): void {
  if (which === kind.ifNoneMatch) conditions.ifNoneMatch = conditions.ifNoneMatch === undefined ? value : `${conditions.ifNoneMatch}, ${value}`
  else if (which === kind.ifModifiedSince) conditions.ifModifiedSince = value
  else if (which === kind.ifRange) conditions.ifRange = value
  else conditions.originOnly = true
}

/** What a HEAD asks for is known from a GET. */
export const asGet = (request: CacheRequest): CacheRequest => request.method === 'HEAD' ? { ...request, method: 'GET' } : request

/** The same with nothing of its client's own: what is asked in the background, of a GET for the whole. */
export const unasked = (request: CacheRequest): CacheRequest => ({ ...asGet(request), directives: none, conditions: undefined, range: undefined })

const noConditions = (): Conditions => ({ ifNoneMatch: undefined, ifModifiedSince: undefined, ifRange: undefined, originOnly: false })
