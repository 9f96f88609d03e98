// The operators' side: a listener of its own, and on request a second one with the probes only. Bounded, no login.
import fastify, { type FastifyInstance } from 'fastify'
import type { Config } from '../config/schema.ts'
import type { Log } from '../telemetry/log.ts'
import { isHostAccepted, isLoopback } from './host-check.ts'
import { endpoints } from './index-page.ts'
import { addProbes, addRoutes, answerUnknown, type AdminCore } from './routes.ts'
import { sendError } from './send.ts'

export type { AdminCore } from './routes.ts'

export interface Admin {
  /** The admin listener's own address first, then the probes'. */
  readonly addresses: ReadonlyArray<{ readonly host: string, readonly port: number }>
  close (): Promise<void>
}

const maxConnections = 256

/**
 * Listens; settles when it does.
 * @throws what listening throws (EADDRINUSE, EACCES), nothing left open
 */
export async function createAdmin (options: { config: Config['admin'], core: AdminCore, log: Pick<Log, 'error'> }): Promise<Admin> {
  const { config, core, log } = options
  const servers: FastifyInstance[] = []
  const close = async () => { await Promise.all(servers.map(server => server.close())) }
  try {
    const main = createServer(log, ['/', ...Object.keys(endpoints)], core.actions)
    servers.push(main)
    const { host } = splitAddress(config.address)
    if (isLoopback(host)) {
      main.addHook('onRequest', (request, reply, done) => {
        if (isHostAccepted(request.headers.host)) done()
        else sendError(reply, 403, { code: 'HostNotAllowed', message: 'This listener is called by address or as localhost only.' })
      })
    }
    addProbes(main, core)
    addRoutes(main, core)
    const addresses = [await listen(main, config.address)]
    if (config.probesAddress !== undefined) {
      const probes = createServer(log, ['/livez', '/readyz'])
      servers.push(probes)
      addProbes(probes, core)
      addresses.push(await listen(probes, config.probesAddress))
    }
    return { addresses, close }
  } catch (error) {
    await close()
    throw error
  }
}

function createServer (log: Pick<Log, 'error'>, paths: readonly string[], actions: AdminCore['actions'] = []): FastifyInstance {
  const server = fastify({
    bodyLimit: 1_024,
    // An operator's browser keeps its connection open: closing does not wait for it.
    forceCloseConnections: true,
    requestTimeout: 10_000,
    keepAliveTimeout: 30_000,
    http: { maxHeaderSize: 16_384 },
    routerOptions: { ignoreTrailingSlash: true }
  })
  server.server.maxConnections = maxConnections
  server.addHook('onSend', (_request, reply, payload, done) => {
    // What is shown is a moment's truth, and nobody else's business: no copies, no other sites.
    reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff')
    done(null, payload)
  })
  server.setNotFoundHandler(answerUnknown(paths, actions))
  server.setErrorHandler((error: unknown, request, reply) => {
    const status = error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 500
    if (status >= 500) log.error({ err: error, path: request.url }, 'admin request failed')
    return sendError(reply, status, status >= 500
      ? { code: 'InternalError', message: 'The answer could not be made; the log says why.' }
      : { code: 'BadRequest', message: error instanceof Error ? error.message : String(error) })
  })
  return server
}

async function listen (server: FastifyInstance, address: string): Promise<{ host: string, port: number }> {
  await server.listen(splitAddress(address))
  const bound = server.server.address()
  if (bound === null || typeof bound === 'string') throw new Error(`admin listener has no address: ${String(bound)}`)
  return { host: bound.address, port: bound.port }
}

/** HOST:PORT or [HOST]:PORT, as the schema has checked it. */
function splitAddress (address: string): { host: string, port: number } {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) }
}
