// How often and how long route tables were built, as the gateway's own histogram says. Pure.

export interface Builds {
  readonly count: number
  readonly sumMs: number
  /** By upper bound in ms: how many took no longer. */
  readonly below: ReadonlyMap<number, number>
}

/** What was built between two readings. */
export interface BuildTimes {
  readonly count: number
  readonly meanMs: number
  /** The bound of the histogram that none went over. */
  readonly atMostMs: number
}

/** Reads the text of /metrics. Throws when the histogram is not in it. */
export const parseBuilds = (metrics: string): Builds => {
  const value = (name: string): number => {
    const found = new RegExp(`^postern_table_build_seconds_${name} (\\S+)$`, 'm').exec(metrics)?.[1]
    if (found === undefined) throw new Error('the gateway exports no postern_table_build_seconds')
    return Number(found)
  }
  const buckets = [...metrics.matchAll(/^postern_table_build_seconds_bucket\{le="([^"]+)"\} (\S+)$/mg)]
  return {
    count: value('count'),
    sumMs: value('sum') * 1_000,
    below: new Map(buckets.map(([, bound, count]) => [bound === '+Inf' ? Infinity : Number(bound) * 1_000, Number(count)]))
  }
}

export const between = (before: Builds, after: Builds): BuildTimes => {
  const count = after.count - before.count
  const bound = [...after.below].sort(([a], [b]) => a - b).find(([le, n]) => n - (before.below.get(le) ?? 0) === count)
  return { count, meanMs: count === 0 ? 0 : (after.sumMs - before.sumMs) / count, atMostMs: bound?.[0] ?? Infinity }
}
