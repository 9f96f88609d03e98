// A response body between the endpoint and the client: bounded, with backpressure, without a Readable.
import type { GatewayError } from './errors.ts'

/** Who receives the body. */
export interface BodySink {
  /** Returns false when it wants no more until it calls `body.resume()`. */
  write (chunk: Buffer): boolean
  /** The body is whole. Trailers as a flat list. */
  end (trailers: readonly string[]): void
  /** The body is not whole and never will be. */
  fail (error: GatewayError): void
}

/** What the producer lets us do to it. */
export interface BodySource {
  pause (): void
  resume (): void
  /** Gives the rest up; the connection is closed where it cannot be reused. */
  cancel (error: GatewayError): void
  /** A reader waits for more than was here: the time to watch for silence, from either side. */
  watch (): void
  /** Until it resumes, silence is no matter: whoever made it pause watches for that himself. */
  unwatch (): void
}

const none: readonly string[] = []

/**
 * Chunks gather here until a sink is attached; nearly always the body is whole by then and leaves in one write.
 * The source is paused while more than `highWaterBytes` wait.
 */
export class ResponseBody {
  static readonly highWaterBytes = 65_536
  #chunks: Buffer[] = []
  #bytes = 0
  #state: 'open' | 'whole' | 'failed' = 'open'
  #error: GatewayError | undefined
  #trailers: readonly string[] = none
  #sink: BodySink | undefined
  #paused = false
  #finished = false
  #listeners: Array<(error: GatewayError | undefined) => void> | undefined
  readonly #source: BodySource | undefined
  /** The whole body, where it is kept as latin1 text. */
  #text: string | undefined
  /** Bytes that came so far. */
  receivedBytes = 0

  constructor (source?: BodySource) {
    this.#source = source
  }

  /** A body that is already here. */
  static of (bytes: Buffer): ResponseBody {
    const body = new ResponseBody()
    if (bytes.length > 0) body.push(bytes)
    body.end(none)
    return body
  }

  /** A body that is kept as latin1 text, a character a byte: small ones leave in one write with their head. */
  static ofText (text: string): ResponseBody {
    const body = new ResponseBody()
    body.pushText(text)
    body.end(none)
    return body
  }

  // ---- producer ----

  push (chunk: Buffer): void {
    this.receivedBytes += chunk.length
    if (this.#sink !== undefined) {
      if (!this.#sink.write(chunk)) this.#pause()
      return
    }
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes > ResponseBody.highWaterBytes) this.#pause()
  }

  /** All of it at once, as latin1 text: `end` follows. */
  pushText (text: string): void {
    if (this.#sink !== undefined) return this.push(Buffer.from(text, 'latin1'))
    this.receivedBytes = text.length
    this.#text = text
  }

  end (trailers: readonly string[]): void {
    if (this.#state !== 'open') return
    this.#state = 'whole'
    this.#trailers = trailers
    if (this.#sink !== undefined) {
      this.#sink.end(trailers)
      this.#finish(undefined)
    }
  }

  fail (error: GatewayError): void {
    if (this.#state !== 'open') return
    this.#state = 'failed'
    this.#error = error
    if (this.#sink !== undefined) {
      this.#sink.fail(error)
    }
    this.#finish(error)
  }

  // ---- consumer ----

  /** The whole body if it is here already and nobody reads it yet, else undefined: bytes, or latin1 text. Counts as delivered. */
  takeWhole (): Buffer | string | undefined {
    if (this.#state !== 'whole' || this.#sink !== undefined || this.#trailers.length > 0) return undefined
    if (this.#text !== undefined) {
      this.#finish(undefined)
      return this.#text
    }
    const chunks = this.#chunks
    const whole = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
    this.#chunks = []
    this.#finish(undefined)
    return whole
  }

  /** Attaches the reader: what waits is written at once, the rest as it comes. Once. */
  pipe (sink: BodySink): void {
    this.#sink = sink
    if (this.#text !== undefined) this.#chunks.push(Buffer.from(this.#text, 'latin1'))
    this.#text = undefined
    if (this.#state === 'open') this.#source?.watch()
    let wantsMore = true
    for (const chunk of this.#chunks) wantsMore = sink.write(chunk)
    this.#chunks = []
    this.#bytes = 0
    if (this.#state === 'whole') {
      sink.end(this.#trailers)
      this.#finish(undefined)
    } else if (this.#state === 'failed') {
      sink.fail(this.#error!)
    } else if (wantsMore) this.resume()
    else this.#pause()
  }

  /** The sink wants more. */
  resume (): void {
    if (!this.#paused) return
    this.#paused = false
    this.#source?.resume()
  }

  /** The sink paused it, and watches its own readers: until `resume` nothing has to move here. */
  unwatch (): void {
    if (this.#state === 'open') this.#source?.unwatch()
  }

  /** Nobody wants the rest: the client left, or another attempt takes over. */
  cancel (error: GatewayError): void {
    if (this.#state === 'open') {
      this.#state = 'failed'
      this.#error = error
      this.#source?.cancel(error)
    }
    this.#chunks = []
    this.#finish(error)
  }

  /** Called once, when the body was delivered whole (undefined), failed or was cancelled. What a filter holds is given back then. */
  onFinished (listener: (error: GatewayError | undefined) => void): void {
    if (this.#finished) listener(this.#error)
    else if (this.#listeners === undefined) this.#listeners = [listener]
    else this.#listeners.push(listener)
  }

  #pause (): void {
    if (this.#paused || this.#state !== 'open') return
    this.#paused = true
    this.#source?.pause()
  }

  #finish (error: GatewayError | undefined): void {
    if (this.#finished) return
    this.#finished = true
    const listeners = this.#listeners
    this.#listeners = undefined
    if (listeners !== undefined) for (const listener of listeners) listener(error)
  }
}
