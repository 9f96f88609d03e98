// Routes under one configuration: which policy and pipeline a message, custom path or prefix has. Made when they are first called.
import { hasOwnPolicy, messageFor, policyFor } from './config/resolve.ts'
import type { Config } from './config/schema.ts'
import type { Next } from './exchange/compose.ts'
import type { Effect } from './exchange/effect.ts'
import type { Meter, Policy, ResponseTimes, Route } from './exchange/exchange.ts'
import type { CustomRoutePlan, MessagePlan } from './routing/plan.ts'
import type { CustomEntry, FallbackEntry, MessageEntry, PrefixEntry } from './routing/table.ts'
import type { Upstream } from './upstream/upstream.ts'

export interface RouteMakerParts {
  /** Makes the request path of one distinct policy. */
  readonly buildPipeline: (policy: Policy, config: Config) => Next
  readonly meter: (upstream: string, route: string) => Meter
  /** The same for the same names, whatever the configuration. */
  readonly times: (upstream: string, route: string) => ResponseTimes
  readonly upstream: (name: string) => Upstream
  /** Whether postern.yaml lets outside callers call a message (lower-cased name) of an upstream, whatever the service says. */
  readonly isExposed: (upstream: string, key: string) => boolean
  /** The route in force of a message, by its lower-cased name. */
  readonly inForce: (key: string) => Route | undefined
}

interface RouteParts {
  readonly kind: Route['kind']
  readonly name: string
  readonly upstream: Upstream
  /** Of its settings: a message's lower-cased name or a prefix pattern. */
  readonly key: string
  readonly endpoints?: ReadonlySet<string> | undefined
  readonly alternatives?: Route['alternatives']
  readonly rewrite?: Route['rewrite']
  /** What the message's own marker says of repeating it. */
  readonly marker?: Effect | undefined
  /** `key` is that of a message, which may go to another upstream. */
  readonly isMessages?: boolean
}

interface Handle { readonly policy: Policy, readonly handle: Next }

/** Most lists of endpoints that are remembered for sharing. */
const mostSets = 1_000

/** One per configuration. */
export class RouteMaker {
  readonly config: Config
  readonly #parts: RouteMakerParts
  /** One pipeline per distinct policy. */
  readonly #handles = new Map<string, Handle>()
  /** Of upstreams' messages without settings of their own: nearly all. */
  readonly #handleOf = new Map<string, Handle>()
  readonly #sets = new Map<string, ReadonlySet<string>>()

  constructor (config: Config, parts: RouteMakerParts) {
    this.config = config
    this.#parts = parts
  }

