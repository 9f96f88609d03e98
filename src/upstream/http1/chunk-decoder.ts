// Chunked coding (RFC 9112 section 7.1) -> the bytes it frames. Strict, with limits. Pure.
import { tokenBytes, valueBytes } from './characters.ts'
import { ProtocolError } from './errors.ts'

const lineFeed = 0x0a
const carriageReturn = 0x0d
const semicolon = 0x3b
const equals = 0x3d
const quote = 0x22
const backslash = 0x5c

/** 13 hex digits are 2^52: a number is exact up to there. */
const mostSizeDigits = 13
/** A size with its extensions, which nobody reads. */
const mostLineBytes = 4_096

const hexValues = new Int8Array(256).fill(-1)
for (let value = 0; value < 16; value++) {
  const digit = value.toString(16)
  hexValues[digit.charCodeAt(0)] = hexValues[digit.toUpperCase().charCodeAt(0)] = value
}

type State = 'size' | 'extension' | 'value' | 'quoted' | 'escaped' | 'unquoted' | 'sizeEnd' | 'data' | 'dataEnd' | 'dataLine' | 'last'
/** Where the next byte is framing. */
type FramingState = Exclude<State, 'data' | 'last'>

export class ChunkDecoder {
  #state: State = 'size'
  #digits = 0
  #lineBytes = 0
  /** Whether the name or value of an extension has a byte yet. */
  #partBegun = false
  /** Size of the chunk, then what is missing of it. */
  #left = 0
  /** Bytes that the last call wrote. */
  written = 0

  /** The last chunk has come: trailers follow. */
  get done (): boolean { return this.#state === 'last' }

  reset (): void {
    this.#begin()
    this.written = 0
  }

  /**
   * Reads `bytes` from `at` to `end` and writes the data among them to the beginning of `out`, which must have room for all. Returns where it
   * stopped: at `end`, or behind the line of the last chunk.
   * @throws ProtocolError
   */
  decode (bytes: Buffer, at: number, end: number, out: Buffer): number {
    this.written = 0
    while (at < end && this.#state !== 'last') {
      if (this.#state === 'data') {
        const length = Math.min(this.#left, end - at)
        bytes.copy(out, this.written, at, at + length)
        this.written += length
        at += length
        this.#left -= length
        if (this.#left === 0) this.#state = 'dataEnd'
      } else this.#framing(this.#state, bytes[at++]!)
    }
    return at
  }

  #framing (state: FramingState, byte: number): void {
    switch (state) {
      case 'size': {
        const value = hexValues[byte]!
        if (value !== -1) {
          if (++this.#digits > mostSizeDigits) throw new ProtocolError('a chunk is too large')
          this.#left = this.#left * 16 + value
          return
        }
        if (this.#digits === 0) throw new ProtocolError('a chunk has no size')
        this.#endOfPart(byte)
        return
      }
      case 'extension':
      case 'value':
      case 'quoted':
      case 'escaped':
      case 'unquoted':
        if (++this.#lineBytes > mostLineBytes) throw new ProtocolError('chunk extensions are too long')
        this.#extension(state, byte)
        return
      case 'sizeEnd':
        if (byte !== lineFeed) throw new ProtocolError('a carriage return stands alone')
        this.#state = this.#left === 0 ? 'last' : 'data'
        return
      case 'dataEnd':
        if (byte !== carriageReturn) throw new ProtocolError('a chunk is longer than its size')
        this.#state = 'dataLine'
        return
      case 'dataLine':
        if (byte !== lineFeed) throw new ProtocolError('a carriage return stands alone')
        this.#begin()
    }
  }

  /** Nobody reads them, but where they end is framing: RFC 9112 section 7.1.1, without its optional white space. */
  #extension (state: 'extension' | 'value' | 'quoted' | 'escaped' | 'unquoted', byte: number): void {
    const first = !this.#partBegun
    this.#partBegun = true
    switch (state) {
      case 'extension':
        if (tokenBytes[byte] === 1) return
        if (first) throw new ProtocolError('malformed chunk extension')
        if (byte === equals) this.#part('value')
        else this.#endOfPart(byte)
        return
      case 'value':
        if (tokenBytes[byte] === 1) return
        if (first && byte === quote) this.#state = 'quoted'
        else if (first) throw new ProtocolError('malformed chunk extension')
        else this.#endOfPart(byte)
        return
      case 'quoted':
        if (byte === quote) this.#state = 'unquoted'
        else if (byte === backslash) this.#state = 'escaped'
        else if (valueBytes[byte] !== 1) throw new ProtocolError('malformed chunk extension')
        return
      case 'escaped':
        if (valueBytes[byte] !== 1) throw new ProtocolError('malformed chunk extension')
        this.#state = 'quoted'
        return
      case 'unquoted': this.#endOfPart(byte)
    }
  }

  #part (state: 'extension' | 'value'): void {
    this.#state = state
    this.#partBegun = false
  }

  /** Behind a size, or an extension: another one, or the end of the line. */
  #endOfPart (byte: number): void {
    if (byte === carriageReturn) this.#state = 'sizeEnd'
    else if (byte === semicolon) this.#part('extension')
    else throw new ProtocolError('malformed chunk size or extension')
  }

  #begin (): void {
    this.#state = 'size'
    this.#digits = 0
    this.#lineBytes = 0
    this.#left = 0
  }
}
