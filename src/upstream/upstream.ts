// A named group of equal endpoints behind one bulkhead. Endpoints come and go by plan; what stays keeps its connections and counters.
import type { BalancingConfig } from '../config/schema.ts'
import { GatewayError } from '../exchange/errors.ts'
import { isElsewhere, isSpared, renew } from '../exchange/follow.ts'
import type { EndpointHandle, Exchange, UpstreamHandle } from '../exchange/exchange.ts'
import type { FailureCause } from '../exchange/outcome.ts'
import type { UpstreamPlan } from '../routing/plan.ts'
import { Bulkhead, type BulkheadLimits } from './bulkhead.ts'
import { Balancer } from './balancing/balancer.ts'
import type { Avoid } from './balancing/candidate.ts'
import { describeBalance, type Balance } from './balancing/describe.ts'
import { RetryBudget, type RetryBudgetLimits } from './retry-budget.ts'
import type { BreakerState } from './breaker.ts'
import { breakerOpen } from './breaker-open.ts'
import type { BreakerClock } from './breaker-clock.ts'
import { countHeld, holdOf, type Hold } from './holds.ts'
import { Outliers, type OutlierSettings } from './outliers.ts'
import { UpstreamBreakers } from './upstream-breakers.ts'
import { matches, selectRest, type Rest, type Selector } from '../exchange/selection.ts'
import { askCold } from './cold.ts'
import { Endpoint } from './endpoint.ts'
import type { EndpointEvents, EndpointOwner, EndpointSettings } from './endpoint-parts.ts'
import { Selections } from './selections.ts'
import { placesOf } from './trials.ts'

export interface UpstreamSettings extends EndpointSettings {
  readonly bulkhead: BulkheadLimits
  readonly outliers: OutlierSettings
  readonly retryBudget: RetryBudgetLimits
  readonly balancing: BalancingConfig
  readonly preserveHost: boolean
  /** Asked of an endpoint that is no ServiceStack host. */
  readonly livenessPath: string
}

/** What an upstream tells; for log and metrics. */
export interface UpstreamEvents {
  endpoint (url: string): EndpointEvents
  /** The breaker of a message on it; `message` undefined: its own. */
  breaker (message: string | undefined, state: BreakerState, cause: FailureCause | undefined): void
}

