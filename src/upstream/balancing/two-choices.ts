// The power of two choices: of two endpoints at random the better one, so that no number of gateways runs at one endpoint together.
import type { Call, Candidate, Picker } from './candidate.ts'
import type { Level } from './level.ts'

/** The first is drawn by share and keeps the call unless the other is better: so shares hold where nobody is better. */
export function twoChoices<E extends Candidate> (level: Level<E>, isBetter: (other: E, first: E, call: Call) => boolean): Picker<E> {
  return {
    pick (call) {
      const index = level.draw(call)
      if (index < 0) return undefined
      const first = level.endpoints[index]!
      const otherIndex = level.drawOther(index, call)
      if (otherIndex < 0) return first
      const other = level.endpoints[otherIndex]!
      return isBetter(other, first, call) ? other : first
    }
  }
}
