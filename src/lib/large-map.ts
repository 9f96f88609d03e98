// A map that is made anew often and may be large, in small tables: V8 takes the table of a large one from the system, doubles it while it grows, and gives it all back at the next collection.
import { fnv1a } from './hash.ts'

/** A table of 4,096 entries is 112 KB; from 128 KB on it is an object of pages of its own. */
const largestTable = 4_096
const parts = 64

/** In order of insertion; what is in it stays in it. */
export class LargeMap<V> implements ReadonlyMap<string, V> {
  #tables: Array<Map<string, V>> = [new Map<string, V>()]
  /** Keys in order, once there are several tables: small arrays for the same reason. */
  readonly #order: string[][] = []
  #size = 0

  constructor (entries: Iterable<readonly [string, V]> = []) {
    for (const [key, value] of entries) this.set(key, value)
  }

  get size (): number { return this.#size }

  get (key: string): V | undefined { return this.#tableOf(key).get(key) }

  has (key: string): boolean { return this.#tableOf(key).has(key) }

  set (key: string, value: V): this {
    const table = this.#tableOf(key)
    const before = table.size
    table.set(key, value)
    if (table.size === before) return this
    this.#size++
    if (this.#tables.length > 1) this.#append(key)
    else if (table.size > largestTable) this.#split(table)
    return this
  }

  * keys (): MapIterator<string> {
    if (this.#tables.length === 1) yield * this.#tables[0]!.keys()
    else for (const keys of this.#order) yield * keys
  }

  * values (): MapIterator<V> { for (const key of this.keys()) yield this.get(key)! }
  * entries (): MapIterator<[string, V]> { for (const key of this.keys()) yield [key, this.get(key)!] }
  [Symbol.iterator] (): MapIterator<[string, V]> { return this.entries() }

  forEach (visit: (value: V, key: string, map: ReadonlyMap<string, V>) => void): void {
    for (const [key, value] of this) visit(value, key, this)
  }

  #split (table: ReadonlyMap<string, V>): void {
    this.#tables = Array.from({ length: parts }, () => new Map<string, V>())
    for (const [key, value] of table) {
      this.#tableOf(key).set(key, value)
      this.#append(key)
    }
  }

  #append (key: string): void {
    const last = this.#order.at(-1)
    if (last === undefined || last.length === largestTable) this.#order.push([key])
    else last.push(key)
  }

  #tableOf (key: string): Map<string, V> {
    if (this.#tables.length === 1) return this.#tables[0]!
    const hash = fnv1a(key)
    return this.#tables[(hash ^ (hash >>> 16)) & (parts - 1)]!
  }
}
