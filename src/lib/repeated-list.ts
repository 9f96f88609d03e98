// A JSON list that comes again and again, mostly as it was: an element whose text is that of before is the same object as before, and is not parsed.
import { LargeMap } from './large-map.ts'

const [quote, backslash, comma, openBracket, closeBracket, openBrace, closeBrace] = Buffer.from('"\\,[]{}') as unknown as [number, number, number, number, number, number, number]

interface Element {
  /** Where its text stands in its answer. */
  readonly start: number
  readonly end: number
  readonly value: unknown
}

export class RepeatedList {
  readonly #keyOf: (value: unknown) => string | undefined
  #text: Buffer = Buffer.alloc(0)
  #elements: readonly Element[] = []

  /** `keyOf`: by what an element is known again where others came or went before it; undefined: by nothing. */
  constructor (keyOf: (value: unknown) => string | undefined) {
    this.#keyOf = keyOf
  }

  /** What `JSON.parse` makes of it; throws as it does. Elements are shared with earlier results and must not be changed. `text` is kept until the next one. */
  read (text: Buffer): unknown {
    const elements = this.#split(text)
    if (elements === undefined) return JSON.parse(text.toString())
    this.#text = text
    this.#elements = elements
    return elements.map(({ value }) => value)
  }

  /** The elements of a list of objects; undefined of anything else, broken or not. */
  #split (text: Buffer): Element[] | undefined {
    const elements: Element[] = []
    let at = afterSpace(text, 0)
    if (text[at] !== openBracket) return undefined
    at = afterSpace(text, at + 1)
    let indexes: ReadonlyMap<string, number> | undefined
    // Which of those before is expected next.
    let next = 0
    while (text[at] === openBrace) {
      const found = this.#isAt(next, text, at) ? next : this.#isAt(next + 1, text, at) ? next + 1 : undefined
      let element: Element | undefined
      if (found === undefined) {
        element = parseAt(text, at)
        if (element === undefined) return undefined
        const key = this.#keyOf(element.value)
        indexes ??= this.#indexes()
        const index = key === undefined ? undefined : indexes.get(key)
        if (index !== undefined) next = index + 1
      } else {
        const { start, end, value } = this.#elements[found]!
        element = { start: at, end: at + end - start, value }
        next = found + 1
      }
      elements.push(element)
      at = afterSpace(text, element.end)
      if (text[at] !== comma) break
      at = afterSpace(text, at + 1)
      if (text[at] !== openBrace) return undefined
    }
    return text[at] === closeBracket && afterSpace(text, at + 1) === text.length ? elements : undefined
  }

  /** Whether the element of before with this index stands there, byte by byte: the end of an object is that of its text, whatever follows. */
  #isAt (index: number, text: Buffer, at: number): boolean {
    const element = this.#elements[index]
    if (element === undefined) return false
    const end = at + element.end - element.start
    return end <= text.length && text.compare(this.#text, element.start, element.end, at, end) === 0
  }

  #indexes (): ReadonlyMap<string, number> {
    const indexes = new LargeMap<number>()
    for (const [index, { value }] of this.#elements.entries()) {
      const key = this.#keyOf(value)
      if (key !== undefined) indexes.set(key, index)
    }
    return indexes
  }
}

function afterSpace (text: Buffer, from: number): number {
  let at = from
  // RFC 8259, section 2: space, tab, line feed, carriage return.
  while (text[at] === 0x20 || text[at] === 0x09 || text[at] === 0x0a || text[at] === 0x0d) at++
  return at
}

/** The object that begins there; undefined where it is broken. */
function parseAt (text: Buffer, start: number): Element | undefined {
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const byte = text[at]
    if (byte === quote) {
      at = endOfString(text, at)
    } else if (byte === openBrace || byte === openBracket) {
      depth++
    } else if ((byte === closeBrace || byte === closeBracket) && --depth === 0) {
      const end = at + 1
      try {
        return { start, end, value: JSON.parse(text.toString('utf8', start, end)) }
      } catch {
        // The error of the whole text says where it is.
        return undefined
      }
    }
  }
  return undefined
}

/** Of the closing quote; the text's end where there is none. */
function endOfString (text: Buffer, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const byte = text[at]
    if (byte === quote) return at
    if (byte === backslash) at++
  }
  return text.length
}
