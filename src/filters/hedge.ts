// A second attempt at a safe request that takes longer than most of its message: the first good answer wins, the other attempt is cancelled.
import type { Filter, Next } from '../exchange/compose.ts'
import { GatewayError, toGatewayError } from '../exchange/errors.ts'
import type { Cancellable, Exchange, Policy, UpstreamResponse } from '../exchange/exchange.ts'
import { classifyStatus } from '../exchange/outcome.ts'

/** A percentile of fewer observations says nothing. */
const leastObservations = 50

/**
 * Undefined where hedging is off. Only the first attempt of an exchange is hedged, only once, and only where a second endpoint, a bulkhead slot
 * and the retry budget have room for it: a busy or failing upstream gets no second copy of anything.
 */
export function hedge ({ hedge: { enabled, percentile, minDelayMs } }: Policy): Filter | undefined {
  if (!enabled) return undefined
  return function hedge (exchange, next) {
    const { upstreamRequest: { effect, body }, route: { times } } = exchange
    if (effect !== 'safe' || body.kind === 'stream' || exchange.upgrade || exchange.attempts.length > 0) return next(exchange)
    const usualMs = times !== undefined && times.count >= leastObservations ? times.percentile(percentile) : undefined
    return new Race(exchange, next).run(usualMs === undefined ? undefined : Math.max(minDelayMs, usualMs))
  }
}

/** One or two attempts at one exchange, each on a branch of it. */
class Race implements Cancellable {
  readonly #exchange: Exchange
  readonly #next: Next
  readonly #startedAtMs = performance.now()
  readonly #first: Exchange
  readonly #settled = Promise.withResolvers<UpstreamResponse>()
  #second: Exchange | undefined
  #running = 0
  #over = false
  #timer: NodeJS.Timeout | undefined
  /** An answer that is the endpoint's failure, while the other attempt may still bring a good one. */
  #spare: { readonly branch: Exchange, readonly response: UpstreamResponse } | undefined

  constructor (exchange: Exchange, next: Next) {
    this.#exchange = exchange
    this.#next = next
    this.#first = exchange.branch(false)
  }

  /** `delayMs`: until the second attempt; undefined = there is none. */
  run (delayMs: number | undefined): Promise<UpstreamResponse> {
    this.#exchange.waiting(this)
    if (delayMs !== undefined) this.#timer = setTimeout(race => race.#startSecond(), delayMs, this)
    void this.#attempt(this.#first)
    return this.#settled.promise
  }

  get waitsFor (): string { return (this.#second ?? this.#first).waitsFor ?? 'response head' }

  /** The exchange ends early: both attempts do. */
  cancel (error: GatewayError): void {
    if (!this.#finish()) return
    this.#first.end(error)
    this.#second?.end(error)
    this.#spare?.response.body.cancel(error)
    this.#settled.reject(error)
  }

  #startSecond (): void {
    const { upstream } = this.#exchange
    if (upstream.reach(this.#first) !== 'another' || !upstream.tryAcquire()) return
    if (!upstream.retryBudget.take()) {
      upstream.releaseExtra()
      this.#exchange.retryRefused = true
      return
    }
    this.#second = this.#exchange.branch(true)
    void this.#attempt(this.#second)
  }

  /** Never rejects. */
  async #attempt (branch: Exchange): Promise<void> {
    this.#running++
    try {
      const response = await this.#next(branch)
      this.#running--
      this.#answered(branch, response)
    } catch (thrown) {
      const error = toGatewayError(thrown)
      this.#running--
      this.#failed(error)
    }
  }

  #answered (branch: Exchange, response: UpstreamResponse): void {
    if (this.#over) return response.body.cancel(new GatewayError('Superseded'))
    const isGood = classifyStatus(response.status) !== 'failure'
    if (isGood) this.#exchange.route.times?.observe(performance.now() - this.#startedAtMs)
    if (isGood || (this.#running === 0 && this.#spare === undefined)) return this.#win(branch, response)
    if (this.#running > 0) {
      this.#spare = { branch, response }
      return
    }
    // Neither is good: the first one is passed on.
    response.body.cancel(new GatewayError('Superseded'))
    this.#winSpare()
  }

  #failed (error: GatewayError): void {
    if (this.#over || this.#running > 0) return
    if (this.#spare !== undefined) return this.#winSpare()
    this.#exchange.endpoint = (this.#second ?? this.#first).endpoint
    this.#finish()
    this.#settled.reject(error)
  }

  #winSpare (): void {
    const { branch, response } = this.#spare!
    this.#spare = undefined
    this.#win(branch, response)
  }

  #win (branch: Exchange, response: UpstreamResponse): void {
    this.#exchange.endpoint = branch.endpoint
    this.#finish()
    const late = new GatewayError('Superseded')
    const other = branch === this.#first ? this.#second : this.#first
    other?.end(late)
    this.#spare?.response.body.cancel(late)
    this.#settled.resolve(response)
  }

  /** Gives back what the race holds. False when it was over already. */
  #finish (): boolean {
    if (this.#over) return false
    this.#over = true
    clearTimeout(this.#timer)
    this.#exchange.waiting(undefined)
    // From here on there is one attempt at most, and that has the exchange's own slot.
    if (this.#second !== undefined) this.#exchange.upstream.releaseExtra()
    return true
  }
}
