// How many exchanges at once an upstream can take, found from its own latency. Pure arithmetic; time is passed in.

export interface AdaptiveLimits {
  readonly minConcurrent: number
  readonly maxConcurrent: number
  /** Latency may grow to this multiple of the baseline before the limit falls. */
  readonly tolerance: number
}

/** A window ends when it has both. */
const minSamples = 10
const minWindowMs = 250
/** The least part of the limit that one window can leave, before smoothing. */
const leastGradient = 0.5
/** How far one window moves the limit towards what it found. */
const smoothing = 0.2
/** How far one slower window lifts the baseline: while there is room to spare, and while the limit holds traffic back. */
const riseIdle = 0.01
const riseBusy = 0.001

/**
 * After Netflix's Gradient2 and Envoy's adaptive concurrency: limit = limit × gradient + √limit, gradient = tolerance × baseline ÷ latency,
 * at most 1. The baseline is the lowest recent latency: it falls at once and rises slowly, so traffic is never held back in order to
 * measure it, as Envoy does (3 requests at a time while it does). It rises faster where the limit is not felt, and at the floor: a service
 * that became slower for good is not held there. The limit begins at its maximum, and stands still while less than half of it is in use.
 */
export class AdaptiveLimit {
  #limits: AdaptiveLimits
  #limit: number
  #baselineMs = 0
  #sumMs = 0
  #count = 0
  #peak = 0
  #sinceMs: number | undefined

  constructor (limits: AdaptiveLimits) {
    this.#limits = limits
    this.#limit = limits.maxConcurrent
  }

  /** Whole exchanges. */
  get limit (): number { return Math.floor(this.#limit) }
  /** Milliseconds to the response head when the upstream is not pressed; 0 before the first window. */
  get baselineMs (): number { return this.#baselineMs }

  configure (limits: AdaptiveLimits): void {
    this.#limits = limits
    this.#limit = clamp(this.#limit, limits)
  }

  /** One answer: its time to the response head, and how many exchanges were under way with it. */
  sample (latencyMs: number, inFlight: number, nowMs: number): void {
    this.#sinceMs ??= nowMs
    this.#sumMs += latencyMs
    this.#count++
    if (inFlight > this.#peak) this.#peak = inFlight
    if (this.#count < minSamples || nowMs - this.#sinceMs < minWindowMs) return
    this.#adjust(this.#sumMs / this.#count, this.#peak)
    this.#sumMs = this.#count = this.#peak = 0
    this.#sinceMs = nowMs
  }

  #adjust (latencyMs: number, peak: number): void {
    const isFelt = peak >= this.#limit / 2
    if (this.#baselineMs === 0 || latencyMs < this.#baselineMs) this.#baselineMs = latencyMs
    else this.#baselineMs += (latencyMs - this.#baselineMs) * (isFelt && this.#limit > this.#limits.minConcurrent ? riseBusy : riseIdle)
    if (!isFelt) return
    const gradient = latencyMs === 0 ? 1 : Math.max(leastGradient, Math.min(1, this.#limits.tolerance * this.#baselineMs / latencyMs))
    const target = this.#limit * gradient + Math.sqrt(this.#limit)
    this.#limit = clamp(this.#limit + (target - this.#limit) * smoothing, this.#limits)
  }
}

const clamp = (limit: number, { minConcurrent, maxConcurrent }: AdaptiveLimits): number => Math.max(Math.min(minConcurrent, maxConcurrent), Math.min(maxConcurrent, limit))
