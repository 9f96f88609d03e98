// WebSocket upgrades on prefix routes: the same door and the same request path as any request, carried by @fastify/http-proxy once somebody is there.
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Socket } from 'node:net'
import httpProxy from '@fastify/http-proxy'
import fastify from 'fastify'
import { GatewayError, toGatewayError } from '../exchange/errors.ts'
import { Exchange, type UpstreamResponse } from '../exchange/exchange.ts'
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
      const { exchange, route, target } = admitted
      const left = new GatewayError('ClientClosed')
      const onClose = () => exchange.end(left)
      socket.once('close', onClose)
      let opened: UpstreamResponse
      try {
        opened = await route.handle(exchange)
      } catch (thrown) {
        refuse(toGatewayError(thrown), target, exchange.request)
        return
      }
      // What the path holds for an open socket (slot, count) is given back when its "body" ends: with the socket.
      const ended = () => {
        sockets.delete(socket)
        opened.body.end([])
        opened.body.takeWhole()
      }
      if (socket.destroyed) {
        ended()
        return
      }
      socket.off('close', onClose)
      sockets.add(socket)
      socket.once('close', ended)
      const endpoint = exchange.endpoint!
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
    exchange.upgrade = true
    return { exchange, route, target }
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
