// The differences between two plans, in batches small enough for the data plane to apply between requests. Pure.
import type { Change, ChangeBatch, CustomRoutePlan, EndpointPlan, LevelPlan, MessagePlan, UpstreamPlan } from '../routing/plan.ts'
import type { Plan } from './plan.ts'
import type { Applied } from './protocol.ts'

/** Most changes in a batch. */
export const batchSize = 500

const sameTexts = (a: readonly string[] | undefined, b: readonly string[] | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && a.length === b.length && a.every((text, index) => text === b[index]))

const sameEndpoint = (a: EndpointPlan, b: EndpointPlan | undefined): boolean =>
  b !== undefined && a.url === b.url && a.origin === b.origin && a.basePath === b.basePath && a.weight === b.weight && a.version === b.version && a.node === b.node && a.datacenter === b.datacenter && a.zone === b.zone && a.level === b.level && a.rttMs === b.rttMs && sameTexts(a.labels, b.labels) && sameTexts(a.ips, b.ips)

const sameLevels = (a: readonly LevelPlan[], b: readonly LevelPlan[]): boolean =>
  a.length === b.length && a.every(({ level, weight }, index) => level === b[index]?.level && weight === b[index].weight)

const sameUpstream = (a: UpstreamPlan, b: UpstreamPlan): boolean =>
  a === b || (sameTexts(a.base, b.base) && sameLevels(a.levels, b.levels) && a.apiForm === b.apiForm && a.servicestack === b.servicestack && a.lists === b.lists && a.endpoints.length === b.endpoints.length && a.endpoints.every((endpoint, index) => sameEndpoint(endpoint, b.endpoints[index])))

const sameMessage = (a: MessagePlan, b: MessagePlan): boolean =>
  a === b || (a.name === b.name && a.state === b.state && a.upstream === b.upstream && a.suggest === b.suggest && a.effect === b.effect && sameTexts(a.endpoints, b.endpoints) && sameAlternatives(a.alternatives, b.alternatives))

const sameAlternatives = (a: MessagePlan['alternatives'], b: MessagePlan['alternatives']): boolean =>
  a === b || (a !== undefined && b !== undefined && a.length === b.length && a.every(({ upstream, endpoints }, index) => upstream === b[index]!.upstream && sameTexts(endpoints, b[index]!.endpoints)))

const sameRoutes = (a: readonly CustomRoutePlan[], b: readonly CustomRoutePlan[]): boolean =>
  a.length === b.length && a.every((route, index) => {
    const other = b[index]
    return other !== undefined && route.path === other.path && route.message === other.message && route.routed === other.routed && sameTexts(route.verbs, other.verbs)
  })

/**
 * What leads from one plan to another. Upstreams come before the messages that name them and go after them, so that every
 * prefix of the list leaves no message without its upstream.
 */
export function diff (before: Plan, after: Plan): Change[] {
  const changes: Change[] = []
  for (const [name, plan] of after.upstreams) {
    const old = before.upstreams.get(name)
    if (old === undefined || !sameUpstream(old, plan)) changes.push({ kind: 'upstream', plan })
  }
  for (const [key, plan] of after.messages) {
    const old = before.messages.get(key)
    if (old === undefined || !sameMessage(old, plan)) changes.push({ kind: 'message', plan })
  }
  for (const key of before.messages.keys()) if (!after.messages.has(key)) changes.push({ kind: 'message-gone', key })
  for (const [upstream, routes] of after.customRoutes) {
    const old = before.customRoutes.get(upstream)
    if (old === undefined || !sameRoutes(old, routes)) changes.push({ kind: 'custom-routes', upstream, routes })
  }
  for (const upstream of before.customRoutes.keys()) if (!after.customRoutes.has(upstream)) changes.push({ kind: 'custom-routes', upstream, routes: [] })
  for (const name of before.upstreams.keys()) if (!after.upstreams.has(name)) changes.push({ kind: 'upstream-gone', name })
  return changes
}

/** At least one batch; the last one commits. */
export function toBatches (changes: readonly Change[], configGeneration: number, facts: Pick<ChangeBatch, 'incomplete' | 'fallback'> = {}): ChangeBatch[] {
  const batches: ChangeBatch[] = []
  for (let at = 0; at < changes.length || at === 0; at += batchSize) {
    batches.push({ changes: changes.slice(at, at + batchSize), last: at + batchSize >= changes.length, configGeneration, ...facts })
  }
  return batches
}

/** The names in a plan. */
export function namesOf ({ upstreams, messages, customRoutes }: Plan): Applied {
  return { upstreams: [...upstreams.keys()], messages: [...messages].map(([key, { upstream }]) => [key, upstream]), customRoutes: [...customRoutes.keys()] }
}

/** A plan with these names and contents that equal nothing: what the data plane has when nobody knows how much of it arrived. */
export function unknownPlan (...parts: readonly Applied[]): Plan {
  const upstreams = new Map<string, UpstreamPlan>()
  const messages = new Map<string, MessagePlan>()
  const customRoutes = new Map<string, CustomRoutePlan[]>()
  const nowhere = { url: '', origin: '', basePath: '', weight: 0, version: undefined, node: undefined, labels: [], datacenter: undefined, zone: undefined, level: 0, rttMs: undefined }
  for (const part of parts) {
    for (const name of part.upstreams) upstreams.set(name, { name, endpoints: [nowhere], levels: [], apiForm: false, servicestack: false, lists: 'none' })
    for (const [key, upstream] of part.messages) messages.set(key, { key, name: '', state: 'hidden', upstream, endpoints: undefined, suggest: false, effect: undefined })
    for (const name of part.customRoutes) customRoutes.set(name, [{ path: '', verbs: [], message: '', routed: false }])
  }
  return { upstreams, messages, customRoutes }
}
