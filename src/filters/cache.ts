// Stored answers: given where they may be, asked for once however many want them, and standing in where the origin cannot answer.
import { fromArriving, fromOrigin, fromStored, meaningful, passedOn, type Detail } from '../cache/answers.ts'
import type { Asked, Start } from '../cache/asked.ts'
import { Asking } from '../cache/asking.ts'
import { cacheName, cacheStatus, ttlS } from '../cache/cache-status.ts'
import type { Cache, Caching } from '../cache/cache.ts'
import { takes304 } from '../cache/conditional.ts'
import type { Forwarded } from '../cache/entry.ts'
import type { FillResult } from '../cache/fill-result.ts'
import { fillKey } from '../cache/fills.ts'
import type { GuardRules } from '../cache/guard.ts'
import { isDue } from '../cache/is-due.ts'
import { isMarked, learnPassed } from '../cache/hit-for-miss.ts'
import { learnFromHead } from '../cache/learn.ts'
import { isKeyed, type KeyMaker } from '../cache/key.ts'
import { hidingOf, isHidden, mayJoin, mayStandIn, passesBy, reuse } from '../cache/policy.ts'
import { asGet, type CacheRequest } from '../cache/request.ts'
import type { CacheRules } from '../cache/rules.ts'
import { mayBeStoodInFor } from '../cache/stand-in.ts'
import type { Stored } from '../cache/stored.ts'
import type { CacheResult, Tally } from '../cache/tally.ts'
import { afterUnknown, afterWrite, type Written } from '../cache/writes.ts'
import type { Filter, Next } from '../exchange/compose.ts'
import { GatewayError, toGatewayError } from '../exchange/errors.ts'
import type { Exchange, Policy, UpstreamResponse } from '../exchange/exchange.ts'

export interface CacheOptions {
  readonly cache: Cache
  /** Name of the gateway's own header, on which no answer depends. */
  readonly correlationHeader: string
}

/** `path`: everything below, with a deadline of its own: what a fill runs, whichever clients leave meanwhile. */
export function cache ({ cache, correlationHeader }: CacheOptions, policy: Policy, path: Next): Filter | undefined {
  const flow = new CacheFlow(cache, cache.prepare(policy, correlationHeader, path))
  return function cache (exchange, next) {
    return exchange.upgrade ? flow.upgrade(exchange, next) : flow.run(exchange, next)
  }
}

class CacheFlow {
  readonly #cache: Cache
  readonly #rules: CacheRules
  readonly #guard: GuardRules
  readonly #keys: KeyMaker
  readonly #asking: Asking
  /** Only the origin's word makes anything storable. */
  readonly #byOriginOnly: boolean

  constructor (cache: Cache, { rules, keys, path }: Caching) {
    this.#cache = cache
    this.#rules = rules
    this.#guard = rules.guard
    this.#keys = keys
    this.#asking = new Asking(cache, rules, path)
    this.#byOriginOnly = rules.config.mode === 'honour' && rules.ownLifetimes.size === 0
  }

