// One fill's dealings with the second level: asked once, before the origin; told what was stored.
import type { Forwarded } from '../entry.ts'
import type { Stored } from '../stored.ts'
import type { SecondLevel, Wanted } from './second-level.ts'

/** Why and with what the origin is to be asked. */
interface Asked {
  readonly why: Forwarded
  /** Stored here, and not to be given out as it is. */
  readonly entry: Stored | undefined
  /** The second level was asked, and had it. */
  readonly found?: boolean
  /** How long it was waited for already, with somebody else. Milliseconds. */
  readonly spentMs?: number
}

/** undefined: the answer is for one identity, and stays in this process. `previous`: what is asked about. */
export function shareFor (second: SecondLevel, wanted: Wanted, previous: Stored | undefined, { why, entry, found, spentMs = 0 }: Asked): Share | undefined {
  if (wanted.request.identity !== '' && wanted.rules.config.identity.mode === 'perIdentity') return undefined
  const asks = found !== true && (why === 'uri-miss' || why === 'vary-miss' || why === 'stale') && entry?.terms.validateAlways !== true
  return new Share(second, wanted, previous, asks ? spentMs : undefined)
}

export class Share {
  readonly #second: SecondLevel
  readonly #wanted: Wanted
  readonly #previous: Stored | undefined
  /** Purges that others had told when the answer was asked for. */
  readonly #mark: string
  #spentMs: number | undefined
  /** When it had answered, or not in time; Infinity while it is asked, -Infinity where it was not. performance.now() */
  #untilMs = -Infinity
  #waitNoMore: (() => void) | undefined
  #hurried: NodeJS.Timeout | undefined
  /** When that ends. performance.now() */
  #hurriedUntilMs = Infinity

  /** `previous`: stored here and stale. `spentMs`: undefined where the origin is to be asked whatever stands there. */
  constructor (second: SecondLevel, wanted: Wanted, previous: Stored | undefined, spentMs: number | undefined) {
    this.#second = second
    this.#wanted = wanted
    this.#previous = previous
    this.#mark = second.mark
    this.#spentMs = spentMs
  }

  /** undefined at once: it is not asked. Another stale answer is none in place of a stale one. Never rejects. */
  find (): Promise<Stored | undefined> | undefined {
    const spentMs = this.#spentMs
    if (spentMs === undefined) return undefined
    this.#spentMs = undefined
    const asked = this.#second.read(this.#wanted, spentMs)
    if (asked === undefined) return undefined
    this.#untilMs = Infinity
    const previous = this.#previous
    const { promise: hurried, resolve } = Promise.withResolvers<undefined>()
    const waitNoMore = () => { resolve(undefined) }
    this.#waitNoMore = waitNoMore
    return Promise.race([asked, hurried]).then(found => {
      this.#untilMs = performance.now()
      clearTimeout(this.#hurried)
      if (previous === undefined) return found
      return found !== undefined && found.head.responseAtMs > previous.head.responseAtMs && found.terms.freshUntilMs > Date.now() ? found : undefined
    })
  }

  /** Somebody joins who has waited so long elsewhere: he waits no longer than anybody, and so do those who wait with him. Milliseconds. */
  joined (spentMs: number): void {
    const leftMs = Math.max(0, this.#second.config.timeoutMs - spentMs)
    const untilMs = performance.now() + leftMs
    if (this.#untilMs !== Infinity || spentMs === 0 || untilMs >= this.#hurriedUntilMs) return
    this.#hurriedUntilMs = untilMs
    clearTimeout(this.#hurried)
    this.#hurried = setTimeout(this.#waitNoMore!, leftMs)
  }

  /** How long whoever joined then has waited for it. Milliseconds. */
  waitedSince (joinedAtMs: number): number {
    return Math.max(0, Math.min(this.#untilMs, performance.now()) - joinedAtMs)
  }

  /** It holds no more, and nothing took its place. */
  withdraw (stored: Stored): void {
    this.#second.remove(stored)
  }

  /** It was stored here. */
  tell (stored: Stored): void {
    this.#second.write(stored, this.#mark)
  }
}
