// One request to one endpoint: response head as a promise, body through ResponseBody, one error for whatever goes wrong.
import type { GatewayError } from '../exchange/errors.ts'
import { isEventStream, without } from '../exchange/headers.ts'
import { ResponseBody, type BodySource } from '../exchange/response-body.ts'
import type { Attempt } from '../exchange/attempt.ts'
import type { Cancellable, Exchange, UpstreamResponse } from '../exchange/exchange.ts'
import type { Connection, Receiver } from './http1/connection.ts'
import type { ResponseHead } from './http1/response-head.ts'
import { readReason } from './response-headers.ts'
import { noHead, silentBody, translateError, type AttemptStage } from './translate-error.ts'

/** Its connection calls it back; it settles once at the response head. */
export class UpstreamAttempt implements Receiver, BodySource, Cancellable {
  readonly #head = Promise.withResolvers<UpstreamResponse>()
  readonly #exchange: Exchange
  readonly #attempt: Attempt
  #connection: Connection | undefined
  #stage: AttemptStage = 'connecting'
  #body: ResponseBody | undefined
  #isEventStream = false
  /** Nothing more is called back, and nobody waits for it any more. */
  #done = false
  #paused = false
  /** Longest silence in the body, ms; 0 = it is not watched. */
  #silenceMs = 0

  constructor (exchange: Exchange, attempt: Attempt) {
    this.#exchange = exchange
    this.#attempt = attempt
    exchange.waiting(this)
  }

  get response (): Promise<UpstreamResponse> { return this.#head.promise }

  /** Sends the request on this connection. */
  begin (connection: Connection, basePath: string): void {
    const { host, upstreamRequest: { method, path, headers, body } } = this.#exchange
    this.#connection = connection
    connection.send({ method, target: basePath + path, host, headers, body }, this)
  }

  get waitsFor (): string { return this.#stage === 'connecting' ? 'connection' : this.#attempt.isTimed ? 'response head' : 'request body' }

  // ---- called by the connection ----

  onStart (): void {
    this.#stage = 'sent'
    if (this.#exchange.upstreamRequest.body.kind === 'stream') this.#attempt.dueFromMs = Infinity
  }

  /** The endpoint's time for the head begins when it has everything: connecting has a limit of its own, and a client may be slow to send. */
  onSent (): void {
    if (this.#stage !== 'sent') return
    if (!this.#attempt.isTimed) this.#attempt.dueFromMs = performance.now()
    this.#connection!.watch(this.#exchange.route.policy.headersTimeoutMs)
  }

  onInformational ({ status, headers }: ResponseHead): void {
    // RFC 9110 section 8.6: it has none.
    this.#exchange.informed?.inform({ status, headers: without(headers, ['content-length']) })
  }

  onHead (head: ResponseHead): void {
    const { status, reason, headers } = head
    this.#stage = 'body'
    this.#connection!.unwatch()
    this.#exchange.waiting(undefined)
    this.#attempt.answered(status, headers)
    this.#isEventStream = isEventStream(headers)
    this.#body = new ResponseBody(this)
    this.#head.resolve({ status, reason: readReason(reason), headers, body: this.#body, read: head })
  }

  onData (piece: Buffer): void {
    if (this.#silenceMs > 0) this.#connection!.watch(this.#silenceMs)
    this.#body!.push(piece)
  }

  onText (body: string): void {
    this.#body!.pushText(body)
  }

  onEnd (trailers: readonly string[]): void {
    this.#done = true
    this.#body!.end(trailers)
  }

  onError (error: Error): void {
    this.#done = true
    this.#fail(translateError(error, this.#stage, this.#attempt.endpoint, this.#exchange.route.policy.connectTimeoutMs))
  }

  onTimeout (): void {
    const { endpoint } = this.#attempt
    this.cancel(this.#stage === 'sent' ? noHead(this.#exchange, endpoint) : silentBody(endpoint, this.#silenceMs, this.#paused))
  }

  // ---- called by the exchange and by the body's reader ----

  pause (): void {
    this.#paused = true
    if (!this.#done) this.#connection!.pause()
  }

  resume (): void {
    this.#paused = false
    if (this.#done) return
    if (this.#silenceMs > 0) this.#connection!.watch(this.#silenceMs)
    this.#connection!.resume()
  }

  /** The exchange ended, or nobody wants the body. What waits is told at once, and the connection goes: what is on it is for nobody else. */
  cancel (error: GatewayError): void {
    if (this.#done) return
    this.#done = true
    this.#connection?.abort()
    this.#fail(error)
  }

  /** From now on silence has a limit: an endpoint that stops sending, or a client that stops reading. Event streams may be silent. */
  watch (): void {
    if (this.#done || this.#isEventStream) return
    this.#silenceMs = this.#exchange.route.policy.bodyIdleTimeoutMs
    this.#connection!.watch(this.#silenceMs)
  }

  unwatch (): void {
    if (!this.#done) this.#connection!.unwatch()
  }

  #fail (error: GatewayError): void {
    if (this.#body !== undefined) return this.#body.fail(error)
    this.#exchange.waiting(undefined)
    this.#attempt.failed(error)
    this.#head.reject(error)
  }
}
