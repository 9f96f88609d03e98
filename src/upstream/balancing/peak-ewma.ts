// Peak-EWMA: of two choices rather the one with the lower cost, which is its expected time to the response head × (calls in flight for its share + 1).
import type { Call, Candidate, Picker } from './candidate.ts'
import type { Level } from './level.ts'

/** Times nearer to each other than this are noise. Added to both. */
const noiseMs = 2
/** Costs nearer to each other than this are the same: then the way there decides. */
const alike = 1.25
const nearerByMs = 1
/** An endpoint that costs so many times what is typical is no good choice: another pair is drawn, so often in all. */
const bad = 6
const mostPairs = 3

export function peakEwma<E extends Candidate> (level: Level<E>): Picker<E> {
  const { endpoints } = level
  const costOf = (endpoint: E, nowMs: number) =>
    (endpoint.standing.estimateMs(nowMs, endpoint.plan.rttMs) + noiseMs) * (endpoint.inFlight / level.relativeShare(endpoint, nowMs) + 1)

  /** What the endpoint picked last of a pair costs. */
  let cost = 0

  const pickOfPair = (index: number, call: Call): E => {
    const first = endpoints[index]!
    const otherIndex = level.drawOther(index, call)
    const own = cost = costOf(first, call.nowMs)
    if (otherIndex < 0) return first
    const other = endpoints[otherIndex]!
    const others = costOf(other, call.nowMs)
    const winner = choose(first, own, other, others)
    if (winner === other) cost = others
    return winner
  }

  const choose = (first: E, own: number, other: E, others: number): E => {
    if (others <= own * alike && own <= others * alike) {
      if (isClearlyNearer(other, first)) return other
      if (isClearlyNearer(first, other)) return first
    }
    // Measured times are noisy, so no choice is absolute: of equal weights, who costs twice as much keeps a quarter of its calls, who costs ten
    // times as much a hundredth. With weights in it, equal costs leave the shares as they were drawn (Metropolis and Hastings).
    const odds = level.weightOf(other) / level.weightOf(first) * (own / others) ** 2
    return odds >= 1 || level.random() < odds ? other : first
  }

  return {
    pick (call) {
      let best: E | undefined
      let lowest = Infinity
      for (let pair = 0; pair < mostPairs; pair++) {
        const index = level.draw(call)
        if (index < 0) return undefined
        const picked = pickOfPair(index, call)
        if (cost <= bad * picked.standing.typicalMs) return picked
        if (cost < lowest) {
          best = picked
          lowest = cost
        }
      }
      return best
    }
  }
}

function isClearlyNearer ({ plan: { rttMs: other } }: Candidate, { plan: { rttMs: first } }: Candidate): boolean {
  return other !== undefined && first !== undefined && first - other >= nearerByMs && first >= 2 * other
}
