// What a registry says: one registration, in our words, whatever registry it came from. Types only.

import type { Distances } from './coordinates.ts'

/** Where calls go: an origin and a base path. `url` is both without a trailing slash, and the endpoint's key everywhere. */
export interface EndpointAddress {
  readonly url: string
  /** scheme://host:port */
  readonly origin: string
  /** '' or '/sub/api'. */
  readonly basePath: string
}

/**
 * `unchecked`: Consul has not run the checks yet, so the endpoint is asked by ourselves. `maintenance`: an operator's order: drain.
 */
export type Health = 'passing' | 'warning' | 'critical' | 'unchecked' | 'maintenance'

/** What of ours keeps an address from being used: `registry.allowedNetworks`; what a name server says; too many host names. */
export type Cure = 'networks' | 'name' | 'fewer-names'

export interface Registration {
  readonly id: string
  /** Which registry said so: `consul`, `embedded`, `file`, or `config` for fixed endpoints of postern.yaml. */
  readonly registry: 'consul' | 'embedded' | 'file' | 'config'
  /** The name it registered under (`api` for everything of the plugin). */
  readonly registeredAs: string
  /** The service it belongs to: the {ServiceName} of a plugin's id, else `registeredAs`. Names the upstream. */
  readonly service: string
  /** `plugin`: ServiceStack.Discovery.Consul; `req`: its shape of April 2016 (req- tags); `plain`: any other. */
  readonly kind: 'plugin' | 'req' | 'plain'
  /** Undefined when the address could not be read; `refused` then says why. */
  readonly address: EndpointAddress | undefined
  /** Why it can never be used as it stands (bad address, network not allowed). */
  readonly refused: string | undefined
  /** Of a refused one: what would help beside another registration. Left out: nothing. */
  readonly cure?: Cure | undefined
  /** What of it cannot be read; the rest is told as far as it can be. Left out: it is whole. */
  readonly malformed?: string
  /** Names that may be messages, from tags or Meta, as written. */
  readonly names: readonly string[]
  /** From ss-version-*. */
  readonly version: string | undefined
  readonly tags: readonly string[]
  readonly meta: Readonly<Record<string, string>>
  readonly weights: { readonly passing: number, readonly warning: number }
  readonly health: Health
  /** Unchecked, and the plugin's own health check (AddServiceCheck) is among what has not run: its endpoint is asked that too. */
  readonly healthCheck?: boolean
  /** Unchecked for good: its registry has no check of it, so that nobody looks at it but Postern. */
  readonly checkless?: boolean
  /** IP addresses that its host name resolved to; left out: its address has none, or they are not known. */
  readonly ips?: readonly string[]
  /** Why it is not known where its host name leads, and since when questions for it have failed (ms since epoch); undefined before the first answer. Left out: it is known. */
  readonly unresolved?: { readonly reason: string, readonly failedSince: number | undefined }
  /** Notes of a maintenance check, or the output of a failing one. */
  readonly notes: string | undefined
  readonly createIndex: number
  readonly node: string
  /** Which node of that name it is: another one tells that its catalogue was begun anew. Left out: not known. */
  readonly nodeIdentity?: string
  readonly datacenter: string | undefined
  /**
   * Its node is the one of the agent that was asked, and that agent runs on our machine: only then is its loopback ours too.
   * Left out: not known, so no.
   */
  readonly ownNode?: boolean
}

/** An entry too broken to be shown as a registration: why, and what can be read of who it is. */
export interface Dropped {
  readonly reason: string
  readonly id: string | undefined
  readonly registeredAs: string | undefined
  readonly node: string | undefined
  readonly datacenter: string | undefined
}

/** All registrations of one registry at one time. */
export interface Snapshot {
  readonly registry: Registration['registry']
  readonly registrations: readonly Registration[]
  /** X-Consul-Index, where there is one. */
  readonly index: number | undefined
  /** The index went backwards since the last snapshot: the registry has forgotten something. */
  readonly reset: boolean
  /** Left out: none. */
  readonly dropped?: readonly Dropped[]
  /** What is watched and could not be read since the watch began: nothing is said of it, neither that it is there nor that it is gone. Left out: nothing. */
  readonly unread?: readonly UnreadPart[]
}

/** What a registry said last, as far as its next answer is compared with it. */
export type LastWord = Pick<Snapshot, 'registrations' | 'index'>

/** A service, in one datacenter where several are watched. */
export interface UnreadPart {
  readonly service: string
  readonly datacenter: string | undefined
  /** Whether names may be missing for want of it: not of a datacenter beyond the nearest. */
  readonly awaited: boolean
}

/** How a watch is doing, for /api, metrics and log. */
export interface WatchState {
  readonly registry: Registration['registry']
  readonly ok: boolean
  /** Date.now() of the last good answer; undefined before the first. */
  readonly lastGoodAt: number | undefined
  readonly error: string | undefined
  /** The agent that answered last. */
  readonly agent: string | undefined
  /** Questions that failed since the watch began: no answer, an error, or one that must not be believed. Left out: none. */
  readonly errors?: number
  /** Where only some of what is watched fails now: which. Left out: what is said holds for all. */
  readonly failing?: readonly FailingPart[]
}

/** A service, in one datacenter where several are watched. */
export interface FailingPart {
  readonly service: string
  readonly datacenter: string | undefined
  /** Date.now() of its last good answer; undefined before the first. */
  readonly lastGoodAt: number | undefined
}

/** A registry that is being watched. */
export interface Watch {
  close (): Promise<void>
}
export interface WatchListener {
  snapshot (snapshot: Snapshot): void
  state (state: WatchState): void
  /** How far nodes and datacenters are, where the registry knows it; told again when it has changed. */
  distances? (distances: Distances): void
}
