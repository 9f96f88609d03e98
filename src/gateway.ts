// The composition root: builds every part and hands it to the next. No behaviour of its own.
import { cacheActions } from './admin/cache.ts'
import { createBreakerBoard } from './admin/breaker-board.ts'
import { breakerActions } from './admin/breakers.ts'
import { cachePutAction } from './admin/cache-put.ts'
import { createAdmin, type Admin } from './admin/server.ts'
import { settleAction } from './admin/settle.ts'
import { splitsAction } from './admin/splits.ts'
import { faultActions } from './admin/faults.ts'
import { configInForce } from './config/changes.ts'
import type { Cache } from './cache/cache.ts'
import { createCacheParts } from './cache-parts.ts'
import type { Outage } from './cache/outage/outage.ts'
import type { Config } from './config/schema.ts'
import { createControlPlane, type ControlPlane } from './control/control-plane.ts'
import { noCounts, noMoves } from './control/protocol.ts'
import { DataPlane, type DataPlaneEvents } from './data-plane.ts'
import { Deadlines } from './exchange/deadlines.ts'
import { Faults } from './filters/faults.ts'
import { observe, refusal } from './filters/observe.ts'
import { ShedSampler } from './filters/shed-sampler.ts'
import { createListener, type GatewayCore, type Listener } from './listener/server.ts'
import { buildPipeline, type PipelineParts } from './pipeline.ts'
import { createLog, type Log } from './telemetry/log.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'
import type { OwnGetRules } from './routing/own-get.ts'
import { eachRejection } from './upstream/bulkhead.ts'
import { createHoldsFile } from './upstream/holds-file.ts'
import { lastHeard } from './upstream/last-heard.ts'
import { leftOut, watchLeftOut } from './upstream/left-out.ts'
import { version } from './version.ts'

export interface Gateway {
  /** Listens, then starts the control plane. Before the first table every call is answered 503 RoutesNotReady. */
  start (): Promise<void>
  /** Puts a new configuration into force, whole, in one turn of the event loop: settles when table, policies and listener have it, or a newer one overtakes it. */
  reload (config: Config): Promise<void>
  /** Counts a configuration that was refused. */
  reloadRefused (): void
  readonly addresses: { readonly listener: string, readonly admin: string, readonly embedded: string | undefined }
  readonly ready: boolean
  readonly log: Log
  /** Readiness off, what is in flight finishes (at most config.drainMs), then everything is closed. */
  drain (): Promise<void>
  close (): Promise<void>
}

export interface GatewayOptions {
  readonly log?: Log
  /** The request path; the benchmark measures what it costs by giving another one. */
  readonly buildPipeline?: typeof buildPipeline
}

