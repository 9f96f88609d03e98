// What an endpoint is given: its settings, whom it tells, and what it asks of its upstream. Types only.
import type { FailureCause, Outcome } from '../exchange/outcome.ts'
import type { BreakerSettings, BreakerState } from './breaker.ts'
import type { Elsewhere } from './elsewhere.ts'
import type { UpstreamTls } from './pool.ts'

/** What an endpoint tells; for log and metrics. */
export interface EndpointEvents {
  breaker (state: BreakerState, cause: FailureCause | undefined): void
  reachable (reachable: boolean, reason: string | undefined): void
  /** It takes no connections. Settles when the table is made of that; must not reject. */
  lost (): Promise<void>
  /** Its answer gives reason to ask who is there. */
  doubted (): void
  /**
   * It takes connections, and gets calls when it is known whose, which is when this settles. `returning`: somebody else may; `cold`: nobody has heard
   * of it for a while. `mayWait`: whether others are there for its calls. Must not reject.
   */
  whoIsThere (why: 'returning' | 'cold', mayWait: () => boolean): Promise<void>
  attempt (outcome: Outcome, durationMs: number): void
  /** It asked to be left alone (Retry-After). */
  paused (ms: number): void
  /** Taken out, or back, because it does worse than the others. `reason` undefined: back. */
  ejected (reason: string | undefined, ms: number): void
}

/** Its upstream, as far as an endpoint needs it. */
export interface EndpointOwner {
  /** It was full, and has a place again. */
  room (): void
  /** It gets no calls from now on: who could go nowhere else need not wait. */
  shut (): void
  /** An attempt at this message has failed there. How it fares at the others. */
  attemptFailed (message: string, endpoint: string): Elsewhere
  /** Whether any other endpoint may be called. */
  hasOther (than: string): boolean
}

export interface EndpointBreakerSettings extends BreakerSettings {
  /** Statuses whose Retry-After pauses the endpoint. */
  readonly pauseStatuses: readonly number[]
  readonly maxPauseMs: number
}

export interface EndpointSettings {
  readonly breaker: EndpointBreakerSettings
  readonly tls: UpstreamTls | undefined
  readonly connectTimeoutMs: number
  /** Exchanges at one time; undefined = no limit of its own. */
  readonly maxSeats?: number | undefined
}
