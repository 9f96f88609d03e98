// How a request's body gets to the endpoint: not at all, read whole first, or streamed; always with limits, never cut short in silence.
import { Readable } from 'node:stream'
import { GatewayError } from '../exchange/errors.ts'
import type { ListenerConfig } from '../config/schema.ts'

type Limits = ListenerConfig['limits']

/** What is known of a body before a byte of it was read. */
export interface BodyFacts {
  readonly present: boolean
  /** Declared; undefined for chunked bodies and HTTP/2 streams without a length. */
  readonly length: number | undefined
  readonly routeKind: 'message' | 'custom' | 'prefix'
  /** A form whose fields have to be looked at before anything is sent. */
  readonly urlencodedForm: boolean
}

/** `gather`: read whole, at most `most` bytes; `length` where it is declared. */
export type BodyPlan =
  | { readonly kind: 'none' }
  | { readonly kind: 'gather', readonly most: number, readonly length: number | undefined }
  | { readonly kind: 'stream', readonly length: number | undefined }

const none: BodyPlan = { kind: 'none' }

/**
 * Messages always arrive with a length, because hosts read a chunked body as an empty message (docs/decisions/0005).
 * @throws GatewayError BodyTooLarge
 */
export function planBody (facts: BodyFacts, limits: Limits): BodyPlan {
  const { length } = facts
  if (!facts.present || length === 0) return none
  if (length !== undefined && limits.bodyBytes > 0 && length > limits.bodyBytes) throw tooLarge('bodyBytes', limits.bodyBytes)
  if (length !== undefined && length <= limits.heldBodyBytes) return { kind: 'gather', most: length, length }
  if (facts.urlencodedForm || (length === undefined && facts.routeKind !== 'prefix')) {
    const most = limits.bodyBytes > 0 ? Math.min(limits.gatheredBodyBytes, limits.bodyBytes) : limits.gatheredBodyBytes
    if (length !== undefined && length > most) throw tooLarge('gatheredBodyBytes', most)
    return { kind: 'gather', most, length }
  }
  return { kind: 'stream', length }
}

const tooLarge = (limit: string, value: number) => new GatewayError('BodyTooLarge', { detail: { limit, value } })

/** All bodies that are read whole, together. */
export class BodyMemory {
  limitBytes: number
  #usedBytes = 0

  constructor (limitBytes: number) { this.limitBytes = limitBytes }

  get usedBytes (): number { return this.#usedBytes }

  /** @throws GatewayError BodyMemoryFull */
  take (bytes: number): void {
    if (this.#usedBytes + bytes > this.limitBytes) throw new GatewayError('BodyMemoryFull', { detail: { limit: 'gatheredTotalBytes', value: this.limitBytes } })
    this.#usedBytes += bytes
  }

  give (bytes: number): void { this.#usedBytes -= bytes }
}

/** What one exchange has taken of the memory, to be given back once when it is over. */
export class BodyAccount {
  readonly #memory: BodyMemory
  #bytes = 0

  constructor (memory: BodyMemory) { this.#memory = memory }

  take (bytes: number): void {
    this.#memory.take(bytes)
    this.#bytes += bytes
  }

  giveBack (): void {
    this.#memory.give(this.#bytes)
    this.#bytes = 0
  }
}

/** Looks at the bytes as they pass; the name of what is not accepted, or undefined. */
export type Inspect = (chunk: Buffer) => string | undefined

export interface BodyWatch {
  /** Longest silence. Milliseconds. */
  readonly idleMs: number
  readonly inspect: Inspect | undefined
}

/** A client that resets its HTTP/2 stream without an error ends the body in the regular way, as Node tells it: only `aborted` says that it did not. */
const endedShort = (source: Readable): boolean => (source as Readable & { readonly aborted?: boolean }).aborted === true
const refusedField = (field: string) => new GatewayError('FieldNotAllowed', { detail: { field } })
const timedOut = (idleMs: number) => new GatewayError('RequestTimeout', { detail: { limit: 'bodyIdleTimeoutMs', value: idleMs, waitedFor: 'request body' } })

/**
 * Reads a body whole.
 * @throws GatewayError by the promise: BodyTooLarge, BodyMemoryFull, RequestTimeout, FieldNotAllowed, BodyIncomplete
 */
export function gatherBody (source: Readable, plan: BodyPlan & { kind: 'gather' }, account: BodyAccount, watch: BodyWatch): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const finish = (error: unknown) => {
      clearTimeout(timer)
      source.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onError)
      // Whatever still comes is nobody's business any more.
      if (error !== undefined) source.on('error', () => {}).pause()
      if (error === undefined) resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes))
      else reject(error)
    }
    const onData = (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > plan.most) return finish(tooLarge('gatheredBodyBytes', plan.most))
      try {
        if (plan.length === undefined) account.take(chunk.length)
      } catch (error) {
        return finish(error)
      }
      const field = watch.inspect?.(chunk)
      if (field !== undefined) return finish(refusedField(field))
      chunks.push(chunk)
      timer.refresh()
    }
    const onEnd = () => finish(endedShort(source) || (plan.length !== undefined && bytes !== plan.length) ? new GatewayError('BodyIncomplete') : undefined)
    const onClose = () => finish(new GatewayError('BodyIncomplete'))
    const onError = (cause: Error) => finish(new GatewayError('BodyIncomplete', { cause }))
    const timer = setTimeout(() => finish(timedOut(watch.idleMs)), watch.idleMs)
    source.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onError)
    try {
      if (plan.length !== undefined) account.take(plan.length)
    } catch (error) {
      finish(error)
    }
  })
}

