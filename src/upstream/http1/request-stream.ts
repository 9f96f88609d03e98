// A streamed request body on its way into the socket: at the endpoint's pace, and never as if it were whole when it is not.
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'

export interface RequestStreamEvents {
  /** Every byte is written. */
  onSent (): void
  /** The body broke, or is not as long as its Content-Length: the connection must be cut. `cause` as the stream tells it. */
  onBroken (cause: Error | undefined): void
}

/** The stream stays its owner's: it is paused, not destroyed, when the endpoint fails. */
export class RequestStream {
  readonly #socket: Socket
  readonly #stream: Readable
  /** undefined = chunked. */
  readonly #length: number | undefined
  readonly #events: RequestStreamEvents
  #sent = 0
  #over = false
  readonly #onData = (piece: Buffer) => this.#write(piece)
  readonly #onEnd = () => this.#end()
  readonly #onClose = () => this.#break(undefined)
  readonly #onError = (cause: Error) => this.#break(cause)
  readonly #onDrain = () => { this.#stream.resume() }

  constructor (socket: Socket, stream: Readable, length: number | undefined, events: RequestStreamEvents) {
    this.#socket = socket
    this.#stream = stream
    this.#length = length
    this.#events = events
  }

  start (): void {
    const stream = this.#stream
    if (stream.errored !== null || stream.destroyed) return this.#break(stream.errored ?? undefined)
    this.#socket.on('drain', this.#onDrain)
    stream.on('error', this.#onError).on('close', this.#onClose).on('end', this.#onEnd).on('data', this.#onData)
  }

  /** Nobody wants the rest. */
  stop (): void {
    if (this.#over) return
    this.#over = true
    this.#socket.off('drain', this.#onDrain)
    this.#stream.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose).off('error', this.#onError).pause()
    // It may still break, which is nobody's business here any more.
    this.#stream.on('error', () => {})
  }

  #write (piece: Buffer): void {
    if (piece.length === 0) return
    this.#sent += piece.length
    if (this.#length !== undefined && this.#sent > this.#length) return this.#break(undefined)
    if (!this.#send(piece)) this.#stream.pause()
  }

  #send (piece: Buffer): boolean {
    const socket = this.#socket
    if (this.#length !== undefined) return socket.write(piece)
    socket.cork()
    socket.write(`${piece.length.toString(16)}\r\n`, 'latin1')
    socket.write(piece)
    const wantsMore = socket.write('\r\n', 'latin1')
    socket.uncork()
    return wantsMore
  }

  #end (): void {
    if (this.#length !== undefined && this.#sent !== this.#length) return this.#break(undefined)
    if (this.#length === undefined) this.#socket.write('0\r\n\r\n', 'latin1')
    this.stop()
    this.#events.onSent()
  }

  #break (cause: Error | undefined): void {
    if (this.#over) return
    this.stop()
    this.#events.onBroken(cause)
  }
}
