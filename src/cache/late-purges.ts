// What is purged once more a while from now: a write that nobody waits for any more may still come to its end at its service.
import { Watchdog } from '../lib/watchdog.ts'
import { selectorKey, type Selector } from './purge-log.ts'

/** Different ones that wait, and the letters of all. Of more, those that wait longest are done at once. */
const mostWaiting = 1_000
const mostLetters = 1_048_576

interface Late {
  readonly selector: Selector
  /** Of performance.now(). */
  readonly dueAtMs: number
}

export class LatePurges {
  readonly #purge: (selector: Selector) => void
  readonly #waiting = new Map<string, Late>()
  readonly #watchdog = new Watchdog(() => this.#due())
  #letters = 0
  #closed = false

  constructor (purge: (selector: Selector) => void) {
    this.#purge = purge
  }

  /** One that waits already waits on until the later time. */
  add (selector: Selector, inMs: number): void {
    if (this.#closed) return
    const key = selectorKey(selector)
    const dueAtMs = Math.max(performance.now() + inMs, this.#take(key)?.dueAtMs ?? 0)
    this.#waiting.set(key, { selector, dueAtMs })
    this.#letters += key.length
    for (const [oldest, late] of this.#waiting) {
      if (this.#waiting.size <= mostWaiting && this.#letters <= mostLetters) break
      this.#take(oldest)
      this.#purge(late.selector)
    }
    this.#watch()
  }

  close (): void {
    this.#closed = true
    this.#watchdog.close()
    this.#waiting.clear()
  }

  #due (): void {
    const nowMs = performance.now()
    for (const [key, { selector, dueAtMs }] of this.#waiting) {
      if (dueAtMs - nowMs >= 1) continue
      this.#take(key)
      this.#purge(selector)
    }
    this.#watch()
  }

  #take (key: string): Late | undefined {
    const late = this.#waiting.get(key)
    if (this.#waiting.delete(key)) this.#letters -= key.length
    return late
  }

  #watch (): void {
    let dueAtMs = Infinity
    for (const late of this.#waiting.values()) dueAtMs = Math.min(dueAtMs, late.dueAtMs)
    if (dueAtMs === Infinity) this.#watchdog.off()
    else this.#watchdog.at(dueAtMs)
  }
}
