// The RESTful paths of the services' own lists: which are routed, which are only kept from other routes (decisions 2.7), or known to them. Pure.
import { operationLimits, type Operation, type OperationList } from '../contracts/operations.ts'
import type { CustomRoutePlan } from '../routing/plan.ts'
import type { PathConflict } from './plan.ts'

/** Most paths of one upstream; what is beyond is not routed, nor is any path then that only its host knows. */
const mostRoutes = operationLimits.operations

export interface RouteSource {
  readonly upstream: string
  readonly lists: readonly OperationList[]
  /** customRoutes of postern.yaml. */
  readonly isOn: boolean
  /** Whether a prefix route goes there: what holds for a message holds by its paths then. */
  readonly hasPrefix: boolean
  /** Whether the message is kept from outside: restricted, hidden, or never routed. */
  readonly isHidden: (key: string, restricted: boolean) => boolean
  /** Whether calls of the message go to this upstream. What is listed and does not (no tag names it, another service has it) is kept back like what is hidden. */
  readonly isRouted: (key: string) => boolean
  /** Since when this upstream owns the message and it is routed; undefined when it is not. ms since epoch. */
  readonly routedSince: (key: string) => number | undefined
}

/** What makes two paths the same to a host: letter case and the names of the places do not. */
export function toShape (path: string): string {
  return path.toLowerCase().replace(/\{[^{}*]*\}/g, '{}').replace(/\{\*[^{}]*\}|\{[^{}]*\*\}/g, '{*}').replace(/(?<=.)\/$/, '')
}

const overlap = (a: readonly string[], b: readonly string[]): boolean => a.length === 0 || b.length === 0 || a.some(verb => b.includes(verb))

interface Candidate { readonly plan: CustomRoutePlan, readonly upstream: string, readonly since: number, readonly shape: string }

/** Operations with paths, by lower-cased name; one list, the usual case, is taken as it is. */
function * operationsOf (lists: readonly OperationList[]): Generator<readonly [key: string, operations: readonly Operation[]]> {
  const [first, ...others] = lists
  if (first === undefined) return
  for (const [key, operation] of first.byName) {
    const all = others.length === 0 ? [operation] : [operation, ...others.map(({ byName }) => byName.get(key)).filter(twin => twin !== undefined)]
    if (all.some(({ routes }) => routes.length > 0)) yield [key, all]
  }
  const seen = new Set(first.byName.keys())
  for (const [key, twins] of others.length === 0 ? [] : operationsOf(others)) if (!seen.has(key)) yield [key, twins]
}

function candidatesOf (source: RouteSource): { routed: Candidate[], blocked: CustomRoutePlan[], known: CustomRoutePlan[], isCut: boolean } {
  const routed: Candidate[] = []
  const blocked: CustomRoutePlan[] = []
  const known: CustomRoutePlan[] = []
  for (const [key, operations] of operationsOf(source.lists)) {
    const kept = !source.isRouted(key) || source.isHidden(key, operations.some(operation => operation.restricted))
    const since = source.isOn && !kept ? source.routedSince(key) : undefined
    const isKnown = source.hasPrefix && !source.isOn && !kept
    if (!kept && !isKnown && since === undefined) continue
    const actions = new Set(operations.flatMap(operation => operation.actions))
    const verbs = actions.has('ANY') ? [] : [...actions]
    for (const path of new Set(operations.flatMap(operation => operation.routes))) {
      if (routed.length + blocked.length + known.length >= mostRoutes) return { routed, blocked, known, isCut: true }
      if (kept) blocked.push({ path, verbs, message: key, routed: false })
      else if (isKnown) known.push({ path, verbs, message: key, routed: false })
      else if (since !== undefined) routed.push({ plan: { path, verbs, message: key, routed: true }, upstream: source.upstream, since, shape: toShape(path) })
    }
  }
  return { routed, blocked, known, isCut: false }
}

/** All custom routes; `cut`: upstreams that list more than is taken in. One path and verb wanted by two messages is a conflict: who had its message first keeps it. */
export function planCustomRoutes (sources: readonly RouteSource[]): { routes: Map<string, CustomRoutePlan[]>, conflicts: PathConflict[], cut: ReadonlySet<string> } {
  const routes = new Map<string, CustomRoutePlan[]>()
  const cut = new Set<string>()
  const conflicts: PathConflict[] = []
  const wanted: Candidate[] = []
  /** By place; only of those who want paths: nearly nobody does, and there are as many as messages. */
  const blockedShapes = new Map<string, CustomRoutePlan[]>()
  for (const source of sources) {
    const { routed, blocked, known, isCut } = candidatesOf(source)
    if (isCut) cut.add(source.upstream)
    for (const candidate of routed) wanted.push(candidate)
    if (blocked.length + known.length > 0) routes.set(source.upstream, [...blocked, ...known])
    for (const plan of routed.length > 0 ? blocked : []) {
      const place = `${source.upstream} ${toShape(plan.path)}`
      blockedShapes.set(place, [...blockedShapes.get(place) ?? [], plan])
    }
  }
  wanted.sort((a, b) => a.since - b.since || (a.plan.message < b.plan.message ? -1 : a.plan.message > b.plan.message ? 1 : 0))
  const taken = new Map<string, Candidate[]>()
  for (const candidate of wanted) {
    const { plan, shape, upstream } = candidate
    const same = taken.get(shape) ?? []
    const other = same.find(({ plan: { message, verbs } }) => message !== plan.message && overlap(verbs, plan.verbs))?.plan.message ??
      // On its own host the same path also reaches a message that is kept inside.
      blockedShapes.get(`${upstream} ${shape}`)?.find(({ verbs }) => overlap(verbs, plan.verbs))?.message
    if (other !== undefined) {
      conflicts.push({ path: plan.path, upstream, message: plan.message, conflictWith: other })
      continue
    }
    same.push(candidate)
    taken.set(shape, same)
    const list = routes.get(upstream)
    if (list === undefined) routes.set(upstream, [plan])
    else list.push(plan)
  }
  return { routes, conflicts, cut }
}