export class Upstream implements UpstreamHandle {
  readonly name: string
  readonly bulkhead: Bulkhead
  readonly retryBudget: RetryBudget
  readonly breakers: UpstreamBreakers
  readonly #clock: BreakerClock
  readonly #events: UpstreamEvents
  readonly #outliers: Outliers<Endpoint>
  #holds: readonly Hold[] = []
  readonly #balancer: Balancer<Endpoint>
  readonly #owner: EndpointOwner = {
    room: () => this.bulkhead.admitWaiting(),
    shut: () => this.bulkhead.rejectWaiting(),
    attemptFailed: (message, endpoint) => this.breakers.attemptFailed(message, endpoint),
    hasOther: than => this.#hasOther(than)
  }

  #settings: UpstreamSettings
  #plan: UpstreamPlan
  #endpoints: readonly Endpoint[] = []
  /** Where an exchange without endpoints of its own may go; undefined = to all. */
  #base: ReadonlySet<string> | undefined
  readonly #selections = new Selections((urls, weights) => this.#balancer.weigh(urls, weights))

  constructor (plan: UpstreamPlan, settings: UpstreamSettings, clock: BreakerClock, events: UpstreamEvents) {
    this.name = plan.name
    this.#plan = plan
    this.#settings = settings
    this.#clock = clock
    this.#events = events
    this.bulkhead = new Bulkhead(plan.name, settings.bulkhead, exchange => this.#seats(exchange), exchange => this.#hopeless(exchange))
    this.retryBudget = new RetryBudget(settings.retryBudget)
    this.#balancer = new Balancer(settings.balancing)
    this.#outliers = new Outliers(settings.outliers)
    this.breakers = new UpstreamBreakers({
      name: plan.name,
      settings: settings.breaker,
      clock,
      onChange: (message, state, cause) => this.#breakerChanged(message, state, cause),
      onTick: nowMs => this.#outliers.tick(this.#endpoints, nowMs),
      hasOther: than => this.#hasOther(than),
      hasIdle: () => this.#endpoints.some(({ usable, inFlight }) => usable && inFlight === 0),
      places: () => placesOf(this.#endpoints, this.#settings.breaker.trials)
    })
    this.apply(plan)
  }

  get plan (): UpstreamPlan { return this.#plan }
  get apiForm (): boolean { return this.#plan.apiForm }
  get takesUnlisted (): boolean { return this.#plan.servicestack === false }
  get preserveHost (): boolean { return this.#settings.preserveHost }
  get settings (): UpstreamSettings { return this.#settings }
  get endpoints (): readonly Endpoint[] { return this.#endpoints }

  acquire (exchange: Exchange): Promise<void> | undefined {
    return this.bulkhead.acquire(exchange)
  }

  tryAcquire (): boolean { return this.bulkhead.tryAcquire() }

  releaseExtra (): void { this.bulkhead.releaseExtra() }

  release (exchange: Exchange): void {
    this.bulkhead.release(exchange)
  }

  /** One not tried yet in this exchange; else, with no other left, one that was tried and is still available (on a fresh connection). */
  pick (exchange: Exchange): EndpointHandle | undefined {
    this.bulkhead.arrived(exchange)
    const drawn = this.#draw(exchange) ?? (this.#goesOn(exchange) ? this.#draw(exchange) : undefined)
    // What belongs to one endpoint waits for that one's word.
    if (drawn?.warming === true) return undefined
    const endpoint = drawn?.isCold === true ? askCold(drawn, exchange, avoid => this.#draw(exchange, avoid)) : drawn
    // A copy is no trial, neither of the endpoint nor of the upstream: those belong to callers who wait.
    return exchange.isMirrored && (endpoint?.breakerState !== 'closed' || this.breakers.tried(exchange) !== undefined) ? undefined : endpoint
  }

  /** The first attempt of a trial of the upstream, or of its message, goes where none of this round failed or hangs; best where it is none of the endpoint's breaker as well. */
  #draw (exchange: Exchange, avoid?: Avoid): Endpoint | undefined {
    const tried = exchange.attempts.length === 0 && avoid === undefined ? this.breakers.tried(exchange) : undefined
    const first = tried === undefined ? undefined : this.#balancer.pick(exchange, this.bulkhead, { has: (one: Endpoint) => one.breakerState !== 'closed' || tried.has(one) }) ?? this.#balancer.pick(exchange, this.bulkhead, tried)
    return first ?? this.#balancer.pick(exchange, this.bulkhead, avoid)
  }

  /** Attempts that went farther than to the nearest zone and datacenter. */
  get overflowed (): number { return this.#balancer.overflowed }

  /** How its endpoints share the calls now. */
  balance (): ReadonlyMap<Endpoint, Balance> {
    return describeBalance(this.#balancer.eligible(undefined), this.#endpoints, performance.now())
  }

  reach (exchange: Exchange): 'another' | 'same' | 'none' {
    this.#goesOn(exchange)
    const { endpoints: only = this.#base, attempts } = exchange
    let found: 'same' | 'none' = 'none'
    for (const { url, available, pausedMs, asking } of this.#endpoints) {
      // One that asked for a pause is waited for by whoever honours its Retry-After, one that is being asked by the pick.
      if ((!available && pausedMs === 0 && asking === undefined) || (only !== undefined && !only.has(url))) continue
      if (available && attempts.every(({ endpoint }) => endpoint !== url)) return 'another'
      found = 'same'
    }
    return found
  }

  asked ({ endpoints: only = this.#base }: Exchange): Promise<void> | undefined {
    const asking = this.#endpoints.flatMap(({ url, asking }) => asking === undefined || only?.has(url) === false ? [] : asking)
    return asking.length > 1 ? Promise.race(asking) : asking[0]
  }

  lost ({ endpoints: only = this.#base }: Exchange): Promise<unknown> | undefined {
    const losing = this.#endpoints.flatMap(({ url, losing }) => losing === undefined || only?.has(url) === false ? [] : losing)
    return losing.length === 0 ? undefined : Promise.all(losing)
  }

  /** Why nothing could be picked: for the answer. */
  whyNone (exchange: Exchange): GatewayError {
    const mine = this.#among(exchange.endpoints)
    const open = mine.filter(endpoint => endpoint.reachable && !endpoint.usable).length
    const detail = { upstream: this.name, endpoints: mine.length, unreachable: mine.filter(endpoint => !endpoint.reachable).length, breakersOpen: open }
    if (mine.some(endpoint => endpoint.usable && !endpoint.available)) return this.bulkhead.noSeat(exchange, detail)
    if (open === 0) return new GatewayError('NoEndpoint', { detail })
    const first = mine.filter(endpoint => endpoint.reachable).reduce((soonest, endpoint) => endpoint.retryAfterMs < soonest.retryAfterMs ? endpoint : soonest)
    return breakerOpen({ state: first.breakerState, held: first.breakerHeld, retryAfterMs: first.retryAfterMs }, { ...detail, scope: 'endpoint' })
  }

  select (selector: Selector, within: ReadonlySet<string> | undefined): ReadonlySet<string> {
    return this.#selections.get(selector, within, () => ({ chosen: this.#among(within).filter(endpoint => matches(endpoint, selector)), untilMs: Infinity }))
  }

  selectRest (rest: Rest, within: ReadonlySet<string> | undefined): ReadonlySet<string> {
    return this.#selections.get(rest, within, nowMs => selectRest(this.#among(within), rest, nowMs), rest.versions === 'all' ? undefined : urls => this.isUsable(urls) || !this.isUsable(within))
  }

  isUsable (endpoints: ReadonlySet<string> | undefined = this.#base): boolean {
    return this.#endpoints.some(({ expected, url }) => expected && endpoints?.has(url) !== false)
  }

  #hasOther (than: string): boolean {
    return this.#endpoints.some(({ url, usable }) => url !== than && usable)
  }

  /** Places left at the endpoints an exchange may go to. Where none may be picked anyway, waiting for a place is no use: the pick says why. */
  #seats ({ endpoints: only = this.#base }: Exchange): number {
    let seats = 0
    let isAnyUsable = false
    for (const endpoint of this.#endpoints) {
      if (!endpoint.usable || (only !== undefined && !only.has(endpoint.url))) continue
      isAnyUsable = true
      seats += Math.max(0, endpoint.room)
    }
    return isAnyUsable ? seats : Infinity
  }

  /** Who waits while there is nowhere to go would only be told so at his turn. */
  #hopeless (exchange: Exchange): GatewayError | undefined {
    renew(exchange)
    return isElsewhere(exchange) || this.#goesOn(exchange) ? undefined : this.whyNone(exchange)
  }

  /**
   * Whether an exchange has anywhere to go, be it full or not. Where all that it may go to are out, it goes where its split leaves it to go; and where
   * those are out too, the ejected ones among them are taken back: better one that does badly than none. Not for a copy, nor for what can go back to the upstream whose split has drawn it.
   */
  #goesOn (exchange: Exchange): boolean {
    // One that is being asked who it is can be waited for.
    if (this.isUsable(exchange.endpoints) || this.asked(exchange) !== undefined) return true
    if (exchange.spare !== undefined && exchange.follows.upstream === this) exchange.endpoints = this.selectRest(exchange.spare, exchange.follows.endpoints)
    if (this.isUsable(exchange.endpoints)) return true
    if (exchange.isMirrored || isSpared(exchange)) return false
    for (const endpoint of this.#among(exchange.endpoints)) endpoint.takeBack()
    // Where the last ones have just died, the table is waited for, which may have others.
    return this.isUsable(exchange.endpoints) || this.lost(exchange) !== undefined
  }

  /** A breaker that opens, by itself or by hand, turns away those who wait for what cannot succeed: all, or those of its message. */
  #breakerChanged (message: string | undefined, state: BreakerState, cause: FailureCause | undefined): void {
    if (state === 'open') this.bulkhead.rejectWaiting(({ route: { name } }) => message === undefined || name === message ? this.breakers.refusal(message) : undefined)
    this.#events.breaker(message, state, cause)
  }

  #among (within = this.#base): readonly Endpoint[] {
    return within === undefined ? this.#endpoints : this.#endpoints.filter(({ url }) => within.has(url))
  }

  /** Takes over a new plan: what stays is kept as it is, what left ends its exchanges in peace. */
  apply (plan: UpstreamPlan): void {
    const before = new Map(this.#endpoints.map(endpoint => [endpoint.url, endpoint]))
    this.#endpoints = plan.endpoints.map(endpointPlan => {
      const kept = before.get(endpointPlan.url)
      if (kept === undefined) return new Endpoint(endpointPlan, this.#settings, this.#clock, this.#events.endpoint(endpointPlan.url), this.#owner)
      before.delete(endpointPlan.url)
      kept.apply(endpointPlan)
      return kept
    })
    this.#base = plan.base === undefined ? undefined : new Set(plan.base)
    this.#balancer.apply(this.#endpoints, plan.levels, this.#base)
    this.#plan = plan
    this.#selections.clear()
    for (const gone of before.values()) gone.close()
    for (const endpoint of this.#endpoints) {
      endpoint.heartbeatPath = plan.servicestack === true ? '/json/reply/Heartbeat' : this.#settings.livenessPath
      endpoint.isHost = plan.servicestack === true
      endpoint.alone = this.#endpoints.length === 1
      endpoint.hold(holdOf(this.#holds, { endpoint: endpoint.url }))
    }
    this.bulkhead.admitWaiting()
  }

  /** What operators hold of this upstream, its messages and its endpoints, in place of what they held before. */
  hold (holds: readonly Hold[]): void {
    const messages = new Set([...this.#holds, ...holds].map(({ message }) => message))
    this.#holds = holds
    this.breakers.hold(undefined, holdOf(holds, {}))
    for (const message of messages) if (message !== undefined) this.breakers.hold(message, holdOf(holds, { message }))
    for (const endpoint of this.#endpoints) endpoint.hold(holdOf(holds, { endpoint: endpoint.url }))
  }

  /** New settings. TLS settings hold for new connections only, so endpoints are made anew when they change. */
  configure (settings: UpstreamSettings): void {
    const tlsChanged = JSON.stringify(settings.tls) !== JSON.stringify(this.#settings.tls)
    this.#settings = settings
    this.#selections.clear()
    this.bulkhead.configure(settings.bulkhead)
    this.retryBudget.configure(settings.retryBudget)
    this.#balancer.configure(settings.balancing)
    this.breakers.configure(settings.breaker)
    this.#outliers.configure(settings.outliers)
    if (!tlsChanged) {
      for (const endpoint of this.#endpoints) endpoint.configure(settings)
      return
    }
    const old = this.#endpoints
    this.#endpoints = []
    this.apply(this.#plan)
    for (const endpoint of old) endpoint.close()
  }

  /** Its own breaker where it is not idle, and those of its messages that exist. `message` null: its own. */
  breakerStates (): Array<{ readonly message: string | undefined, readonly state: BreakerState, readonly held: boolean, readonly retryAfterMs: number }> {
    const { own, messages } = this.breakers
    return [...own.idle ? [] : [{ message: undefined, breaker: own }], ...messages].map(({ message, breaker }) => ({ message, state: breaker.state, held: breaker.held !== undefined, retryAfterMs: breaker.state === 'open' ? Math.round(breaker.retryAfterMs) : 0 }))
  }

  get heldCount (): ReturnType<typeof countHeld> { return countHeld(this.#holds) }

  trim (): void {
    this.breakers.trim()
    for (const endpoint of this.#endpoints) endpoint.trim()
  }

  close (): void {
    this.breakers.close()
    for (const endpoint of this.#endpoints) endpoint.close()
    this.#endpoints = []
  }
}
