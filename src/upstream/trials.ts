// One round of trials of a half-open breaker: how many may be under way, where the next one is better made, and when the round is won or lost. No I/O.
import type { Attempt } from '../exchange/attempt.ts'
import type { Outcome } from '../exchange/outcome.ts'

/** Endpoints that a trial can be made at; no more are counted than will be tried. */
export function placesOf (endpoints: ReadonlyArray<{ readonly reachable: boolean, readonly ejection: unknown }>, most: number): number {
  let count = 0
  for (const { reachable, ejection } of endpoints) if (reachable && ejection === undefined && ++count === most) break
  return count
}

/**
 * What stands behind a breaker may have several places (endpoints), of which one has recovered and another one has not. So each of them is tried, one
 * call at a time, beside the others; what succeeds makes room for one more. A failure says something of its place only: the round is lost once all
 * have failed, or the same one again, because then there was nowhere else to go. An old failure says nothing any more: calls may be rare.
 */
export class Trials {
  #underWay = 0
  #passed = 0
  readonly #passedAt = new Set<string>()
  readonly #failedAt = new Map<string, { readonly attempt: Attempt, readonly atMs: number }>()

  /** `most`: successes that win the round; `places`: how many there are to try. */
  hasRoom (most: number, places: number): boolean {
    const beside = Math.max(0, Math.min(places, most) - 1 - this.#failedAt.size)
    return this.#underWay <= this.#passed + beside && this.#underWay + this.#passed < most + beside
  }

  get areUnderWay (): boolean { return this.#underWay > 0 }

  begin (): void {
    this.#underWay++
  }

  /** Whatever became of it. */
  end (): void {
    if (this.#underWay > 0) this.#underWay--
  }

  /** What the round comes to with this trial; undefined: it goes on. `attempt`: the last one of the trial; without one there is but one place. */
  judge (outcome: Exclude<Outcome, 'ignored'>, most: number, places: number, attempt: Attempt | undefined): 'won' | 'lost' | undefined {
    if (outcome === 'success') {
      if (attempt !== undefined) this.#passedAt.add(attempt.endpoint)
      return ++this.#passed >= most ? 'won' : undefined
    }
    if (attempt === undefined || this.#failedAt.has(attempt.endpoint)) return 'lost'
    this.#failedAt.set(attempt.endpoint, { attempt, atMs: performance.now() })
    return this.#failedAt.size >= Math.min(places, most) ? 'lost' : undefined
  }

  /** Failures from before this time: their places may be tried again. */
  forget (beforeMs: number): void {
    for (const [place, { atMs }] of this.#failedAt) if (atMs < beforeMs) this.#failedAt.delete(place)
  }

  /** Of each place that has failed. */
  get failures (): readonly Attempt[] { return [...this.#failedAt.values()].map(({ attempt }) => attempt) }
  hasFailedAt (place: string): boolean { return this.#failedAt.has(place) }
  hasPassedAt (place: string): boolean { return this.#passedAt.has(place) && !this.#failedAt.has(place) }

  /** The next round begins. */
  reset (): void {
    this.#underWay = 0
    this.#passed = 0
    this.#passedAt.clear()
    this.#failedAt.clear()
  }
}
