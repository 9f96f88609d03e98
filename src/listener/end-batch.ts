// Ends answers together, once per turn of the event loop.

export interface Endable {
  /** Writes what is left to write. Never throws. */
  finish (): void
}

/**
 * A write to a client that sleeps wakes it, and that costs the writer more than the write itself: 15 µs against 5 (measured on a virtual machine).
 * Answers that came in one turn are therefore written one after the other at its end, so that one waking serves them all. They wait for
 * microseconds; on an idle gateway for none.
 */
export class EndBatch {
  #waiting: Endable[] = []
  readonly #flush = () => {
    const all = this.#waiting
    this.#waiting = []
    for (const one of all) one.finish()
  }

  add (one: Endable): void {
    if (this.#waiting.length === 0) setImmediate(this.#flush)
    this.#waiting.push(one)
  }
}
