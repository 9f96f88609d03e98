// An immutable map of many entries, of which few change at a time: an edit copies the parts that it touches and shares the rest.
import { fnv1a } from './hash.ts'

/** 20,000 entries are 40 a part: touching one costs microseconds, where copying the whole map holds everybody up for milliseconds. */
const parts = 512

/** Nothing of it changes any more: edits make another one. */
export class ShardedMap<V> {
  readonly size: number
  readonly #parts: ReadonlyArray<ReadonlyMap<string, V>>

  private constructor (all: ReadonlyArray<ReadonlyMap<string, V>>, size: number) {
    this.#parts = all
    this.size = size
  }

  static empty<V> (): ShardedMap<V> {
    const nothing = new Map<string, V>()
    return new ShardedMap<V>(new Array<ReadonlyMap<string, V>>(parts).fill(nothing), 0)
  }

  static of<V> (entries: Iterable<readonly [string, V]>): ShardedMap<V> {
    const edit = ShardedMap.empty<V>().edit()
    for (const [key, value] of entries) edit.set(key, value)
    return edit.done()
  }

  get (key: string): V | undefined {
    return this.#parts[partOf(key)]!.get(key)
  }

  * values (): Generator<V> {
    for (const part of this.#parts) yield * part.values()
  }

  edit (): ShardedMapEdit<V> {
    return new ShardedMapEdit(this.#parts, this.size, (all, size) => new ShardedMap<V>(all, size))
  }
}

/** A map to be. Work on it may be spread over any time. */
export class ShardedMapEdit<V> {
  readonly #parts: Array<ReadonlyMap<string, V>>
  /** Those of `#parts` that are ours to change. */
  readonly #own = new Set<ReadonlyMap<string, V>>()
  readonly #finish: (all: ReadonlyArray<ReadonlyMap<string, V>>, size: number) => ShardedMap<V>
  #size: number

  constructor (before: ReadonlyArray<ReadonlyMap<string, V>>, size: number, finish: (all: ReadonlyArray<ReadonlyMap<string, V>>, size: number) => ShardedMap<V>) {
    this.#parts = [...before]
    this.#size = size
    this.#finish = finish
  }

  set (key: string, value: V): void {
    const part = this.#mine(key)
    const before = part.size
    part.set(key, value)
    this.#size += part.size - before
  }

  delete (key: string): void {
    if (this.#parts[partOf(key)]!.has(key) && this.#mine(key).delete(key)) this.#size--
  }

  /** The edit is over. */
  done (): ShardedMap<V> {
    this.#own.clear()
    return this.#finish([...this.#parts], this.#size)
  }

  #mine (key: string): Map<string, V> {
    const at = partOf(key)
    const part = this.#parts[at]!
    if (this.#own.has(part)) return part as Map<string, V>
    const copy = new Map(part)
    this.#parts[at] = copy
    this.#own.add(copy)
    return copy
  }
}

function partOf (key: string): number {
  const hash = fnv1a(key)
  return (hash ^ (hash >>> 15)) & (parts - 1)
}
