// One request fetched for its outage copy: past the store, with a deadline of its own, by the rules for copies.
import type { Config } from '../../config/schema.ts'
import { anew } from '../../exchange/anew.ts'
import type { Exchange } from '../../exchange/exchange.ts'
import type { Cache } from '../cache.ts'
import { dated } from '../freshness.ts'
import type { PurgeLog } from '../purge-log.ts'
import { copyOf, copyRules, plainRequest, type Copy } from './copy.ts'
import { sentTarget, type Wanted } from './wanted.ts'
import { wholeBody } from './whole-body.ts'

/** `refused`: it came, and may not be kept. `failed`: it did not come. */
export type FetchResult = 'kept' | 'refused' | 'failed'

/** Why there is no new copy. */
export class NoCopy extends Error {
  readonly result: 'refused' | 'failed'

  constructor (reason: string, result: NoCopy['result']) {
    super(reason)
    this.name = 'NoCopy'
    this.result = result
  }
}

export interface FetchParts {
  readonly config: Config
  readonly cache: Cache
  /** A GET of the gateway's own, as a client would send it; `host`: scheme and host, empty = the gateway's own address. @throws GatewayError */
  readonly get: (target: string, host: string) => Exchange
  /** Purges of copies. */
  readonly purges: PurgeLog
}

/**
 * `everyMs`: when it is to be fetched again.
 * @throws GatewayError when it could not be asked for; NoCopy
 */
export async function fetchCopy ({ id, target, host }: Wanted, { config, cache, get, purges }: FetchParts): Promise<{ readonly copy: Copy, readonly everyMs: number }> {
  const since = purges.count
  const own = get(target, host)
  const rules = copyRules(own.route.policy.cache, config.edge.correlationHeader)
  const exchange = anew(own, { ...own.upstreamRequest, headers: rules.forAll.headers(own.upstreamRequest.headers, own, none) })
  const { route, upstream, upstreamRequest: { effect, path, headers } } = exchange
  const { cache: { outage }, split } = route.policy
  const caching = cache.cachingOf(route.policy)
  if (caching === undefined || outage.requests.length === 0) throw new NoCopy(`${route.name} answers it, which has no cache.outage.requests`, 'refused')
  if (split.parts.length > 0 || split.versions !== 'all') throw new NoCopy('the traffic is split, and each part has answers of its own', 'refused')
  if (effect !== 'safe') throw new NoCopy('its effect is not safe', 'refused')
  const requestAtMs = Date.now()
  const { status, reason, headers: received, body } = await caching.path(exchange)
  const head = dated({ status, reason, headers: received, requestAtMs, responseAtMs: Date.now() })
  const whole = await wholeBody(body, cache.store.limits.maxEntryBytes)
  if (status !== 200) throw new NoCopy(`it is answered ${status} ${reason}`.trimEnd(), status >= 500 ? 'failed' : 'refused')
  if (whole === undefined) throw new NoCopy('it is larger than cache.maxEntryBytes', 'refused')
  const origin = { id, upstream: upstream.name, message: route.name, sent: sentTarget(exchange) }
  const copy = copyOf(origin, plainRequest(rules, path, route.kind, headers), { head, body: whole, endpointUrl: exchange.endpoint?.url }, rules)
  if ('refused' in copy) throw new NoCopy(`it may not be kept: ${copy.refused}`, 'refused')
  if (purges.hits(since, copy.stored.place, copy.stored.terms.tags)) throw new NoCopy('it was purged while it came', 'failed')
  return { copy, everyMs: outage.everyMs }
}

const none: ReadonlySet<string> = new Set()
