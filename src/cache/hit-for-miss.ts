// Where answers proved not to be storable, nobody waits for anybody: what says so of a key and of a whole message, and what ends it.
import type { UpstreamResponse } from '../exchange/exchange.ts'
import type { NotKept } from './fill-result.ts'
import type { Fills } from './fills.ts'
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

/** What is asked, and in whose name it is remembered. `key`: of the fill. */
export interface Learning {
  readonly fills: Fills
  readonly tally: Tally
  readonly key: string
}

/** Of a message an error tells nothing, nor does what is one caller's own: others may get something else. */
export function learnRefusal ({ fills, tally, key }: Learning, { reason, forNext, status }: Refusal, hitForMissMs: number): void {
  tally.refuse(reason)
  if (!forNext) return
  if (status < 400 && reason !== 'identity') tally.notStoredInARow++
  fills.mark(key, hitForMissMs)
}

/** The first answer to a GET that could be stored ends it. */
export function learnPassed ({ fills, tally, key }: Learning, request: CacheRequest, response: UpstreamResponse, rules: CacheRules): void {
  if (request.method !== 'GET' || !(tally.isHopeless || fills.isMarked(key)) || !isStorable(request, response, rules)) return
  tally.notStoredInARow = 0
  fills.unmark(key)
}
