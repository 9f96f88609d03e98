// Looks for form fields that clients may not send in a multipart body, as its bytes pass, in bounded memory. Pure.
import { decodeFieldName } from '../exchange/debug-names.ts'
import { latin1 } from '../lib/latin1.ts'
import { readParameters } from './parameters.ts'
import type { FieldRules } from './stranger-fields.ts'

/** Longest header block of a part that is read; a longer one is refused, because nobody can say what a host reads in it. */
const maxPartHeadChars = 16_384
const disposition = /content-disposition[ \t]*:/i

/**
 * A part cannot be cut out of a stream whose length is already told, so what is found is refused, not removed. Reads more leniently than
 * any host: a boundary counts anywhere in a line, line feeds alone end lines, names may be unquoted, escaped or in the extended form. A
 * Content-Disposition in which hosts could find different names is refused.
 */
export class MultipartScan {
  readonly #delimiter: string
  readonly #rules: FieldRules
  #carry = ''
  #inHead = false

  constructor (boundary: string, rules: FieldRules) {
    // Spaces at its end are no part of it to some hosts: with none more is a boundary.
    this.#delimiter = `--${boundary.trimEnd()}`
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
        this.#carry = text
        return undefined
      }
      const found = this.#inspect(text.slice(0, headEnd))
      if (found !== undefined) return found
      text = text.slice(headEnd)
      this.#inHead = false
    }
  }

  #inspect (head: string): string | undefined {
    for (const rest of head.replaceAll(/\r?\n(?=[ \t])/g, '').split(disposition).slice(1)) {
      const line = /^[^\r\n]*/.exec(rest)![0]
      const parameters = readParameters(line, /^[^;]*/.exec(line)![0].length, 'name')
      if (parameters === undefined) return 'part headers'
      const extended = parameters.get('name*')
      for (const name of [parameters.get('name'), extended?.slice(extended.lastIndexOf('\'') + 1)]) {
        if (name === undefined) continue
        // Kestrel decodes these (RFC 2047), in any character set that it knows.
        if (name.trim().startsWith('=?')) return 'part headers'
        for (const candidate of [name.trim().toLowerCase(), decodeFieldName(name)]) if (this.#rules.treats.has(candidate)) return candidate
      }
    }
    return undefined
  }
}
