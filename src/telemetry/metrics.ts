// What is measured and how it is exported: meters for the request path, callbacks for what lives elsewhere, prom-client for the exposition.
import { collectDefaultMetrics, Registry } from 'prom-client'
import { metricTable, type MetricName } from './metric-table.ts'
import { DurationHistogram, EndpointMeter, PartMeter, RouteMeter, UpstreamMeter } from './meters.ts'
import type { FaultCounts, RegistryGauges, TableGauges, UpstreamGauges, EndpointGauges } from './gauges.ts'
import { exposition, histogramSamples, type Sample, type Source } from './exposition.ts'
import { cacheSamples, type CacheGauges } from './cache-samples.ts'

export { metricTable } from './metric-table.ts'
export type { EndpointMeter, PartMeter, RouteMeter } from './meters.ts'

export interface Metrics {
  /** The same meter for the same names, so counts live on over a swap. */
  routeMeter (upstream: string, message: string): RouteMeter
  endpointMeter (upstream: string, url: string): EndpointMeter
  /** For the exchanges of a part of a split. Parts are named by postern.yaml. */
  partMeter (upstream: string, part: string): PartMeter
  /** A copy for this upstream is over, or was not made. */
  copied (upstream: string, result: 'success' | 'failure' | 'ignored' | 'dropped'): void
  parts (): Iterable<{ readonly upstream: string, readonly part: PartMeter }>
  /** For exchanges that found no route: names a client made up are never labels. */
  readonly unrouted: RouteMeter
  /** What left the table leaves the exposition. Exchanges still under way count on, unseen. */
  removeMessage (upstream: string, message: string): void
  removeEndpoint (upstream: string, url: string): void
  removeUpstream (upstream: string): void

  tableSwapped (buildMs: number): void
  configReloaded (result: 'accepted' | 'refused'): void
  registryErrors (registry: string, more: number): void

  observeUpstreams (read: () => Iterable<UpstreamGauges>): void
  observeRegistries (read: () => Iterable<RegistryGauges>): void
  observeTable (read: () => TableGauges): void
  observeCache (read: () => CacheGauges): void
  observeClientConnections (read: () => number): void
  observeFaults (read: () => FaultCounts): void
  observeShedding (read: () => { readonly level: number, readonly delayMs: number }): void
  observeReady (read: () => boolean): void
  observeLogDropped (read: () => number): void

  /** The exposition. Made in slices, so that 20,000 messages hold nobody up. */
  text (): Promise<string>
  readonly contentType: string
}

interface UpstreamEntry {
  readonly meter: UpstreamMeter
  readonly routes: Map<string, RouteMeter>
  readonly endpoints: Map<string, EndpointMeter>
  readonly parts: Map<string, PartMeter>
}

const maxRegistries = 16
const breakerNumbers = { closed: 0, 'half-open': 1, open: 2 } as const
const codeClasses = ['other', '1xx', '2xx', '3xx', '4xx', '5xx'] as const

