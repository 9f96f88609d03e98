// Writes a response to an HTTP/1.x client: one write where the body is whole, else piece by piece with backpressure.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { GatewayError } from '../exchange/errors.ts'
import type { Exchange, Informational, UpstreamResponse } from '../exchange/exchange.ts'
import type { BodySink, ResponseBody } from '../exchange/response-body.ts'
import { latin1, smallBodyBytes } from '../lib/latin1.ts'
import { turnEnd, type PutOff } from '../lib/turn-end.ts'
import { takesText, writeHeadText } from './head-text.ts'
import type { LocalReply } from './local-reply.ts'
import { isContentless, type ReplyHeaders } from './reply-headers.ts'
import type { BodyAccount } from './request-body.ts'
import { queuedBytes, type Unread, type UnreadAnswers } from './unread.ts'

/** One answer to one request, of either protocol. */
export interface Reply {
  readonly headSent: boolean
  /** Whether it can write a head that is text already. */
  readonly takesText: boolean
  /** From now on the client leaving ends this exchange. */
  attach (exchange: Exchange): void
  /** What the exchange holds of the memory for bodies is given back when it is over. */
  hold (account: BodyAccount): void
  /** Tells a client that waits for it to send its body. */
  writeContinue (): void
  inform (informational: Informational): void
  send (response: UpstreamResponse, headers: ReplyHeaders): void
  sendLocal (reply: LocalReply): void
  /** The answer cannot become whole any more. */
  cut (): void
}

/** What answers need to know of their listener. */
export interface ReplyState {
  /** Draining: the connection ends with this answer. */
  readonly closing: boolean
  readonly unread: UnreadAnswers
}

/** How long a client that goes on sending a body nobody wants is listened to, so that it can read the answer before the connection closes. */
const lingerMs = 1_000

export const discard: BodySink = { write: () => true, end () {}, fail () {} }
const replyOf = Symbol('reply')

type Tracked = ServerResponse & { [replyOf]?: Http1Reply }

// One function each for all exchanges: a closure per request is what they would cost otherwise.
function onClose (this: Tracked): void { this[replyOf]!.closed() }
function onDrain (this: Tracked): void { this[replyOf]!.drained() }

export class Http1Reply implements Reply, BodySink, PutOff, Unread {
  readonly #req: IncomingMessage
  readonly #res: Tracked
  readonly #server: ReplyState
  #exchange: Exchange | undefined
  #account: BodyAccount | undefined
  #body: ResponseBody | undefined
  /** Waits for the end of the turn. */
  #whole: Buffer | string | undefined
  previous: Unread | undefined = undefined
  next: Unread | undefined = undefined
  /** What the client had taken at the last look that saw a change, and when that was. */
  #taken: { readonly bytes: number, readonly atMs: number } | undefined

  constructor (req: IncomingMessage, res: ServerResponse, server: ReplyState) {
    this.#req = req
    this.#res = res
    this.#server = server
    this.#res[replyOf] = this
    res.on('close', onClose)
  }

