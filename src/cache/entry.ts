// The words of the cache: an answer as it was received, the terms on which it may be reused, and what is wrong with it. Types only.

/** An answer's head as it came: what decisions are made from. */
export interface EntryHead {
  readonly status: number
  readonly reason: string
  /** Flat list, end-to-end, as received and never rewritten (Date stays). */
  readonly headers: readonly string[]
  /** When the request for it left, and when its head had come. Milliseconds since the epoch. */
  readonly requestAtMs: number
  readonly responseAtMs: number
}

/** On which terms an answer may be reused. Worked out once, when it is stored or freshened. */
export interface Terms {
  /** When the origin made it, as far as Age, Date and the way here tell (RFC 9111 section 4.2.3): age = now − bornAtMs. Since the epoch. */
  readonly bornAtMs: number
  /** First millisecond at which it is stale. Since the epoch. */
  readonly freshUntilMs: number
  /** How long past that it may be given on while it is refreshed, or when the origin cannot answer (RFC 5861). 0 = not at all. */
  readonly staleWhileRevalidateMs: number
  readonly staleIfErrorMs: number
  /** The origin's word that nothing stale is given out (must-revalidate, proxy-revalidate, s-maxage): a client's max-stale does not count. */
  readonly mustRevalidate: boolean
  /** no-cache: never without asking the origin first. */
  readonly validateAlways: boolean
  /** RFC 8246: while it is fresh, a client's reload does not make it asked for again. */
  readonly immutable: boolean
  /** Requests with an identity may have it (public, s-maxage, or the operator's word). */
  readonly forIdentified: boolean
  /** Request header names that select it, lower-case, sorted, without those that normalisation takes out. */
  readonly vary: readonly string[]
  /** Lower-case names of fields that are not stored (qualified private and no-cache, RFC 9111 sections 5.2.2.4 and 5.2.2.7, and section 3.1). */
  readonly omit: readonly string[]
  /** Of Cache-Tag, Surrogate-Key or what the operator named. */
  readonly tags: readonly string[]
}

export interface Entry {
  readonly head: EntryHead
  readonly terms: Terms
}

/** Why an answer is not stored. A closed set: safe as a metric label. */
export type NotStored =
  | 'method' | 'request-no-store' | 'no-store' | 'private' | 'status' | 'no-lifetime' | 'stale' | 'vary-any' | 'set-cookie'
  | 'identity' | 'too-many-tags' | 'partial' | 'mode-off' | 'event-stream' | 'unsafe'

export type StoreDecision =
  | { readonly store: true, readonly terms: Terms }
  /** `hitForMiss`: likely to hold for the next answer too, so requests for it need not wait for each other. */
  | { readonly store: false, readonly reason: NotStored, readonly hitForMiss: boolean }

/** Something an operator should know about what a service stamps on its answers. `value` is cut to 80 characters. */
export interface Alarm {
  readonly kind: 'lifetime-too-long' | 'lifetime-unreadable' | 'expires-no-date'
  readonly header: string
  readonly value: string
}

/** Why a request went forward (RFC 9211 section 2.2). */
export type Forwarded = 'bypass' | 'method' | 'uri-miss' | 'vary-miss' | 'miss' | 'request' | 'stale' | 'partial'
