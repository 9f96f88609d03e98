// What a service is told when it is asked on everybody's behalf: what the client that came first sent, without what shapes the answer and is no part of the key. Pure.
import type { Exchange } from '../exchange/exchange.ts'
import { without } from '../exchange/headers.ts'
import { mediaTypes } from '../lib/formats.ts'
import { toMatch, type Match } from '../lib/match-names.ts'
import type { CacheConfig } from './rules.ts'
import { varyNames } from './vary.ts'

/**
 * What a client says of himself, his page or his one request, in headers that tell no answers apart, or nothing would be shared. Tracing is not among them
 * (`traceparent`, `b3` and their kin), but for its baggage: services act by that.
 */
export const ownHeaders = [
  'user-agent', 'referer', 'accept-charset', 'baggage', 'uberctx-*', 'request-id', 'x-request-id', 'x-correlation-id', 'x-trace-id', 'date', 'dnt', 'priority', 'max-forwards', 'early-data', 'save-data', 'upgrade-insecure-requests', 'sec-*'
]
/** The same of cookies: of analytics, and of balancers in front. */
export const ownCookies = ['ss-opt', 'x-uaid', '_ga*', '_gid', '_gat*', '_gcl_*', '_fbp', '_fbc', '__utm*', '_pk_*', '_hj*', 'ajs_*', 'optimizely*', '_clck', '_clsk', '_uetsid', '_uetvid', 'arraffinity*', 'awsalb*', 'awselb*', 'bigipserver*', '__cf_bm', '__cflb', '_cfuvid', 'cf_clearance']

/** Who asks for everybody. Some hosts refuse whoever does not say who he is. */
const ownAgent: readonly string[] = ['User-Agent', 'postern (cache)']
/** Headers remembered of a message, by which its answers vary: a service may make up names. */
const mostTold = 32
const accepted: readonly string[] = ['accept']

/** Makes questions by one policy. */
export class ForAll {
  readonly #config: Pick<CacheConfig, 'key' | 'normalizeAccept'>
  readonly #isOwn: Match
  readonly #isOwnCookie = toMatch(ownCookies)
  /** Lower-case: what tells answers apart because the operator says so, and what the gateway writes itself. */
  readonly #keyed: ReadonlySet<string>

  constructor (config: Pick<CacheConfig, 'key' | 'normalizeAccept'>, correlationHeader: string) {
    this.#config = config
    this.#isOwn = toMatch(ownHeaders)
    this.#keyed = new Set([...config.key.headers, correlationHeader].map(name => name.toLowerCase()))
  }

  /** `told`: headers that a service looks at and says so, by `tell`. `headers`: as the client sent them. */
  headers (headers: string[], exchange: Pick<Exchange, 'route' | 'upstreamRequest'>, told: ReadonlySet<string>): string[] {
    const plain = this.#isPlain(exchange.route) ? this.#plain(headers, told) : headers
    return this.#config.normalizeAccept && exchange.route.kind === 'message' ? withRouteAccept(plain, exchange.upstreamRequest) : plain
  }

  /** Below a prefix stand old systems, which look at such headers as browsers send them. */
  #isPlain ({ kind }: Pick<Exchange['route'], 'kind'>): boolean {
    const { plainFills } = this.#config.key
    return plainFills === 'always' || (plainFills === 'messages' && kind !== 'prefix')
  }

  /** What an answer varies by and was left out of the question is told from now on. Whether there was any, so that it answers nobody. `received`: its headers. */
  tell (received: readonly string[], { route }: Pick<Exchange, 'route'>, told: Set<string>): boolean {
    const vary = this.#isPlain(route) ? varyNames(received, true) : undefined
    const missed = vary?.filter(name => (name === 'cookie' || this.#isWithheld(name)) && !told.has(name)) ?? []
    for (const name of missed) if (told.size < mostTold) told.add(name)
    return missed.length > 0
  }

  /** Whether an answer may be a refusal of whoever does not say what was left out of this client's request. */
  mayRefusePlain (status: number, { route, upstreamRequest: { headers } }: Pick<Exchange, 'route' | 'upstreamRequest'>): boolean {
    return status === 403 && this.#isPlain(route) && headers.some((name, at) => at % 2 === 0 && this.#isWithheld(name.toLowerCase()))
  }

  #isWithheld (lower: string): boolean {
    return this.#isOwn(lower) && !this.#keyed.has(lower)
  }

  #plain (headers: readonly string[], told: ReadonlySet<string>): string[] {
    const plain = this.#isWithheld('user-agent') && !told.has('user-agent') ? [...ownAgent] : []
    for (let i = 0; i < headers.length; i += 2) {
      const [name, value] = [headers[i]!, headers[i + 1]!]
      const lower = name.toLowerCase()
      if (told.has(lower) || !this.#isWithheld(lower)) {
        const sent = lower === 'cookie' && !told.has('cookie') ? this.#cookies(value) : value
        if (sent !== '') plain.push(name, sent)
      }
    }
    return plain
  }

  #cookies (value: string): string {
    const { cookies } = this.#config.key
    return value.split(';').filter(pair => {
      const name = cookieName(pair)
      return !this.#isOwnCookie(name) || cookies.some(kept => kept.toLowerCase() === name)
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
