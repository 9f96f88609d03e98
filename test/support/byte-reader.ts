// Reads a socket piece by piece, with backpressure, and notices at once when the other side has gone. For doubles and raw clients.
import type { Duplex } from 'node:stream'

const mostQueued = 262_144

/** The bytes ended before what was asked for had come. */
export class EndOfBytes extends Error {
  override name = 'EndOfBytes'
}

/** A pull reader over a socket. Keeps at most 256 KB (plus one chunk) in memory; then the socket is paused. */
export class ByteReader {
  /** Aborted when the other side ended, closed or reset, however much is still queued. */
  readonly gone: AbortSignal
  /** All bytes that were ever received, when `record` is set. */
  readonly record: Buffer[] | undefined
  /** How it ended; undefined while open. */
  ended: 'closed' | 'reset' | undefined
  #queue: Buffer[] = []
  #queued = 0
  #wake: (() => void) | undefined
  readonly #socket: Duplex

  constructor (socket: Duplex, options: { record?: boolean } = {}) {
    const gone = new AbortController()
    this.gone = gone.signal
    this.#socket = socket
    this.record = options.record === true ? [] : undefined
    const end = (how: 'closed' | 'reset') => {
      this.ended ??= how
      gone.abort()
      this.#wake?.()
    }
    socket.on('data', (chunk: Buffer) => {
      this.record?.push(chunk)
      this.#queue.push(chunk)
      this.#queued += chunk.length
      if (this.#queued > mostQueued) socket.pause()
      this.#wake?.()
    })
    socket.on('end', () => end('closed'))
    socket.on('close', () => end('closed'))
    socket.on('error', () => end('reset')) // A reset is an answer a test looks for, not an accident.
  }

  /** Whether bytes wait to be read. */
  get pending (): boolean {
    return this.#queued > 0
  }

  /** The next bytes, at most `max`; undefined at the end. */
  async some (max = Number.POSITIVE_INFINITY): Promise<Buffer | undefined> {
    while (this.#queued === 0) {
      if (this.ended !== undefined) return undefined
      await new Promise<void>(resolve => { this.#wake = resolve })
      this.#wake = undefined
    }
    const first = this.#queue[0]!
    const piece = first.length > max ? first.subarray(0, max) : first
    if (piece.length === first.length) this.#queue.shift()
    else this.#queue[0] = first.subarray(max)
    this.#queued -= piece.length
    if (this.#queued <= mostQueued && this.#socket.isPaused()) this.#socket.resume()
    return piece
  }

  /** Exactly `length` bytes. Throws EndOfBytes. */
  async take (length: number): Promise<Buffer> {
    const pieces: Buffer[] = []
    for (let missing = length; missing > 0;) {
      const piece = await this.some(missing)
      if (piece === undefined) throw new EndOfBytes(`${missing} of ${length} bytes missing`)
      pieces.push(piece)
      missing -= piece.length
    }
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
  }

  /** Up to and including `mark`. Throws EndOfBytes, or when there are more than `max` bytes before it. */
  async until (mark: string, max = 1_048_576): Promise<Buffer> {
    const wanted = Buffer.from(mark, 'latin1')
    let whole: Buffer = Buffer.alloc(0)
    for (;;) {
      const at = whole.indexOf(wanted)
      if (at >= 0) {
        const end = at + wanted.length
        this.#unread(whole.subarray(end))
        return whole.subarray(0, end)
      }
      if (whole.length > max) throw new Error(`no ${JSON.stringify(mark)} within ${max} bytes`)
      const piece = await this.some()
      if (piece === undefined) {
        this.#unread(whole)
        throw new EndOfBytes(`no ${JSON.stringify(mark)} in ${JSON.stringify(whole.subarray(0, 200).toString('latin1'))}`)
      }
      whole = whole.length === 0 ? piece : Buffer.concat([whole, piece])
    }
  }

  /** Everything until the end. */
  async rest (): Promise<Buffer> {
    const pieces: Buffer[] = []
    for (let piece = await this.some(); piece !== undefined; piece = await this.some()) pieces.push(piece)
    return Buffer.concat(pieces)
  }

  #unread (bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#queue.unshift(bytes)
    this.#queued += bytes.length
  }
}

/** The chunks of a chunked body (RFC 9112 7.1), then its trailers. Chunk extensions are an error: nothing here sends any. */
export async function * readChunks (reader: ByteReader, trailers: Array<[string, string]>): AsyncGenerator<Buffer> {
  for (;;) {
    const line = (await reader.until('\r\n', 64)).toString('latin1').slice(0, -2)
    if (!/^[0-9a-fA-F]{1,8}$/.test(line)) throw new Error(`bad chunk size ${JSON.stringify(line)}`)
    const size = Number.parseInt(line, 16)
    if (size === 0) break
    yield await reader.take(size)
    const end = await reader.take(2)
    if (end.toString('latin1') !== '\r\n') throw new Error('no CRLF after a chunk')
  }
  for (;;) {
    const line = (await reader.until('\r\n')).toString('latin1').slice(0, -2)
    if (line === '') return
    trailers.push(splitHeader(line))
  }
}

/** Name and value of a header line, strictly by RFC 9112 5.1: no space before the colon, no folding. */
export function splitHeader (line: string): [string, string] {
  const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*$/.exec(line)
  if (match === null) throw new Error(`bad header line ${JSON.stringify(line)}`)
  return [match[1]!, match[2]!]
}
