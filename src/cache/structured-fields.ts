// Dictionaries of structured fields, as far as targeted cache control uses them (RFC 8941 section 3.2, RFC 9213 section 2.1). Pure.
import type { Directive } from './directives.ts'

const key = /[a-z*][a-z0-9_\-.*]*/y
const number = /-?\d{1,15}(?:\.\d{1,3})?(?![\d.])/y
const text = /"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"/y
const tokenItem = /[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*/y
const bytes = /:[A-Za-z0-9+/=]*:/y
const boolean = /\?[01]/y
const optionalSpace = /[ \t]*/y
const spaces = / */y

/**
 * A dictionary as directives; undefined where it is none (RFC 9213 section 2.1: the field is then passed over). Of a key said twice the
 * last counts. `argument`: the text of an integer or token; null for another type, which no directive has; a key that is ?0 is left out.
 */
export function parseTargeted (value: string): Directive[] | undefined {
  const reader = new Reader(value)
  const found = new Map<string, Directive>()
  reader.skip(spaces)
  while (!reader.atEnd) {
    const name = reader.take(key)
    if (name === undefined) return undefined
    let argument: Directive['argument'] | false
    if (reader.takeCharacter('=')) {
      const item = reader.at('(') ? reader.innerList() : reader.item()
      if (item === undefined) return undefined
      argument = item === true ? undefined : item
    } else argument = undefined
    if (!reader.parameters()) return undefined
    found.delete(name)
    if (argument !== false) found.set(name, { name, argument })
    reader.skip(optionalSpace)
    if (reader.atEnd) break
    if (!reader.takeCharacter(',')) return undefined
    reader.skip(optionalSpace)
    if (reader.atEnd) return undefined
  }
  return [...found.values()]
}

/** undefined = no item; null = one of a type that no directive has. */
type Item = string | boolean | null | undefined

class Reader {
  readonly #value: string
  #at = 0

  constructor (value: string) {
    this.#value = value.replace(/ +$/, '')
  }

  get atEnd (): boolean { return this.#at >= this.#value.length }
  at (character: string): boolean { return this.#value[this.#at] === character }

  take (pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#value)
    if (found === null) return undefined
    this.#at += found[0].length
    return found[0]
  }

  skip (pattern: RegExp): void { this.take(pattern) }

  takeCharacter (character: string): boolean {
    if (!this.at(character)) return false
    this.#at++
    return true
  }

  item (): Item {
    const digits = this.take(number)
    if (digits !== undefined) return digits.includes('.') ? null : digits
    const quoted = this.take(text)
    if (quoted !== undefined || this.take(bytes) !== undefined) return null
    const truth = this.take(boolean)
    if (truth !== undefined) return truth === '?1'
    return this.take(tokenItem)
  }

  innerList (): null | undefined {
    this.#at++
    for (;;) {
      this.skip(spaces)
      if (this.takeCharacter(')')) return null
      if (this.item() === undefined || !this.parameters()) return undefined
      if (!this.at(' ') && !this.at(')')) return undefined
    }
  }

  parameters (): boolean {
    while (this.takeCharacter(';')) {
      this.skip(spaces)
      if (this.take(key) === undefined) return false
      if (this.takeCharacter('=') && this.item() === undefined) return false
    }
    return true
  }
}
