// Can an endpoint be connected to? One TCP connection, closed again at once.
import { connect, type LookupFunction } from 'node:net'
import { GatewayError } from '../exchange/errors.ts'
import { Watchdog } from '../lib/watchdog.ts'

/** Settles when the origin accepted a connection. `lookup`: where its host name leads. @throws GatewayError ConnectFailed, ConnectTimeout */
export async function dial (origin: string, timeoutMs: number, lookup?: LookupFunction): Promise<void> {
  const { hostname, port, protocol } = new URL(origin)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port), ...lookup !== undefined && { lookup } })
  socket.once('connect', resolve)
  const watchdog = new Watchdog(() => reject(new GatewayError('ConnectTimeout', { detail: { endpoint: origin, limit: 'connectTimeoutMs', value: timeoutMs, waitedFor: 'connection' } })))
  watchdog.in(timeoutMs)
  socket.once('error', (error: NodeJS.ErrnoException) => reject(new GatewayError('ConnectFailed', { cause: error, detail: { endpoint: origin, cause: error.code } })))
  try {
    await promise
  } finally {
    watchdog.close()
    socket.destroy()
  }
}
