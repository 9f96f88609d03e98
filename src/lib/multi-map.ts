// A map of a key to all its values, made for keys that mostly have one: a Set of its own for each would take ten times as much.

export class MultiMap<V extends object> {
  readonly #values = new Map<string, V | Set<V>>()

  get (key: string): Iterable<V> {
    const values = this.#values.get(key)
    if (values === undefined) return none
    return values instanceof Set ? values : [values]
  }

  add (key: string, value: V): void {
    const values = this.#values.get(key)
    if (values instanceof Set) values.add(value)
    else this.#values.set(key, values === undefined || values === value ? value : new Set([values, value]))
  }

  delete (key: string, value: V): void {
    const values = this.#values.get(key)
    if (values === value) this.#values.delete(key)
    else if (values instanceof Set && values.delete(value) && values.size === 0) this.#values.delete(key)
  }
}

const none: readonly never[] = []
