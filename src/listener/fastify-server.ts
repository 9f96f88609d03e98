// The Fastify server that clients reach: one catch-all route for every method, no parsing, no serialising, limits of its own.
import { METHODS } from 'node:http'
import type { Server as HttpServer } from 'node:http'
import type { Http2SecureServer } from 'node:http2'
import fastify, { type FastifyInstance } from 'fastify'
import type { ListenerConfig } from '../config/schema.ts'
import type { Certificates } from './certificates.ts'
import type { AnyRequest } from './admission.ts'
import { awaitsContinue, type AnyResponse } from './open-exchange.ts'
import { lookEveryMs } from './unread.ts'

export type AnyServer = HttpServer | Http2SecureServer

export interface Handlers {
  request (req: AnyRequest, res: AnyResponse, rawTarget: string): void
  brokenRequest (error: Error, socket: unknown): void
}

/** More than the most bytes of a head let pass: how many headers a request may have is for admission to say. */
const mostHttp2Headers = 65_536

const knownMethods = new Set(METHODS)

/** What a head may have for the parser, in bytes. Sizes are told apart, and answered with the right status, once it is read. */
const parsedBytes = ({ headerBytes, requestTargetBytes }: ListenerConfig['limits']): number => headerBytes + requestTargetBytes

export function createFastifyServer (config: ListenerConfig, certificates: Certificates | undefined, handlers: Handlers): FastifyInstance {
  const { limits, tls } = config
  const http = {
    maxHeaderSize: parsedBytes(limits),
    headersTimeout: limits.headersTimeoutMs,
    // A body is limited by silence, not by its whole time.
    requestTimeout: 0,
    connectionsCheckingInterval: lookEveryMs(limits.headersTimeoutMs),
    requireHostHeader: false,
    // Requests without a body skip the life cycle of a stream.
    optimizeEmptyRequests: true,
    noDelay: true,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    // Any other protocol to upgrade to is passed over, as RFC 9110 section 7.8 allows.
    shouldUpgradeCallback: (req: { headers: { upgrade?: string } }) => req.headers.upgrade?.toLowerCase() === 'websocket'
  }
  const secure = certificates === undefined
    ? undefined
    : { ...http, ...certificates.defaultPair, minVersion: tls!.minVersion, handshakeTimeout: limits.headersTimeoutMs, SNICallback: certificates.sniCallback, ...tls!.http2 && http2Options(limits, http) }
  const options = {
    logger: false,
    http,
    ...secure !== undefined && { https: secure },
    ...secure !== undefined && tls!.http2 && { http2: true, http2SessionTimeout: 0 }, // watchSession does it.
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    requestTimeout: 0,
    connectionTimeout: 0,
    maxRequestsPerSocket: limits.maxRequestsPerConnection,
    // While draining, what still comes is served, and the connection closed after it.
    return503OnClosing: false,
    forceCloseConnections: 'idle' as const,
    exposeHeadRoutes: false,
    // Fastify's router would decode and refuse targets in its own way; the route table is ours.
    rewriteUrl: () => '/',
    clientErrorHandler: handlers.brokenRequest
  }
  // The types know http, https and http2 as three kinds of server.
  const server = fastify(options as object) as unknown as FastifyInstance
  // Without a body in Fastify's eyes: it touches neither content type nor payload, and refuses no QUERY for the lack of them.
  for (const method of METHODS) server.addHttpMethod(method, { hasBody: false, overrideExisting: true })
  server.route({
    method: METHODS.filter(method => method !== 'CONNECT'),
    url: '/',
    handler: (request, reply) => {
      reply.hijack()
      const raw = request.raw as AnyRequest & { originalUrl?: string }
      handlers.request(raw, reply.raw, raw.originalUrl ?? raw.url!)
    }
  })
  const listening = server.server as unknown as HttpServer
  // HTTP/2 takes any word for a method (HTTP/1.1 parsers do not), and Fastify's router answers those that it does not know in its own way.
  if (secure !== undefined && tls!.http2) {
    listening.removeAllListeners('request').on('request', (req: AnyRequest, res: AnyResponse) => {
      if (knownMethods.has(req.method!)) server.routing(req as never, res as never)
      else handlers.request(req, res, req.url!)
    })
  }
  putInForce(listening, limits)
  // Node drops what is beyond in silence; here it is counted and refused.
  listening.maxHeadersCount = 0
  const expectation = (req: AnyRequest, res: AnyResponse) => {
    ;(req as { [awaitsContinue]?: true })[awaitsContinue] = true
    server.routing(req as never, res as never)
  }
  listening.on('checkContinue', expectation)
  // RFC 9110 section 10.1.1 lets a server ignore expectations that it does not know.
  listening.on('checkExpectation', (req, res) => server.routing(req, res))
  return server
}

/** From the next request or, what a parser is made with, connection on. */
export function putInForce (server: AnyServer, limits: ListenerConfig['limits']): void {
  Object.assign(server, { maxHeaderSize: parsedBytes(limits), headersTimeout: limits.headersTimeoutMs, keepAliveTimeout: limits.keepAliveTimeoutMs, maxConnections: limits.maxConnections, maxRequestsPerSocket: limits.maxRequestsPerConnection })
  if ('updateSettings' in server) server.updateSettings(http2Settings(limits))
}

const http2Settings = (limits: ListenerConfig['limits']) => ({ maxConcurrentStreams: limits.http2MaxStreams, maxHeaderListSize: parsedBytes(limits) })

function http2Options (limits: ListenerConfig['limits'], http: object) {
  return {
    allowHTTP1: true,
    http1Options: http,
    settings: http2Settings(limits),
    maxHeaderListPairs: mostHttp2Headers,
    // Streams opened and reset at once (rapid reset): burst and rate per second, as Node has them by default.
    streamResetBurst: 1_000,
    streamResetRate: 33,
    maxSessionInvalidFrames: 100,
    maxSessionMemory: 10
  }
}
