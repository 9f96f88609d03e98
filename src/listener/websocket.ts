// WebSocket upgrades on prefix routes: the same door and the same request path as any request, carried by @fastify/http-proxy once somebody is there.
import { ServerResponse, type ClientRequest, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Socket } from 'node:net'
import httpProxy from '@fastify/http-proxy'
import fastify from 'fastify'
import { GatewayError, toGatewayError } from '../exchange/errors.ts'
import { Exchange, type UpstreamResponse } from '../exchange/exchange.ts'
import { headerValue } from '../exchange/headers.ts'
import { acceptOf } from '../lib/websocket-accept.ts'
import type { RequestTarget } from '../routing/request-target.ts'
import type { Identity } from './admission.ts'
import { rawLocalReply } from './local-reply.ts'
import { localReply, sendAnswer, type ListenerState } from './open-exchange.ts'
import { Http1Reply } from './send-response.ts'

export interface UpgradeProxy {
  upgrade (req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void>
  /** Open sockets. */
  readonly open: number
  /** Says goodbye to every open socket, and cuts what is left. */
  close (): Promise<void>
}

/** What the service opened. */
interface Opened {
  readonly socket: Duplex
  /** The subprotocol that it chose. */
  readonly protocol: string | undefined
}

/** The part of a WebSocket (ws) that the hooks use. */
interface WebSocketLike {
  readonly bufferedAmount: number
  terminate (): void
}

/** What both sides' hooks are called on before a socket is set up by it: the moment for a limit that may have changed since the last one. */
interface WebSocketOptions { maxPayload: number }

/** The operating system finds dead peers; there is no deadline for an open socket. */
const keepAliveProbeMs = 60_000
/** Never connected to: the package is given connections that are open already. */
const nowhere = 'http://opened.invalid'

/** An inner Fastify that never listens: it gets the public listener's upgrades, and nothing else. */
export async function createUpgradeProxy (state: ListenerState): Promise<UpgradeProxy> {
  const inner = fastify({ logger: false })
  const most = () => state.admission.limits.gatheredBodyBytes
  // By the path under which the package asks for them.
  const waiting = new Map<string, Opened>()
  let count = 0
  // Neither side may make us keep what the other does not take.
  const bounded = (from: WebSocketLike, to: WebSocketLike) => { if (to.bufferedAmount > most()) from.terminate() }
  await inner.register(httpProxy, {
    upstream: '',
    websocket: true,
    wsServerOptions: {
      perMessageDeflate: false,
      verifyClient (this: WebSocketOptions) {
        this.maxPayload = most()
        return true
      },
      handleProtocols: (_offered: unknown, request: IncomingMessage) => waiting.get(request.url!)?.protocol ?? false
    },
    wsClientOptions: {
      perMessageDeflate: false,
      createConnection: () => undefined,
      rewriteRequestHeaders: () => ({}),
      finishRequest (this: WebSocketOptions, request: ClientRequest) {
        this.maxPayload = most()
        const opened = waiting.get(request.path)!
        waiting.delete(request.path)
        adopt(request, opened)
      }
    },
    wsHooks: {
      onIncomingMessage: (_context: unknown, source: WebSocketLike, target: WebSocketLike) => { bounded(source, target) },
      onOutgoingMessage: (_context: unknown, source: WebSocketLike, target: WebSocketLike) => { bounded(target, source) }
    },
    replyOptions: { getUpstream: () => nowhere }
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
      const stopWatching = onLeaving(socket, () => exchange.end(left))
      let response: UpstreamResponse
      try {
        response = await route.handle(exchange)
        stopWatching()
        if (response.socket === undefined) return answer(state, req, socket, exchange, response)
      } catch (thrown) {
        stopWatching()
        refuse(toGatewayError(thrown), target, exchange.request)
        return
      }
      const { socket: opened, headers, body } = response
      if (socket.destroyed) return body.cancel(left)
      const path = `/${++count}`
      // What the path holds for an open socket (slot, count) is given back when its "body" ends: with the socket.
      const ended = () => {
        sockets.delete(socket)
        // The package refused the client's side.
        if (waiting.delete(path)) opened.destroy()
        body.end([])
        body.takeWhole()
      }
      sockets.add(socket)
      socket.once('close', ended)
      ;(socket as Socket).setKeepAlive?.(true, keepAliveProbeMs)
      waiting.set(path, { socket: opened, protocol: headerValue(headers, 'sec-websocket-protocol') })
      req.url = path
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

/** Nobody else reads the socket while the service is asked: that the client has left is seen only by looking. Returns how to stop. */
function onLeaving (socket: Duplex, left: () => void): () => void {
  // Takes nothing of what the client may have sent too early; the end shows only where there is nothing before it.
  const look = () => { if (socket.readableLength === 0) socket.read() }
  const gone = () => {
    left()
    socket.destroy()
  }
  socket.on('readable', look).once('end', gone).once('close', left)
  return () => { socket.off('readable', look).off('end', gone).off('close', left) }
}

/**
 * The package's WebSocket client takes over a connection whose handshake is done: it is told the answer it waits for. Its own request is
 * never sent. (It would ask the service only after it has accepted the client, who could not be told any more what came of it.)
 */
function adopt (request: ClientRequest, { socket, protocol }: Opened): void {
  const accept = acceptOf(String(request.getHeader('sec-websocket-key')))
  const headers = { upgrade: 'websocket', 'sec-websocket-accept': accept, ...protocol !== undefined && { 'sec-websocket-protocol': protocol } }
  request.emit('upgrade', { headers }, socket, Buffer.alloc(0))
  request.destroy()
}

/** The service, or what stands in for it, has something else to say than 101. The connection ends with it. */
function answer (state: ListenerState, req: IncomingMessage, socket: Duplex, exchange: Exchange, response: UpstreamResponse): void {
  const res = new ServerResponse(req)
  res.assignSocket(socket as Socket)
  res.on('finish', () => socket.end())
  const reply = new Http1Reply(req, res, { closing: true, unread: state.unread })
  reply.attach(exchange)
  sendAnswer(response, exchange, reply, state.admission, state.gateway)
}
