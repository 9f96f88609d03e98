// The story as a table, and what Postern's defaults are held to. Pure.
import type { Story, StoryRound } from '../story.ts'
import { quantile } from '../support/statistics.ts'
import type { RoundSummary } from './summary.ts'

export interface StoryTarget { readonly what: string, readonly target: string, readonly measured: string, readonly met: boolean }

/** All of them: the slots of the slow service's bulkhead and its queue at their defaults, and what healthy ones have under way. */
const pendingBound = 256 + 128 + 64

const median = (rounds: readonly StoryRound[], of: (summary: RoundSummary) => number): number => quantile(rounds.map(({ summary }) => of(summary)), 0.5)

export function storyTargets ({ rounds }: Story): StoryTarget[] {
  const own = rounds.filter(({ contender }) => contender === 'postern')
  if (own.length === 0) return []
  const lost = own.reduce((sum, { summary }) => sum + summary.healthyFailed, 0)
  const ratio = median(own, summary => summary.slowP99Ms / summary.quietP99Ms)
  const added = median(own, summary => summary.slowP99Ms - summary.quietP99Ms)
  const pending = Math.max(...own.map(({ summary }) => summary.pendingAll))
  const fast = median(own, summary => summary.slowCallersFast / summary.slowCallers)
  const again = Math.max(...own.map(({ summary }) => summary.servedAgainMs ?? Infinity))
  return [
    { what: 'healthy calls lost', target: '0', measured: String(lost), met: lost === 0 },
    { what: `healthy p99, slow phase over quiet phase (median of ${own.length} rounds)`, target: '≤ 1.2 × or + 5 ms', measured: `${ratio.toFixed(2)} ×, ${added.toFixed(1)} ms more`, met: ratio <= 1.2 || added <= 5 },
    { what: 'calls pending at one time, all services (worst round)', target: `≤ ${pendingBound}`, measured: String(pending), met: pending <= pendingBound },
    { what: 'callers of the slow service answered in under 50 ms, from the middle of the slow phase on, trials among them', target: '≥ 95 %', measured: `${(fast * 100).toFixed(1)} %`, met: fast >= 0.95 },
    { what: 'served again after the recovery (worst round)', target: '≤ 5 s', measured: `${(again / 1_000).toFixed(1)} s`, met: again <= 5_000 }
  ]
}

export function storyMarkdown (story: Story): string {
  const rows = [...story.titles].map(([name, title]) => {
    const rounds = story.rounds.filter(({ contender }) => contender === name)
    const { healthy, healthyFailed } = rounds.reduce((sum, { summary }) => ({ healthy: sum.healthy + summary.healthy, healthyFailed: sum.healthyFailed + summary.healthyFailed }), { healthy: 0, healthyFailed: 0 })
    const again = rounds.map(({ summary }) => summary.servedAgainMs)
    const servedAgain = again.includes(undefined) ? `not within ${story.plan.recoveryS} s` : `${(Math.max(...again as number[]) / 1_000).toFixed(1)} s`
    return `| ${title} | ${rounds.length} | ${(healthyFailed / healthy * 100).toFixed(1)} % | ${median(rounds, s => s.quietP99Ms).toFixed(0)} → ${median(rounds, s => s.slowP99Ms).toFixed(0)} ms | ` +
      `${Math.max(...rounds.map(({ summary }) => summary.pendingAll))} | ${median(rounds, s => s.slowCallersMedianMs).toFixed(0)} ms | ${servedAgain} |`
  })
  const { rate, slowPercent, slowDelayMs, quietS, slowS } = story.plan
  return [
    `${rate} calls a second to five services; after ${quietS} s one of them, with ${slowPercent} % of the calls, goes from 5 ms to ${slowDelayMs / 1_000} s for ${slowS} s, then recovers.`,
    '',
    '| in front | rounds | healthy calls failed | their p99, quiet → slow | most calls pending | callers of the slow one wait (median) | it is served again after |',
    '| --- | --: | --: | --: | --: | --: | --: |',
    ...rows,
    '',
    '| Postern\'s defaults | target | measured | met |',
    '| --- | --: | --: | --- |',
    ...storyTargets(story).map(({ what, target, measured, met }) => `| ${what} | ${target} | ${measured} | ${met ? 'yes' : '**no**'} |`),
    '',
    ...story.skipped.map(reason => `**Not measured:** ${reason}\n`)
  ].join('\n')
}
