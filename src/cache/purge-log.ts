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
    case 'message': return place.message.toLowerCase() === selector.message.toLowerCase() || place.reached.includes(selector.message.toLowerCase())
    case 'service': return place.upstream.toLowerCase() === selector.service.toLowerCase()
    case 'all': return true
  }
}

/** Equal keys mean the same answers: names in any letter case. */
export function selectorKey (selector: Selector): string {
  switch (selector.kind) {
    case 'target': return `target ${selector.target}`
    case 'tag': return `tag ${selector.tag}`
    case 'message': return `message ${selector.message.toLowerCase()}`
    case 'service': return `service ${selector.service.toLowerCase()}`
    case 'all': return 'all'
  }
}

/** Keys of all selectors that mean an answer at this place with these tags. */
export function keysMeaning ({ target, message, upstream, reached, ownTags }: Place, tags: readonly string[]): string[] {
  const selectors: Selector[] = [
    { kind: 'all' }, { kind: 'target', target }, { kind: 'message', message }, { kind: 'service', service: upstream },
    ...reached.map(name => ({ kind: 'message', message: name }) as const),
    ...[...tags, ...ownTags].map(tag => ({ kind: 'tag', tag }) as const)
  ]
  return selectors.map(selectorKey)
}

/** Different purges remembered, and the letters of all; what was asked for before one that was forgotten is not stored. */
const mostRemembered = 10_000
const mostLetters = 4_194_304

export class PurgeLog {
  /** By selector the count at its latest purge, oldest first. */
  readonly #latest = new Map<string, number>()
  /** Count at the latest purge that was forgotten. */
  #forgotten = 0
  #letters = 0
  /** Purges so far. */
  count = 0

  add (selector: Selector): void {
    const key = selectorKey(selector)
    if (!this.#latest.delete(key)) this.#letters += key.length
    this.#latest.set(key, ++this.count)
    for (const [oldest, at] of this.#latest) {
      if (this.#latest.size <= mostRemembered && this.#letters <= mostLetters) return
      this.#latest.delete(oldest)
      this.#letters -= oldest.length
      this.#forgotten = at
    }
  }

  /** Whether anything that was purged after `since` purges means this answer, or may have. */
  hits (since: number, place: Place, tags: readonly string[]): boolean {
    if (since === this.count) return false
    return since < this.#forgotten || keysMeaning(place, tags).some(key => (this.#latest.get(key) ?? 0) > since)
  }
}
