// What the measurement of the cache says: bytes of an entry, hits beside answers that end, whether a flood stays within its bound. Pure.

/** Of Postern's main thread after a full collection. Bytes. */
export interface CacheSample {
  /** Heap and what buffers hold beside it. */
  readonly liveBytes: number
  readonly rss: number
  readonly entries: number
  /** As the cache itself counts. */
  readonly storedBytes: number
}

/** Hits on one fresh answer as their client saw them, ms. `ended`: while all of `beside` were asked for that had just ended. */
export interface HitPhase {
  readonly kind: 'fresh' | 'ended'
  readonly p50: number
  readonly p99: number
  readonly max: number
  readonly failed: number
  /** Requests of the others. */
  readonly beside: number
}

export interface CacheResult {
  readonly bodyBytes: number
  readonly few: CacheSample
  readonly filled: CacheSample
  readonly phases: readonly HitPhase[]
  readonly floodRequests: number
  readonly flooded: CacheSample
  /** What the configuration gives the cache. */
  readonly maxBytes: number
}

/** What came to be live may be so many times what the cache counts. */
const mostTimesCounted = 1

export const judgeCache = ({ bodyBytes, few, filled, phases, flooded, maxBytes }: CacheResult) => {
  const entryBytes = (filled.liveBytes - few.liveBytes) / (filled.entries - few.entries)
  const uncounted = (flooded.liveBytes - few.liveBytes) / (flooded.storedBytes - few.storedBytes)
  const failed = phases.reduce((sum, phase) => sum + phase.failed, 0)
  const bounded = flooded.storedBytes <= maxBytes && uncounted <= mostTimesCounted
  return { entryBytes, overheadBytes: entryBytes - bodyBytes, uncounted, met: bounded && failed === 0 }
}

const megabytes = (bytes: number) => (bytes / 1_048_576).toFixed(1)

/** The result as text. */
export const describeCache = (result: CacheResult): string => {
  const { bodyBytes, few, filled, phases, floodRequests, flooded, maxBytes } = result
  const { entryBytes, overheadBytes, uncounted, met } = judgeCache(result)
  const row = (name: string, { entries, storedBytes, liveBytes, rss }: CacheSample) => `| ${name} | ${entries} | ${megabytes(storedBytes)} | ${megabytes(liveBytes)} | ${megabytes(rss)} |`
  return [
    '| | entries | counted MB | live MB | resident MB |',
    '| --- | --: | --: | --: | --: |',
    row('few', few),
    row('filled', filled),
    row(`after ${floodRequests} requests for keys that never come again`, flooded),
    '',
    `An entry of ${bodyBytes} bytes takes ${entryBytes.toFixed(0)}: ${overheadBytes.toFixed(0)} of overhead, its head and key among them.`,
    `The flood leaves ${megabytes(flooded.storedBytes)} MB by the cache's count (at most ${megabytes(maxBytes)}); what came to be live since the few is ${uncounted.toFixed(2)} times what is counted (at most ${mostTimesCounted}).`,
    '',
    '| hits beside answers that | p50 ms | p99 ms | slowest ms | failed | requests of the others |',
    '| --- | --: | --: | --: | --: | --: |',
    ...phases.map(({ kind, p50, p99, max, failed, beside }) => `| ${kind === 'fresh' ? 'are fresh' : 'have all just ended'} | ${[p50, p99, max].map(ms => ms.toFixed(1)).join(' | ')} | ${failed} | ${beside} |`),
    '',
    met ? 'Met.' : '**Not met.**',
    ''
  ].join('\n')
}
