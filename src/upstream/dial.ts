// Can an endpoint be connected to? One TCP connection, closed again at once.
import { connect, type LookupFunction } from 'node:net'
import { GatewayError } from '../exchange/errors.ts'

/** Settles when the origin accepted a connection. `lookup`: where its host name leads. @throws GatewayError ConnectFailed, ConnectTimeout */
export async function dial (origin: string, timeoutMs: number, lookup?: LookupFunction): Promise<void> {
  const { hostname, port, protocol } = new URL(origin)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port), timeout: timeoutMs, ...lookup !== undefined && { lookup } })
  socket.once('connect', resolve)
  socket.once('timeout', () => reject(new GatewayError('ConnectTimeout', { detail: { endpoint: origin, limit: 'connectTimeoutMs', value: timeoutMs, waitedFor: 'connection' } })))
  socket.once('error', (error: NodeJS.ErrnoException) => reject(new GatewayError('ConnectFailed', { cause: error, detail: { endpoint: origin, cause: error.code } })))
  try {
    await promise
  } finally {
    socket.destroy()
  }
}
