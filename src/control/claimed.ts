// Every name that any registration, list or line of YAML has ever claimed: a fallback upstream gets none of them, for ever.
import type { Registration } from '../registry/registration.ts'
import type { Config } from '../config/schema.ts'
import type { OperationList } from '../contracts/operations.ts'
import type { CatalogEntry } from './catalog.ts'
import type { Knowledge } from './knowledge.ts'

/** Beyond this nobody can say any more what was never claimed, and the fallback is switched off. 20,000 messages are a large fleet. */
export const mostClaimed = 200_000

/** Only grows, and is kept on disk: a service that has vanished, or hidden its message, must not hand its callers to another program. */
export class ClaimedNames {
  readonly #keys: Set<string>
  /** Objects that were read already: registrations and lists stay the same objects as long as they say the same. */
  readonly #read = new WeakSet<object>()
  readonly #most: number
  #overflown = false

  constructor (kept: Iterable<string> = [], most = mostClaimed) {
    this.#keys = new Set()
    this.#most = most
    for (const key of kept) this.add(key)
  }

  /** Lower-cased names. */
  get keys (): ReadonlySet<string> { return this.#keys }
  /** Names were claimed that could not be remembered. */
  get overflown (): boolean { return this.#overflown }

  add (key: string): void {
    if (this.#keys.has(key)) return
    if (this.#keys.size >= this.#most) this.#overflown = true
    else this.#keys.add(key)
  }

  /** Takes in what is known now. Returns whether this was more than can be remembered, once. */
  read (entries: Iterable<CatalogEntry>, knowledge: Iterable<Knowledge>, messages: Config['messages']): boolean {
    const { overflown } = this
    for (const { registration } of entries) this.readRegistration(registration)
    for (const { listed } of knowledge) if (listed?.state === 'read') this.readList(listed.list)
    for (const name of Object.keys(messages)) this.add(name.toLowerCase())
    return this.overflown && !overflown
  }

  readRegistration (registration: Registration): void {
    this.#once(registration, () => { for (const name of registration.names) this.add(name.toLowerCase()) })
  }

  /** Restricted operations that no tag names are claimed too. A nested type is called by its last part. */
  readList (list: OperationList): void {
    this.#once(list, () => {
      for (const key of list.byName.keys()) {
        this.add(key)
        this.add(key.slice(key.lastIndexOf('.') + 1))
      }
    })
  }

  #once (what: object, read: () => void): void {
    if (this.#read.has(what)) return
    this.#read.add(what)
    read()
  }
}
