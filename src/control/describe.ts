// The answers of /api/routes and /api/upstreams: a decision as JSON, every entry with its sentence. Pure.
import { policyFor } from '../config/resolve.ts'
import type { Config, PolicyConfig } from '../config/schema.ts'
import type { Effect } from '../exchange/effect.ts'
import { explainEndpoint } from './explain-endpoint.ts'
import { explainName, explainPath } from './explain-name.ts'
import type { Explanation } from './explain.ts'
import { isDisputed, type Decision, type EndpointDecision } from './plan.ts'
import type { ControlCounts } from './protocol.ts'
import type { DescribedRegistry } from './registry-states.ts'
import { staleness } from './stale.ts'

const toTime = (ms: number) => new Date(ms).toISOString()
const byText = <T>(of: (item: T) => string) => (a: T, b: T) => { const [x, y] = [of(a), of(b)]; return x < y ? -1 : x > y ? 1 : 0 }

type Marked = Explanation & { readonly stale?: true }

/** What its registry does not vouch for now is marked, and its sentence says so. */
function mark (explanation: Explanation, stale: string | undefined): Marked {
  if (stale === undefined) return explanation
  return { why: stale === '' ? explanation.why : `${explanation.why.slice(0, -1)}; stale: ${stale}.`, hint: explanation.hint, stale: true }
}

/** Why each registration is stale, and each upstream: where none of those that speak for it is fresh. */
function staleMarks ({ endpoints }: Decision, registries: readonly DescribedRegistry[]) {
  const states = new Map(registries.map(state => [state.registry, state]))
  const ofEndpoint = ({ verdict: { entry } }: EndpointDecision) => staleness(entry, registry => states.get(registry))
  const byUpstream = new Map<string, string | undefined>()
  for (const endpoint of endpoints) {
    if (!endpoint.verdict.speaks) continue
    const { upstream } = endpoint
    const stale = ofEndpoint(endpoint)
    if (stale === undefined || !byUpstream.has(upstream)) byUpstream.set(upstream, stale === '' ? `${endpoint.verdict.registration.registry} no longer names its registrations` : stale)
  }
  return { ofEndpoint, ofUpstream: (upstream: string) => byUpstream.get(upstream) }
}

/** JSON of GET /api/routes. Order is stable. `fallback`: where messages go that nobody knows; undefined = nowhere. */
export function describeRoutes (decision: Decision, config: Config, registries: readonly DescribedRegistry[], fallback?: string): string {
  const stale = staleMarks(decision, registries)
  const routes = decision.names.toSorted(byText(name => `${name.key} ${name.state === 'routed' ? 0 : 1} ${name.upstream}`)).map(name => ({
    message: name.name,
    state: name.state,
    upstream: name.upstream,
    endpoints: name.endpoints,
    ...describeEffect(policyFor(config, name.upstream, name.key).effect, name.marker),
    ...mark(explainName(name), stale.ofUpstream(name.upstream)),
    since: toTime(name.since),
    ...(name.conflictWith.length > 0 ? { conflictWith: name.conflictWith } : {})
  }))
  const paths = [...decision.plan.customRoutes].flatMap(([upstream, plans]) => plans.filter(plan => plan.routed).map(plan => ({ path: plan.path, verbs: plan.verbs, message: plan.message, upstream })))
  const registrations = decision.endpoints.toSorted(byText(({ upstream, verdict }) => `${upstream} ${verdict.url} ${verdict.registration.id}`)).map(endpoint => ({
    registration: endpoint.verdict.registration.id,
    state: endpoint.state,
    upstream: endpoint.upstream,
    url: endpoint.verdict.url,
    ...mark(explainEndpoint(endpoint), stale.ofEndpoint(endpoint)),
    since: toTime(endpoint.since)
  }))
  return JSON.stringify({
    routes,
    registrations,
    prefixes: Object.entries(config.prefixes).map(([path, { upstream }]) => ({ path, upstream, endpoints: countBase(decision, upstream), ...describeEffect(policyFor(config, upstream, path).effect, undefined) })),
    customRoutes: paths,
    fallback: fallback === undefined ? undefined : { upstream: fallback, endpoints: countBase(decision, fallback) },
    pathConflicts: decision.pathConflicts.map(conflict => ({ ...conflict, ...explainPath(conflict) })),
    registries
  })
}