  get headSent (): boolean { return this.#res.headersSent }
  /** Where the client waits for 100 Continue, Node closes the connection after an answer without it: not to be passed by. */
  get takesText (): boolean { return takesText && this.#req.headers.expect === undefined }

  attach (exchange: Exchange): void {
    this.#exchange = exchange
    if (this.#res.closed) exchange.end(new GatewayError('ClientClosed'))
  }

  hold (account: BodyAccount): void { this.#account = account }

  writeContinue (): void { this.#res.writeContinue() }

  inform ({ status, headers }: Informational): void {
    // 100 was the gateway's own to send, 101 is no intermediate answer, and HTTP/1.0 knows none.
    if (status <= 101 || this.#res.headersSent || this.#res.closed || this.#req.httpVersionMinor === 0) return
    this.#res.writeInformation(status, headers)
  }

  send (response: UpstreamResponse, reply: ReplyHeaders): void {
    const { headers, trailerAt, hasLength } = reply
    const res = this.#res
    const { status, reason, body } = response
    if (res.closed || res.destroyed) {
      body.cancel(new GatewayError('ClientClosed'))
      return
    }
    if (this.#server.closing) res.shouldKeepAlive = false
    const headOnly = isContentless(status) || status === 304 || this.#req.method === 'HEAD'
    const whole = body.takeWhole()
    // Trailers follow chunks only.
    if (trailerAt !== -1 && (headOnly || hasLength || whole !== undefined || this.#req.httpVersionMinor === 0)) headers.splice(trailerAt, 2)
    if (headOnly) {
      // Node would frame it in chunks.
      if (status === 205) headers.push('Content-Length', '0')
      this.#writeHead(status, reason, reply)
      if (whole === undefined) body.pipe(discard)
      this.#end(undefined)
    } else if (whole !== undefined) {
      if (!hasLength) headers.push('Content-Length', String(whole.length))
      // Throws now what cannot be written; only the write itself waits for the end of the turn.
      this.#writeHead(status, reason, reply)
      this.#whole = whole
      turnEnd.putOff(this)
    } else {
      this.#writeHead(status, reason, reply)
      this.#body = body
      res.on('drain', onDrain)
      body.pipe(this)
      // A stream of events sends its head long before its first byte.
      if (!res.writableEnded && !res.destroyed) res.flushHeaders()
    }
  }

  turnEnded (): void {
    const whole = this.#whole
    this.#whole = undefined
    if (!this.#res.destroyed) this.#end(whole)
  }

  sendLocal ({ status, reason, headers, body }: LocalReply): void {
    const res = this.#res
    if (res.closed || res.destroyed) return
    if (res.headersSent) return this.cut()
    if (this.#server.closing) res.shouldKeepAlive = false
    res.writeHead(status, reason, headers)
    this.#end(this.#req.method === 'HEAD' ? undefined : body)
  }

  cut (): void { this.#res.destroy() }

  // ---- called by the body ----

  write (chunk: Buffer): boolean {
    return this.#res.write(chunk)
  }

  end (trailers: readonly string[]): void {
    this.#body = undefined
    if (trailers.length > 0 && this.#res.chunkedEncoding) {
      const pairs: Array<[string, string]> = []
      for (let i = 0; i < trailers.length; i += 2) pairs.push([trailers[i]!, trailers[i + 1]!])
      this.#res.addTrailers(pairs)
    }
    this.#end(undefined)
  }

  /** An end would look like the end of the body; a closed connection in the middle of a chunk or length does not. */
  fail (_error: GatewayError): void {
    this.#body = undefined
    this.cut()
  }

  // ---- called by the response ----

  drained (): void { this.#body?.resume() }

  closed (): void {
    this.#server.unread.remove(this)
    this.#account?.giveBack()
    this.#account = undefined
    const exchange = this.#exchange
    if (exchange === undefined || (this.#res.writableEnded && this.#body === undefined)) return
    const left = new GatewayError('ClientClosed')
    exchange.end(left)
    this.#body?.cancel(left)
  }

  look (nowMs: number, idleMs: number): boolean {
    const { socket } = this.#req
    if (socket.destroyed) {
      // Node tells it to the answer that is being written only, not to those behind it.
      this.closed()
      return false
    }
    // Behind another one, whose service may take its time.
    if (this.#res.socket === null) return true
    const bytes = socket.bytesWritten - queuedBytes(socket)
    if (this.#taken?.bytes !== bytes) this.#taken = { bytes, atMs: nowMs }
    else if (nowMs - this.#taken.atMs >= idleMs) socket.destroy()
    return true
  }

  #writeHead (status: number, reason: string, reply: ReplyHeaders): void {
    if (reply.text === undefined) this.#res.writeHead(status, reason, reply.headers)
    else writeHeadText(this.#res, status, reason, reply.text, reply)
  }

  #end (whole: Buffer | string | undefined): void {
    const res = this.#res
    if (whole === undefined) res.end()
    else if (typeof whole === 'string') res.end(whole, 'latin1')
    else if (whole.length <= smallBodyBytes) res.end(latin1(whole), 'latin1')
    else res.end(whole)
    // Almost always all of it has gone to the kernel by now. (writableFinished is told a turn later.)
    if (res.socket === null || res.socket.writableLength > 0) this.#server.unread.add(this)
    if (!this.#req.complete && expectsBody(this.#req)) this.#linger()
  }

  /** Node would go on reading for as long as the client goes on sending. */
  #linger (): void {
    const req = this.#req
    const { socket } = req
    req.removeAllListeners('data')
    req.on('error', () => {}).resume()
    const timer = setTimeout(() => socket.destroy(), lingerMs)
    const done = () => {
      clearTimeout(timer)
      socket.removeListener('close', done)
    }
    req.once('end', done)
    // Of a kept connection there are many requests.
    socket.once('close', done)
  }
}

export function expectsBody (req: IncomingMessage): boolean {
  const { headers } = req
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] !== undefined && headers['content-length'] !== '0')
}
