// Whether a table waits for the first word of the hosts that postern.yaml sends calls to without a list: until one of them has answered, those are answered 503. Clock injected.
import type { Config } from '../config/schema.ts'
import type { Plan } from './plan.ts'

/** Longest wait, ms: a host that takes connections and says nothing must not hold up what others have to say. */
const longestMs = 2_000

/** Upstreams of prefixes, of messages whose owner is settled, and of what nobody knows. */
function namedBy ({ prefixes, messages, exposure: { fallback } }: Pick<Config, 'prefixes' | 'messages' | 'exposure'>): ReadonlySet<string> {
  const names = [...Object.values(prefixes), ...Object.values(messages)].map(({ upstream }) => upstream)
  return new Set([...names, fallback].filter(name => name !== undefined))
}

export class FirstWord {
  readonly #now: () => number
  /** Since when a table has been waiting; undefined while none has to. */
  #since: number | undefined
  #left = 0

  /** `now`: ms, monotonic. */
  constructor (now: () => number = () => performance.now()) {
    this.#now = now
  }

  /**
   * `before`: the table in force, undefined while there is none. A host that it knows, replaced by one that nobody has asked, would lose calls for as
   * long as a question takes. `knows`: whether an endpoint (url) has been asked to an end, whatever came of it.
   */
  mayGo (before: Plan | undefined, { upstreams }: Plan, config: Pick<Config, 'prefixes' | 'messages' | 'exposure'>, knows: (url: string) => boolean): boolean {
    const isAwaited = namedBy(config).values().some(name => {
      const next = upstreams.get(name)
      if (next === undefined || next.servicestack !== undefined || next.endpoints.every(({ url }) => knows(url))) return false
      const last = before?.upstreams.get(name)
      return before === undefined || (last?.servicestack !== undefined && last.endpoints.length > 0)
    })
    this.#since = isAwaited ? this.#since ?? this.#now() : undefined
    this.#left = this.#since === undefined ? 0 : this.#since + longestMs - this.#now()
    return this.#left <= 0
  }

  /** When time alone lets it go, from the last `mayGo` on, ms; undefined: it waits for nobody. */
  get wakeMs (): number | undefined { return this.#left > 0 ? this.#left : undefined }
}