export function createMetrics (options: { version?: string, processMetrics?: boolean } = {}): Metrics {
  const registry = new Registry()
  if (options.processMetrics ?? true) collectDefaultMetrics({ register: registry })

  const upstreams = new Map<string, UpstreamEntry>()
  const entry = (name: string): UpstreamEntry => {
    let found = upstreams.get(name)
    if (found === undefined) {
      found = { meter: new UpstreamMeter(name, metricTable.duration.buckets), routes: new Map(), endpoints: new Map(), parts: new Map() }
      upstreams.set(name, found)
    }
    return found
  }
  // Kept apart from the table, so that no upstream's name can stand for it.
  const nowhere: UpstreamEntry = { meter: new UpstreamMeter('', metricTable.duration.buckets), routes: new Map(), endpoints: new Map(), parts: new Map() }
  const unrouted = new RouteMeter(nowhere.meter, '')
  nowhere.routes.set('', unrouted)

  const tableBuild = new DurationHistogram(metricTable.tableBuild.buckets)
  const reloads = { accepted: 0, refused: 0 }
  const registryErrors = new Map<string, number>()

  let readUpstreams: () => Iterable<UpstreamGauges> = () => []
  let readRegistries: () => Iterable<RegistryGauges> = () => []
  let readCache: () => CacheGauges | undefined = () => undefined
  let readTable: () => TableGauges = () => ({ routes: {}, conflicts: 0, registrations: {}, moves: {}, dropped: {}, stale: {} })
  let readClientConnections = () => 0
  let readFaults: () => FaultCounts = () => []
  let readShedding = () => ({ level: 0, delayMs: 0 })
  let readReady = () => false
  let readLogDropped = () => 0

  function * entries (): Generator<UpstreamEntry> {
    yield * upstreams.values()
    if (unrouted.byClass.some(count => count > 0)) yield nowhere
  }
  function * each (of: (one: UpstreamEntry) => Iterable<Sample>): Generator<Sample> {
    for (const one of entries()) yield * of(one)
  }
  function * eachEndpoint (of: (labels: { upstream: string, endpoint: string }, one: EndpointGauges) => Iterable<Sample>): Generator<Sample> {
    for (const one of readUpstreams()) {
      for (const endpoint of one.endpoints) yield * of({ upstream: one.name, endpoint: endpoint.url }, endpoint)
    }
  }
  function * eachBalance (of: (one: { readonly share: number, readonly scoreMs: number }) => number): Generator<Sample> {
    for (const { name, balance } of readUpstreams()) {
      for (const [{ url }, one] of balance()) yield { labels: { upstream: name, endpoint: url }, value: of(one) }
    }
  }
  function * byClass (labels: Record<string, string>, counted: { readonly byClass: readonly number[] }): Generator<Sample> {
    for (const [index, value] of counted.byClass.entries()) if (value > 0) yield { labels: { ...labels, code: codeClasses[index]! }, value }
  }
  function * eachUpstream (of: (one: UpstreamGauges) => number): Generator<Sample> {
    for (const one of readUpstreams()) yield { labels: { upstream: one.name }, value: of(one) }
  }
  const one = (value: number): Sample[] => [{ labels: {}, value }]

  const read: Record<MetricName, () => Iterable<Sample>> = {
    requests: () => each(function * ({ meter, routes }) {
      for (const route of routes.values()) yield * byClass({ upstream: meter.name, message: route.message }, route)
    }),
    duration: () => each(({ meter }) => histogramSamples(metricTable.duration.name, { upstream: meter.name }, meter.duration)),
    inFlight: () => each(({ meter }) => [{ labels: { upstream: meter.name }, value: meter.inFlight }]),
    queue: () => eachUpstream(({ bulkhead }) => bulkhead.queued),
    queueLimit: () => eachUpstream(({ bulkhead }) => bulkhead.maxQueue),
    bulkheadInFlight: () => eachUpstream(({ bulkhead }) => bulkhead.inFlight),
    bulkheadLimit: () => eachUpstream(({ bulkhead }) => bulkhead.limit),
    bulkheadRejections: function * () {
      for (const { name, bulkhead } of readUpstreams()) {
        for (const { limit, priority, count } of bulkhead.rejections) yield { labels: { upstream: name, limit, priority }, value: count }
      }
    },
    attempts: () => each(function * ({ meter, endpoints }) {
      for (const endpoint of endpoints.values()) {
        for (const outcome of ['success', 'failure', 'ignored'] as const) {
          if (endpoint[outcome] > 0) yield { labels: { upstream: meter.name, endpoint: endpoint.url, outcome }, value: endpoint[outcome] }
        }
      }
    }),
    attemptDuration: () => each(({ meter }) => meter.attemptDuration.count === 0 ? [] : histogramSamples(metricTable.attemptDuration.name, { upstream: meter.name }, meter.attemptDuration)),
    retries: () => each(({ meter }) => [{ labels: { upstream: meter.name }, value: meter.retries }]),
    parts: () => each(function * ({ meter, parts }) {
      for (const part of parts.values()) yield * byClass({ upstream: meter.name, part: part.name }, part)
    }),
    partDuration: () => each(function * ({ meter, parts }) {
      for (const part of parts.values()) yield * histogramSamples(metricTable.partDuration.name, { upstream: meter.name, part: part.name }, part.duration)
    }),
    hedges: () => each(({ meter }) => [{ labels: { upstream: meter.name }, value: meter.hedges }]),
    mirrored: () => each(function * ({ meter }) {
      for (const [result, value] of Object.entries(meter.copies)) if (value > 0) yield { labels: { upstream: meter.name, result }, value }
    }),
    retriesRefused: () => eachUpstream(({ retryBudget }) => retryBudget.refused),
    retryBudget: () => eachUpstream(({ retryBudget }) => retryBudget.left),
    rejections: () => each(function * ({ meter }) {
      for (const [reason, value] of meter.rejections) yield { labels: { upstream: meter.name, reason }, value }
    }),
    breaker: () => eachEndpoint((labels, { breaker }) => [{ labels, value: breakerNumbers[breaker] }]),
    breakerOfMessage: function * () {
      for (const { name, breakers } of readUpstreams()) for (const { message, state } of breakers) yield { labels: { upstream: name, message }, value: breakerNumbers[state] }
    },
    breakerHeld: function * () {
      for (const { name, held } of readUpstreams()) for (const at of ['open', 'closed'] as const) if (held[at] > 0) yield { labels: { upstream: name, held: at }, value: held[at] }
    },
    ejected: () => eachEndpoint((labels, { ejected }) => ejected ? [{ labels, value: 1 }] : []),
    degraded: () => each(function * ({ meter }) {
      for (const answer of ['fixed', 'upstream'] as const) if (meter.degraded[answer] > 0) yield { labels: { upstream: meter.name, answer }, value: meter.degraded[answer] }
    }),
    endpointAvailable: () => eachEndpoint((labels, { available }) => [{ labels, value: available ? 1 : 0 }]),
    endpointInFlight: () => eachEndpoint((labels, { inFlight }) => [{ labels, value: inFlight }]),
    endpointLimit: () => eachEndpoint((labels, { limit }) => limit === undefined ? [] : [{ labels, value: limit }]),
    endpointShare: () => eachBalance(({ share }) => share),
    endpointScore: () => eachBalance(({ scoreMs }) => scoreMs / 1_000),
    overflow: () => eachUpstream(({ overflowed }) => overflowed),
    pool: () => eachEndpoint((labels, { busy, idle }) => [{ labels: { ...labels, state: 'busy' }, value: busy }, { labels: { ...labels, state: 'idle' }, value: idle }]),
    ...cacheSamples(() => readCache()),
    clientConnections: () => one(readClientConnections()),
    registryUp: function * () {
      for (const { registry, ok } of readRegistries()) yield { labels: { registry }, value: ok ? 1 : 0 }
    },
    registryAge: function * () {
      const now = Date.now()
      for (const { registry, lastGoodAt } of readRegistries()) {
        if (lastGoodAt !== undefined) yield { labels: { registry }, value: Math.max(0, now - lastGoodAt) / 1_000 }
      }
    },
    registryErrors: function * () {
      for (const [registry, value] of registryErrors) yield { labels: { registry }, value }
    },
    routes: function * () {
      for (const [state, value] of Object.entries(readTable().routes)) yield { labels: { state }, value }
    },
    conflicts: () => one(readTable().conflicts),
    stateKept: () => {
      const { stateKept } = readTable()
      return stateKept === undefined ? [] : one(stateKept ? 1 : 0)
    },
    registrations: function * () {
      for (const [state, value] of Object.entries(readTable().registrations)) yield { labels: { state }, value }
    },
    registryDropped: function * () {
      const { dropped } = readTable()
      for (const { registry } of readRegistries()) yield { labels: { registry }, value: dropped[registry] ?? 0 }
    },
    registryStale: function * () {
      const { stale } = readTable()
      for (const { registry } of readRegistries()) yield { labels: { registry }, value: stale[registry] ?? 0 }
    },
    moves: function * () {
      for (const [reason, value] of Object.entries(readTable().moves)) yield { labels: { reason }, value }
    },
    tableSwaps: () => one(tableBuild.count),
    tableBuild: () => histogramSamples(metricTable.tableBuild.name, {}, tableBuild),
    configReloads: () => [{ labels: { result: 'accepted' }, value: reloads.accepted }, { labels: { result: 'refused' }, value: reloads.refused }],
    faults: function * () {
      for (const [upstream, counts] of readFaults()) {
        for (const [fault, value] of Object.entries(counts)) if (value > 0) yield { labels: { upstream, fault }, value }
      }
    },
    shedLevel: () => one(readShedding().level),
    shedDelay: () => one(readShedding().delayMs / 1_000),
    ready: () => one(readReady() ? 1 : 0),
    logDropped: () => one(readLogDropped()),
    build: () => [{ labels: { version: options.version ?? '', node: process.version }, value: 1 }]
  }
  const sources: Source[] = (Object.keys(metricTable) as MetricName[]).map(name => ({ spec: metricTable[name], read: read[name] }))

  return {
    routeMeter (upstream, message) {
      const of = entry(upstream)
      let meter = of.routes.get(message)
      if (meter === undefined) of.routes.set(message, meter = new RouteMeter(of.meter, message))
      return meter
    },
    endpointMeter (upstream, url) {
      const of = entry(upstream)
      let meter = of.endpoints.get(url)
      if (meter === undefined) of.endpoints.set(url, meter = new EndpointMeter(of.meter, url))
      return meter
    },
    copied (upstream, result) { entry(upstream).meter.copies[result]++ },
    partMeter (upstream, part) {
      const { parts } = entry(upstream)
      let meter = parts.get(part)
      if (meter === undefined) parts.set(part, meter = new PartMeter(part, metricTable.partDuration.buckets))
      return meter
    },
    * parts () {
      for (const { meter, parts } of entries()) for (const part of parts.values()) yield { upstream: meter.name, part }
    },
    unrouted,
    removeMessage (upstream, message) { upstreams.get(upstream)?.routes.delete(message) },
    removeEndpoint (upstream, url) { upstreams.get(upstream)?.endpoints.delete(url) },
    removeUpstream (upstream) { upstreams.delete(upstream) },
    tableSwapped (buildMs) { tableBuild.observe(buildMs) },
    configReloaded (result) { reloads[result]++ },
    registryErrors (name, more) {
      if (registryErrors.size < maxRegistries || registryErrors.has(name)) registryErrors.set(name, (registryErrors.get(name) ?? 0) + more)
    },
    observeUpstreams (callback) { readUpstreams = callback },
    observeRegistries (callback) { readRegistries = callback },
    observeTable (callback) { readTable = callback },
    observeCache (callback) { readCache = callback },
    observeClientConnections (callback) { readClientConnections = callback },
    observeFaults (callback) { readFaults = callback },
    observeShedding (callback) { readShedding = callback },
    observeReady (callback) { readReady = callback },
    observeLogDropped (callback) { readLogDropped = callback },
    text: () => exposition(registry, sources),
    contentType: registry.contentType
  }
}
