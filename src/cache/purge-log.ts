// What was purged of late: an answer that was asked for before a purge and comes after it must not be stored. Pure but for its memory.
import type { Place } from './stored.ts'

/** What a purge names. */
export type Selector =
  | { readonly kind: 'target', readonly target: string }
  | { readonly kind: 'tag', readonly tag: string }
  | { readonly kind: 'message', readonly message: string }
  | { readonly kind: 'service', readonly service: string }
  | { readonly kind: 'all' }

/** Whether a purge means an answer at this place with these tags. Names in any letter case; tags as they are. */
export function selects (selector: Selector, place: Place, tags: readonly string[]): boolean {
  switch (selector.kind) {
    case 'target': return place.target === selector.target
    case 'tag': return tags.includes(selector.tag) || place.ownTags.includes(selector.tag)
    case 'message': return place.message.toLowerCase() === selector.message.toLowerCase()
    case 'service': return place.upstream.toLowerCase() === selector.service.toLowerCase()
    case 'all': return true
  }
}

/** Purges remembered; an answer that took longer than that many is not stored. */
const mostRemembered = 1_024

export class PurgeLog {
  readonly #recent: Selector[] = []
  /** Purges so far. */
  count = 0

  add (selector: Selector): void {
    this.#recent[this.count++ % mostRemembered] = selector
  }

  /** Whether anything that was purged after `since` purges means this answer. */
  hits (since: number, place: Place, tags: readonly string[]): boolean {
    if (this.count - since > mostRemembered) return true
    for (let n = since; n < this.count; n++) if (selects(this.#recent[n % mostRemembered]!, place, tags)) return true
    return false
  }
}
