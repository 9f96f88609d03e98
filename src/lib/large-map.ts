// A map that is made anew often and may be large, in small tables: V8 takes the table of a large one from the system, doubles it while it grows, and gives it all back at the next collection.
import { fnv1a } from './hash.ts'

/** A table of 4,096 entries is 112 KB; from 128 KB on it is an object of pages of its own. */
const largestTable = 4_096
const parts = 64

/** In order of insertion up to 4,096 entries; with more in no order that means anything. */
export class LargeMap<V> implements ReadonlyMap<string, V> {
  #tables: Array<Map<string, V>> = [new Map<string, V>()]

  constructor (entries: Iterable<readonly [string, V]> = []) {
    for (const [key, value] of entries) this.set(key, value)
  }

  get size (): number {
    let size = 0
    for (const table of this.#tables) size += table.size
    return size
  }

  get (key: string): V | undefined { return this.#tableOf(key).get(key) }

  has (key: string): boolean { return this.#tableOf(key).has(key) }

  set (key: string, value: V): this {
    const table = this.#tableOf(key)
    table.set(key, value)
    if (this.#tables.length === 1 && table.size > largestTable) {
      this.#tables = Array.from({ length: parts }, () => new Map<string, V>())
      for (const [moved, its] of table) this.#tableOf(moved).set(moved, its)
    }
    return this
  }

  * entries (): MapIterator<[string, V]> { for (const table of this.#tables) yield * table }
  * keys (): MapIterator<string> { for (const table of this.#tables) yield * table.keys() }
  * values (): MapIterator<V> { for (const table of this.#tables) yield * table.values() }
  [Symbol.iterator] (): MapIterator<[string, V]> { return this.entries() }

  forEach (visit: (value: V, key: string, map: ReadonlyMap<string, V>) => void): void {
    for (const [key, value] of this) visit(value, key, this)
  }

  #tableOf (key: string): Map<string, V> {
    if (this.#tables.length === 1) return this.#tables[0]!
    const hash = fnv1a(key)
    return this.#tables[(hash ^ (hash >>> 16)) & (parts - 1)]!
  }
}
