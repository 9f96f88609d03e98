// What is told of a name beside its state: whose it is and by whose word, how long it is lent, and what its service's own word on it is worth. Pure.
import { isConfirmed, type UpstreamView } from './claims.ts'
import { mayHave } from './endpoints.ts'
import { whyUnread } from './knowledge.ts'
import { lenderOf, type Claimant, type Owner, type Resolution } from './ownership.ts'
import type { NameDecision } from './plan.ts'

export type Told = Pick<NameDecision, 'owner' | 'settled' | 'lent' | 'standing' | 'isDrained' | 'unread'>

export interface ToldContext {
  readonly views: ReadonlyMap<string, UpstreamView>
  readonly ownerGoneMs: number
  readonly now: number
}

/** What holds of the name whoever claims it. `owner`: as it is remembered from now on. */
export function tellOwner (context: ToldContext, resolution: Resolution, owner: Owner | undefined, claimants: readonly Claimant[]): Pick<Told, 'owner' | 'settled' | 'lent'> {
  const name = resolution.owner ?? owner?.upstream
  const isOwners = owner !== undefined && owner.upstream === resolution.owner
  const lender = resolution.by === 'yaml' || !isOwners ? undefined : lenderOf(owner, context)
  const lending = lender === undefined ? undefined : claimants.find(({ upstream, confirmed }) => confirmed && upstream === lender)
  return {
    owner: name === undefined ? undefined : { name, isRegistered: (context.views.get(name)?.verdicts.length ?? 0) > 0 },
    settled: resolution.by === 'yaml' ? { by: 'yaml', note: undefined } : isOwners && owner.settled !== undefined ? { by: 'operator', note: owner.settled.note } : undefined,
    lent: lending === undefined ? undefined : { to: owner!.upstream, from: lending.upstream, until: owner!.moved?.because === 'stopped' ? owner!.since + context.ownerGoneMs : undefined, isLost: lending.isLost }
  }
}

/** What holds of the name at one service. `key`: lower-cased. */
export function tellClaim (view: UpstreamView | undefined, key: string): Pick<Told, 'standing' | 'isDrained' | 'unread'> {
  const standing = view?.claims.get(key)?.standing
  if (view === undefined || isConfirmed(standing ?? 'unread')) return { standing, isDrained: false, unread: undefined }
  // Of a name that no registration has, the list of any may tell.
  const having = view.verdicts.filter(mayHave).filter(({ registration: { names } }) => standing === undefined || names.some(name => name.toLowerCase() === key))
  const reasons = having.map(({ registration: { unresolved }, knowledge }) => unresolved?.reason ?? whyUnread(knowledge))
  return { standing, isDrained: having.length > 0 && having.every(({ state }) => state === 'draining'), unread: reasons.find(reason => reason !== undefined) }
}
