// The data plane's live state: upstreams and the route table, changed by plan and by configuration, swapped whole.
import type { Config } from './config/schema.ts'
import { upstreamFor } from './config/resolve.ts'
import { createExposure } from './control/exposure.ts'
import type { Next } from './exchange/compose.ts'
import { GatewayError } from './exchange/errors.ts'
import type { Meter, Policy } from './exchange/exchange.ts'
import { EstimateBook } from './lib/quantile.ts'
import { ShardedMap } from './lib/sharded-map.ts'
import { inSlices } from './lib/slices.ts'
import { DepartedMessage, LazyCustomRoute, LazyMessage, RouteMaker, type RememberedMessage } from './route-maker.ts'
import type { Change, ChangeBatch, EndpointPlan, MessagePlan, UpstreamPlan } from './routing/plan.ts'
import type { RequestTarget } from './routing/request-target.ts'
import { RouteTable, type CustomEntry, type Matched, type PrefixEntry } from './routing/table.ts'
import { CustomPaths } from './routing/custom-paths.ts'
import { CustomRoutes } from './routing/custom-routes.ts'
import { BreakerClock } from './upstream/breaker-clock.ts'
import { HoldBook, type Hold } from './upstream/holds.ts'
import { Upstream, type UpstreamEvents, type UpstreamSettings } from './upstream/upstream.ts'

/** What the data plane tells: for log and metrics. */
export interface DataPlaneEvents {
  upstream (name: string): UpstreamEvents
  /** An operator holds a breaker, or does not any more. */
  held (hold: Hold, state: 'held' | 'ended'): void
  /** A new table is in force. */
  swapped (facts: { readonly messages: number, readonly upstreams: number, readonly buildMs: number }): void
  /** These will not be seen again: their series can go. */
  gone (what: Gone): void
}

export interface Gone {
  readonly messages: Array<{ readonly upstream: string, readonly name: string }>
  readonly endpoints: Array<{ readonly upstream: string, readonly url: string }>
  readonly upstreams: string[]
}

export interface DataPlaneOptions {
  readonly config: Config
  readonly events: DataPlaneEvents
  /** Makes the request path of one distinct policy. */
  readonly buildPipeline: (policy: Policy, config: Config) => Next
  readonly meter: (upstream: string, route: string) => Meter
  /** Until when stored answers of a message may be given if nobody can be asked any more. Since the epoch; 0 = there are none. */
  readonly storedUntil: (upstream: string, message: string) => number
  /** Messages of which answers were kept from before the start; asked once, for the first table. */
  readonly remembered: () => Iterable<RememberedMessage>
}

/** A configuration that waits for its table. */
interface NextConfig {
  readonly config: Config
  readonly generation: number
  readonly settle: (inForce: boolean) => void
}

const trimEveryMs = 30_000

export class DataPlane {
  readonly #events: DataPlaneEvents
  readonly #buildPipeline: (policy: Policy, config: Config) => Next
  readonly #meter: (upstream: string, route: string) => Meter
  readonly #storedUntil: DataPlaneOptions['storedUntil']
  readonly #remembered: DataPlaneOptions['remembered']
  /** By key: messages that are only answered from what is stored. */
  readonly #departed = new Map<string, DepartedMessage>()
  readonly #clock = new BreakerClock()
  readonly holds: HoldBook
  readonly #upstreams = new Map<string, Upstream>()
  readonly #trimTimer: NodeJS.Timeout
  /** With the configuration in force. */
  #maker: RouteMaker
  readonly #inForce = () => this.#maker
  readonly #messageInForce = (key: string) => this.#messages.get(key)
  #nextConfig: NextConfig | undefined
  #customPaths = new CustomPaths()
  #customRoutes = CustomRoutes.of<CustomEntry>([])
  #messages = ShardedMap.empty<LazyMessage>()
  /** Prefix routes of the table in force. */
  #prefixesInForce: readonly PrefixEntry[] = []
  readonly #times = new EstimateBook()
  #staged: Change[] = []
  #table: RouteTable | undefined

  constructor (options: DataPlaneOptions) {
    this.#events = options.events
    this.#buildPipeline = options.buildPipeline
    this.#meter = options.meter
    this.#storedUntil = options.storedUntil
    this.#remembered = options.remembered
    this.#maker = this.#createMaker(options.config)
    this.holds = new HoldBook((hold, state) => {
      this.#upstreams.get(hold.upstream)?.hold(this.holds.of(hold.upstream))
      this.#events.held(hold, state)
    })
    this.#trimTimer = setInterval(() => { for (const upstream of this.#upstreams.values()) upstream.trim() }, trimEveryMs).unref()
  }

