// One instance of an upstream: its connections, its breaker, and whether it may be picked.
import { classifyError, classifyStatus, type Outcome } from '../exchange/outcome.ts'
import { toGatewayError, type GatewayError } from '../exchange/errors.ts'
import type { EndpointHandle, Exchange, UpstreamResponse } from '../exchange/exchange.ts'
import type { EndpointPlan } from '../routing/plan.ts'
import { Breaker, type BreakerSettings, type BreakerState, type WindowClock } from './breaker.ts'
import { EndpointPool, type UpstreamTls } from './pool.ts'
import { probeUntilReachable, type Probe } from './probe.ts'

/** What an endpoint tells; for log and metrics. */
export interface EndpointEvents {
  breaker (state: BreakerState): void
  reachable (reachable: boolean, reason: string | undefined): void
  /** `status` when there was an answer. */
  attempt (outcome: Outcome, durationMs: number, status: number | undefined): void
}

export interface EndpointSettings {
  readonly breaker: BreakerSettings
  readonly tls: UpstreamTls | undefined
  readonly connectTimeoutMs: number
}

export class Endpoint implements EndpointHandle {
  readonly url: string
  plan: EndpointPlan
  /** Smooth weighted round robin keeps its running sum here. */
  currentWeight = 0
  readonly #breaker: Breaker
  readonly #pool: EndpointPool
  readonly #events: EndpointEvents
  #settings: EndpointSettings
  #probe: Probe | undefined

  constructor (plan: EndpointPlan, settings: EndpointSettings, clock: WindowClock, events: EndpointEvents) {
    this.url = plan.url
    this.plan = plan
    this.#settings = settings
    this.#events = events
    this.#breaker = new Breaker(settings.breaker, clock, state => events.breaker(state))
    this.#pool = new EndpointPool(plan, settings.tls)
  }

  get reachable (): boolean { return this.#probe === undefined }
  get breakerState (): BreakerState { return this.#breaker.state }
  get inFlight (): number { return this.#pool.inFlight }
  get idleConnections (): number { return this.#pool.idle }
  /** May it be picked now? */
  get available (): boolean { return this.#probe === undefined && this.#breaker.admits }

  /**
   * One attempt, its outcome told to the breaker when it is known: at the response head, or when the body broke.
   * @throws GatewayError by the promise
   */
  async send (exchange: Exchange): Promise<UpstreamResponse> {
    const startedAtMs = performance.now()
    const trial = this.#breaker.begin()
    try {
      const response = await this.#pool.send(exchange, exchange.attempts.some(attempt => attempt.endpoint === this.url && attempt.result === 'ConnectionClosed'))
      const outcome = classifyStatus(response.status)
      this.#breaker.report(outcome, trial)
      this.#events.attempt(outcome, performance.now() - startedAtMs, response.status)
      return response
    } catch (thrown) {
      const error = toGatewayError(thrown)
      const outcome = classifyError(error)
      this.#breaker.report(outcome, trial)
      if (error.spec.retry === 'always') this.#unreachable(error)
      this.#events.attempt(outcome, performance.now() - startedAtMs, undefined)
      throw error
    }
  }

  configure (settings: EndpointSettings): void {
    this.#settings = settings
    this.#breaker.configure(settings.breaker)
  }

  /** Lets go of connections that are not needed. */
  trim (): void {
    this.#pool.trim()
  }

  /** No new attempts; those under way end by themselves. */
  close (): void {
    this.#probe?.close()
    this.#probe = undefined
    this.#breaker.close()
    this.#pool.close()
  }

  /** A refused or timed-out connect takes the endpoint out at once, until Postern's own connect succeeds (decision 0004). */
  #unreachable (error: GatewayError): void {
    if (this.#probe !== undefined) return
    this.#events.reachable(false, String(error.detail?.['cause'] ?? error.code))
    this.#probe = probeUntilReachable(this.plan.origin, this.#settings.connectTimeoutMs, () => {
      this.#probe = undefined
      this.#events.reachable(true, undefined)
    })
  }
}
