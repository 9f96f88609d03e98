// One instance of an upstream: its connections, its breaker, and whether it may be picked.
import type { LookupFunction } from 'node:net'
import type { FailureCause, Outcome } from '../exchange/outcome.ts'
import type { GatewayError } from '../exchange/errors.ts'
import type { Attempt } from '../exchange/attempt.ts'
import type { EndpointHandle, Exchange, UpstreamResponse } from '../exchange/exchange.ts'
import { lookupOf } from '../lib/lookup.ts'
import type { EndpointPlan } from '../routing/plan.ts'
import { scoredAs, Standing } from './balancing/standing.ts'
import { Breaker, type BreakerState, type Held, type HeldUntil } from './breaker.ts'
import type { BreakerClock } from './breaker-clock.ts'
import { Suspicion } from './suspicion.ts'
import { Doubts, freshMs } from './doubts.ts'
import { askHeartbeat } from './heartbeat.ts'
import { dial } from './dial.ts'
import type { EndpointEvents, EndpointOwner, EndpointSettings } from './endpoint-parts.ts'
import { EndpointPool } from './pool.ts'
import { probeUntilReachable, type Probe } from './probe.ts'

const heartbeatTimeoutMs = 2_000

export class Endpoint implements EndpointHandle {
  readonly url: string
  plan: EndpointPlan
  sinceMs = performance.now()
  readonly standing = new Standing()
  /** When it last answered a call, performance.now(); -Infinity: never. */
  heardAtMs = -Infinity
  /** Attempts that ended since the outlier test last looked. */
  successes = 0
  failures = 0
  /** Asked when no call tries its half-open breaker. */
  heartbeatPath = '/'
  /** A ServiceStack host, which can be asked who it is. */
  isHost = false
  /** The only one of its upstream: one message that fails here says nothing of the endpoint. */
  alone = false
  readonly #breaker: Breaker
  readonly #pool: EndpointPool
  readonly #events: EndpointEvents
  readonly #lookup: LookupFunction
  #settings: EndpointSettings
  #probe: Probe | undefined
  /** Why its connection failed, while that is so. */
  #unreachableFor: string | undefined
  #seats = 0
  readonly #owner: EndpointOwner
  /** performance.now(); 0 = not ejected. */
  #ejectedUntilMs = 0
  #ejectedFor = ''
  #isAskedCold = false
  readonly #suspicion = new Suspicion()
  readonly #doubts = new Doubts()

