// Endpoints chosen for parts of the traffic, remembered until the upstream's plan changes: a call only looks them up.
import type { Rest, Selected, Selector } from '../exchange/selection.ts'

interface Remembered {
  readonly urls: ReadonlySet<string>
  readonly untilMs: number
}

/** What endpoints of a set weigh in place of their own weights, by URL. */
type Weigh = (urls: ReadonlySet<string>, weights: ReadonlyMap<string, number>) => void

/** Keyed by the selector's identity, then by the set it was asked within; both live as long as the table they belong to. */
export class Selections {
  #known = new Map<Selector | Rest, Map<ReadonlySet<string> | undefined, Remembered>>()
  readonly #weigh: Weigh

  constructor (weigh: Weigh) {
    this.#weigh = weigh
  }

  /** The same set until `choose` has to be asked again: when its time is over, or `holds` says that it is no use. */
  get (selector: Selector | Rest, within: ReadonlySet<string> | undefined, choose: (nowMs: number) => Selected<{ readonly url: string }>, holds?: (urls: ReadonlySet<string>) => boolean): ReadonlySet<string> {
    let known = this.#known.get(selector)
    if (known === undefined) this.#known.set(selector, known = new Map<ReadonlySet<string> | undefined, Remembered>())
    const before = known.get(within)
    if (before !== undefined && (before.untilMs === Infinity || before.untilMs > performance.now()) && holds?.(before.urls) !== false) return before.urls
    const { chosen, weights, untilMs } = choose(performance.now())
    const urls = new Set(chosen.map(({ url }) => url))
    if (weights !== undefined) this.#weigh(urls, new Map(chosen.map(({ url }, n) => [url, weights[n]!])))
    known.set(within, { urls, untilMs })
    return urls
  }

  /** Another plan, or another configuration with selectors of its own. */
  clear (): void {
    this.#known.clear()
  }
}
