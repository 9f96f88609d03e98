// What the cache asks of origins: for a client and all who want the same, behind everybody's back, and again after a purge.
import type { Next } from '../exchange/compose.ts'
import { askAgain } from './again.ts'
import { placeOf, type Asked } from './asked.ts'
import type { Cache } from './cache.ts'
import { Fill } from './fill.ts'
import type { FillOwner } from './fill-result.ts'
import { fillKey } from './fills.ts'
import { learnRefusal } from './hit-for-miss.ts'
import { unasked } from './request.ts'
import type { CacheRules } from './rules.ts'
import { shareFor, type Share } from './second-level/share.ts'
import type { Draft, Stored } from './stored.ts'

export class Asking {
  readonly #cache: Cache
  readonly #rules: CacheRules
  readonly #path: Next

  /** `path`: everything below the cache, with a deadline of its own. */
  constructor (cache: Cache, rules: CacheRules, path: Next) {
    this.#cache = cache
    this.#rules = rules
    this.#path = path
  }

  /** One request, to be started. `previous`: stored and stale, asked about with its validators. */
  fill (asked: Asked, owner: FillOwner, previous: Stored | undefined): Fill {
    const { exchange, request, key, tally } = asked
    const { fills, store } = this.#cache
    // What was purged while this one waited is not asked about.
    const held = previous !== undefined && store.has(previous) ? previous : undefined
    return new Fill(exchange, {
      owner,
      place: placeOf(asked, this.#cache.indexed),
      request,
      previous: held,
      told: tally.told,
      rules: this.#rules,
      guard: this.#rules.guard,
      path: this.#path,
      store,
      share: this.share(asked, held),
      again: this.#again(asked),
      events: {
        notStored: (_fill, refusal) => learnRefusal({ fills, tally, key, request }, refusal, this.#rules.config.hitForMissMs),
        storable: (_fill, { leaving }) => {
          tally.notStoredInARow = 0
          this.#cache.alarm(tally, leaving.alarms)
        }
      }
    })
  }

  /** Asks behind the client's back, and not as he does: a HEAD, or that he wants nothing stored, says nothing of what others want. False: there is no room for it now. */
  refresh (asked: Asked): boolean {
    const { exchange, request, key, entry } = asked
    const { fills, background, store } = this.#cache
    const id = fillKey(key, request, store.varyOf(key))
    if (fills.find(id) !== undefined) return true
    return background.offer(exchange.upstream.name, id, () => {
      if (fills.find(id) !== undefined) return Promise.resolve()
      const answer = fills.open(id, this.#rules.config.collapseWaitMs)
      const fill = this.fill({ ...asked, request: unasked(request) }, answer, entry)
      answer.begin(fill)
      return fill.finished
    })
  }

  /** undefined: there is no second level, or the answer is none of its business. */
  share (asked: Asked, previous: Stored | undefined): Share | undefined {
    const { secondLevel } = this.#cache
    return secondLevel === undefined ? undefined : shareFor(secondLevel, { place: placeOf(asked, this.#cache.indexed), request: asked.request, rules: this.#rules, guard: this.#rules.guard, again: this.#again(asked) }, previous, asked)
  }

  /** What is popular is asked for again after a purge: of the origin, and by its validators where it is still here. */
  #again (asked: Asked): Draft['again'] {
    const { refillAfterPurge, refreshAhead } = this.#rules.config
    if (!refillAfterPurge) return undefined
    return askAgain(asked, (kept, { hits }) => {
      if (hits < refreshAhead.minHits) return
      const left = this.#cache.store.find(kept.key, kept.request.headers)
      const entry = typeof left === 'string' ? undefined : left
      this.refresh({ ...kept, entry, why: entry === undefined ? 'uri-miss' : 'stale', found: true })
    })
  }
}
