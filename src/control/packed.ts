// A slice of a change of the table as it crosses from thread to thread: what many messages, or paths, have in common is told once. Pure.
import type { Change, ChangeBatch, CustomRoutePlan, MessagePlan } from '../routing/plan.ts'

/** Messages in a row that differ in their names only. */
interface PackedMessages {
  readonly kind: 'messages'
  /** Key, name, key, name … */
  readonly names: string[]
  readonly shared: Omit<MessagePlan, 'key' | 'name'>
}

/** All custom routes of one upstream. */
interface PackedPaths {
  readonly kind: 'paths'
  readonly upstream: string
  /** Path, message, path, message … */
  readonly paths: string[]
  /** By route: which of `verbs`. */
  readonly verbsOf: number[]
  readonly verbs: Array<readonly string[]>
  readonly routed: boolean[]
}

type PackedChange = Exclude<Change, { kind: 'message' | 'custom-routes' }> | PackedMessages | PackedPaths

/** Can be cloned, for a fraction of what the same costs object by object. */
export interface PackedBatch extends Omit<ChangeBatch, 'changes'> {
  readonly changes: readonly PackedChange[]
}

export function pack ({ changes, ...rest }: ChangeBatch): PackedBatch {
  const packed: PackedChange[] = []
  let run: PackedMessages | undefined
  for (const change of changes) {
    if (change.kind === 'message') {
      const { plan } = change
      if (run === undefined || !isAlike(run.shared, plan)) packed.push(run = startRun(plan))
      run.names.push(plan.key, plan.name)
    } else {
      run = undefined
      packed.push(change.kind === 'custom-routes' ? packPaths(change.upstream, change.routes) : change)
    }
  }
  return { ...rest, changes: packed }
}

export function unpack ({ changes, ...rest }: PackedBatch): ChangeBatch {
  const unpacked: Change[] = []
  for (const change of changes) {
    if (change.kind === 'messages') for (const plan of messagesOf(change)) unpacked.push({ kind: 'message', plan })
    else unpacked.push(change.kind === 'paths' ? { kind: 'custom-routes', upstream: change.upstream, routes: routesOf(change) } : change)
  }
  return { ...rest, changes: unpacked }
}

function startRun ({ key: _key, name: _name, ...shared }: MessagePlan): PackedMessages {
  return { kind: 'messages', names: [], shared }
}

/** Messages with the same endpoints have the same list of them. */
const isAlike = (a: PackedMessages['shared'], b: PackedMessages['shared']): boolean =>
  a.upstream === b.upstream && a.state === b.state && a.endpoints === b.endpoints && a.alternatives === b.alternatives && a.suggest === b.suggest && a.effect === b.effect

function * messagesOf ({ names, shared: { state, upstream, endpoints, alternatives, suggest, effect } }: PackedMessages): Generator<MessagePlan> {
  for (let i = 0; i < names.length; i += 2) yield { key: names[i]!, name: names[i + 1]!, state, upstream, endpoints, alternatives, suggest, effect }
}

function packPaths (upstream: string, routes: readonly CustomRoutePlan[]): PackedPaths {
  const packed: PackedPaths = { kind: 'paths', upstream, paths: [], verbsOf: [], verbs: [], routed: [] }
  const numbers = new Map<string, number>()
  for (const { path, verbs, message, routed } of routes) {
    const id = verbs.join()
    let number = numbers.get(id)
    if (number === undefined) {
      number = packed.verbs.push(verbs) - 1
      numbers.set(id, number)
    }
    packed.paths.push(path, message)
    packed.verbsOf.push(number)
    packed.routed.push(routed)
  }
  return packed
}

const routesOf = ({ paths, verbsOf, verbs, routed }: PackedPaths): CustomRoutePlan[] =>
  verbsOf.map((number, index) => ({ path: paths[2 * index]!, verbs: verbs[number]!, message: paths[2 * index + 1]!, routed: routed[index]! }))
