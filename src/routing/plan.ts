// What the control plane tells the data plane: differences of the table, small enough to cross a thread in slices. Types only.
import type { Effect } from '../exchange/effect.ts'

export interface EndpointPlan {
  /** Origin and base path without trailing slash: the endpoint's key. */
  readonly url: string
  readonly origin: string
  readonly basePath: string
  readonly weight: number
  readonly version: string | undefined
  readonly node: string | undefined
  /** `tag:NAME`, `meta:KEY=VALUE`: those that a split of postern.yaml names. */
  readonly labels: readonly string[]
  /** Where its host name leads, as resolved and admitted; undefined for an address, and where that is not known. */
  readonly ips?: readonly string[] | undefined
  readonly datacenter: string | undefined
  readonly zone: string | undefined
  /** 0 is nearest: zone, then datacenter. Calls go to the next level as far as the nearer ones cannot carry them. */
  readonly level: number
  /** Estimated round trip by the registry's network coordinates, ms; undefined = not known. */
  readonly rttMs: number | undefined
}

/** What is registered at one level, with or without traffic: a level that lacks some of it cannot carry all. */
export interface LevelPlan {
  readonly level: number
  readonly weight: number
}

export interface UpstreamPlan {
  readonly name: string
  /** Endpoints that get traffic. Those that are draining, ghosts, critical or refused are not among them. */
  readonly endpoints: readonly EndpointPlan[]
  /**
   * Those (url) that get what has no endpoints of its own: prefixes, the fallback, copies. Others are here only for messages that no better
   * endpoint has. Undefined = all.
   */
  readonly base?: readonly string[] | undefined
  /** Nearest first. */
  readonly levels: readonly LevelPlan[]
  /** Whether every endpoint answers /api/X; if not, /api/X is sent as /json/reply/X. */
  readonly apiForm: boolean
  /** ServiceStack hosts: prefix routes to them must not reach what is not routed. Undefined: none of them has said what it is yet. */
  readonly servicestack: boolean | undefined
  /**
   * What is known of the messages and RESTful paths of a ServiceStack host: `read` as soon as one endpoint has told all of its list (the base
   * is those that have, then), or where tags are believed without one; `unread`: not yet; `none`: they publish none, or more than is taken in.
   */
  readonly lists: 'read' | 'unread' | 'none'
}

/**
 * `hidden`: answers like what does not exist. `unread`: named in a registry, but its service's list is not read yet (503 RoutesNotReady).
 */
export type MessageState = 'routed' | 'hidden' | 'unread'

export interface MessagePlan {
  /** Lower-cased name: the key of the table. */
  readonly key: string
  /** As the service lists it. */
  readonly name: string
  readonly state: MessageState
  readonly upstream: string
  /** Keys (url) of the endpoints that have it; undefined = the base of the upstream. */
  readonly endpoints: readonly string[] | undefined
  /** Other upstreams that a split sends a part of its calls to, with those of their endpoints that have it (undefined = the base). */
  readonly alternatives?: ReadonlyArray<{ readonly upstream: string, readonly endpoints: readonly string[] | undefined }> | undefined
  /** Whether a suggestion may name it. */
  readonly suggest: boolean
  /** What the DTO's own marker says of repeating it (IGet, IPut …); undefined = no marker, or not known. */
  readonly effect: Effect | undefined
}

/** A RESTful path of a service's own list: routed where customRoutes is on, else kept only so that by it no prefix route reaches what is not routed, or repeats what may not be. */
export interface CustomRoutePlan {
  /** As listed: /products/{Id}, /files/{Path*} or /files/{*Path}. */
  readonly path: string
  /** Upper-case verbs; empty = any. */
  readonly verbs: readonly string[]
  /** Key of the message it belongs to. */
  readonly message: string
  readonly routed: boolean
}

export type Change =
  | { readonly kind: 'upstream', readonly plan: UpstreamPlan }
  | { readonly kind: 'upstream-gone', readonly name: string }
  | { readonly kind: 'message', readonly plan: MessagePlan }
  | { readonly kind: 'message-gone', readonly key: string }
  /** All custom routes of one upstream, in place of those before. */
  | { readonly kind: 'custom-routes', readonly upstream: string, readonly routes: readonly CustomRoutePlan[] }

/** A slice of a change of the table. The receiver gathers slices and swaps at the last one. */
export interface ChangeBatch {
  readonly changes: readonly Change[]
  readonly last: boolean
  /** Counts configurations: the table and the policies of one configuration are swapped together. */
  readonly configGeneration: number
  /** A registry has not answered yet: what is not found may be known to it, so it is not said to be unknown. */
  readonly incomplete?: boolean
  /** Whatever is not in the table was never claimed by anybody, so it may go to the fallback of postern.yaml. */
  readonly fallback?: boolean
}
