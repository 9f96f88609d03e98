// Asks an endpoint whose breaker nobody's call tries: one GET on a connection of its own. I/O.
import http from 'node:http'
import https from 'node:https'
import type { LookupFunction } from 'node:net'
import type { ConnectorTls } from './http1/connector.ts'

export interface HeartbeatOptions {
  /** For connecting and the answer's head together, ms. */
  readonly timeoutMs: number
  readonly lookup: LookupFunction
  readonly tls: ConnectorTls | undefined
}

/** What a host says when it has too much to do. */
const busy = new Set([408, 425, 429])

/** Whether it answers below 500 in time: one that is protected or not there (401, 404) is an answer all the same. Never rejects. */
export function askHeartbeat (url: string, { timeoutMs, lookup, tls }: HeartbeatOptions): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const request = (url.startsWith('https:') ? https : http).get(url, {
    agent: false,
    lookup,
    signal: AbortSignal.timeout(timeoutMs),
    headers: { accept: 'application/json', 'user-agent': 'postern' },
    ...tls !== undefined && { ca: tls.ca, cert: tls.cert, key: tls.key, servername: tls.serverName, rejectUnauthorized: tls.verify }
  })
  request.on('response', response => {
    resolve(response.statusCode! < 500 && !busy.has(response.statusCode!))
    request.destroy()
  })
  // Whatever went wrong: it did not answer.
  request.on('error', () => resolve(false))
  return promise
}