/** Endpoints for what has none of its own. */
function countBase ({ plan }: Decision, upstream: string): number {
  const of = plan.upstreams.get(upstream)
  return (of?.base ?? of?.endpoints)?.length ?? 0
}

/** What repeating a message does, and who says so: postern.yaml, the DTO's marker, or nobody, so that the method of each call decides. */
function describeEffect (written: PolicyConfig['effect'], marker: Effect | undefined): { effect: Effect | 'by method', effectFrom?: 'yaml' | 'marker' } {
  if (written !== 'auto') return { effect: written, effectFrom: 'yaml' }
  return marker === undefined ? { effect: 'by method' } : { effect: marker, effectFrom: 'marker' }
}

/** JSON of GET /api/upstreams. Several registrations of one address are one entry each: each has its own sentence. */
export function describeUpstreams (decision: Decision, registries: readonly DescribedRegistry[]): string {
  const stale = staleMarks(decision, registries)
  const upstreams = new Map<string, { name: string, registry: string[], servicestack: boolean | undefined, apiForm: boolean, messages: number, endpoints: object[] }>()
  for (const [name, plan] of decision.plan.upstreams) upstreams.set(name, { name, registry: [], servicestack: plan.servicestack, apiForm: plan.apiForm, messages: 0, endpoints: [] })
  for (const { state, upstream } of decision.plan.messages.values()) {
    const entry = upstreams.get(upstream)
    if (entry !== undefined && state === 'routed') entry.messages++
  }
  for (const endpoint of decision.endpoints.toSorted(byText(({ verdict }) => `${verdict.url} ${verdict.registration.id}`))) {
    const { verdict, upstream: name, state, since } = endpoint
    const { registration } = verdict
    let upstream = upstreams.get(name)
    if (upstream === undefined) upstreams.set(name, upstream = { name, registry: [], servicestack: false, apiForm: false, messages: 0, endpoints: [] })
    if (!upstream.registry.includes(registration.registry)) upstream.registry.push(registration.registry)
    upstream.endpoints.push({
      url: verdict.url,
      registrationIds: [registration.id],
      registry: registration.registry,
      state,
      traffic: decision.plan.upstreams.get(name)?.endpoints.some(({ url }) => url === verdict.url && verdict.speaks && state !== 'waiting' && state !== 'draining' && state !== 'out') ?? false,
      health: registration.health,
      version: registration.version,
      servicestackVersion: verdict.knowledge?.servicestackVersion,
      ...mark(explainEndpoint(endpoint), stale.ofEndpoint(endpoint)),
      since: toTime(since)
    })
  }
  return JSON.stringify({ upstreams: [...upstreams.values()].sort(byText(upstream => upstream.name)), registries })
}

/** Numbers for metrics and status. Every state is there, also at 0: a gauge that vanishes cannot be alarmed on. */
export function countDecision (decision: Decision): ControlCounts {
  const routes: Record<string, number> = { routed: 0, hidden: 0, unread: 0, quarantined: 0, conflict: 0 }
  const registrations: Record<string, number> = { routed: 0, out: 0, standby: 0, waiting: 0, critical: 0, draining: 0, ghost: 0, stranger: 0, unconfirmed: 0, refused: 0 }
  for (const { state } of decision.names) if (state !== 'absent') routes[state] = (routes[state] ?? 0) + 1
  for (const { state } of decision.endpoints) registrations[state] = (registrations[state] ?? 0) + 1
  const disputed = new Set(decision.names.filter(isDisputed).map(({ key }) => key))
  return { routes, conflicts: disputed.size + decision.pathConflicts.length, registrations, upstreams: decision.plan.upstreams.size, served: decision.memory.served.size }
}
