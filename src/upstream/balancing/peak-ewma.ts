// Peak-EWMA: of two choices the one with the lower cost, which is its expected time to the response head × (calls in flight for its share + 1).
import type { Candidate, Picker } from './candidate.ts'
import type { Level } from './level.ts'
import { twoChoices } from './two-choices.ts'

/** Costs nearer to each other than this are the same: then shares decide, and the way there. */
const clearly = 1.25
const nearerByMs = 1

export function peakEwma<E extends Candidate> (level: Level<E>): Picker<E> {
  const costOf = (endpoint: E, nowMs: number) =>
    endpoint.standing.estimateMs(nowMs, endpoint.plan.rttMs) * (endpoint.inFlight / level.relativeShare(endpoint, nowMs) + 1)
  return twoChoices(level, (other, first, { nowMs }) => {
    const own = costOf(first, nowMs)
    const others = costOf(other, nowMs)
    if (own > others * clearly) return true
    return others <= own * clearly && isClearlyNearer(other, first)
  })
}

function isClearlyNearer ({ plan: { rttMs: other } }: Candidate, { plan: { rttMs: first } }: Candidate): boolean {
  return other !== undefined && first !== undefined && first - other >= nearerByMs && first >= 2 * other
}
