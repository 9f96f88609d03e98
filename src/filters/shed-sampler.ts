// Measures how late the event loop is and how full the heap, ten times a second, and says when the level of shedding changes.
import { getHeapStatistics } from 'node:v8'
import { ShedGauge, type SheddingLimits, type ShedLevel } from './shed-level.ts'

const everyMs = 100
/** Reading the heap costs some microseconds, and it moves slowly. */
const heapEvery = 5
/** Between two lines about changes. */
const quietMs = 5_000

export interface ShedEvents {
  /** The level now; `changes`: how often it changed since the last call. */
  changed (level: ShedLevel, facts: { readonly eventLoopDelayMs: number, readonly heapPercent: number, readonly changes: number }): void
}

export class ShedSampler {
  readonly gauge: ShedGauge
  readonly #events: ShedEvents
  readonly #timer: NodeJS.Timeout
  #expectedAtMs = performance.now() + everyMs
  #ticks = 0
  #heapPercent = 0
  #changes = 0
  #toldAtMs = -Infinity
  #told: ShedLevel = 0

  constructor (limits: SheddingLimits, events: ShedEvents) {
    this.gauge = new ShedGauge(limits)
    this.#events = events
    this.#timer = setInterval(() => this.#sample(), everyMs)
    this.#timer.unref()
  }

  close (): void {
    clearInterval(this.#timer)
  }

  #sample (): void {
    const now = performance.now()
    const lateMs = Math.max(0, now - this.#expectedAtMs)
    this.#expectedAtMs = now + everyMs
    if (this.#ticks++ % heapEvery === 0) {
      const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics()
      this.#heapPercent = used / limit * 100
    }
    const before = this.gauge.level
    const level = this.gauge.sample(lateMs, this.#heapPercent)
    if (level !== before) this.#changes++
    if (this.#changes === 0 || now - this.#toldAtMs < quietMs || (level === this.#told && level !== 0)) return
    this.#events.changed(level, { eventLoopDelayMs: Math.round(this.gauge.delayMs), heapPercent: Math.round(this.#heapPercent), changes: this.#changes })
    this.#toldAtMs = now
    this.#told = level
    this.#changes = 0
  }
}
