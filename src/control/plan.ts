// What the control plane decided, whole: the table to be and the reasons for everything in it. Types, and what they are before the first decision.
import type { Effect } from '../exchange/effect.ts'
import type { CustomRoutePlan, MessagePlan, UpstreamPlan } from '../routing/plan.ts'
import { isConfirmed } from './claims.ts'
import type { Departed } from './departed.ts'
import type { LeftOut } from '../upstream/left-out.ts'
import type { EndpointState, Verdict } from './endpoints.ts'
import type { ExposureCause } from './exposure.ts'
import { nothingJudged, type Judged } from './judged.ts'
import type { Marks } from './marks.ts'
import type { Standing } from './offers.ts'
import type { Move, Owner, Resolution } from './ownership.ts'

/** The table as the data plane is to have it. */
export interface Plan {
  readonly upstreams: ReadonlyMap<string, UpstreamPlan>
  /** By lower-cased name. */
  readonly messages: ReadonlyMap<string, MessagePlan>
  /** By upstream. */
  readonly customRoutes: ReadonlyMap<string, readonly CustomRoutePlan[]>
}

export const emptyPlan: Plan = { upstreams: new Map(), messages: new Map(), customRoutes: new Map() }

/** What one decision hands to the next. */
export interface Memory {
  /** Endpoints (url) in the table. */
  readonly served: ReadonlySet<string>
  readonly owners: ReadonlyMap<string, Owner>
  readonly departed: Departed
  readonly marks: Marks
  readonly judged: Judged
}

export const emptyMemory: Memory = { served: new Set(), owners: new Map(), departed: new Map(), marks: new Map(), judged: nothingJudged }

/** `absent`: a tag that no endpoint lists, so no message. `conflict`: its owner has left and several others claim it. */
export type NameState = 'routed' | 'hidden' | 'unread' | 'quarantined' | 'conflict' | 'absent'

/** One name of one upstream, and why it stands as it does. */
export interface NameDecision {
  readonly key: string
  readonly name: string
  readonly upstream: string
  readonly state: NameState
  readonly cause: Exclude<ExposureCause, 'exposed'> | 'listed' | 'trusted' | 'no-list' | 'stranger' | 'not-read' | 'waits' | 'not-listed' | 'unspoken' | 'owned' | 'several' | 'split' | 'yaml' | 'lacks'
  readonly by: Resolution['by']
  /** The other upstreams that claim it, and count. */
  readonly conflictWith: readonly string[]
  /** Where its owner has it from, why, and since when (ms since epoch); undefined for the first owner, and for those who only claim it. */
  readonly moved: (Move & { readonly at: number }) | undefined
  /** What its DTO's own marker says of repeating it. */
  readonly marker: Effect | undefined
  /** Endpoints that get its calls now. None where it `lacks`: postern.yaml gives it to an upstream whose own list does not have it. */
  readonly endpoints: number
  /** Whether strangers are all that answers at the addresses of its upstream. */
  readonly isStrange: boolean
  /** Who has the name; of a `conflict`, who had it. Undefined: nobody ever. `isRegistered`: whether anything is known of that upstream. */
  readonly owner: { readonly name: string, readonly isRegistered: boolean } | undefined
  /** Whose word has given it to its owner, where more than its history decides; undefined: nobody's. */
  readonly settled: { readonly by: 'yaml' | 'operator', readonly note: string | undefined } | undefined
  /** Its owner, `to`, has it only until `from` can be called again; `until`: but no longer than that, ms since epoch. `isLost`: `from`'s registry has forgotten it. */
  readonly lent: { readonly to: string, readonly from: string, readonly until: number | undefined, readonly isLost: boolean } | undefined
  /** What this upstream's word on it is worth; undefined where no registration of it names it. */
  readonly standing: Standing | undefined
  /** Its upstream does not count beside others: see Claimant. */
  readonly isLost: boolean
  /** All of this upstream that may have it is in maintenance. */
  readonly isDrained: boolean
  /** What of postern.yaml lets it out, where its service restricts it. */
  readonly letOut: 'message-setting' | 'pattern' | undefined
  /** Why its list is not read, as an endpoint that may have it said; undefined before that, and where the list is read. */
  readonly unread: string | undefined
  /** Of an `unspoken` one: the first registration that has it, and how many others do. */
  readonly only?: { readonly id: string, readonly state: EndpointState, readonly others: number }
  readonly since: number
}

/** Whether several services have the name, and nobody has said yet whose it is. Whose word on it nobody believes, or has read, disputes nothing. */
export const isDisputed = ({ state, settled, standing }: NameDecision): boolean =>
  state === 'conflict' || (state === 'quarantined' && settled === undefined && standing !== undefined && isConfirmed(standing))

export interface EndpointDecision {
  readonly upstream: string
  readonly verdict: Verdict
  readonly state: EndpointState
  /** In the table although it fails its checks, because no better one is left. */
  readonly byPanic: boolean
  /** Better ones of its upstream are left, but none that has its messages: it gets those and nothing else. */
  readonly isLast: boolean
  /** Nothing else speaks against it, but it has not told its list, and so gets no calls. `reason`: what came of asking for it. */
  readonly untold: { readonly reason: string | undefined } | undefined
  /** Where the id is registered that the process there says it runs under; undefined: at this address, or nowhere. */
  readonly elsewhere: string | undefined
  /** In the table, and why it gets no calls all the same. */
  readonly out: LeftOut | undefined
  /** What leads to its upstream by postern.yaml alone waits for its word on what it is, or lists. */
  readonly isOpen: boolean
  readonly since: number
}

/** Two messages want one path. */
export interface PathConflict {
  readonly path: string
  readonly upstream: string
  readonly message: string
  readonly conflictWith: string
}

export interface Decision {
  readonly plan: Plan
  readonly memory: Memory
  readonly names: readonly NameDecision[]
  readonly endpoints: readonly EndpointDecision[]
  readonly pathConflicts: readonly PathConflict[]
  /** Names that changed hands just now. */
  readonly moves: readonly Move[]
  /** Endpoints (url) of owners whose name is claimed by somebody else too: whether they answer decides who has it. */
  readonly watched: ReadonlySet<string>
  /** When time alone changes something; ms since epoch. */
  readonly nextAt: number | undefined
}
