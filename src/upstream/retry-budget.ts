// How many repeated attempts an upstream may get: a share of its exchanges within a sliding window, and a few per second besides.

export interface RetryBudgetLimits {
  /** Repeated attempts as a share of the exchanges in the window, 0 to 100. */
  readonly percent: number
  /** Allowed beyond that share. */
  readonly perSecond: number
  readonly windowMs: number
}

const slots = 10

/**
 * As linkerd's and Finagle's: without it, an upstream that fails altogether gets every exchange `attempts` times. Each repeated attempt is
 * paid by the exchanges in the window, or, when those are used up, by a bucket that fills with `perSecond` and holds one second's worth. What an
 * exchange has paid for leaves the window no earlier than the exchange itself, so over any time, repeated attempts are at most
 * percent × exchanges + perSecond × (seconds + 1). What provably was not sent is paid for too, unless the upstream has answered others meanwhile (the
 * retry filter asks `answers`): a fleet that refuses is stormed as well.
 */
export class RetryBudget {
  #limits: RetryBudgetLimits
  readonly #now: () => number
  readonly #exchanges = new Uint32Array(slots)
  readonly #paid = new Uint32Array(slots)
  #exchangesInWindow = 0
  #paidInWindow = 0
  /** Number of the current slot since the clock's zero. */
  #slot: number
  #bucket: number
  #filledAtMs: number
  answers = 0
  /** Repeated attempts that were not allowed. */
  refused = 0

  /** `now`: ms, monotonic. */
  constructor (limits: RetryBudgetLimits, now: () => number = () => performance.now()) {
    this.#limits = limits
    this.#now = now
    this.#filledAtMs = now()
    this.#slot = this.#slotAt(this.#filledAtMs)
    this.#bucket = limits.perSecond
  }

  get limits (): RetryBudgetLimits { return this.#limits }

  /** Repeated attempts that would be allowed now. */
  get left (): number {
    const now = this.#now()
    this.#turn(now)
    return Math.max(0, Math.floor(this.#share() - this.#paidInWindow)) + Math.floor(this.#fill(now))
  }

  /** An exchange begins. */
  exchange (): void {
    this.#turn(this.#now())
    this.#exchanges[this.#slot % slots]!++
    this.#exchangesInWindow++
  }

  answered (): void {
    this.answers++
  }

  /** Takes one repeated attempt; false, and counted, when none is left. */
  take (): boolean {
    const now = this.#now()
    this.#turn(now)
    if (this.#paidInWindow + 1 <= this.#share()) {
      this.#paid[this.#slot % slots]!++
      this.#paidInWindow++
      return true
    }
    if (this.#fill(now) >= 1) {
      this.#bucket--
      return true
    }
    this.refused++
    return false
  }

  /** New limits; what was counted stays, unless it was counted in another window. */
  configure (limits: RetryBudgetLimits): void {
    const { windowMs } = this.#limits
    this.#limits = limits
    this.#bucket = Math.min(this.#bucket, limits.perSecond)
    if (windowMs === limits.windowMs) return
    this.#slot = this.#slotAt(this.#now())
    this.#empty()
  }

  #share (): number {
    return this.#exchangesInWindow * this.#limits.percent / 100
  }

  #slotAt (ms: number): number {
    return Math.floor(ms / this.#limits.windowMs * slots)
  }

  #fill (now: number): number {
    const { perSecond } = this.#limits
    this.#bucket = Math.min(perSecond, this.#bucket + (now - this.#filledAtMs) / 1_000 * perSecond)
    this.#filledAtMs = now
    return this.#bucket
  }

  #turn (now: number): void {
    const slot = this.#slotAt(now)
    if (slot - this.#slot >= slots) {
      this.#slot = slot
      this.#empty()
      return
    }
    while (this.#slot < slot) {
      const oldest = ++this.#slot % slots
      this.#exchangesInWindow -= this.#exchanges[oldest]!
      this.#paidInWindow -= this.#paid[oldest]!
      this.#exchanges[oldest] = 0
      this.#paid[oldest] = 0
    }
  }

  #empty (): void {
    this.#exchanges.fill(0)
    this.#paid.fill(0)
    this.#exchangesInWindow = 0
    this.#paidInWindow = 0
  }
}
