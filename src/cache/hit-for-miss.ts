// Where answers proved not to be storable, nobody waits for anybody: what says so of a key and of a whole message, and what ends it.
import type { UpstreamResponse } from '../exchange/exchange.ts'
import type { NotKept } from './fill-result.ts'
import { fillKey, type Fills } from './fills.ts'
import { isStorable } from './learn.ts'
import type { CacheRequest } from './request.ts'
import type { CacheRules } from './rules.ts'
import type { Tally } from './tally.ts'

export interface Refusal {
  readonly reason: NotKept
  /** Likely to hold for the next answer too. */
  readonly forNext: boolean
  readonly status: number
}

/** What was asked, and where it is remembered. `key`: the primary one; '' where there is none. */
export interface Learning {
  readonly fills: Fills
  readonly tally: Tally
  readonly key: string
  readonly request: CacheRequest
}

const none: readonly string[] = []
/** Of all variants: by which headers the answers would vary is not known of what is not stored. */
const markOf = ({ key, request }: Pick<Learning, 'key' | 'request'>): string => fillKey(key, request, none)

export const isMarked = (fills: Fills, asked: Pick<Learning, 'key' | 'request'>): boolean => fills.isMarked(markOf(asked))

/** Of a message an error tells nothing, nor does what is one caller's own: others may get something else. */
export function learnRefusal (learning: Learning, { reason, forNext, status }: Refusal, hitForMissMs: number): void {
  const { fills, tally } = learning
  tally.refuse(reason)
  if (!forNext) return
  if (status < 400 && reason !== 'identity') tally.notStoredInARow++
  fills.mark(markOf(learning), hitForMissMs)
}

/** The first answer to a GET that could be stored ends it. */
export function learnPassed (learning: Learning, response: UpstreamResponse, rules: CacheRules): void {
  const { fills, tally, key, request } = learning
  if (key === '' || request.method !== 'GET' || !(tally.isHopeless || isMarked(fills, learning)) || !isStorable(request, response, rules)) return
  tally.notStoredInARow = 0
  fills.unmark(markOf(learning))
}
