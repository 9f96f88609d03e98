// Whether failures say something of what is common to all of a kind: only once a second of them fails too. No I/O.

/** Of the messages at an endpoint or upstream: is it more than one message? Of the endpoints of a message: is it more than one endpoint? */
export class Suspicion {
  #last = ''
  #lastAtMs = -Infinity
  #otherAtMs = -Infinity

  /** performance.now() when another one than the last has failed; -Infinity = none has. */
  get otherAtMs (): number { return this.#otherAtMs }

  /** One has failed. Whether another one has as well within the window. */
  confirms (one: string, nowMs: number, windowMs: number): boolean {
    if (this.#last !== one) {
      this.#otherAtMs = this.#lastAtMs
      this.#last = one
    }
    this.#lastAtMs = nowMs
    return this.isConfirmed(nowMs, windowMs)
  }

  /** Whether more than one have failed within the window. */
  isConfirmed (nowMs: number, windowMs: number): boolean {
    return nowMs - this.#otherAtMs <= windowMs
  }
}
