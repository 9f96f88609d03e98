// One request on its way through the cache, and what was found for it. Types only.
import type { Next } from '../exchange/compose.ts'
import type { Exchange } from '../exchange/exchange.ts'
import type { Forwarded } from './entry.ts'
import type { CacheRequest } from './request.ts'
import type { Stored } from './stored.ts'
import type { Tally } from './tally.ts'

/** One request on its way. */
export interface Start {
  readonly exchange: Exchange
  readonly next: Next
  readonly request: CacheRequest
  readonly tally: Tally
  /** The second level was asked, and had something. */
  readonly found?: boolean
  /** Of the one wait that there is for the second level. Milliseconds. */
  readonly spentMs?: number
}

export interface Asked extends Start {
  readonly key: string
  readonly target: string
  /** Stored but not to be given out as it is. */
  readonly entry: Stored | undefined
  readonly why: Forwarded
}
