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
}

/** undefined: there is no second level, or the answer is for one identity: those stay in this process. `previous`: what is asked about. */
export function shareFor (second: SecondLevel | undefined, wanted: Wanted, previous: Stored | undefined, { why, entry, found }: Asked): Share | undefined {
  if (second === undefined || (wanted.request.identity !== '' && wanted.rules.config.identity.mode === 'perIdentity')) return undefined
  const asks = found !== true && (why === 'uri-miss' || why === 'vary-miss' || why === 'stale') && entry?.terms.validateAlways !== true
  return new Share(second, wanted, previous, asks)
}

export class Share {
  readonly #second: SecondLevel
  readonly #wanted: Wanted
  readonly #previous: Stored | undefined
  /** Purges that others had told when the answer was asked for. */
  readonly #mark: string
  #asks: boolean

  /** `previous`: stored here and stale. `asks`: false where the origin is to be asked whatever stands there. */
  constructor (second: SecondLevel, wanted: Wanted, previous: Stored | undefined, asks: boolean) {
    this.#second = second
    this.#wanted = wanted
    this.#previous = previous
    this.#mark = second.mark
    this.#asks = asks
  }

  /** undefined at once: it is not asked. Another stale answer is none in place of a stale one. Never rejects. */
  find (): Promise<Stored | undefined> | undefined {
    if (!this.#asks) return undefined
    this.#asks = false
    const previous = this.#previous
    const asked = this.#second.read(this.#wanted)
    if (previous === undefined) return asked
    return asked?.then(found => found !== undefined && found.head.responseAtMs > previous.head.responseAtMs && found.terms.freshUntilMs > Date.now() ? found : undefined)
  }

  /** It was stored here. */
  tell (stored: Stored): void {
    this.#second.write(stored, this.#mark)
  }
}
