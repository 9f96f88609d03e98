// How an endpoint stands beside the others of its upstream: its time to the response head as a peak-sensitive average (peak-EWMA), and its slow start.
import type { Outcome } from '../../exchange/outcome.ts'

export interface StandingSettings {
  readonly decayMs: number
  readonly failurePenaltyMs: number
  readonly slowStartMs: number
  readonly slowStartPercent: number
}

/**
 * What an attempt counts as for the score. Any 5xx: an endpoint that answers them at once is not fast, although a plain 500 is one message's
 * fault and no breaker's business. A 429 is the word to one caller, a 101 the time of a connection: neither is a time of the service.
 */
export function scoredAs (outcome: Outcome, status: number | undefined): Outcome {
  if (status === undefined) return outcome
  return status >= 500 ? 'failure' : status === 429 || status === 101 ? 'ignored' : outcome
}

/** What linkerd takes for an endpoint nobody knows (peers' balancers: 10 to 30 ms). */
const unknownMs = 30
/** One slow answer (the first one of a process, a pause for garbage) raises the average so many times at most; two in a row, twice that. */
const mostPeak = 3
/** Of the upstream's own typical time, what each sample changes. */
const typicalGain = 1 / 32

/** What the endpoints of one upstream share: settings, and the service's own typical time without the way to it. */
export class Scale {
  settings: StandingSettings
  #typicalMs: number | undefined

  constructor (settings: StandingSettings) {
    this.settings = settings
  }

  get typicalMs (): number { return this.#typicalMs ?? unknownMs }

  observe (ms: number): void {
    const sample = Math.min(ms, this.typicalMs * mostPeak)
    this.#typicalMs = this.#typicalMs === undefined ? sample : this.#typicalMs + (sample - this.#typicalMs) * typicalGain
  }
}

/**
 * As Finagle's and linkerd's peak-EWMA: a slower sample counts at once, a faster one by the time that passed since the last. Two things differ.
 * What is not measured for a while drifts to what is typical of the upstream, and not to zero, so that an idle endpoint is neither shunned for
 * ever nor mistaken for the fastest. And a failure counts as a time of at least failurePenaltyMs, so that failing fast is not being fast
 * (linkerd2 11580).
 */
export class Standing {
  #scale: Scale | undefined
  #sinceMs = -Infinity
  #averageMs = Number.NaN
  #reportedAtMs = 0

  /** It joins an upstream, or is back as a new process: nothing is known of it, and it starts slowly. */
  join (scale: Scale, nowMs: number): void {
    this.#scale = scale
    this.#sinceMs = nowMs
    this.forget()
  }

  rejoin (nowMs: number): void {
    if (this.#scale !== undefined) this.join(this.#scale, nowMs)
  }

  /** It gets another chance: what was measured would keep calls away, and the chance with them. */
  forget (): void {
    this.#averageMs = Number.NaN
  }

  /** performance.now() when it joined. */
  get sinceMs (): number { return this.#sinceMs }

  /** What is typical of the upstream, ms. */
  get typicalMs (): number { return this.#scale?.typicalMs ?? unknownMs }

  /** Whether there was any sample. */
  get measured (): boolean { return !Number.isNaN(this.#averageMs) }

  /**
   * What became of an attempt. `durationMs`: until the response head, or until it failed. Of an attempt that somebody gave up (`ignored`) it is
   * only known that it would have taken longer.
   */
  report (outcome: Outcome, durationMs: number, nowMs: number, rttMs = 0): void {
    const scale = this.#scale
    if (scale === undefined) return
    const { decayMs, failurePenaltyMs } = scale.settings
    if (outcome === 'ignored') {
      if (durationMs > this.estimateMs(nowMs, rttMs)) this.#set(durationMs, nowMs)
      return
    }
    const expected = this.estimateMs(nowMs, rttMs)
    const sample = outcome === 'success' ? durationMs : Math.max(durationMs, scale.typicalMs) + failurePenaltyMs
    if (outcome === 'success') scale.observe(Math.max(0, durationMs - rttMs))
    if (!this.measured) return this.#set(outcome === 'success' ? Math.min(sample, expected * mostPeak) : sample, nowMs)
    // A single failure is not the rule: its penalty enters by time, and at once only the time that it really took.
    const peak = Math.max(this.#averageMs, Math.min(durationMs, expected * mostPeak))
    this.#set(peak + (sample - peak) * (1 - Math.exp((this.#reportedAtMs - nowMs) / decayMs)), nowMs)
  }

  /** Expected time to the response head, ms. Without samples: typical of the upstream, plus the estimated way there. */
  estimateMs (nowMs: number, rttMs = 0): number {
    const scale = this.#scale
    const prior = (scale?.typicalMs ?? unknownMs) + rttMs
    if (scale === undefined || !this.measured) return prior
    return prior + (this.#averageMs - prior) * Math.exp((this.#reportedAtMs - nowMs) / scale.settings.decayMs)
  }

  /** Part of its share that a new endpoint gets: grows from slowStartPercent to 1 within slowStartMs. */
  slowStart (nowMs: number): number {
    const { slowStartMs = 0, slowStartPercent = 100 } = this.#scale?.settings ?? {}
    const age = nowMs - this.#sinceMs
    return age >= slowStartMs ? 1 : Math.max(slowStartPercent / 100, age / slowStartMs)
  }

  #set (averageMs: number, nowMs: number): void {
    this.#averageMs = averageMs
    this.#reportedAtMs = nowMs
  }
}
