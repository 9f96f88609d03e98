// What an operator reads when names and endpoints change: one line each, in the words of `postern routes`. Pure.
import { LargeMap } from '../lib/large-map.ts'
import { keyOf } from './catalog.ts'
import type { WatchState } from '../registry/registration.ts'
import { explainEndpoint } from './explain-endpoint.ts'
import { explainName, explainPath } from './explain-name.ts'
import type { Explanation } from './explain.ts'
import { isDisputed, type Decision, type EndpointDecision, type NameDecision, type PathConflict } from './plan.ts'
import type { Unreadable } from './protocol.ts'

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly fields: Readonly<Record<string, unknown>>
  readonly message: string
}

/** Most lines of one decision; what is beyond, the least important, is counted in one more line. */
export const mostLines = 200

const worst: Readonly<Record<string, LogLine['level']>> = { conflict: 'error', ghost: 'warn', stranger: 'warn', unconfirmed: 'warn', refused: 'warn', critical: 'warn', out: 'warn' }

/** A conflict that is settled is no news to act on. */
const levelOf = (decision: NameDecision): LogLine['level'] | undefined => decision.state === 'quarantined' && isDisputed(decision) ? 'warn' : worst[decision.state]

const rankOf = ({ level, message }: LogLine): number => level === 'error' ? 0 : level === 'warn' ? 1 : message === 'message moved' ? 2 : 3

/** Lines for everything that stands otherwise than before. The first table is one line, but for what is wrong in it. */
export function describeChanges (before: Decision | undefined, after: Decision): LogLine[] {
  const all = [...describeNames(before, after), ...describePaths(before, after), ...describeEndpoints(before, after)]
  // What somebody may have to act on is not what is cut.
  const lines = all.length <= mostLines ? all : all.toSorted((a, b) => rankOf(a) - rankOf(b)).slice(0, mostLines)
  if (before === undefined) {
    const count = { messages: after.plan.messages.size, upstreams: after.plan.upstreams.size, registrations: after.endpoints.length }
    lines.unshift({ level: 'info', fields: count, message: 'first route table' })
  }
  if (all.length > mostLines) lines.push({ level: 'warn', fields: { more: all.length - mostLines }, message: 'more changes than lines' })
  return lines
}

/**
 * When a registry begins to answer or stops. The first failure is news too, although nothing was good before, and so is each mistake in a file: whoever
 * mends it looks for the next one here. `stale`: registrations that stay in force without its word.
 */
export function describeRegistry (before: WatchState | undefined, { registry, ok, error, agent, lastGoodAt }: WatchState, stale: number): LogLine | undefined {
  const isOther = registry === 'file' && error !== before?.error
  if (before?.ok === ok && !isOther && (before.error !== undefined || error === undefined)) return undefined
  return ok
    ? { level: 'info', fields: { registry, agent }, message: 'registry answers' }
    : { level: 'warn', fields: { registry, error, lastGoodAt, stale }, message: 'registry does not answer; its last good list stays in force' }
}

/** When the number of entries that cannot be read changes. */
export function describeDropped (registry: string, before: Unreadable | undefined, after: Unreadable | undefined): LogLine | undefined {
  if ((before?.count ?? 0) === (after?.count ?? 0)) return undefined
  return after === undefined
    ? { level: 'info', fields: { registry }, message: 'every entry of the registry can be read' }
    : { level: 'warn', fields: { registry, ...after }, message: 'entries of the registry cannot be read; the others are not affected' }
}

function describeNames (before: Decision | undefined, after: Decision): LogLine[] {
  const lines: LogLine[] = []
  // By upstream, then by key: 20,000 names would be 20,000 texts to join.
  const names = new Map<string, Map<string, NameDecision>>()
  for (const decision of before?.names ?? []) {
    const own = names.get(decision.upstream)
    if (own === undefined) names.set(decision.upstream, new Map([[decision.key, decision]]))
    else own.set(decision.key, decision)
  }
  for (const decision of after.names) {
    const own = names.get(decision.upstream)
    const old = own?.get(decision.key)
    own?.delete(decision.key)
    const isSame = old?.state === decision.state && old.cause === decision.cause && (old.endpoints === 0) === (decision.endpoints === 0) && old.isStrange === decision.isStrange && isDisputed(old) === isDisputed(decision)
    const isExpected = before === undefined && levelOf(decision) === undefined
    if (decision.state === 'absent') {
      if (old !== undefined && isMissed(old, after)) lines.push(toGoneLine(old, decision.cause === 'unspoken' ? 'warn' : 'info', explainName(decision)))
    } else if (!isSame && !isExpected) lines.push(toNameLine(decision, old, ownerIn(before, decision.key)))
  }
  const left = new Set(after.endpoints.map(({ upstream }) => upstream))
  for (const decision of names.values().flatMap(own => own.values())) {
    if (isMissed(decision, after)) lines.push(toGoneLine(decision, 'info', { why: `Gone: ${left.has(decision.upstream) ? `no registration of ${decision.upstream} has it any more` : `nothing of ${decision.upstream} is registered any more`}.` }))
  }
  return lines
}

