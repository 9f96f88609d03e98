// Round robin: each endpoint in turn. One of less share passes so many of its turns that its share comes out.
import { mayGet, type Candidate, type Picker } from './candidate.ts'
import type { Level } from './level.ts'

/** Rounds in which somebody of a small share may save up for a turn, before anybody who may is taken. */
const mostRounds = 4
/** Three thirds are a little less than one. */
const whole = 1 - 1e-9

export function roundRobin<E extends Candidate> (level: Level<E>): Picker<E> {
  const { endpoints } = level
  const saved = new Float64Array(endpoints.length)
  let position = Math.trunc(level.random() * endpoints.length)
  return {
    pick (call) {
      let anybody: E | undefined
      for (let step = 0; step < endpoints.length * mostRounds; step++) {
        const index = position % endpoints.length
        const endpoint = endpoints[index]!
        position = index + 1
        if (!mayGet(endpoint, call)) {
          if (anybody === undefined && step >= endpoints.length) return undefined
          continue
        }
        anybody ??= endpoint
        saved[index]! += level.weightOf(endpoint) / level.maxWeight * level.partOf(endpoint, call.nowMs)
        if (saved[index]! < whole) continue
        // What one saved while it stood alone is no right to a burst later.
        saved[index] = Math.min(saved[index]! - whole, 1)
        return endpoint
      }
      return anybody
    }
  }
}
