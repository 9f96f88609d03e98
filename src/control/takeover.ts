// Whether a service is being deployed under another name, or split: others have all its messages, at its addresses or where it can be called no more. Pure.
import { isConfirmed, type Claim, type UpstreamView } from './claims.ts'
import { isGoing, isNewer, isSameAddress, type Verdict } from './endpoints.ts'
import { isDead } from './knowledge.ts'
import type { LeftOutBook } from './left-out-book.ts'
import { countingOf, type TakeoverSign } from './ownership.ts'

/** Whether calls can still go to an endpoint, as far as is known. */
const isLiving = (verdict: Verdict): boolean =>
  verdict.speaks && verdict.state !== 'stranger' && !isGoing(verdict)

/**
 * Drained on purpose, or nobody listens there. One that is only slow to answer may be resting: that is no end. That its checks stand otherwise by now, be it
 * by one from before its end, is no reason to doubt that it refused us: it is asked again at once.
 */
const isSpent = ({ registration, state, knowledge, key }: Verdict): boolean =>
  registration.registry !== 'config' && (state === 'draining' || (isDead(knowledge) && knowledge?.silent?.reason === 'ECONNREFUSED' && isSameAddress(knowledge.key, key)))

const newestOf = (verdicts: Iterable<Verdict>): Verdict | undefined => {
  let newest: Verdict | undefined
  for (const verdict of verdicts) if (newest === undefined || isNewer(verdict.entry, newest.entry)) newest = verdict
  return newest
}

const confirmedOf = ({ claims }: UpstreamView): Claim[] => [...claims.values()].filter(({ standing }) => isConfirmed(standing))

/** Whether `successor` has all that `owner` has. A single name is no sign of a rename where the other one has more: two may have chosen it. */
function hasAllOf (owner: UpstreamView, successor: UpstreamView): boolean {
  const names = confirmedOf(owner)
  const has = ({ key }: Claim) => isConfirmed(successor.claims.get(key)?.standing ?? 'absent')
  return names.length > 0 && names.every(has) && (names.length > 1 || confirmedOf(successor).length === 1)
}

/** Endpoints of `successor` at addresses of `owner`: the process itself says so. That one registration is newer than another is no such word. */
function takenFrom (owner: UpstreamView, living: readonly Verdict[]): Verdict[] {
  const byUrl = new Map(living.map(verdict => [verdict.url, verdict]))
  const taken = new Set<Verdict>()
  for (const { cause, url, otherId } of owner.verdicts) {
    const there = byUrl.get(url)
    if (cause === 'other-id' && there?.registration.id === otherId) taken.add(there!)
  }
  return [...taken]
}

/**
 * Whether what `view` had when it was drained or stopped can be called again: the same registration, or a newer process at its address. One that was stopped for
 * good is not there again.
 */
function hasReturned ({ name, verdicts }: UpstreamView, since: number, leftOut: LeftOutBook): boolean {
  const then = new Set(verdicts.filter(({ entry }) => entry.firstSeenAt <= since).map(({ url }) => url))
  // Until the data plane has connected there itself, calls would find nobody; nor is who takes connections and answers nothing there again.
  return verdicts.some(verdict => then.has(verdict.url) && leftOut.of(name, verdict.url)?.cause !== 'unreachable' && isLiving(verdict) && (verdict.tier === 1 || verdict.tier === 2) && verdict.knowledge?.key === verdict.key && verdict.knowledge.silent?.listens === undefined)
}

/**
 * Whether `successor` is `owner` under another name: it has all its messages, came later, and either answers at as many of its addresses as the
 * owner itself does, and nowhere else, or the owner has nothing left that can be called. To wait longer would lose the calls between the end of
 * the owner's last instance and that wait's. Never so for both at once, because of two only one has the newest.
 */
function signOf (owner: UpstreamView, successor: UpstreamView): TakeoverSign | undefined {
  if (!hasAllOf(owner, successor)) return undefined
  const [own, theirs] = [owner.verdicts.filter(({ speaks }) => speaks), successor.verdicts.filter(isLiving)]
  const living = own.filter(isLiving)
  const taken = takenFrom(owner, theirs)
  // Whoever also lives elsewhere is a service of its own that was given a free address; one that lived there before the owner came is taking back.
  const livesElsewhere = theirs.some(one => !taken.includes(one) && (living.length === 0 || living.some(({ entry }) => isNewer(one.entry, entry))))
  const isMoving = taken.length > 0 && taken.length >= living.length && !livesElsewhere
  const isOver = isSpentWhole(owner)
  const [newest, last] = [newestOf(isMoving ? taken : theirs), newestOf(isMoving ? living : own)]
  if (!(isMoving || isOver) || newest === undefined || (last !== undefined && !isNewer(newest.entry, last.entry))) return undefined
  return isMoving ? 'replaced' : endOf(owner)
}

const isSpentWhole = ({ verdicts }: UpstreamView): boolean => {
  const own = verdicts.filter(({ speaks }) => speaks)
  return own.length > 0 && own.every(isSpent)
}

const endOf = ({ verdicts }: UpstreamView): TakeoverSign => verdicts.some(({ speaks, state }) => speaks && state === 'draining') ? 'drained' : 'stopped'

/**
 * The services that `owner` was split into: nothing of it can be called, and each of its several names has one other service that counts, which came later and lives.
 * Together they are what a single one with all its names would be. Empty: it was not split.
 */
function partsOf (owner: UpstreamView, views: ReadonlyMap<string, UpstreamView>): ReadonlySet<string> {
  const names = confirmedOf(owner)
  const parts = new Set<string>()
  if (names.length < 2 || !isSpentWhole(owner)) return parts
  const last = newestOf(owner.verdicts.filter(({ speaks }) => speaks))
  for (const { key } of names) {
    const [part, another] = countingOf([...views.values()].filter(view => view !== owner && isConfirmed(view.claims.get(key)?.standing ?? 'absent')))
    const newest = newestOf(part?.verdicts.filter(isLiving) ?? [])
    if (part === undefined || another !== undefined || newest === undefined || (last !== undefined && !isNewer(newest.entry, last.entry))) return new Set()
    parts.add(part.name)
  }
  return parts
}

function once<T> (known: Map<string, T>, key: string, find: () => T): T {
  if (!known.has(key)) known.set(key, find())
  return known.get(key)!
}

/** One per decision: two services that claim one name often claim many. */
export class Takeovers {
  readonly #views: ReadonlyMap<string, UpstreamView>
  readonly #leftOut: LeftOutBook
  readonly #signs = new Map<string, TakeoverSign | undefined>()
  readonly #parts = new Map<string, ReadonlySet<string>>()
  readonly #returns = new Map<string, boolean>()

  constructor (views: ReadonlyMap<string, UpstreamView>, leftOut: LeftOutBook) {
    this.#views = views
    this.#leftOut = leftOut
  }

  /** See signOf and partsOf. */
  of (owner: string, successor: string): TakeoverSign | undefined {
    return once(this.#signs, JSON.stringify([owner, successor]), () => {
      const [before, after] = [this.#views.get(owner), this.#views.get(successor)]
      if (before === undefined || after === undefined) return undefined
      const isPart = () => once(this.#parts, owner, () => partsOf(before, this.#views)).has(successor)
      return signOf(before, after) ?? (isPart() ? endOf(before) : undefined)
    })
  }

  /** See hasReturned. `since`: ms since epoch. */
  hasReturned (owner: string, since: number): boolean {
    return once(this.#returns, JSON.stringify([owner, since]), () => {
      const view = this.#views.get(owner)
      return view !== undefined && hasReturned(view, since, this.#leftOut)
    })
  }
}
