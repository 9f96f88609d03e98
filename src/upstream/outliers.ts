// Which endpoints do worse than their equals, or than they used to: compared now and then, ejected for a while. No I/O.

export interface OutlierSettings {
  readonly enabled: boolean
  readonly intervalMs: number
  readonly minEndpoints: number
  readonly minAttempts: number
  readonly stdevFactor: number
  readonly minDropPercent: number
  readonly maxPercent: number
  readonly baseMs: number
  readonly maxMs: number
}

/** What was counted of one endpoint since the last comparison. `past`: its own usual success rate; undefined = not known yet. */
export interface Counted {
  readonly successes: number
  readonly failures: number
  readonly past: number | undefined
}

/**
 * Why each endpoint is an outlier; undefined = it is none. Pure. From `minEndpoints` judged endpoints on: below the mean success rate by
 * `stdevFactor` standard deviations (Envoy's success_rate). Below that a deviation says nothing, so each is compared with its own past,
 * and only where another one keeps up with its own: what all have in common is the service's trouble, not theirs.
 */
export function findOutliers (counted: readonly Counted[], settings: OutlierSettings): Array<string | undefined> {
  const rates = counted.map(({ successes, failures }) => successes + failures >= settings.minAttempts ? successes / (successes + failures) : undefined)
  const judged = rates.filter(rate => rate !== undefined)
  const drop = settings.minDropPercent / 100
  if (judged.length >= settings.minEndpoints) {
    const mean = judged.reduce((sum, rate) => sum + rate, 0) / judged.length
    const stdev = Math.sqrt(judged.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / judged.length)
    const below = mean - Math.max(settings.stdevFactor * stdev, drop)
    return rates.map(rate => rate !== undefined && rate < below ? `success rate ${percent(rate)}, mean of ${judged.length} endpoints ${percent(mean)}` : undefined)
  }
  const isDown = rates.map((rate, index) => rate === undefined || counted[index]!.past === undefined ? undefined : counted[index]!.past! - rate > drop)
  if (!isDown.includes(false)) return rates.map(() => undefined)
  return rates.map((rate, index) => isDown[index] === true ? `success rate ${percent(rate!)}, its own past ${percent(counted[index]!.past!)}` : undefined)
}

const percent = (share: number): string => `${Math.round(share * 1_000) / 10} %`

/** An endpoint as ejection sees it. */
export interface Ejectable {
  readonly url: string
  successes: number
  failures: number
  /** Whether it may get calls, be it full or not. */
  readonly usable: boolean
  readonly ejection: { readonly untilMs: number } | undefined
  eject (reason: string, untilMs: number): void
  takeBack (): void
}

interface Record { past: number | undefined, ejections: number }

/** Weight of an interval in what an endpoint usually does. */
const pastWeight = 0.2

/** The ejections of one upstream. */
export class Outliers<E extends Ejectable> {
  #settings: OutlierSettings
  #records = new WeakMap<E, Record>()
  #comparedAtMs = performance.now()

  constructor (settings: OutlierSettings) {
    this.#settings = settings
  }

  configure (settings: OutlierSettings): void {
    this.#settings = settings
  }

  /** Ends ejections that are over, and compares when the interval is. Costs next to nothing otherwise. Returns whether any ejection has an end to wait for. */
  tick (endpoints: readonly E[], nowMs: number): boolean {
    for (const endpoint of endpoints) if (endpoint.ejection !== undefined && (nowMs >= endpoint.ejection.untilMs || !this.#settings.enabled)) endpoint.takeBack()
    if (nowMs - this.#comparedAtMs >= this.#settings.intervalMs) {
      this.#comparedAtMs = nowMs
      if (this.#settings.enabled && endpoints.length > 1) this.#compare(endpoints, nowMs)
      for (const endpoint of endpoints) endpoint.successes = endpoint.failures = 0
    }
    return endpoints.some(({ ejection }) => ejection !== undefined)
  }

  #compare (endpoints: readonly E[], nowMs: number): void {
    const candidates = endpoints.filter(({ ejection }) => ejection === undefined)
    const records = candidates.map(endpoint => this.#recordOf(endpoint))
    const reasons = findOutliers(candidates.map(({ successes, failures }, index) => ({ successes, failures, past: records[index]!.past })), this.#settings)
    let room = Math.max(1, Math.floor(endpoints.length * this.#settings.maxPercent / 100)) - (endpoints.length - candidates.length)
    let usable = candidates.filter(endpoint => endpoint.usable).length
    for (const [index, endpoint] of candidates.entries()) {
      const record = records[index]!
      const reason = reasons[index]
      if (reason === undefined) {
        this.#remember(record, endpoint)
        continue
      }
      if (room <= 0 || usable - (endpoint.usable ? 1 : 0) < 1) continue
      room--
      if (endpoint.usable) usable--
      record.ejections++
      endpoint.eject(reason, nowMs + Math.min(this.#settings.maxMs, this.#settings.baseMs * record.ejections))
    }
  }

  /** An interval without fault is part of what it usually does, and forgives one ejection. */
  #remember (record: Record, { successes, failures }: E): void {
    const attempts = successes + failures
    if (attempts < this.#settings.minAttempts) return
    const rate = successes / attempts
    record.past = record.past === undefined ? rate : record.past + pastWeight * (rate - record.past)
    record.ejections = Math.max(0, record.ejections - 1)
  }

  #recordOf (endpoint: E): Record {
    let record = this.#records.get(endpoint)
    if (record === undefined) this.#records.set(endpoint, record = { past: undefined, ejections: 0 })
    return record
  }
}
