// What browsers keep although nobody said how long: by a guess, or for ever. Such an answer needs a limit that is said. Pure.
import { parseDirectives, responseDirectives, saysMaxAge } from './directives.ts'
import type { EntryHead } from './entry.ts'
import { combined, fieldValues } from './field-syntax.ts'
import { heuristicStatuses } from './freshness.ts'
import { parseHttpDate } from './http-date.ts'

/** There are browsers (Chromium among them) that keep these for ever where no lifetime is said. */
const forEver: ReadonlySet<number> = new Set([300, 301, 308, 410])

/** Whether an answer of this status may be kept without any lifetime by a header of this name. Asked of every answer, so by length first. */
export const mayBeGuessedBy = (name: string): boolean => name.length === 13 && name.toLowerCase() === 'last-modified'
export const isKeptForEver = (status: number): boolean => forEver.has(status)

/**
 * Whether clients may keep it longer than `maxMs` without having been told: a tenth of the time since it changed is what most of them
 * guess (RFC 9111 section 4.2.2). `nowMs`: when it was received.
 */
export function isKeptUnsaid ({ status, headers }: Pick<EntryHead, 'status' | 'headers'>, nowMs: number, maxMs: number): boolean {
  if (!forEver.has(status) && !heuristicStatuses.has(status) && status !== 206) return false
  if (saysLifetime(headers)) return false
  if (forEver.has(status)) return true
  const changedAtMs = parseHttpDate(fieldValues(headers, 'last-modified')[0] ?? '', nowMs)
  if (changedAtMs === undefined) return false
  // They count from Date, which may be ahead.
  const dateMs = parseHttpDate(fieldValues(headers, 'date')[0] ?? '', nowMs) ?? nowMs
  return Math.max(nowMs, dateMs) - changedAtMs > maxMs * 10
}

/** To a browser: s-maxage is not for it, and must-revalidate says only what comes after. */
function saysLifetime (headers: readonly string[]): boolean {
  if (fieldValues(headers, 'expires').length > 0) return true
  const directives = parseDirectives(combined(headers, 'cache-control') ?? '')
  const { noStore, noCache } = responseDirectives(directives)
  return saysMaxAge(directives) || noStore || noCache === true
}
