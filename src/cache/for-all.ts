// What a service is told when it is asked on everybody's behalf: what the client that came first sent, without what shapes the answer and is no part of the key. Pure.
import type { Exchange } from '../exchange/exchange.ts'
import { without } from '../exchange/headers.ts'
import { mediaTypes } from '../lib/formats.ts'
import { toMatch, type Match } from '../lib/match-names.ts'
import type { CacheRequest } from './request.ts'
import type { CacheConfig } from './rules.ts'
import { varyNames } from './vary.ts'

/**
 * What a client says of his one request, in headers that tell no answers apart, or nothing would be shared. Tracing is not among them
 * (`traceparent`, `b3` and their kin), but for its baggage: services act by that.
 */
const ofRequest = [
  'accept-charset', 'baggage', 'uberctx-*', 'request-id', 'x-request-id', 'x-correlation-id', 'x-trace-id', 'date', 'dnt', 'priority', 'max-forwards', 'early-data', 'save-data', 'upgrade-insecure-requests',
  // Of Sec-* only what services have no reason to refuse a request by: Sec-Fetch-Site and its kin are part of the key, as unknown headers are.
  'sec-ch-*', 'sec-gpc', 'sec-purpose', 'sec-fetch-user'
]
/** And of himself and his page: old systems, as they stand below a prefix, make other pages by it, and their logs live by it. */
const ofClient = ['user-agent', 'referer']
/** Both: what tells no answers apart, and is left out of questions on everybody's behalf. */
export const ownHeaders = [...ofRequest, ...ofClient]
/** The same of cookies of analytics. */
export const ownCookies = ['ss-opt', 'x-uaid', '_ga*', '_gid', '_gat*', '_gcl_*', '_fbp', '_fbc', '__utm*', '_pk_*', '_hj*', 'ajs_*', 'optimizely*', '_clck', '_clsk', '_uetsid', '_uetvid']
/** Those of balancers tell no answers apart either, and are sent all the same: one that misses its own sets it anew on each answer. */
export const balancerCookies = ['arraffinity*', 'awsalb*', 'awselb*', 'bigipserver*', '__cf_bm', '__cflb', '_cfuvid', 'cf_clearance']

/** Who asks for everybody. Some hosts refuse whoever does not say who he is. */
const ownAgent: readonly string[] = ['User-Agent', 'postern (cache)']
/** Headers remembered of a message, by which its answers vary: a service may make up names. */
const mostTold = 32
const accepted: readonly string[] = ['accept']

type Asked = Pick<Exchange, 'route' | 'upstreamRequest'>

/** Makes questions by one policy. */
export class ForAll {
  readonly #config: Pick<CacheConfig, 'key' | 'identity' | 'normalizeAccept'>
  readonly #isOwn = toMatch(ownHeaders)
  readonly #isOfRequest = toMatch(ofRequest)
  readonly #isOwnCookie = toMatch(ownCookies)
  /** Lower-case: what tells answers apart, or whose they are, because the operator says so; and what the gateway writes itself. */
  readonly #keyed: ReadonlySet<string>
  readonly #isKeyedCookie: Match

  constructor (config: Pick<CacheConfig, 'key' | 'identity' | 'normalizeAccept'>, correlationHeader: string) {
    const { key, identity } = config
    this.#config = config
    this.#keyed = new Set([...key.headers, ...identity.headers, correlationHeader].map(name => name.toLowerCase()))
    this.#isKeyedCookie = toMatch([...key.cookies, ...identity.cookies])
  }

  /**
   * `told`: headers that a service looks at and says so, by `tell`; undefined: all of them, for the answer is for this client alone. `headers`: as he
   * sent them.
   */
  headers (headers: string[], { route, upstreamRequest }: Asked, told: ReadonlySet<string> | undefined): string[] {
    const { key: { plainFills }, normalizeAccept } = this.#config
    const plain = told === undefined || plainFills === 'never' ? headers : this.#plain(headers, route, told)
    return normalizeAccept && route.kind === 'message' ? withRouteAccept(plain, upstreamRequest) : plain
  }

