// How long a Retry-After asks to wait. Pure.

/** Milliseconds from `now` (ms since epoch), never negative; undefined when it is neither seconds nor a date (RFC 9110 section 10.2.3). */
export function parseRetryAfter (value: string, now: number): number | undefined {
  const text = value.trim()
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000
  // Date.parse takes nearly anything: only what looks like one of HTTP's three dates is one.
  const at = /^[A-Za-z]{3,9},? /.test(text) ? Date.parse(text) : NaN
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}
