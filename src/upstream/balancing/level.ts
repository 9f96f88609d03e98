// Equal endpoints at one distance (a zone, a datacenter): draws by share without looking at all of them, and keeps what each strategy remembers of them.
import type { BalancerConfig } from '../../config/schema.ts'
import { mayGet, type Call, type Candidate, type Picker } from './candidate.ts'
import { strategies } from './strategies.ts'
import { WeightedDraw } from './weighted-draw.ts'

/** Tries at random before all are looked at: with half of them unavailable, 1 call in 256 gets so far. */
const mostDraws = 8
/** For a second choice nothing is worth a look at all. */
const mostOtherDraws = 3

export class Level<E extends Candidate> {
  readonly level: number
  /** Those of weight 0 only where there is nobody else. */
  readonly endpoints: readonly E[]
  readonly totalWeight: number
  readonly maxWeight: number
  readonly random: () => number
  readonly #draw: WeightedDraw
  readonly #eldest: E | undefined
  /** In place of their own. */
  readonly #weights: ReadonlyMap<string, number> | undefined
  readonly #pickers: Partial<Record<BalancerConfig['strategy'], Picker<E>>> = {}

  constructor (level: number, endpoints: readonly E[], random: () => number, weights: ReadonlyMap<string, number> | undefined) {
    const weighty = endpoints.filter(({ plan }) => plan.weight > 0)
    this.level = level
    this.endpoints = weighty.length > 0 ? weighty : endpoints
    this.random = random
    this.#weights = weights
    const own = this.endpoints.map(endpoint => this.weightOf(endpoint))
    this.totalWeight = own.reduce((sum, weight) => sum + weight, 0)
    this.maxWeight = Math.max(...own)
    this.#draw = new WeightedDraw(own)
    this.#eldest = this.endpoints.reduce<E | undefined>((eldest, endpoint) => eldest === undefined || endpoint.standing.sinceMs < eldest.standing.sinceMs ? endpoint : eldest, undefined)
  }

  weightOf ({ url, plan: { weight } }: E): number {
    return this.#weights?.get(url) ?? Math.max(1, weight)
  }

  /**
   * Part of its weight that an endpoint gets now, 0 to 1: what is new starts slowly, what recovers ramps up. New is who is newer than the others:
   * those that come together share equally from the start.
   */
  partOf ({ standing, rampFactor }: E, nowMs: number): number {
    const own = standing.slowStart(nowMs)
    return rampFactor * (own >= 1 ? 1 : Math.min(1, own / this.#eldest!.standing.slowStart(nowMs)))
  }

  /** Its share now beside an average one: 1 for equal endpoints that are neither new nor recovering. */
  relativeShare (endpoint: E, nowMs: number): number {
    return this.weightOf(endpoint) * this.endpoints.length / this.totalWeight * this.partOf(endpoint, nowMs)
  }

  /** The strategy's picker for these endpoints, made at its first call. */
  picker (strategy: BalancerConfig['strategy']): Picker<E> {
    return (this.#pickers[strategy] ??= strategies[strategy](this))
  }

  /** Index of one that may get the call, by share; -1 when none may. */
  draw (call: Call): number {
    for (let tries = 0; tries < mostDraws; tries++) {
      const index = this.#draw.draw(this.random)
      if (mayGet(this.endpoints[index]!, call) && this.#hasPart(index, call)) return index
    }
    return this.#firstFrom(Math.trunc(this.random() * this.endpoints.length), call)
  }

  /** Index of another one that may get the call, all alike but for what is new or recovers; -1 when none was found at once. */
  drawOther (first: number, call: Call): number {
    const { length } = this.endpoints
    if (length < 2) return -1
    for (let tries = 0; tries < mostOtherDraws; tries++) {
      const index = (first + 1 + Math.trunc(this.random() * (length - 1))) % length
      // What is new or recovers is a choice as often as its part says: to try again would make others of it too often.
      if (mayGet(this.endpoints[index]!, call)) return this.#hasPart(index, call) ? index : -1
    }
    return -1
  }

  #hasPart (index: number, call: Call): boolean {
    const part = this.partOf(this.endpoints[index]!, call.nowMs)
    return part >= 1 || this.random() < part
  }

  /** Whatever its share: the last resort, when hardly any may get the call. */
  #firstFrom (start: number, call: Call): number {
    const { length } = this.endpoints
    for (let step = 0; step < length; step++) {
      const index = (start + step) % length
      if (mayGet(this.endpoints[index]!, call)) return index
    }
    return -1
  }
}
