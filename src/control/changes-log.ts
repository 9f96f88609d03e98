// What an operator reads when names and endpoints change: one line each, in the words of `postern routes`. Pure.
import { explainEndpoint, explainName } from './explain.ts'
import type { Decision, NameDecision } from './plan.ts'

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly fields: Readonly<Record<string, unknown>>
  readonly message: string
}

/** Most lines of one decision; what is beyond is counted in one more line. */
export const mostLines = 200

const worst: Readonly<Record<string, LogLine['level']>> = { quarantined: 'warn', conflict: 'error', ghost: 'warn', stranger: 'warn', unconfirmed: 'warn', refused: 'warn', critical: 'warn' }

/** Lines for everything that stands otherwise than before. The first table is one line, but for what is wrong in it. */
export function describeChanges (before: Decision | undefined, after: Decision): LogLine[] {
  const lines: LogLine[] = []
  const isFirst = before === undefined
  const idOf = ({ key, upstream }: NameDecision) => `${key} ${upstream}`
  const names = new Map(before?.names.map(decision => [idOf(decision), decision]))
  const owners = new Map(before?.names.filter(({ state }) => state === 'routed').map(decision => [decision.key, decision.upstream]))
  for (const decision of after.names) {
    const old = names.get(idOf(decision))
    names.delete(idOf(decision))
    const { state, name, upstream } = decision
    if (old?.state === state && old.cause === decision.cause && (old.endpoints === 0) === (decision.endpoints === 0)) continue
    const owner = owners.get(decision.key)
    const isMove = state === 'routed' && owner !== undefined && owner !== upstream
    if (isFirst && worst[state] === undefined) continue
    if (state === 'absent') continue
    lines.push({
      level: worst[state] ?? 'info',
      fields: { name, service: upstream, state, ...(isMove ? { from: owner } : {}), ...(decision.conflictWith.length > 0 ? { conflictWith: decision.conflictWith } : {}), ...explainName(decision) },
      message: isMove ? 'message moved' : state === 'quarantined' || state === 'conflict' ? 'message conflict' : `message ${state}`
    })
  }
  for (const decision of names.values()) {
    if (decision.state === 'absent' || decision.state === 'hidden') continue
    // A name that moved has its own line.
    if (after.plan.messages.get(decision.key)?.state === 'routed') continue
    lines.push({ level: 'info', fields: { name: decision.name, service: decision.upstream }, message: 'message gone' })
  }
  const endpoints = new Map(before?.endpoints.map(decision => [`${decision.verdict.registration.registry}/${decision.verdict.registration.id}`, decision]))
  for (const decision of after.endpoints) {
    const { registration, cause, url } = decision.verdict
    const id = `${registration.registry}/${registration.id}`
    const old = endpoints.get(id)
    endpoints.delete(id)
    if (old?.state === decision.state && old.verdict.cause === cause) continue
    if (isFirst && worst[decision.state] === undefined) continue
    lines.push({
      level: worst[decision.state] ?? 'info',
      fields: { service: decision.upstream, endpoint: url, registration: registration.id, state: decision.state, ...explainEndpoint(decision) },
      message: `endpoint ${decision.state}`
    })
  }
  for (const { verdict, upstream } of endpoints.values()) lines.push({ level: 'info', fields: { service: upstream, endpoint: verdict.url, registration: verdict.registration.id }, message: 'endpoint deregistered' })
  if (isFirst) {
    const count = { messages: after.plan.messages.size, upstreams: after.plan.upstreams.size, registrations: after.endpoints.length }
    lines.unshift({ level: 'info', fields: count, message: 'first route table' })
  }
  if (lines.length <= mostLines) return lines
  return [...lines.slice(0, mostLines), { level: 'warn', fields: { more: lines.length - mostLines }, message: 'more changes than lines' }]
}
