// The words of balancing: what a strategy sees of an endpoint, of a call, and of what it must avoid. No I/O.
import type { BalancerConfig } from '../../config/schema.ts'
import type { EndpointPlan } from '../../routing/plan.ts'
import type { Standing } from './standing.ts'

/** What is decided by: `upstream/endpoint.ts` satisfies it, and so does the endpoint of a simulation. */
export interface Candidate {
  readonly url: string
  /** Reachable, breaker closed, not at its own limit. */
  readonly available: boolean
  /** It is being asked who it is, and nothing else speaks against it. */
  readonly warming?: boolean
  /** Calls at it now. */
  readonly inFlight: number
  readonly plan: Pick<EndpointPlan, 'weight' | 'node' | 'level' | 'rttMs'>
  /** Part of its weight that it gets while it recovers, 0 to 1. */
  readonly rampFactor: number
  readonly standing: Standing
}

/** One call that wants an endpoint. Reused from call to call: a pick allocates nothing. */
export interface Call {
  strategy: BalancerConfig['strategy']
  /** performance.now() */
  nowMs: number
  /** Hash of what the call sticks to; undefined = it sticks to nothing. */
  key: number | undefined
  /** Most calls in flight at one endpoint in percent of the average, for sticky calls. */
  boundPercent: number
  /** Calls of the upstream in flight, this one included. */
  inFlight: number
  /** Most of them at one time. */
  limit: number
  /** For an attempt after the first. */
  avoid: Avoid | undefined
}

/** Endpoints that are not to get an attempt: those tried, or those on the nodes of those tried. */
export interface Avoid {
  has (candidate: Candidate): boolean
}

/** Chooses among the endpoints of one level; undefined when none may get the call. */
export interface Picker<E> {
  pick (call: Call): E | undefined
}

/** A call that belongs to one endpoint gets it also while that is asked who it is: it waits then. */
export function mayGet (candidate: Candidate, { avoid, key }: Call): boolean {
  return (candidate.available || (key !== undefined && candidate.warming === true)) && (avoid === undefined || !avoid.has(candidate))
}
