// The data plane's live state: upstreams and the route table, changed by plan and by configuration, swapped whole.
import type { Config } from './config/schema.ts'
import { breakerFor, bulkheadFor, policyFor, retryBudgetFor } from './config/resolve.ts'
import type { Next } from './exchange/compose.ts'
import type { Effect } from './exchange/effect.ts'
import { GatewayError } from './exchange/errors.ts'
import type { Meter, Policy, Route } from './exchange/exchange.ts'
import { inSlices } from './lib/slices.ts'
import type { Change, ChangeBatch, CustomRoutePlan, EndpointPlan, MessagePlan, UpstreamPlan } from './routing/plan.ts'
import type { RequestTarget } from './routing/request-target.ts'
import { RouteTable, type CustomEntry, type FallbackEntry, type Matched, type MessageEntry, type PrefixEntry } from './routing/table.ts'
import type { CustomRoute } from './routing/custom-routes.ts'
import { WindowClock } from './upstream/breaker.ts'
import type { EndpointEvents } from './upstream/endpoint.ts'
import { Upstream, type UpstreamSettings } from './upstream/upstream.ts'

/** What the data plane tells: for log and metrics. */
export interface DataPlaneEvents {
  endpoint (upstream: string, url: string): EndpointEvents
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
  readonly buildPipeline: (policy: Policy) => Next
  readonly meter: (upstream: string, route: string) => Meter
}

interface RouteParts {
  readonly kind: Route['kind']
  readonly name: string
  readonly upstream: Upstream
  /** Of its settings: a message's lower-cased name or a prefix pattern. */
  readonly key: string
  readonly endpoints?: ReadonlySet<string> | undefined
  /** What the message's own marker says of repeating it. */
  readonly alternatives?: Route['alternatives']
  readonly marker?: Effect | undefined
}

const trimEveryMs = 30_000

export class DataPlane {
  readonly #events: DataPlaneEvents
  readonly #buildPipeline: (policy: Policy) => Next
  readonly #meter: (upstream: string, route: string) => Meter
  readonly #clock = new WindowClock()
  readonly #upstreams = new Map<string, Upstream>()
  readonly #trimTimer: NodeJS.Timeout
  #config: Config
  #nextConfig: { config: Config, generation: number, inForce: () => void } | undefined
  #custom = new Map<string, readonly CustomRoutePlan[]>()
  /** The table's own entries: with their plans, for the day the configuration changes. */
  #entries: ReadonlyMap<string, MessageEntry> = new Map<string, MessageEntry>()
  /** Prefix routes of the table in force. */
  #prefixesInForce: readonly PrefixEntry[] = []
  #handles = new Map<string, { policy: Policy, handle: Next }>()
  #staged: Change[] = []
  #table: RouteTable | undefined

  constructor (options: DataPlaneOptions) {
    this.#config = options.config
    this.#events = options.events
    this.#buildPipeline = options.buildPipeline
    this.#meter = options.meter
    this.#trimTimer = setInterval(() => { for (const upstream of this.#upstreams.values()) upstream.trim() }, trimEveryMs)
    this.#trimTimer.unref()
  }

