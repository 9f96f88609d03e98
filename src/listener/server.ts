// The public listener: builds its parts, opens and closes its sockets, takes over new settings.
import { randomBytes } from 'node:crypto'
import type { IncomingMessage, Server } from 'node:http'
import type { Http2ServerResponse, ServerHttp2Session } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Server as TlsServer } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import type { EdgeConfig, ListenerConfig } from '../config/schema.ts'
import { Admission, type AnyRequest } from './admission.ts'
import { Certificates } from './certificates.ts'
import { createFastifyServer, putInForce } from './fastify-server.ts'
import type { GatewayCore } from './gateway-core.ts'
import { watchSession } from './http2-session.ts'
import { IdSource } from './ids.ts'
import { openExchange, type ListenerState } from './open-exchange.ts'
import { createRedirect } from './redirect.ts'
import { refuseBrokenRequest, refuseConnect } from './refuse-connection.ts'
import { BodyMemory } from './request-body.ts'
import { UnreadAnswers } from './unread.ts'
import { createUpgradeProxy } from './websocket.ts'

export type { GatewayCore } from './gateway-core.ts'

const idleSweepMs = 50

export interface ListenerAddress {
  readonly host: string
  readonly port: number
  readonly scheme: 'http' | 'https'
}

export interface Listener {
  /** The first one is the public listener, a second one redirects to it. */
  readonly addresses: readonly ListenerAddress[]
  /** Open client connections, upgraded ones included. */
  readonly connections: number
  /**
   * Makes ready what can change while listening: everything of `edge`, all limits, certificates. Throws when a certificate or a trusted range
   * is not usable. Nothing changes before the returned function is called; it puts all of it into force at once, and does not throw: open
   * connections keep what their parser was made with (bytes of a head, streams). Not address, HTTP/2 and minVersion: those need a new listener.
   */
  prepare (config: ListenerConfig, edge: EdgeConfig): () => void
  /** Accepts no more, lets exchanges in flight finish for at most `ms`, then cuts. */
  drain (ms: number): Promise<void>
  close (): Promise<void>
}

export async function createListener (options: { config: ListenerConfig, edge: EdgeConfig, gateway: GatewayCore }): Promise<Listener> {
  const { config, gateway } = options
  const { log } = gateway
  const ids = new IdSource()
  // Who this gateway is in Via, so that a loop is noticed; another one in front or behind has another name.
  const pseudonym = `postern-${randomBytes(4).toString('hex')}`
  const state: ListenerState = {
    admission: new Admission(config, options.edge, pseudonym, ids),
    gateway,
    bodyMemory: new BodyMemory(config.limits.gatheredTotalBytes),
    closing: false,
    unread: new UnreadAnswers(() => state.admission.limits.bodyIdleTimeoutMs)
  }
  const certificates = config.tls === undefined ? undefined : new Certificates(config.tls, log, pair => (server.server as unknown as TlsServer).setSecureContext({ ...pair, minVersion: config.tls!.minVersion }))
  const upgrades = await createUpgradeProxy(state)
  const server = createFastifyServer(config, certificates, {
    request: (req, res, rawTarget) => {
      openExchange(state, req, res, rawTarget).catch((error: unknown) => {
        log.error({ err: error }, 'request failed by a bug')
        res.destroy()
      })
    },
    brokenRequest: (error, socket) => refuseBrokenRequest(state, error, socket as Socket)
  })
  const redirect = config.tls?.redirectFrom === undefined ? undefined : createRedirect(config, state, () => (server.server.address() as AddressInfo).port)
  const sockets = new Set<Socket>()
  const servers = redirect === undefined ? [server] : [server, redirect]
  for (const one of servers) {
    one.server.on('connection', (socket: Socket) => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
    })
    one.server.on('connect', (req: AnyRequest, stream: Duplex | Http2ServerResponse) => refuseConnect(state, req, stream))
  }
  server.server.on('session', (session: ServerHttp2Session) => watchSession(session, () => state.admission.limits))
  server.server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgrades.upgrade(req, socket, head).catch((error: unknown) => {
      log.error({ err: error }, 'upgrade failed by a bug')
      socket.destroy()
    })
  })

  let closing: Promise<void> | undefined
  const shutDown = async () => {
    state.closing = true
    certificates?.close()
    // A connection whose answer had begun before now promised to be kept: it is closed as soon as that answer is out.
    const idle = setInterval(() => { for (const { server } of servers) (server as Partial<Server>).closeIdleConnections?.() }, idleSweepMs)
    try {
      await Promise.all([upgrades.close(), ...servers.map(one => one.close())])
    } finally {
      clearInterval(idle)
    }
  }
  const cut = () => { for (const socket of sockets) socket.destroy() }
  try {
    const addresses = [await listen(server, config.address, config.tls === undefined ? 'http' : 'https')]
    if (redirect !== undefined) addresses.push(await listen(redirect, config.tls!.redirectFrom!, 'http'))
    return {
      addresses,
      get connections () { return sockets.size },
      prepare (next, edge) {
        const { limits, tls } = next
        const admission = new Admission(next, edge, pseudonym, ids)
        const replaceCertificates = tls === undefined ? undefined : certificates?.prepare(tls.certificates)
        return () => {
          replaceCertificates?.()
          state.admission = admission
          state.bodyMemory.limitBytes = limits.gatheredTotalBytes
          for (const one of servers) putInForce(one.server, limits)
        }
      },
      async drain (ms) {
        const timer = setTimeout(cut, ms)
        try {
          await (closing ??= shutDown())
        } finally {
          clearTimeout(timer)
        }
      },
      async close () {
        closing ??= shutDown()
        cut()
        await closing
      }
    }
  } catch (error) {
    closing = shutDown()
    cut()
    await closing
    throw error
  }
}

async function listen (server: FastifyInstance, address: string, scheme: ListenerAddress['scheme']): Promise<ListenerAddress> {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
  // Of `localhost` Fastify would make a second server, for the other loopback address, that knows nothing of limits and reloads.
  await server.listen({ host: host === 'localhost' ? '127.0.0.1' : host, port: Number(address.slice(colon + 1)) })
  return { host, port: (server.server.address() as AddressInfo).port, scheme }
}
