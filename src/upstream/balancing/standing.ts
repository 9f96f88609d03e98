// How an endpoint stands beside the others of its upstream: its time to the response head as a peak-sensitive average (peak-EWMA), and its slow start.
import type { Outcome } from '../../exchange/outcome.ts'

export interface StandingSettings {
  readonly decayMs: number
  readonly failurePenaltyMs: number
  readonly slowStartMs: number
  readonly slowStartPercent: number
}

/**
 * What an attempt counts as for the score. Any 5xx: an endpoint that answers them at once is not fast, whosever fault a plain 500 is. A 429 is the word to one caller, a 101 the time of a connection: neither is a time of the service.
 */
export function scoredAs (outcome: Outcome, status: number | undefined): Outcome {
  if (status === undefined) return outcome
  return status >= 500 ? 'failure' : status === 429 || status === 101 ? 'ignored' : outcome
}

/** What linkerd takes for an endpoint nobody knows (peers' balancers: 10 to 30 ms). */
const unknownMs = 30
/** One slow answer (the first one of a process, a pause for garbage) raises the average so many times at most; two in a row, twice that. */
const mostPeak = 3
/** A time is slow when it is more than so many times what is typical. */
const slowFrom = 2
/** So many slow answers more than fast ones, and an endpoint is taken for slow: what was measured counts for all of decayMs. Half as long for each that is missing. */
const sureAfter = 4
const mostDoubts = sureAfter - 1
/** Of the upstream's own typical time, what each sample changes; the first ones more, faster ones among them so many times as much. */
const typicalGain = 1 / 32
const fasterGain = 8

/** What the endpoints of one upstream share: settings, and the service's own typical time without the way to it. */
export class Scale {
  settings: StandingSettings
  #typicalMs: number | undefined
  #samples = 0

  constructor (settings: StandingSettings) {
    this.settings = settings
  }

  get typicalMs (): number { return this.#typicalMs ?? unknownMs }

  observe (ms: number): void {
    const sample = Math.min(ms, this.typicalMs * mostPeak)
    // The first answers of processes that have just started are slow, and no measure of the service.
    const gain = (sample < this.typicalMs ? fasterGain : 1) / ++this.#samples
    this.#typicalMs = this.#samples === 1 ? sample : this.typicalMs + (sample - this.typicalMs) * Math.max(typicalGain, Math.min(0.5, gain))
  }
}

/**
 * As Finagle's and linkerd's peak-EWMA: a slower sample counts at once, a faster one by the time that passed since the last. Three things differ.
 * What is not measured for a while drifts to what is typical of the upstream, and not to zero, so that an idle endpoint is neither shunned for
 * ever nor mistaken for the fastest. A failure counts as a time of at least failurePenaltyMs, so that failing fast is not being fast
 * (linkerd2 11580). And a slow answer keeps calls away, which alone could take it back: so one that stands alone fades eight times as fast, and
 * the endpoint is asked again within seconds; each that confirms it doubles the time until the next try.
 */
export class Standing {
  #scale: Scale | undefined
  #sinceMs = -Infinity
  #averageMs = Number.NaN
  #reportedAtMs = 0
  /** Slow answers that stand behind the average, less the fast ones since; at most sureAfter. */
  #slow = 0

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
    this.#slow = 0
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
    const expected = this.estimateMs(nowMs, rttMs)
    if (outcome === 'ignored') {
      if (durationMs > expected) this.#set(durationMs, Math.max(2, this.#slow + 1), nowMs)
      return
    }
    const isFailure = outcome === 'failure'
    const sample = isFailure ? Math.max(durationMs, scale.typicalMs) + failurePenaltyMs : durationMs
    if (!isFailure) scale.observe(Math.max(0, durationMs - rttMs))
    const prior = scale.typicalMs + rttMs
    const doubts = this.#doubts(prior)
    const slow = isFailure ? sureAfter : this.#slow + (sample > slowFrom * prior ? 1 : sample > prior ? 0 : -1)
    if (!this.measured) return this.#set(isFailure ? sample : Math.min(sample, expected * mostPeak), slow, nowMs)
    // A single failure is not the rule: its penalty enters by time, and at once only the time that it really took.
    const peak = Math.max(this.#unfadedMs(prior, doubts), Math.min(durationMs, expected * mostPeak))
    const weight = 1 - Math.exp((this.#reportedAtMs - nowMs) / (isFailure ? decayMs : decayMs / 2 ** doubts))
    // One slow answer that the next one contradicts: one word against another.
    this.#set(peak + (sample - peak) * (doubts === mostDoubts && sample <= prior ? Math.max(0.5, weight) : weight), slow, nowMs)
  }

  /** Expected time to the response head, ms. Without samples: typical of the upstream, plus the estimated way there. */
  estimateMs (nowMs: number, rttMs = 0): number {
    const scale = this.#scale
    const prior = this.typicalMs + rttMs
    if (scale === undefined || !this.measured) return prior
    const doubts = this.#doubts(prior)
    return prior + (this.#unfadedMs(prior, doubts) - prior) * Math.exp((this.#reportedAtMs - nowMs) * 2 ** doubts / scale.settings.decayMs)
  }

  /** Part of its share that a new endpoint gets: grows from slowStartPercent to 1 within slowStartMs. */
  slowStart (nowMs: number): number {
    const { slowStartMs = 0, slowStartPercent = 100 } = this.#scale?.settings ?? {}
    const age = nowMs - this.#sinceMs
    return age >= slowStartMs ? 1 : Math.max(slowStartPercent / 100, age / slowStartMs)
  }

  /** How far from sure it is that it is slow; 0 also for what is not slow. By what is typical now: that one was slow may come from when all were. */
  #doubts (prior: number): number {
    return this.#averageMs > prior ? sureAfter - Math.max(1, this.#slow) : 0
  }

  /** The average when it was last reported. One slow answer alone is bound by what is typical now. */
  #unfadedMs (prior: number, doubts: number): number {
    return doubts === mostDoubts ? Math.min(this.#averageMs, prior * mostPeak) : this.#averageMs
  }

  #set (averageMs: number, slow: number, nowMs: number): void {
    this.#averageMs = averageMs
    this.#slow = Math.max(0, Math.min(sureAfter, slow))
    this.#reportedAtMs = nowMs
  }
}