  /**
   * What an answer varies by and was left out of the question is told from now on. Whether there was any, so that it answers nobody. `received`: its
   * headers. `asked`: what was told when it was asked for; undefined: all.
   */
  tell (received: readonly string[], { route }: Pick<Asked, 'route'>, told: Set<string>, asked: ReadonlySet<string> | undefined): boolean {
    if (asked === undefined) return false
    const missed = varyNames(received, true)?.filter(name => !asked.has(name) && (name === 'cookie' ? this.#isSilent(route) : this.#isWithheld(name, route))) ?? []
    for (const name of missed) if (told.size < mostTold) told.add(name)
    return missed.length > 0
  }

  /** Whether an answer may be a refusal of whoever does not say what was left out of this client's request. */
  mayRefusePlain (status: number, { route, upstreamRequest: { headers } }: Asked, { identity }: Pick<CacheRequest, 'identity'>): boolean {
    return (status === 403 || (status === 401 && identity !== '')) && headers.some((name, at) => at % 2 === 0 && this.#isWithheld(name.toLowerCase(), route))
  }

  /** Whether nothing is said of the client himself. */
  #isSilent ({ kind }: Pick<Asked['route'], 'kind'>): boolean {
    const { plainFills } = this.#config.key
    return plainFills === 'always' || (plainFills === 'messages' && kind !== 'prefix')
  }

  #isWithheld (lower: string, route: Pick<Asked['route'], 'kind'>): boolean {
    if (this.#config.key.plainFills === 'never' || this.#keyed.has(lower)) return false
    return this.#isSilent(route) ? this.#isOwn(lower) : this.#isOfRequest(lower)
  }

  #plain (headers: readonly string[], route: Pick<Asked['route'], 'kind'>, told: ReadonlySet<string>): string[] {
    const plain = this.#isWithheld('user-agent', route) && !told.has('user-agent') ? [...ownAgent] : []
    for (let i = 0; i < headers.length; i += 2) {
      const [name, value] = [headers[i]!, headers[i + 1]!]
      const lower = name.toLowerCase()
      if (this.#isWithheld(lower, route) && !told.has(lower)) continue
      const sent = lower === 'cookie' && this.#isSilent(route) && !told.has('cookie') ? this.#cookies(value) : value
      if (sent !== '') plain.push(name, sent)
    }
    return plain
  }

  #cookies (value: string): string {
    const pairs = value.split(';')
    // By ss-opt a host chooses between two sessions.
    const hasSession = pairs.some(pair => /^\s*ss-p?id\s*=/i.test(pair))
    return pairs.filter(pair => {
      const name = cookieName(pair)
      return !this.#isOwnCookie(name) || this.#isKeyedCookie(name) || (name === 'ss-opt' && hasSession)
    }).join(';').trim()
  }
}

/** Of one pair of a Cookie header; in lower case, for hosts do not all tell letter cases apart. */
export function cookieName (pair: string): string {
  const equals = pair.indexOf('=')
  return (equals === -1 ? pair : pair.slice(0, equals)).trim().toLowerCase()
}

/** On a message route the Accept of the format that the path says: a service that negotiates by it would give all what the client that came first asked for. */
const withRouteAccept = (headers: readonly string[], { canonicalPath }: Pick<Exchange['upstreamRequest'], 'canonicalPath'>): string[] =>
  [...without(headers, accepted), 'Accept', mediaTypes.get(formatOf(canonicalPath)) ?? 'application/json']

/** `/json/reply/GetOrder`; `/api/GetOrder`, which is JSON unless a format stands behind it. */
const formatOf = (canonicalPath: string): string =>
  canonicalPath.startsWith('/api/') ? canonicalPath.slice(canonicalPath.lastIndexOf('.') + 1) : canonicalPath.slice(1, canonicalPath.indexOf('/', 1))
