// What operators hold open or closed by hand: who, why and until when. No I/O.
import type { HeldUntil } from './breaker.ts'

/** Of an upstream; of one of its messages; or of one of its endpoints. */
export interface HoldTarget {
  readonly upstream: string
  readonly message?: string | undefined
  readonly endpoint?: string | undefined
}

export interface Hold extends HoldTarget, HeldUntil {
  readonly reason: string
  readonly by: string
  /** ms since epoch. */
  readonly since: number
}

/** More are a mistake of some script. */
export const mostHolds = 1_000
/** setTimeout takes no longer time at once. */
const longestWaitMs = 2_147_483_647

const keyOf = ({ upstream, message, endpoint }: HoldTarget): string => JSON.stringify([upstream, message?.toLowerCase(), endpoint])

/** What an upstream's message, endpoint or, with neither, the upstream itself is held at. */
export function holdOf (holds: readonly Hold[], what: { readonly message?: string, readonly endpoint?: string }): Hold | undefined {
  return holds.find(({ message, endpoint }) => message?.toLowerCase() === what.message?.toLowerCase() && endpoint === what.endpoint)
}

export function countHeld (holds: readonly Hold[]): { readonly open: number, readonly closed: number } {
  const open = holds.filter(({ held }) => held === 'open').length
  return { open, closed: holds.length - open }
}

/** All holds, by upstream; tells when one begins, ends or expires. */
export class HoldBook {
  readonly #holds = new Map<string, Hold>()
  readonly #onChange: (hold: Hold, state: 'held' | 'ended') => void
  #timer: NodeJS.Timeout | undefined

  /** `ended`: it has expired or was released. */
  constructor (onChange: (hold: Hold, state: 'held' | 'ended') => void) {
    this.#onChange = onChange
  }

  get all (): readonly Hold[] { return [...this.#holds.values()] }
  get isFull (): boolean { return this.#holds.size >= mostHolds }

  of (upstream: string): readonly Hold[] {
    return this.#holds.size === 0 ? [] : this.all.filter(hold => hold.upstream === upstream)
  }

  /** In place of one for the same target. */
  set (hold: Hold): void {
    this.#holds.set(keyOf(hold), hold)
    this.#onChange(hold, 'held')
    this.#schedule()
  }

  /** The hold that ended; undefined when there was none. */
  release (target: HoldTarget): Hold | undefined {
    const key = keyOf(target)
    const ended = this.#holds.get(key)
    if (ended === undefined) return undefined
    this.#holds.delete(key)
    this.#onChange(ended, 'ended')
    this.#schedule()
    return ended
  }

  close (): void {
    clearTimeout(this.#timer)
  }

  #schedule (): void {
    clearTimeout(this.#timer)
    const next = Math.min(...this.all.map(({ until }) => until ?? Infinity))
    if (next === Infinity) return
    this.#timer = setTimeout(() => this.#expire(), Math.min(longestWaitMs, Math.max(0, next - Date.now())))
    this.#timer.unref()
  }

  #expire (): void {
    const expired = this.all.filter(({ until }) => until !== undefined && until <= Date.now())
    for (const hold of expired) this.release(hold)
    // Longer than one timer can be, or a clock that was set back.
    if (expired.length === 0) this.#schedule()
  }
}
