// The request path.
import type { Config } from './config/schema.ts'
import { compose, type Filter, type Next } from './exchange/compose.ts'
import { breaker } from './filters/breaker.ts'
import { bulkhead } from './filters/bulkhead.ts'
import { cache, type CacheOptions } from './filters/cache.ts'
import { deadline } from './filters/deadline.ts'
import { degraded } from './filters/degraded.ts'
import { fault } from './filters/fault.ts'
import { toFaultRule } from './filters/fault-rule.ts'
import type { Faults } from './filters/faults.ts'
import { hedge } from './filters/hedge.ts'
import { mirror, type MirrorOptions } from './filters/mirror.ts'
import { outage, type OutageFilterOptions } from './filters/outage.ts'
import { pickEndpoint } from './filters/pick-endpoint.ts'
import { retry } from './filters/retry.ts'
import { send } from './filters/send.ts'
import { shed } from './filters/shed.ts'
import type { ShedGauge } from './filters/shed-level.ts'
import { split, type SplitOptions } from './filters/split.ts'
import type { Deadlines } from './exchange/deadlines.ts'
import type { Policy } from './exchange/exchange.ts'
import { settle } from './exchange/settle.ts'

/** What filters need that lives longer than a table. */
export interface PipelineParts {
  readonly observe: Filter
  readonly deadlines: Deadlines
  readonly splitting: SplitOptions
  readonly mirroring: MirrorOptions
  readonly caching: CacheOptions
  readonly copies: OutageFilterOptions
  readonly shedding: ShedGauge
  readonly faults: Faults
}

/**
 * Filters run from the first line to the last on the way up and back again on the way down, so the first sees every outcome and the
 * last only real attempts. Built once per distinct policy when the table is built, never per request: what a policy leaves switched off
 * is `undefined` here and costs nothing. docs/ARCHITECTURE.md draws the same list.
 */
export function buildPipeline (parts: PipelineParts, policy: Policy, config: Pick<Config, 'faults' | 'shedding'>): Next {
  const below = belowCache(parts, policy, config)
  return settle(compose([
    // Counts and logs everything that has a route, our own rejections included.
    parts.observe,
    // Chooses the part of the traffic it belongs to, which may be another upstream: everything below asks that one.
    split(policy.split, parts.splitting),
    // One budget for queueing, back-off and all attempts. Also where a client that leaves ends whatever is waiting.
    deadline(parts.deadlines),
    // Last of all, in place of an error: a copy fetched beforehand. Outside whatever else stands in.
    outage(parts.copies, policy),
    // What is answered in place of an error while the service cannot be called. Outside the cache, whose stale entry goes before it.
    degraded(policy.degraded, { upstreamNamed: parts.splitting.upstreamNamed, below }),
    // A hit takes no slot, and of many who want the same only one does. That one request is a task of its own, with its own deadline.
    cache(parts.caching, policy, settle(compose([deadline(parts.deadlines)], below)))
  ], below))
}

/** What asks the service: for a client itself, or for all who wait for the same answer. */
function belowCache (parts: PipelineParts, policy: Policy, { faults: { allow }, shedding: { eventLoopDelayMs, heapPercent } }: Pick<Config, 'faults' | 'shedding'>): Next {
  return compose([
    // An overloaded process refuses what would cost work. Below the cache: a hit costs next to none, and a stale entry may stand in for the refusal.
    eventLoopDelayMs === 0 && heapPercent === 0 ? undefined : shed(parts.shedding, policy),
    // Before the queue: nobody waits behind calls that cannot succeed. Sees exchanges, not attempts: what was repeated with success is fine.
    breaker,
    // Waits a bounded time for a slot; beyond that a local reply 503. Outside retry: a repeated attempt does not queue again.
    bulkhead,
    // Below the slot, so that only what goes to the service is copied; above retry, so that it is copied once.
    mirror(policy, parts.mirroring)
  ], attempts(parts, policy, allow))
}

/** What is repeated. What has not been done by the time that its message moves goes on at the other upstream, from its breakers on. */
function attempts (parts: PipelineParts, policy: Policy, allowFaults: boolean): Next {
  const path: Next = compose([
    // Everything below runs once per attempt.
    retry(policy, { elsewhere: exchange => elsewhere(exchange) }),
    // Inside retry: what fails twice at once has failed once. A second endpoint is picked below, like any attempt's.
    hedge(policy),
    // Only available endpoints, so an open breaker is avoided rather than hit. The breaker itself is fed by the endpoint as it sends.
    pickEndpoint,
    // In place of `send` for some attempts, so that everything above sees a fault as the endpoint's own.
    allowFaults ? fault(parts.faults, toFaultRule(policy.fault)) : undefined
  ], send)
  const elsewhere = compose([breaker, bulkhead], path)
  return path
}
