// What was made of addresses and upstreams at the last decision, taken again where nothing it was made of has changed: most of a large fleet. Pure.
import type { CatalogEntry } from './catalog.ts'
import { viewUpstream, type UpstreamView } from './claims.ts'
import { judgeAddress, type Verdict } from './endpoints.ts'
import type { Knowledge } from './knowledge.ts'

interface JudgedAddress {
  readonly entries: readonly CatalogEntry[]
  readonly knowledge: Knowledge | undefined
  readonly hadTraffic: boolean
  readonly unheard: readonly CatalogEntry[]
  readonly verdicts: readonly Verdict[]
}

export interface Judged {
  /** The configuration it was made under; views do not outlive it. */
  readonly config: object | undefined
  readonly addresses: ReadonlyMap<string, JudgedAddress>
  readonly views: ReadonlyMap<string, UpstreamView>
}

export const nothingJudged: Judged = { config: undefined, addresses: new Map(), views: new Map() }

/** The same objects: registrations and answers stay the same objects as long as they say the same. */
const sameItems = <T>(a: readonly T[], b: readonly T[]): boolean => a.length === b.length && a.every((item, index) => item === b[index])

/** One per decision. */
export class JudgeBook {
  readonly #before: Judged
  readonly #config: object
  readonly #addresses = new Map<string, JudgedAddress>()
  readonly #views = new Map<string, UpstreamView>()

  constructor (before: Judged, config: object) {
    this.#before = before
    this.#config = config
  }

  /** See judgeAddress. */
  address (url: string, entries: readonly CatalogEntry[], knowledge: Knowledge | undefined, hadTraffic: boolean, unheard: readonly CatalogEntry[]): readonly Verdict[] {
    const before = this.#before.addresses.get(url)
    const isSame = before !== undefined && before.knowledge === knowledge && before.hadTraffic === hadTraffic && sameItems(before.entries, entries) && sameItems(before.unheard, unheard)
    const judged = isSame ? before : { entries, knowledge, hadTraffic, unheard, verdicts: judgeAddress(url, entries, knowledge, hadTraffic, unheard) }
    this.#addresses.set(url, judged)
    return judged.verdicts
  }

  /** See viewUpstream. */
  view (name: string, verdicts: readonly Verdict[], trustTags: boolean, believed: ReadonlySet<string>): UpstreamView {
    const before = this.#before.config === this.#config ? this.#before.views.get(name) : undefined
    const view = before !== undefined && sameItems(before.verdicts, verdicts) ? before : viewUpstream(name, verdicts, trustTags, believed)
    this.#views.set(name, view)
    return view
  }

  get all (): Judged { return { config: this.#config, addresses: this.#addresses, views: this.#views } }
}