  /** Whether a table exists. */
  get ready (): boolean { return this.#table !== undefined }
  get upstreams (): Iterable<Upstream> { return this.#upstreams.values() }
  get config (): Config { return this.#config }

  /** The upstream of this name, if there is one now. */
  upstreamNamed (name: string): Upstream | undefined { return this.#upstreams.get(name) }

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

  /** Policies of this configuration come into force together with the table that carries its generation; then the promise settles. */
  expect (config: Config, generation: number): Promise<void> {
    this.#nextConfig?.inForce()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#nextConfig = { config, generation, inForce: resolve }
    return promise
  }

  /** Takes a slice of a change; the last one swaps the table. To be awaited before the next. */
  async apply (batch: ChangeBatch): Promise<void> {
    for (const change of batch.changes) this.#staged.push(change)
    if (!batch.last) return
    const staged = this.#staged
    this.#staged = []
    const next = this.#nextConfig
    const reconfigured = next !== undefined && batch.configGeneration >= next.generation
    if (reconfigured) {
      this.#config = next.config
      this.#nextConfig = undefined
    }
    await this.#swap(staged, reconfigured, batch)
    if (reconfigured) next.inForce()
  }

  close (): void {
    clearInterval(this.#trimTimer)
    for (const upstream of this.#upstreams.values()) upstream.close()
    this.#upstreams.clear()
  }

  async #swap (changes: readonly Change[], reconfigured: boolean, { incomplete = false, fallback = false }: ChangeBatch): Promise<void> {
    const startedAtMs = performance.now()
    const messages = new Map<string, MessagePlan | undefined>()
    const custom = new Map(this.#custom)
    const plans: UpstreamPlan[] = []
    const gone: Gone = { messages: [], endpoints: [], upstreams: [] }
    await inSlices(changes, change => {
      switch (change.kind) {
        case 'upstream': plans.push(change.plan); this.#create(change.plan); return
        case 'upstream-gone': gone.upstreams.push(change.name); return
        case 'message': messages.set(change.plan.key, change.plan); return
        case 'message-gone': messages.set(change.key, undefined); return
        case 'custom-routes': custom.set(change.upstream, change.routes)
      }
    })
    if (reconfigured) this.#handles = new Map()
    const entries = new Map(this.#entries)
    const sets = new Map<string, ReadonlySet<string>>()
    await inSlices(messages, ([key, plan]) => {
      const before = this.#entries.get(key)?.plan
      if (before !== undefined && (before.upstream !== plan?.upstream || before.name !== plan.name)) gone.messages.push(before)
      if (plan === undefined) entries.delete(key)
      else entries.set(key, this.#entry(plan, sets))
    })
    // Other settings may mean another policy for any message.
    if (reconfigured) await inSlices(entries, ([key, { plan }]) => entries.set(key, this.#entry(plan, sets)))
    for (const name of gone.upstreams) custom.delete(name)
    const prefixes = this.#prefixes()
    for (const { route: { name, upstream } } of this.#prefixesInForce) {
      if (!prefixes.some(({ route }) => route.name === name && route.upstream.name === upstream.name)) gone.messages.push({ upstream: upstream.name, name })
    }
    const table = new RouteTable({ messages: entries, custom: this.#customEntries(custom, entries), prefixes, suggest: this.#config.exposure.suggest, incomplete, fallback: fallback ? this.#fallback() : undefined })

    // From here on nothing waits: the new table, its endpoints and its policies come into force in one turn of the event loop.
    for (const plan of plans) {
      const upstream = this.#upstreams.get(plan.name)!
      const staying = new Set(plan.endpoints.map(endpoint => endpoint.url))
      for (const { url } of upstream.endpoints) if (!staying.has(url)) gone.endpoints.push({ upstream: plan.name, url })
      upstream.apply(plan)
    }
    if (reconfigured) for (const upstream of this.#upstreams.values()) upstream.configure(this.#settings(upstream.name))
    this.#custom = custom
    this.#entries = entries
    this.#prefixesInForce = prefixes
    this.#table = table
    for (const name of gone.upstreams) this.#remove(name)
    this.#events.swapped({ messages: entries.size, upstreams: this.#upstreams.size, buildMs: performance.now() - startedAtMs })
    this.#events.gone(gone)
  }

  #entry (plan: MessagePlan, sets: Map<string, ReadonlySet<string>>): MessageEntry {
    if (plan.state !== 'routed') return { plan, route: undefined, upstream: undefined }
    const upstream = this.#upstream(plan.upstream)
    const alternatives = plan.alternatives === undefined ? undefined : new Map(plan.alternatives.map(other => [other.upstream, shared(other.endpoints, sets)]))
    const route = this.#route({ kind: 'message', name: plan.name, upstream, key: plan.key, endpoints: shared(plan.endpoints, sets), alternatives, marker: plan.effect })
    return { plan, route, upstream }
  }

  #customEntries (custom: ReadonlyMap<string, readonly CustomRoutePlan[]>, messages: ReadonlyMap<string, MessageEntry>): Array<CustomRoute<CustomEntry>> {
    const entries: Array<CustomRoute<CustomEntry>> = []
    for (const [name, plans] of custom) {
      const upstream = this.#upstream(name)
      for (const plan of plans) {
        const route = plan.routed ? this.#route({ kind: 'custom', name: plan.message, upstream, key: plan.message, marker: messages.get(plan.message)?.plan.effect }) : undefined
        entries.push({ plan, value: { route, upstream } })
      }
    }
    return entries
  }

  #prefixes (): PrefixEntry[] {
    return Object.entries(this.#config.prefixes).map(([pattern, { upstream: name, rewrite, websocket }]) => {
      const upstream = this.#upstream(name)
      const prefix = pattern.slice(0, -2).toLowerCase()
      return { prefix, rewrite, websocket, upstream, route: this.#route({ kind: 'prefix', name: pattern, upstream, key: pattern }) }
    })
  }

  /** Where names go that nobody ever claimed. One route for all of them: names that clients make up are never labels. */
  #fallback (): FallbackEntry | undefined {
    const { fallback: name } = this.#config.exposure
    if (name === undefined) return undefined
    const upstream = this.#upstream(name)
    return { upstream, route: this.#route({ kind: 'message', name: '(fallback)', upstream, key: '(fallback)' }) }
  }

  #route ({ kind, name, upstream, key, endpoints, alternatives, marker }: RouteParts): Route {
    const { policy, handle } = this.#handle(upstream.name, key)
    const effect = policy.effect === 'auto' ? marker : policy.effect
    return { kind, name, upstream, endpoints, alternatives, policy, effect, meter: this.#meter(upstream.name, name), handle }
  }

  /** One pipeline per distinct policy. */
  #handle (upstream: string, key: string): { policy: Policy, handle: Next } {
    const policy = policyFor(this.#config, upstream, key)
    const id = JSON.stringify(policy)
    let entry = this.#handles.get(id)
    if (entry === undefined) {
      entry = { policy, handle: this.#buildPipeline(policy) }
      this.#handles.set(id, entry)
    }
    return entry
  }

  #create (plan: UpstreamPlan): void {
    if (!this.#upstreams.has(plan.name)) this.#upstreams.set(plan.name, new Upstream(plan, this.#settings(plan.name), this.#clock, url => this.#events.endpoint(plan.name, url)))
  }

  /** An upstream that is named but not known yet has no endpoints: its calls are answered 503. */
  #upstream (name: string): Upstream {
    this.#create({ name, endpoints: [] as EndpointPlan[], levels: [], apiForm: true, servicestack: false })
    return this.#upstreams.get(name)!
  }

  #settings (name: string): UpstreamSettings {
    const config = this.#config.upstreams[name]
    return {
      bulkhead: bulkheadFor(this.#config, name),
      breaker: breakerFor(this.#config, name),
      retryBudget: retryBudgetFor(this.#config, name),
      tls: config?.tls,
      preserveHost: config?.preserveHost ?? false,
      connectTimeoutMs: policyFor(this.#config, name, undefined).connectTimeoutMs
    }
  }

  #remove (name: string): void {
    const stillNamed = this.#config.exposure.fallback === name || Object.values(this.#config.prefixes).some(prefix => prefix.upstream === name)
    const upstream = this.#upstreams.get(name)
    if (upstream === undefined) return
    if (stillNamed) {
      upstream.apply({ ...upstream.plan, endpoints: [] })
      return
    }
    upstream.close()
    this.#upstreams.delete(name)
  }
}

/** Messages with the same endpoints share one set. */
function shared (endpoints: readonly string[] | undefined, sets: Map<string, ReadonlySet<string>>): ReadonlySet<string> | undefined {
  if (endpoints === undefined) return undefined
  const id = endpoints.join(' ')
  let set = sets.get(id)
  if (set === undefined) {
    set = new Set(endpoints)
    sets.set(id, set)
  }
  return set
}
