// The bound on concurrency and queue of one upstream: who gets a slot, who waits, who is turned away, and what they are told.
import { deadlineExceeded, isLate } from '../exchange/deadline.ts'
import { GatewayError } from '../exchange/errors.ts'
import type { Exchange } from '../exchange/exchange.ts'
import { AdaptiveLimit } from './bulkhead-gradient.ts'
import { BulkheadQueue, priorities, type Priority, type Waiter } from './bulkhead-queue.ts'

export interface BulkheadLimits {
  readonly maxConcurrent: number
  readonly maxQueue: number
  /** Exchanges at one time to each endpoint; undefined = no limit of its own. */
  readonly maxPerEndpoint?: number | undefined
  readonly adaptive?: { readonly enabled: boolean, readonly minConcurrent: number, readonly tolerance: number }
}

/** Seats that the endpoints of an exchange have left; Infinity where they have no limit, or where none may be picked anyway. */
export type Seats = (exchange: Exchange) => number

/** The limits an exchange can be turned away by. `displaced`: it waited, and gave way to one of a higher class. */
export const rejectionLimits = ['maxQueue', 'queueTimeoutMs', 'displaced', 'maxPerEndpoint'] as const
type RejectionLimit = typeof rejectionLimits[number]

/** How many were turned away, by limit and class. */
export type Rejections = Readonly<Record<RejectionLimit, Readonly<Record<Priority, number>>>>

const noRejections = (): Record<RejectionLimit, Record<Priority, number>> => ({
  maxQueue: { critical: 0, normal: 0, sheddable: 0 },
  queueTimeoutMs: { critical: 0, normal: 0, sheddable: 0 },
  displaced: { critical: 0, normal: 0, sheddable: 0 },
  maxPerEndpoint: { critical: 0, normal: 0, sheddable: 0 }
})

const unlimited: Seats = () => Infinity

/** Why an exchange cannot succeed whenever its turn comes; undefined where it may. */
export type Hopeless = (exchange: Exchange) => GatewayError | undefined

const hopeful: Hopeless = () => undefined

export class Bulkhead {
  readonly #name: string
  readonly #queue = new BulkheadQueue()
  readonly #seats: Seats
  readonly #hopeless: Hopeless
  /**
   * Admitted from the queue, and not yet at an endpoint: their seats are spoken for. Empty where endpoints have no limit. Known by their
   * list of attempts, which the branches of a hedged exchange share.
   */
  readonly #arriving = new Set<Exchange['attempts']>()
  readonly #rejections = noRejections()
  #limits: BulkheadLimits
  #adaptive: AdaptiveLimit | undefined
  #inFlight = 0

  constructor (name: string, limits: BulkheadLimits, seats: Seats = unlimited, hopeless: Hopeless = hopeful) {
    this.#name = name
    this.#limits = limits
    this.#seats = seats
    this.#hopeless = hopeless
    this.#adapt(limits)
  }

