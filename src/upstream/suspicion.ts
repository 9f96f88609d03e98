// Whether failures say something of what all messages have in common: by what becomes of other messages there. No I/O.

/** When a message (or an endpoint) was last seen, and when another one was. */
export class Seen {
  #last = ''
  #lastAtMs = -Infinity
  #otherAtMs = -Infinity

  add (message: string, nowMs: number): void {
    if (this.#last !== message) {
      this.#otherAtMs = this.#lastAtMs
      this.#last = message
    }
    this.#lastAtMs = nowMs
  }

  /** performance.now() of the last one that was another; -Infinity = none was. */
  otherAtMs (message: string): number {
    return this.#last === message ? this.#otherAtMs : this.#lastAtMs
  }
}

/** Of the messages at an endpoint, or of an upstream. */
export class Suspicion {
  readonly #failed = new Seen()
  readonly #worked = new Seen()

  worked (message: string, nowMs: number): void {
    this.#worked.add(message, nowMs)
  }

  /** A message has failed. Whether another one has as well within the window. */
  confirms (message: string, nowMs: number, windowMs: number): boolean {
    this.#failed.add(message, nowMs)
    return nowMs - this.#failed.otherAtMs(message) <= windowMs
  }

  /** Whether another message than the one that has failed has worked within the window. */
  refutes (message: string, nowMs: number, windowMs: number): boolean {
    return nowMs - this.#worked.otherAtMs(message) <= windowMs
  }
}