export async function createGateway (config: Config, options: GatewayOptions = {}): Promise<Gateway> {
  const { buildPipeline: build = buildPipeline } = options
  const log = options.log ?? createLog(config.log)
  const metrics = createMetrics({ version })
  const ownGets: OwnGetRules = { match: (target, method) => dataPlane.match(target, method), get correlationHeader () { return dataPlane.config.edge.correlationHeader } }
  const listenerUrl = () => toUrl(listener!.addresses[0]!)
  const { cache, outage, kept } = createCacheParts({ config, log, dataPlane: () => dataPlane, gets: ownGets, base: listenerUrl })
  const faults = new Faults()
  const sampler = new ShedSampler(config.shedding, { changed: (level, facts) => log.warn({ level, ...facts }, level === 0 ? 'overload is over' : 'overloaded: work is refused by priority') })
  const parts: PipelineParts = {
    caching: { cache, get correlationHeader () { return dataPlane.config.edge.correlationHeader } },
    copies: { outage, get correlationHeader () { return dataPlane.config.edge.correlationHeader } },
    observe: observe(log),
    deadlines: new Deadlines(),
    shedding: sampler.gauge,
    faults,
    mirroring: { upstreamNamed: name => dataPlane.upstreamNamed(name), count: (upstream, result) => metrics.copied(upstream, result), timedOut: (service, message, { code: error, detail }) => log.warn({ service, message, error, detail }, 'a mirrored copy took too long') },
    splitting: { upstreamNamed: name => dataPlane.upstreamNamed(name), meter: (upstream, part) => metrics.partMeter(upstream, part) }
  }
  const holdsFile = createHoldsFile(config.dataDirectory, (problem, err) => log.error({ err }, problem))
  const dataPlane: DataPlane = new DataPlane({ config, events: dataPlaneEvents({ log, metrics, cache, outage, recheck: (url, why, mayWait) => control?.recheck(url, why, mayWait) ?? Promise.resolve(), onEndpoint: () => leftOutWatch.changed(), onHeld: () => holdsFile.save(() => dataPlane.holds.all) }), buildPipeline: (policy, config) => build(parts, policy, config), meter: (upstream, route) => metrics.routeMeter(upstream, route), ...kept })
  const state = { draining: false, generation: 1, current: config }
  let listener: Listener | undefined
  let admin: Admin | undefined
  let control: ControlPlane | undefined
  const leftOutWatch = watchLeftOut(() => leftOut(dataPlane.upstreams), all => control?.leaveOut(all))

  const core: GatewayCore = {
    match: (target, method) => dataPlane.match(target, method),
    endpointAt: (host, path) => dataPlane.endpointAt(host, path),
    refused: refusalRecorder(log, metrics),
    log
  }
  metrics.observeFaults(() => faults.injected)
  metrics.observeShedding(() => sampler.gauge)
  observeLive(metrics, { log, dataPlane, cache, outage, control: () => control, listener: () => listener, ready: () => dataPlane.ready && !state.draining })

  let closing: Promise<void> | undefined
  const close = () => (closing ??= (async () => {
    leftOutWatch.close()
    await Promise.all([listener?.close(), admin?.close(), control?.close()])
    sampler.close()
    await holdsFile.written()
    await outage.close()
    dataPlane.close()
    await cache.close()
    await log.close()
  })())
  return {
    async start () {
      try {
        for (const hold of await holdsFile.load()) dataPlane.holds.set(hold)
        await cache.load()
        await outage.load()
        listener = await createListener({ config: config.listener, edge: config.edge, gateway: core })
        admin = await createAdmin({
          config: config.admin,
          core: {
            ready: () => readiness(dataPlane.ready, state.draining),
            metricsText: () => metrics.text(),
            metricsContentType: metrics.contentType,
            describe: what => control!.describe(what),
            cachedNames: () => dataPlane.departed,
            upstreamStates: () => upstreamStates(dataPlane),
            actions: [...cacheActions(cache, outage, { message: name => dataPlane.knows(name), service: name => [...dataPlane.upstreams].some(upstream => upstream.name.toLowerCase() === name.toLowerCase()) }), cachePutAction({ cache, base: listenerUrl, gets: ownGets }), ...faultActions({ faults, allowed: () => dataPlane.config.faults.allow, isKnown: name => dataPlane.knows(name), told: (what, fields) => log.warn(fields, what) }), splitsAction(() => metrics.parts()), ...breakerActions(createBreakerBoard(dataPlane, holdsFile)), settleAction(wish => control!.settle(wish))],
            configView: () => state.current,
            version
          },
          log
        })
        const ownListeners = [...listener.addresses, ...admin.addresses].map(({ host, port }) => ({ host, port }))
        const onRegistryErrors = (registry: string, more: number) => metrics.registryErrors(registry, more)
        control = createControlPlane({ config, log, ownListeners, onChanges: batch => dataPlane.apply(batch), lastHeard: urls => lastHeard(dataPlane.upstreams, urls), onRegistryErrors })
        await control.start()
        outage.start()
      } catch (error) {
        await close()
        throw error
      }
    },
    async reload (next) {
      const takeListener = listener?.prepare(next.listener, next.edge)
      const generation = ++state.generation
      const inForce = dataPlane.expect(next, generation, () => {
        takeListener?.()
        sampler.gauge.limits = next.shedding
        if (!next.faults.allow) faults.clearAll()
        cache.configure(next)
        outage.configure(next)
        state.current = configInForce(config, next)
        metrics.configReloaded('accepted')
        log.info({ generation }, 'configuration in force')
      })
      control?.configure(next, generation)
      await inForce
    },
    reloadRefused () { metrics.configReloaded('refused') },
    get addresses () {
      return { listener: listenerUrl(), admin: toUrl({ scheme: 'http', ...admin!.addresses[0]! }), embedded: control?.status().embeddedUrl }
    },
    get ready () { return dataPlane.ready && !state.draining },
    log,
    async drain () {
      state.draining = true
      log.info({ drainMs: state.current.drainMs }, 'draining')
      await listener?.drain(state.current.drainMs)
      await close()
    },
    close
  }
}

