// What of the table gets no calls at the moment, as a decision looks it up: by upstream and address. Pure.
import type { LeftOut } from '../upstream/left-out.ts'
import type { Verdict } from './endpoints.ts'

export class LeftOutBook {
  readonly #byUpstream = new Map<string, Map<string, LeftOut>>()
  /** Choices are shared by all messages with the same endpoints. */
  readonly #counts = new Map<readonly Verdict[], number>()

  constructor (all: readonly LeftOut[]) {
    for (const one of all) {
      const own = this.#byUpstream.get(one.upstream)
      if (own === undefined) this.#byUpstream.set(one.upstream, new Map([[one.url, one]]))
      else own.set(one.url, one)
    }
  }

  of (upstream: string, url: string): LeftOut | undefined { return this.#byUpstream.get(upstream)?.get(url) }

  /** How many of the endpoints chosen can take calls. */
  countIn (upstream: string, choice: readonly Verdict[]): number {
    const out = this.#byUpstream.get(upstream)
    if (out === undefined) return choice.length
    let count = this.#counts.get(choice)
    if (count === undefined) this.#counts.set(choice, count = choice.filter(({ url }) => !out.has(url)).length)
    return count
  }
}
