// Weighted: smoothly by share alone, earliest deadline first as Envoy does it: who has waited longest for its share is next.
import { mayGet, type Candidate, type Picker } from './candidate.ts'
import type { Level } from './level.ts'

/** A share never counts as less, or its owner would wait for ever. */
const leastPart = 0.01

export function weighted<E extends Candidate> (level: Level<E>): Picker<E> {
  const { endpoints } = level
  // Spread over the first round, or every change of the plan would begin with the same endpoints.
  const deadlines = Float64Array.from(endpoints, endpoint => level.random() / level.weightOf(endpoint))
  const heap = Int32Array.from(endpoints.keys()).sort((a, b) => deadlines[a]! - deadlines[b]!)

  const postponeFirst = (nowMs: number): void => {
    const moved = heap[0]!
    const endpoint = endpoints[moved]!
    const deadline = deadlines[moved]! += 1 / (level.weightOf(endpoint) * Math.max(leastPart, level.partOf(endpoint, nowMs)))
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && deadlines[heap[child + 1]!]! < deadlines[heap[child]!]!) child++
      if (deadlines[heap[child]!]! >= deadline) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = moved
  }

  return {
    pick (call) {
      for (let tries = 0; tries < 2 * heap.length; tries++) {
        const endpoint = endpoints[heap[0]!]!
        // Who may not get the call has had its turn all the same: it must not catch up in a burst.
        postponeFirst(call.nowMs)
        if (mayGet(endpoint, call)) return endpoint
      }
      return endpoints.find(endpoint => mayGet(endpoint, call))
    }
  }
}
