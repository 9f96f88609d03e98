// Texts that many stored answers have in common, kept once; and none that holds on to the larger one it was cut out of.
import { latin1 } from '../lib/latin1.ts'

/** Texts, and lists of them, that are remembered; then all are forgotten, and what comes next is kept once more. */
const mostRemembered = 2_000
/** Longer ones are hardly anybody else's. */
const longestShared = 512

/** Of fields as they came, one character a byte. */
export class SharedTexts {
  readonly #texts = new Map<string, string>()
  readonly #lists = new Map<string, readonly string[]>()

  text (text: string): string {
    return this.#texts.get(text) ?? remembered(this.#texts, text, ownText(text))
  }

  texts (texts: readonly string[]): readonly string[] {
    return texts.map(text => this.text(text))
  }

  /** Where the whole list is likely to be the same: names of fields, tags. */
  list (names: readonly string[]): readonly string[] {
    if (names.length === 0) return none
    const key = names.join('\n')
    return this.#lists.get(key) ?? remembered(this.#lists, ownText(key), this.texts(names))
  }
}

const none: readonly string[] = []

function remembered<T> (known: Map<string, T>, key: string, value: T): T {
  if (key.length > longestShared) return value
  if (known.size >= mostRemembered) known.clear()
  // The key is a text of its own, too.
  known.set(typeof value === 'string' ? value : key, value)
  return value
}

/** V8 makes a part of a text by reference to the whole. */
const ownText = (text: string): string => latin1(Buffer.from(text, 'latin1'))
