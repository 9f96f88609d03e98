// When the second level is not asked any more, and when it is tried again: never with a client's request. Pure.

/** Failures in a row. */
const opensAfter = 3
/** Until the first try; twice as long after each that fails. */
const firstWaitMs = 250
const longestWaitMs = 4_000

export class Circuit {
  #inARow = 0
  #waitMs = firstWaitMs
  open = false

  /** How long to wait for the next try. Milliseconds. */
  get waitMs (): number { return this.#waitMs }

  /** True: it opened with this one. */
  failed (): boolean {
    if (this.open || ++this.#inARow < opensAfter) return false
    this.open = true
    this.#waitMs = firstWaitMs
    return true
  }

  succeeded (): void {
    this.#inARow = 0
  }

  /** A try failed. */
  waitLonger (): void {
    this.#waitMs = Math.min(this.#waitMs * 2, longestWaitMs)
  }

  close (): void {
    this.open = false
    this.#inARow = 0
  }
}
