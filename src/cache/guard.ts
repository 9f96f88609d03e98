// What leaves the gateway says nothing that no purge could take back: lifetimes are cut before a browser or a CDN sees them. Pure.
import { parseDirectives, responseDirectives, saysMaxAge } from './directives.ts'
import type { Alarm, EntryHead } from './entry.ts'
import { combined, fieldValues } from './field-syntax.ts'
import { parseHttpDate, httpDate } from './http-date.ts'
import { currentAgeS } from './freshness.ts'
import { controlFor, judgeControl, type ControlRules } from './guarded-control.ts'
import { isKeptForEver, isKeptUnsaid, mayBeGuessedBy } from './guess.ts'

/** Milliseconds, from the moment a client gets the answer. */
export interface GuardRules extends ControlRules {
  /** Lower-case names of headers that end here. */
  readonly tagHeaders: readonly string[]
  /** All settings that say on which terms an answer may be given out, written down: where they are others, what is stored is judged anew. */
  readonly judgedBy: string
}

/** An answer's headers as they may leave, but for what changes with time. Made once for what is stored. */
export interface Leaving {
  /** Without Age and tags. */
  readonly headers: readonly string[]
  /** Whether it came with an Age: then it has one also when it comes straight from the origin. */
  readonly aged: boolean
  /** Whether lifetimes in `headers` must be written anew each time. */
  readonly cut: boolean
  /** Says no lifetime, and clients would keep it beyond the limit all the same. */
  readonly unsaid: boolean
  readonly alarms: readonly Alarm[]
}

const noAlarms: readonly Alarm[] = []

/** What an operator must hear of, and whether anything has to be cut. `nowMs`: when it was received; `kept`: it answers what clients may keep answers of (GET). */
export function guarded (head: Pick<EntryHead, 'status' | 'headers'>, nowMs: number, rules: GuardRules, kept = true): Leaving {
  const { headers } = head
  let alarms: Alarm[] | undefined
  let left: string[] | undefined
  let aged = false
  let cut = rules.clientMs !== undefined
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!
    const isAge = name.length === 3 && name.toLowerCase() === 'age'
    const drops = isAge || isTag(name, rules)
    aged ||= isAge
    if (drops && left === undefined) left = headers.slice(0, i)
    else if (!drops && left !== undefined) left.push(name, headers[i + 1]!)
    if (drops) continue
    const found = mayBeLifetime(name) ? judge(name, headers[i + 1]!, countedFrom(headers, nowMs), rules) : undefined
    if (found === undefined) continue
    cut = true
    alarms ??= []
    alarms.push({ kind: found, header: name, value: headers[i + 1]!.slice(0, 80) })
  }
  return { headers: left ?? headers, aged, cut, unsaid: kept && isKeptUnsaid(head, nowMs, rules.maxClientMs), alarms: alarms ?? noAlarms }
}

/** Whether nothing in a head concerns the guard, nor any cache: neither Age, nor a tag, nor a lifetime, said or guessed. Most answers are like that. */
export function saysNothing ({ status, headers }: Pick<EntryHead, 'status' | 'headers'>, rules: GuardRules): boolean {
  if (rules.clientMs !== undefined || isKeptForEver(status)) return false
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!
    const { length } = name
    if (length === 3 ? name.toLowerCase() === 'age' : mayBeLifetime(name) && isLifetimeHeader(name.toLowerCase())) return false
    if (mayBeGuessedBy(name) || isTag(name, rules)) return false
  }
  return true
}

const isLifetimeHeader = (lower: string): boolean => lower === 'expires' || lower === 'x-accel-expires' || isControl(lower)

const isTag = (name: string, { tagHeaders }: GuardRules): boolean => tagHeaders.some(tag => tag.length === name.length && tag === name.toLowerCase())

/** Expires, X-Accel-Expires, or something that ends with -Control: most other names are passed over by their length and last letter. */
const mayBeLifetime = (name: string): boolean => name.length === 7 || name.length === 15 || (name.length >= 12 && (name.charCodeAt(name.length - 1) | 0x20) === 0x6c)
/** Cache-Control, and that of whoever stands further out: each has a field of its own name (RFC 9213 section 2), or had one before. */
const isControl = (lower: string): boolean => lower.endsWith('cache-control') || lower === 'surrogate-control' || lower === 'edge-control'

/** What Expires is measured from: a client that does not count the age of an answer takes Expires less Date for its lifetime. Since the epoch. */
function countedFrom (headers: readonly string[], nowMs: number): number {
  const date = fieldValues(headers, 'date')[0]
  return date === undefined ? nowMs : Math.min(nowMs, parseHttpDate(date, nowMs) ?? nowMs)
}

/** undefined = it may leave as it is. */
function judge (name: string, value: string, fromMs: number, rules: GuardRules): Alarm['kind'] | undefined {
  const lower = name.toLowerCase()
  if (lower === 'expires') return judgeExpires(value, fromMs, rules)
  if (lower === 'x-accel-expires') return judgeAccel(value, fromMs, rules)
  return isControl(lower) ? judgeControl(value, lower, rules) : undefined
}

