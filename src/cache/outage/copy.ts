// An outage copy: when an answer may become one, how it is written down, and to whom it may be given. Pure.
import type { PolicyConfig } from '../../config/schema.ts'
import { headerValue } from '../../exchange/headers.ts'
import { saidBy, mayStore } from '../policy.ts'
import { drafted } from '../draft.ts'
import type { EntryHead, NotStored } from '../entry.ts'
import { bornAt, statedLifetimeMs } from '../freshness.ts'
import { emergencyHeaders, guarded } from '../guard.ts'
import { targetIndex } from '../key.ts'
import { RequestReader, type CacheRequest } from '../request.ts'
import { cacheRules, type CacheRules } from '../rules.ts'
import type { Frame } from '../second-level/frame.ts'
import { keptBody, Stored, type Place } from '../stored.ts'
import { variantOf } from '../vary.ts'

export interface Copy {
  /** Of what is wanted (`Wanted.id`). */
  readonly id: string
  /** As `sentTarget` has it. */
  readonly sent: string
  readonly stored: Stored
  /** The origin's word that callers with an identity may have it (public, s-maxage). */
  readonly forEverybody: boolean
}

/** Where a copy comes from. */
export interface Origin {
  readonly id: string
  readonly upstream: string
  /** Name of the route. */
  readonly message: string
  readonly sent: string
}

export interface Answer {
  readonly head: EntryHead
  readonly body: Buffer
  readonly endpointUrl: string | undefined
}

/**
 * Rules by which an answer becomes a copy: those of its policy, but for its lifetime. A copy is meant to be old, so what the origin says
 * of that does not count; what it says of whose the answer is does. No client shapes a copy, so a header that nobody has named keeps none
 * back: browsers and proxies send too many.
 */
export function copyRules (config: PolicyConfig['cache'], correlationHeader: string): CacheRules {
  const rules = cacheRules({ ...config, mode: 'override', lifetimes: { successMs: config.outage.maxAgeMs, redirectMs: 0, negativeMs: 0 } }, correlationHeader)
  return { ...rules, reader: new RequestReader(config, correlationHeader, true) }
}

/** The request that a copy is fetched with: nobody's. */
export const plainRequest = ({ reader }: CacheRules, target: string, routeKind: CacheRequest['routeKind'], headers: readonly string[]): CacheRequest =>
  reader.read({ method: 'GET', target, headers, safe: true, routeKind, trusted: true })

/** `selected`: as it was written down by; left out for what was fetched by `request` just now. */
export function copyOf (origin: Origin, request: CacheRequest, { head, body, endpointUrl }: Answer, rules: CacheRules, selected?: Pick<Frame, 'vary' | 'variant'>): Copy | { readonly refused: NotStored } {
  const decision = mayStore(request, head, rules)
  if (!decision.store) return { refused: decision.reason }
  const { directives, targeted } = saidBy(head.headers)
  const vary = selected?.vary ?? selectingNames(decision.terms.vary, head.headers)
  const place: Place = { key: origin.id, target: targetIndex(origin.sent), upstream: origin.upstream, message: origin.message, reached: [], ownTags: [] }
  // Everything is stale that its service did not call fresh: Cache-Status says how long.
  const terms = { ...decision.terms, vary, freshUntilMs: bornAt(head) + (statedLifetimeMs(head, directives, !targeted) ?? 0) }
  const { draft } = drafted({ head, terms, request, place, guard: rules.guard, varyOf: [], endpointUrl, again: undefined })
  const leaving = guarded({ ...draft.head, headers: emergencyHeaders(draft.head.headers) }, head.responseAtMs, rules.guard)
  return {
    id: origin.id,
    sent: origin.sent,
    stored: new Stored({ ...draft, leaving, variant: selected?.variant ?? draft.variant }, keptBody([body])),
    forEverybody: directives.public || typeof directives.sMaxAgeS === 'number'
  }
}

/** What is in no coding everybody can read, whatever Accept-Encoding says. */
const selectingNames = (names: readonly string[], headers: readonly string[]): readonly string[] =>
  headerValue(headers, 'content-encoding') === undefined ? names.filter(name => name !== 'accept-encoding') : names

/** Whether this request may have it. `requestHeaders`: as sent upstream. */
export function mayHave (request: CacheRequest, { stored: { terms, variant }, forEverybody }: Copy, nowMs: number, { config: { identity, outage } }: CacheRules): boolean {
  if (nowMs - terms.bornAtMs > outage.maxAgeMs) return false
  // It was fetched without what the operator names, or a cookie that may be a session; these want the service itself.
  if (request.keyParts !== '' || request.directives.noCache || request.conditions?.originOnly === true) return false
  if (request.identity !== '' && (identity.mode === 'perIdentity' || !(forEverybody || identity.mode === 'shared'))) return false
  return variantOf(terms.vary, request.headers) === variant
}

/** No purge of the second level concerns it. */
const noMark = '0-0'

export function frameOf ({ id, sent, stored: { place, variant, terms, head, endpointUrl, body } }: Copy, nowMs: number): Frame {
  const key = [id, place.upstream, place.message, sent].join('\n')
  return { key, variant, vary: terms.vary, ...head, endpointUrl, mark: noMark, writtenAtMs: nowMs, usefulMs: 0, body: typeof body === 'string' ? Buffer.from(body, 'latin1') : body }
}

/** undefined: it was written for something else. */
export function originOf ({ key }: Frame): Origin | undefined {
  const [id, upstream, message, sent, more] = key.split('\n')
  return id === undefined || upstream === undefined || message === undefined || sent === undefined || more !== undefined ? undefined : { id, upstream, message, sent }
}
