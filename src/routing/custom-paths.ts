// Which RESTful paths there are: those each service lists, and of a message that has left those it had, for as long as it is answered from what is stored. Pure.
import type { CustomRoutePlan } from './plan.ts'

export interface CustomPath {
  readonly upstream: string
  readonly plan: CustomRoutePlan
}

/** A change is made on a copy. */
export class CustomPaths {
  readonly #told: Map<string, readonly CustomRoutePlan[]>
  /** Of messages that have left. */
  #left: readonly CustomPath[]
  readonly #dropped: CustomPath[] = []
  #changed = false

  constructor (told: ReadonlyMap<string, readonly CustomRoutePlan[]> = new Map(), left: readonly CustomPath[] = []) {
    this.#told = new Map(told)
    this.#left = left
  }

  copy (): CustomPaths {
    return new CustomPaths(this.#told, this.#left)
  }

  /** All that an upstream lists from now on. */
  tell (upstream: string, plans: readonly CustomRoutePlan[]): void {
    this.#dropped.push(...this.#of(upstream))
    this.#changed ||= plans.length > 0 || this.#told.has(upstream)
    if (plans.length === 0) this.#told.delete(upstream)
    else this.#told.set(upstream, plans)
  }

  /** Keeps those of messages that have left (`isDeparted`, by key). Whether anything has changed. */
  settle (isDeparted: (message: string) => boolean): boolean {
    const left = [...this.#left, ...this.#dropped].filter(({ plan }) => plan.routed && isDeparted(plan.message))
    this.#changed ||= left.length !== this.#left.length
    this.#left = left
    return this.#changed
  }

  * all (): Generator<CustomPath> {
    for (const upstream of this.#told.keys()) yield * this.#of(upstream)
    yield * this.#left
  }

  #of (upstream: string): CustomPath[] {
    return (this.#told.get(upstream) ?? []).map(plan => ({ upstream, plan }))
  }
}
