// The route table: immutable, keyed by message name without regard to case, swapped whole. Says which route a request takes, and why none. Pure.
import { stricter, strictest, type Effect } from '../exchange/effect.ts'
import { GatewayError } from '../exchange/errors.ts'
import type { Route } from '../exchange/exchange.ts'
import type { CustomRoute, CustomRoutes } from './custom-routes.ts'
import { suggest } from './suggest.ts'
import type { CustomRoutePlan, MessagePlan, UpstreamPlan } from './plan.ts'
import { messageCandidates, type Candidate, type RequestTarget } from './request-target.ts'
import { isOpen, isRoutedTo } from './routed-to.ts'
import { formats } from '../lib/formats.ts'

export { formats }

/** What the table knows of an upstream: how to spell a path for it. */
export interface RoutedUpstream {
  readonly plan: UpstreamPlan
}

export interface MessageEntry {
  readonly plan: MessagePlan
  /** Present when routed. May be made when it is asked for: what only wants to know whether it is routed asks the plan. */
  readonly route: Route | undefined
  readonly upstream: RoutedUpstream | undefined
}

export interface CustomEntry {
  readonly route: Route | undefined
  readonly upstream: RoutedUpstream
}

export interface PrefixEntry {
  /** '/legacy' of '/legacy/*'; '' of '/*'. Lower-cased: prefixes match in any letter case. */
  readonly prefix: string
  readonly rewrite: string | undefined
  readonly websocket: boolean
  readonly route: Route
  readonly upstream: RoutedUpstream
}

/** Where messages go that nobody knows. */
export interface FallbackEntry {
  readonly route: Route
  readonly upstream: RoutedUpstream
  /** Whether outside callers may call a message of this key (lower case) there. */
  readonly exposes: (key: string) => boolean
}

/** Where a request goes. */
export interface Matched {
  readonly route: Route
  /** To send upstream, below the endpoint's base path, query included. */
  readonly path: string
  /** The same without the query, in one spelling for all that mean the same. */
  readonly canonicalPath: string
  readonly websocket: boolean
  /** Neither one-way nor a batch. */
  readonly single: boolean
  /** What is said of repeating it: of the route, and of the messages that the path names. Undefined = the effective method decides. */
  readonly effect: Effect | undefined
  /** Routes of the messages of the upstream that the path of a prefix route leads to. */
  readonly reached: readonly Route[]
}

/** All messages by key, of which nothing changes any more. */
export interface Messages {
  readonly size: number
  get (key: string): MessageEntry | undefined
  values (): Iterable<MessageEntry>
}

export interface TableContents {
  readonly messages: Messages
  readonly custom: CustomRoutes<CustomEntry>
  readonly prefixes: readonly PrefixEntry[]
  /** Whether unknown names are answered with the nearest existing ones. */
  readonly suggest: boolean
  /** What is not found may be what a registry knows that has not answered yet: 503 in place of 404, hidden ones alike. */
  readonly incomplete?: boolean
  readonly fallback?: FallbackEntry | undefined
}

export class RouteTable {
  readonly #messages: Messages
  readonly #custom: CustomRoutes<CustomEntry>
  /** Longest first, so the order in the file never matters. */
  readonly #prefixes: readonly PrefixEntry[]
  readonly #suggest: boolean
  readonly #incomplete: boolean
  readonly #fallback: FallbackEntry | undefined

  constructor (contents: TableContents) {
    this.#messages = contents.messages
    this.#custom = contents.custom
    this.#prefixes = [...contents.prefixes].sort((a, b) => b.prefix.length - a.prefix.length)
    this.#suggest = contents.suggest
    this.#incomplete = contents.incomplete ?? false
    this.#fallback = contents.fallback
  }

