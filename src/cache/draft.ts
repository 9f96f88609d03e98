// What of an answer's head is kept, and how it is selected and given out: made once, before its body is here. Pure.
import type { EntryHead, Terms } from './entry.ts'
import { guarded, type GuardRules } from './guard.ts'
import type { CacheRequest } from './request.ts'
import { apart, type Draft, type Place } from './stored.ts'
import { variantOf } from './vary.ts'

export interface DraftParts {
  readonly head: EntryHead
  readonly terms: Terms
  readonly request: CacheRequest
  readonly place: Place
  readonly guard: GuardRules
  /** What answers under the same key vary by already. */
  readonly varyOf: readonly string[]
  readonly endpointUrl: string | undefined
  readonly again: Draft['again']
}

/** `own`: fields that are not stored, for the one who asked. */
export function drafted ({ head, terms, request, place, guard, varyOf, endpointUrl, again }: DraftParts): { readonly draft: Draft, readonly own: readonly string[] } {
  const { kept, own } = apart(head, terms.omit)
  // RFC 9111 section 4.1: an answer that leaves Vary out, among others that have it, is selected as they are.
  const vary = terms.vary.length > 0 ? terms.vary : varyOf
  const draft: Draft = {
    head: kept,
    terms: vary === terms.vary ? terms : { ...terms, vary },
    place,
    variant: variantOf(vary, request.headers),
    guard,
    leaving: guarded(kept, head.responseAtMs, guard),
    endpointUrl,
    again
  }
  return { draft, own }
}