const ownerIn = (decision: Decision | undefined, key: string): string | undefined => {
  const plan = decision?.plan.messages.get(key)
  return plan?.state === 'routed' ? plan.upstream : undefined
}

/** Whether a name that stands no more was one that could be called, or may have been; one that moved has its own line. */
const isMissed = ({ key, state }: NameDecision, { plan }: Decision): boolean => state !== 'absent' && state !== 'hidden' && plan.messages.get(key)?.state !== 'routed'

const toGoneLine = ({ name, upstream }: NameDecision, level: LogLine['level'], said: Partial<Explanation>): LogLine => ({ level, fields: { name, service: upstream, ...said }, message: 'message gone' })

function describePaths (before: Decision | undefined, after: Decision): LogLine[] {
  const textOf = ({ path, upstream, message, conflictWith }: PathConflict) => `${upstream} ${message} ${conflictWith} ${path}`
  const known = new Set(before?.pathConflicts.map(textOf))
  return after.pathConflicts.filter(conflict => !known.has(textOf(conflict))).map(conflict => ({ level: 'warn', fields: { path: conflict.path, service: conflict.upstream, name: conflict.message, conflictWith: [conflict.conflictWith], ...explainPath(conflict) }, message: 'path conflict' }))
}

/** `owner`: who had the name at the last decision. Who had it before that, and went before anybody else claimed it, is known to the decision. */
function toNameLine (decision: NameDecision, old: NameDecision | undefined, owner: string | undefined): LogLine {
  const { name, upstream, state, conflictWith, moved, since } = decision
  const from = owner ?? (old?.state !== 'routed' && moved?.at === since ? moved.from : undefined)
  const isMove = state === 'routed' && from !== undefined && from !== upstream
  // Routed to nobody who can be called, or hidden by nobody's wish.
  const isVain = (state === 'routed' && decision.endpoints === 0) || decision.cause === 'stranger'
  return {
    level: isVain ? 'warn' : levelOf(decision) ?? 'info',
    fields: { name, service: upstream, state, ...(isMove ? { from } : {}), ...(conflictWith.length > 0 ? { conflictWith } : {}), ...explainName(decision) },
    message: isMove ? 'message moved' : `message ${state}`
  }
}

/** Something is wrong with it that its state alone does not say: what is listed cannot be read, its host name leads nowhere, or it does not tell what it has. */
const isAmiss = ({ verdict, untold }: EndpointDecision): boolean => verdict.entry.unread !== undefined || verdict.cause === 'unresolved' || untold?.reason !== undefined

const isSameEndpoint = (old: EndpointDecision | undefined, { state, verdict, untold, out }: EndpointDecision): boolean =>
  old?.state === state && old.verdict.cause === verdict.cause && old.out?.cause === out?.cause && old.verdict.entry.unread === verdict.entry.unread && (old.untold?.reason === undefined) === (untold?.reason === undefined)

const idOf = ({ verdict: { registration } }: EndpointDecision): string => `${registration.registry}/${keyOf(registration)}`

function describeEndpoints (before: Decision | undefined, after: Decision): LogLine[] {
  const lines: LogLine[] = []
  const endpoints = new LargeMap<{ readonly decision: EndpointDecision, isThere: boolean }>(before?.endpoints.map(decision => [idOf(decision), { decision, isThere: false }]))
  for (const decision of after.endpoints) {
    const { state, upstream, verdict } = decision
    const known = endpoints.get(idOf(decision))
    if (known !== undefined) known.isThere = true
    const old = known?.decision
    const level = isAmiss(decision) ? 'warn' : worst[state]
    if (isSameEndpoint(old, decision) || (before === undefined && level === undefined)) continue
    lines.push({
      level: level ?? 'info',
      fields: { service: upstream, endpoint: verdict.url, registration: verdict.registration.id, state, ...(verdict.entry.unread === undefined ? {} : { stale: verdict.entry.unread }), ...explainEndpoint(decision) },
      message: `endpoint ${state}`
    })
  }
  for (const { decision: { verdict, upstream }, isThere } of endpoints.values()) {
    if (!isThere) lines.push({ level: 'info', fields: { service: upstream, endpoint: verdict.url, registration: verdict.registration.id }, message: 'endpoint deregistered' })
  }
  return lines
}
