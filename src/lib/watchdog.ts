// One timer for many times to be watched, one after the other.

/** A timer this late says that the process stood still; what came meanwhile has so long to be read (a TLS handshake goes to and fro). */
const stoodStillMs = 150
const momentMs = 50

/**
 * Moving the time is an assignment, which costs nothing where a timer set and cleared for each exchange costs 2 % of it (measured): the timer
 * runs on, looks when it fires, and is set anew for what is left. It is set at once only where the new time is earlier.
 *
 * A process that stood still (stopped, moved, no CPU left to its quota) runs its timers before it reads what came meanwhile: without a moment
 * for that, every connection that was being made and every answer that lay in its socket would count as too late, all at once.
 */
export class Watchdog {
  readonly #onDue: () => void
  readonly #look = () => this.#fired()
  #dueAtMs = Infinity
  #firesAtMs = Infinity
  /** The due time that has been put off for a moment: once only. */
  #putOffMs = Infinity
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
    const nowMs = performance.now()
    this.#firesAtMs = Math.max(atMs, nowMs)
    // Sockets keep a process alive, waiting for them does not.
    this.#timer = setTimeout(this.#look, Math.ceil(atMs - nowMs)).unref()
  }

  #fired (): void {
    const nowMs = performance.now()
    const lateMs = nowMs - this.#firesAtMs
    this.#firesAtMs = Infinity
    const dueAtMs = this.#dueAtMs
    if (dueAtMs === Infinity) return
    // Timers count whole milliseconds of the loop's own clock, and may come a fraction early.
    if (dueAtMs - nowMs >= 1) return this.#set(dueAtMs)
    if (lateMs >= stoodStillMs && this.#putOffMs !== dueAtMs) {
      this.#putOffMs = dueAtMs
      return this.#set(nowMs + momentMs)
    }
    this.#dueAtMs = Infinity
    this.#onDue()
  }
}