function judgeExpires (value: string, fromMs: number, { maxClientMs }: GuardRules): Alarm['kind'] | undefined {
  const at = parseHttpDate(value, fromMs)
  if (at === undefined) return isCustomary(value) ? undefined : 'expires-no-date'
  return at - fromMs > maxClientMs ? 'lifetime-too-long' : undefined
}

/** For an nginx further out: seconds, or `@` and a time since the epoch. */
const accel = /^\s*(@?)(\d{1,15})\s*$/

function judgeAccel (value: string, fromMs: number, { maxClientMs }: GuardRules): Alarm['kind'] | undefined {
  const found = accel.exec(value)
  if (found === null) return isCustomary(value) ? undefined : 'lifetime-unreadable'
  return Number(found[2]) * 1_000 - (found[1] === '@' ? fromMs : 0) > maxClientMs ? 'lifetime-too-long' : undefined
}

/** What everybody writes for "already stale", and nobody takes for "never". */
const isCustomary = (value: string): boolean => /^\s*(?:-?\d{1,2})?\s*$/.test(value)

/** Where an answer comes from: the store; the origin, on its way into the store; the origin, past it. */
export type Source = 'stored' | 'storing' | 'passing'

/**
 * Headers for a client at this moment, Age among them for what was stored (RFC 9111 section 4). What had to be cut says no more than the
 * limit, also to clients that do not subtract Age. A lifetime of the operator's own counts from now: because clients subtract Age where
 * they are told one, that is Age more in max-age.
 */
export function headersAt (leaving: Leaving, bornAtMs: number, nowMs: number, rules: GuardRules, source: Source): string[] {
  const ageS = source === 'stored' || leaving.aged ? currentAgeS(bornAtMs, nowMs) : undefined
  const headers = leaving.cut ? cutHeaders(leaving, ageS ?? 0, nowMs, rules) : leaving.headers.slice()
  // Of other answers nobody said that they may be kept at all.
  if (source !== 'passing' && rules.clientMs !== undefined) tellLifetime(headers, (ageS ?? 0) + toSeconds(rules.clientMs))
  else if (leaving.unsaid) tellLifetime(headers, toSeconds(Math.min(rules.clientMs ?? Infinity, rules.maxClientMs)))
  if (ageS !== undefined) headers.push('Age', String(ageS))
  return headers
}

function cutHeaders (leaving: Leaving, ageS: number, nowMs: number, rules: GuardRules): string[] {
  const headers: string[] = []
  const fromMs = countedFrom(leaving.headers, nowMs)
  for (let i = 0; i < leaving.headers.length; i += 2) {
    const name = leaving.headers[i]!
    const value = leaving.headers[i + 1]!
    const lower = mayBeLifetime(name) ? name.toLowerCase() : ''
    if (lower === 'expires') headers.push(name, expiresFor(value, fromMs, nowMs, rules))
    else if (lower === 'x-accel-expires') headers.push(name, accelFor(value, fromMs, rules))
    else if (isControl(lower)) headers.push(name, controlFor(value, lower, ageS, rules))
    else headers.push(name, value)
  }
  return headers
}

/** A lifetime of the operator's own where the origin gave clients none. */
function tellLifetime (headers: string[], seconds: number): void {
  const directives = parseDirectives(combined(headers, 'cache-control') ?? '')
  if (!saysMaxAge(directives) && !responseDirectives(directives).noStore) headers.push('Cache-Control', `max-age=${seconds}`)
}

function expiresFor (value: string, fromMs: number, nowMs: number, { clientMs, maxClientMs }: GuardRules): string {
  if (clientMs !== undefined) return httpDate(nowMs + clientMs)
  const at = parseHttpDate(value, nowMs)
  if (at === undefined) return isCustomary(value) ? value : '0'
  return at - fromMs > maxClientMs ? httpDate(fromMs + maxClientMs) : value
}

function accelFor (value: string, fromMs: number, rules: GuardRules): string {
  if (rules.clientMs !== undefined) return String(toSeconds(rules.clientMs))
  const wrong = judgeAccel(value, fromMs, rules)
  return wrong === undefined ? value : wrong === 'lifetime-unreadable' ? '0' : String(toSeconds(rules.maxClientMs))
}

const toSeconds = (ms: number): number => Math.floor(ms / 1_000)

/** Of what stands in for an answer that failed: nobody further out keeps it, whatever field it is said in. */
export function emergencyHeaders (headers: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i < headers.length; i += 2) {
    const lower = headers[i]!.toLowerCase()
    if (!isLifetimeHeader(lower) && lower !== 'pragma' && lower !== 'warning') kept.push(headers[i]!, headers[i + 1]!)
  }
  kept.push('Cache-Control', 'no-store')
  return kept
}
