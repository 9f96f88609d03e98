// What a scrape shows of the cache's second level: nothing where there is none.
import type { Sample } from './exposition.ts'

export interface SecondLevelGauges {
  readonly up: boolean
  readonly reads: Readonly<Record<string, number>>
  readonly bytesRead: number
  readonly writes: { readonly counts: Readonly<Record<string, number>>, readonly bytesWritten: number }
  readonly purges: { readonly told: number, readonly heard: number, readonly late: number }
}

/** One series a name. */
export function byLabel (label: string, counts: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(counts).map(([name, value]) => ({ labels: { [label]: name }, value }))
}

type Names = 'cacheSecondUp' | 'cacheSecondReads' | 'cacheSecondWrites' | 'cacheSecondBytes' | 'cacheSecondPurges'

export function secondLevelSamples (read: () => SecondLevelGauges | undefined): Record<Names, () => Sample[]> {
  const of = (samples: (second: SecondLevelGauges) => Sample[]) => () => {
    const second = read()
    return second === undefined ? [] : samples(second)
  }
  return {
    cacheSecondUp: of(({ up }) => [{ labels: {}, value: up ? 1 : 0 }]),
    cacheSecondReads: of(({ reads }) => byLabel('result', reads)),
    cacheSecondWrites: of(({ writes }) => byLabel('result', writes.counts)),
    cacheSecondBytes: of(({ bytesRead, writes }) => byLabel('direction', { read: bytesRead, written: writes.bytesWritten })),
    cacheSecondPurges: of(({ purges: { told, heard, late } }) => byLabel('direction', { told, heard, late }))
  }
}
