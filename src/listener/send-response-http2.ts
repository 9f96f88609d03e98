// Writes a response to an HTTP/2 client through the stream itself: Fastify's and Node's compatibility layers cost half of it again.
import { constants, type Http2ServerRequest, type Http2ServerResponse, type OutgoingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { GatewayError } from '../exchange/errors.ts'
import type { Exchange, Informational, UpstreamResponse } from '../exchange/exchange.ts'
import type { BodySink, ResponseBody } from '../exchange/response-body.ts'
import { countAnswer } from './http2-session.ts'
import type { LocalReply } from './local-reply.ts'
import { isContentless, type ReplyHeaders } from './reply-headers.ts'
import type { BodyAccount } from './request-body.ts'
import { discard, type Reply, type ReplyState } from './send-response.ts'
import type { Unread } from './unread.ts'

/** RFC 9113 section 8.2.2. Node throws when it meets one: for trailers in an event of its own, where nobody could catch it. */
const forbidden = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'te', 'http2-settings'])

/** What HTTP/2 takes of a flat list: one value a name, because Node refuses some names twice. */
function joinedFields (list: readonly string[]): Map<string, string> {
  const fields = new Map<string, string>()
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i]!.toLowerCase()
    if (forbidden.has(name)) continue
    const before = fields.get(name)
    fields.set(name, before === undefined ? list[i + 1]! : `${before}, ${list[i + 1]!}`)
  }
  return fields
}

const replyOf = Symbol('reply')
type Tracked = ServerHttp2Stream & { [replyOf]?: Http2Reply }

function onClose (this: Tracked): void { this[replyOf]!.closed() }
function onDrain (this: Tracked): void { this[replyOf]!.drained() }
function onFinish (this: Tracked): void { this[replyOf]!.finished() }

export class Http2Reply implements Reply, BodySink, Unread {
  readonly #req: Http2ServerRequest
  readonly #res: Http2ServerResponse & { setTrailer (name: string, value: string): void }
  readonly #stream: Tracked
  readonly #session: ServerHttp2Session | undefined
  readonly #server: ReplyState
  #exchange: Exchange | undefined
  #account: BodyAccount | undefined
  #body: ResponseBody | undefined
  previous: Unread | undefined = undefined
  next: Unread | undefined = undefined

  constructor (req: Http2ServerRequest, res: Http2ServerResponse, server: ReplyState) {
    this.#server = server
    this.#req = req
    // Node's types leave it out.
    this.#res = res as Http2ServerResponse & { setTrailer (name: string, value: string): void }
    this.#stream = res.stream as Tracked
    this.#stream[replyOf] = this
    // A stream that is destroyed has none any more.
    this.#session = this.#stream.session as ServerHttp2Session | undefined
    if (this.#session !== undefined) countAnswer(this.#session, 1)
    this.#stream.on('close', onClose).on('finish', onFinish)
  }

  get headSent (): boolean { return this.#stream.headersSent }
  get takesText (): boolean { return false }

  attach (exchange: Exchange): void {
    this.#exchange = exchange
    if (this.#gone) exchange.end(new GatewayError('ClientClosed'))
  }

  hold (account: BodyAccount): void { this.#account = account }

  writeContinue (): void { this.#res.writeContinue() }

  inform ({ status, headers }: Informational): void {
    if (status <= 101 || this.#gone || this.#stream.headersSent) return
    this.#stream.additionalHeaders({ ':status': status, ...Object.fromEntries(joinedFields(headers)) })
  }

  send (response: UpstreamResponse, { headers, trailerAt, hasLength }: ReplyHeaders): void {
    const { status, body } = response
    if (this.#gone) {
      body.cancel(new GatewayError('ClientClosed'))
      return
    }
    const headOnly = isContentless(status) || status === 304 || this.#req.method === 'HEAD'
    const whole = body.takeWhole()
    if (trailerAt !== -1 && (headOnly || whole !== undefined)) headers.splice(trailerAt, 2)
    if (whole !== undefined && !hasLength && !headOnly) headers.push('content-length', String(whole.length))
    if (headOnly || whole?.length === 0) {
      this.#respond(status, headers, { endStream: true })
      if (whole === undefined) body.pipe(discard)
    } else if (whole !== undefined) {
      this.#respond(status, headers, {})
      if (typeof whole === 'string') this.#stream.end(whole, 'latin1')
      else this.#stream.end(whole)
      this.#server.unread.add(this)
    } else {
      // Node's compatibility layer sends them when the body has ended.
      this.#respond(status, headers, { waitForTrailers: true })
      this.#body = body
      this.#stream.on('drain', onDrain)
      body.pipe(this)
    }
  }

  sendLocal ({ status, headers, body }: LocalReply): void {
    if (this.#gone) return
    if (this.#stream.headersSent) return this.cut()
    const headOnly = this.#req.method === 'HEAD'
    this.#respond(status, headers, { endStream: headOnly })
    if (headOnly) return
    this.#stream.end(body)
    this.#server.unread.add(this)
  }

  cut (): void { this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR) }

  // ---- called by the body ----

  write (chunk: Buffer): boolean { return this.#stream.write(chunk) }

  end (trailers: readonly string[]): void {
    this.#body = undefined
    if (trailers.length > 0) for (const [name, value] of joinedFields(trailers)) this.#res.setTrailer(name, value)
    this.#stream.end()
    this.#server.unread.add(this)
  }

  fail (_error: GatewayError): void {
    this.#body = undefined
    this.cut()
  }

  // ---- called by the stream ----

  drained (): void { this.#body?.resume() }

  /** The client may stop sending a body that nobody reads to its end (RFC 9113 section 8.1). */
  finished (): void {
    if (!this.#stream.readableEnded && !this.#stream.endAfterHeaders) this.#stream.close(constants.NGHTTP2_NO_ERROR)
  }

  /** Node ends a stream that the client resets, as if we had: only `aborted` tells that nobody got the whole answer. */
  closed (): void {
    this.#server.unread.remove(this)
    if (this.#session !== undefined) countAnswer(this.#session, -1)
    this.#account?.giveBack()
    this.#account = undefined
    const exchange = this.#exchange
    if (exchange === undefined || !this.#stream.aborted) return
    const left = new GatewayError('ClientClosed')
    exchange.end(left)
    this.#body?.cancel(left)
  }

  /** Only Node knows what of a long write has left; it looks at that before it calls a stream idle. */
  look (_nowMs: number, idleMs: number): boolean {
    // Destroyed, not reset only: a reset would wait behind what nobody takes.
    this.#stream.setTimeout(idleMs, () => this.#stream.destroy())
    return false
  }

  get #gone (): boolean { return this.#stream.destroyed || this.#stream.closed }

  #respond (status: number, headers: string[], options: { endStream?: boolean, waitForTrailers?: boolean }): void {
    headers.unshift(':status', String(status))
    // An array keeps order and repetitions; Node's types do not know of it yet.
    this.#stream.respond(headers as unknown as OutgoingHttpHeaders, options)
  }
}
