// How one endpoint stands among those of its upstream, for /api/upstreams and metrics. Pure.
import type { EndpointPlan } from '../../routing/plan.ts'
import type { Candidate } from './candidate.ts'
import type { Eligible } from './eligible.ts'

export interface Balance {
  readonly node: string | undefined
  readonly zone: string | undefined
  readonly datacenter: string | undefined
  /** 0 is nearest. */
  readonly level: number
  readonly weight: number
  /** Part of the upstream's calls that it gets by level, weight, slow start and recovery, before times are compared; 0 when it is not available. */
  readonly share: number
  /** Expected time to the response head, ms. */
  readonly scoreMs: number
  /** Whether that was measured, or is what is typical of the upstream. */
  readonly measured: boolean
  readonly rttMs: number | undefined
  readonly why: string
}

type Described = Candidate & { readonly plan: Pick<EndpointPlan, 'node' | 'zone' | 'datacenter'> }

/** Balances of all endpoints, by endpoint. */
export function describeBalance<E extends Described> (eligible: Eligible<E>, endpoints: readonly E[], nowMs: number): ReadonlyMap<E, Balance> {
  const levels = new Map(eligible.levels.map(level => {
    const shares = new Map(level.endpoints.map(endpoint => [endpoint, endpoint.available ? level.relativeShare(endpoint, nowMs) : 0]))
    const total = shares.values().reduce((sum, share) => sum + share, 0)
    return [level.level, { level, part: eligible.shareOf(level, nowMs), has: (endpoint: E) => shares.has(endpoint), of: (endpoint: E) => total === 0 ? 0 : (shares.get(endpoint) ?? 0) / total }]
  }))
  return new Map(endpoints.map(endpoint => {
    const { node, zone, datacenter, level, weight, rttMs } = endpoint.plan
    const own = levels.get(level)
    const share = own === undefined ? 0 : own.part * own.of(endpoint)
    const facts = { node, zone, datacenter, level, weight, rttMs, share: round(share, 4), scoreMs: round(endpoint.standing.estimateMs(nowMs, rttMs), 2), measured: endpoint.standing.measured }
    return [endpoint, { ...facts, why: why(endpoint, own?.has(endpoint) ?? false, own?.part ?? 0, own === undefined ? 0 : Math.round(own.level.partOf(endpoint, nowMs) * 100)) }]
  }))
}

function why (endpoint: Described, isEligible: boolean, levelShare: number, ownPercent: number): string {
  if (!endpoint.available) return 'Not available: unreachable or being asked who it is, its breaker open, ejected, or at its own limit.'
  if (endpoint.plan.weight === 0) return 'Of weight 0: only when all of its zone and datacenter are.'
  if (!isEligible) return 'Only for messages that no better endpoint has.'
  if (levelShare === 0) return 'In a zone or datacenter farther away: nearer ones carry all calls.'
  if (endpoint.rampFactor < 1) return `Recovering: now ${ownPercent} % of its share.`
  if (ownPercent < 100) return `New: its share grows, now ${ownPercent} % of it.`
  if (levelShare < 1) return `Its zone and datacenter get ${Math.round(levelShare * 100)} % of the calls, others the rest.`
  return 'Its share by weight.'
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits))
