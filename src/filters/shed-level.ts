// Whether the process itself has too much to do, and who is refused then. Pure: measurements are passed in.
import type { Policy } from '../exchange/exchange.ts'

export interface SheddingLimits {
  /** Delay of the event loop at which sheddable messages are refused; 0 = it is not looked at. */
  readonly eventLoopDelayMs: number
  /** Share of the heap at which they are; 0 = it is not looked at. */
  readonly heapPercent: number
}

/** 0: nobody is refused; 1: sheddable; 2: normal too; 3: critical too. */
export type ShedLevel = 0 | 1 | 2 | 3

/** From which level on a message is refused. */
export const refusedFrom: Readonly<Record<Policy['priority'], ShedLevel>> = { sheddable: 1, normal: 2, critical: 3 }

/** How much one measurement counts. With what follows a single pause, however long, refuses nobody. */
const weight = 0.2
/** A measurement counts as at most this many times the limit. */
const longestTimes = 4.5
/** A level ends when its signal has fallen to this part of where the level began. */
const hysteresis = 0.7

/**
 * Two signals, the higher one counts. The delay of the event loop is smoothed over about a second; sheddable messages are refused from its limit
 * on, normal ones from twice, critical ones from three times. The heap is taken as it is: from its limit on, and at one and two thirds
 * of the way from there to full.
 */
export class ShedGauge {
  limits: SheddingLimits
  #delayMs = 0
  #heapPercent = 0
  #level: ShedLevel = 0

  constructor (limits: SheddingLimits) {
    this.limits = limits
  }

  get level (): ShedLevel { return this.#level }
  /** Smoothed. */
  get delayMs (): number { return this.#delayMs }
  get heapPercent (): number { return this.#heapPercent }

  /** `lateMs`: by how much a timer came too late. */
  sample (lateMs: number, heapPercent: number): ShedLevel {
    const { eventLoopDelayMs } = this.limits
    const counted = eventLoopDelayMs === 0 ? lateMs : Math.min(lateMs, eventLoopDelayMs * longestTimes)
    this.#delayMs += (counted - this.#delayMs) * weight
    this.#heapPercent = heapPercent
    while (this.#level < 3 && this.#exceeds(this.#level + 1, 1)) this.#level++
    while (this.#level > 0 && !this.#exceeds(this.#level, hysteresis)) this.#level--
    return this.#level
  }

  #exceeds (level: number, part: number): boolean {
    const { eventLoopDelayMs, heapPercent } = this.limits
    if (eventLoopDelayMs > 0 && this.#delayMs >= eventLoopDelayMs * level * part) return true
    if (heapPercent === 0) return false
    // A heap falls by a few percent when it is collected: a part of the whole would never be reached again.
    const begins = heapPercent + (100 - heapPercent) * (level - 1) / 3
    return this.#heapPercent >= begins - (part === 1 ? 0 : 5)
  }
}
