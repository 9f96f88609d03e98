// Since when each name and registration stands as it does: carried from decision to decision. Pure but for the new marks it gathers.

/** ms since epoch. */
export interface Mark {
  readonly state: string
  readonly since: number
}

/** By group (upstream, or registry) and subject (key, or id). */
export type Marks = ReadonlyMap<string, ReadonlyMap<string, Mark>>

/** Times that something is decided by, which begin anew with a restart, are in groups that begin so. */
export const timed = 'unread '

export class MarkBook {
  readonly #before: Marks
  readonly #now: number
  readonly #after = new Map<string, Map<string, Mark>>()

  constructor (before: Marks, now: number) {
    this.#before = before
    this.#now = now
  }

  /** Since when the subject is in this state. */
  mark (group: string, subject: string, state: string): number {
    const before = this.#before.get(group)?.get(subject)
    const kept = before?.state === state ? before : { state, since: this.#now }
    const own = this.#after.get(group)
    if (own === undefined) this.#after.set(group, new Map([[subject, kept]]))
    else own.set(subject, kept)
    return kept.since
  }

  get all (): Marks { return this.#after }
}