  get size (): number { return this.#messages.size }

  /**
   * Messages win over custom routes, those over prefixes.
   * @throws GatewayError MessageNotFound, RoutesNotReady, MethodNotAllowed
   */
  match (target: RequestTarget, method: string): Matched {
    if (target.kind === 'message') return this.#message(target)
    return this.#matchCustom(target, method) ?? this.#matchPrefix(target, method) ?? this.#notFound(undefined)
  }

  #message (target: RequestTarget & { kind: 'message' }): Matched {
    const known = this.#messages.get(target.key)
    const entry = known ?? this.#fallbackFor(target.key)
    if (entry === undefined || !formats.has(target.format)) return this.#notFound(target.name, target.key)
    if (known?.plan.state === 'unread') throw new GatewayError('RoutesNotReady')
    if (entry.route === undefined || entry.upstream === undefined) return this.#notFound(target.name, target.key)
    // What its own list restricts is known as claimed as soon as that is read.
    if (known === undefined && tellsNothing(entry.upstream.plan)) return this.#notFound(target.name, target.key)
    const asItCame = target.form !== 'api' || entry.upstream.plan.apiForm
    const path = asItCame ? target.path : `/${target.format}/reply/${encodeURIComponent(target.name)}${target.batch ? '[]' : ''}`
    return { route: entry.route, path: path + target.query, canonicalPath: canonical(target, asItCame, known?.plan.name ?? target.name), websocket: false, single: target.form !== 'oneway' && !target.batch, effect: entry.route.effect, reached: none }
  }

