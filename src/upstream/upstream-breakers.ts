// The breakers in front of an upstream's queue: its own, and one for each of its messages that fails. Fed with whole exchanges.
import type { ErrorCode, GatewayError } from '../exchange/errors.ts'
import type { BreakersHandle } from '../exchange/breakers.ts'
import type { Exchange } from '../exchange/exchange.ts'
import { judgeError, judgeStatus, nobodys, type FailureCause, type Verdict } from '../exchange/outcome.ts'
import { LinkedList } from '../lib/linked-list.ts'
import type { Avoid } from './balancing/candidate.ts'
import { Breaker, type BreakerSettings, type BreakerState, type HeldUntil } from './breaker.ts'
import { breakerOpen } from './breaker-open.ts'
import type { BreakerClock } from './breaker-clock.ts'
import { Call, MessageHistory, slowAfterMs, slowCall, type CallOwner } from './calls.ts'
import type { Elsewhere } from './elsewhere.ts'
import { FullQueue } from './full-queue.ts'
import { Suspicion } from './suspicion.ts'

/** `message` undefined: the upstream's own. */
export type OnBreaker = (message: string | undefined, state: BreakerState, cause: FailureCause | undefined) => void

/** More messages than this are not told apart: their failures still count for the upstream. */
const mostBreakers = 1_000
const tooSlow: Verdict = { endpoint: 'ignored', upstream: 'failure', message: 'failure' }

export interface MessageBreaker {
  readonly message: string
  readonly breaker: Breaker
}

export interface UpstreamBreakersOptions {
  readonly name: string
  readonly settings: BreakerSettings
  readonly clock: BreakerClock
  readonly onChange: OnBreaker
  /** Called every 200 ms while calls are under way, and for as long as it returns true. */
  readonly onTick: (nowMs: number) => boolean
  /** Whether any other endpoint may be called. */
  readonly hasOther: (than: string) => boolean
  /** Whether an endpoint that may be called has no call. */
  readonly hasIdle: () => boolean
  /** How many endpoints it has that can be tried; what is beyond the trials need not be counted. */
  readonly places: () => number
}

/**
 * A message's failures count for the message unless it works at another endpoint at that time: then they are left to the breaker of the endpoint,
 * which in turn leaves to the message what fails elsewhere too. For the upstream they count, plain 500s too, once a second message has failed as
 * well, so that one broken message does not close a service. Failed connections, which say nothing of a message, count at once.
 */
export class UpstreamBreakers implements BreakersHandle, CallOwner {
  readonly own: Breaker
  readonly #name: string
  readonly #clock: BreakerClock
  readonly #onChange: OnBreaker
  readonly #onTick: (nowMs: number) => boolean
  readonly #hasOther: (than: string) => boolean
  readonly #hasIdle: () => boolean
  readonly #places: () => number
  readonly #histories = new Map<string, MessageHistory>()
  readonly #breakers = new Map<string, Breaker>()
  readonly #calls = new LinkedList<Call>()
  #settings: BreakerSettings
  #watched = false
  readonly #messages = new Suspicion()
  readonly #queue = new FullQueue()
  #overdueCalls = 0

  constructor ({ name, settings, clock, onChange, onTick, hasOther, hasIdle, places }: UpstreamBreakersOptions) {
    this.#name = name
    this.#settings = settings
    this.#clock = clock
    this.#onChange = onChange
    this.#onTick = onTick
    this.#hasOther = hasOther
    this.#hasIdle = hasIdle
    this.#places = places
    this.own = new Breaker(settings, clock, (state, cause) => onChange(undefined, state, cause), undefined, places)
  }

