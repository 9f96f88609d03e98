// What a fill is made with, and whom it tells. Types only.
import type { Next } from '../exchange/compose.ts'
import type { Fill } from './fill.ts'
import type { FillOwner } from './fill-result.ts'
import type { GuardRules } from './guard.ts'
import type { Refusal } from './hit-for-miss.ts'
import type { CacheRequest } from './request.ts'
import type { CacheRules } from './rules.ts'
import type { Share } from './second-level/share.ts'
import type { CacheStore } from './store.ts'
import type { Draft, Place, Stored } from './stored.ts'

export interface FillEvents {
  /** The answer is not stored. */
  notStored (fill: Fill, refusal: Refusal): void
  /** Its head is known: it will be stored if it fits. */
  storable (fill: Fill, draft: Draft): void
}

export interface FillOptions {
  readonly owner: FillOwner
  readonly place: Place
  readonly request: CacheRequest
  /** Stored and stale: asked about with its validators. */
  readonly previous: Stored | undefined
  readonly rules: CacheRules
  /** Of the message: `ForAll.tell`. */
  readonly told: Set<string>
  readonly guard: GuardRules
  /** The request path below the cache, with a deadline of its own. */
  readonly path: Next
  readonly store: CacheStore
  /** undefined: there is no second level, or the answer is none of its business. */
  readonly share: Share | undefined
  readonly events: FillEvents
  readonly again: Draft['again']
}