  /** Where a name goes that nobody knows. What is not for outside callers there is answered like what does not exist. */
  #fallbackFor (key: string): FallbackEntry | undefined {
    return this.#incomplete || this.#fallback?.exposes(key) !== true ? undefined : this.#fallback
  }

  #matchCustom (target: RequestTarget & { kind: 'other' }, method: string): Matched | undefined {
    const matches = this.#custom.match(target.decodedPath)
    const allowed: string[] = []
    for (const { plan, value } of matches) {
      if (!plan.routed || value.route === undefined) continue
      if (takes(plan, method)) {
        // Which of its paths a host takes is for its release to say, so none is routed where it could be a hidden one.
        if (matches.some(other => !other.plan.routed && other.value.upstream.plan.name === value.upstream.plan.name && takes(other.plan, method))) return this.#notFound(undefined)
        // A wildcard at the root may be the host's fallback, which it asks after its message forms, in formats of its own too.
        const candidates = takesAll(plan) ? messageCandidates(target.decodedPath).filter(({ isAtRoot }) => isAtRoot) : none
        if (candidates.length > 0 && this.#reachesHidden(value, candidates, none)) return this.#notFound(undefined)
        const reached = this.#reached(value, candidates, none, method)
        return {
          route: value.route,
          path: target.path + target.query,
          canonicalPath: target.path,
          websocket: false,
          single: candidates.every(({ single }) => single),
          effect: stricter(value.route.effect, strictest(reached.map(({ effect }) => effect))),
          reached
        }
      }
      allowed.push(...plan.verbs)
    }
    if (allowed.length > 0) throw new GatewayError('MethodNotAllowed', { headers: ['Allow', [...new Set(allowed)].join(', ')] })
    return undefined
  }

  #matchPrefix (target: RequestTarget & { kind: 'other' }, method: string): Matched | undefined {
    const path = target.decodedPath.toLowerCase()
    for (const entry of this.#prefixes) {
      if (!path.startsWith(entry.prefix) || (path.length > entry.prefix.length && path[entry.prefix.length] !== '/')) continue
      const decoded = rewritten(entry, target.decodedPath)
      const candidates = messageCandidates(decoded)
      const paths = this.#custom.match(decoded).filter(({ value }) => value.upstream.plan.name === entry.upstream.plan.name)
      if (this.#reachesHidden(entry, candidates, paths)) return this.#notFound(undefined)
      const raw = rewrittenRaw(entry, target.path, target.decodedPath)
      const reached = this.#reached(entry, candidates, paths, method)
      return {
        route: entry.route,
        path: raw + target.query,
        canonicalPath: raw,
        websocket: entry.websocket,
        single: candidates.every(({ single }) => single),
        effect: stricter(entry.route.effect, strictest(reached.map(({ effect }) => effect))),
        reached
      }
    }
    return undefined
  }

  /**
   * A prefix route must not be a way around: what the host would read as a message must be one that is routed to it (decisions: exposure
   * is decided on the decoded path, on prefix routes too): the same name of another service says nothing of its own. Where no list tells which paths
   * lead to what, none is passed. For upstreams that are no ServiceStack hosts only names known as hidden are kept back, and for the fallback's those
   * that it is not sent by name.
   * @throws GatewayError RoutesNotReady where nobody knows yet what they are, or what they list
   */
  #reachesHidden (entry: Pick<PrefixEntry, 'upstream'>, candidates: readonly Candidate[], paths: ReadonlyArray<CustomRoute<CustomEntry>>): boolean {
    const { plan } = entry.upstream
    const { name, servicestack } = plan
    if (tellsNothing(plan)) return true
    const fallback = this.#fallback?.upstream.plan.name === name ? this.#fallback : undefined
    for (const { key } of candidates) {
      const message = this.#messages.get(key)
      if (isRoutedTo(name, message?.plan)) continue
      if (servicestack || (message === undefined ? fallback?.exposes(key) === false : message.plan.state !== 'routed')) return true
    }
    return paths.some(({ plan: { message } }) => !isRoutedTo(name, this.#messages.get(message)?.plan))
  }

  /** Routes of the messages that a path below a prefix leads to: what holds for them holds by every path. More than one where only the host knows which. */
  #reached ({ upstream: { plan: { name } } }: Pick<PrefixEntry, 'upstream'>, candidates: readonly Candidate[], paths: ReadonlyArray<CustomRoute<CustomEntry>>, method: string): readonly Route[] {
    if (candidates.length === 0 && paths.length === 0) return none
    const keys = new Set(candidates.map(({ key }) => key))
    // What answers GET answers HEAD too.
    for (const { plan } of paths) if (takes(plan, method) || (method === 'HEAD' && takes(plan, 'GET'))) keys.add(plan.message)
    return [...keys].map(key => this.#messages.get(key)).filter(entry => isRoutedTo(name, entry?.plan)).flatMap(entry => entry?.route ?? [])
  }

  #notFound (name: string | undefined, key = ''): never {
    if (this.#incomplete) throw new GatewayError('RoutesNotReady')
    if (name === undefined) throw new GatewayError('MessageNotFound', { message: 'Nothing is here.' })
    const suggestions = this.#suggestions(key)
    const nearest = suggestions.length === 0 ? '' : ` Did you mean ${suggestions.join(', ')}?`
    throw new GatewayError('MessageNotFound', { message: `The message '${name.slice(0, 200)}' does not exist.${nearest}` })
  }

  #suggestions (key: string): readonly string[] {
    if (!this.#suggest) return []
    const names: string[] = []
    for (const { plan } of this.#messages.values()) if (plan.suggest && plan.state === 'routed') names.push(plan.name)
    return suggest(key, names)
  }
}

const none: readonly never[] = []
/** `/{Path*}`. */
const takesAll = ({ path }: CustomRoutePlan): boolean => /^\/*\{[^/]*\*[^/]*\}/.test(path)
const takes = ({ verbs }: CustomRoutePlan, method: string): boolean => verbs.length === 0 || verbs.includes(method)

/**
 * Whether a ServiceStack host will never say which of its messages and paths are restricted, so that it gets only messages routed to it by name.
 * @throws GatewayError RoutesNotReady where nobody knows yet what it is, or what it lists
 */
function tellsNothing (plan: UpstreamPlan): boolean {
  if (isOpen(plan)) throw new GatewayError('RoutesNotReady')
  return plan.servicestack === true && plan.lists === 'none'
}

/** Hosts take any letter case and a trailing slash. The api form answers by rules of its own, so it stays apart where the host knows it. */
function canonical ({ form, format, batch }: RequestTarget & { kind: 'message' }, asItCame: boolean, name: string): string {
  if (form === 'api' && asItCame) return format === 'json' ? `/api/${name}` : `/api/${name}.${format}`
  return `/${format}/${form === 'oneway' ? 'oneway' : 'reply'}/${name}${batch ? '[]' : ''}`
}

function rewritten ({ prefix, rewrite }: PrefixEntry, decodedPath: string): string {
  return rewrite === undefined ? decodedPath : joined(rewrite, decodedPath.slice(prefix.length))
}

/** The raw path below the prefix, byte for byte. The prefix itself may have been escaped, so segments are counted, not characters. */
function rewrittenRaw ({ prefix, rewrite }: PrefixEntry, path: string, decodedPath: string): string {
  if (rewrite === undefined) return path
  if (path === decodedPath) return joined(rewrite, path.slice(prefix.length))
  let at = 0
  for (let segments = prefix.split('/').length - 1; segments > 0; segments--) {
    const next = path.indexOf('/', at + 1)
    at = next === -1 ? path.length : next
  }
  return joined(rewrite, path.slice(at))
}

function joined (base: string, rest: string): string {
  if (rest === '') return base
  return (base.endsWith('/') ? base.slice(0, -1) : base) + (rest.startsWith('/') ? rest : `/${rest}`)
}
