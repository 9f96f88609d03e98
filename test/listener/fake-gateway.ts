// A listener on a real socket in front of a gateway that answers by script.
import { defaultConfig } from '../../src/config/load.ts'
import type { Config, EdgeConfig, ListenerConfig } from '../../src/config/schema.ts'
import { GatewayError } from '../../src/exchange/errors.ts'
import type { Exchange, Route, UpstreamHandle, UpstreamResponse } from '../../src/exchange/exchange.ts'
import { ResponseBody } from '../../src/exchange/response-body.ts'
import { createListener, type GatewayCore, type Listener } from '../../src/listener/server.ts'
import type { RequestTarget } from '../../src/routing/request-target.ts'
import { policy } from '../support/exchange.ts'

export type Answer = (exchange: Exchange) => UpstreamResponse | Promise<UpstreamResponse>

export interface FakeOptions {
  readonly answer?: Answer
  readonly kind?: Route['kind']
  readonly websocket?: boolean
  readonly upstream?: Partial<UpstreamHandle>
  readonly listener?: Partial<Omit<ListenerConfig, 'limits'>> & { readonly limits?: Partial<ListenerConfig['limits']> }
  readonly edge?: Partial<EdgeConfig>
}

export interface FakeGateway {
  readonly url: string
  readonly port: number
  readonly listener: Listener
  readonly config: Config
  /** What routes were handed, in order. */
  readonly exchanges: Exchange[]
  /** Codes of what was refused before a route handled it. */
  readonly refused: string[]
  /** Everything logged beside exchanges. */
  readonly logged: unknown[]
  readonly core: GatewayCore
  answer: Answer
  close (): Promise<void>
  [Symbol.asyncDispose] (): Promise<void>
}

export const ok = (body: string | Buffer = '{}', headers: string[] = ['Content-Type', 'application/json']): UpstreamResponse =>
  ({ status: 200, reason: 'OK', headers, body: ResponseBody.of(Buffer.from(body)) })

/** Messages whose name begins with `hidden` do not exist; everything else is answered. */
export async function startFake (options: FakeOptions = {}): Promise<FakeGateway> {
  const config = defaultConfig()
  const listenerConfig: ListenerConfig = { ...config.listener, address: '127.0.0.1:0', ...options.listener, limits: { ...config.listener.limits, ...options.listener?.limits } }
  const edge: EdgeConfig = { ...config.edge, ...options.edge }
  const exchanges: Exchange[] = []
  const refused: string[] = []
  const logged: unknown[] = []
  const note = (...line: unknown[]) => { logged.push(line) }
  const fake = { answer: options.answer ?? (() => ok()) }
  const upstream: UpstreamHandle = { name: 'orders', acquire: () => undefined, release () {}, tryAcquire: () => true, releaseExtra () {}, reach: () => 'another', asked: () => undefined, lost: () => undefined, apiForm: true, preserveHost: false, takesUnlisted: true, retryBudget: { exchange () {}, answered () {}, answers: 0, take: () => true }, breakers: { enter: () => ({ answered () {}, failed () {}, left () {} }), share: () => 1, defers: () => false }, pick: () => undefined, whyNone: () => new GatewayError('NoEndpoint'), select: () => new Set(), selectRest: () => new Set(), isUsable: () => true, ...options.upstream }
  const core = {
    endpointAt: () => undefined,
    match (target: RequestTarget) {
      if (target.kind === 'message' && target.key.startsWith('hidden')) throw new GatewayError('MessageNotFound', { message: `The message '${target.name}' does not exist.` })
      const route: Route = {
        kind: options.kind ?? 'message',
        name: 'GetOrder',
        upstream,
        endpoints: undefined,
        policy,
        effect: undefined,
        times: undefined,
        meter: { start () {}, done () {}, retry () {}, hedge () {}, degraded () {} },
        handle: async exchange => {
          exchanges.push(exchange)
          return await fake.answer(exchange)
        }
      }
      return { route, path: target.path + target.query, canonicalPath: target.path, websocket: options.websocket ?? false, single: target.kind !== 'message' || (target.form !== 'oneway' && !target.batch), effect: undefined, reached: [] }
    },
    refused (error: GatewayError) { refused.push(error.code) },
    log: { debug: note, info: note, warn: note, error: note, fatal: note, exchange: note, security: note, dropped: 0, flush: async () => {}, close: async () => {} }
  }
  const listener = await createListener({ config: listenerConfig, edge, gateway: core })
  const { port, scheme } = listener.addresses[0]!
  const close = async () => { await listener.close() }
  return {
    url: `${scheme}://127.0.0.1:${port}`,
    port,
    listener,
    config: { ...config, listener: listenerConfig, edge },
    exchanges,
    refused,
    logged,
    core,
    get answer () { return fake.answer },
    set answer (answer) { fake.answer = answer },
    close,
    [Symbol.asyncDispose]: close
  }
}

/** A body that the test writes itself. */
export function openBody (): { body: ResponseBody, cancelled: Promise<GatewayError>, paused: () => boolean } {
  let paused = false
  const { promise: cancelled, resolve } = Promise.withResolvers<GatewayError>()
  const body = new ResponseBody({ pause () { paused = true }, resume () { paused = false }, cancel: resolve, watch () {}, unwatch () {} })
  return { body, cancelled, paused: () => paused }
}

/** First value of a header in a flat list. */
export function field (headers: readonly string[], name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) if (headers[i]!.toLowerCase() === name.toLowerCase()) return headers[i + 1]
  return undefined
}
