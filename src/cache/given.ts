// An answer that its service puts into the cache by itself: stored as if a client's GET had brought it, on the same conditions.
import type { Exchange } from '../exchange/exchange.ts'
import { placeOf } from './asked.ts'
import type { Cache } from './cache.ts'
import { drafted } from './draft.ts'
import type { NotKept } from './fill-result.ts'
import { dated } from './freshness.ts'
import { mayStore } from './policy.ts'
import { keptBody, Stored } from './stored.ts'

export interface GivenAnswer {
  readonly status: number
  readonly reason: string
  /** Flat list, end-to-end. */
  readonly headers: readonly string[]
  readonly body: Buffer
}

/** `split`: parts of a message's traffic have answers of their own, and nobody says whose this is. */
export type NotGiven = Exclude<NotKept, 'no-room'> | 'split'
export type Given = { readonly stored: Stored } | { readonly refused: NotGiven }

/** `exchange`: the request that it answers; it is not sent. */
export function give (cache: Cache, exchange: Exchange, answer: GivenAnswer): Given {
  const { route, upstreamRequest: { method, path, headers, effect } } = exchange
  const { cache: config, split } = route.policy
  const caching = cache.cachingOf(route.policy)
  if (config.mode === 'off' || caching === undefined) return { refused: 'mode-off' }
  if (split.parts.length > 0 || split.versions !== 'all') return { refused: 'split' }
  const { rules, keys } = caching
  const request = rules.reader.read({ method, target: path, headers, safe: effect === 'safe', routeKind: route.kind, trusted: true })
  const nowMs = Date.now()
  const head = dated({ status: answer.status, reason: answer.reason, headers: answer.headers, requestAtMs: nowMs, responseAtMs: nowMs })
  const decision = mayStore(request, head, rules)
  if (!decision.store) return { refused: decision.reason }
  const target = keys.target(exchange)
  const key = keys.primary(exchange, request, target)
  const place = placeOf({ exchange, key, target }, cache.indexed)
  const { draft } = drafted({ head, terms: decision.terms, request, place, guard: rules.guard, varyOf: cache.store.varyOf(key), endpointUrl: undefined, again: undefined })
  const stored = new Stored(draft, keptBody([answer.body]))
  if (!cache.store.put(stored)) return { refused: 'too-large' }
  // Answers for one identity stay in this process.
  if (request.identity === '' || config.identity.mode !== 'perIdentity') cache.secondLevel?.write(stored, cache.secondLevel.mark)
  const tally = cache.tallyOf(route)
  tally.notStoredInARow = 0
  cache.alarm(tally, draft.leaving.alarms)
  return { stored }
}
