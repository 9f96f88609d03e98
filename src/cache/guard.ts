// What leaves the gateway says nothing that no purge could take back: lifetimes are cut before a browser or a CDN sees them. Pure.
import { parseDirectives, responseDirectives, type Directive } from './directives.ts'
import type { Alarm } from './entry.ts'
import { combined, deltaSeconds, endsQuoted, listMembers } from './field-syntax.ts'
import { parseHttpDate, httpDate } from './http-date.ts'
import { currentAgeS } from './freshness.ts'

/** Milliseconds, from the moment a client gets the answer. */
export interface GuardRules {
  readonly maxClientMs: number
  readonly clientMs: number | undefined
  /** Lower-case names of headers that end here. */
  readonly tagHeaders: readonly string[]
}

/** An answer's headers as they may leave, but for what changes with time. Made once for what is stored. */
export interface Leaving {
  /** Without Age and tags. */
  readonly headers: readonly string[]
  /** Whether it came with an Age: then it has one also when it comes straight from the origin. */
  readonly aged: boolean
  /** Whether lifetimes in `headers` must be written anew each time. */
  readonly cut: boolean
  readonly alarms: readonly Alarm[]
}

const noAlarms: readonly Alarm[] = []

/** What an operator must hear of, and whether anything has to be cut. `nowMs`: when it was received. */
export function guarded (headers: readonly string[], nowMs: number, rules: GuardRules): Leaving {
  let alarms: Alarm[] | undefined
  let kept: string[] | undefined
  let aged = false
  let cut = rules.clientMs !== undefined
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!
    const isAge = name.length === 3 && name.toLowerCase() === 'age'
    const drops = isAge || isTag(name, rules)
    aged ||= isAge
    if (drops && kept === undefined) kept = headers.slice(0, i)
    else if (!drops && kept !== undefined) kept.push(name, headers[i + 1]!)
    if (drops) continue
    const found = mayBeLifetime(name) ? judge(name, headers[i + 1]!, nowMs, rules) : undefined
    if (found === undefined) continue
    cut = true
    alarms ??= []
    alarms.push({ kind: found, header: name, value: headers[i + 1]!.slice(0, 80) })
  }
  return { headers: kept ?? headers, aged, cut, alarms: alarms ?? noAlarms }
}

/** Whether nothing among the headers concerns the guard, nor any cache: neither Age, nor a tag, nor a lifetime. Most answers are like that. */
export function saysNothing (headers: readonly string[], rules: GuardRules): boolean {
  if (rules.clientMs !== undefined) return false
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!
    const { length } = name
    if (length === 3 ? name.toLowerCase() === 'age' : mayBeLifetime(name) && isLifetimeHeader(name.toLowerCase())) return false
    if (isTag(name, rules)) return false
  }
  return true
}

const isLifetimeHeader = (lower: string): boolean => lower === 'expires' || isControl(lower)

const isTag = (name: string, { tagHeaders }: GuardRules): boolean => tagHeaders.some(tag => tag.length === name.length && tag === name.toLowerCase())

/** Expires, or something that ends with -Control: most other names are passed over by their length and last letter. */
const mayBeLifetime = (name: string): boolean => name.length === 7 || (name.length >= 13 && (name.charCodeAt(name.length - 1) | 0x20) === 0x6c)
/** Cache-Control, and that of whoever stands further out: each has a field of its own name (RFC 9213 section 2). */
const isControl = (lower: string): boolean => lower.endsWith('cache-control') || lower === 'surrogate-control'

/** undefined = it may leave as it is. */
function judge (name: string, value: string, nowMs: number, rules: GuardRules): Alarm['kind'] | undefined {
  const lower = name.toLowerCase()
  if (lower === 'expires') return judgeExpires(value, nowMs, rules)
  if (!isControl(lower)) return undefined
  if (endsQuoted(value)) return 'lifetime-unreadable'
  let worst: Alarm['kind'] | undefined
  for (const member of listMembers(value)) {
    const directive = lifetimeIn(member)
    if (directive === undefined) continue
    const seconds = deltaSeconds(directive.argument ?? '')
    if (seconds === undefined) worst = isNegative(directive.argument) ? worst : 'lifetime-unreadable'
    else if (seconds * 1_000 > rules.maxClientMs) worst = 'lifetime-too-long'
  }
  return worst
}

