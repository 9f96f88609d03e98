// Least requests: of two choices the one with fewer calls in flight for its share.
import type { Candidate, Picker } from './candidate.ts'
import type { Level } from './level.ts'
import { twoChoices } from './two-choices.ts'

export function leastRequests<E extends Candidate> (level: Level<E>): Picker<E> {
  return twoChoices(level, (other, first, { nowMs }) => other.inFlight / level.relativeShare(other, nowMs) < first.inFlight / level.relativeShare(first, nowMs))
}
