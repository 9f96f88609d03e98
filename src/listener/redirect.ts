// The plain HTTP listener beside a TLS one: sends every request to the same host and path over https.
import type { FastifyInstance } from 'fastify'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { notAsked } from '../cache/cache-status.ts'
import type { ListenerConfig } from '../config/schema.ts'
import { GatewayError, toGatewayError } from '../exchange/errors.ts'
import { createFastifyServer } from './fastify-server.ts'
import { localReply, type ListenerState } from './open-exchange.ts'
import { refuseBrokenRequest } from './refuse-connection.ts'
import { Http1Reply } from './send-response.ts'

/** How long a client may keep it. There are browsers that keep a 308 for ever where nothing is said, and one day TLS may end elsewhere. */
const redirectKeptS = 3_600

/** 308 keeps method and body. `tlsPort` is asked when a request comes: it is known once the other listener listens. */
export function createRedirect (config: ListenerConfig, state: ListenerState, tlsPort: () => number): FastifyInstance {
  const { tls: _, ...plain } = config
  return createFastifyServer(plain, undefined, {
    brokenRequest: (error, socket) => refuseBrokenRequest(state, error, socket as Parameters<typeof refuseBrokenRequest>[2]),
    request: (req, res, rawTarget) => {
      const { admission, gateway } = state
      const peer = admission.peer(req)
      let identity = admission.anonymous(req.method!, rawTarget, peer.address)
      const reply = new Http1Reply(req as IncomingMessage, res as ServerResponse, state)
      try {
        const client = admission.identify(req, rawTarget, peer, admission.read(req, rawTarget, peer))
        identity = client
        if (client.authority === '') throw new GatewayError('BadRequest', { message: 'The request has no Host header.' })
        if (!rawTarget.startsWith('/')) throw new GatewayError('BadRequestTarget')
        const location = `https://${withPort(client.authority, tlsPort())}${rawTarget}`
        reply.sendLocal({ status: 308, reason: 'Permanent Redirect', headers: ['Location', location, 'Content-Length', '0', 'Cache-Control', `max-age=${redirectKeptS}`, ...notAsked, admission.rules.correlationHeader, client.correlationId], body: Buffer.alloc(0) })
      } catch (thrown) {
        const error = toGatewayError(thrown)
        gateway.refused(error, identity)
        reply.sendLocal(localReply(error, undefined, identity, admission))
      }
    }
  })
}

function withPort (authority: string, port: number): string {
  const host = authority.replace(/:\d*$/, '')
  return port === 443 ? host : `${host}:${port}`
}
