// One kept connection to an endpoint: a socket, the answers read from it, one exchange at a time.
import type { Socket } from 'node:net'
import type { RequestBody } from '../../exchange/exchange.ts'
import { latin1, smallBodyBytes } from '../../lib/latin1.ts'
import { turnEnd, type PutOff } from '../../lib/turn-end.ts'
import type { Connector } from './connector.ts'
import { BrokenBody, ClosedEarly, ConnectTimeout } from './errors.ts'
import { requestHead } from './request-head.ts'
import { RequestStream, type RequestStreamEvents } from './request-stream.ts'
import type { ResponseHead } from './response-head.ts'
import { ResponseParser, type ResponseEvents } from './response-parser.ts'
import { Watchdog } from '../../lib/watchdog.ts'

export interface WireRequest {
  readonly method: string
  readonly target: string
  /** undefined = the endpoint's own. */
  readonly host: string | undefined
  readonly headers: readonly string[]
  readonly body: RequestBody
}

/** Whose exchange it is. After `onEnd` or `onError` nothing more is called. */
export interface Receiver {
  /** Connected: from here on something may have been sent. */
  onStart (): void
  /** The endpoint has the whole request. */
  onSent (): void
  onInformational (head: ResponseHead): void
  onHead (head: ResponseHead): void
  onData (piece: Buffer): void
  /** The whole body as latin1 text, in place of `onData`. */
  onText (body: string): void
  onEnd (trailers: readonly string[]): void
  /** One of errors.ts, or what the socket says. The connection is gone. */
  onError (error: Error): void
  /** The time given to `watch` is over. */
  onTimeout (): void
}

export interface ConnectionOwner {
  /** It may carry the next exchange. `keepAliveMs`: how long the endpoint says that it keeps it; undefined = it does not say. */
  onFree (connection: Connection, keepAliveMs: number | undefined): void
  onGone (connection: Connection): void
  /** The other end closed one, in use or not. Told after `onGone`. */
  onCut (): void
}

/** All sockets are read into the same memory, one after the other: what is to stay is copied out before the next read. */
const readBuffer = Buffer.allocUnsafeSlow(65_536)

export class Connection implements ResponseEvents, RequestStreamEvents, PutOff {
  /** Its owner's note: nobody uses it. */
  free = false
  /** Its owner's note: it has carried an answer. */
  proven = false
  readonly #owner: ConnectionOwner
  readonly #connector: Connector
  readonly #socket: Socket
  readonly #parser = new ResponseParser(this)
  readonly #watchdog = new Watchdog(() => this.#due())
  #state: 'connecting' | 'open' | 'closed' = 'connecting'
  #receiver: Receiver | undefined
  /** Waits for the connection. */
  #request: WireRequest | undefined
  #stream: RequestStream | undefined
  /** A whole request that waits for the end of the turn. */
  #unsent: string | undefined
  #paused = false
  #keepAliveMs: number | undefined

