// What the request path counts with and asks again: meters, budgets, times. Types only.

/** Counts the exchanges of one route. `telemetry/meters.ts` satisfies it. */
export interface Meter {
  start (): void
  /** Once for every start. `errorCode` when the exchange ended with an error of ours. */
  done (status: number, durationMs: number, errorCode?: string): void
  retry (): void
  /** One more attempt, made before the first had ended. */
  hedge (): void
  /** Answered by a fixed body, or sent to the fallback upstream. */
  degraded (by: 'fixed' | 'upstream'): void
}

/** Bounds repeated attempts. `upstream/retry-budget.ts` satisfies it. */
export interface Budget {
  /** An exchange begins. */
  exchange (): void
  /** One has got an answer that is no failure. */
  answered (): void
  /** How many have. */
  readonly answers: number
  /** Takes one repeated attempt; false when none is left. */
  take (): boolean
}

/** How long a message takes until its response head. `lib/quantile.ts` satisfies it. */
export interface ResponseTimes {
  readonly count: number
  observe (ms: number): void
  percentile (percent: number): number | undefined
}

/** Counts what went to one part of a split. */
export interface PartMeter {
  readonly name: string
  done (status: number, durationMs: number): void
}
