// How old an answer is, and how long it is fresh (RFC 9111 section 4.2). Pure.
import type { ResponseDirectives } from './directives.ts'
import type { EntryHead } from './entry.ts'
import { deltaSeconds, fieldValues, listMembers } from './field-syntax.ts'
import { httpDate, parseHttpDate } from './http-date.ts'

/** Date, or when it was received where that is missing or none (RFC 9110 section 6.6.1). Since the epoch. */
export function dateOf ({ headers, responseAtMs }: EntryHead): number {
  const value = fieldValues(headers, 'date')[0]
  return (value === undefined ? undefined : parseHttpDate(value, responseAtMs)) ?? responseAtMs
}

/** With the Date of when it was received, where it came without one (RFC 9110 section 6.6.1): given out later, it must not look new. */
export function dated (head: EntryHead): EntryHead {
  return fieldValues(head.headers, 'date').length > 0 ? head : { ...head, headers: [...head.headers, 'Date', httpDate(head.responseAtMs)] }
}

/** RFC 9111 section 5.1: the first member of the first line; what is no number is passed over. Seconds. */
export function ageValue (headers: readonly string[]): number {
  const value = fieldValues(headers, 'age')[0]
  return value === undefined ? 0 : deltaSeconds(listMembers(value)[0] ?? '') ?? 0
}

/** When the origin made it: RFC 9111 section 4.2.3 turned round, so that its age is now less this. Since the epoch. */
export function bornAt (head: EntryHead): number {
  const { headers, requestAtMs, responseAtMs } = head
  const apparentAgeMs = Math.max(0, responseAtMs - dateOf(head))
  const correctedAgeMs = ageValue(headers) * 1_000 + Math.max(0, responseAtMs - requestAtMs)
  return responseAtMs - Math.max(apparentAgeMs, correctedAgeMs)
}

/** Whole seconds, as Age is written. */
export const currentAgeS = (bornAtMs: number, nowMs: number): number => Math.max(0, Math.floor((nowMs - bornAtMs) / 1_000))

/** What the origin says, for a shared cache. Milliseconds; undefined = nothing. What cannot be read counts as stale already. */
export function statedLifetimeMs (head: EntryHead, directives: ResponseDirectives, withExpires: boolean): number | undefined {
  const { sMaxAgeS, maxAgeS } = directives
  const seconds = sMaxAgeS ?? maxAgeS
  if (seconds !== undefined) return seconds === 'unreadable' ? 0 : seconds * 1_000
  if (!withExpires) return undefined
  const expires = fieldValues(head.headers, 'expires')
  if (expires.length === 0) return undefined
  const at = parseHttpDate(expires[0]!, head.responseAtMs)
  return at === undefined ? 0 : Math.max(0, at - dateOf(head))
}

/** Statuses whose answers may be reused without a stated lifetime (RFC 9110 section 15.1); 206 is never stored here. */
export const heuristicStatuses: ReadonlySet<number> = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501])

/** A tenth of the time since it last changed (RFC 9111 section 4.2.2). Milliseconds; undefined = it says too little. */
export function heuristicLifetimeMs (head: EntryHead, directives: ResponseDirectives, maxMs: number): number | undefined {
  if (!heuristicStatuses.has(head.status) && !directives.public) return undefined
  const value = fieldValues(head.headers, 'last-modified')[0]
  const changedAtMs = value === undefined ? undefined : parseHttpDate(value, head.responseAtMs)
  if (changedAtMs === undefined) return undefined
  return Math.min(maxMs, Math.max(0, (dateOf(head) - changedAtMs) / 10))
}
