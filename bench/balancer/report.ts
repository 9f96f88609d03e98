// The simulation as the tables of docs/BALANCING.md. Pure.
import type { simulateNewcomer, simulateZone, StrategyResult } from './fleet.ts'

const percent = (share: number, digits = 1) => `${(share * 100).toFixed(digits)} %`

export interface BalancerResults {
  readonly strategies: readonly StrategyResult[]
  readonly newcomer: ReturnType<typeof simulateNewcomer>
  readonly zone: ReturnType<typeof simulateZone>
}

export function balancerMarkdown ({ strategies, newcomer, zone }: BalancerResults): string {
  return [
    '### Ten endpoints: one 10 × slower, one that fails at once, one in another zone (8 ms away)',
    '',
    '| strategy | p50 | p99 | calls failed | each normal one gets | slow | failing | other zone |',
    '| --- | --: | --: | --: | --: | --: | --: | --: |',
    ...strategies.map(({ title, p50Ms, p99Ms, failed, shares }) => {
      const normal = Object.entries(shares).filter(([name]) => name.startsWith('normal')).map(([, share]) => share)
      const range = `${(Math.min(...normal) * 100).toFixed(1)}–${percent(Math.max(...normal))}`
      return `| ${title} | ${p50Ms.toFixed(1)} ms | ${p99Ms.toFixed(1)} ms | ${percent(failed, 2)} | ${range} | ${percent(shares['slow']!, 2)} | ${percent(shares['failing']!, 2)} | ${percent(shares['other zone']!)} |`
    }),
    '',
    '### A tenth endpoint joins nine (an equal share is 10 %)',
    '',
    `| seconds after it joined | ${newcomer.map(({ seconds }, index) => `${newcomer[index - 1]?.seconds ?? 0}–${seconds}`).join(' | ')} |`,
    `| --- |${newcomer.map(() => ' --: |').join('')}`,
    `| it gets | ${newcomer.map(({ share }) => percent(share)).join(' | ')} |`,
    '',
    '### Four endpoints in the own zone, four in another',
    '',
    `| of the own ones gone | ${zone.map(({ gone }) => gone).join(' | ')} |`,
    `| --- |${zone.map(() => ' --: |').join('')}`,
    `| calls that leave the zone | ${zone.map(({ elsewhere }) => percent(elsewhere)).join(' | ')} |`,
    ''
  ].join('\n')
}
