// What is being asked of origins right now, by key; and which keys proved not worth waiting for each other (hit-for-miss).
import { LRUCache } from 'lru-cache'
import type { Selector } from './purge-log.ts'
import type { CacheRequest } from './request.ts'
import { SharedAnswer } from './shared-answer.ts'
import { variantOf } from './vary.ts'

/** Keys remembered as not stored. */
const mostMarks = 10_000
/** Characters of them all: a stranger's keys may be as long as heads are. */
const mostMarked = 2_000_000

export class Fills {
  readonly #answers = new Map<string, SharedAnswer>()
  readonly #marks = new LRUCache<string, true>({ max: mostMarks, maxSize: mostMarked, sizeCalculation: (_marked, key) => key.length })

  /** Requests under way. */
  get size (): number {
    let size = 0
    for (const { running } of this.#answers.values()) size += running
    return size
  }

  find (key: string): SharedAnswer | undefined {
    return this.#answers.get(key)
  }

  /** Whoever comes from now on joins this one. `waitMs`: how long nobody else is asked. */
  open (key: string, waitMs: number): SharedAnswer {
    const answer = new SharedAnswer({ key, waitMs, onOver: over => { if (this.#answers.get(key) === over) this.#answers.delete(key) } })
    this.#answers.set(key, answer)
    return answer
  }

  /** For so long nobody waits for an answer to this key: the last one was not stored. */
  mark (key: string, forMs: number): void {
    if (forMs > 0) this.#marks.set(key, true, { ttl: forMs })
  }

  unmark (key: string): void {
    this.#marks.delete(key)
  }

  isMarked (key: string): boolean {
    return this.#marks.has(key)
  }

  /**
   * Who comes after a purge does not get what was asked for before it. A fill whose head is not here may turn out to carry a purged tag.
   */
  purge (selector: Selector): void {
    for (const answer of [...this.#answers.values()]) if (answer.isMeantBy(selector)) this.#answers.delete(answer.key)
  }
}

/** Whose answers are waited for together: of the same variant as far as one is known, and with or without an identity. */
export function fillKey (key: string, request: CacheRequest, vary: readonly string[]): string {
  return `${key}\n${request.identity === '' ? '' : 'identified'}\n${variantOf(vary, request.headers)}`
}
