// What the request path may ask of an upstream and of its endpoints. No I/O.
import type { Attempt } from './attempt.ts'
import type { BreakersHandle } from './breakers.ts'
import type { Budget } from './counts.ts'
import type { GatewayError } from './errors.ts'
import type { Exchange, UpstreamResponse } from './exchange.ts'
import type { FailureCause } from './outcome.ts'
import type { Rest, Selector } from './selection.ts'

/** An endpoint as the request path sees it. `upstream/endpoint.ts` satisfies it. */
export interface EndpointHandle {
  /** Origin and base path, without a trailing slash: the name of the endpoint in logs and metrics. */
  readonly url: string
  /** An attempt begins, and takes a place. Returns whether it is the trial of a half-open breaker. */
  begin (): boolean
  /** An attempt gives its place back. Once for every `begin`. */
  leave (): void
  /** One request to it; settles at the response head, when the attempt has been told what became of it. */
  request (exchange: Exchange, attempt: Attempt): Promise<UpstreamResponse>
  /** What became of an attempt: a status with its fields, or an error. Once for every `begin`. */
  report (attempt: Attempt, trial: boolean, status: number | undefined, error: GatewayError | undefined, headers?: readonly string[]): void
  /** An attempt that is under way takes too long, which counts now as its failure. */
  overdue (trial: boolean, cause: FailureCause): void
  /** Its upstream, or a message of it, has recovered without it. */
  singledOut (cause: FailureCause): void
}

/** An upstream as the request path sees it. `upstream/upstream.ts` satisfies it. */
export interface UpstreamHandle {
  readonly name: string
  /** Whether its hosts answer under `/api/NAME`. */
  readonly apiForm: boolean
  /** Whether it is sent what no list of its messages has: it is known to be no ServiceStack host. */
  readonly takesUnlisted: boolean
  /** Whether its endpoints get the client's Host in place of their own. */
  readonly preserveHost: boolean
  /** Takes a bulkhead slot, or waits for one. Throws BulkheadFull or QueueTimeout. The caller gives it back once. */
  acquire (exchange: Exchange): Promise<void> | undefined
  release (exchange: Exchange): void
  /** Takes a slot for one more attempt only if one is free at once: nobody is waited for, nobody overtaken. */
  tryAcquire (): boolean
  /** Gives a slot of tryAcquire back. */
  releaseExtra (): void
  /** The endpoint for the next attempt, one not tried yet where there is any; undefined when none is available. */
  pick (exchange: Exchange): EndpointHandle | undefined
  /** Settles when an endpoint it may go to has been asked who it is; undefined: none is being asked. */
  asked (exchange: Exchange): Promise<void> | undefined
  /** Settles when the table is made without the endpoints it may go to that have just stopped taking connections; undefined: it is, as far as is known. */
  lost (exchange: Exchange): Promise<unknown> | undefined
  /** What `pick` would find now, after what it would do to find any (take back what is ejected, go where the split leaves it to go): an endpoint not tried yet in this exchange, only one that was, or none. */
  reach (exchange: Exchange): 'another' | 'same' | 'none'
  /** What repeated attempts are paid from. */
  readonly retryBudget: Budget
  readonly breakers: BreakersHandle
  /** Why nothing could be picked: NoEndpoint or BreakerOpen. */
  whyNone (exchange: Exchange): GatewayError
  /** Endpoints of a part of the traffic, among those of `within` (undefined: those that may get anything). The same set until the upstream's plan changes. */
  select (selector: Selector, within: ReadonlySet<string> | undefined): ReadonlySet<string>
  /** Endpoints for what no part has taken; of a version only where one of its endpoints may be called. */
  selectRest (rest: Rest, within: ReadonlySet<string> | undefined): ReadonlySet<string>
  /** Whether any of these endpoints may be called, full or not. */
  isUsable (endpoints: ReadonlySet<string> | undefined): boolean
}
