// The handshake of a WebSocket at an endpoint (RFC 6455 section 4): an attempt like any other, whose 101 comes with its connection.
import { randomBytes } from 'node:crypto'
import http, { type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Attempt } from '../exchange/attempt.ts'
import type { GatewayError } from '../exchange/errors.ts'
import type { Cancellable, Exchange, UpstreamResponse } from '../exchange/exchange.ts'
import { without } from '../exchange/headers.ts'
import { ResponseBody, type BodySource } from '../exchange/response-body.ts'
import { acceptOf } from '../lib/websocket-accept.ts'
import type { Connector } from './http1/connector.ts'
import { ClosedEarly, ConnectTimeout, ProtocolError, UnwritableRequest } from './http1/errors.ts'
import { Watchdog } from '../lib/watchdog.ts'
import { namedForHop } from './answer-fields.ts'
import { readReason } from './response-headers.ts'
import { noHead, silentBody, translateError, type AttemptStage } from './translate-error.ts'

/** The client's own, which say something of its connection only. */
const ofTheClient = ['sec-websocket-key', 'sec-websocket-version', 'sec-websocket-extensions']
/** RFC 9110 section 7.6.1. */
const ofThisHop = ['connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'te', 'transfer-encoding', 'upgrade']

/** A connection of its own, which is handed over with 101 or closed after any other answer. Settles once at the response head. */
export class UpgradeAttempt implements BodySource, Cancellable {
  readonly #head = Promise.withResolvers<UpstreamResponse>()
  readonly #exchange: Exchange
  readonly #attempt: Attempt
  readonly #watchdog = new Watchdog(() => this.#due())
  #socket: Socket | undefined
  #answer: IncomingMessage | undefined
  #body: ResponseBody | undefined
  #stage: AttemptStage = 'connecting'
  /** Nothing more is called back, and nobody waits for it any more. */
  #done = false
  #paused = false
  /** Longest silence in the body of a refusal, ms; 0 = it is not watched. */
  #silenceMs = 0

  constructor (exchange: Exchange, attempt: Attempt) {
    this.#exchange = exchange
    this.#attempt = attempt
    exchange.waiting(this)
  }

  get response (): Promise<UpstreamResponse> { return this.#head.promise }

  get waitsFor (): string { return this.#stage === 'connecting' ? 'connection' : 'response head' }

  begin (connector: Connector, basePath: string): void {
    let socket: Socket
    try {
      socket = connector.open()
    } catch (error) {
      // Certificates that cannot be used are found out when they are.
      return this.#broken(error as Error)
    }
    this.#socket = socket
    this.#watchdog.in(this.#exchange.route.policy.connectTimeoutMs)
    socket
      .once(connector.secure ? 'secureConnect' : 'connect', () => this.#connected(socket, connector.authority, basePath))
      .on('error', error => this.#broken(error))
      .on('close', () => this.#broken(new ClosedEarly('the endpoint closed the connection')))
  }

  // ---- called by the exchange and by the body's reader ----

  pause (): void {
    this.#paused = true
    this.#answer?.pause()
  }

  resume (): void {
    this.#paused = false
    if (this.#silenceMs > 0 && !this.#done) this.#watchdog.in(this.#silenceMs)
    this.#answer?.resume()
  }

  /** The exchange ended, or nobody wants the answer: not even the connection of a 101. */
  cancel (error: GatewayError): void {
    this.#socket?.destroy()
    this.#fail(error)
  }

  watch (): void {
    if (this.#done) return
    this.#silenceMs = this.#exchange.route.policy.bodyIdleTimeoutMs
    this.#watchdog.in(this.#silenceMs)
  }

  unwatch (): void {
    this.#watchdog.off()
  }

  // ---- called by the connection ----

  #connected (socket: Socket, authority: string, basePath: string): void {
    const { host = authority, upstreamRequest: { path, headers } } = this.#exchange
    const key = randomBytes(16).toString('base64')
    this.#stage = 'sent'
    this.#watchdog.in(this.#exchange.route.policy.headersTimeoutMs)
    let request: http.ClientRequest
    try {
      request = http.request({
        createConnection: () => socket,
        path: basePath + path,
        headers: ['Host', host, 'Connection', 'Upgrade', 'Upgrade', 'websocket', 'Sec-WebSocket-Version', '13', 'Sec-WebSocket-Key', key, ...without(headers, ofTheClient)]
      })
    } catch (error) {
      socket.destroy()
      return this.#broken(new UnwritableRequest((error as Error).message))
    }
    request.on('error', (error: NodeJS.ErrnoException) => this.#broken(error.code?.startsWith('HPE_') ? new ProtocolError(error.code) : error))
    request.on('upgrade', (answer, _socket, head) => this.#switched(answer, socket, head, key))
    request.on('response', answer => this.#refused(answer))
    request.end()
  }

  #switched (answer: IncomingMessage, socket: Socket, head: Buffer, key: string): void {
    if (this.#done) return
    const { upgrade, 'sec-websocket-accept': accept } = answer.headers
    const isValid = upgrade?.toLowerCase() === 'websocket' && accept === acceptOf(key)
    if (!isValid) {
      socket.destroy()
      return this.#broken(new ProtocolError('the answer is to another handshake'))
    }
    this.#watchdog.close()
    // From here on whoever carries the connection says when it is over.
    this.#done = true
    if (head.length > 0) socket.unshift(head)
    this.#answered(answer, socket)
  }

  /** The service's own word, body included. */
  #refused (answer: IncomingMessage): void {
    if (this.#done) return
    this.#watchdog.off()
    this.#answer = answer
    this.#stage = 'body'
    this.#answered(answer)
    answer.on('data', (piece: Buffer) => {
      if (this.#silenceMs > 0) this.#watchdog.in(this.#silenceMs)
      this.#body!.push(piece)
    })
    answer.on('end', () => {
      this.#done = true
      this.#watchdog.close()
      this.#body!.end([])
    })
    answer.on('error', error => this.#broken(error))
  }

  #answered (answer: IncomingMessage, socket?: Socket): void {
    const named = answer.headers.connection === undefined ? undefined : namedForHop(answer.headers.connection)
    const headers = without(answer.rawHeaders, [...ofThisHop, ...named ?? []])
    this.#exchange.waiting(undefined)
    this.#attempt.answered(answer.statusCode!, headers)
    this.#body = new ResponseBody(this)
    this.#head.resolve({ status: answer.statusCode!, reason: readReason(answer.statusMessage!), headers, body: this.#body, socket })
  }

  #due (): void {
    const { endpoint } = this.#attempt
    switch (this.#stage) {
      case 'connecting': return this.cancel(translateError(new ConnectTimeout('no connection in time'), 'connecting', endpoint, this.#exchange.route.policy.connectTimeoutMs))
      case 'sent': return this.cancel(noHead(this.#exchange, endpoint))
      case 'body': return this.cancel(silentBody(endpoint, this.#silenceMs, this.#paused))
    }
  }

  #broken (error: Error): void {
    this.#fail(translateError(error, this.#stage, this.#attempt.endpoint, this.#exchange.route.policy.connectTimeoutMs))
  }

  #fail (error: GatewayError): void {
    if (this.#done) return
    this.#done = true
    this.#watchdog.close()
    if (this.#body !== undefined) return this.#body.fail(error)
    this.#exchange.waiting(undefined)
    this.#attempt.failed(error)
    this.#head.reject(error)
  }
}
