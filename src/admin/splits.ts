// GET /api/splits: the parts of every split side by side, so that a canary can be told from the rest. Pure.
import type { AdminAction } from './actions.ts'

/** What is counted of one part. `telemetry/meters.ts` has it. */
export interface PartCounts {
  readonly name: string
  /** Exchanges by class of status: index 2 = 2xx. */
  readonly byClass: readonly number[]
  readonly duration: { readonly count: number, readonly sumMs: number, quantileMs (share: number): number | undefined }
}

export function splitsAction (parts: () => Iterable<{ readonly upstream: string, readonly part: PartCounts }>): AdminAction {
  return {
    method: 'GET',
    path: '/api/splits',
    says: 'Every split: calls, error rate and latency of its parts, side by side, since the start.',
    run: () => {
      const upstreams = new Map<string, object[]>()
      for (const { upstream, part } of parts()) {
        if (!upstreams.has(upstream)) upstreams.set(upstream, [])
        upstreams.get(upstream)!.push(describePart(part))
      }
      return { splits: [...upstreams].map(([upstream, described]) => ({ upstream, parts: described })) }
    }
  }
}

/** Latencies are the upper bounds of the histogram's buckets; null beyond the last. */
function describePart ({ name, byClass, duration }: PartCounts): object {
  const latency = (share: number) => duration.quantileMs(share)
  return {
    part: name,
    calls: duration.count,
    errorRate: duration.count === 0 ? null : Math.round(byClass[5]! / duration.count * 10_000) / 10_000,
    meanMs: duration.count === 0 ? null : Math.round(duration.sumMs / duration.count * 10) / 10,
    p50Ms: latency(0.5),
    p95Ms: latency(0.95),
    p99Ms: latency(0.99)
  }
}
