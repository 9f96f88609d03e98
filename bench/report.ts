// The result of a comparison as ratios, targets and a markdown page. Pure.
import type { Comparison, Slice } from './compare.ts'
import { spread, type Spread } from './support/statistics.ts'

export interface Target { readonly scenario: string, readonly over: string, readonly limit: number }
/** What Postern is measured against: at most so many times the CPU of another. */
export const targets: readonly Target[] = [
  { scenario: 'get-small', over: 'caddy', limit: 0.6 },
  { scenario: 'get-small', over: 'http-proxy', limit: 0.75 },
  { scenario: 'get-small', over: 'tcp-relay', limit: 2.8 },
  { scenario: 'get-small', over: 'postern-unprotected', limit: 1.1 },
  { scenario: 'post-small', over: 'postern-unprotected', limit: 1.1 },
  { scenario: 'cache-hit', over: 'nginx-cache', limit: 1.7 },
  { scenario: 'cache-hit', over: 'varnish', limit: 1 }
]

export interface Line { readonly scenario: string, readonly contender: string, readonly microseconds: Spread, readonly timesOther: Spread, readonly requestsPerSecond: Spread, readonly invalid: number }
export interface TargetLine extends Target { readonly contender: string, readonly ratio: Spread, readonly met: boolean }

/**
 * CPU per request of one contender over that of another, once for each round in which both slices count.
 * Taken within a round, because what else the machine does changes from minute to minute and hits both.
 */
export const ratios = (slices: readonly Slice[], scenario: string, contender: string, over: string): number[] => {
  const valid = (name: string) => new Map(slices
    .filter(slice => slice.scenario === scenario && slice.contender === name && slice.invalid === undefined)
    .map(slice => [slice.round, slice.microsecondsPerRequest]))
  const denominators = valid(over)
  return [...valid(contender)].flatMap(([round, value]) => {
    const denominator = denominators.get(round)
    return denominator === undefined ? [] : [value / denominator]
  })
}

/** Whom a table compares with: the first of these that takes part. */
const others = ['nginx', 'nginx-cache', 'postern-unprotected']
const otherIn = (contenders: Comparison['contenders']): string => others.find(other => contenders.some(({ name }) => name === other)) ?? 'nginx'

export const lines = ({ slices, scenarios, contenders }: Comparison): Line[] =>
  scenarios.flatMap(scenario => contenders.map(contender => {
    const own = slices.filter(slice => slice.scenario === scenario.name && slice.contender === contender.name)
    const valid = own.filter(slice => slice.invalid === undefined)
    return {
      scenario: scenario.name,
      contender: contender.name,
      microseconds: spread(valid.map(slice => slice.microsecondsPerRequest)),
      timesOther: spread(ratios(slices, scenario.name, contender.name, otherIn(contenders))),
      requestsPerSecond: spread(valid.map(slice => slice.requestsPerSecond)),
      invalid: own.length - valid.length
    }
  }))

/** The targets for every protected Postern in the run; those whose other side was not measured are left out. */
export const targetLines = ({ slices, contenders }: Comparison): TargetLine[] =>
  contenders.filter(({ name }) => name.startsWith('postern') && name !== 'postern-unprotected').flatMap(({ name }) => targets.flatMap(({ scenario, over, limit }) => {
    const ratio = spread(ratios(slices, scenario, name, over))
    return ratio.count === 0 ? [] : [{ scenario, contender: name, over, limit, ratio, met: ratio.median <= limit }]
  }))

const number = (value: number, digits: number) => Number.isNaN(value) ? '–' : value.toFixed(digits)
const range = ({ median, lower, upper }: Spread, digits: number) =>
  Number.isNaN(median) ? '–' : `${number(median, digits)} (${number(lower, digits)}–${number(upper, digits)})`

/** The result as markdown: machine, a table a scenario, targets, and everything that did not count. */
export const markdown = (comparison: Comparison): string => {
  const { machine, contenders, scenarios, rounds, seconds, connections, skipped, slices } = comparison
  const title = new Map(contenders.map(contender => [contender.name, `${contender.title} (${contender.version})`]))
  const all = lines(comparison)
  const invalid = slices.filter(slice => slice.invalid !== undefined)
  const tables = scenarios.map(scenario => [
    `### ${scenario.title}`,
    '',
    `| contender | × ${otherIn(contenders)} | CPU µs a request | requests/s |`,
    '| --- | --: | --: | --: |',
    ...all.filter(line => line.scenario === scenario.name).map(line =>
      `| ${title.get(line.contender)} | ${range(line.timesOther, 2)} | ${range(line.microseconds, 1)} | ${number(line.requestsPerSecond.median, 0)} |`),
    ''
  ].join('\n'))
  const reached = targetLines(comparison)
  return [
    `${machine.cores} cores, ${machine.cpu}, Linux ${machine.kernel}, load average before the run ${machine.loadBefore.toFixed(2)}; ` +
    `${rounds} rounds, slices of ${seconds} s, ${connections} connections. Median (lower–upper quartile).`,
    '',
    ...tables,
    ...reached.length === 0
      ? []
      : ['### Targets', '', '| scenario | CPU of | over | target | measured | met |', '| --- | --- | --- | --: | --: | --- |',
          ...reached.map(line => `| ${line.scenario} | ${line.contender} | ${line.over} | ≤ ${line.limit} | ${range(line.ratio, 2)} | ${line.met ? 'yes' : '**no**'} |`), ''],
    ...skipped.map(reason => `**Not measured:** ${reason}\n`),
    ...invalid.length === 0 ? [] : [`**Slices that did not count:** ${invalid.map(slice => `round ${slice.round} ${slice.scenario} ${slice.contender}: ${slice.invalid}`).join('; ')}\n`]
  ].join('\n')
}

/** Puts a result between its two marks of the page. Throws when the page lacks them. */
export const intoPage = (page: string, result: string, name = 'result'): string => {
  const [begin, end] = [`<!-- ${name}: written by npm run bench -- --write -->`, `<!-- end of ${name} -->`]
  const from = page.indexOf(begin)
  const to = page.indexOf(end)
  if (from < 0 || to < from) throw new Error(`the page has no place for the result: ${begin} … ${end}`)
  return `${page.slice(0, from + begin.length)}\n\n${result}\n${page.slice(to)}`
}
