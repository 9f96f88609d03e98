// From numbers to the text Prometheus reads: prom-client formats it, a slice at a time so that a big table holds nobody up.
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Registry } from 'prom-client'
import type { MetricSpec } from './metric-table.ts'
import type { DurationHistogram } from './meters.ts'

/** A line of the exposition, as prom-client's registry takes it. */
export interface Sample {
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
  /** Where it differs from the metric's: `…_bucket`, `…_sum`, `…_count`. */
  readonly metricName?: string
}

/** Values formatted in one go: about a millisecond's work. */
const sliceSize = 500

/** A metric of ours: what it is called and where its values are read. */
export interface Source {
  readonly spec: MetricSpec
  readonly read: () => Iterable<Sample>
}

/** The samples of a histogram, read at one moment; buckets are cumulative, as the format wants them. */
export function histogramSamples (name: string, labels: Record<string, string>, histogram: DurationHistogram): Sample[] {
  const samples: Sample[] = []
  let upTo = 0
  for (const [index, bound] of histogram.bounds.entries()) {
    upTo += histogram.counts[index]!
    samples.push({ metricName: `${name}_bucket`, labels: { ...labels, le: bound }, value: upTo })
  }
  samples.push(
    { metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: histogram.count },
    { metricName: `${name}_sum`, labels, value: histogram.sumMs / 1_000 },
    { metricName: `${name}_count`, labels, value: histogram.count }
  )
  return samples
}

/** What a registry formats: prom-client's types leave out the method that takes a single metric. */
interface Formatter {
  getMetricsAsString (metric: { get (): Promise<unknown> }): Promise<string>
}

/** Text exposition format 0.0.4: what is in the registry (prom-client's own metrics of the process), then ours. */
export async function exposition (registry: Registry, sources: readonly Source[]): Promise<string> {
  const formatter = registry as unknown as Formatter
  const parts = [await registry.metrics()]
  for (const source of sources) {
    let first = true
    for (const values of slices(source.read())) {
      const { name, help, type } = source.spec
      const text = await formatter.getMetricsAsString({ get: async () => ({ name, help, type, values }) })
      // HELP and TYPE stand once, above the first slice.
      parts.push(first ? text : text.split('\n').slice(2).join('\n'))
      first = false
      if (values.length === sliceSize) await nextTurn()
    }
    parts.push('')
  }
  return `${parts.join('\n')}\n`
}

/** At least one slice, if an empty one. */
function * slices (samples: Iterable<Sample>): Generator<Sample[]> {
  let slice: Sample[] = []
  let any = false
  for (const sample of samples) {
    slice.push(sample)
    if (slice.length < sliceSize) continue
    any = true
    yield slice
    slice = []
  }
  if (slice.length > 0 || !any) yield slice
}
