// Cache-Status on every answer: what this cache did, in words that other caches and people know (RFC 9211). Pure.
import type { Forwarded } from './entry.ts'

/** How this cache is called. */
export const cacheName = 'Postern'

/**
 * Of answers that the gateway makes itself before the cache comes in: neither stored nor forwarded. Flat list. RFC 9211 section 2 would
 * rather have none there; with one on every answer whoever looks for it is told in each case what became of the request.
 */
export const notAsked: readonly string[] = ['Cache-Status', `${cacheName}; detail=local-reply`]

/** What happened. `detail` is a token of ours for what RFC 9211 has no word for. */
export type CacheResult =
  | { readonly hit: true, readonly ttlS: number, readonly detail?: string | undefined }
  | { readonly hit: false, readonly fwd: Forwarded, readonly fwdStatus?: number | undefined, readonly stored?: boolean, readonly collapsed?: boolean, readonly ttlS?: number | undefined, readonly detail?: string | undefined }

/** The member for this cache; it comes last of those in the field, nearest to the client (RFC 9211 section 2). `name` is a token. */
export function cacheStatus (name: string, result: CacheResult): string {
  let text = name
  if (result.hit) text += `; hit; ttl=${result.ttlS}`
  else {
    text += `; fwd=${result.fwd}`
    if (result.fwdStatus !== undefined) text += `; fwd-status=${result.fwdStatus}`
    if (result.stored === true) text += '; stored'
    if (result.collapsed === true) text += '; collapsed'
    if (result.ttlS !== undefined) text += `; ttl=${result.ttlS}`
  }
  return result.detail === undefined ? text : `${text}; detail=${result.detail}`
}

/** Seconds of freshness left, negative when stale (RFC 9211 section 2.6). */
export const ttlS = (freshUntilMs: number, nowMs: number): number => Math.floor((freshUntilMs - nowMs) / 1_000)