  constructor (plan: EndpointPlan, settings: EndpointSettings, clock: BreakerClock, events: EndpointEvents, owner: EndpointOwner) {
    this.url = plan.url
    this.plan = plan
    this.#settings = settings
    this.#events = events
    this.#owner = owner
    this.#breaker = new Breaker(settings.breaker, clock, (state, cause) => {
      // Its trial has to be drawn.
      if (state === 'half-open') this.standing.forget()
      events.breaker(state, cause)
      if (state === 'open') owner.shut()
    }, () => askHeartbeat(this.url + this.heartbeatPath, { timeoutMs: heartbeatTimeoutMs, lookup: this.#lookup, tls: this.#pool.tls }))
    this.#lookup = lookupOf(() => this.plan.ips)
    this.#pool = new EndpointPool(plan, settings.tls, this.#lookup, isLast => { if (this.isHost && this.reachable && this.#doubts.byCut(isLast)) void this.#doubts.ask(() => this.#whoIsThere('returning')) })
    this.#pool.lead(plan.ips)
  }

  get version (): string | undefined { return this.plan.version }
  get labels (): readonly string[] { return this.plan.labels }
  get weight (): number { return this.plan.weight }
  get reachable (): boolean { return this.#probe === undefined && this.asking === undefined }
  /** Who is there is being asked; settles when that is known. Calls go elsewhere meanwhile, or wait. */
  get asking (): Promise<void> | undefined { return this.#doubts.asking }
  /** It is a host, no connection to it is open and nobody has heard of it for a while: another program may stand there by now. */
  get isCold (): boolean { return this.#pool.isEmpty && this.isHost && performance.now() - Math.max(this.#pool.emptySinceMs, this.#doubts.saidAtMs) > freshMs }
  /** Settles when the table is made of it that it takes no connections: whoever it was the last for may have another by then. */
  get losing (): Promise<void> | undefined { return this.#doubts.losing }
  /** Why it takes no connections; undefined: it does. */
  get unreachable (): string | undefined { return this.#probe === undefined ? undefined : this.#unreachableFor }
  get breakerState (): BreakerState { return this.#breaker.state }
  get inFlight (): number { return this.#pool.inFlight }
  get idleConnections (): number { return this.#pool.idle }
  /** May it be picked now? */
  get available (): boolean { return this.usable && this.room > 0 }
  /** Whether anything but its own limit speaks against picking it. */
  get usable (): boolean { return this.reachable && this.#breaker.admits && this.#ejectedUntilMs === 0 }
  /** Nothing but its own word, for which it was asked because it is cold, keeps calls from it. */
  get warming (): boolean { return this.#isAskedCold && this.asking !== undefined && this.#probe === undefined && this.#breaker.admits && this.#ejectedUntilMs === 0 }
  /** Whether its calls are not to go to others' parts: it may be picked, full or not, or soon will be. */
  get expected (): boolean { return this.usable || this.warming }
  /** Exchanges at it, from the beginning of their attempt until the end of the answer's body. */
  get seats (): number { return this.#seats }
  /** Places it has left; Infinity without a limit. */
  get room (): number { return this.#settings.maxSeats === undefined ? Infinity : this.#settings.maxSeats - this.#seats }
  /** Undefined: no limit of its own. */
  get maxSeats (): number | undefined { return this.#settings.maxSeats }
  get breakerHeld (): Held | undefined { return this.#breaker.held }
  /** It asked for a pause which lasts so much longer, ms; 0 = none. */
  get pausedMs (): number { return this.#breaker.pausedMs }
  /** How much of its traffic it should get, 0 to 1: below 1 while it recovers from an open breaker or an ejection. */
  get rampFactor (): number { return this.#breaker.rampFactor }
  /** Until it may be worth calling again, ms. */
  get retryAfterMs (): number { return this.#breaker.retryAfterMs }
  get ejection (): { readonly reason: string, readonly untilMs: number } | undefined {
    return this.#ejectedUntilMs === 0 ? undefined : { reason: this.#ejectedFor, untilMs: this.#ejectedUntilMs }
  }

  begin (): boolean {
    this.#seats++
    return this.#breaker.begin()
  }

  /** A cold one is asked who it is before calls go there. */
  askAnew (): void {
    this.#isAskedCold = true
    void this.#doubts.ask(() => this.#whoIsThere('cold')).then(() => { this.#isAskedCold = false })
  }

  leave (): void {
    this.#seats--
    if (this.#settings.maxSeats !== undefined) this.#owner.room()
  }

  overdue (trial: boolean, cause: FailureCause): void {
    this.#breaker.report('failure', trial, cause)
  }

  singledOut (cause: FailureCause): void {
    if (this.#owner.hasOther(this.url)) this.#breaker.trip(cause)
  }

  hold (hold: HeldUntil | undefined): void {
    this.#breaker.hold(hold)
  }

  /** Closed by hand, once; and back from an ejection. */
  reset (): void {
    this.#breaker.reset()
    this.takeBack()
  }

  /** No traffic until `untilMs` (performance.now()): it does worse than the others. */
  eject (reason: string, untilMs: number): void {
    this.#ejectedUntilMs = untilMs
    this.#ejectedFor = reason
    this.#events.ejected(reason, untilMs - performance.now())
    this.#owner.shut()
  }

  /** The ejection is over: it gets its share slowly. */
  takeBack (): void {
    if (this.#ejectedUntilMs === 0) return
    this.#ejectedUntilMs = 0
    this.#breaker.ramp()
    this.standing.forget()
    this.#events.ejected(undefined, 0)
  }

  /** @throws GatewayError by the promise */
  request (exchange: Exchange, attempt: Attempt): Promise<UpstreamResponse> {
    if (exchange.upgrade) return this.#pool.upgrade(exchange, attempt)
    // After it closed a kept connection without an answer, the next try is made on one that was not used before.
    const { attempts } = exchange
    const fresh = attempts.length > 1 && attempts.some(({ endpoint, result }) => endpoint === this.url && result === 'ConnectionClosed')
    return this.#pool.request(exchange, attempt, fresh)
  }

  report (attempt: Attempt, trial: boolean, status: number | undefined, error: GatewayError | undefined, headers?: readonly string[]): void {
    // Whatever becomes of a copy touches nobody who calls the endpoint himself.
    if (attempt.isMirrored) return this.#events.attempt('ignored', attempt.durationMs)
    const nowMs = performance.now()
    if (status !== undefined) this.heardAtMs = nowMs
    const judged = this.#judge(attempt, status, error, nowMs)
    // A plain 500, seen beside the others.
    if (judged === 'failure') attempt.outcome = judged
    const outcome = this.#pausedBy(attempt, status) || attempt.isCounted ? 'ignored' : judged
    this.#breaker.report(outcome, trial, outcome === 'failure' ? { cause: attempt.result } : undefined)
    if (judged === 'failure') this.failures++
    else if (judged === 'success') this.successes++
    if (error?.spec.retry === 'always') this.#unreachable(error)
    this.#score(attempt, status, nowMs)
    if (status !== undefined && headers !== undefined && this.#doubts.byAnswer(status, headers, this.isHost)) this.#events.doubted()
    this.#events.attempt(attempt.outcome, attempt.durationMs)
  }

  /** Another plan for the same url. Another version takes over step by step, though deployed in place. */
  apply (plan: EndpointPlan): void {
    if (plan.version !== this.plan.version) this.sinceMs = performance.now()
    this.plan = plan
    this.#pool.lead(plan.ips)
  }

  configure (settings: EndpointSettings): void {
    this.#settings = settings
    this.#breaker.configure(settings.breaker)
  }

  /** Lets go of connections that are not needed. */
  trim (): void {
    this.#pool.trim()
  }

  /** No new attempts; those under way end by themselves. */
  close (): void {
    this.#probe?.close()
    this.#probe = undefined
    this.#doubts.drop()
    this.#breaker.close()
    this.#pool.close()
  }

  /** Retry-After is the endpoint's word that it needs a pause: that is kept in place of counting a failure. */
  #pausedBy ({ retryAfterMs = 0 }: Attempt, status: number | undefined): boolean {
    const { enabled, pauseStatuses, maxPauseMs } = this.#settings.breaker
    if (!enabled || retryAfterMs === 0 || status === undefined || maxPauseMs === 0 || !pauseStatuses.includes(status)) return false
    const ms = Math.min(retryAfterMs, maxPauseMs)
    this.#breaker.pause(ms)
    this.#events.paused(ms)
    this.#owner.shut()
    return true
  }

  /** What ended while the client was still sending says nothing of the endpoint's time. */
  #score (attempt: Attempt, status: number | undefined, nowMs: number): void {
    const scored = scoredAs(attempt.outcome, status)
    if (attempt.isTimed || scored === 'failure') this.standing.report(scored, attempt.isTimed ? attempt.durationMs : 0, nowMs, this.plan.rttMs)
  }

  /**
   * What an attempt says of this endpoint beside the others. A failed connection is always its own; what fails elsewhere too is the message's. What
   * works elsewhere is the endpoint's where no answer came, and an answered 5xx once a second message fails here, or while no other one works. With
   * nobody to compare with, a plain 500 is the message's; what else fails, time-outs too, goes by that second rule; alone, only by its first part.
   */
  #judge ({ outcome, message, trial }: Attempt, status: number | undefined, error: GatewayError | undefined, nowMs: number): Outcome {
    if (status !== undefined && status < 500) this.#suspicion.worked(message, nowMs)
    if (error?.spec.retry === 'always' || (outcome !== 'failure' && (status === undefined || status < 500))) return outcome
    const { windowMs } = this.#settings.breaker
    const elsewhere = this.#owner.attemptFailed(message, this.url)
    const isCommon = this.#suspicion.confirms(message, nowMs, windowMs) || (!this.alone && !this.#suspicion.refutes(message, nowMs, windowMs))
    if (elsewhere === 'works' && (isCommon || status === undefined)) return 'failure'
    if (outcome !== 'failure' || trial) return outcome
    return isCommon && (this.alone || elsewhere === 'unknown') ? 'failure' : 'ignored'
  }

  /** A refused or timed-out connect takes the endpoint out at once, until Postern's own connect succeeds (decision 0004). */
  #unreachable (error: GatewayError): void {
    if (this.#probe !== undefined) return
    this.#doubts.confirmed()
    this.#unreachableFor = String(error.detail?.['cause'] ?? error.code)
    this.#events.reachable(false, this.#unreachableFor)
    this.#probe = probeUntilReachable(this.plan.origin, { connectTimeoutMs: this.#settings.connectTimeoutMs, lookup: this.#lookup }, () => { void this.#return(this.#probe) })
    void this.#doubts.lose(this.#events.lost()).then(() => this.#owner.shut())
    this.#owner.shut()
  }

  /** Somebody listens there again. Whoever it is: the control plane asks before calls go there, for addresses are reused. Where there are others, its word is waited for. */
  async #return (probe: Probe | undefined): Promise<void> {
    await this.#doubts.ask(() => this.#events.whoIsThere('returning', () => this.#probe === probe && this.#owner.hasOther(this.url)))
    // Closed meanwhile: it was somebody else.
    if (this.#probe !== probe) return
    this.#probe = undefined
    this.standing.rejoin(performance.now())
    this.#events.reachable(true, undefined)
  }

  /** The other end closes connections when its process ends, and addresses are reused: who takes the next one is asked before calls go there. */
  async #whoIsThere (why: 'returning' | 'cold'): Promise<void> {
    const failed = await dial(this.plan.origin, this.#settings.connectTimeoutMs, this.#lookup).then(() => undefined, (error: unknown) => error as GatewayError)
    // Closed meanwhile.
    if (this.asking === undefined) return
    if (failed !== undefined) return this.#unreachable(failed)
    await this.#events.whoIsThere(why, () => this.asking !== undefined && this.#owner.hasOther(this.url))
  }
}
