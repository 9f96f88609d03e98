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
  #failedAtMs = -Infinity
  /** Before the first of these failures there was a window without any. */
  #failsSinceMs = -Infinity

  worked (message: string, nowMs: number): void {
    this.#worked.add(message, nowMs)
  }

  /** A message has failed. Whether another one has as well within the window. */
  confirms (message: string, nowMs: number, windowMs: number): boolean {
    if (nowMs - this.#failedAtMs > windowMs) this.#failsSinceMs = nowMs
    this.#failedAtMs = nowMs
    this.#failed.add(message, nowMs)
    return nowMs - this.#failed.otherAtMs(message) <= windowMs
  }

  /** Whether another message than the one that has failed has worked within the window. */
  refutes (message: string, nowMs: number, windowMs: number): boolean {
    return nowMs - this.#worked.otherAtMs(message) <= windowMs
  }

  /** The same, of what worked since they began to fail: where all worked until then, that is no word for them. */
  refutesSince (message: string, nowMs: number, windowMs: number): boolean {
    return this.#worked.otherAtMs(message) > this.#failsSinceMs && this.refutes(message, nowMs, windowMs)
  }
}