const toUrl = ({ scheme, host, port }: { scheme: string, host: string, port: number }): string => `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`

function readiness (hasTable: boolean, draining: boolean): { ready: boolean, reason: string } {
  if (draining) return { ready: false, reason: 'draining' }
  return hasTable ? { ready: true, reason: 'ready' } : { ready: false, reason: 'no route table yet' }
}

interface Told {
  readonly log: Log
  readonly metrics: Metrics
  readonly cache: Cache
  readonly outage: Outage
  readonly recheck: ControlPlane['recheck']
  /** Whether it may be called has changed. */
  readonly onEndpoint: () => void
  readonly onHeld: () => void
}

function dataPlaneEvents ({ log, metrics, cache, outage, recheck, onEndpoint, onHeld }: Told): DataPlaneEvents {
  return {
    upstream: service => ({
      breaker: (message, breaker, cause) => log.warn({ service, message, breaker, ...cause }, 'breaker changed'),
      endpoint: endpoint => {
        const meter = metrics.endpointMeter(service, endpoint)
        return {
          breaker: (breaker, cause) => { log.warn({ service, endpoint, breaker, ...cause }, 'breaker changed'); onEndpoint() },
          whoIsThere: (why, mayWait) => recheck(endpoint, why, mayWait),
          // Whether it is dead may decide whose a name is.
          lost: () => recheck(endpoint, 'lost'),
          reachable: (reachable, reason) => {
            log.warn({ service, endpoint, reachable, reason }, 'endpoint reachability changed')
            onEndpoint()
          },
          paused: ms => { log.warn({ service, endpoint, ms: Math.round(ms) }, 'endpoint asked for a pause'); onEndpoint() },
          ejected: (reason, ms) => { log.warn({ service, endpoint, ejected: reason !== undefined, reason, ms: Math.round(ms) }, 'endpoint ejection changed'); onEndpoint() },
          doubted: () => { void recheck(endpoint, 'doubted') },
          attempt: (outcome, durationMs) => meter.attempt(outcome, durationMs)
        }
      }
    }),
    held: ({ upstream: service, ...hold }, state) => {
      log.warn({ service, ...hold }, state === 'held' ? 'breaker is held by hand' : 'breaker is not held any more')
      onEndpoint()
      onHeld()
    },
    swapped: facts => {
      metrics.tableSwapped(facts.buildMs)
      log.debug(facts, 'route table swapped')
      outage.swapped()
    },
    gone: ({ messages, upstreams, endpoints }) => {
      for (const { upstream, name } of messages) {
        metrics.removeMessage(upstream, name)
        cache.forget(upstream, name)
      }
      for (const { upstream, url } of endpoints) metrics.removeEndpoint(upstream, url)
      for (const upstream of upstreams) metrics.removeUpstream(upstream)
    }
  }
}

