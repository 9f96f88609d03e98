// The circuit breaker of one endpoint: opossum counts and keeps the state, gates of ours stand in front.
import { EventEmitter } from 'node:events'
import CircuitBreaker from 'opossum'
import type { Outcome } from '../exchange/outcome.ts'

export interface BreakerSettings {
  readonly errorThresholdPercent: number
  readonly volumeThreshold: number
  readonly windowMs: number
  readonly resetTimeoutMs: number
}

export type BreakerState = 'closed' | 'open' | 'half-open'

const bucketCount = 10

/** Field by field: a new configuration asks this of every endpoint in one turn of the event loop. */
function isSame (a: BreakerSettings, b: BreakerSettings): boolean {
  for (const name in a) if (a[name as keyof BreakerSettings] !== b[name as keyof BreakerSettings]) return false
  return true
}

/**
 * One timer for the rolling windows of all breakers of a process: 22,000 breakers with timers of their own cost 26 % of a core
 * (measured). Runs only while there are breakers.
 */
export class WindowClock {
  readonly #clocks = new Map<number, { emitter: EventEmitter, timer: NodeJS.Timeout, users: number }>()

  join (windowMs: number): EventEmitter {
    let clock = this.#clocks.get(windowMs)
    if (clock === undefined) {
      const emitter = new EventEmitter().setMaxListeners(0)
      const timer = setInterval(() => emitter.emit('rotate'), windowMs / bucketCount)
      timer.unref()
      clock = { emitter, timer, users: 0 }
      this.#clocks.set(windowMs, clock)
    }
    clock.users++
    return clock.emitter
  }

  leave (windowMs: number): void {
    const clock = this.#clocks.get(windowMs)
    if (clock === undefined || --clock.users > 0) return
    clearInterval(clock.timer)
    this.#clocks.delete(windowMs)
  }
}

/** What opossum is fired with: an outcome that is known already. Its own timeout, cache and semaphore stay unused. */
const settle = (outcome: Outcome): Promise<void> => outcome === 'failure' ? Promise.reject(new Error('attempt failed')) : Promise.resolve()
// The rejection is the failure we have just reported to it ourselves.
const alreadyReported = () => {}

/**
 * Fed with outcomes after each attempt. An ignored outcome never reaches opossum, which would count it as success and close a half-open
 * breaker (measured). The opossum breaker exists from the first failure until a window has passed without any, so a healthy
 * endpoint costs nothing.
 */
export class Breaker {
  readonly #clock: WindowClock
  readonly #onChange: (state: BreakerState) => void
  #settings: BreakerSettings
  #circuit: CircuitBreaker<[Outcome], void> | undefined
  #lastFailureAtMs = 0
  #trialUnderWay = false

  constructor (settings: BreakerSettings, clock: WindowClock, onChange: (state: BreakerState) => void = () => {}) {
    this.#settings = settings
    this.#clock = clock
    this.#onChange = onChange
  }

  get state (): BreakerState {
    const circuit = this.#circuit
    if (circuit === undefined || circuit.closed) return 'closed'
    return circuit.halfOpen ? 'half-open' : 'open'
  }

  /** Whether an attempt may be made now: closed, or half-open without a trial under way. */
  get admits (): boolean {
    const circuit = this.#circuit
    return circuit === undefined || circuit.closed || (circuit.halfOpen && !this.#trialUnderWay)
  }

  /** An attempt begins. Returns whether it is the trial of a half-open breaker: hand that back to `report`. */
  begin (): boolean {
    if (this.#circuit === undefined || !this.#circuit.halfOpen) return false
    this.#trialUnderWay = true
    return true
  }

  /** An attempt has ended. Late answers of attempts from before the breaker opened do not count. */
  report (outcome: Outcome, trial: boolean): void {
    if (trial) this.#trialUnderWay = false
    if (outcome === 'ignored') return
    if (outcome === 'failure') {
      this.#lastFailureAtMs = performance.now()
      this.#circuit ??= this.#create()
    } else if (this.#circuit === undefined) return
    const circuit = this.#circuit
    if (circuit.closed || (circuit.halfOpen && trial)) circuit.fire(outcome).catch(alreadyReported)
    if (outcome === 'success' && circuit.closed && performance.now() - this.#lastFailureAtMs > 2 * this.#settings.windowMs) this.close()
  }

  configure (settings: BreakerSettings): void {
    if (isSame(settings, this.#settings)) return
    this.close()
    this.#settings = settings
  }

  /** Forgets everything: closed, and no timer left behind. */
  close (): void {
    if (this.#circuit === undefined) return
    this.#circuit.shutdown()
    this.#circuit.removeAllListeners()
    this.#circuit = undefined
    this.#trialUnderWay = false
    this.#clock.leave(this.#settings.windowMs)
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
      rotateBucketController: this.#clock.join(windowMs)
    })
    circuit.on('open', () => this.#onChange('open'))
    circuit.on('halfOpen', () => this.#onChange('half-open'))
    circuit.on('close', () => {
      // opossum keeps the window that opened it: one more failure would open it again at once. Recovered means a clean start.
      this.close()
      this.#onChange('closed')
    })
    return circuit
  }
}
