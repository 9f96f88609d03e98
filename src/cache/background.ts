// Fills that no client waits for: few at a time, at a bounded rate, per upstream, so that losing the whole cache never floods an origin.

export interface BackgroundLimits {
  /** At one time, per upstream. */
  readonly concurrency: number
  /** Begun per second, per upstream. */
  readonly perSecond: number
  /** Waiting, per upstream; what comes beyond that is dropped and asked for by the next request. */
  readonly queue: number
}

/** Runs one fill; settles when it is over. Never rejects. */
export type Job = () => Promise<void>

interface Lane {
  running: number
  /** By key: nothing waits twice. */
  readonly waiting: Map<string, Job>
  /** performance.now() at which the next may begin. */
  nextAtMs: number
  timer: NodeJS.Timeout | undefined
}

export class Background {
  readonly #lanes = new Map<string, Lane>()
  #limits: BackgroundLimits
  #closed = false
  dropped = 0

  constructor (limits: BackgroundLimits) {
    this.#limits = limits
  }

  get waiting (): number { return [...this.#lanes.values()].reduce((sum, { waiting }) => sum + waiting.size, 0) }
  get running (): number { return [...this.#lanes.values()].reduce((sum, { running }) => sum + running, 0) }

  configure (limits: BackgroundLimits): void {
    this.#limits = limits
    for (const name of this.#lanes.keys()) this.#advance(name)
  }

  /** False: dropped. */
  offer (upstream: string, key: string, job: Job): boolean {
    let lane = this.#lanes.get(upstream)
    if (lane?.waiting.has(key) === true) return true
    if (this.#closed) return false
    if (lane === undefined) this.#lanes.set(upstream, lane = { running: 0, waiting: new Map(), nextAtMs: 0, timer: undefined })
    if (lane.waiting.size >= this.#limits.queue) {
      this.dropped++
      return false
    }
    lane.waiting.set(key, job)
    this.#advance(upstream)
    return true
  }

  close (): void {
    this.#closed = true
    for (const { timer } of this.#lanes.values()) clearTimeout(timer)
    this.#lanes.clear()
  }

  #advance (upstream: string): void {
    const lane = this.#lanes.get(upstream)
    if (lane === undefined || this.#closed) return
    const { concurrency, perSecond } = this.#limits
    for (const [key, job] of lane.waiting) {
      if (lane.running >= concurrency) return
      const now = performance.now()
      if (now < lane.nextAtMs) return this.#wake(upstream, lane, lane.nextAtMs - now)
      lane.waiting.delete(key)
      lane.nextAtMs = Math.max(now, lane.nextAtMs) + 1_000 / perSecond
      lane.running++
      void job().finally(() => {
        lane.running--
        this.#advance(upstream)
      })
    }
    if (lane.running > 0) return
    // Its pace outlives what ran in it, or whatever is offered next would begin at once.
    const leftMs = lane.nextAtMs - performance.now()
    if (leftMs > 0) this.#wake(upstream, lane, leftMs)
    else this.#lanes.delete(upstream)
  }

  #wake (upstream: string, lane: Lane, afterMs: number): void {
    lane.timer ??= setTimeout(() => {
      lane.timer = undefined
      this.#advance(upstream)
    }, afterMs)
  }
}
