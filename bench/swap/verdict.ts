// What the phases of the swap measurement say: added latency, build times, targets. Pure.
import { quantile } from '../support/statistics.ts'
import type { BuildTimes } from './builds.ts'

/** `deploying`: one service in a hundred replaced again and again. `reloading`: every message rebuilt, by a changed default policy. */
export type PhaseKind = 'quiet' | 'deploying' | 'reloading'

/** Milliseconds, as the client saw it, and the longest time the gateway's event loop was late. */
export interface Phase {
  readonly kind: PhaseKind
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly max: number
  readonly loopMax: number
  readonly failed: number
  readonly builds: BuildTimes
}

export interface SwapResult {
  /** In the order measured: each with swaps right behind a quiet one. */
  readonly phases: readonly Phase[]
  /** From the start until every message was callable: tables built on the way. */
  readonly firstBuilds: BuildTimes
  /** From the change in the catalogue until the new messages are answered, polled every 50 ms; milliseconds. */
  readonly propagationsMs: readonly number[]
  readonly failures: readonly string[]
}

/** Targets: added to any request, and to build a table of all messages. Milliseconds. */
const mostAddedMs = 10
const mostBuildMs = 100

/**
 * What a kind of swap added: the phase less the quiet one before it, as the median of all such pairs. A single slowest request is as often
 * the scheduler's doing as ours, and that happens in quiet phases too; what swaps do, they do in every pair.
 */
const addedBy = (kind: PhaseKind, phases: readonly Phase[], of: (phase: Phase) => number): number =>
  quantile(phases.flatMap((phase, index) => phase.kind === kind ? [of(phase) - of(phases[index - 1]!)] : []), 0.5)

/** What swaps added to the slowest requests (ms), and whether the targets are met. */
export const judgeSwap = ({ phases, firstBuilds }: SwapResult) => {
  const kinds = [...new Set(phases.map(({ kind }) => kind))].filter(kind => kind !== 'quiet')
  const added = (of: (phase: Phase) => number) => Math.max(...kinds.map(kind => addedBy(kind, phases, of)))
  const addedMaxMs = added(({ max }) => max)
  const slowestBuildMs = Math.max(firstBuilds.atMostMs, ...phases.filter(({ kind }) => kind !== 'quiet').map(({ builds }) => builds.atMostMs))
  const failed = phases.reduce((sum, phase) => sum + phase.failed, 0)
  const swapped = phases.every(({ kind, builds }) => kind === 'quiet' || builds.count > 0)
  const met = swapped && failed === 0 && addedMaxMs <= mostAddedMs && slowestBuildMs <= mostBuildMs
  return { addedP999Ms: added(({ p999 }) => p999), addedMaxMs, slowestBuildMs, failed, swapped, met }
}

const buildsText = ({ count, meanMs, atMostMs }: BuildTimes) => count === 0 ? 'none' : `${count}, ${meanMs.toFixed(1)} (≤ ${atMostMs})`

/** The result as text. */
export const describeSwap = (result: SwapResult): string => {
  const { phases, firstBuilds, propagationsMs, failures } = result
  const verdict = judgeSwap(result)
  return [
    '| phase | p50 ms | p99 ms | p99.9 ms | max ms | event loop late, max ms | tables built, mean ms (none above) | failed |',
    '| --- | --: | --: | --: | --: | --: | --: | --: |',
    ...phases.map(({ kind, p50, p99, p999, max, loopMax, builds, failed }) =>
      `| ${kind} | ${[p50, p99, p999, max, loopMax].map(ms => ms.toFixed(1)).join(' | ')} | ${buildsText(builds)} | ${failed} |`),
    '',
    ...(['deploying', 'reloading'] as const).map(kind => {
      const by = (of: (phase: Phase) => number) => addedBy(kind, phases, of).toFixed(1)
      return `Added by ${kind}, median of the pairs: ${by(({ p999 }) => p999)} ms at p99.9, ${by(({ max }) => max)} ms at the slowest request (target ≤ ${mostAddedMs}), ${by(({ loopMax }) => loopMax)} ms at the event loop.`
    }),
    `Tables built until all messages were there: ${buildsText(firstBuilds)}. Slowest of all at most ${verdict.slowestBuildMs} ms (target < ${mostBuildMs}).`,
    `From a change in the catalogue until the new messages are answered: median ${Math.round(quantile(propagationsMs, 0.5))} ms, slowest ${Math.round(Math.max(0, ...propagationsMs))} ms.`,
    ...verdict.swapped ? [] : ['**A phase that should have swapped tables swapped none.**'],
    ...verdict.failed === 0 ? [] : [`**${verdict.failed} requests failed**, among them: ${failures.slice(0, 5).join('; ')}`],
    verdict.met ? 'Targets met.' : '**Targets missed.**',
    ''
  ].join('\n')
}
