// What the main thread and the control thread say to each other. Types only; everything here can be cloned.
import type { Config } from '../config/schema.ts'
import type { OwnListener } from '../registry/allowed-networks.ts'
import type { WatchState } from '../registry/registration.ts'
import type { PackedBatch } from './packed.ts'
import type { SettleWish } from './settle.ts'
import type { LastHeard } from '../upstream/last-heard.ts'
import type { LeftOut } from '../upstream/left-out.ts'

/** What the data plane has of an earlier control thread. */
export interface Applied {
  readonly upstreams: readonly string[]
  /** Key and upstream: whose it was, it stays. */
  readonly messages: ReadonlyArray<readonly [key: string, upstream: string]>
  /** Upstreams with custom routes. */
  readonly customRoutes: readonly string[]
}

export interface ControlStart {
  readonly config: Config
  readonly generation: number
  readonly ownListeners: readonly OwnListener[]
  readonly applied: Applied
  readonly leftOut: readonly LeftOut[]
  /** Not after the death of an earlier thread: a registry of ours that cannot be started ends the start. */
  readonly first: boolean
}

export interface ControlCounts {
  /** Names by state. */
  readonly routes: Readonly<Record<string, number>>
  /** Names that more than one service claims, and paths likewise. */
  readonly conflicts: number
  /** Registrations by state. */
  readonly registrations: Readonly<Record<string, number>>
  readonly upstreams: number
  /** Endpoints in the table. */
  readonly served: number
}

/** Entries of a registry's last answer that cannot be read, or not whole: how many, and the first few reasons. */
export interface Unreadable { readonly count: number, readonly reasons: readonly string[] }

export interface ControlStatus {
  readonly registries: WatchState[]
  readonly embeddedUrl: string | undefined
  /** A table was committed. */
  readonly hasTable: boolean
  readonly counts: ControlCounts
  /** Names that changed hands since the thread started, by reason. */
  readonly moves: Readonly<Record<string, number>>
  /** By registry. */
  readonly dropped: Readonly<Record<string, Unreadable>>
  /** Registrations in force that the registry does not vouch for now, by registry. */
  readonly stale: Readonly<Record<string, number>>
  /** Whether what has to outlive a restart is on disk. Left out: nothing was to be written yet. */
  readonly stateKept?: boolean
}

/**
 * Why an endpoint is asked again: an answer of it gives reason to doubt who is there; somebody takes connections there; calls have not heard of it for a
 * while, and what is known here may be younger; nobody takes connections.
 */
export type RecheckReason = 'doubted' | 'returning' | 'cold' | 'lost'

export type ToThread =
  | { readonly kind: 'configure', readonly config: Config, readonly generation: number }
  | { readonly kind: 'applied', readonly error: string | undefined }
  | { readonly kind: 'recheck', readonly id: number, readonly url: string, readonly why: RecheckReason }
  | { readonly kind: 'left-out', readonly all: readonly LeftOut[] }
  | { readonly kind: 'last-heard', readonly last: LastHeard }
  | { readonly kind: 'settle', readonly id: number, readonly wish: SettleWish }
  | { readonly kind: 'describe', readonly id: number, readonly what: 'routes' | 'upstreams' }
  | { readonly kind: 'close' }

export type FromThread =
  | { readonly kind: 'started' }
  | { readonly kind: 'batch', readonly batch: PackedBatch }
  | { readonly kind: 'status', readonly status: ControlStatus }
  /** One question at a time; answered by `last-heard`. */
  | { readonly kind: 'last-heard', readonly urls: readonly string[] }
  | { readonly kind: 'kept', readonly isKept: boolean }
  | { readonly kind: 'log', readonly level: 'debug' | 'info' | 'warn' | 'error', readonly fields: Readonly<Record<string, unknown>>, readonly message: string }
  /** To whatever came with this id. `json`: what was asked for, as text. */
  | { readonly kind: 'reply', readonly id: number, readonly json: string | undefined, readonly error: string | undefined }
  | { readonly kind: 'closed' }

export const noMoves: ControlStatus['moves'] = { gone: 0, unlisted: 0, silent: 0, replaced: 0, drained: 0, stopped: 0, returned: 0, settled: 0 }
export const noCounts: ControlCounts = { routes: {}, conflicts: 0, registrations: {}, upstreams: 0, served: 0 }
