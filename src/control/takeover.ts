// Whether a service is being deployed under another name: processes at its own addresses say that they run as the other one's. Pure.
import type { UpstreamView } from './claims.ts'
import { isNewer, type Verdict } from './endpoints.ts'

/** Whether calls can still go to an endpoint, as far as is known. */
const isLiving = ({ speaks, state, knowledge }: Verdict): boolean =>
  speaks && state !== 'draining' && state !== 'stranger' && (knowledge?.silent === undefined || knowledge.silent.reached)

const newestOf = (verdicts: Iterable<Verdict>): Verdict | undefined => {
  let newest: Verdict | undefined
  for (const verdict of verdicts) if (newest === undefined || isNewer(verdict.entry, newest.entry)) newest = verdict
  return newest
}

/**
 * Whether `successor` answers at as many addresses of `owner` as the owner itself does, and came later: to wait for the owner's last instance
 * would lose the calls between its death and its successor's start. Never so for both at once, because of two only one has the newest.
 */
function hasTakenOver (owner: UpstreamView, successor: UpstreamView): boolean {
  const theirs = new Map(successor.verdicts.filter(isLiving).map(verdict => [verdict.url, verdict]))
  const taken = new Map<string, Verdict>()
  for (const { cause, url, otherId } of owner.verdicts) {
    const there = theirs.get(url)
    // Said by the process itself: that one registration is newer than another at its address is no such word.
    if (cause === 'other-id' && there?.registration.id === otherId) taken.set(url, there!)
  }
  const living = owner.verdicts.filter(isLiving)
  const [newest, own] = [newestOf(taken.values()), newestOf(living)]
  return newest !== undefined && taken.size >= living.length && (own === undefined || isNewer(newest.entry, own.entry))
}

/** One per decision: two services that claim one name often claim many. */
export class Takeovers {
  readonly #views: ReadonlyMap<string, UpstreamView>
  readonly #known = new Map<string, boolean>()

  constructor (views: ReadonlyMap<string, UpstreamView>) {
    this.#views = views
  }

  /** See hasTakenOver. */
  has (owner: string, successor: string): boolean {
    const pair = JSON.stringify([owner, successor])
    let known = this.#known.get(pair)
    if (known === undefined) {
      const [before, after] = [this.#views.get(owner), this.#views.get(successor)]
      known = before !== undefined && after !== undefined && hasTakenOver(before, after)
      this.#known.set(pair, known)
    }
    return known
  }
}
