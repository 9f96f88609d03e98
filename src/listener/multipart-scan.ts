// Looks for form fields that strangers may not send in a multipart body, as its bytes pass, in bounded memory. Pure.
import { latin1 } from '../lib/latin1.ts'
import { decodeFieldName, type FieldRules } from './stranger-fields.ts'

/** Longest header block of a part that is read; a longer one is refused, because nobody can say what a host reads in it. */
const maxPartHeadChars = 16_384

/** The boundary parameter, unquoted. Undefined when there is none: such a body is no form to any host. */
export function boundaryOf (contentType: string): string | undefined {
  const match = /;\s*boundary\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))/i.exec(contentType)
  if (match === null) return undefined
  const boundary = match[1]?.replace(/\\(.)/g, '$1') ?? match[2]!
  return boundary === '' || boundary.length > 200 ? undefined : boundary
}

/**
 * A part cannot be cut out of a stream whose length is already told, so what is found is refused, not removed. Reads more leniently than
 * any host: a boundary counts anywhere in a line, line feeds alone end lines, names may be unquoted, escaped or in the extended form.
 */
export class MultipartScan {
  readonly #delimiter: string
  readonly #rules: FieldRules
  #carry = ''
  #inHead = false

  constructor (boundary: string, rules: FieldRules) {
    this.#delimiter = `--${boundary}`
    this.#rules = rules
  }

  /** The name of a field that is not accepted, or undefined. */
  push (chunk: Buffer): string | undefined {
    let text = this.#carry + latin1(chunk)
    for (;;) {
      if (!this.#inHead) {
        const at = text.indexOf(this.#delimiter)
        if (at === -1) {
          this.#carry = text.slice(-(this.#delimiter.length - 1))
          return undefined
        }
        text = text.slice(at + this.#delimiter.length)
        this.#inHead = true
      }
      // The boundary line may be all there is of a head, so its own line end counts for the blank line as well.
      const end = /\r?\n[ \t]*\r?\n/.exec(text)
      const next = text.indexOf(this.#delimiter)
      const headEnd = end === null ? next : next !== -1 && next < end.index ? next : end.index
      if (headEnd === -1) {
        if (text.length > maxPartHeadChars) return 'part headers'
        const found = this.#inspect(text)
        this.#carry = text
        return found
      }
      const found = this.#inspect(text.slice(0, headEnd))
      if (found !== undefined) return found
      text = text.slice(headEnd)
      this.#inHead = false
    }
  }

  #inspect (head: string): string | undefined {
    for (const match of head.matchAll(/[;\s]name(\*?)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))/gi)) {
      const raw = match[2]?.replace(/\\(.)/g, '$1') ?? match[3]!
      const name = match[1] === '*' ? raw.slice(raw.lastIndexOf('\'') + 1) : raw
      for (const candidate of [name.trim().toLowerCase(), decodeFieldName(name)]) if (this.#rules.treats.has(candidate)) return candidate
    }
    return undefined
  }
}
