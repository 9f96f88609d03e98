// A stored answer: head and body as received, where it belongs, and what a hit needs made ready.
import { latin1, smallBodyBytes } from '../lib/latin1.ts'
import type { Again } from './again.ts'
import type { Entry, EntryHead, Terms } from './entry.ts'
import { guarded, type GuardRules, type Leaving } from './guard.ts'
import { neverStored } from './policy.ts'
import type { SharedTexts } from './shared-texts.ts'

/** Whose answer it is: the message and what it is called by. */
export interface Place {
  /** Primary key. */
  readonly key: string
  /** Of path and query (`targetIndex`): what a purge by URL names. */
  readonly target: string
  readonly upstream: string
  /** Name of the route. */
  readonly message: string
  /** Lower-case names of the messages that a path below a prefix leads to: what means them means it. */
  readonly reached: readonly string[]
  /** Tags of our own: values of the request by which another message's success invalidates it. */
  readonly ownTags: readonly string[]
}

/** Everything of an answer but its body. */
export interface Draft extends Entry {
  readonly place: Place
  /** What the request had in the headers that `terms.vary` names. */
  readonly variant: string
  readonly leaving: Leaving
  readonly guard: GuardRules
  /** Of the endpoint that gave it: Location may name its address. */
  readonly endpointUrl: string | undefined
  /** undefined where a purge is final. */
  readonly again: Again | undefined
}

/** What it says never changes: freshening makes another one with the same body. */
export class Stored implements Draft {
  head: EntryHead
  terms: Terms
  readonly place: Place
  readonly variant: string
  leaving: Leaving
  readonly guard: GuardRules
  readonly endpointUrl: string | undefined
  readonly again: Draft['again']
  /** Small ones as latin1 text, which leaves in one write with the head; others as they came. */
  readonly body: string | Buffer
  /** What it is counted as: body, head, keys, and what the store needs to find it again. */
  readonly bytes: number
  hits = 0
  /** Since when it is stale whatever its head says: a purge or its service made it so. Since the epoch. */
  staleFromMs = Infinity
  /** Whether it was asked for again already, ahead of its end or after it. */
  refreshed = false

  constructor (draft: Draft, body: string | Buffer) {
    this.head = draft.head
    this.terms = draft.terms
    this.place = draft.place
    this.variant = draft.variant
    this.leaving = draft.leaving
    this.guard = draft.guard
    this.endpointUrl = draft.endpointUrl
    this.again = draft.again
    this.body = body
    this.bytes = overheadBytes + (typeof body === 'string' ? body.length : body.length + bufferBytes) + headBytes(draft) + (draft.again?.bytes ?? 0)
  }

  /** It is kept from now on: in as little memory as says the same. */
  share (texts: SharedTexts): void {
    const { status, reason, headers, requestAtMs, responseAtMs } = this.head
    const { leaving, guard } = this
    this.head = { status, reason: texts.text(reason), headers: texts.texts(headers), requestAtMs, responseAtMs }
    this.leaving = leaving.headers === headers ? { ...leaving, headers: this.head.headers } : guarded(this.head, responseAtMs, guard)
    this.terms = { ...this.terms, vary: texts.list(this.terms.vary), omit: neverStored, tags: texts.list(this.terms.tags) }
  }

  /** The same answer, stale from then on. `further`: what else holds of it now. */
  staleFrom (nowMs: number, further: Partial<Terms> = {}): Stored {
    const next = new Stored({ ...this.#draft, terms: { ...this.terms, ...further, freshUntilMs: Math.min(this.terms.freshUntilMs, nowMs) } }, this.body)
    next.hits = this.hits
    next.staleFromMs = Math.min(this.staleFromMs, nowMs)
    return next
  }

  get #draft (): Draft {
    const { head, terms, place, variant, leaving, guard, endpointUrl, again } = this
    return { head, terms, place, variant, leaving, guard, endpointUrl, again }
  }
}

/** Chunks of a body as it is kept. */
export function keptBody (chunks: readonly Buffer[]): string | Buffer {
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  if (length <= smallBodyBytes) return latin1(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length))
  // In memory of its own: a chunk, or a buffer from Node's pool, is part of a larger piece, all of which it would keep alive.
  const body = Buffer.allocUnsafeSlow(length)
  let at = 0
  for (const chunk of chunks) at += chunk.copy(body, at)
  return body
}

/** What is stored of a head, and the fields that are not: those go to the one who asked, but for what is of this hop. */
export function apart (head: EntryHead, omit: readonly string[]): { readonly kept: EntryHead, readonly own: readonly string[] } {
  const kept: string[] = []
  const own: string[] = []
  for (let i = 0; i < head.headers.length; i += 2) {
    const lower = head.headers[i]!.toLowerCase()
    if (!omit.includes(lower)) kept.push(head.headers[i]!, head.headers[i + 1]!)
    else if (!neverStored.includes(lower)) own.push(head.headers[i]!, head.headers[i + 1]!)
  }
  return { kept: kept.length === head.headers.length ? head : { ...head, headers: kept }, own }
}

/**
 * Of objects, numbers and the places in four maps, which are at worst a quarter full. What is counted is no less than
 * what is really taken: test/scenarios/cache-memory.test.ts.
 */
const overheadBytes = 1_150

/** Of a buffer, beside its bytes. */
const bufferBytes = 512

/** Of a place in the index of tags. */
const tagBytes = 120

/** As if no other answer had a text in common with it; the key may be of characters that take two bytes. */
function headBytes ({ head, place, variant, leaving, terms: { vary, tags } }: Draft): number {
  return listBytes(head.headers) + (leaving.headers === head.headers ? 0 : listBytes(leaving.headers)) + listBytes(tags) + listBytes(place.ownTags) + listBytes(place.reached) + (tags.length + place.ownTags.length + place.reached.length) * tagBytes +
    listBytes(vary) + (place.key.length + variant.length + place.target.length) * 2
}

function listBytes (texts: readonly string[]): number {
  let bytes = 0
  for (const { length } of texts) bytes += length + 32
  return bytes
}
