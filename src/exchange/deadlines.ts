// Ends exchanges whose deadline has come: one timer for all that wait.
import { LinkedList } from '../lib/linked-list.ts'
import { Watchdog } from '../lib/watchdog.ts'
import { deadlineExceeded, isLate } from './deadline.ts'
import type { Exchange } from './exchange.ts'

/** Between two looks at all that wait, ms: an exchange ends so much late at most. */
const leastBetweenMs = 5

/** A timer for each, set and cleared, costs more than all that its exchange waits for here (measured). */
export class Deadlines {
  readonly #waiting = new LinkedList<Exchange>()
  readonly #watchdog = new Watchdog(() => this.#look())
  #lookedAtMs = -Infinity
  /** When it looks next; Infinity: nobody waits. A later deadline moves nothing. */
  #nextMs = Infinity

  add (exchange: Exchange): void {
    this.#waiting.add(exchange)
    exchange.deadlines = this
    this.#lookAt(exchange.deadlineAtMs)
  }

  remove (exchange: Exchange): void {
    this.#waiting.remove(exchange)
    exchange.deadlines = undefined
  }

  #lookAt (ms: number): void {
    const nextMs = Math.max(ms, this.#lookedAtMs + leastBetweenMs)
    if (nextMs >= this.#nextMs) return
    this.#nextMs = nextMs
    this.#watchdog.at(nextMs)
  }

  #look (): void {
    this.#lookedAtMs = performance.now()
    this.#nextMs = Infinity
    const late: Exchange[] = []
    let nextMs = Infinity
    for (let exchange = this.#waiting.first; exchange !== undefined; exchange = exchange.next) {
      if (isLate(exchange)) late.push(exchange)
      else nextMs = Math.min(nextMs, exchange.deadlineAtMs)
    }
    for (const exchange of late.sort((a, b) => a.deadlineAtMs - b.deadlineAtMs)) {
      this.remove(exchange)
      exchange.end(deadlineExceeded(exchange, exchange.waitsFor ?? 'gateway'))
    }
    if (nextMs !== Infinity) this.#lookAt(nextMs)
  }
}
