// The endpoints that may get the calls of one set of messages, by nearness: chooses a level that is healthy and not full, then one of its endpoints.
import type { LevelPlan } from '../../routing/plan.ts'
import { mayGet, type Call, type Candidate } from './candidate.ts'
import { Level } from './level.ts'
import { shareLevels } from './overflow.ts'

/**
 * How long the shares of levels hold. Whether an endpoint is available changes thousands of times a second where it is at its own limit, so
 * the sum is taken now and then, and only where there is more than one level; a level without anybody is passed over at once.
 */
const renewMs = 100

export class Eligible<E extends Candidate> {
  /** Nearest first. */
  readonly levels: ReadonlyArray<Level<E>>
  readonly #overprovisioningPercent: number
  /** Part of what is registered at a level that gets traffic at all. */
  readonly #present: Float64Array
  readonly #health: Float64Array
  /** Part of what is available that stands at a level, 0 to 1. */
  readonly #parts: Float64Array
  readonly #limits: Float64Array
  #renewAtMs = 0

  /** `all`: the upstream's endpoints that may get anything; `endpoints`: those that have the messages. */
  constructor (endpoints: readonly E[], all: readonly E[], registered: readonly LevelPlan[], rules: { readonly overprovisioningPercent: number, readonly random: () => number, readonly weights: ReadonlyMap<string, number> | undefined }) {
    const numbers = [...new Set(endpoints.map(({ plan }) => plan.level))].sort((a, b) => a - b)
    this.levels = numbers.map(number => new Level(number, endpoints.filter(({ plan }) => plan.level === number), rules.random, rules.weights))
    this.#overprovisioningPercent = rules.overprovisioningPercent
    this.#present = Float64Array.from(numbers, number => {
      const served = all.reduce((sum, { plan }) => plan.level === number ? sum + plan.weight : sum, 0)
      const weight = registered.find(({ level }) => level === number)?.weight ?? 0
      return weight === 0 ? 1 : Math.min(1, served / weight)
    })
    this.#health = new Float64Array(numbers.length)
    this.#parts = new Float64Array(numbers.length)
    this.#limits = new Float64Array(numbers.length)
  }

  pick (call: Call): E | undefined {
    const { levels } = this
    const [only] = levels
    if (levels.length <= 1) return only === undefined ? undefined : pickOf(only, call)
    if (call.nowMs >= this.#renewAtMs) this.#renew(call.nowMs)
    const chosen = this.#choose(call)
    // Where all are full, the bulkhead has let it in nevertheless.
    return this.#pickFrom(chosen, call, true) ?? this.#pickFrom(chosen, call, false)
  }

  /** Part of the calls that a level gets, 0 to 1. */
  shareOf (level: Level<E>, nowMs: number): number {
    if (this.levels.length === 1) return 1
    this.#renew(nowMs)
    const index = this.levels.indexOf(level)
    return this.#limits[index]! - (index === 0 ? 0 : this.#limits[index - 1]!)
  }

  /** From this level if it may, else from the nearest other one. */
  #pickFrom (chosen: number, call: Call, unlessFull: boolean): E | undefined {
    const { levels } = this
    for (let step = -1; step < levels.length; step++) {
      const index = step < 0 ? chosen : step
      if (step === chosen || (unlessFull && this.#isFull(index, call))) continue
      const picked = pickOf(levels[index]!, call)
      if (picked !== undefined) return picked
    }
    return undefined
  }

  /** A level is full with its part of the upstream's limit, and what it can carry beyond. Counted only where the upstream has that many calls at all. */
  #isFull (index: number, { inFlight, limit }: Call): boolean {
    const most = limit * this.#parts[index]! * this.#overprovisioningPercent / 100
    if (inFlight <= most) return false
    let held = 0
    for (const endpoint of this.levels[index]!.endpoints) held += endpoint.inFlight
    return held >= most
  }

  #choose ({ key }: Call): number {
    // A sticky call keeps its level, too.
    const at = key === undefined ? this.levels[0]!.random() : key / 2 ** 32
    const last = this.#limits.length - 1
    for (let i = 0; i < last; i++) if (at < this.#limits[i]!) return i
    // With nobody healthy all limits are 0: the nearest is tried first.
    return this.#limits[last] === 0 ? 0 : last
  }

  #renew (nowMs: number): void {
    this.#renewAtMs = nowMs + renewMs
    let total = 0
    for (const [index, { endpoints, totalWeight }] of this.levels.entries()) {
      let available = 0
      for (const endpoint of endpoints) if (endpoint.available) available += this.levels[index]!.weightOf(endpoint)
      this.#health[index] = this.#present[index]! * available / totalWeight
      this.#parts[index] = available
      total += available
    }
    if (total > 0) for (let i = 0; i < this.#parts.length; i++) this.#parts[i]! /= total
    shareLevels(this.#health, this.#overprovisioningPercent, this.#limits)
  }
}

/** Of one there is nothing to choose. */
function pickOf<E extends Candidate> (level: Level<E>, call: Call): E | undefined {
  const { endpoints } = level
  if (endpoints.length > 1) return level.picker(call.strategy).pick(call)
  return mayGet(endpoints[0]!, call) ? endpoints[0] : undefined
}
