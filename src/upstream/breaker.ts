// One circuit breaker: opossum counts and keeps the state; gates of ours (trials, ramp, pause, an operator's hold) stand in front.
import CircuitBreaker from 'opossum'
import type { Attempt } from '../exchange/attempt.ts'
import { slowCause, type FailureCause, type Outcome } from '../exchange/outcome.ts'
import { bucketCount, type BreakerClock } from './breaker-clock.ts'
import { Trials } from './trials.ts'

export interface BreakerSettings {
  readonly enabled: boolean
  readonly errorThresholdPercent: number
  readonly volumeThreshold: number
  /** Failures in a row that open it at once. */
  readonly consecutiveFailures: number
  readonly windowMs: number
  readonly resetTimeoutMs: number
  /** Trial calls that must succeed before it closes. */
  readonly trials: number
  readonly rampMs: number
  /** How long it waits half-open for a call, until it asks by itself. 0 = never. */
  readonly askIdleMs: number
}

export type BreakerState = 'closed' | 'open' | 'half-open'
/** What an operator holds it at. */
export type Held = 'open' | 'closed'
export interface HeldUntil {
  readonly held: Held
  /** ms since epoch; undefined = until it is released. */
  readonly until: number | undefined
}

/** `cause`: of the last failure, where it opened. */
type OnChange = (state: BreakerState, cause?: FailureCause) => void

/** What opossum is fired with: an outcome that is known already. Its own timeout, cache and semaphore stay unused. */
const settle = (outcome: Outcome): Promise<void> => outcome === 'failure' ? Promise.reject(new Error('call failed')) : Promise.resolve()
// The rejection is the failure we have just reported to it ourselves.
const alreadyReported = () => {}

/** What counts as other settings: a new configuration asks this of every endpoint in one turn of the event loop. */
const fields = ['enabled', 'errorThresholdPercent', 'volumeThreshold', 'consecutiveFailures', 'windowMs', 'resetTimeoutMs', 'trials', 'rampMs', 'askIdleMs'] as const satisfies ReadonlyArray<keyof BreakerSettings>
const leastShare = 0.1
/** Told to callers while a trial is under way: it ends soon, one way or the other. */
const trialRetryMs = 1_000
/** Told to callers while it is held open, at most: it may be released before. */
const longestHeldRetryMs = 60_000

/**
 * Fed with outcomes after each call. An ignored outcome never reaches opossum, which would count it as success and close a half-open
 * breaker (measured). The opossum breaker exists from the first failure until two windows have passed without any, so what is healthy
 * or idle costs nothing.
 */
export class Breaker {
  readonly #clock: BreakerClock
  readonly #onChange: OnChange
  readonly #ask: (() => Promise<boolean>) | undefined
  readonly #places: () => number
  readonly #trials = new Trials()
  #settings: BreakerSettings
  #circuit: CircuitBreaker<[Outcome], void> | undefined
  #lastFailureAtMs = 0
  #cause: FailureCause | undefined
  #failuresInARow = 0
  #openedAtMs = 0
  /** Good answers that came too late, since it opened. */
  #late = 0
  #triedAtMs = 0
  #pausedUntilMs = 0
  /** When it closed after trials; 0 = no ramp. */
  #rampFromMs = 0
  #share = 0
  #held: HeldUntil | undefined

  /** `ask`: whether what it guards is well, asked where calls are rare. Never rejects. `places`: at how many it may be tried. */
  constructor (settings: BreakerSettings, clock: BreakerClock, onChange: OnChange = () => {}, ask?: () => Promise<boolean>, places = () => 1) {
    this.#settings = settings
    this.#clock = clock
    this.#onChange = onChange
    this.#ask = ask
    this.#places = places
  }