  run (exchange: Exchange, next: Next): Promise<UpstreamResponse> {
    const tally = this.#cache.tallyOf(exchange.route)
    const request = this.#read(exchange)
    const by = this.#rules.config.mode === 'off' || !isKeyed(exchange.upstreamRequest) ? 'bypass' : passesBy(request, this.#rules)
    if (by === undefined) return this.#look({ exchange, next, request, tally }, false)
    const asked: Asked = { exchange, next, request, tally, key: '', target: '', entry: undefined, why: by === 'bypass' || by.use === 'stored' ? 'bypass' : by.why }
    if (isHidden(request, this.#rules, hidingOf(this.#rules.config, exchange.upstreamRequest.reached))) throw this.#refused(asked, 'not-filled', 'AnswerNotStorable')
    return this.#pass(asked)
  }

  #read ({ upstreamRequest: { method, path, headers, effect }, route, request: { trusted } }: Exchange): CacheRequest {
    return this.#rules.reader.read({ method, target: path, headers, safe: effect === 'safe', routeKind: route.kind, trusted })
  }

  /** Nothing is stored of it; but a service may have something else to say to an upgrade than 101. */
  async upgrade (exchange: Exchange, next: Next): Promise<UpstreamResponse> {
    exchange.addedHeaders = bypassed
    const response = await next(exchange)
    return response.socket === undefined ? this.#passedOn(exchange, meaningful(response, takes304(this.#read(exchange))), this.#cache.tallyOf(exchange.route), 'bypass') : response
  }

  /** `again`: after waiting for an answer that was not for this request. `found`: the second level had something, and it is in the store. */
  #look (start: Start, again: boolean): Promise<UpstreamResponse> {
    const { exchange, next, request, tally, found: fromSecond = false, spentMs = 0 } = start
    const target = this.#keys.target(exchange)
    const key = this.#keys.primary(exchange, request, target)
    const found = this.#cache.find(key, request, this.#rules)
    const entry = typeof found === 'string' ? undefined : found
    const nowMs = Date.now()
    const decided = reuse(request, entry, nowMs, this.#rules, typeof found === 'string' ? found : 'uri-miss')
    if (decided.use === 'stored') {
      if (decided.refresh || isDue(entry!, nowMs, this.#rules.config.refreshAhead)) {
        entry!.refreshed = this.#asking.refresh({ exchange, next, request, tally, key, target, entry, why: 'stale' })
      }
      return Promise.resolve(this.#hit(start, entry!, nowMs, decided.refresh ? 'stale-while-revalidate' : fromSecond ? 'second-level' : undefined))
    }
    // RFC 9111 section 5.2.1.7.
    if (decided.use === 'nothing') throw this.#refused({ ...start, why: decided.why }, 'only-if-cached', 'NotStored')
    const asked: Asked = { exchange, next, request, tally, key, target, entry, why: decided.why, found: fromSecond, spentMs }
    const hiding = hidingOf(this.#rules.config, exchange.upstreamRequest.reached)
    if (hiding !== 'no') return this.#hidden(asked, hiding)
    return this.#mayFill(asked) ? this.#wait(asked, decided.validate, again) : this.#pass(asked)
  }

  #hit ({ exchange, request, tally }: Start, stored: Stored, nowMs: number, detail?: Detail): UpstreamResponse {
    stored.hits++
    this.#count(exchange, tally, nowMs < stored.terms.freshUntilMs ? 'hit' : 'stale')
    return fromStored(exchange, request, stored, this.#cache.heads.at(stored, nowMs), detail)
  }

  /** A client's miss never reaches the origin: what others have shared is all it waits for. @throws GatewayError AnswerNotReady, AnswerOrdered, AnswerNotStorable */
  async #hidden (asked: Asked, how: 'busy' | 'accepted'): Promise<UpstreamResponse> {
    const { fills, store } = this.#cache
    const isHopeless = isMarked(fills, asked)
    const since = store.purges.count
    const shared = isHopeless ? undefined : await this.#asking.share(asked, asked.entry)?.find()
    if (shared !== undefined && store.put(shared, since)) return await this.#look({ ...asked, found: true }, true)
    if (!isHopeless) this.#asking.refresh({ ...asked, found: true })
    const standIn = this.#standIn(asked)
    if (standIn !== undefined) return standIn
    // Nothing is asked for: who is told to come again in a second would do so for ever.
    if (isHopeless) throw this.#refused(asked, 'not-filled', 'AnswerNotStorable', ['Retry-After', String(Math.ceil(this.#rules.config.hitForMissMs / 1_000))])
    throw this.#refused(asked, 'not-filled', how === 'busy' ? 'AnswerNotReady' : 'AnswerOrdered')
  }

  /** Nothing is given, and the origin is not asked. */
  #refused ({ exchange, tally, why }: Start & Pick<Asked, 'why'>, detail: Detail, code: 'NotStored' | 'AnswerNotReady' | 'AnswerOrdered' | 'AnswerNotStorable', headers: readonly string[] = none): GatewayError {
    this.#count(exchange, tally, 'pass', why)
    exchange.addedHeaders = ['Cache-Status', cacheStatus(cacheName, { hit: false, fwd: why, detail })]
    return new GatewayError(code, { headers })
  }

  /** Whether its answer could be stored at all, and others may wait for it. */
  #mayFill (asked: Asked): boolean {
    const { exchange, request, tally, entry } = asked
    // A part is no answer for others, and asking for the whole is not what its client wanted. HEAD of a message is 405 at its host; where GET may be stored, it tells the same.
    if ((request.method === 'HEAD' && request.routeKind === 'prefix') || request.range !== undefined || request.directives.noStore) return false
    if (entry !== undefined) return true
    // Of a message's answers one tells of the next; below a prefix anything may be.
    const hopeless = this.#byOriginOnly && exchange.route.kind !== 'prefix' && tally.isHopeless
    return !hopeless && !isMarked(this.#cache.fills, asked)
  }

  async #wait (asked: Asked, validate: boolean, again: boolean): Promise<UpstreamResponse> {
    const { exchange, request, tally, key, entry, why } = asked
    const { fills, store } = this.#cache
    const { breakers } = exchange.upstream
    const id = fillKey(key, request, store.varyOf(key))
    const running = mayJoin(request, entry) ? fills.find(id) : undefined
    // It may be the trial of a breaker that lets nobody else through: waiting for it would be waiting behind a call that may not succeed.
    if (running !== undefined && breakers.share(exchange) === 0) return await this.#pass(asked)
    const answer = running ?? fills.open(id, this.#rules.config.collapseWaitMs)
    const { result, collapsed, own, spentMs } = await answer.wait({
      exchange,
      request,
      spentMs: asked.spentMs ?? 0,
      isAdmitted: () => breakers.share(exchange) > 0,
      ask: (owner, spentMs) => this.#asking.fill({ ...asked, request: asGet(request), spentMs }, owner, validate ? entry : undefined),
      standsInFor: error => this.#hasStandIn(asked, error)
    })
    const further: Start = { exchange, next: asked.next, request, tally, found: result.kind === 'found', spentMs }
    if (exchange.ended?.code === 'ClientClosed') throw exchange.ended
    switch (result.kind) {
      case 'whole':
      case 'arriving': {
        this.#count(exchange, tally, collapsed ? 'collapsed' : 'miss', why)
        const { kind, status: fwdStatus, kept, draft } = result
        const said = { hit: false, fwd: why, fwdStatus, stored: kept, collapsed, ttlS: ttlS(draft.terms.freshUntilMs, Date.now()) } as const
        return kind === 'whole' ? fromOrigin(exchange, request, draft, own, said) : fromArriving(exchange, request, { draft, body: result.body, own }, said)
      }
      case 'found': return await this.#look(further, again)
      case 'again': return again ? await this.#pass(asked) : await this.#look(further, true)
      case 'refused': return await this.#pass(asked)
      default: return await this.#notStored(asked, result, collapsed)
    }
  }

  /** The origin failed, or its answer is not to be kept. */
  async #notStored (asked: Asked, result: FillResult & { kind: 'own' | 'alone' | 'failed' }, collapsed: boolean): Promise<UpstreamResponse> {
    const { exchange, request, tally, why } = asked
    const standIn = this.#standIn(asked, result.kind === 'failed' ? result.error : result.kind === 'own' ? result.response.status : result.status)
    if (standIn !== undefined) {
      if (result.kind === 'own') result.response.body.cancel(new GatewayError('ClientClosed'))
      return standIn
    }
    if (result.kind === 'own' && request.method === 'HEAD') {
      result.response.body.cancel(new GatewayError('ClientClosed'))
      return await this.#pass(asked)
    }
    if (result.kind === 'alone') return await this.#pass(asked)
    this.#count(exchange, tally, collapsed ? 'collapsed' : 'miss', why)
    if (result.kind === 'failed') {
      exchange.addedHeaders = ['Cache-Status', cacheStatus(cacheName, { hit: false, fwd: why, collapsed })]
      throw result.error
    }
    return this.#passedOn(exchange, result.response, tally, why)
  }

  /** What may be given in place of an answer that failed, or of one that is not waited for. */
  #standIn (asked: Asked, failure?: GatewayError | number): UpstreamResponse | undefined {
    if (!this.#hasStandIn(asked, failure)) return undefined
    asked.exchange.degradedBy = failure
    return this.#hit(asked, asked.entry, Date.now(), 'stale-if-error')
  }

  #hasStandIn (asked: Asked, failure: GatewayError | number | undefined): asked is Asked & { readonly entry: Stored } {
    const { exchange, request, entry } = asked
    return entry !== undefined && exchange.ended?.code !== 'ClientClosed' && (failure === undefined || mayBeStoodInFor(failure)) && mayStandIn(request, entry, Date.now(), this.#rules)
  }

  /** Past the cache: everybody for himself, as far as breaker and bulkhead let him. */
  async #pass (asked: Asked): Promise<UpstreamResponse> {
    const { exchange, request, tally, why, entry } = asked
    let response: UpstreamResponse
    try {
      response = meaningful(await asked.next(exchange), takes304(request))
    } catch (thrown) {
      if (exchange.upstreamRequest.effect !== 'safe') await afterUnknown(exchange, this.#rules.config, this.#written(exchange))
      const standIn = this.#standIn(asked, toGatewayError(thrown))
      if (standIn !== undefined) return standIn
      this.#count(exchange, tally, 'pass', why)
      exchange.addedHeaders = ['Cache-Status', cacheStatus(cacheName, { hit: false, fwd: why })]
      throw thrown
    }
    const standIn = this.#standIn(asked, response.status)
    if (standIn !== undefined) {
      response.body.cancel(new GatewayError('ClientClosed'))
      return standIn
    }
    this.#count(exchange, tally, 'pass', why)
    if (request.method === 'HEAD' && entry !== undefined) learnFromHead(this.#cache, entry, request, response, this.#rules)
    learnPassed({ fills: this.#cache.fills, tally, key: asked.key, request }, response, this.#rules)
    if (exchange.upstreamRequest.effect !== 'safe') response = await afterWrite(exchange, response, this.#rules.config, this.#written(exchange))
    return this.#passedOn(exchange, response, tally, why)
  }

  #passedOn (exchange: Exchange, response: UpstreamResponse, tally: Tally, fwd: Forwarded): UpstreamResponse {
    return passedOn(exchange, response, this.#guard, { hit: false, fwd, fwdStatus: response.status }, ({ alarms }) => this.#cache.alarm(tally, alarms))
  }

  #written (exchange: Exchange): Written {
    return { target: this.#keys.target(exchange), cache: this.#cache }
  }

  #count (exchange: Exchange, tally: Tally, result: CacheResult, why?: Forwarded): void {
    tally.results[result]++
    if (why !== undefined) tally.forward(why)
    exchange.cached = result
  }
}

const none: readonly string[] = []
const bypassed: readonly string[] = ['Cache-Status', cacheStatus(cacheName, { hit: false, fwd: 'bypass' })]
