// Whether what an answer of Consul leaves out is gone: an empty one may only say that our token may not see it (both come as a calm `200 []`), and one under the same index says that nothing has changed.
import { AgentError, type AgentAnswer, type AgentConnection } from './consul-agent.ts'
import type { Registration } from './registration.ts'

/**
 * `gone`: Consul positively says so. `doubtful`: it has access rules and nothing tells the two apart (a rule of the same policy was edited);
 * `withheld`: the service exists, and the token may not read it.
 */
export type Absence = 'gone' | 'doubtful' | 'withheld'

interface View { readonly registrations: readonly Registration[], readonly index: number | undefined }

/**
 * Whether an answer leaves out what one under the same index named: a proxy or an agent that lost something, for every deregistration moves
 * the index. So does one without an index where others had one: what it lost may be more. Pure.
 */
export function contradicts (before: View | undefined, after: View): boolean {
  if (before === undefined || before.index === undefined || (after.index !== undefined && before.index !== after.index)) return false
  const named = new Set(after.registrations.map(({ node, id }) => `${node}/${id}`))
  return before.registrations.some(({ node, id }) => !named.has(`${node}/${id}`))
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

/** Asks on. Throws AgentError where the token is refused or the service is withheld, and the signal's reason. */
export async function explainAbsence (connection: AgentConnection, service: string, signal: AbortSignal): Promise<'gone' | 'doubtful'> {
  const acl = await connection.acl(signal)
  if (acl !== 'on') return 'gone'
  const ask = (name: string): Promise<AgentAnswer> => connection.healthOf({ service: name, index: 0, waitMs: 0 }, signal)
  const before = await ask(nobody)
  const again = await ask(service)
  if (again.entries.length > 0) throw new AgentError('the answer was empty, and a moment later it was not')
  const after = await ask(nobody)
  const absence = judgeAbsence(acl, again.index, before.index, after.index)
  if (absence === 'withheld') throw new AgentError('the answer is empty although the service exists: the token may not read it')
  return absence
}
