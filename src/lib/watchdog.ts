// One timer for many times to be watched, one after the other.

/**
 * Moving the time is an assignment, which costs nothing where a timer set and cleared for each exchange costs 2 % of it (measured): the timer
 * runs on, looks when it fires, and is set anew for what is left. It is set at once only where the new time is earlier.
 */
export class Watchdog {
  readonly #onDue: () => void
  readonly #look = () => this.#fired()
  #dueAtMs = Infinity
  #firesAtMs = Infinity
  #timer: NodeJS.Timeout | undefined

  constructor (onDue: () => void) {
    this.#onDue = onDue
  }

  /** Due at this time of performance.now(), unless it is moved before. */
  at (dueAtMs: number): void {
    this.#dueAtMs = dueAtMs
    if (dueAtMs < this.#firesAtMs) this.#set(dueAtMs)
  }

  /** Due in so many milliseconds. */
  in (ms: number): void {
    this.at(performance.now() + ms)
  }

  off (): void {
    this.#dueAtMs = Infinity
  }

  close (): void {
    this.off()
    clearTimeout(this.#timer)
  }

  #set (atMs: number): void {
    clearTimeout(this.#timer)
    this.#firesAtMs = atMs
    // Sockets keep a process alive, waiting for them does not.
    this.#timer = setTimeout(this.#look, Math.ceil(atMs - performance.now())).unref()
  }

  #fired (): void {
    this.#firesAtMs = Infinity
    const dueAtMs = this.#dueAtMs
    if (dueAtMs === Infinity) return
    // Timers count whole milliseconds of the loop's own clock, and may come a fraction early.
    if (dueAtMs - performance.now() >= 1) return this.#set(dueAtMs)
    this.#dueAtMs = Infinity
    this.#onDue()
  }
}
