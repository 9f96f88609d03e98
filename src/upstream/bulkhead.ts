// The bound on concurrency and queue of one upstream: first come first served, bounded in length and in waiting time.
import { GatewayError } from '../exchange/errors.ts'
import type { Exchange } from '../exchange/exchange.ts'

export interface BulkheadLimits {
  readonly maxConcurrent: number
  readonly maxQueue: number
}

/** One exchange in the queue. A doubly linked list, so that a client who leaves costs nothing to remove. */
interface Waiter {
  readonly exchange: Exchange
  readonly resolve: () => void
  readonly leave: (error: GatewayError) => void
  readonly timer: NodeJS.Timeout
  previous: Waiter | undefined
  next: Waiter | undefined
}

export class Bulkhead {
  readonly #name: string
  #limits: BulkheadLimits
  #inFlight = 0
  #queued = 0
  #first: Waiter | undefined
  #last: Waiter | undefined

  constructor (name: string, limits: BulkheadLimits) {
    this.#name = name
    this.#limits = limits
  }

  get inFlight (): number { return this.#inFlight }
  get queued (): number { return this.#queued }
  get limits (): BulkheadLimits { return this.#limits }

  /** New limits hold for what comes; what is in flight stays. */
  configure (limits: BulkheadLimits): void {
    this.#limits = limits
    this.#admitWaiting()
  }

  /**
   * Takes a slot; undefined when it was free, else a promise of one.
   * @throws GatewayError BulkheadFull at once, QueueTimeout after queueTimeoutMs, or why the exchange ended meanwhile.
   */
  acquire (exchange: Exchange): Promise<void> | undefined {
    if (this.#inFlight < this.#limits.maxConcurrent && this.#first === undefined) {
      this.#inFlight++
      return undefined
    }
    if (this.#queued >= this.#limits.maxQueue) throw this.#rejection('BulkheadFull', { limit: 'maxQueue', value: this.#limits.maxQueue })
    return this.#wait(exchange)
  }

  /** Gives a slot back: to the one who waits longest, if anybody does. */
  release (): void {
    this.#inFlight--
    this.#admitWaiting()
  }

  /** Empties the queue, because nobody in it can succeed any more. `why` makes the error of each. */
  rejectWaiting (why: () => GatewayError): void {
    while (this.#first !== undefined) this.#first.leave(why())
  }

  #wait (exchange: Exchange): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const { queueTimeoutMs } = exchange.route.policy
    const leave = (error: GatewayError) => {
      this.#remove(waiter)
      reject(error)
    }
    const timer = setTimeout(() => leave(this.#rejection('QueueTimeout', { limit: 'queueTimeoutMs', value: queueTimeoutMs })), queueTimeoutMs)
    const waiter: Waiter = { exchange, resolve, leave, timer, previous: this.#last, next: undefined }
    if (this.#last === undefined) this.#first = waiter
    else this.#last.next = waiter
    this.#last = waiter
    this.#queued++
    exchange.waiting({ cancel: leave })
    return promise
  }

  #remove (waiter: Waiter): void {
    clearTimeout(waiter.timer)
    waiter.exchange.waiting(undefined)
    if (waiter.previous === undefined) this.#first = waiter.next
    else waiter.previous.next = waiter.next
    if (waiter.next === undefined) this.#last = waiter.previous
    else waiter.next.previous = waiter.previous
    this.#queued--
  }

  #admitWaiting (): void {
    while (this.#first !== undefined && this.#inFlight < this.#limits.maxConcurrent) {
      const waiter = this.#first
      this.#remove(waiter)
      this.#inFlight++
      waiter.resolve()
    }
  }

  #rejection (code: 'BulkheadFull' | 'QueueTimeout', limit: { limit: string, value: number }): GatewayError {
    return new GatewayError(code, { detail: { upstream: this.#name, ...limit, inFlight: this.#inFlight, queued: this.#queued } })
  }
}
