// The outage copies in memory: found by what a request means, bounded in bytes.
import type { Config } from '../../config/schema.ts'
import { policyFor } from '../../config/resolve.ts'
import { toMatch } from '../../lib/match-names.ts'
import { selects, type Selector } from '../purge-log.ts'
import type { Copy } from './copy.ts'
import { meaningOf, type Wanted } from './wanted.ts'

export class CopyBook {
  readonly #byId = new Map<string, Copy>()
  readonly #byMeaning = new Map<string, Copy>()
  readonly #byMessage = new Map<string, Set<Copy>>()
  #config: Config
  #wanted: ReadonlyMap<string, Wanted>
  bytes = 0

  constructor (config: Config, wanted: ReadonlyMap<string, Wanted>) {
    this.#config = config
    this.#wanted = wanted
  }

  get all (): Iterable<Copy> { return this.#byId.values() }
  get size (): number { return this.#byId.size }

  of (id: string): Copy | undefined { return this.#byId.get(id) }

  ofMessage (upstream: string, message: string): Iterable<Copy> { return this.#byMessage.get(messageKey({ upstream, message })) ?? [] }

  /** `meaning`: `meaningOf` what is sent to the upstream. `host`: scheme and host, lower-case. */
  find (upstream: string, meaning: string, host: string): Copy | undefined {
    return this.#byMeaning.get(`${upstream}\n${host}\n${meaning}`) ?? this.#byMeaning.get(`${upstream}\n\n${meaning}`)
  }

  /** In place of the one for the same request. False: there is no room, and the old one stays. */
  put (copy: Copy): boolean {
    const before = this.#byId.get(copy.id)
    if (this.bytes - (before?.stored.bytes ?? 0) + copy.stored.bytes > this.#config.cache.outageMaxBytes || !this.#wanted.has(copy.id)) return false
    this.remove(copy.id)
    this.#byId.set(copy.id, copy)
    this.#byMeaning.set(this.#meaningKey(copy), copy)
    const message = messageKey(copy.stored.place)
    this.#byMessage.set(message, (this.#byMessage.get(message) ?? new Set()).add(copy))
    this.bytes += copy.stored.bytes
    return true
  }

  remove (id: string): void {
    const copy = this.#byId.get(id)
    if (copy === undefined) return
    this.#byId.delete(id)
    const key = this.#meaningKey(copy)
    // Another request may mean the same.
    if (this.#byMeaning.get(key) === copy) this.#byMeaning.delete(key)
    const message = messageKey(copy.stored.place)
    const others = this.#byMessage.get(message)
    if (others?.delete(copy) === true && others.size === 0) this.#byMessage.delete(message)
    this.bytes -= copy.stored.bytes
  }

  /** Copies that a purge means. */
  meant (selector: Selector): Copy[] {
    return [...this.#byId.values()].filter(({ stored: { place, terms } }) => selects(selector, place, terms.tags))
  }

  /** What is not wanted any more, or does not fit any more, goes; its ids. */
  configure (config: Config, wanted: ReadonlyMap<string, Wanted>): string[] {
    const copies = [...this.#byId.values()]
    this.#byId.clear()
    this.#byMeaning.clear()
    this.#byMessage.clear()
    this.bytes = 0
    this.#config = config
    this.#wanted = wanted
    return copies.filter(copy => !this.put(copy)).map(({ id }) => id)
  }

  /** Since the epoch. */
  usableUntilMs ({ id, stored: { place, terms } }: Copy): number {
    return terms.bornAtMs + policyFor(this.#config, place.upstream, this.#wanted.get(id)?.key).cache.outage.maxAgeMs
  }

  #meaningKey ({ id, sent, stored: { place: { upstream } } }: Copy): string {
    const { key, host } = this.#wanted.get(id)!
    const { ignoreQuery } = policyFor(this.#config, upstream, key).cache.key
    return `${upstream}\n${host}\n${meaningOf(sent, ignoreQuery.length === 0 ? undefined : toMatch(ignoreQuery), isMessage(key))}`
  }
}

const messageKey = ({ upstream, message }: { readonly upstream: string, readonly message: string }): string => `${upstream}\n${message}`

/** Prefix patterns begin with a slash, names of messages never do. */
export const isMessage = (key: string): boolean => !key.startsWith('/')
