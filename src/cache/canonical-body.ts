// A JSON body in one spelling for all that mean the same, so that clients which write it differently share an answer. Pure.

/** Longer ones are compared as the bytes they are. */
const longestCanonical = 65_536
const deepest = 64

const space = /[ \t\r\n]*/y
const text = /"(?:[^"\\]|\\.)*"/y
const plain = /-?\d[\d.eE+-]*|true|false|null/y
/** Hosts read it only where it comes first. */
const typeName = /^"(?:__type|\$type)"$/

/**
 * Without space between its parts, and with the members of objects in the order of their names: that says nothing (RFC 8259 section 4).
 * Numbers and strings stay as they are written, because two bodies that a host could read differently must never be one key; so does the
 * order of members where two have one name in any letter case, where one is escaped, or tells the type. What is no JSON stays bytes.
 */
export function canonicalBody (bytes: Buffer): string | Buffer {
  const first = bytes[0]
  if (bytes.length > longestCanonical || (first !== 0x7b && first !== 0x5b)) return bytes
  return new Reader(bytes.toString('latin1')).whole() ?? bytes
}

class Reader {
  readonly #json: string
  #at = 0

  constructor (json: string) {
    this.#json = json
  }

  whole (): string | undefined {
    const value = this.#value(0)
    this.#take(space)
    return this.#at === this.#json.length ? value : undefined
  }

  #value (depth: number): string | undefined {
    this.#take(space)
    if (depth > deepest) return undefined
    if (this.#is('{')) return this.#list('}', () => this.#member(depth + 1), ordered)
    if (this.#is('[')) return this.#list(']', () => this.#value(depth + 1), items => `[${items.join(',')}]`)
    return this.#take(text) ?? this.#take(plain)
  }

  #list<T> (end: string, item: () => T | undefined, write: (items: T[]) => string): string | undefined {
    const items: T[] = []
    this.#take(space)
    if (this.#is(end)) return write(items)
    for (;;) {
      const found = item()
      if (found === undefined) return undefined
      items.push(found)
      this.#take(space)
      if (this.#is(end)) return write(items)
      if (!this.#is(',')) return undefined
    }
  }

  #member (depth: number): Member | undefined {
    this.#take(space)
    const name = this.#take(text)
    this.#take(space)
    if (name === undefined || !this.#is(':')) return undefined
    const value = this.#value(depth)
    return value === undefined ? undefined : { name, value }
  }

  #is (character: string): boolean {
    if (this.#json[this.#at] !== character) return false
    this.#at++
    return true
  }

  #take (pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#json)?.[0]
    this.#at += found?.length ?? 0
    return found
  }
}

interface Member { readonly name: string, readonly value: string }

function ordered (members: Member[]): string {
  const names = new Set(members.map(({ name }) => name.toLowerCase()))
  const mayMove = names.size === members.length && !members.some(({ name }) => name.includes('\\') || typeName.test(name))
  if (mayMove) members.sort((a, b) => a.name < b.name ? -1 : 1)
  return `{${members.map(({ name, value }) => `${name}:${value}`).join(',')}}`
}