  /** Whether a table exists. */
  get ready (): boolean { return this.#table !== undefined }
  get upstreams (): Iterable<Upstream> { return this.#upstreams.values() }
  get config (): Config { return this.#maker.config }
  /** Messages that are only answered from what is stored. */
  get departed (): DepartedMessage[] { return [...this.#departed.values()].filter(({ untilMs }) => Date.now() < untilMs) }

  /** The upstream of this name, if there is one now. */
  upstreamNamed (name: string): Upstream | undefined { return this.#upstreams.get(name) }

  /** Whether there is a message of this name, in any letter case, or a prefix of this pattern. */
  knows (name: string): boolean { return this.#messages.get(name.toLowerCase()) !== undefined || Object.hasOwn(this.config.prefixes, name) }

  /** What the control plane said of a message, named in any letter case. */
  planOf (name: string): MessagePlan | undefined { return this.#messages.get(name.toLowerCase())?.plan }

  /** @throws GatewayError MessageNotFound, RoutesNotReady, MethodNotAllowed */
  match (target: RequestTarget, method: string): Matched {
    if (this.#table === undefined) throw new GatewayError('RoutesNotReady')
    return this.#table.match(target, method)
  }

  /** The endpoint that serves this host (with its port) and path, by its URL; the one with the longest base path, else any at that host. */
  endpointAt (host: string, path: string): string | undefined {
    const lower = `${path.toLowerCase()}/`
    let found: { readonly url: string, readonly depth: number } | undefined
    for (const { endpoints } of this.#upstreams.values()) {
      for (const { plan: { url, origin, basePath } } of endpoints) {
        if (origin.slice(origin.indexOf('//') + 2) !== host) continue
        const depth = lower.startsWith(`${basePath.toLowerCase()}/`) ? basePath.length : -1
        if (found === undefined || depth > found.depth) found = { url, depth }
      }
    }
    return found?.url
  }

  /**
   * Policies of this configuration come into force together with the table that carries its generation, and `take` is called in the same turn of
   * the event loop: for what else is to change with them. Settles then; or at once when a newer configuration takes
   * its place: `take` is called then only if its table is being built already.
   */
  expect (config: Config, generation: number, take: () => void): Promise<void> {
    this.#nextConfig?.settle(false)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#nextConfig = { config, generation, settle: inForce => { if (inForce) take(); resolve() } }
    return promise
  }

  /** Takes a slice of a change; the last one swaps the table. To be awaited before the next. */
  async apply (batch: ChangeBatch): Promise<void> {
    for (const change of batch.changes) this.#staged.push(change)
    if (!batch.last) return
    const staged = this.#staged.splice(0)
    const expected = this.#nextConfig
    const next = expected !== undefined && batch.configGeneration >= expected.generation ? expected : undefined
    await this.#swap(staged, next, batch)
    if (this.#nextConfig === next) this.#nextConfig = undefined
  }

  close (): void {
    clearInterval(this.#trimTimer)
    this.holds.close()
    for (const upstream of this.#upstreams.values()) upstream.close()
    this.#upstreams.clear()
  }

  /**
   * Everything is made ready in slices, beside the table in force. What is left for the turn in which it is replaced is as much work as
   * there are changes: nothing of it is done for every message, or for every upstream that stays as it is.
   */
  async #swap (changes: readonly Change[], next: NextConfig | undefined, { incomplete = false, fallback = false }: ChangeBatch): Promise<void> {
    const startedAtMs = performance.now()
    const { config } = next ?? this.#maker
    const maker = next === undefined ? this.#maker : this.#createMaker(config)
    const messages = this.#messages.edit()
    const customPaths = this.#customPaths.copy()
    const plans: UpstreamPlan[] = []
    const gone: Gone = { messages: [], endpoints: [], upstreams: [] }
    const left = (key: string, plan: MessagePlan | undefined) => {
      const before = this.#messages.get(key)?.plan
      if (before !== undefined && (before.upstream !== plan?.upstream || before.name !== plan.name)) gone.messages.push(before)
    }
    // The operator may have hidden it since; nobody can be asked any more whether its service restricts it.
    const stay = (entry: DepartedMessage | undefined): boolean => {
      if (entry === undefined || !maker.isExposed(entry.plan.upstream, entry.plan.key)) return false
      messages.set(entry.plan.key, entry)
      this.#departed.set(entry.plan.key, entry)
      return true
    }
    const depart = (key: string) => stay(DepartedMessage.of(this.#messages.get(key), this.#inForce, this.#storedUntil))
    for (const key of this.#departed.keys()) {
      if (depart(key)) continue
      this.#departed.delete(key)
      left(key, undefined)
      messages.delete(key)
    }
    await inSlices(changes, change => {
      switch (change.kind) {
        case 'upstream': plans.push(change.plan); this.#create(change.plan, config); return
        case 'upstream-gone':
          gone.upstreams.push(change.name)
          customPaths.tell(change.name, [])
          return
        case 'message':
          left(change.plan.key, change.plan)
          this.#departed.delete(change.plan.key)
          messages.set(change.plan.key, new LazyMessage(change.plan, this.#inForce))
          return
        case 'message-gone':
          if (depart(change.key)) return
          left(change.key, undefined)
          messages.delete(change.key)
          return
        case 'custom-routes':
          customPaths.tell(change.upstream, change.routes)
      }
    })
    if (this.#table === undefined) {
      const named = new Set(changes.map(change => change.kind === 'message' ? change.plan.key : ''))
      for (const message of this.#remembered()) if (!named.has(message.key)) stay(DepartedMessage.remembered(message, this.#inForce))
    }
    const customRoutes = customPaths.settle(key => this.#departed.has(key)) ? await this.#buildCustomRoutes(customPaths) : this.#customRoutes
    const settings = next === undefined ? [] : await this.#changedSettings(config)
    const prefixes = maker.prefixes()
    for (const { route: { name, upstream } } of this.#prefixesInForce) {
      if (!prefixes.some(({ route }) => route.name === name && route.upstream.name === upstream.name)) gone.messages.push({ upstream: upstream.name, name })
    }
    const entries = messages.done()
    const table = new RouteTable({ messages: entries, custom: customRoutes, prefixes, suggest: config.exposure.suggest, incomplete, fallback: fallback ? maker.fallback() : undefined })

    // From here on nothing waits: the new table, its endpoints and its policies come into force in one turn of the event loop.
    for (const plan of plans) {
      const upstream = this.#upstreams.get(plan.name)!
      if (upstream.plan === plan) continue
      const staying = new Set(plan.endpoints.map(endpoint => endpoint.url))
      for (const { url } of upstream.endpoints) if (!staying.has(url)) gone.endpoints.push({ upstream: plan.name, url })
      upstream.apply(plan)
    }
    for (const [upstream, changed] of settings) upstream.configure(changed)
    this.#maker = maker
    this.#customPaths = customPaths
    this.#customRoutes = customRoutes
    this.#messages = entries
    this.#prefixesInForce = prefixes
    this.#table = table
    next?.settle(true)
    for (const name of gone.upstreams) this.#remove(name)
    this.#events.swapped({ messages: entries.size, upstreams: this.#upstreams.size, buildMs: performance.now() - startedAtMs })
    for (const { upstream, name } of gone.messages) this.#times.forget(upstream, name)
    this.#events.gone(gone)
  }

  #createMaker (config: Config): RouteMaker {
    const exposure = createExposure(config)
    return new RouteMaker(config, { buildPipeline: this.#buildPipeline, meter: this.#meter, times: (upstream, route) => this.#times.of(upstream, route), upstream: name => this.#upstream(name, config), isExposed: (upstream, key) => exposure(upstream, key, false) === 'exposed', inForce: key => this.#messages.get(key)?.route })
  }

  async #buildCustomRoutes (paths: CustomPaths): Promise<CustomRoutes<CustomEntry>> {
    const { add, done } = CustomRoutes.building<CustomEntry>()
    await inSlices(paths.all(), ({ upstream, plan }) => add({ plan, value: new LazyCustomRoute(plan, this.#upstream(upstream, this.#maker.config), this.#inForce, this.#messageInForce) }))
    return done()
  }

  /** Only upstreams whose settings are others now: most changes of the configuration are about few. */
  async #changedSettings (config: Config): Promise<Array<readonly [Upstream, UpstreamSettings]>> {
    const changed: Array<readonly [Upstream, UpstreamSettings]> = []
    await inSlices(this.#upstreams.values(), upstream => {
      const next = upstreamFor(config, upstream.name)
      if (JSON.stringify(next) !== JSON.stringify(upstream.settings)) changed.push([upstream, next])
    })
    return changed
  }

  #create (plan: UpstreamPlan, config: Config): void {
    if (this.#upstreams.has(plan.name)) return
    const upstream = new Upstream(plan, upstreamFor(config, plan.name), this.#clock, this.#events.upstream(plan.name))
    upstream.hold(this.holds.of(plan.name))
    this.#upstreams.set(plan.name, upstream)
  }

  /** An upstream that is named but not known yet has no endpoints: its calls are answered 503. */
  #upstream (name: string, config: Config): Upstream {
    const known = this.#upstreams.get(name)
    if (known !== undefined) return known
    this.#create({ name, endpoints: [] as EndpointPlan[], levels: [], apiForm: true, servicestack: false, lists: 'none' }, config)
    return this.#upstreams.get(name)!
  }

  #remove (name: string): void {
    const { exposure, prefixes } = this.#maker.config
    const stillNamed = exposure.fallback === name || Object.values(prefixes).some(prefix => prefix.upstream === name)
    const upstream = this.#upstreams.get(name)
    if (upstream === undefined) return
    if (stillNamed) {
      upstream.apply({ ...upstream.plan, endpoints: [] })
      return
    }
    upstream.close()
    this.#upstreams.delete(name)
    this.#maker.forget(name)
  }
}
