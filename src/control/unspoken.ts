// Names that only registrations carry which say nothing about messages: ghosts, refused ones. Nobody gets them, and whoever looks for one is told why. Pure.
import { isMessageName, operationLimits } from '../contracts/operations.ts'
import type { Claim, UpstreamView } from './claims.ts'
import type { Verdict } from './endpoints.ts'
import type { MarkBook } from './marks.ts'
import type { NameDecision } from './plan.ts'

export interface Unspoken {
  readonly name: string
  /** The first registration that has it. */
  readonly verdict: Verdict
  /** How many others have it. */
  others: number
}

/** Names of one upstream without a claim, by lower-cased name. */
export function findUnspoken (verdicts: readonly Verdict[], claims: ReadonlyMap<string, Claim>): Map<string, Unspoken> {
  const unspoken = new Map<string, Unspoken>()
  for (const verdict of verdicts) {
    if (verdict.speaks) continue
    for (const name of verdict.registration.names.slice(0, operationLimits.operations)) {
      const key = name.toLowerCase()
      const known = unspoken.get(key)
      if (known !== undefined) known.others += known.verdict === verdict ? 0 : 1
      else if (!claims.has(key) && isMessageName(name)) unspoken.set(key, { name, verdict, others: 0 })
    }
  }
  return unspoken
}

/** Of those names, the ones that no other upstream claims either. */
export function decideUnspoken (views: ReadonlyMap<string, UpstreamView>, claimed: ReadonlyMap<string, unknown>, book: MarkBook): NameDecision[] {
  const decisions: NameDecision[] = []
  for (const { name: upstream, unspoken } of views.values()) {
    for (const [key, { name, others, verdict: { registration, state } }] of unspoken) {
      if (claimed.has(key)) continue
      const since = book.mark(upstream, key, `only ${state}`)
      decisions.push({ key, name, upstream, state: 'absent', cause: 'unspoken', by: 'nobody', conflictWith: [], moved: undefined, marker: undefined, endpoints: 0, isStrange: false, isLost: false, letOut: undefined, owner: undefined, settled: undefined, lent: undefined, standing: undefined, isDrained: false, unread: undefined, only: { id: registration.id, state, others }, since })
    }
  }
  return decisions
}