/** `max-age = 5` says nothing by the grammar, but there are browsers that read it, so it counts here. */
function lifetimeIn (member: string): Directive | undefined {
  const directive = parseDirectives(member.replace(/^([^\s="]+)\s*=\s*/, '$1='))[0]
  return directive !== undefined && isLifetime(directive.name) ? directive : undefined
}

function judgeExpires (value: string, nowMs: number, { maxClientMs }: GuardRules): Alarm['kind'] | undefined {
  const at = parseHttpDate(value, nowMs)
  if (at === undefined) return isCustomary(value) ? undefined : 'expires-no-date'
  return at - nowMs > maxClientMs ? 'lifetime-too-long' : undefined
}

/** What everybody writes for "already stale", and nobody takes for "never". */
const isCustomary = (value: string): boolean => /^\s*(?:-?\d{1,2})?\s*$/.test(value)
/** Likewise: everybody takes it for 0. */
const isNegative = (argument: string | undefined | null): boolean => typeof argument === 'string' && /^-\d+$/.test(argument)
const isLifetime = (directive: string): boolean => directive === 'max-age' || directive === 's-maxage' || directive === 'stale-while-revalidate' || directive === 'stale-if-error'
/** max-age counts from when the answer was made; the stale periods come on top. */
const counts = (directive: string): boolean => directive === 'max-age' || directive === 's-maxage'

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
  if (ageS !== undefined) headers.push('Age', String(ageS))
  return headers
}

function cutHeaders (leaving: Leaving, ageS: number, nowMs: number, rules: GuardRules): string[] {
  const headers: string[] = []
  for (let i = 0; i < leaving.headers.length; i += 2) {
    const name = leaving.headers[i]!
    const value = leaving.headers[i + 1]!
    const lower = mayBeLifetime(name) ? name.toLowerCase() : ''
    if (lower === 'expires') headers.push(name, expiresFor(value, nowMs, rules))
    else if (isControl(lower)) headers.push(name, controlFor(value, ageS, rules))
    else headers.push(name, value)
  }
  return headers
}

/** A lifetime of the operator's own where the origin gave clients none. */
function tellLifetime (headers: string[], seconds: number): void {
  const said = responseDirectives(parseDirectives(combined(headers, 'cache-control') ?? ''))
  if (said.maxAgeS === undefined && !said.noStore) headers.push('Cache-Control', `max-age=${seconds}`)
}

function expiresFor (value: string, nowMs: number, rules: GuardRules): string {
  if (rules.clientMs !== undefined) return httpDate(nowMs + rules.clientMs)
  const at = parseHttpDate(value, nowMs)
  if (at === undefined) return isCustomary(value) ? value : '0'
  return at - nowMs > rules.maxClientMs ? httpDate(nowMs + rules.maxClientMs) : value
}

function controlFor (value: string, ageS: number, { clientMs, maxClientMs }: GuardRules): string {
  const members = listMembers(value)
  // A quoted string that does not end: another reader may find a lifetime in it.
  if (endsQuoted(value)) members.splice(-1, 1, 'no-store')
  return members.map(member => {
    const directive = lifetimeIn(member)
    if (directive === undefined) return member
    if (clientMs !== undefined && counts(directive.name)) return `${directive.name}=${ageS + toSeconds(clientMs)}`
    const seconds = deltaSeconds(directive.argument ?? '')
    if (seconds === undefined) return isNegative(directive.argument) ? member : `${directive.name}=0`
    return seconds * 1_000 > maxClientMs ? `${member.slice(0, directive.name.length)}=${toSeconds(maxClientMs)}` : member
  }).join(', ')
}

const toSeconds = (ms: number): number => Math.floor(ms / 1_000)
