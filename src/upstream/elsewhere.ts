// How a message fares at other endpoints than the one where it has failed: whether that is the endpoint's trouble or the message's own. No I/O.

/** `unknown`: nobody else was asked lately. */
export type Elsewhere = 'works' | 'fails' | 'unknown'

/** What became of one message, last and where, and at another endpoint before: that is enough to say how it fares at any other than a given one. */
export class Comparison {
  #last = ''
  #worked = false
  #atMs = -Infinity
  #otherWorked = false
  #otherAtMs = -Infinity
  /** performance.now() of the last failure anywhere. */
  failedAtMs = -Infinity

  add (endpoint: string, worked: boolean, nowMs: number): void {
    if (this.#last !== endpoint) {
      this.#otherWorked = this.#worked
      this.#otherAtMs = this.#atMs
      this.#last = endpoint
    }
    if (!worked) this.failedAtMs = nowMs
    this.#worked = worked
    this.#atMs = nowMs
  }

  /** The last word of any endpoint but this one, if it is not older than the window. */
  elsewhere (endpoint: string, nowMs: number, windowMs: number): Elsewhere {
    const isLast = this.#last === endpoint
    if (nowMs - (isLast ? this.#otherAtMs : this.#atMs) > windowMs) return 'unknown'
    return (isLast ? this.#otherWorked : this.#worked) ? 'works' : 'fails'
  }
}
