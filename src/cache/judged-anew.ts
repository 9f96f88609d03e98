// A stored answer under settings that have changed since: on which terms it may be given out now, by its head. Pure.
import { guarded } from './guard.ts'
import { mayStore } from './policy.ts'
import { unasked, type CacheRequest } from './request.ts'
import type { CacheRules } from './rules.ts'
import { Stored } from './stored.ts'

/**
 * As if it had come under these settings when it came; a purge that made it stale holds on. `request`: any that its key is made of, for all that
 * an answer is judged by beside whose it is is part of that. undefined: it would not have been stored.
 */
export function judgedAnew (stored: Stored, request: CacheRequest, rules: CacheRules): Stored | undefined {
  const { head, place, variant, endpointUrl, again, body, hits, staleFromMs } = stored
  const decision = mayStore({ ...unasked(request), identity: '' }, head, rules)
  if (!decision.store) return undefined
  const { guard } = rules
  const freshUntilMs = Math.min(decision.terms.freshUntilMs, staleFromMs)
  const staleWhileRevalidateMs = Math.min(decision.terms.staleWhileRevalidateMs, staleFromMs === Infinity ? Infinity : stored.terms.staleWhileRevalidateMs)
  const terms = { ...decision.terms, vary: stored.terms.vary, freshUntilMs, staleWhileRevalidateMs }
  const anew = new Stored({ head, terms, place, variant, guard, leaving: guarded(head, head.responseAtMs, guard), endpointUrl, again }, body)
  anew.hits = hits
  anew.staleFromMs = staleFromMs
  return anew
}
