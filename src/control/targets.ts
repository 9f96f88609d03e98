// Which endpoints are asked, what, and how urgently: made from the last decision. Pure.
import type { AskTls } from '../contracts/get.ts'
import type { Target } from '../contracts/asker.ts'
import type { MarkerTarget } from '../contracts/marker-reader.ts'
import type { Config } from '../config/schema.ts'
import { settingsOf } from './decide.ts'
import type { Knowledge } from './knowledge.ts'
import type { Decision, EndpointDecision } from './plan.ts'

/**
 * Asker targets of all endpoints. Those that may not be connected to are left alone, and those that only stand in maintenance, unless it has to
 * be known whether they are still there, or of several registrations which one holds.
 */
export function toTargets (decision: Decision, upstreams: Config['upstreams'], tls: ReadonlyMap<string, AskTls>): Target[] {
  const byUrl = new Map<string, EndpointDecision[]>()
  for (const endpoint of decision.endpoints) {
    const { url, key } = endpoint.verdict
    if (url === '' || key === '') continue
    const same = byUrl.get(url)
    if (same === undefined) byUrl.set(url, [endpoint])
    else same.push(endpoint)
  }
  const targets: Target[] = []
  for (const [url, endpoints] of byUrl) {
    const registrations = endpoints.map(({ verdict }) => verdict.registration)
    const isOneUntold = endpoints.some(({ verdict: { untold } }) => untold === true)
    if (registrations.every(({ health }) => health === 'maintenance') && !decision.watched.has(url) && !isOneUntold) continue
    const isPlugin = registrations.some(({ kind }) => kind !== 'plain')
    // What the upstream of the one that speaks says about TLS and paths.
    const upstream = (endpoints.find(({ verdict }) => verdict.speaks) ?? endpoints[0])?.upstream ?? ''
    const isWatched = decision.watched.has(url) || endpoints.some(({ verdict }) => verdict.entry.unconfirmedSince !== undefined || verdict.cause === 'says-nothing')
    // What its registry does not check, or cannot tell us.
    const isOurs = endpoints.some(({ verdict: { speaks, registration, cause } }) => speaks && (registration.health === 'unchecked' || cause === 'restarted' || cause === 'warns'))
    const healthCheck = registrations.some(registration => registration.healthCheck === true)
    const isSlow = registrations.every(({ health }) => health === 'critical')
    targets.push({
      key: endpoints[0]?.verdict.key ?? '',
      pace: isWatched ? 'watched' : isOurs ? 'steady' : isSlow ? 'slow' : 'fast',
      question: { url, kind: isPlugin ? 'plugin' : 'plain', livenessPath: settingsOf({ upstreams }, upstream)?.livenessPath ?? '/', tls: tls.get(upstream), ips: registrations.find(({ ips }) => ips !== undefined)?.ips, ...(healthCheck ? { healthCheck } : {}) }
    })
  }
  return targets
}

/** Those that have told their list and not yet their markers. */
export function toMarkerTargets (targets: readonly Target[], knowledge: ReadonlyMap<string, Knowledge>): MarkerTarget[] {
  const wanted: MarkerTarget[] = []
  for (const { question } of targets) {
    const known = knowledge.get(question.url)
    if (known?.listed?.state === 'read' && known.markers === undefined && known.silent === undefined) wanted.push({ question, process: known.ownId ?? '' })
  }
  return wanted
}
