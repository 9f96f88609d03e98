// What a scrape shows of the cache: stored answers, fills, its second level where there is one, and outage copies.
import type { Sample } from './exposition.ts'
import type { MetricName } from './metric-table.ts'
import { byLabel, secondLevelSamples, type SecondLevelGauges } from './second-level-samples.ts'

/** What the cache tells at a scrape. */
export interface CacheGauges {
  readonly bytes: number
  readonly arriving: number
  readonly entries: number
  readonly evictions: number
  readonly purged: Readonly<Record<'operator' | 'write' | 'gateway', number>>
  readonly secondLevel: SecondLevelGauges | undefined
  readonly running: number
  readonly waiting: number
  readonly messages: Iterable<CacheMessageCounts>
  readonly outage: OutageGauges
}
export interface CacheMessageCounts {
  readonly upstream: string
  readonly message: string
  readonly results: Readonly<Record<string, number>>
  readonly forwarded: ReadonlyMap<string, number>
  readonly notStored: ReadonlyMap<string, number>
  readonly alarms: ReadonlyMap<string, number>
}
export interface OutageGauges {
  readonly held: number
  readonly missing: number
  readonly bytes: number
  /** Seconds; undefined where there is no copy. */
  readonly oldestAgeS: number | undefined
  readonly fetches: Readonly<Record<string, number>>
  readonly given: ReadonlyMap<string, { readonly upstream: string, readonly message: string, readonly count: number }>
}

type Names = Extract<MetricName, `cache${string}` | `outage${string}`>

const one = (value: number): Sample[] => [{ labels: {}, value }]

export function cacheSamples (read: () => CacheGauges | undefined): Record<Names, () => Iterable<Sample>> {
  return {
    cacheRequests: function * () {
      for (const { upstream, message, results } of read()?.messages ?? []) {
        for (const [result, value] of Object.entries(results)) if (value > 0) yield { labels: { upstream, message, result }, value }
      }
    },
    cacheForwards: () => byUpstream(read(), 'reason', ({ forwarded }) => forwarded),
    cacheNotStored: () => byUpstream(read(), 'reason', ({ notStored }) => notStored),
    cacheBytes: () => one(read()?.bytes ?? 0),
    cacheArriving: () => one(read()?.arriving ?? 0),
    cacheEntries: () => one(read()?.entries ?? 0),
    cacheEvictions: () => one(read()?.evictions ?? 0),
    ...secondLevelSamples(() => read()?.secondLevel),
    cachePurged: () => byLabel('by', read()?.purged ?? {}),
    cacheFills: () => byLabel('state', { running: read()?.running ?? 0, waiting: read()?.waiting ?? 0 }),
    cacheAlarms: () => byUpstream(read(), 'kind', ({ alarms }) => alarms),
    ...outageSamples(() => read()?.outage)
  }
}

/** Nothing where no copy is wanted. */
function outageSamples (read: () => OutageGauges | undefined): Record<Extract<Names, `outage${string}`>, () => Iterable<Sample>> {
  const of = (samples: (outage: OutageGauges) => Iterable<Sample>) => () => {
    const outage = read()
    return outage === undefined || outage.held + outage.missing === 0 ? [] : samples(outage)
  }
  return {
    outageCopies: of(({ held, missing }) => byLabel('state', { held, missing })),
    outageBytes: of(({ bytes }) => one(bytes)),
    outageAge: of(({ oldestAgeS }) => oldestAgeS === undefined ? [] : one(oldestAgeS)),
    outageFetches: of(({ fetches }) => byLabel('result', fetches)),
    outageAnswers: of(({ given }) => [...given.values()].map(({ upstream, message, count }) => ({ labels: { upstream, message }, value: count })))
  }
}

/** Counts of messages added up by upstream, where a label a message would be too many series. */
function * byUpstream (gauges: CacheGauges | undefined, label: string, counts: (one: CacheMessageCounts) => ReadonlyMap<string, number>): Generator<Sample> {
  const sums = new Map<string, Map<string, number>>()
  for (const message of gauges?.messages ?? []) {
    const sum = sums.get(message.upstream) ?? new Map<string, number>()
    sums.set(message.upstream, sum)
    for (const [key, value] of counts(message)) sum.set(key, (sum.get(key) ?? 0) + value)
  }
  for (const [upstream, sum] of sums) for (const [key, value] of sum) yield { labels: { upstream, [label]: key }, value }
}
