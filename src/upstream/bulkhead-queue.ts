// Who waits for a slot, in which order, and who has to go when there is no room: by class, and within a class first come first served. Pure.
import type { GatewayError } from '../exchange/errors.ts'
import type { Exchange, Policy } from '../exchange/exchange.ts'
import { LinkedList, type Linked } from '../lib/linked-list.ts'

export type Priority = Policy['priority']

/** Highest first. */
export const priorities = ['critical', 'normal', 'sheddable'] as const satisfies readonly Priority[]

const rankOf: Readonly<Record<Priority, number>> = { critical: 0, normal: 1, sheddable: 2 }

/** One exchange in the queue. */
export interface Waiter extends Linked<Waiter> {
  readonly exchange: Exchange
  /** It has its slot. */
  readonly admit: () => void
  /** It gets none. */
  readonly leave: (error: GatewayError) => void
}

export class BulkheadQueue {
  /** By rank. */
  readonly #lists: ReadonlyArray<LinkedList<Waiter>> = priorities.map(() => new LinkedList())
  #length = 0

  get length (): number { return this.#length }

  push (waiter: Waiter): void {
    this.#listOf(waiter).add(waiter)
    this.#length++
  }

  remove (waiter: Waiter): void {
    this.#listOf(waiter).remove(waiter)
    this.#length--
  }

  /** Whose turn it is: the highest class, and in it whoever waits longest, of those that `may` go on now. */
  next (may: (exchange: Exchange) => boolean): Waiter | undefined {
    for (const { first } of this.#lists) {
      for (let waiter = first; waiter !== undefined; waiter = waiter.next) if (may(waiter.exchange)) return waiter
    }
    return undefined
  }

  /** Everybody, as of now: who is in it may leave meanwhile. */
  all (): Waiter[] {
    const waiters: Waiter[] = []
    for (const { first } of this.#lists) for (let waiter = first; waiter !== undefined; waiter = waiter.next) waiters.push(waiter)
    return waiters
  }

  /** Who gives way to an exchange of this class: of the lowest class below it, the one that came last, because it has waited least. */
  below (priority: Priority): Waiter | undefined {
    for (let rank = this.#lists.length - 1; rank > rankOf[priority]; rank--) {
      const { last } = this.#lists[rank]!
      if (last !== undefined) return last
    }
    return undefined
  }

  #listOf ({ exchange }: Waiter): LinkedList<Waiter> {
    return this.#lists[rankOf[exchange.route.policy.priority]]!
  }
}
