// An Endpoint against a server of the test's own, used as the request path uses it.
import { once } from 'node:events'
import net, { type AddressInfo, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { GatewayError } from '../../src/exchange/errors.ts'
import type { Exchange, UpstreamResponse } from '../../src/exchange/exchange.ts'
import { send } from '../../src/filters/send.ts'
import { BreakerClock } from '../../src/upstream/breaker-clock.ts'
import { Endpoint } from '../../src/upstream/endpoint.ts'
import type { UpstreamTls } from '../../src/upstream/pool.ts'
import { endpointPlan } from '../support/endpoint-plan.ts'

const settings = { breaker: { errorThresholdPercent: 50, volumeThreshold: 10, windowMs: 10_000, resetTimeoutMs: 5_000, enabled: true, consecutiveFailures: 20, trials: 1, rampMs: 0, askIdleMs: 0, pauseStatuses: [503], maxPauseMs: 5_000 }, connectTimeoutMs: 1_000 }

/** Listens on a port of its own until the test ends. */
export async function listen (t: TestContext, server: Server, host = '127.0.0.1'): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', socket => { sockets.add(socket); socket.on('close', () => sockets.delete(socket)) })
  server.listen(0, host)
  await once(server, 'listening')
  t.after(() => { server.close(); for (const socket of sockets) socket.destroy() })
  return (server.address() as AddressInfo).port
}
/** A server that does to each connection's first request what the script says. */
export const raw = (t: TestContext, script: (socket: Socket, request: string, nth: number) => void): Promise<number> => {
  let nth = 0
  return listen(t, net.createServer(socket => {
    socket.on('error', () => {})
    socket.on('data', data => script(socket, data.toString('latin1'), ++nth))
  }))
}

/** An endpoint at a port, or at an origin. */
export function endpointAt (t: TestContext, at: number | string, basePath = '', tls?: UpstreamTls): Endpoint & { events: string[], send: (exchange: Exchange) => Promise<UpstreamResponse> } {
  const events: string[] = []
  const origin = typeof at === 'string' ? at : `http://127.0.0.1:${at}`
  const endpoint = new Endpoint(endpointPlan(origin + basePath, { origin, basePath }), { ...settings, tls }, new BreakerClock(), {
    breaker: state => events.push(state),
    lost: async () => {},
    doubted: () => events.push('doubted'),
    whoIsThere: async why => { events.push(why) },
    reachable: reachable => events.push(reachable ? 'reachable' : 'unreachable'),
    paused: () => events.push('paused'),
    ejected: reason => events.push(reason === undefined ? 'back' : 'ejected'),
    attempt: outcome => events.push(outcome)
  }, { room () {}, shut () {}, attemptFailed: () => 'unknown', hasOther: () => false })
  t.after(() => endpoint.close())
  // As the request path does it: the attempt is written down and reported.
  return Object.assign(endpoint, { events, send: (exchange: Exchange) => { exchange.endpoint = endpoint; return send(exchange) } })
}

export const read = (response: UpstreamResponse): Promise<string> => new Promise((resolve, reject) => {
  const chunks: Buffer[] = []
  response.body.pipe({ write: chunk => { chunks.push(chunk); return true }, end: trailers => resolve(Buffer.concat(chunks).toString() + (trailers.length > 0 ? `|${trailers.join(' ')}` : '')), fail: reject })
})
export const code = (expected: string) => (error: unknown) => error instanceof GatewayError && error.code === expected
export const answer = (body: string, head = 'HTTP/1.1 200 OK\r\n') => `${head}Content-Length: ${body.length}\r\n\r\n${body}`
