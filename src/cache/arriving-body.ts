// A body that is still coming, read by many at their own pace: kept whole as long as it may be stored, else within a window.
import { GatewayError } from '../exchange/errors.ts'
import { ResponseBody, type BodySink, type BodySource } from '../exchange/response-body.ts'

/** What whoever waits for the body is told. */
export interface ArrivalEvents {
  /** The first byte, or the end of an empty body: from now on a failure cuts clients. */
  begun (): void
  /** The body is whole. `chunks`: all of it, when it was kept. */
  whole (chunks: readonly Buffer[] | undefined): void
  failed (error: GatewayError): void
  /** May so many bytes be kept? Asked as it grows; no means that it will not be stored. */
  mayKeep (bytes: number): boolean
}

/** What a reader may lag behind once the body is not kept. */
const windowBytes = 1_048_576

/** The source is never slowed down by one slow reader: who lags a whole window behind while another one waits is cut. */
export class ArrivingBody implements BodySink {
  readonly #source: ResponseBody
  readonly #events: ArrivalEvents
  readonly #idleTimeoutMs: number
  readonly #readers = new Set<Reader>()
  #chunks: Buffer[] = []
  /** Number of the first chunk that is still here. */
  #first = 0
  #bytesHere = 0
  #kept = true
  #begun = false
  #state: 'open' | 'whole' | 'failed' = 'open'
  #error: GatewayError | undefined
  #paused = false

  /** `idleTimeoutMs`: limit on a reader's silence. */
  constructor (source: ResponseBody, idleTimeoutMs: number, events: ArrivalEvents) {
    this.#source = source
    this.#idleTimeoutMs = idleTimeoutMs
    this.#events = events
  }

  start (): void {
    this.#source.pipe(this)
  }

  /** Whether a reader can still begin at the first byte. */
  get readable (): boolean { return this.#first === 0 && this.#state !== 'failed' }
  get begun (): boolean { return this.#begun }

  /** The body from its first byte. Only while `readable`. */
  read (): ResponseBody {
    const reader = new Reader(this, this.#idleTimeoutMs)
    this.#readers.add(reader)
    this.feed(reader)
    return reader.body
  }

  // ---- called by the source ----

  write (chunk: Buffer): boolean {
    this.#chunks.push(chunk)
    this.#bytesHere += chunk.length
    if (this.#kept && !this.#events.mayKeep(this.#bytesHere)) this.#kept = false
    this.#begin()
    for (const reader of this.#readers) this.feed(reader)
    return this.#mayGoOn()
  }

  end (): void {
    this.#state = 'whole'
    this.#begin()
    this.#events.whole(this.#kept ? this.#chunks : undefined)
    for (const reader of this.#readers) this.feed(reader)
  }

  fail (error: GatewayError): void {
    this.#state = 'failed'
    this.#error = error
    this.#events.failed(error)
    for (const reader of this.#readers) this.feed(reader)
  }

  // ---- called by readers ----

  /** Gives a reader what it has not had yet and takes. */
  feed (reader: Reader): void {
    const end = this.#first + this.#chunks.length
    while (reader.wants && reader.next < end) reader.body.push(this.#chunks[reader.next++ - this.#first]!)
    if (this.#state === 'failed') {
      this.#readers.delete(reader)
      reader.body.fail(this.#error!)
    } else if (this.#state === 'whole' && reader.next === end) {
      this.#readers.delete(reader)
      reader.body.end(none)
    }
  }

  /** A reader took something, or left. */
  moved (): void {
    const waited = this.#paused
    if (this.#state === 'open' && this.#mayGoOn() && waited) this.#source.resume()
  }

  left (reader: Reader): void {
    this.#readers.delete(reader)
    if (this.#readers.size === 0 && !this.#kept && this.#state === 'open') this.#source.cancel(new GatewayError('ClientClosed'))
    else this.moved()
  }

  #begin (): void {
    if (this.#begun) return
    this.#begun = true
    this.#events.begun()
  }

  /** While it is kept everything fits; after that the source waits for the readers, but nobody waits for one who lags. */
  #mayGoOn (): boolean {
    if (this.#kept) return true
    if (this.#readers.size === 0) {
      this.#source.cancel(new GatewayError('ClientClosed'))
      return true
    }
    this.#drop()
    if (this.#bytesHere > windowBytes && this.#isSomebodyWaiting()) this.#cutLaggards()
    this.#paused = this.#bytesHere > windowBytes
    return !this.#paused
  }

  /** What every reader has had. */
  #drop (): void {
    let slowest = this.#first + this.#chunks.length
    for (const { next } of this.#readers) slowest = Math.min(slowest, next)
    const passed = this.#chunks.splice(0, slowest - this.#first)
    this.#first = slowest
    for (const { length } of passed) this.#bytesHere -= length
  }

  #isSomebodyWaiting (): boolean {
    const end = this.#first + this.#chunks.length
    for (const { next, wants } of this.#readers) if (wants && next === end) return true
    return false
  }

  #cutLaggards (): void {
    let bytes = this.#bytesHere
    let at = this.#first
    for (const chunk of this.#chunks) {
      if (bytes <= windowBytes) break
      bytes -= chunk.length
      at++
    }
    for (const reader of this.#readers) {
      if (reader.next >= at) continue
      this.#readers.delete(reader)
      reader.body.fail(new GatewayError('ClientClosed', { detail: { reason: 'slower than others who read the same answer', windowBytes } }))
    }
    this.#drop()
  }
}

const none: readonly string[] = []

/** One client's way through the body. */
class Reader implements BodySource {
  readonly body = new ResponseBody(this)
  /** Number of the chunk it gets next. */
  next = 0
  wants = true
  readonly #arriving: ArrivingBody
  readonly #idleTimeoutMs: number
  #timer: NodeJS.Timeout | undefined

  constructor (arriving: ArrivingBody, idleTimeoutMs: number) {
    this.#arriving = arriving
    this.#idleTimeoutMs = idleTimeoutMs
  }

  pause (): void {
    this.wants = false
    // The source watches for its own silence; a client that stops reading is ours to notice.
    this.#timer ??= setTimeout(() => this.#silence(), this.#idleTimeoutMs)
  }

  resume (): void {
    this.#stopTimer()
    this.wants = true
    this.#arriving.feed(this)
    this.#arriving.moved()
  }

  cancel (): void {
    this.#stopTimer()
    this.#arriving.left(this)
  }

  watch (): void {
    this.body.onFinished(() => this.#stopTimer())
  }

  #silence (): void {
    this.body.fail(new GatewayError('ClientClosed', { detail: { limit: 'bodyIdleTimeoutMs', value: this.#idleTimeoutMs, waitedFor: 'client' } }))
    this.#arriving.left(this)
  }

  #stopTimer (): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
