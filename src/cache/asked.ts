// One request on its way through the cache, and what was found for it.
import type { Next } from '../exchange/compose.ts'
import type { Exchange } from '../exchange/exchange.ts'
import type { Forwarded } from './entry.ts'
import { targetIndex } from './key.ts'
import type { CacheRequest } from './request.ts'
import type { Place, Stored } from './stored.ts'
import type { Tally } from './tally.ts'
import { ownTags, type Indexed } from './writes.ts'

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

const none: readonly string[] = []
function reachedBy ({ upstreamRequest: { reached } }: Exchange): readonly string[] {
  return reached.length === 0 ? none : reached.map(({ name }) => name.toLowerCase())
}

/** Whose its answer will be. */
export function placeOf ({ exchange, key, target }: Pick<Asked, 'exchange' | 'key' | 'target'>, indexed: Indexed): Place {
  return { key, target: targetIndex(target), upstream: exchange.upstream.name, message: exchange.route.name, reached: reachedBy(exchange), ownTags: ownTags(exchange, indexed) }
}
