// Endpoints for tests of balancing: nothing behind them, everything can be set.
import { seeded } from '../../../bench/support/seeded.ts'
import { validate } from '../../../src/config/validator.ts'
import { Balancer } from '../../../src/upstream/balancing/balancer.ts'
import type { Candidate } from '../../../src/upstream/balancing/candidate.ts'
import { Standing } from '../../../src/upstream/balancing/standing.ts'
import type { BalancerConfig, BalancingConfig } from '../../../src/config/schema.ts'
import { makeExchange, policy, type ExchangeOptions } from '../../support/exchange.ts'

export interface FakeCandidate extends Candidate {
  available: boolean
  inFlight: number
  rampFactor: number
  plan: { weight: number, node: string | undefined, level: number, rttMs: number | undefined }
}

export type CandidateLike = Partial<Omit<FakeCandidate, 'plan'> & FakeCandidate['plan']>

export function candidate (url: string, { weight = 1, node, level = 0, rttMs, ...like }: CandidateLike = {}): FakeCandidate {
  return { url, available: true, inFlight: 0, rampFactor: 1, standing: new Standing(), plan: { weight, node, level, rttMs }, ...like }
}

export const balancing: BalancingConfig = validate({}).config.defaults.balancing

export interface Balanced {
  readonly balancer: Balancer<FakeCandidate>
  /** ms; starts at 1,000. */
  clock: { nowMs: number }
  pick (options?: ExchangeOptions & { readonly tried?: readonly string[] }): string | undefined
  /** Calls that the upstream may have at one time. */
  limit: number
  /** Picks so often: the share of each endpoint. */
  shares (picks: number): Record<string, number>
}

/** A balancer with these endpoints, repeatable. */
export function balanced (candidates: readonly FakeCandidate[], policyOf: Partial<BalancerConfig> = {}, { settings = {}, registered = [] as Array<{ level: number, weight: number }>, seed = 7 } = {}): Balanced {
  const clock = { nowMs: 1_000 }
  const balancer = new Balancer<FakeCandidate>({ ...balancing, ...settings }, { now: () => clock.nowMs, random: seeded(seed) })
  balancer.apply(candidates, registered)
  const pick: Balanced['pick'] = ({ tried = [], ...options } = {}) => {
    const exchange = makeExchange({ ...options, policy: { balancer: { ...policy.balancer, ...policyOf } } })
    for (const endpoint of tried) exchange.attempts.push({ endpoint } as never)
    return balancer.pick(exchange, { inFlight: 1 + candidates.reduce((sum, { inFlight }) => sum + inFlight, 0), limit: made.limit })?.url
  }
  const made: Balanced = {
    balancer,
    clock,
    limit: Infinity,
    pick,
    shares (picks) {
      const counts = new Map(candidates.map(({ url }) => [url, 0]))
      for (let n = 0; n < picks; n++) {
        const url = pick() ?? ''
        counts.set(url, (counts.get(url) ?? 0) + 1)
      }
      return Object.fromEntries([...counts].map(([url, count]) => [url, count / picks]))
    }
  }
  return made
}
