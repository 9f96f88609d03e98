// An operator's word on whose a name is, given while Postern runs: whether it can be carried out, and who owns the name then. Pure.
import { lenderOf, type Owner } from './ownership.ts'
import type { Decision } from './plan.ts'

export interface SettleWish {
  /** In any letter case. */
  readonly message: string
  readonly upstream: string
  /** Why, for whoever asks later. */
  readonly note?: string | undefined
}

export type Settled =
  /** `outlivesRestart`: once it is carried out, whether it is on disk. */
  | { readonly kind: 'settled', readonly key: string, readonly owner: Owner, readonly outlivesRestart?: boolean }
  | { readonly kind: 'refused', readonly status: 404 | 409, readonly code: string, readonly message: string }

const refused = (status: 404 | 409, code: string, message: string): Settled => ({ kind: 'refused', status, code, message })

/**
 * The owner from now on. It is an owner like any other: the name passes on when it has gone (decisions 2.6). `yaml`: the upstream that
 * messages.X.upstream of postern.yaml names, which nobody overrules. `now`: ms since epoch.
 */
export function settle (wish: SettleWish, { decision, owners, yaml, now }: { decision: Decision | undefined, owners: ReadonlyMap<string, Owner>, yaml: string | undefined, now: number }): Settled {
  const key = wish.message.toLowerCase()
  const claims = decision?.names.filter(name => name.key === key && name.state !== 'absent') ?? []
  if (claims.length === 0) return refused(404, 'MessageUnknown', `No service has a message ${wish.message}.`)
  if (yaml !== undefined) return refused(409, 'SettledByConfiguration', `postern.yaml gives ${wish.message} to ${yaml} (messages.${wish.message}.upstream), and that counts: change it there.`)
  const claim = claims.find(name => name.upstream === wish.upstream)
  if (claim === undefined) return refused(409, 'NotItsMessage', `${wish.upstream} does not have ${wish.message}. Who has it: ${claims.map(name => name.upstream).join(', ')}.`)
  if (claim.state === 'unread') return refused(409, 'NotReadYet', `The list of operations of ${wish.upstream} is not read yet, so nobody knows whether it has ${wish.message}.`)
  const before = owners.get(key)
  const settled = { at: now, note: wish.note }
  // What would go back by itself is an owner's from now on.
  const lentBy = lenderOf(before, { ownerGoneMs: Infinity, now })
  // It has the name already: the word is what is new, and ends the conflict.
  if (before?.upstream === wish.upstream && lentBy === undefined) return { kind: 'settled', key, owner: { ...before, settled } }
  const from = (before?.upstream === wish.upstream ? lentBy : before?.upstream) ?? claims.find(name => name.upstream !== wish.upstream)?.upstream ?? 'nobody'
  return { kind: 'settled', key, owner: { upstream: wish.upstream, since: now, moved: { from, because: 'settled', note: wish.note }, settled } }
}
