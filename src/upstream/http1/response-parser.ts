// Bytes of one connection -> answers: strict, incremental, bounded. Pure: it is handed bytes and calls back.
import { latin1, smallBodyBytes } from '../../lib/latin1.ts'
import { ChunkDecoder } from './chunk-decoder.ts'
import { HeadScanner } from './head-scanner.ts'
import { ProtocolError } from './errors.ts'
import { readHead, readTrailers, type ResponseHead } from './response-head.ts'

export interface ResponseEvents {
  /** 1xx. Any number of them precede the head. */
  onInformational (head: ResponseHead): void
  onHead (head: ResponseHead): void
  /** A piece of the body, in memory of its own. */
  onData (piece: Buffer): void
  /** The whole body as latin1 text: a small one that came in one piece, as most do. In place of `onData`. */
  onText (body: string): void
  /** The answer is whole. `reusable`: the connection may carry the next exchange. Trailers as a flat list. */
  onComplete (trailers: readonly string[], reusable: boolean): void
}

/** Of a head, and of trailers. */
export const maxHeadBytes = 65_536

const noTrailers: readonly string[] = []
const lineFeed = 0x0a
const carriageReturn = 0x0d
/** Enough to see that it is no HTTP at all, before there is a whole line. */
const prefixBytes = 16
const leastHeldBytes = 1_024

type State = 'idle' | 'head' | 'trailers' | 'length' | 'chunked' | 'close'

export class ResponseParser {
  readonly #events: ResponseEvents
  readonly #scanner = new HeadScanner()
  readonly #chunks = new ChunkDecoder()
  #state: State = 'idle'
  #headOnly = false
  #keepAlive = false
  /** Bytes of the body, and those of them that are still to come. */
  #length = 0
  #left = 0
  /** A head, or trailers, that came in more than one piece. */
  #held: Buffer | undefined
  #heldBytes = 0

  constructor (events: ResponseEvents) {
    this.#events = events
  }

  /** An answer is due. `headOnly`: to a HEAD request. */
  expect (headOnly: boolean): void {
    this.#headOnly = headOnly
    this.#begin('head')
  }

  /**
   * Takes the first `end` bytes, which may be overwritten afterwards.
   * @throws ProtocolError for what is not HTTP, and for bytes that nobody asked for
   */
  push (bytes: Buffer, end: number): void {
    let at = 0
    while (at < end) {
      switch (this.#state) {
        case 'head':
        case 'trailers': at = this.#lines(bytes, at, end); break
        case 'length': at = this.#counted(bytes, at, end); break
        case 'chunked': at = this.#chunked(bytes, at, end); break
        case 'close':
          this.#events.onData(copy(bytes, at, end))
          return
        case 'idle':
          // What follows an answer in the same read made its connection unusable already.
          if (at === 0) throw new ProtocolError('bytes that nobody asked for')
          return
      }
    }
  }

  /** The endpoint will send no more. Returns whether that ended the answer; otherwise it is not whole, or was not there at all. */
  end (): boolean {
    if (this.#state !== 'close') return false
    this.#complete(noTrailers, false)
    return true
  }

  #begin (state: 'head' | 'trailers'): void {
    this.#state = state
    this.#scanner.reset(state === 'trailers')
  }

  /** Head or trailers. Usually whole in one piece, and then nothing is copied. */
  #lines (bytes: Buffer, at: number, end: number): number {
    if (this.#held !== undefined) return this.#moreLines(bytes, at, end)
    const next = this.#scanner.scan(bytes, at, end)
    if (next === -1) {
      this.#hold(bytes, at, end)
      return this.#waits(end)
    }
    this.#take(bytes, at, next, end)
    return next
  }

  #moreLines (bytes: Buffer, at: number, end: number): number {
    const before = this.#heldBytes
    this.#hold(bytes, at, end)
    const held = this.#held!
    const whole = this.#heldBytes
    // Looked at again only when a line may have ended: a head that comes byte by byte costs no more than one that comes whole.
    const mayEnd = before < prefixBytes || held[before - 1] === carriageReturn || endsLine(bytes.subarray(at, end))
    const next = mayEnd ? this.#scanner.scan(held, 0, whole) : -1
    if (next === -1) return this.#waits(end)
    this.#held = undefined
    this.#heldBytes = 0
    this.#take(held, 0, next, whole)
    return at + next - before
  }

  /** The lines go on in what comes next. */
  #waits (end: number): number {
    if (this.#heldBytes > maxHeadBytes) throw tooLong()
    return end
  }

  #hold (bytes: Buffer, at: number, end: number): void {
    const needed = this.#heldBytes + end - at
    if (this.#held === undefined || needed > this.#held.length) {
      const larger = Buffer.allocUnsafe(Math.max(leastHeldBytes, needed * 2))
      this.#held?.copy(larger, 0, 0, this.#heldBytes)
      this.#held = larger
    }
    bytes.copy(this.#held, this.#heldBytes, at, end)
    this.#heldBytes = needed
  }

  /** The lines from `at` to `next` are whole. */
  #take (bytes: Buffer, at: number, next: number, end: number): void {
    if (next - at > maxHeadBytes) throw tooLong()
    if (this.#state === 'trailers') return this.#complete(readTrailers(this.#scanner, bytes, at, next), this.#keepAlive && next === end)
    const head = readHead(this.#scanner, bytes, at, next, this.#headOnly)
    if (head.status < 200) {
      // Nobody asked for another protocol.
      if (head.status === 101) throw new ProtocolError('the endpoint switched protocols')
      this.#begin('head')
      return this.#events.onInformational(head)
    }
    this.#keepAlive = head.keepAlive
    this.#events.onHead(head)
    switch (head.framing) {
      case 'none': return this.#complete(noTrailers, head.keepAlive && next === end)
      case 'length': this.#left = this.#length = head.length; break
      case 'chunked': this.#chunks.reset(); break
      case 'close': // Whatever comes is body.
    }
    this.#state = head.framing
  }

  #counted (bytes: Buffer, at: number, end: number): number {
    const isWhole = this.#left === this.#length && this.#length <= smallBodyBytes && end - at >= this.#left
    const stop = Math.min(end, at + this.#left)
    this.#left -= stop - at
    if (isWhole) this.#events.onText(latin1(bytes, at, stop))
    else this.#events.onData(copy(bytes, at, stop))
    if (this.#left === 0) this.#complete(noTrailers, this.#keepAlive && stop === end)
    return stop
  }

  /** All data of one read leaves in one piece, however many chunks it came in. */
  #chunked (bytes: Buffer, at: number, end: number): number {
    const out = Buffer.allocUnsafe(end - at)
    const stop = this.#chunks.decode(bytes, at, end, out)
    const { written } = this.#chunks
    if (written > 0) this.#events.onData(written === out.length ? out : out.subarray(0, written))
    if (this.#chunks.done) this.#begin('trailers')
    return stop
  }

  #complete (trailers: readonly string[], reusable: boolean): void {
    this.#state = 'idle'
    this.#events.onComplete(trailers, reusable)
  }
}

function copy (bytes: Buffer, at: number, end: number): Buffer {
  const piece = Buffer.allocUnsafe(end - at)
  bytes.copy(piece, 0, at, end)
  return piece
}

const endsLine = (bytes: Buffer): boolean => bytes.includes(carriageReturn) || bytes.includes(lineFeed)
const tooLong = (): ProtocolError => new ProtocolError(`the head is longer than ${maxHeadBytes} bytes`)
