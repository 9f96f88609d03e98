// What an answer tells that went past the cache: whether its kind may be stored; one to HEAD also whether the stored answer to GET still holds (RFC 9111 section 4.3.5).
import type { UpstreamResponse } from '../exchange/exchange.ts'
import { without } from '../exchange/headers.ts'
import type { Cache } from './cache.ts'
import { afterHead } from './freshen.ts'
import { dated } from './freshness.ts'
import { guarded, saysNothing } from './guard.ts'
import { isOfAnother, isWithdrawn, mayStore } from './policy.ts'
import { asGet, type CacheRequest } from './request.ts'
import type { CacheRules } from './rules.ts'
import { Stored } from './stored.ts'

/**
 * The stored answer goes on with the fields of the new head; or is stale from now on; or is not to be kept any more.
 * What is said to one who could not have the stored answer, or wants nothing kept of his own, says nothing of what others have.
 */
export function learnFromHead ({ store, secondLevel }: Pick<Cache, 'store' | 'secondLevel'>, entry: Stored, request: CacheRequest, { status, reason, headers }: UpstreamResponse, rules: CacheRules): void {
  if (isOfAnother(request, entry, rules)) return
  const nowMs = Date.now()
  const since = store.purges.count
  const fresh = afterHead(entry.head, dated({ status, reason, headers, requestAtMs: nowMs, responseAtMs: nowMs }))
  if (fresh === 'nothing') return
  if (fresh === 'changed') {
    store.replace(entry, entry.staleFrom(nowMs, { staleWhileRevalidateMs: 0 }), since)
    return
  }
  const decision = mayStore(asGet(request), fresh, rules)
  if (!decision.store) {
    if (!isWithdrawn(request, status, decision.reason, rules)) return
    store.remove(entry)
    secondLevel?.remove(entry)
    return
  }
  const { terms } = decision
  const head = { ...fresh, headers: without(fresh.headers, terms.omit) }
  const { place, variant, guard, endpointUrl, again, body } = entry
  store.replace(entry, new Stored({ head, terms: { ...terms, vary: entry.terms.vary }, place, variant, guard, endpointUrl, again, leaving: guarded(head, nowMs, guard) }, body), since)
}

/** Whether one that was not asked for on the cache's behalf could have been stored: most say at a glance that they could not. */
export function isStorable (request: CacheRequest, response: UpstreamResponse, rules: CacheRules): boolean {
  if (saysNothing(response, rules.guard)) return false
  const { status, reason, headers } = response
  const nowMs = Date.now()
  return mayStore(request, { status, reason, headers, requestAtMs: nowMs, responseAtMs: nowMs }, rules).store
}
