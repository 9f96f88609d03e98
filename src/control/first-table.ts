// When the first table of a control thread may go out: whose answers it waits for, and how long (docs/decisions/0006-first-table.md). Clock injected.
import type { Decision, Plan } from './plan.ts'

/** How long a thread that takes over asks the endpoints before its first table goes out all the same, ms. */
const takeoverMs = 10_000
/** How long the first table waits for registries that do not answer while others do, ms. */
const defaultWaitMs = 2_000

/** What is known when a decision was made. */
export interface Standing {
  /** Registries that have told nothing yet, neither by themselves nor from disk; one more while a host name has had no answer. */
  readonly missing: number
  /** Something that is watched cannot be read, and nothing is known of it from before: a whole registry, or a service of one that has answered. */
  readonly unread: boolean
  /** Something has been told at all: by a registry, from disk, or in postern.yaml. */
  readonly hasAny: boolean
  /** Whether an endpoint has answered a question. */
  readonly knows: (url: string) => boolean
}

export class FirstTable {
  readonly #now: () => number
  readonly #takesOver: boolean
  readonly #takesOverUntil: number
  readonly #waitsForAllUntil: number
  /** A service may stay unreadable for ever, as where the token may not read it: no thread waits for one as it does for a whole registry. */
  readonly #partsUntil: number
  /** When `mayGo` was asked last: what was too early then must be woken for, however little was missing. */
  #askedAt = -Infinity

  /** `applied`: what the data plane has of an earlier thread, which is better than a table without one registry. `now`: ms, monotonic. */
  constructor (applied: Plan, waitMs = defaultWaitMs, now: () => number = () => performance.now()) {
    this.#now = now
    // The data plane serves the table of a thread that died: ours must not say "not read yet" of what it knows already.
    this.#takesOver = applied.messages.size > 0
    this.#takesOverUntil = this.#takesOver ? now() + takeoverMs : 0
    this.#waitsForAllUntil = applied.upstreams.size > 0 ? Infinity : now() + waitMs
    this.#partsUntil = now() + (this.#takesOver ? takeoverMs : waitMs)
  }

  mayGo (next: Decision, { missing, unread, hasAny, knows }: Standing): boolean {
    const now = this.#now()
    this.#askedAt = now
    const isEnough = (missing === 0 && (!unread || now >= this.#partsUntil)) || (now >= this.#waitsForAllUntil && hasAny)
    return isEnough && (now >= this.#takesOverUntil || next.endpoints.every(({ verdict }) => verdict.key === '' || verdict.registration.health === 'maintenance' || knows(verdict.url)))
  }

  /** When time alone may let it go, from the last `mayGo` on, ms; undefined: only answers can. */
  get wakeMs (): number | undefined {
    if (this.#takesOver) return takeoverMs
    const left = Math.min(this.#waitsForAllUntil, this.#partsUntil) - this.#askedAt
    return left > 0 ? left : undefined
  }
}
