// Which service a name belongs to when several claim it (decisions 2.6). Pure.

/** `gone`: nothing of the owner is registered any more; `unlisted`: it no longer has the name; `silent`: no endpoint of it answered;
 * `replaced`: it is deployed under another name; `drained`: so it seems, for all of it is in maintenance (or dead beside that); `stopped`: so it seems,
 * for all of it refuses connections; `returned`: that was all, and has ended. */
export type MoveReason = 'gone' | 'unlisted' | 'silent' | 'replaced' | 'drained' | 'stopped' | 'returned' | 'settled'

export type TakeoverSign = Extract<MoveReason, 'replaced' | 'drained' | 'stopped'>

/** How a name came to its owner from another one, for those who ask later. */
export interface Move {
  readonly from: string
  readonly because: MoveReason
  /** What the operator who settled it wrote. */
  readonly note?: string | undefined
}

export interface Owner {
  readonly upstream: string
  /** ms since epoch. */
  readonly since: number
  /** Undefined: it was the first to have the name. */
  readonly moved?: Move | undefined
  /** An operator has said so at run time: when (ms since epoch), and why. It holds as long as this owner is there, whoever else claims the name. */
  readonly settled?: { readonly at: number, readonly note?: string | undefined } | undefined
}

/** Who had the name before and gets it back when he can be called again: drained, or stopped for less than a restart may take. `now`: ms since epoch. */
export function lenderOf (owner: Owner | undefined, { ownerGoneMs, now }: Pick<OwnershipRules, 'ownerGoneMs' | 'now'>): string | undefined {
  if (owner?.moved === undefined) return undefined
  const { moved: { because, from }, since } = owner
  return because === 'drained' || (because === 'stopped' && now - since < ownerGoneMs) ? from : undefined
}

export interface Claimant {
  readonly upstream: string
  /** An endpoint of it really has the message. Others (list not read, or none published) can keep a name but not take one. */
  readonly confirmed: boolean
  /** Its list is still being asked for, and may have the name. */
  readonly unread: boolean
  /** Lowest CreateIndex of its registrations: who came first, where nobody remembers. */
  readonly firstIndex: number
  /** Since when no endpoint of it answers at all; undefined while one does, or while that is unknown. ms since epoch. */
  readonly silentSince: number | undefined
  /** Its registry has forgotten all of it, and nothing of it can be called: where others claim a name too, it does not count. */
  readonly isLost: boolean
}

/** Those who count among several claimants: who is lost only where all are. */
export function countingOf<T extends Pick<Claimant, 'isLost'>> (claimants: readonly T[]): readonly T[] {
  const counting = claimants.filter(({ isLost }) => !isLost)
  return counting.length > 0 ? counting : claimants
}

export interface Resolution {
  readonly owner: string | undefined
  readonly since: number
  /** Claimants that have the message and do not get its traffic. */
  readonly quarantined: readonly string[]
  readonly by: 'yaml' | 'kept' | 'only' | 'first' | 'moved' | 'nobody'
  /** The claimant that came before those who have the name, while its list is waited for. */
  readonly waitsFor?: string
  /** How it came to its owner, when it just changed hands. */
  readonly moved: Move | undefined
  /** When time alone may change this; ms since epoch. */
  readonly nextAt: number | undefined
}

export interface OwnershipRules {
  /** The upstream that postern.yaml names. */
  readonly settled: string | undefined
  readonly ownerGoneMs: number
  /** Every registry has answered, for all that is watched of it: who does not claim a name has really left it. */
  readonly complete: boolean
  /** Whether any registration of the recorded owner is left. */
  readonly ownerIsThere: boolean
  /** Whether the other claimant is the owner under another name, and what says so; see takeover.ts. */
  readonly replacedBy: (upstream: string) => TakeoverSign | undefined
  /** Whether something of the upstream that was drained or stopped at that time (ms since epoch) can be called again; see takeover.ts. */
  readonly hasReturned: (upstream: string, since: number) => boolean
  /** Since when the list of a claimant is waited for, ms since epoch. */
  readonly waitingSince: (upstream: string) => number
  readonly now: number
}

const firstOf = (claimants: readonly Claimant[]): Claimant | undefined =>
  claimants.toSorted((a, b) => a.firstIndex - b.firstIndex || (a.upstream < b.upstream ? -1 : 1))[0]

/** `recorded`: the owner so far. Never gives a name to one of several newcomers while somebody else owned it: that would be a guess. */
export function resolveOwner (claimants: readonly Claimant[], recorded: Owner | undefined, rules: OwnershipRules): Resolution {
  const { now } = rules
  const confirmed = claimants.filter(claimant => claimant.confirmed)
  const settle = (owner: string | undefined, by: Resolution['by'], more: { because?: MoveReason, nextAt?: number } = {}): Resolution => {
    const isChange = owner !== undefined && recorded !== undefined && recorded.upstream !== owner
    return {
      owner,
      since: recorded !== undefined && recorded.upstream === owner ? recorded.since : now,
      quarantined: confirmed.filter(claimant => claimant.upstream !== owner).map(claimant => claimant.upstream),
      by,
      moved: isChange ? { from: recorded.upstream, because: more.because ?? 'settled' } : undefined,
      nextAt: more.nextAt
    }
  }
  if (rules.settled !== undefined) return settle(rules.settled, 'yaml')
  if (recorded === undefined) {
    const first = firstOf(confirmed)
    const older = first === undefined ? undefined : firstOf(claimants.filter(({ unread, silentSince, firstIndex }) => unread && silentSince === undefined && firstIndex < first.firstIndex))
    // Whose list is read first is chance: who came first has the name, unless nobody is there or his list takes too long.
    const decideAt = older === undefined ? now : rules.waitingSince(older.upstream) + rules.ownerGoneMs
    if (older !== undefined && now < decideAt) return { owner: undefined, since: now, quarantined: [], by: 'nobody', waitsFor: older.upstream, moved: undefined, nextAt: decideAt }
    return settle(first?.upstream, first === undefined ? 'nobody' : confirmed.length === 1 ? 'only' : 'first')
  }
  const lentBy = lenderOf(recorded, rules)
  const lender = confirmed.find(({ upstream }) => upstream === lentBy)
  if (lender !== undefined && rules.hasReturned(lender.upstream, recorded.since)) return settle(lender.upstream, 'moved', { because: 'returned' })
  const others = countingOf(confirmed.filter(claimant => claimant.upstream !== recorded.upstream))
  const owner = claimants.find(claimant => claimant.upstream === recorded.upstream)
  const successor = others.length === 1 ? others[0] : undefined
  if (owner === undefined) {
    if (!rules.complete) return settle(recorded.upstream, 'kept')
    return successor === undefined ? settle(undefined, 'nobody') : settle(successor.upstream, 'moved', { because: rules.ownerIsThere ? 'unlisted' : 'gone' })
  }
  if (successor === undefined) return settle(recorded.upstream, 'kept')
  const sign = rules.replacedBy(successor.upstream)
  if (sign !== undefined) return settle(successor.upstream, 'moved', { because: sign })
  if (owner.silentSince === undefined) return settle(recorded.upstream, 'kept')
  const movesAt = owner.silentSince + rules.ownerGoneMs
  return now >= movesAt ? settle(successor.upstream, 'moved', { because: 'silent' }) : settle(recorded.upstream, 'kept', { nextAt: movesAt })
}
