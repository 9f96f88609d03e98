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

/** A first attempt on the exchange itself, and perhaps a second one on a branch of it. */
class Race implements Cancellable {
  readonly #exchange: Exchange
  readonly #next: Next
  readonly #startedAtMs = performance.now()
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
  }

  /** `delayMs`: until the second attempt; undefined = there is none. */
  run (delayMs: number | undefined): Promise<UpstreamResponse> {
    if (delayMs !== undefined) this.#timer = setTimeout(race => race.#startSecond(), delayMs, this)
    void this.#attempt(this.#exchange)
    return this.#settled.promise
  }

  get waitsFor (): string { return this.#second?.waitsFor ?? 'response head' }

  /** The exchange ends early, with the first attempt or after it: the second one does as well. */
  cancel (error: GatewayError): void {
    if (this.#finish(undefined, error)) this.#settled.reject(error)
  }

  #startSecond (): void {
    const { upstream } = this.#exchange
    if (upstream.reach(this.#exchange) !== 'another' || !upstream.tryAcquire()) return
    if (!upstream.retryBudget.take()) {
      upstream.releaseExtra()
      this.#exchange.retryRefused = true
      return
    }
    this.#second = this.#exchange.branch()
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
      this.#failed(branch, error)
    }
  }

  #answered (branch: Exchange, response: UpstreamResponse): void {
    if (this.#over) return response.body.cancel(new GatewayError('Superseded'))
    const isGood = classifyStatus(response.status) !== 'failure'
    if (isGood) this.#exchange.route.times?.observe(performance.now() - this.#startedAtMs)
    if (isGood || (this.#running === 0 && this.#spare === undefined)) return this.#win(branch, response)
    if (this.#running > 0) {
      this.#spare = { branch, response }
      return this.#waitForOther(branch)
    }
    // Neither is good: the first one is passed on.
    response.body.cancel(new GatewayError('Superseded'))
    this.#winSpare()
  }

  #failed (branch: Exchange, error: GatewayError): void {
    if (this.#over) return
    if (this.#exchange.ended !== undefined) return this.cancel(error)
    if (this.#running > 0) return this.#waitForOther(branch)
    if (this.#spare !== undefined) return this.#winSpare()
    this.#exchange.endpoint = branch.endpoint
    this.cancel(error)
  }

  /** While the first attempt is under way, the exchange waits for that; then for the second. */
  #waitForOther (branch: Exchange): void {
    if (branch === this.#exchange) this.#exchange.waiting(this)
  }

  #winSpare (): void {
    const { branch, response } = this.#spare!
    this.#exchange.waiting(undefined)
    this.#win(branch, response)
  }

  #win (branch: Exchange, response: UpstreamResponse): void {
    this.#finish(branch)
    this.#exchange.endpoint = branch.endpoint
    this.#settled.resolve(response)
  }

  /** Lets go of what has not won, and gives back what the race holds. False when it was over already. */
  #finish (winner: Exchange | undefined, why?: GatewayError): boolean {
    if (this.#over) return false
    this.#over = true
    clearTimeout(this.#timer)
    const second = this.#second
    if (second === undefined) return true
    why ??= new GatewayError('Superseded')
    if (winner !== this.#exchange) this.#exchange.interrupt(why)
    if (winner !== second) second.end(why)
    if (this.#spare !== undefined && this.#spare.branch !== winner) this.#spare.response.body.cancel(why)
    // From here on there is one attempt at most, and that has the exchange's own slot.
    this.#exchange.upstream.releaseExtra()
    return true
  }
}