/**
 * A body on its way through. Reads the client only as fast as the endpoint takes it, counts, and errors when the client stops, leaves or
 * sends too much: whoever reads it never sees a regular end of a body that is not whole.
 */
export class StreamedBody extends Readable {
  readonly #source: Readable
  readonly #watch: BodyWatch
  readonly #mostBytes: number
  /** Told before the stream is destroyed, so that the exchange ends for this reason. */
  readonly #onBroken: (error: GatewayError) => void
  #bytes = 0
  #started = false
  #timer: NodeJS.Timeout | undefined
  readonly #onData = (chunk: Buffer) => this.#take(chunk)
  readonly #onEnd = () => {
    clearTimeout(this.#timer)
    if (endedShort(this.#source)) this.#fail(new GatewayError('BodyIncomplete'))
    else this.push(null)
  }

  readonly #onClose = () => this.#break(new GatewayError('BodyIncomplete'))

  /** `mostBytes` 0 = no limit. */
  constructor (source: Readable, mostBytes: number, watch: BodyWatch, onBroken: (error: GatewayError) => void) {
    super({ autoDestroy: false })
    this.#source = source
    this.#mostBytes = mostBytes
    this.#watch = watch
    this.#onBroken = onBroken
    // Told to the exchange; the reader sees it too, if there is one.
    this.on('error', () => {})
    source.on('close', this.#onClose).on('error', this.#onClose)
  }

  override _read (): void {
    if (!this.#started) {
      this.#started = true
      this.#source.on('data', this.#onData).on('end', this.#onEnd)
    }
    this.#timer ??= setTimeout(() => this.#break(timedOut(this.#watch.idleMs)), this.#watch.idleMs)
    this.#source.resume()
  }

  override _destroy (error: Error | null, callback: (error?: Error | null) => void): void {
    clearTimeout(this.#timer)
    this.#source.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose)
    callback(error)
  }

  #take (chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#mostBytes > 0 && this.#bytes > this.#mostBytes) return this.#break(tooLarge('bodyBytes', this.#mostBytes))
    const field = this.#watch.inspect?.(chunk)
    if (field !== undefined) return this.#break(refusedField(field))
    this.#timer?.refresh()
    if (this.push(chunk)) return
    // From here on the endpoint is the slow one; the timer starts again with the next read.
    this.#source.pause()
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #break (error: GatewayError): void {
    if (!this.destroyed && !this.readableEnded && !this.#source.readableEnded) this.#fail(error)
  }

  #fail (error: GatewayError): void {
    this.#source.pause()
    this.#onBroken(error)
    this.destroy(error)
  }
}
