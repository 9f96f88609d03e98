// Whether failures say something of what all messages have in common: only once a second message fails too. No I/O.

/** Of the messages at an endpoint that is alone, or of an upstream. */
export class Suspicion {
  #last = ''
  #lastAtMs = -Infinity
  #otherAtMs = -Infinity

  /** A message has failed. Whether another one has as well within the window. */
  confirms (message: string, nowMs: number, windowMs: number): boolean {
    if (this.#last !== message) {
      this.#otherAtMs = this.#lastAtMs
      this.#last = message
    }
    this.#lastAtMs = nowMs
    return nowMs - this.#otherAtMs <= windowMs
  }
}
