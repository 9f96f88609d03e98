// One request to one endpoint over undici's dispatch: response head as a promise, body through ResponseBody.
import type { Dispatcher } from 'undici'
import { GatewayError } from '../exchange/errors.ts'
import { ResponseBody, type BodySource } from '../exchange/response-body.ts'
import type { Attempt, Cancellable, Exchange, UpstreamResponse } from '../exchange/exchange.ts'
import { isEventStream, readReason, readResponseHeaders } from './response-headers.ts'
import { translateError, type AttemptStage } from './translate-error.ts'

type Controller = Dispatcher.DispatchController & { rawHeaders?: Buffer[] }

const noTrailers: readonly string[] = []

/** What an attempt runs on. */
export interface Connection {
  giveBack (): void
}

/**
 * undici calls it back; it settles once at the response head, and gives its connection back once, when it is free again or gone.
 * Its timers are ours: undici's come up to a second late (150 ms took 730, measured), and the body's must not hold for event streams.
 */
export class UpstreamAttempt implements Dispatcher.DispatchHandler, BodySource, Cancellable {
  readonly response: Promise<UpstreamResponse>
  readonly #exchange: Exchange
  readonly #attempt: Attempt
  readonly #connection: Connection
  readonly #resolve: (response: UpstreamResponse) => void
  readonly #reject: (error: GatewayError) => void
  #stage: AttemptStage = 'connecting'
  #controller: Controller | undefined
  #headers: readonly string[] = noTrailers
  #body: ResponseBody | undefined
  /** Set when nobody waits for it any more. */
  #givenUp: GatewayError | undefined
  #done = false
  #paused = false
  /** For the response head, then for silence in the body. */
  #timer: NodeJS.Timeout | undefined

  constructor (exchange: Exchange, attempt: Attempt, connection: Connection) {
    this.#exchange = exchange
    this.#attempt = attempt
    this.#connection = connection
    const { promise, resolve, reject } = Promise.withResolvers<UpstreamResponse>()
    this.response = promise
    this.#resolve = resolve
    this.#reject = reject
    exchange.waiting(this)
  }

  // ---- called by undici ----

  onRequestStart (controller: Controller): void {
    this.#controller = controller
    this.#stage = 'sent'
    if (this.#givenUp !== undefined) controller.abort(this.#givenUp)
  }

  /** The endpoint's time for the head begins when it has everything: connecting has a limit of its own, and a client may be slow to send. */
  onRequestSent (): void {
    if (this.#stage === 'sent' && this.#givenUp === undefined) this.#timer = setTimeout(noHead, this.#exchange.route.policy.headersTimeoutMs, this)
  }

  onResponseStart (controller: Controller, status: number, _headers: unknown, reason = ''): void {
    const headers = readResponseHeaders(controller.rawHeaders ?? [])
    if (status < 200) {
      this.#exchange.onInformational?.({ status, headers })
      return
    }
    this.#stage = 'body'
    this.#stopTimer()
    this.#exchange.waiting(undefined)
    this.#attempt.answered(status)
    this.#headers = headers
    this.#body = new ResponseBody(this)
    this.#resolve({ status, reason: readReason(reason), headers, body: this.#body })
  }

  onResponseData (_controller: Controller, chunk: Buffer): void {
    this.#timer?.refresh()
    this.#body!.push(chunk)
  }

  onResponseEnd (_controller: Controller, trailers: Record<string, string | string[] | undefined>): void {
    this.#finish()
    this.#body!.end(flatTrailers(trailers))
  }

  onResponseError (_controller: Controller, error: Error): void {
    const translated = this.#givenUp ?? this.#clientBroke() ?? translateError(error, this.#stage, this.#attempt.endpoint)
    this.#finish()
    if (this.#body !== undefined) this.#body.fail(translated)
    else {
      this.#exchange.waiting(undefined)
      this.#fail(translated)
    }
  }

  // ---- called by the body's reader ----

  pause (): void {
    this.#paused = true
    this.#controller?.pause()
  }

  resume (): void {
    this.#paused = false
    this.#timer?.refresh()
    this.#controller?.resume()
  }

  /** No head within headersTimeoutMs. */
  expire (): void {
    const { headersTimeoutMs } = this.#exchange.route.policy
    this.cancel(new GatewayError('HeadersTimeout', { detail: { endpoint: this.#attempt.endpoint, limit: 'headersTimeoutMs', value: headersTimeoutMs, waitedFor: 'response head' } }))
  }

  /** The exchange ended, or nobody wants the body. What waits is told at once; the connection goes as soon as undici lets us. */
  cancel (error: GatewayError): void {
    if (this.#done || this.#givenUp !== undefined) return
    this.#givenUp = error
    this.#exchange.waiting(undefined)
    if (this.#body === undefined) this.#fail(error)
    // While connecting there is no controller yet: onRequestStart aborts then, or the connect error ends it.
    this.#controller?.abort(error)
  }

  /** From now on silence has a limit: an endpoint that stops sending, or a client that stops reading. Event streams may be silent. */
  watch (): void {
    const { bodyIdleTimeoutMs } = this.#exchange.route.policy
    if (!this.#done && !isEventStream(this.#headers)) this.#timer = setTimeout(() => this.#silence(bodyIdleTimeoutMs), bodyIdleTimeoutMs)
  }

  #silence (idleTimeoutMs: number): void {
    const detail = { endpoint: this.#attempt.endpoint, limit: 'bodyIdleTimeoutMs', value: idleTimeoutMs, waitedFor: this.#paused ? 'client' : 'endpoint' }
    const error = new GatewayError(this.#paused ? 'ClientClosed' : 'BodyTimeout', { detail })
    this.#givenUp ??= error
    this.#body?.fail(error)
    this.#controller?.abort(error)
  }

  /** undici reports a request body that broke as the failure of the request; it is the client's. */
  #clientBroke (): GatewayError | undefined {
    const { body } = this.#exchange.upstreamRequest
    if (body.kind !== 'stream' || !(body.stream.errored !== null || (body.stream.destroyed && !body.stream.readableEnded))) return undefined
    return new GatewayError('BodyIncomplete', { cause: body.stream.errored ?? undefined })
  }

  #fail (error: GatewayError): void {
    this.#attempt.failed(error)
    this.#reject(error)
  }

  #finish (): void {
    if (this.#done) return
    this.#done = true
    this.#stopTimer()
    this.#connection.giveBack()
  }

  /** A cleared timer comes back to life when it is refreshed, so it is forgotten. */
  #stopTimer (): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}

function noHead (attempt: UpstreamAttempt): void {
  attempt.expire()
}

function flatTrailers (trailers: Record<string, string | string[] | undefined>): readonly string[] {
  let flat: string[] | undefined
  for (const name in trailers) {
    const value = trailers[name]
    if (value === undefined) continue
    flat ??= []
    for (const one of Array.isArray(value) ? value : [value]) flat.push(name, one)
  }
  return flat ?? noTrailers
}
