// Finds the lines of a response head, or of trailers, byte by byte and as strictly as llhttp: CRLF only, no folding, no stray character. Pure.
import { tokenBytes, valueBytes } from './characters.ts'
import { ProtocolError } from './errors.ts'

const tab = 0x09
const lineFeed = 0x0a
const carriageReturn = 0x0d
const space = 0x20
const zero = 0x30
const colon = 0x3a
const versionPrefix = Buffer.from('HTTP/1.')
/** 'HTTP/1.1 200' */
const shortestStatusLine = 12
const marksPerField = 4

/** Goes on where it stopped when more bytes have come. Positions it keeps are counted from the beginning of the head. */
export class HeadScanner {
  /** Of HTTP/1.minor. */
  minor = 0
  status = 0
  reasonAt = 0
  reasonEnd = 0
  /** Four for each field: where its name begins and ends, where its value does. Only the first `fields` are of this head. */
  readonly marks: number[] = []
  fields = 0
  /** Beginning of the first line that is not finished. */
  #line = 0
  #needsStatus = true

  /** A new head begins; `trailers` have no status line. */
  reset (trailers: boolean): void {
    this.fields = 0
    this.#line = 0
    this.#needsStatus = !trailers
  }

  /**
   * `bytes` holds the head from `from` on, as far as it has come, up to `end`. Returns the position behind the head's empty line, or −1
   * while that is not here yet.
   * @throws ProtocolError
   */
  scan (bytes: Uint8Array, from: number, end: number): number {
    if (this.#needsStatus) {
      const next = this.#statusLine(bytes, from, end)
      if (next === -1) return -1
      this.#needsStatus = false
      this.#line = next - from
    }
    let at = from + this.#line
    while (at < end) {
      if (bytes[at] === carriageReturn) return lineEnd(bytes, at, end)
      const next = this.#field(bytes, from, at, end)
      if (next === -1) return -1
      at = next
      this.#line = at - from
    }
    return -1
  }

  #statusLine (bytes: Uint8Array, from: number, end: number): number {
    for (let i = 0; i < versionPrefix.length; i++) {
      if (from + i === end) return -1
      if (bytes[from + i] !== versionPrefix[i]) throw new ProtocolError('the answer does not begin with HTTP/1')
    }
    if (end - from <= shortestStatusLine) return -1
    const minor = bytes[from + 7]! - zero
    if ((minor !== 0 && minor !== 1) || bytes[from + 8] !== space) throw new ProtocolError('unknown HTTP version')
    const [a, b, c] = [bytes[from + 9]! - zero, bytes[from + 10]! - zero, bytes[from + 11]! - zero]
    if (!(a >= 1 && a <= 9 && b >= 0 && b <= 9 && c >= 0 && c <= 9)) throw new ProtocolError('malformed status')
    let at = from + shortestStatusLine
    if (bytes[at] === space) at++
    else if (bytes[at] !== carriageReturn) throw new ProtocolError('malformed status')
    const reasonAt = at
    // What the phrase may hold is its reader's to decide; only its end is framing.
    while (at < end && bytes[at] !== carriageReturn && bytes[at] !== lineFeed) at++
    if (at === end) return -1
    const next = lineEnd(bytes, at, end)
    if (next === -1) return -1
    this.minor = minor
    this.status = a * 100 + b * 10 + c
    this.reasonAt = reasonAt - from
    this.reasonEnd = at - from
    return next
  }

  #field (bytes: Uint8Array, from: number, line: number, end: number): number {
    let at = line
    while (at < end && tokenBytes[bytes[at]!] === 1) at++
    if (at === end) return -1
    // A line that begins with white space would continue the one before (obs-fold), which nobody reads alike.
    if (at === line || bytes[at] !== colon) throw new ProtocolError('malformed field name')
    const nameEnd = at++
    while (at < end && (bytes[at] === space || bytes[at] === tab)) at++
    const valueAt = at
    while (at < end && valueBytes[bytes[at]!] === 1) at++
    if (at === end) return -1
    const next = lineEnd(bytes, at, end)
    if (next === -1) return -1
    let valueEnd = at
    while (valueEnd > valueAt && (bytes[valueEnd - 1] === space || bytes[valueEnd - 1] === tab)) valueEnd--
    const mark = this.fields++ * marksPerField
    this.marks[mark] = line - from
    this.marks[mark + 1] = nameEnd - from
    this.marks[mark + 2] = valueAt - from
    this.marks[mark + 3] = valueEnd - from
    return next
  }
}

/** The position behind the CRLF at `at`; −1 while half of it is here. */
function lineEnd (bytes: Uint8Array, at: number, end: number): number {
  if (bytes[at] !== carriageReturn) throw new ProtocolError('a line holds a character that it may not, or does not end with CRLF')
  if (at + 1 === end) return -1
  if (bytes[at + 1] !== lineFeed) throw new ProtocolError('a carriage return stands alone')
  return at + 2
}
