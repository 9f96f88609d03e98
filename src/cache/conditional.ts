// A client's own conditions, answered from what is stored; and the conditions by which we ask the origin (RFC 9110 section 13, RFC 9111 section 4.3). Pure.
import type { EntryHead } from './entry.ts'
import { fieldValues, listMembers } from './field-syntax.ts'
import { dateOf } from './freshness.ts'
import { parseHttpDate } from './http-date.ts'
import { rangeOf, type ByteRange } from './range.ts'
import type { CacheRequest } from './request.ts'

/** What a client gets from a stored answer. */
export type ClientAnswer =
  | { readonly kind: 'whole' }
  | { readonly kind: 'not-modified' }
  | { readonly kind: 'part', readonly range: ByteRange }
  | { readonly kind: 'unsatisfiable' }

const whole: ClientAnswer = { kind: 'whole' }
const notModified: ClientAnswer = { kind: 'not-modified' }
const unsatisfiable: ClientAnswer = { kind: 'unsatisfiable' }

/**
 * `length`: bytes of the body; undefined while it is not known. Conditions count for 200 only, and a client that sent none never gets a
 * 304: ServiceStack's clients take it for an error.
 */
export function answerFor (request: CacheRequest, head: EntryHead, length: number | undefined): ClientAnswer {
  const { conditions, range, method } = request
  if (head.status !== 200 || (conditions === undefined && range === undefined)) return whole
  if (conditions !== undefined && isUnmodified(request, head)) return notModified
  // RFC 9110 section 14.2: for GET only; and a condition that fails means the whole.
  if (range === undefined || method !== 'GET' || length === undefined || !rangeStillHolds(request, head)) return whole
  const part = rangeOf(range, length)
  return part === undefined ? whole : part === 'unsatisfiable' ? unsatisfiable : { kind: 'part', range: part }
}

/** Whether its client can do anything with a 304 (RFC 9110 section 15.4.5). What becomes of a write that is answered so is not known. */
export const takes304 = ({ conditions }: CacheRequest): boolean => conditions?.ifNoneMatch !== undefined || conditions?.ifModifiedSince !== undefined

/** RFC 9110 section 13.2.2: If-None-Match where it is there, else If-Modified-Since. */
function isUnmodified ({ conditions, method }: CacheRequest, head: EntryHead): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false
  const { ifNoneMatch, ifModifiedSince } = conditions!
  if (ifNoneMatch !== undefined) {
    if (ifNoneMatch.trim() === '*') return true
    const tag = entityTag(head)
    return tag !== undefined && listMembers(ifNoneMatch).some(member => weakly(member) === weakly(tag))
  }
  if (ifModifiedSince === undefined) return false
  const since = parseHttpDate(ifModifiedSince, head.responseAtMs)
  // RFC 9111 section 4.3.2: without Last-Modified, Date stands in.
  return since !== undefined && (lastModified(head) ?? dateOf(head)) <= since
}

/** If-Range wants a strong match; a date is one only when a minute lies between it and Date (RFC 9110 sections 8.8.2.2 and 13.1.5). */
function rangeStillHolds ({ conditions }: CacheRequest, head: EntryHead): boolean {
  const wanted = conditions?.ifRange?.trim()
  if (wanted === undefined) return true
  if (wanted.startsWith('"')) return wanted === entityTag(head)
  const at = parseHttpDate(wanted, head.responseAtMs)
  return at !== undefined && at === lastModified(head) && dateOf(head) - at >= 60_000
}

const opaque = /^(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/

/** As it was sent; undefined for none, or for what is none (nobody could send it back). */
export function entityTag ({ headers }: Pick<EntryHead, 'headers'>): string | undefined {
  const value = fieldValues(headers, 'etag')[0]
  return value !== undefined && opaque.test(value) ? value : undefined
}

export function lastModified ({ headers, responseAtMs }: EntryHead): number | undefined {
  const value = fieldValues(headers, 'last-modified')[0]
  return value === undefined ? undefined : parseHttpDate(value, responseAtMs)
}

const weakly = (tag: string): string => tag.startsWith('W/') ? tag.slice(2) : tag

/** Conditions for asking the origin whether this answer still holds; empty when it has nothing to be told by. Flat list. */
export function validatorHeaders (head: EntryHead): string[] {
  const validators: string[] = []
  const tag = entityTag(head)
  if (tag !== undefined) validators.push('If-None-Match', tag)
  if (lastModified(head) !== undefined) validators.push('If-Modified-Since', fieldValues(head.headers, 'last-modified')[0]!)
  return validators
}

/** What a client's request must not carry when its answer is to be stored: conditions and ranges are answered from what comes back. */
const ownConditions: ReadonlySet<string> = new Set(['if-none-match', 'if-modified-since', 'if-range', 'range'])

export function withoutConditions (headers: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i < headers.length; i += 2) if (!ownConditions.has(headers[i]!.toLowerCase())) kept.push(headers[i]!, headers[i + 1]!)
  return kept
}

/** Fields of a 304: what the whole answer would say of itself and its caching, nothing of its content (RFC 9110 section 15.4.5). */
export function notModifiedHeaders (headers: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i < headers.length; i += 2) if (!ofContent.has(headers[i]!.toLowerCase())) kept.push(headers[i]!, headers[i + 1]!)
  return kept
}
const ofContent: ReadonlySet<string> = new Set(['content-length', 'content-encoding', 'content-language', 'content-range', 'content-type', 'content-disposition', 'transfer-encoding', 'trailer'])
