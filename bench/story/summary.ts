// What a round of the story comes to: who was hurt, for how long, and how much waited. Pure.
import { quantile } from '../support/statistics.ts'
import type { Call, DriverPlan, DriverResult } from './driver.ts'

export interface RoundSummary {
  /** Calls to healthy services while the one was slow. */
  readonly healthy: number
  readonly healthyFailed: number
  readonly quietP99Ms: number
  readonly slowP99Ms: number
  /** Most calls without an answer at one time: all, and those to the slow service. */
  readonly pendingAll: number
  readonly pendingSlow: number
  /** Callers of the slow service, from the middle of the slow phase on (by then every breaker had its chance to open): how many, how many of them got an answer in under 50 ms, and the slowest. */
  readonly slowCallers: number
  readonly slowCallersFast: number
  readonly slowCallersMedianMs: number
  /** Until calls to the recovered service succeed again for good, ms since it recovered; undefined = not within the recovery phase. */
  readonly servedAgainMs: number | undefined
}

const fastMs = 50

export function summarize ({ calls, pending }: DriverResult, plan: Pick<DriverPlan, 'quietS' | 'slowS'>): RoundSummary {
  const slowFrom = plan.quietS * 1_000
  const slowUntil = slowFrom + plan.slowS * 1_000
  const within = (from: number, until: number, slow: 0 | 1): Call[] => calls.filter(([due, of]) => of === slow && due >= from && due < until)
  const quiet = within(0, slowFrom, 0)
  const healthy = within(slowFrom, slowUntil, 0)
  const callers = within((slowFrom + slowUntil) / 2, slowUntil, 1)
  const durations = (list: readonly Call[]) => list.map(([, , duration]) => duration)
  const waiting = pending.filter(([at]) => at >= 0)
  return {
    healthy: healthy.length,
    healthyFailed: healthy.filter(isFailed).length,
    quietP99Ms: quantile(durations(quiet), 0.99),
    slowP99Ms: quantile(durations(healthy), 0.99),
    pendingAll: Math.max(...waiting.map(([, all]) => all)),
    pendingSlow: Math.max(...waiting.map(([, , slow]) => slow)),
    slowCallers: callers.length,
    slowCallersFast: callers.filter(([, , duration]) => duration < fastMs).length,
    slowCallersMedianMs: quantile(durations(callers), 0.5),
    servedAgainMs: servedAgain(within(slowUntil, Infinity, 1), slowUntil)
  }
}

const isFailed = ([, , , status]: Call): boolean => status !== 200

/** From the first call on after which none fails or takes a second. */
function servedAgain (calls: readonly Call[], recoveredAtMs: number): number | undefined {
  const inOrder = calls.toSorted(([a], [b]) => a - b)
  const lastBad = inOrder.findLastIndex(call => isFailed(call) || call[2] >= 1_000)
  const first = inOrder[lastBad + 1]
  return first === undefined ? undefined : first[0] - recoveredAtMs
}
