// Endpoints chosen for parts of the traffic, remembered until the upstream's plan changes: a call only looks them up.
import type { Rest, Selected, Selector } from '../exchange/selection.ts'

interface Remembered {
  readonly urls: ReadonlySet<string>
  readonly untilMs: number
}

/** Keyed by the selector's identity, then by the set it was asked within; both live as long as the table they belong to. */
export class Selections {
  #known = new Map<Selector | Rest, Map<ReadonlySet<string> | undefined, Remembered>>()

  /** The same set until `choose` has to be asked again. */
  get (selector: Selector | Rest, within: ReadonlySet<string> | undefined, choose: (nowMs: number) => Selected<{ readonly url: string }>): ReadonlySet<string> {
    let known = this.#known.get(selector)
    if (known === undefined) this.#known.set(selector, known = new Map<ReadonlySet<string> | undefined, Remembered>())
    const before = known.get(within)
    if (before !== undefined && (before.untilMs === Infinity || before.untilMs > performance.now())) return before.urls
    const { chosen, untilMs } = choose(performance.now())
    const urls = new Set(chosen.map(({ url }) => url))
    known.set(within, { urls, untilMs })
    return urls
  }

  /** Another plan, or another configuration with selectors of its own. */
  clear (): void {
    this.#known.clear()
  }
}
