// What is simulated: the fleet of docs/BALANCING.md under each strategy, and what happens around a newcomer and a half-lost zone. Pure.
import type { BalancerConfig } from '../../src/config/schema.ts'
import { simulate, type EndpointModel, type Simulated } from './simulate.ts'

export const strategies: ReadonlyArray<BalancerConfig['strategy']> = ['peak-ewma', 'least-requests', 'round-robin', 'weighted', 'hash']

const callsPerSecond = 1_000
const seconds = 60

/** Ten endpoints: one 10 × slower, one that fails at once, one in another zone. `zoned`: the gateway knows its own zone. */
export function tenEndpoints (zoned: boolean): EndpointModel[] {
  return [
    ...Array.from({ length: 7 }, (_, n) => ({ name: `normal ${n + 1}`, medianMs: 10 })),
    { name: 'slow', medianMs: 100 },
    { name: 'failing', medianMs: 1, fails: true },
    { name: 'other zone', medianMs: 10, rttMs: 8, level: zoned ? 1 : 0 }
  ]
}

export interface StrategyResult extends Simulated { readonly title: string, readonly strategy: BalancerConfig['strategy'] }

export function simulateStrategies (): StrategyResult[] {
  const run = (strategy: BalancerConfig['strategy'], zoned: boolean) => simulate({ endpoints: tenEndpoints(zoned), callsPerSecond, seconds, balancer: { strategy } })
  return [
    ...strategies.map(strategy => ({ title: strategy, strategy, ...run(strategy, false) })),
    { title: 'peak-ewma, own zone known', strategy: 'peak-ewma', ...run('peak-ewma', true) }
  ]
}

/** Part of the calls that the tenth endpoint gets within the first seconds after it joined nine that are older. */
export function simulateNewcomer (): Array<{ readonly seconds: number, readonly share: number }> {
  const old = Array.from({ length: 9 }, (_, n) => ({ name: `old ${n + 1}`, medianMs: 10 }))
  const joinsMs = 60_000
  const callsUntil = (seconds: number) => {
    const { shares, calls } = simulate({ endpoints: [...old, { name: 'new', medianMs: 10, fromMs: joinsMs }], callsPerSecond, seconds, balancer: {} })
    return shares['new']! * calls
  }
  return [[0, 3], [3, 10], [10, 20], [20, 30], [30, 60]].map(([from, to]) => ({ seconds: to!, share: (callsUntil(60 + to!) - callsUntil(60 + from!)) / (callsPerSecond * (to! - from!)) }))
}

/** Part of the calls that leave the own zone of four endpoints when so many of them are gone. */
export function simulateZone (): Array<{ readonly gone: number, readonly elsewhere: number }> {
  return [0, 1, 2, 3, 4].map(gone => {
    const endpoints = [
      ...Array.from({ length: 4 }, (_, n) => ({ name: `own ${n + 1}`, medianMs: 10, gone: n < gone })),
      ...Array.from({ length: 4 }, (_, n) => ({ name: `other ${n + 1}`, medianMs: 10, rttMs: 8, level: 1 }))
    ]
    const { shares } = simulate({ endpoints, callsPerSecond, seconds: 20, balancer: {} })
    return { gone, elsewhere: Object.entries(shares).reduce((sum, [name, share]) => name.startsWith('other') ? sum + share : sum, 0) }
  })
}