  constructor (owner: ConnectionOwner, connector: Connector, connectTimeoutMs: number) {
    this.#owner = owner
    this.#connector = connector
    this.#socket = connector.open({ buffer: readBuffer, callback: bytes => this.#read(bytes) })
    this.#socket
      .once(connector.secure ? 'secureConnect' : 'connect', () => this.#connected())
      .on('error', error => this.#cut(error))
      .on('end', () => this.#ended())
      .on('close', () => this.#cut(new ClosedEarly('the endpoint closed the connection')))
    this.#watchdog.in(connectTimeoutMs)
  }

  /** The address at its far end; undefined while there is none. */
  get peer (): string | undefined { return this.#socket.remoteAddress }

  /** One exchange. Only while none is under way. */
  send (request: WireRequest, receiver: Receiver): void {
    this.#receiver = receiver
    if (this.#state === 'connecting') this.#request = request
    else this.#write(request, receiver)
  }

  /** The receiver wants no more of it: nothing is called back, and what is under way ends here. */
  abort (): void {
    this.#receiver = undefined
    this.close()
  }

  pause (): void {
    this.#paused = true
    this.#socket.pause()
  }

  resume (): void {
    this.#paused = false
    this.#socket.resume()
  }

  /** Tells the receiver when so much time has gone by, unless it is moved before. While it is free: closes then. Milliseconds. */
  watch (ms: number): void {
    this.#watchdog.in(ms)
  }

  unwatch (): void {
    this.#watchdog.off()
  }

  /** Cuts it. The owner is told, once. */
  close (): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#request = undefined
    this.#stream?.stop()
    this.#watchdog.close()
    this.#socket.destroy()
    this.#owner.onGone(this)
  }

  // ---- called by the socket ----

  #connected (): void {
    if (this.#state !== 'connecting') return
    this.#state = 'open'
    this.#watchdog.off()
    const request = this.#request
    this.#request = undefined
    if (request !== undefined) this.#write(request, this.#receiver!)
  }

  #read (bytes: number): boolean {
    try {
      this.#parser.push(readBuffer, bytes)
    } catch (error) {
      this.#fail(error as Error)
    }
    // `pause` has stopped the reading itself, where it was called meanwhile.
    return true
  }

  #ended (): void {
    if (this.#receiver === undefined || !this.#parser.end()) this.#cut(new ClosedEarly('the endpoint closed the connection'))
  }

  #cut (error: Error): void {
    const wasOpen = this.#state === 'open'
    this.#fail(error)
    if (wasOpen) this.#owner.onCut()
  }

  #fail (error: Error): void {
    const receiver = this.#receiver
    this.#receiver = undefined
    this.close()
    receiver?.onError(error)
  }

  #due (): void {
    if (this.#state === 'connecting') this.#fail(new ConnectTimeout('no connection in time'))
    else if (this.#receiver === undefined) this.close()
    else this.#receiver.onTimeout()
  }

  // ---- the request ----

  #write ({ method, target, host, headers, body }: WireRequest, receiver: Receiver): void {
    const length = body.kind === 'none' ? undefined : body.kind === 'held' ? body.bytes.length : body.contentLength ?? 'chunked'
    let head: string
    try {
      head = requestHead({ method, target, host: host ?? this.#connector.authority, headers, length })
    } catch (error) {
      return this.#fail(error as Error)
    }
    const socket = this.#socket
    receiver.onStart()
    this.#parser.expect(method === 'HEAD')
    switch (body.kind) {
      case 'none': return this.#putOff(head)
      case 'held':
        if (body.bytes.length <= smallBodyBytes) return this.#putOff(head + latin1(body.bytes))
        socket.cork()
        socket.write(head, 'latin1')
        socket.write(body.bytes)
        socket.uncork()
        return receiver.onSent()
      case 'stream':
        socket.write(head, 'latin1')
        this.#stream = new RequestStream(socket, body.stream, body.contentLength, this)
        this.#stream.start()
    }
  }

  #putOff (whole: string): void {
    this.#unsent = whole
    turnEnd.putOff(this)
  }

  turnEnded (): void {
    const whole = this.#unsent
    this.#unsent = undefined
    if (whole === undefined || this.#state !== 'open') return
    this.#socket.write(whole, 'latin1')
    this.#receiver?.onSent()
  }

  onSent (): void {
    this.#stream = undefined
    this.#receiver?.onSent()
  }

  onBroken (cause: Error | undefined): void {
    this.#fail(new BrokenBody('the request body ended short', { cause }))
  }

  // ---- called by the parser ----

  onInformational (head: ResponseHead): void {
    this.#receiver?.onInformational(head)
  }

  onHead (head: ResponseHead): void {
    this.#keepAliveMs = head.keepAliveMs
    this.#receiver?.onHead(head)
  }

  onData (piece: Buffer): void {
    this.#receiver?.onData(piece)
  }

  onText (body: string): void {
    this.#receiver?.onText(body)
  }

  onComplete (trailers: readonly string[], reusable: boolean): void {
    const receiver = this.#receiver
    if (receiver === undefined) return
    this.#receiver = undefined
    // An answer to a request of which not everything was sent is whole all the same; its connection is not.
    if (reusable && this.#stream === undefined) {
      this.#watchdog.off()
      // What paused it was the reader of this answer.
      if (this.#paused) this.resume()
      this.#owner.onFree(this, this.#keepAliveMs)
    } else this.close()
    receiver.onEnd(trailers)
  }
}
