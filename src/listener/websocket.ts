// WebSocket upgrades on prefix routes: admitted like any request, carried by @fastify/http-proxy, with a bulkhead slot for each open socket.
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Socket } from 'node:net'
import httpProxy from '@fastify/http-proxy'
import fastify from 'fastify'
import { GatewayError, toGatewayError } from '../exchange/errors.ts'
import { Exchange } from '../exchange/exchange.ts'
import type { RequestTarget } from '../routing/request-target.ts'
import type { Identity } from './admission.ts'
import { rawLocalReply } from './local-reply.ts'
import { localReply, type ListenerState } from './open-exchange.ts'

export interface UpgradeProxy {
  upgrade (req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void>
  /** Open sockets. */
  readonly open: number
  /** Says goodbye to every open socket, and cuts what is left. */
  close (): Promise<void>
}

interface Destination {
  readonly origin: string
  readonly headers: Record<string, string | string[]>
}
const destinationOf = Symbol('destination')
type Upgraded = IncomingMessage & { [destinationOf]?: Destination }

/** The part of a WebSocket (ws) that the hooks use. */
interface WebSocketLike {
  readonly readyState: number
  readonly bufferedAmount: number
  pause (): void
  resume (): void
  terminate (): void
}
const connecting = 0
/** The operating system finds dead peers; there is no deadline for an open socket. */
const keepAliveProbeMs = 60_000
/** Written anew towards the endpoint by the WebSocket client. */
const handshakeHeader = /^sec-websocket-(?:key|version|extensions|protocol|accept)$/i

/** An inner Fastify that never listens: it gets the public listener's upgrades, and nothing else. */
export async function createUpgradeProxy (state: ListenerState): Promise<UpgradeProxy> {
  const { limits } = state.admission
  const inner = fastify({ logger: false, routerOptions: { maxParamLength: limits.requestTargetBytes } })
  const options = { maxPayload: limits.gatheredBodyBytes, perMessageDeflate: false }
  // Neither side may make us keep what the other does not take.
  const bounded = (from: WebSocketLike, to: WebSocketLike) => { if (to.bufferedAmount > limits.gatheredBodyBytes) from.terminate() }
  await inner.register(httpProxy, {
    upstream: '',
    websocket: true,
    wsServerOptions: options,
    wsClientOptions: {
      ...options,
      handshakeTimeout: limits.headersTimeoutMs,
      followRedirects: false,
      rewriteRequestHeaders: (_headers: unknown, request: { raw: Upgraded }) => request.raw[destinationOf]!.headers
    },
    wsHooks: {
      onConnect: (_context: unknown, source: WebSocketLike) => { source.resume() },
      onIncomingMessage: (_context: unknown, source: WebSocketLike, target: WebSocketLike) => {
        if (target.readyState === connecting) source.pause()
        bounded(source, target)
      },
      onOutgoingMessage: (_context: unknown, source: WebSocketLike, target: WebSocketLike) => { bounded(target, source) }
    },
    replyOptions: { getUpstream: (request: { raw: Upgraded }) => request.raw[destinationOf]!.origin }
  } as unknown as Parameters<typeof httpProxy>[1])
  await inner.ready()
  const sockets = new Set<Duplex>()

  return {
    get open () { return sockets.size },
    async upgrade (req, socket, head) {
      socket.on('error', () => socket.destroy())
      const refuse = (error: GatewayError, target: RequestTarget | undefined, identity: Identity) => {
        socket.end(rawLocalReply(localReply(error, target, identity, state.admission)))
      }
      const admitted = admit(state, req, refuse)
      if (admitted === undefined) return
      const { exchange, route, release } = admitted
      socket.once('close', () => exchange.end(new GatewayError('ClientClosed')))
      let endpoint
      try {
        await route.upstream.acquire(exchange)
        endpoint = route.upstream.pick(exchange)
        if (endpoint === undefined) {
          route.upstream.release()
          throw route.upstream.whyNone(exchange)
        }
      } catch (thrown) {
        const error = toGatewayError(thrown)
        release(error)
        refuse(error, admitted.target, exchange.request)
        return
      }
      exchange.endpoint = endpoint
      if (exchange.ended !== undefined || socket.destroyed) {
        route.upstream.release()
        release(exchange.ended)
        return
      }
      sockets.add(socket)
      socket.once('close', () => {
        sockets.delete(socket)
        route.upstream.release()
        release(undefined)
      })
      ;(socket as Socket).setKeepAlive?.(true, keepAliveProbeMs)
      const url = new URL(endpoint.url)
      const basePath = url.pathname === '/' ? '' : url.pathname
      ;(req as Upgraded)[destinationOf] = { origin: url.origin, headers: asObject(exchange.upstreamRequest.headers, exchange.upstreamRequest.host) }
      req.url = basePath + exchange.upstreamRequest.path
      inner.server.emit('upgrade', req, socket, head)
    },
    async close () {
      await inner.close()
      for (const socket of sockets) socket.destroy()
    }
  }
}

type Refuse = (error: GatewayError, target: RequestTarget | undefined, identity: Identity) => void

/** The same door as for requests; only prefix routes that allow it take an upgrade. */
function admit (state: ListenerState, req: IncomingMessage, refuse: Refuse) {
  const startedAtMs = performance.now()
  const { admission, gateway } = state
  const rawTarget = req.url!
  const peer = admission.peer(req)
  let identity: Identity | undefined
  let target: RequestTarget | undefined
  try {
    const head = admission.read(req, rawTarget, peer)
    const client = admission.identify(req, rawTarget, peer, head)
    identity = client
    target = admission.parse(rawTarget)
    const { matched, upstream } = admission.route(client, target, head, peer, gateway)
    const { route, websocket } = matched
    if (!websocket || client.method !== 'GET') throw new GatewayError('UpgradeNotAllowed')
    const exchange = new Exchange(client, upstream, route, startedAtMs)
    route.meter.start()
    const release = (error: GatewayError | undefined) => {
      const durationMs = performance.now() - startedAtMs
      const status = error?.spec.status ?? 101
      route.meter.done(status, durationMs, error?.code)
      gateway.log.exchange({ service: route.upstream.name, endpoint: exchange.endpoint?.url, message: route.name, method: client.method, path: client.target, status, errorCode: error?.code, detail: error?.detail, durationMs, bytes: 0, traceId: client.traceId, correlationId: client.correlationId, clientAddress: client.clientAddress, attempts: [] })
    }
    return { exchange, route, target, release }
  } catch (thrown) {
    const error = toGatewayError(thrown)
    identity ??= admission.anonymous(req.method!, rawTarget, peer.address)
    gateway.refused(error, identity)
    refuse(error, target, identity)
    return undefined
  }
}

function asObject (headers: readonly string[], host: string | undefined): Record<string, string | string[]> {
  const object: Record<string, string | string[]> = { __proto__: null as never }
  if (host !== undefined) object['Host'] = host
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!
    if (handshakeHeader.test(name)) continue
    const before = object[name]
    object[name] = before === undefined ? headers[i + 1]! : [...Array.isArray(before) ? before : [before], headers[i + 1]!]
  }
  return object
}