  get inFlight (): number { return this.#inFlight }
  get queued (): number { return this.#queue.length }
  get limits (): BulkheadLimits { return this.#limits }
  /** Exchanges at one time, now: maxConcurrent, or what the adaptive limit found. */
  get limit (): number { return this.#adaptive === undefined ? this.#limits.maxConcurrent : this.#adaptive.limit }
  /** What the adaptive limit takes for the upstream's own latency; undefined when it is off. */
  get baselineMs (): number | undefined { return this.#adaptive?.baselineMs }
  get rejections (): Rejections { return this.#rejections }

  /** New limits hold for what comes; what is in flight stays. */
  configure (limits: BulkheadLimits): void {
    this.#limits = limits
    this.#adapt(limits)
    this.admitWaiting()
  }

  /**
   * Takes a slot; undefined when it was free, else a promise of one.
   * @throws GatewayError BulkheadFull, at once or when a higher class needs the place; QueueTimeout after queueTimeoutMs; why waiting is no
   * use; or why the exchange ended
   */
  acquire (exchange: Exchange): Promise<void> | undefined {
    // Room may have come without anybody telling: a breaker that closed. Those who wait come first.
    if (this.#queue.length > 0) this.admitWaiting()
    if (this.#inFlight < this.limit && this.#hasSeat(exchange)) {
      this.#inFlight++
      return undefined
    }
    const error = this.#hopeless(exchange)
    if (error !== undefined) throw error
    if (this.#queue.length >= this.#limits.maxQueue) this.#makeRoom(exchange)
    return this.#wait(exchange)
  }

  /** Takes a slot for one more attempt, or for a copy, only if one is free and nobody waits for it. */
  tryAcquire (): boolean {
    if (this.#queue.length > 0 || this.#inFlight >= this.limit) return false
    this.#inFlight++
    return true
  }

  /** Gives a slot of tryAcquire back. */
  releaseExtra (): void {
    this.#inFlight--
    if (this.#queue.length > 0) this.admitWaiting()
  }

  /** An exchange goes to an endpoint: from now on its seat is counted there. */
  arrived (exchange: Exchange): void {
    if (this.#arriving.size > 0) this.#arriving.delete(exchange.attempts)
  }

  /** Gives a slot back: to whoever's turn it is, if anybody waits. */
  release (exchange: Exchange): void {
    this.#inFlight--
    this.arrived(exchange)
    if (this.#adaptive !== undefined) this.#learn(this.#adaptive, exchange)
    if (this.#queue.length > 0) this.admitWaiting()
  }

  /** Turns away those of the queue who cannot succeed any more, for the reason that `why` gives. */
  rejectWaiting (why: Hopeless = this.#hopeless): void {
    if (this.#queue.length === 0) return
    for (const waiter of this.#queue.all()) {
      const error = why(waiter.exchange)
      if (error !== undefined) waiter.leave(error)
    }
  }

  /** It was let in, and all endpoints that it may go to are full by now: what another attempt, or a branch of a hedged one, may find. */
  noSeat (exchange: Exchange, endpoints: Record<string, unknown>): GatewayError {
    return this.#rejection('BulkheadFull', exchange, 'maxPerEndpoint', this.#limits.maxPerEndpoint!, endpoints)
  }

  /** There may be room: a slot, or a seat at an endpoint. */
  admitWaiting (): void {
    const may = (exchange: Exchange): boolean => this.#hasSeat(exchange)
    while (this.#inFlight < this.limit) {
      const waiter = this.#queue.next(may)
      if (waiter === undefined) return
      // A timer may be late, and nobody needs the answer any more.
      if (isLate(waiter.exchange)) waiter.leave(deadlineExceeded(waiter.exchange, 'bulkhead slot'))
      else waiter.admit()
    }
  }

  #hasSeat (exchange: Exchange): boolean {
    return this.#limits.maxPerEndpoint === undefined || this.#seats(exchange) > this.#arriving.size
  }

  /** @throws GatewayError BulkheadFull when nobody of a lower class waits */
  #makeRoom (exchange: Exchange): void {
    const victim = this.#limits.maxQueue === 0 ? undefined : this.#queue.below(exchange.route.policy.priority)
    if (victim === undefined) throw this.#rejection('BulkheadFull', exchange, 'maxQueue', this.#limits.maxQueue)
    victim.leave(this.#rejection('BulkheadFull', victim.exchange, 'displaced', this.#limits.maxQueue, { displacedBy: exchange.route.policy.priority }))
  }

  #wait (exchange: Exchange): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const { queueTimeoutMs } = exchange.route.policy
    const end = () => {
      clearTimeout(timer)
      exchange.waiting(undefined)
      this.#queue.remove(waiter)
    }
    const leave = (error: GatewayError) => {
      end()
      reject(error)
    }
    const admit = () => {
      end()
      this.#inFlight++
      if (this.#limits.maxPerEndpoint !== undefined) this.#arriving.add(exchange.attempts)
      resolve()
    }
    const timer = setTimeout(() => leave(this.#rejection('QueueTimeout', exchange, 'queueTimeoutMs', queueTimeoutMs)), queueTimeoutMs)
    const waiter: Waiter = { exchange, admit, leave, previous: undefined, next: undefined }
    this.#queue.push(waiter)
    exchange.waiting({ waitsFor: 'bulkhead slot', cancel: leave })
    return promise
  }

  /** Which limit it was, its value, and the occupancy: what the client reads in Proxy-Status and the operator in the log. */
  #rejection (code: 'BulkheadFull' | 'QueueTimeout', exchange: Exchange, by: RejectionLimit, value: number, more: Record<string, unknown> = {}): GatewayError {
    const { priority } = exchange.route.policy
    this.#rejections[by][priority]++
    const limit = by === 'displaced' ? 'maxQueue' : by
    const full = this.#inFlight < this.limit ? 'maxPerEndpoint' : this.#adaptive === undefined ? 'maxConcurrent' : 'adaptive'
    const fullAt = full === 'maxPerEndpoint' ? this.#limits.maxPerEndpoint : this.limit
    return new GatewayError(code, { detail: { upstream: this.#name, limit, value, waitedFor: 'bulkhead slot', full, fullAt, inFlight: this.#inFlight, queued: this.#queue.length, priority, ...more } })
  }

  #adapt ({ maxConcurrent, adaptive }: BulkheadLimits): void {
    if (adaptive?.enabled !== true) {
      this.#adaptive = undefined
      return
    }
    const limits = { minConcurrent: adaptive.minConcurrent, maxConcurrent, tolerance: adaptive.tolerance }
    if (this.#adaptive === undefined) this.#adaptive = new AdaptiveLimit(limits)
    else this.#adaptive.configure(limits)
  }

  /** Only answers say how fast the upstream is, and failures that took longer than answers do: a fast failure must not look fast. */
  #learn (adaptive: AdaptiveLimit, { attempts }: Exchange): void {
    const last = attempts.at(-1)
    if (last === undefined || last.outcome === 'ignored' || !last.isTimed) return
    if (last.outcome === 'failure' && last.durationMs < adaptive.baselineMs) return
    adaptive.sample(last.durationMs, this.#inFlight + 1, performance.now())
  }
}

/** Every pair of limit and class, for the exposition. */
export function * eachRejection (rejections: Rejections): Generator<{ readonly limit: RejectionLimit, readonly priority: Priority, readonly count: number }> {
  for (const limit of rejectionLimits) {
    for (const priority of priorities) {
      const count = rejections[limit][priority]
      if (count > 0) yield { limit, priority, count }
    }
  }
}