  get held (): Held | undefined { return this.#held?.held }
  get settings (): BreakerSettings { return this.#settings }
  /** Nothing is remembered of failures: whoever made it may forget it. */
  get idle (): boolean { return this.#circuit === undefined && this.#held === undefined && this.rampFactor === 1 }

  get state (): BreakerState {
    if (this.#held !== undefined) return this.#held.held
    const circuit = this.#circuit
    if (circuit === undefined || circuit.closed) return 'closed'
    return circuit.halfOpen ? 'half-open' : 'open'
  }

  /** Of the round under way, if it is half-open; of one that was won, nothing. */
  get trials (): Pick<Trials, 'hasFailedAt' | 'hasPassedAt'> { return this.#trials }

  /** ms until the pause that the endpoint asked for ends; 0 = none. */
  get pausedMs (): number {
    return this.#pausedUntilMs === 0 ? 0 : Math.max(0, this.#pausedUntilMs - performance.now())
  }

  /** Whether a call may be made now: not held open, not paused, and closed, or half-open with room for a trial. */
  get admits (): boolean {
    if (this.#held !== undefined) return this.#held.held === 'closed'
    if (this.#pausedUntilMs !== 0) {
      if (performance.now() < this.#pausedUntilMs) return false
      this.#pausedUntilMs = 0
    }
    const circuit = this.#circuit
    return circuit === undefined || circuit.closed || (circuit.halfOpen && this.#hasRoomForTrial())
  }

  /** How much of its traffic it should get, 0 to 1: below 1 only while it recovers. */
  get rampFactor (): number {
    if (this.#rampFromMs === 0) return 1
    const share = (performance.now() - this.#rampFromMs) / this.#settings.rampMs
    if (share < 1) return Math.max(leastShare, share)
    this.#rampFromMs = 0
    return 1
  }

  /** `admits`, and while it recovers only for the share of calls that is due: evenly, not by chance. Once it is so it stays so, until a call passes. */
  get isDue (): boolean {
    if (!this.admits) return false
    if (this.#rampFromMs === 0 || this.#held !== undefined) return true
    if (this.#share < 1) this.#share += this.rampFactor
    return this.#share >= 1
  }

  /** A call wants to be let in. */
  get passes (): boolean {
    if (!this.isDue) return false
    if (this.#share >= 1) this.#share -= 1
    return true
  }

  /** When it may be worth calling again, ms; while it recovers or has a trial under way, a second. */
  get retryAfterMs (): number {
    if (this.#held?.held === 'open') return Math.min(longestHeldRetryMs, Math.max(0, (this.#held.until ?? Infinity) - Date.now()))
    if (this.pausedMs > 0) return this.pausedMs
    return this.state === 'open' ? Math.max(0, this.#openedAtMs + this.#settings.resetTimeoutMs - performance.now()) : trialRetryMs
  }

  /** A call begins. Returns whether it is a trial of a half-open breaker: hand that back to `report`. */
  begin (): boolean {
    if (this.#held !== undefined || this.#circuit === undefined || !this.#circuit.halfOpen) return false
    this.#trials.begin()
    this.#triedAtMs = performance.now()
    return true
  }

  /** A call has ended. Late answers of calls from before the breaker opened do not count. `cause`: of a failure; `attempt`: its last, where a trial has a choice of places. */
  report (outcome: Outcome, trial: boolean, cause?: FailureCause, attempt?: Attempt): void {
    if (trial) this.#trials.end()
    if (outcome === 'success' && this.#circuit === undefined) return
    if (outcome === 'ignored' || !this.#settings.enabled || this.#held !== undefined) return
    if (outcome === 'success') this.#failuresInARow = 0
    else {
      this.#lastFailureAtMs = performance.now()
      this.#cause = cause
      this.#failuresInARow++
      this.#circuit ??= this.#create()
    }
    const circuit = this.#circuit!
    if (circuit.halfOpen) {
      if (trial) this.#judgeTrial(circuit, outcome, attempt)
    } else if (circuit.closed) {
      // The others have won its round meanwhile.
      if (trial && outcome === 'failure') attempt?.singledOut()
      circuit.fire(outcome).catch(alreadyReported)
      if (this.#failuresInARow >= this.#settings.consecutiveFailures) circuit.open()
    }
  }

  /** Opens it at once. */
  trip (cause: FailureCause): void {
    if (!this.#settings.enabled || this.#held !== undefined) return
    this.#lastFailureAtMs = performance.now()
    this.#cause = cause
    this.#circuit ??= this.#create()
    if (this.#circuit.closed) this.#circuit.open()
  }

  /** A call that was counted as too slow has been answered well. As many as trials, and it closes: what was asked was done. */
  answeredLate (): void {
    if (this.#circuit?.opened !== true || this.#cause?.cause !== slowCause || ++this.#late < this.#settings.trials) return
    this.reset()
  }

  /** No calls for so long, because the endpoint said so. The state stays as it is. */
  pause (ms: number): void {
    if (this.#settings.enabled) this.#pausedUntilMs = Math.max(this.#pausedUntilMs, performance.now() + ms)
  }

  /** It comes back from somewhere else (an ejection): it gets its share slowly. */
  ramp (): void {
    this.#rampFromMs = performance.now()
  }

  /** By hand: held open it admits nothing, held closed it never opens; undefined gives it back to itself, closed. */
  hold (hold: HeldUntil | undefined): void {
    const before = this.state
    if (hold?.held !== this.held) this.close()
    this.#held = hold
    if (this.state !== before) this.#onChange(this.state)
  }

  /** Closed by hand, once: it may open again. */
  reset (): void {
    const before = this.state
    this.close()
    if (this.state !== before) this.#onChange(this.state)
  }

  /** Settings of other values close it; the same values in another object change nothing. */
  configure (settings: BreakerSettings): void {
    if (fields.some(field => settings[field] !== this.#settings[field])) this.reset()
    this.#settings = settings
  }

  /** Forgets everything but an operator's hold: closed, and no timer left behind. */
  close (): void {
    this.#pausedUntilMs = 0
    this.#rampFromMs = 0
    this.#forget()
  }

  /** Called by the clock: without failures for two windows there is nothing left to count; half-open without calls, it asks, or has nobody to ask and forgets too. */
  sweep (): void {
    const longAgoMs = performance.now() - 2 * this.#settings.windowMs
    if (this.#circuit?.halfOpen === true) {
      if (this.#ask !== undefined && this.#settings.askIdleMs !== 0) void this.#askIdle(this.#circuit, this.#ask)
      else if (this.#triedAtMs < longAgoMs && !this.#trials.areUnderWay) this.reset()
    } else if (this.#circuit?.closed === true && this.#lastFailureAtMs < longAgoMs) this.#forget()
  }

  #forget (): void {
    if (this.#circuit === undefined) return
    this.#circuit.shutdown()
    this.#circuit.removeAllListeners()
    this.#circuit = undefined
    this.#failuresInARow = 0
    this.#trials.reset()
    this.#clock.leave(this.#settings.windowMs, this)
  }

  /** Where calls are rare, an answer to our own question is a trial like theirs. */
  async #askIdle (circuit: CircuitBreaker<[Outcome], void>, ask: () => Promise<boolean>): Promise<void> {
    if (performance.now() - this.#triedAtMs < this.#settings.askIdleMs || !this.#hasRoomForTrial()) return
    this.#trials.begin()
    const isWell = await ask()
    if (this.#circuit === circuit && circuit.halfOpen) this.report(isWell ? 'success' : 'failure', true, isWell ? undefined : { cause: 'heartbeat' })
  }

  #hasRoomForTrial (): boolean {
    this.#trials.forget(performance.now() - this.#settings.resetTimeoutMs)
    return this.#trials.hasRoom(this.#settings.trials, this.#places())
  }

  /** opossum closes at the first success, and opens at the first failure: it is told once that is decided. */
  #judgeTrial (circuit: CircuitBreaker<[Outcome], void>, outcome: 'success' | 'failure', attempt: Attempt | undefined): void {
    if (this.#trials.judge(outcome, this.#settings.trials, this.#places(), attempt) !== undefined) circuit.fire(outcome).catch(alreadyReported)
  }

  #create (): CircuitBreaker<[Outcome], void> {
    const { errorThresholdPercent, volumeThreshold, windowMs, resetTimeoutMs } = this.#settings
    const circuit = new CircuitBreaker<[Outcome], void>(settle, {
      timeout: false,
      errorThresholdPercentage: errorThresholdPercent,
      volumeThreshold,
      resetTimeout: resetTimeoutMs,
      rollingCountTimeout: windowMs,
      rollingCountBuckets: bucketCount,
      rollingPercentilesEnabled: false,
      enableSnapshots: false,
      rotateBucketController: this.#clock.join(windowMs, this)
    })
    circuit.on('open', () => {
      this.#openedAtMs = performance.now()
      this.#late = 0
      this.#trials.reset()
      this.#onChange('open', this.#cause)
    })
    circuit.on('halfOpen', () => {
      this.#triedAtMs = performance.now()
      this.#onChange('half-open')
    })
    circuit.on('close', () => {
      const { failures } = this.#trials
      // opossum keeps the window that opened it: one more failure would open it again at once. Recovered means a clean start.
      this.#forget()
      this.#rampFromMs = this.#settings.rampMs === 0 ? 0 : performance.now()
      this.#onChange('closed')
      for (const attempt of failures) attempt.singledOut()
    })
    return circuit
  }
}