  /** Those that exist: of messages that failed lately, or are held. */
  get messages (): readonly MessageBreaker[] { return [...this.#breakers].map(([message, breaker]) => ({ message, breaker })) }

  enter (exchange: Exchange): Call {
    const { name, policy } = exchange.route
    const own = this.own
    const breaker = this.#breakers.size === 0 ? undefined : this.#breakers.get(name)
    // Only after the configuration has changed, or where it was held before anybody called.
    if (breaker !== undefined && breaker.settings !== policy.messageBreaker) breaker.configure(policy.messageBreaker)
    // While the upstream recovers, the trials of its messages wait for no turn: one recovery would follow the other.
    if (breaker?.state === 'half-open' ? !own.admits : !own.passes) throw this.refusal(undefined)
    const open = breaker?.passes === false ? name : this.#openBeyond(exchange)
    if (open !== undefined) throw this.refusal(open)
    let history = this.#histories.get(name)
    if (history === undefined) this.#histories.set(name, history = new MessageHistory(name))
    history.used = true
    const call = new Call(this, exchange, history, own.begin(), breaker?.begin() ?? false)
    this.#watch(call)
    return call
  }

  share (exchange: Exchange): number {
    const breaker = this.#breakers.get(exchange.route.name)
    if (!this.own.admits || breaker?.admits === false || this.#openBeyond(exchange) !== undefined) return 0
    return Math.min(this.own.rampFactor, breaker?.rampFactor ?? 1)
  }

  defers (exchange: Exchange): boolean {
    const breaker = this.#breakers.get(exchange.route.name)
    return (breaker?.state === 'half-open' ? !this.own.admits : !this.own.isDue) || breaker?.isDue === false || this.#openBeyond(exchange) !== undefined
  }

  /** Where a trial is better not made now: where others have failed in this round, or are under way and none has passed. Undefined: this call is no trial. */
  tried (exchange: Exchange): Avoid | undefined {
    const { own } = this
    const { name } = exchange.route
    const breaker = this.#breakers.size === 0 ? undefined : this.#breakers.get(name)
    if (own.state !== 'half-open' && breaker?.state !== 'half-open') return undefined
    const busy = new Set<string>()
    for (let call = this.#calls.first; call !== undefined; call = call.next) {
      const attempt = call.firstAttempt
      if (attempt !== undefined && (call.trialOfUpstream || (call.trialOfMessage && call.history.name === name))) busy.add(attempt.endpoint)
    }
    const hasFailed = (url: string) => own.trials.hasFailedAt(url) || breaker?.trials.hasFailedAt(url) === true
    const hasPassed = (url: string) => own.trials.hasPassedAt(url) || breaker?.trials.hasPassedAt(url) === true
    return { has: ({ url }) => hasFailed(url) || (busy.has(url) && !hasPassed(url)) }
  }

  /** What is answered while the breaker of a message, or the upstream's own (undefined), admits nothing. */
  refusal (message: string | undefined): GatewayError {
    const breaker = message === undefined ? this.own : this.#breakers.get(message)!
    return breakerOpen(breaker, { upstream: this.#name, scope: message === undefined ? 'upstream' : 'message', ...message === undefined ? {} : { message } })
  }

  answered (call: Call, status: number): void {
    if (status < 500) {
      const nowMs = performance.now()
      this.#queue.answered(nowMs)
      this.#messages.worked(call.history.name, nowMs)
      if (call.overdue) for (const breaker of [this.own, this.#breakers.get(call.history.name)]) breaker?.answeredLate()
      else call.history.worked(call.exchange.endpoint!.url, nowMs)
      const attempt = call.lastAttempt
      // A late answer counts too: what is slow for good, and works, is normal before long.
      if (attempt?.isTimed === true) call.history.answered(attempt.durationMs)
    }
    this.#ended(call, judgeStatus(status), status)
  }

  failed (call: Call, error: GatewayError): void {
    if (error.code === 'BulkheadFull' || error.code === 'QueueTimeout') this.#rejected()
    this.#ended(call, judgeError(error), error.code)
  }

  left (call: Call): void {
    this.#ended(call, nobodys)
  }

  /** An attempt at a message has failed at this endpoint. How it fares at the others. */
  attemptFailed (message: string, endpoint: string): Elsewhere {
    const history = this.#histories.get(message)
    if (history === undefined) return 'unknown'
    const nowMs = performance.now()
    history.failed(endpoint, nowMs)
    return history.elsewhere(endpoint, nowMs, this.#settings.windowMs)
  }

  /** Called by the clock: counts what takes too long now, not when its time-out comes. */
  tick (nowMs: number): boolean {
    const isAwaited = this.#onTick(nowMs)
    for (let call = this.#calls.first; call !== undefined;) {
      const next = call.next
      if (this.#isSlow(call, nowMs)) this.#overdue(call, nowMs)
      call = next
    }
    this.#watched = isAwaited || this.#calls.first !== undefined
    return this.#watched
  }

  hold (message: string | undefined, hold: HeldUntil | undefined): void {
    if (message === undefined) this.own.hold(hold)
    else (hold === undefined ? this.#breakers.get(message) : this.#breakerOf(message, this.#settings, true))?.hold(hold)
  }

  /** Closed by hand, once. */
  reset (message: string | undefined): void {
    (message === undefined ? this.own : this.#breakers.get(message))?.reset()
  }

  /** Those of messages follow their policies, with the next call. */
  configure (settings: BreakerSettings): void {
    this.#settings = settings
    this.own.configure(settings)
  }

  /** Forgets messages that nobody calls. */
  trim (): void {
    for (const [message, breaker] of this.#breakers) if (breaker.idle) this.#breakers.delete(message)
    const windowBeganMs = performance.now() - this.#settings.windowMs
    for (const [name, history] of this.#histories) {
      history.forget(windowBeganMs)
      if (!history.used && !this.#breakers.has(name)) this.#histories.delete(name)
      history.used = false
    }
  }

  close (): void {
    this.own.close()
    for (const breaker of this.#breakers.values()) breaker.close()
    this.#breakers.clear()
  }

  /** A message that a prefix route's path leads to, and whose breaker is open. The prefix's calls are counted for the prefix, and are nobody's trials. */
  #openBeyond ({ upstreamRequest: { reached } }: Exchange): string | undefined {
    return reached.length === 0 ? undefined : reached.find(({ name }) => this.#breakers.get(name)?.state === 'open')?.name
  }

  #overdue (call: Call, nowMs: number): void {
    const { exchange, history } = call
    const { messageBreaker } = exchange.route.policy
    const attempt = call.lastAttempt!
    this.#calls.remove(call)
    history.failed(attempt.endpoint, nowMs, attempt.dueFromMs)
    const isEndpoints = this.#isEndpoints(call, this.#isMessages(call))
    const cause = slowCall(history, messageBreaker, exchange.waitsFor)
    this.#count(call, tooSlow, cause)
    call.overdue = true
    this.#overdueCalls++
    attempt.overdue(cause, isEndpoints)
    exchange.onOverdue?.()
  }

  #watch (call: Call): void {
    this.#calls.add(call)
    if (this.#watched) return
    this.#watched = true
    this.#clock.watch(this)
  }

  #ended (call: Call, verdict: Verdict, result?: number | ErrorCode): void {
    if (call.overdue) {
      this.#overdueCalls--
      return
    }
    this.#calls.remove(call)
    // What never got to an endpoint says nothing of what stands behind the queue.
    if (call.lastAttempt === undefined && verdict.message === 'failure') return this.#count(call, nobodys)
    const isFailed = verdict.upstream === 'failure' || verdict.message === 'failure'
    this.#count(call, verdict, isFailed ? { cause: String(result) } : undefined)
  }

  #count (call: Call, verdict: Verdict, cause?: FailureCause): void {
    const { history: { name }, lastAttempt: attempt, exchange: { route: { policy: { messageBreaker } } } } = call
    const isFailed = verdict.message === 'failure'
    const isItsOwn = !isFailed || this.#isMessages(call)
    const isCommon = isFailed && isItsOwn && this.#isCommon(name, verdict)
    const isSure = !isFailed || verdict.upstream !== 'failure' || call.trialOfUpstream
    this.own.report(isCommon ? 'failure' : isSure ? verdict.upstream : 'ignored', call.trialOfUpstream, cause, attempt)
    if (!messageBreaker.enabled) return
    const breaker = isFailed && isItsOwn ? this.#breakerOf(name, messageBreaker) : this.#breakers.size === 0 ? undefined : this.#breakers.get(name)
    breaker?.report(isItsOwn || call.trialOfMessage ? verdict.message : 'ignored', call.trialOfMessage, cause, attempt)
  }

  /** A second message fails as well; and for plain 500s, since then no other one works. */
  #isCommon (message: string, { upstream }: Verdict): boolean {
    const nowMs = performance.now()
    const { windowMs } = this.#settings
    return this.#messages.confirms(message, nowMs, windowMs) && (upstream === 'failure' || !this.#messages.refutesSince(message, nowMs, windowMs))
  }

  /** It was a trial of an endpoint, or its message works elsewhere, and another endpoint may be called: nothing is said of the upstream. */
  #isEndpoints ({ lastAttempt: last }: Call, isMessages: boolean): boolean {
    return last !== undefined && (last.trial || !isMessages) && this.#hasOther(last.endpoint)
  }

  /** What works at another endpoint is this endpoint's trouble, and its breaker's. */
  #isMessages ({ lastAttempt, history }: Call): boolean {
    // Of a hedged call, the exchange's own endpoint is that of the first attempt.
    return history.elsewhere(lastAttempt!.endpoint, performance.now(), this.#settings.windowMs) !== 'works'
  }

  /** Not where an endpoint is there that nobody waits for. */
  #rejected (): void {
    if (this.#queue.rejected(this.#calls, this.#overdueCalls, this.#settings) && !this.#hasIdle()) this.own.trip({ cause: 'full queue, no answers' })
  }

  #isSlow ({ exchange, history, lastAttempt: attempt, trialOfUpstream, trialOfMessage }: Call, nowMs: number): boolean {
    const { messageBreaker } = exchange.route.policy
    if (messageBreaker.slowCallFactor === 0) return false
    // In the queue, or between two attempts: not the service's time.
    if (attempt === undefined || attempt.result !== '') return false
    const isTrial = trialOfUpstream || trialOfMessage || attempt.trial
    return (history.known || isTrial) && nowMs - attempt.dueFromMs > slowAfterMs(history, messageBreaker)
  }

  #breakerOf (message: string, settings: BreakerSettings, always = false): Breaker | undefined {
    let breaker = this.#breakers.get(message)
    if (breaker === undefined && (always || this.#breakers.size < mostBreakers)) {
      breaker = new Breaker(settings, this.#clock, (state, cause) => this.#onChange(message, state, cause), undefined, this.#places)
      this.#breakers.set(message, breaker)
    }
    return breaker
  }
}
