// Cache-Control and its kin as they may leave: lifetimes cut, and what cannot be read replaced, for somebody may read one in it. Pure.
import { readDirective, type Written } from './directives.ts'
import type { Alarm } from './entry.ts'
import { deltaSeconds, listMembers, withParameters } from './field-syntax.ts'
import { parseTargeted } from './structured-fields.ts'

/** Milliseconds. `clientMs`: in place of what the origin says of clients' lifetimes; undefined = as it says. */
export interface ControlRules {
  readonly maxClientMs: number
  readonly clientMs: number | undefined
}

/** Something that must leave in another form. `alarm`: it says too much, or nothing that can be read. */
interface Cut {
  readonly text: string
  readonly alarm: Alarm['kind'] | undefined
}

/** undefined = it may leave as it is. `field`: its name in lower case. */
export function judgeControl (value: string, field: string, { maxClientMs }: ControlRules): Alarm['kind'] | undefined {
  const rules = { maxClientMs, clientMs: undefined }
  let worst: Alarm['kind'] | undefined
  for (const member of listMembers(value)) worst = cutMember(member, field, 0, rules)?.alarm ?? worst
  return worst
}

/** `ageS`: what the client subtracts from a lifetime of the operator's own. */
export const controlFor = (value: string, field: string, ageS: number, rules: ControlRules): string =>
  listMembers(value).map(member => cutMember(member, field, ageS, rules)?.text ?? member).join(', ')

/** undefined = as it is. Of a member with parameters each is one more, for who reads past semicolons; only Cache-Control has none. */
function cutMember (member: string, field: string, ageS: number, rules: ControlRules): Cut | undefined {
  const parts = field === 'cache-control' || !member.includes(';') ? [member] : withParameters(member)
  const directives = parts.map(readDirective)
  if (!directives.every(directive => directive !== undefined)) return mayNameLifetime(member) || !isItem(member, field) ? unreadable : undefined
  const cuts = directives.map((directive, i) => cutDirective(directive, parts[i]!, field, ageS, rules))
  if (cuts.includes(unreadable)) return unreadable
  if (cuts.every(cut => cut === undefined)) return undefined
  return { text: parts.map((part, i) => cuts[i]?.text ?? part).join(';'), alarm: cuts.findLast(cut => cut?.alarm !== undefined)?.alarm }
}

/** Nobody keeps it, whatever he reads in it. */
const unreadable: Cut = { text: 'no-store', alarm: 'lifetime-unreadable' }

/** Readers of structured fields know more types (RFC 9213 section 2.1). */
const isItem = (member: string, field: string): boolean => field !== 'cache-control' && parseTargeted(member) !== undefined

function cutDirective (directive: Written, written: string, field: string, ageS: number, rules: ControlRules): Cut | undefined {
  const { name, argument } = directive
  if (!lifetimes.test(name)) return isHiding(argument, field, rules) ? unreadable : undefined
  const own = rules.clientMs !== undefined && counting.test(name) ? `${name}=${ageS + toSeconds(rules.clientMs)}` : undefined
  const seconds = secondsIn(directive, field)
  if (seconds === undefined && !isNegative(argument)) return { text: own ?? `${name}=0`, alarm: 'lifetime-unreadable' }
  if (seconds !== undefined && seconds * 1_000 > rules.maxClientMs) return { text: own ?? `${written.slice(0, name.length)}=${toSeconds(rules.maxClientMs)}`, alarm: 'lifetime-too-long' }
  return own === undefined ? undefined : { text: own, alarm: undefined }
}

/** nginx looks for max-age= wherever it stands: in a quoted string too. Lifetimes that are short may stay there. */
const isHiding = (argument: string | undefined, field: string, { maxClientMs }: ControlRules): boolean =>
  argument !== undefined && mayNameLifetime(argument) && judgeControl(argument, field, { maxClientMs, clientMs: undefined }) !== undefined

/** max-age counts from when the answer was made; the stale periods come on top. Two are Edge-Control's: cache-maxage and downstream-ttl. There are readers who look for the end of a name only. */
const counting = /(?:max-?age|downstream-ttl)$/
const lifetimes = /(?:max-?age|downstream-ttl|stale-while-revalidate|stale-if-error)$/
const mayNameLifetime = (text: string): boolean => /max-?age|downstream-ttl|stale-while-revalidate|stale-if-error/i.test(text)

/** Seconds, also as the readers of some fields may have them: Edge-Control with units, Surrogate-Control with a stale period on top. */
function secondsIn ({ argument }: Written, field: string): number | undefined {
  const text = argument ?? ''
  const plain = deltaSeconds(text)
  if (plain !== undefined) return plain
  const found = field === 'edge-control' ? /^(\d+)([smhd])$/i.exec(text) : field === 'surrogate-control' ? /^(\d+)\+(\d+)$/.exec(text) : null
  if (found === null) return undefined
  return field === 'edge-control' ? deltaSeconds(found[1]!)! * unitS[found[2]!.toLowerCase()]! : deltaSeconds(found[1]!)! + deltaSeconds(found[2]!)!
}
const unitS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 }

/** Everybody takes it for 0. */
const isNegative = (argument: string | undefined): boolean => argument !== undefined && /^-\d+$/.test(argument)

const toSeconds = (ms: number): number => Math.floor(ms / 1_000)
