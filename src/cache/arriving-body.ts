// A body that is still coming, read by many: each at his own pace as long as it is kept whole to be stored, else at that of the slowest.
import { GatewayError } from '../exchange/errors.ts'
import { ResponseBody, type BodySink, type BodySource } from '../exchange/response-body.ts'

/** What whoever keeps the body is told. */
export interface ArrivalEvents {
  /** The first byte, or the end of an empty body: from now on a failure cuts clients. `kept`: it is, so far. */
  begun (kept: boolean): void
  /** The body is whole, and was kept. */
  whole (chunks: readonly Buffer[]): void
  /** It is not kept: whoever reads goes on, nobody begins any more. Nothing further is told. */
  notKept (): void
  /** It broke off while it was kept. */
  failed (error: GatewayError): void
}

/** Memory for what is here of it. */
export interface ArrivalRoom {
  /** Has so many bytes from now on; false: no more than it had, and the body is not kept. */
  upTo (bytes: number): boolean
  /** Needs no more than so many of them. */
  downTo (bytes: number): void
}

/**
 * While it is kept the source is slowed down by nobody. After that it waits for the slowest reader, so that nobody is cut for the pace of others;
 * who takes nothing at all for `bodyIdleTimeoutMs` is, whoever waits for him. What was here by then goes as it is read, and then there is no
 * more in between than any other body has.
 */
export class ArrivingBody implements BodySink {
  readonly #source: ResponseBody
  readonly #events: ArrivalEvents
  readonly #room: ArrivalRoom
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
  constructor (source: ResponseBody, idleTimeoutMs: number, room: ArrivalRoom, events: ArrivalEvents) {
    this.#source = source
    this.#idleTimeoutMs = idleTimeoutMs
    this.#room = room
    this.#events = events
  }

  start (): void {
    this.#source.pipe(this)
  }

  get begun (): boolean { return this.#begun }

  /** The body from its first byte. Only while it is kept, or when it begins. */
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
    const isRefused = this.#kept && !this.#room.upTo(this.#bytesHere)
    if (isRefused) this.#kept = false
    this.#begin()
    if (isRefused) this.#events.notKept()
    for (const reader of this.#readers) this.feed(reader)
    return this.#mayGoOn()
  }

  end (): void {
    this.#state = 'whole'
    this.#begin()
    if (this.#kept) this.#events.whole(this.#chunks)
    for (const reader of this.#readers) this.feed(reader)
    this.#drop()
  }

  fail (error: GatewayError): void {
    this.#state = 'failed'
    this.#error = error
    if (this.#kept) this.#events.failed(error)
    for (const reader of this.#readers) this.feed(reader)
    this.#drop()
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
    if (this.#state !== 'open') return this.#drop()
    const waited = this.#paused
    if (this.#mayGoOn() && waited) this.#source.resume()
  }

  left (reader: Reader): void {
    this.#readers.delete(reader)
    this.moved()
  }

  #begin (): void {
    if (this.#begun) return
    this.#begun = true
    this.#events.begun(this.#kept)
  }

  #mayGoOn (): boolean {
    if (this.#kept) return true
    this.#drop()
    if (this.#readers.size === 0) this.#source.cancel(new GatewayError('ClientClosed'))
    this.#paused = this.#bytesHere > ResponseBody.highWaterBytes
    // Readers have a limit on their silence each: the source does not wait for one client.
    if (this.#paused) this.#source.unwatch()
    return !this.#paused
  }

  /** What nobody reads any more. */
  #drop (): void {
    let slowest = this.#first + this.#chunks.length
    for (const { next } of this.#readers) slowest = Math.min(slowest, next)
    const passed = this.#chunks.splice(0, slowest - this.#first)
    this.#first = slowest
    for (const { length } of passed) this.#bytesHere -= length
    this.#room.downTo(this.#bytesHere)
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

  unwatch (): void {
    this.#stopTimer()
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
