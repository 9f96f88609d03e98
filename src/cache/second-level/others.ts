// Which other gateways share the second level, how far each has carried out what was purged, and who waits for that. Pure but for its memory and timers.
import { compareIds } from './frame.ts'

/** Whoever says nothing for so long is not waited for: it was killed, or cannot reach the server. */
export const silentMs = 1_000
/** Gateways that are remembered; beyond that nobody waits for a new one. */
const mostKnown = 1_000

interface Gateway { readonly upTo: string, readonly heardAtMs: number }

/** Purges of one batch, for whoever must not go on before all others have carried them out. */
export class Confirmation {
  readonly promise: Promise<void>
  /** Of the last of them; undefined while the server has not got it. */
  upTo: string | undefined
  readonly #resolve: () => void
  readonly #timer: NodeJS.Timeout

  /** `late`: not all had said so within `boundMs`. */
  constructor (boundMs: number, late: (confirmation: Confirmation) => void) {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.promise = promise
    this.#resolve = resolve
    this.#timer = setTimeout(late, boundMs, this)
  }

  over (): void {
    clearTimeout(this.#timer)
    this.#resolve()
  }
}

export class OtherGateways {
  readonly #known = new Map<string, Gateway>()
  readonly #told = new Set<Confirmation>()
  #next: Confirmation | undefined
  /** Waits that ended because somebody had not confirmed in time. */
  late = 0

  /** Those that are waited for. */
  get size (): number {
    const nowMs = performance.now()
    return [...this.#known.values()].filter(({ heardAtMs }) => nowMs - heardAtMs < silentMs).length
  }

  /** It has carried out all purges up to this id. */
  heard (gateway: string, upTo: string, nowMs = performance.now()): void {
    for (const [name, { heardAtMs }] of this.#known) if (nowMs - heardAtMs >= silentMs) this.#known.delete(name)
    if (this.#known.size >= mostKnown && !this.#known.has(gateway)) return
    this.#known.set(gateway, { upTo, heardAtMs: nowMs })
    this.#settle()
  }

  left (gateway: string): void {
    this.#known.delete(gateway)
    this.#settle()
  }

  /** Settles when all others have carried out what is told next; after `boundMs` in any case. undefined: there is nobody to wait for. */
  confirmed (boundMs: number): Promise<void> | undefined {
    if (this.#isConfirmed(undefined)) return undefined
    this.#next ??= new Confirmation(boundMs, confirmation => {
      this.late++
      this.#forget(confirmation)
    })
    return this.#next.promise
  }

  /** What is to be told goes now: whoever comes from now on waits for the next. */
  telling (): Confirmation | undefined {
    const confirmation = this.#next
    this.#next = undefined
    return confirmation
  }

  /** The server has all of it; `upTo`: id of the last. */
  told (confirmation: Confirmation, upTo: string): void {
    confirmation.upTo = upTo
    this.#told.add(confirmation)
    this.#settle()
  }

  /** The server cannot be reached: nobody waits. */
  giveUp (confirmation: Confirmation | undefined): void {
    for (const waiting of [confirmation, this.#next, ...this.#told]) if (waiting !== undefined) this.#forget(waiting)
  }

  #settle (): void {
    for (const confirmation of this.#told) if (this.#isConfirmed(confirmation.upTo)) this.#forget(confirmation)
  }

  /** `upTo` undefined: more than anybody has carried out yet. */
  #isConfirmed (upTo: string | undefined): boolean {
    const nowMs = performance.now()
    for (const gateway of this.#known.values()) {
      if (nowMs - gateway.heardAtMs < silentMs && (upTo === undefined || compareIds(gateway.upTo, upTo) < 0)) return false
    }
    return true
  }

  #forget (confirmation: Confirmation): void {
    this.#told.delete(confirmation)
    if (this.#next === confirmation) this.#next = undefined
    confirmation.over()
  }
}
