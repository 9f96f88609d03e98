// Whether a series of samples says that requests leave nothing behind. Pure.
import { quantile, slope } from '../support/statistics.ts'

/** What is live after a full garbage collection, with nothing under way. */
export interface Sample {
  /** Requests since the warm-up, those that were given up included. */
  readonly requests: number
  /** Bytes. */
  readonly heapUsed: number
  readonly external: number
  readonly rss: number
  /** Objects of setTimeout and setInterval, listeners on event emitters, and what keeps the event loop alive (sockets, timers). */
  readonly timers: number
  readonly listeners: number
  readonly handles: number
}

export interface Verdict {
  /** Live heap and external memory that stay for each request; bytes. */
  readonly bytesPerRequest: number
  /** How much higher the resident set is in the last quarter than in the second; bytes. */
  readonly residentGrowth: number
  /** How many more of each there are in the last quarter than in the first. */
  readonly left: Readonly<Record<Countable, number>>
  readonly flat: boolean
}

const countables = ['timers', 'listeners', 'handles'] as const
type Countable = typeof countables[number]

/** Half of the least that JavaScript can keep for a request, one slot of 8 bytes in a list. Measured on the live heap, after collection. */
const mostBytesPerRequest = 4
/** V8 moves its young generation by up to 32 MB, and malloc keeps what it once had; a leak of 64 bytes a request is as much. */
const mostResidentGrowth = 32 * 1_048_576
/** Idle connections to endpoints come and go, each with a timer and some listeners. One for each of the rarest kind of failure would be thousands. */
const mostLeft: Readonly<Record<Countable, number>> = { timers: 150, listeners: 1_500, handles: 150 }

/** The part of the series, as quarters: the middle value of what `of` says. */
function inQuarter (samples: readonly Sample[], quarter: 1 | 2 | 4, of: (sample: Sample) => number): number {
  const length = Math.max(1, Math.floor(samples.length / 4))
  const from = quarter === 4 ? samples.length - length : Math.min((quarter - 1) * length, samples.length - 1)
  return quantile(samples.slice(from, from + length).map(of), 0.5)
}

/**
 * Flat, when neither the live heap nor the counts grow with the requests, nor what the process holds beside its heap. The resident set of the
 * first quarter is warm-up: code is still compiled, and heap spaces are still grown to their size under this load.
 */
export const judge = (samples: readonly Sample[]): Verdict => {
  const bytesPerRequest = slope(samples.map(({ requests, heapUsed, external }) => [requests, heapUsed + external]))
  const residentGrowth = inQuarter(samples, 4, ({ rss }) => rss) - inQuarter(samples, 2, ({ rss }) => rss)
  const grown = (what: Countable) => inQuarter(samples, 4, sample => sample[what]) - inQuarter(samples, 1, sample => sample[what])
  const left = { timers: grown('timers'), listeners: grown('listeners'), handles: grown('handles') }
  const flat = bytesPerRequest <= mostBytesPerRequest && residentGrowth <= mostResidentGrowth && countables.every(what => left[what] <= mostLeft[what])
  return { bytesPerRequest, residentGrowth, left, flat }
}

const megabytes = (bytes: number) => (bytes / 1_048_576).toFixed(1)

/** The series and the verdict as text. */
export const describe = (samples: readonly Sample[], { bytesPerRequest, residentGrowth, left, flat }: Verdict): string => [
  '| requests | live heap MB | external MB | resident MB | timers | listeners | handles |',
  '| --: | --: | --: | --: | --: | --: | --: |',
  ...samples.map(({ requests, heapUsed, external, rss, timers, listeners, handles }) =>
    `| ${requests} | ${megabytes(heapUsed)} | ${megabytes(external)} | ${megabytes(rss)} | ${timers} | ${listeners} | ${handles} |`),
  '',
  `Live memory grows by ${bytesPerRequest.toFixed(2)} bytes a request (at most ${mostBytesPerRequest}: half of the least that can be kept for one).`,
  `The resident set of the last quarter is ${megabytes(residentGrowth)} MB above that of the second (at most ${megabytes(mostResidentGrowth)}).`,
  `From the first quarter to the last: ${countables.map(what => `${left[what]} ${what} (at most ${mostLeft[what]})`).join(', ')}.`,
  flat ? 'Flat.' : '**Not flat.**',
  ''
].join('\n')
