// A quantile of a stream of durations: a histogram with growing buckets that forgets. Bounded, and cheap to feed.

const growth = 1.08
const leastMs = 0.1
const logGrowth = Math.log(growth)
/** Up to about a minute; what is longer counts as that. */
const buckets = 174
/** Counts are halved when there are so many: what was then weighs less and less. */
const most = 2_000

/** The estimate is at most 8 % above the true value of what it remembers. 1.4 kB each. */
export class QuantileEstimate {
  readonly #counts = new Float64Array(buckets)
  #total = 0
  /** What was last asked for, and how many observations ago. */
  #asked = { percent: Number.NaN, ms: 0 }
  #since = 0

  /** How many observations it stands on. */
  get count (): number { return this.#total }

  observe (ms: number): void {
    const bucket = ms <= leastMs ? 0 : Math.min(buckets - 1, Math.ceil(Math.log(ms / leastMs) / logGrowth))
    this.#counts[bucket]!++
    this.#since++
    if (++this.#total > most) this.#halve()
  }

  /** Upper end of the bucket below which `percent` of the observations lie, ms; undefined without any. Counted anew once 1 in 50 is new. */
  percentile (percent: number): number | undefined {
    if (this.#total === 0) return undefined
    if (percent !== this.#asked.percent || this.#since * 50 >= this.#total) {
      this.#asked = { percent, ms: this.#count(percent) }
      this.#since = 0
    }
    return this.#asked.ms
  }

  #count (percent: number): number {
    let below = this.#total * percent / 100
    for (let bucket = 0; bucket < buckets; bucket++) {
      below -= this.#counts[bucket]!
      if (below <= 0) return leastMs * growth ** bucket
    }
    return leastMs * growth ** (buckets - 1)
  }

  #halve (): void {
    let total = 0
    for (let bucket = 0; bucket < buckets; bucket++) total += this.#counts[bucket] = this.#counts[bucket]! / 2
    this.#total = total
  }
}

/** Estimates by two names, the second in any letter case: the same one for the same names until they are forgotten. */
export class EstimateBook {
  readonly #estimates = new Map<string, QuantileEstimate>()

  of (group: string, name: string): QuantileEstimate {
    const id = idOf(group, name)
    const estimate = this.#estimates.get(id) ?? new QuantileEstimate()
    this.#estimates.set(id, estimate)
    return estimate
  }

  forget (group: string, name: string): void {
    this.#estimates.delete(idOf(group, name))
  }
}

const idOf = (group: string, name: string): string => `${group}\n${name.toLowerCase()}`