  make ({ kind, name, upstream, key, endpoints, alternatives, rewrite, marker, isMessages = false }: RouteParts): Route {
    const { policy, handle } = this.#handle(upstream.name, key)
    const effect = policy.effect === 'auto' ? marker ?? (isMessages ? this.#impliedEffect(key) : undefined) : policy.effect
    return { kind, name, upstream, endpoints, alternatives, rewrite, policy, effect, times: policy.hedge.enabled ? this.#parts.times(upstream.name, name) : undefined, meter: this.#parts.meter(upstream.name, name), handle, inForce: isMessages ? () => this.#parts.inForce(key) : undefined }
  }

  /** `kind`: by its name, or by a path of the service's own. */
  message (plan: MessagePlan, kind: Route['kind'] = 'message'): { readonly route: Route, readonly upstream: Upstream } {
    const upstream = this.#parts.upstream(plan.upstream)
    const alternatives = plan.alternatives === undefined ? undefined : new Map(plan.alternatives.map(other => [other.upstream, this.#shared(other.endpoints)]))
    return { upstream, route: this.make({ kind, name: plan.name, upstream, key: plan.key, endpoints: this.#shared(plan.endpoints), alternatives, marker: plan.effect, isMessages: true }) }
  }

  prefixes (): PrefixEntry[] {
    return Object.entries(this.config.prefixes).map(([pattern, { upstream: name, rewrite, websocket }]) => {
      const upstream = this.#parts.upstream(name)
      const prefix = pattern.slice(0, -2)
      return { prefix: prefix.toLowerCase(), rewrite, websocket, upstream, route: this.make({ kind: 'prefix', name: pattern, upstream, key: pattern, rewrite: rewrite === undefined ? undefined : { prefix, to: rewrite } }) }
    })
  }

  /** Where names go that nobody ever claimed. One route for all of them: names that clients make up are never labels. */
  fallback (): FallbackEntry | undefined {
    const { fallback: name } = this.config.exposure
    if (name === undefined) return undefined
    const upstream = this.#parts.upstream(name)
    return { upstream, route: this.make({ kind: 'message', name: '(fallback)', upstream, key: '(fallback)' }), exposes: key => this.isExposed(name, key) }
  }

  /** As RouteMakerParts has it. */
  isExposed (upstream: string, key: string): boolean {
    return this.#parts.isExposed(upstream, key)
  }

  /** An upstream has gone: nothing of it is kept. */
  forget (upstream: string): void {
    this.#handleOf.delete(upstream)
  }

  /** Whoever says what a message's success makes wrong says that it writes, by whatever method it is called. Only its own list: one for all is no word on any. */
  #impliedEffect (key: string): Effect | undefined {
    return (messageFor(this.config, key)?.policy?.cache?.invalidates ?? []).length > 0 ? 'unsafe' : undefined
  }

  #handle (upstream: string, key: string): Handle {
    if (hasOwnPolicy(this.config, key)) return this.#distinct(policyFor(this.config, upstream, key))
    let handle = this.#handleOf.get(upstream)
    if (handle === undefined) {
      handle = this.#distinct(policyFor(this.config, upstream, undefined))
      this.#handleOf.set(upstream, handle)
    }
    return handle
  }

  #distinct (policy: Policy): Handle {
    const id = JSON.stringify(policy)
    let handle = this.#handles.get(id)
    if (handle === undefined) {
      handle = { policy, handle: this.#parts.buildPipeline(policy, this.config) }
      this.#handles.set(id, handle)
    }
    return handle
  }

  /** Messages with the same endpoints share one set. */
  #shared (endpoints: readonly string[] | undefined): ReadonlySet<string> | undefined {
    if (endpoints === undefined) return undefined
    const id = endpoints.join(' ')
    let set = this.#sets.get(id)
    if (set === undefined) {
      if (this.#sets.size === mostSets) this.#sets.clear()
      set = new Set(endpoints)
      this.#sets.set(id, set)
    }
    return set
  }
}

/**
 * Its route is made when it is first called, and anew under another configuration: a table of 20,000 messages is swapped without making
 * one, and those that nobody calls have none.
 */
export class LazyMessage implements MessageEntry {
  readonly plan: MessagePlan
  readonly #maker: () => RouteMaker
  #madeBy: RouteMaker | undefined
  #made: { readonly route: Route, readonly upstream: Upstream } | undefined

  /** `maker`: the one in force. */
  constructor (plan: MessagePlan, maker: () => RouteMaker) {
    this.plan = plan
    this.#maker = maker
  }

  get route (): Route | undefined { return this.#current()?.route }
  get upstream (): Upstream | undefined { return this.#current()?.upstream }

  #current (): { readonly route: Route, readonly upstream: Upstream } | undefined {
    if (this.plan.state !== 'routed') return undefined
    const maker = this.#maker()
    if (this.#madeBy !== maker) {
      this.#made = maker.message(this.plan)
      this.#madeBy = maker
    }
    return this.#made
  }
}

/**
 * A message that left the catalog while answers of it are stored: a route without endpoints, so that only they are left to give, until
 * the last of them may not be used any more (decisions 5.4). A message that is hidden has none.
 */
export class DepartedMessage extends LazyMessage {
  /** Since the epoch. */
  readonly untilMs: number
  /** Since when nothing else is left. Since the epoch. */
  readonly sinceMs: number

  constructor (plan: MessagePlan, maker: () => RouteMaker, untilMs: number, sinceMs = Date.now()) {
    super({ ...plan, endpoints: [], alternatives: undefined, suggest: false }, maker)
    this.untilMs = untilMs
    this.sinceMs = sinceMs
  }

  override get route (): Route | undefined { return Date.now() < this.untilMs ? super.route : undefined }

  /** What is left of a message; undefined = nothing of it is stored. `storedUntil`: since the epoch. */
  static of (entry: LazyMessage | undefined, maker: () => RouteMaker, storedUntil: (upstream: string, message: string) => number): DepartedMessage | undefined {
    if (entry?.plan.state !== 'routed') return undefined
    const untilMs = entry instanceof DepartedMessage ? entry.untilMs : storedUntil(entry.plan.upstream, entry.plan.name)
    return untilMs <= Date.now() ? undefined : new DepartedMessage(entry.plan, maker, untilMs, entry instanceof DepartedMessage ? entry.sinceMs : undefined)
  }

  /** One that was never in a table of this process. */
  static remembered ({ key, name, upstream, untilMs }: RememberedMessage, maker: () => RouteMaker): DepartedMessage {
    return new DepartedMessage({ key, name, state: 'routed', upstream, endpoints: [], suggest: false, effect: undefined }, maker, untilMs)
  }
}

/** A message of which answers were kept from before the start. */
export interface RememberedMessage extends Pick<MessagePlan, 'key' | 'name' | 'upstream'> {
  /** Until when they may be given out. Since the epoch. */
  readonly untilMs: number
}

/**
 * As LazyMessage, for a path of a service's own list: another way to its message, so all that holds for that (endpoints, parts, name in
 * breakers and metrics) holds for the path. `messageOf`: as the table in force has it.
 */
export class LazyCustomRoute implements CustomEntry {
  readonly upstream: Upstream
  readonly #plan: CustomRoutePlan
  readonly #maker: () => RouteMaker
  readonly #messageOf: (key: string) => LazyMessage | undefined
  #madeBy: RouteMaker | undefined
  #madeOf: MessagePlan | undefined
  #route: Route | undefined

  constructor (plan: CustomRoutePlan, upstream: Upstream, maker: () => RouteMaker, messageOf: (key: string) => LazyMessage | undefined) {
    this.#plan = plan
    this.upstream = upstream
    this.#maker = maker
    this.#messageOf = messageOf
  }

  get route (): Route | undefined {
    const entry = this.#plan.routed ? this.#messageOf(this.#plan.message) : undefined
    if (entry?.route === undefined) return undefined
    const message = entry.plan
    const maker = this.#maker()
    if (this.#madeBy !== maker || this.#madeOf !== message) {
      this.#route = maker.message(message, 'custom').route
      this.#madeBy = maker
      this.#madeOf = message
    }
    return this.#route
  }
}
