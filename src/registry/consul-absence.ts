// Whether what an answer of Consul leaves out is gone: an empty one may only say that our token may not see it, or that everything was lost (all come as a calm `200 []`), and one under the same index says that nothing has changed.
import { AgentError, type AgentAnswer, type AgentConnection, type CatalogNode } from './consul-agent.ts'
import { placeIn, placeOf } from './consul-entry.ts'
import type { LastWord, Registration } from './registration.ts'

/**
 * `gone`: Consul positively says so. `doubtful`: it has access rules and nothing tells the two apart (a rule of the same policy was edited);
 * `withheld`: the service exists, and the token may not read it.
 */
export type Absence = 'gone' | 'doubtful' | 'withheld'

/**
 * Whether an answer leaves out what one under the same index named: a proxy or an agent that lost something, for every deregistration moves
 * the index. So does one without an index where others had one: what it lost may be more. Pure.
 */
export function contradicts (before: LastWord | undefined, after: LastWord): boolean {
  if (before === undefined || before.index === undefined || (after.index !== undefined && before.index !== after.index)) return false
  const named = new Set(after.registrations.map(placeOf))
  return before.registrations.some((registration) => !named.has(placeOf(registration)))
}

/**
 * Whether an answer names nothing of what was registered, and is therefore to be asked about like an empty one, whatever else it names: another catalogue may
 * have taken the place of the one that was. Of several nodes one that leaves leaves the others behind. An entry that cannot be told may be any. Pure.
 */
export function leavesOutAll (before: readonly Registration[], entries: readonly unknown[]): boolean {
  const [first] = before
  // Nearly always: nothing has to be made of many entries.
  if (first !== undefined && entries.some((entry) => placeIn(entry) === placeOf(first))) return false
  const named = new Set(entries.map(placeIn))
  return before.length > 0 && !named.has(undefined) && !before.some((registration) => named.has(placeOf(registration)))
}

/** Nobody registers under this name. */
const nobody = 'postern-asks-for-nobody'

/**
 * Pure. `index`: of the empty answer; `before` and `after`: of answers about a name that nobody has, just before and after it. Consul takes the
 * former from the service as long as it exists, seen or not, and the latter from the last service that vanished or, before the first,
 * from the whole catalogue, which may move meanwhile: where the former is not among them the service exists [M, Consul 1.8.7].
 */
export function judgeAbsence (acl: 'on' | 'off' | 'unknown', index: number | undefined, before: number | undefined, after: number | undefined): Absence {
  if (acl !== 'on' || index === undefined || before === undefined || after === undefined) return 'gone'
  return index >= before && index <= after ? 'doubtful' : 'withheld'
}

/** So many nodes are asked about. */
const mostNodes = 4

/**
 * What the nodes say on which something was registered: that it still is, under that name (`listed`); that the catalogue is the one that it was in, which is a positive word
 * (`gone`); or that it was begun anew, or that they left with all that was on them (`doubtful`). Pure.
 */
export function judgeNodes (before: readonly Registration[], nodes: ReadonlyMap<string, CatalogNode | 'unknown'>): 'gone' | 'doubtful' | 'listed' {
  let [same, others] = [0, 0]
  for (const { id, registeredAs, node, nodeIdentity } of before) {
    const now = nodes.get(node)
    if (now === undefined || now === 'unknown') continue
    if (now.services.get(id) === registeredAs) return 'listed'
    if (nodeIdentity === undefined) continue
    if (now.identity === nodeIdentity) same++
    else others++
  }
  return same === 0 && others > 0 ? 'doubtful' : 'gone'
}

/** Asks the nodes on which something was registered, of which an answer names nothing. Throws AgentError where they still list it, and the signal's reason. */
export async function askNodes (connection: AgentConnection, before: readonly Registration[], signal: AbortSignal): Promise<'gone' | 'doubtful'> {
  const names = [...new Set(before.map(({ node }) => node))].slice(0, mostNodes)
  const nodes = new Map(await Promise.all(names.map(async (name) => [name, await connection.nodeOf(name, signal)] as const)))
  const said = judgeNodes(before, nodes)
  if (said === 'listed') throw new AgentError('the answer names nothing of what was registered, although the catalogue lists it')
  return said
}

/** Asks on about an empty answer. `before`: what was registered. Throws AgentError where the token is refused, the service is withheld or still listed, and the signal's reason. */
export async function explainAbsence (connection: AgentConnection, service: string, before: readonly Registration[], signal: AbortSignal): Promise<'gone' | 'doubtful'> {
  const acl = await connection.acl(signal)
  if (acl !== 'on') return await askNodes(connection, before, signal)
  const ask = (name: string): Promise<AgentAnswer> => connection.healthOf({ service: name, index: 0, waitMs: 0 }, signal)
  const first = await ask(nobody)
  const again = await ask(service)
  if (again.entries.length > 0) throw new AgentError('the answer was empty, and a moment later it was not')
  const after = await ask(nobody)
  const absence = judgeAbsence(acl, again.index, first.index, after.index)
  if (absence === 'withheld') throw new AgentError('the answer is empty although the service exists: the token may not read it')
  return absence
}
