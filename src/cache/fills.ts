// What is being asked of origins right now, one request a key; and which keys proved not worth waiting for each other (hit-for-miss).
import { LRUCache } from 'lru-cache'
import type { Fill } from './fill.ts'
import { selects, type Selector } from './purge-log.ts'
import type { CacheRequest } from './request.ts'
import { variantOf } from './vary.ts'

/** Keys remembered as not stored. */
const mostMarks = 10_000
/** Characters of them all: a stranger's keys may be as long as heads are. */
const mostMarked = 2_000_000

export class Fills {
  readonly #running = new Map<string, Fill>()
  readonly #marks = new LRUCache<string, true>({ max: mostMarks, maxSize: mostMarked, sizeCalculation: (_marked, key) => key.length })

  get size (): number { return this.#running.size }

  find (key: string): Fill | undefined {
    return this.#running.get(key)
  }

  add (fill: Fill): void {
    this.#running.set(fill.key, fill)
  }

  /** Nobody joins it any more. */
  remove (fill: Fill): void {
    if (this.#running.get(fill.key) === fill) this.#running.delete(fill.key)
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
    for (const fill of [...this.#running.values()]) {
      const { tags } = fill
      if ((tags === undefined && selector.kind === 'tag') || selects(selector, fill.place, tags ?? none)) this.#running.delete(fill.key)
    }
  }
}

const none: readonly string[] = []

/** Whose answers are waited for together: of the same variant as far as one is known, and with or without an identity. */
export function fillKey (key: string, request: CacheRequest, vary: readonly string[]): string {
  return `${key}\n${request.identity === '' ? '' : 'identified'}\n${variantOf(vary, request.headers)}`
}