/** Refusals before a route exists: counted, and those that smell of an attack go to the security stream. */
function refusalRecorder (log: Log, metrics: Metrics): GatewayCore['refused'] {
  return (error, request) => {
    metrics.unrouted.start()
    metrics.unrouted.done(error.spec.status, 0, error.code)
    log.exchange({ ...request, service: '', endpoint: undefined, message: '', path: request.target, status: error.spec.status, errorCode: error.code, detail: error.detail, durationMs: 0, bytes: 0, attempts: [] })
    if (error.security) log.security(refusal(error, request))
  }
}

function upstreamStates (dataPlane: DataPlane): unknown[] {
  return [...dataPlane.upstreams].map(upstream => ({ upstream, balance: upstream.balance() })).map(({ upstream, balance }) => ({
    name: upstream.name,
    inFlight: upstream.bulkhead.inFlight,
    queued: upstream.bulkhead.queued,
    bulkhead: { ...upstream.bulkhead.limits, limit: upstream.bulkhead.limit, baselineMs: upstream.bulkhead.baselineMs, rejections: upstream.bulkhead.rejections },
    breakers: upstream.breakerStates(),
    retryBudget: { ...upstream.retryBudget.limits, left: upstream.retryBudget.left, refused: upstream.retryBudget.refused },
    endpoints: upstream.endpoints.map(endpoint => ({
      url: endpoint.url,
      available: endpoint.available,
      reachable: endpoint.reachable,
      breaker: endpoint.breakerState,
      seats: endpoint.seats,
      held: endpoint.breakerHeld ?? null,
      pausedMs: Math.round(endpoint.pausedMs),
      ejected: endpoint.ejection === undefined ? null : { reason: endpoint.ejection.reason, forMs: Math.round(endpoint.ejection.untilMs - performance.now()) },
      rampFactor: Math.round(endpoint.rampFactor * 100) / 100,
      inFlight: endpoint.inFlight,
      idleConnections: endpoint.idleConnections,
      balance: balance.get(endpoint)
    }))
  }))
}

interface Observed {
  readonly log: Log
  readonly dataPlane: DataPlane
  readonly cache: Cache
  readonly outage: Outage
  readonly control: () => ControlPlane | undefined
  readonly listener: () => Listener | undefined
  readonly ready: () => boolean
}

function observeLive (metrics: Metrics, { log, dataPlane, cache, outage, control, listener, ready }: Observed): void {
  metrics.observeUpstreams(function * () {
    for (const upstream of dataPlane.upstreams) {
      yield {
        name: upstream.name,
        bulkhead: { inFlight: upstream.bulkhead.inFlight, limit: upstream.bulkhead.limit, queued: upstream.bulkhead.queued, maxQueue: upstream.bulkhead.limits.maxQueue, rejections: eachRejection(upstream.bulkhead.rejections) },
        retryBudget: upstream.retryBudget,
        overflowed: upstream.overflowed,
        balance: () => upstream.balance(),
        breakers: upstream.breakerStates().map(({ message, state }) => ({ message: message ?? '', state })),
        held: upstream.heldCount,
        endpoints: upstream.endpoints.map(endpoint => ({ url: endpoint.url, breaker: endpoint.breakerState, available: endpoint.available, ejected: endpoint.ejection !== undefined, inFlight: endpoint.seats, limit: endpoint.maxSeats, busy: endpoint.inFlight, idle: endpoint.idleConnections }))
      }
    }
  })
  metrics.observeRegistries(() => control()?.status().registries ?? [])
  metrics.observeTable(() => {
    const { counts, moves, dropped, stale, stateKept } = control()?.status() ?? { counts: noCounts, moves: noMoves, dropped: {}, stale: {} }
    return { ...counts, stateKept, routes: { ...counts.routes, cached: dataPlane.departed.length }, moves, stale, dropped: Object.fromEntries(Object.entries(dropped).map(([registry, { count }]) => [registry, count])) }
  })
  metrics.observeCache(() => ({ ...cache.gauges, outage }))
  metrics.observeClientConnections(() => listener()?.connections ?? 0)
  metrics.observeReady(ready)
  metrics.observeLogDropped(() => log.dropped)
}
