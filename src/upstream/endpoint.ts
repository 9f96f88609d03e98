// One instance of an upstream: its connections, its breaker, and whether it may be picked.
import type { Outcome } from '../exchange/outcome.ts'
import { toGatewayError, type GatewayError } from '../exchange/errors.ts'
import type { Attempt, EndpointHandle, Exchange, UpstreamResponse } from '../exchange/exchange.ts'
import { ResponseBody } from '../exchange/response-body.ts'
import type { EndpointPlan } from '../routing/plan.ts'
import { scoredAs, Standing } from './balancing/standing.ts'
import { Breaker, type BreakerSettings, type BreakerState, type WindowClock } from './breaker.ts'
import { dial } from './dial.ts'
import { EndpointPool, type UpstreamTls } from './pool.ts'
import { probeUntilReachable, type Probe } from './probe.ts'

const switchingProtocols = 101

/** What an endpoint tells; for log and metrics. */
export interface EndpointEvents {
  breaker (state: BreakerState): void
  reachable (reachable: boolean, reason: string | undefined): void
  /** It takes connections again, and gets calls when this settles. Must not reject. */
  returning (): Promise<void>
  /** `status` when there was an answer. */
  attempt (outcome: Outcome, durationMs: number, status: number | undefined): void
}

export interface EndpointSettings {
  readonly breaker: BreakerSettings
  readonly tls: UpstreamTls | undefined
  readonly connectTimeoutMs: number
  /** Exchanges at one time; undefined = no limit of its own. */
  readonly maxSeats?: number | undefined
}

export class Endpoint implements EndpointHandle {
  readonly url: string
  plan: EndpointPlan
  readonly sinceMs = performance.now()
  readonly standing = new Standing()
  readonly #breaker: Breaker
  readonly #pool: EndpointPool
  readonly #events: EndpointEvents
  #settings: EndpointSettings
  #probe: Probe | undefined
  #seats = 0
  readonly #onRoom: () => void

  /** `onRoom`: an endpoint that was full has a place again. */
  constructor (plan: EndpointPlan, settings: EndpointSettings, clock: WindowClock, events: EndpointEvents, onRoom: () => void = () => {}) {
    this.url = plan.url
    this.plan = plan
    this.#settings = settings
    this.#events = events
    this.#onRoom = onRoom
    this.#breaker = new Breaker(settings.breaker, clock, state => {
      // Its trial has to be drawn.
      if (state === 'half-open') this.standing.forget()
      events.breaker(state)
    })
    this.#pool = new EndpointPool(plan, settings.tls)
  }

  get version (): string | undefined { return this.plan.version }
  get labels (): readonly string[] { return this.plan.labels }
  get reachable (): boolean { return this.#probe === undefined }
  get breakerState (): BreakerState { return this.#breaker.state }
  /** How much of its traffic it should get, 0 to 1. */
  get rampFactor (): number { return 1 }
  get inFlight (): number { return this.#pool.inFlight }
  get idleConnections (): number { return this.#pool.idle }
  /** May it be picked now? */
  get available (): boolean { return this.usable && this.room > 0 }
  /** Whether anything but its own limit speaks against picking it. */
  get usable (): boolean { return this.#probe === undefined && this.#breaker.admits }
  /** Exchanges at it, from the beginning of their attempt until the end of the answer's body. */
  get seats (): number { return this.#seats }
  /** Places it has left; Infinity without a limit. */
  get room (): number { return this.#settings.maxSeats === undefined ? Infinity : this.#settings.maxSeats - this.#seats }

  begin (): boolean {
    this.#seats++
    return this.#breaker.begin()
  }

  leave (): void {
    this.#seats--
    if (this.#settings.maxSeats !== undefined) this.#onRoom()
  }

  /**
   * For an upgrade only the connection is tried: @fastify/http-proxy, which carries the socket then, accepts the client's before it has the
   * endpoint's.
   * @throws GatewayError by the promise
   */
  request (exchange: Exchange, attempt: Attempt): Promise<UpstreamResponse> {
    if (exchange.upgrade) return this.#open(exchange, attempt)
    // After it closed a kept connection without an answer, the next try is made on one that was not used before.
    const { attempts } = exchange
    const fresh = attempts.length > 1 && attempts.some(({ endpoint, result }) => endpoint === this.url && result === 'ConnectionClosed')
    return this.#pool.request(exchange, attempt, fresh)
  }

  report (attempt: Attempt, trial: boolean, status: number | undefined, error: GatewayError | undefined): void {
    this.#breaker.report(attempt.outcome, trial)
    if (error?.spec.retry === 'always') this.#unreachable(error)
    this.standing.report(scoredAs(attempt.outcome, status), attempt.durationMs, performance.now(), this.plan.rttMs)
    this.#events.attempt(attempt.outcome, attempt.durationMs, status)
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

  async #open (exchange: Exchange, attempt: Attempt): Promise<UpstreamResponse> {
    try {
      await dial(this.plan.origin, exchange.route.policy.connectTimeoutMs)
    } catch (thrown) {
      const error = toGatewayError(thrown)
      attempt.failed(error)
      throw error
    }
    attempt.answered(switchingProtocols)
    return { status: switchingProtocols, reason: 'Switching Protocols', headers: [], body: new ResponseBody() }
  }

  /** A refused or timed-out connect takes the endpoint out at once, until Postern's own connect succeeds (decision 0004). */
  #unreachable (error: GatewayError): void {
    if (this.#probe !== undefined) return
    this.#events.reachable(false, String(error.detail?.['cause'] ?? error.code))
    this.#probe = probeUntilReachable(this.plan.origin, this.#settings.connectTimeoutMs, () => { void this.#return(this.#probe) })
  }

  /** Somebody listens there again. Whoever it is: the control plane asks before calls go there, for addresses are reused. */
  async #return (probe: Probe | undefined): Promise<void> {
    await this.#events.returning()
    // Closed meanwhile: it was somebody else.
    if (this.#probe !== probe) return
    this.#probe = undefined
    this.#events.reachable(true, undefined)
  }
}
