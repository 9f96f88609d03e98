// The embedded registry: an HTTP server that speaks the part of Consul's API that services and the `consul` package use.
import { randomUUID } from 'node:crypto'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { Refusal } from './embedded-body.ts'
import type { NetworkRules } from './allowed-networks.ts'
import { runChecks } from './embedded-checks.ts'
import { findApiRoute } from './embedded-routes.ts'
import type { ApiRoute, Call, Registry } from './embedded-routes.ts'
import { Store } from './embedded-store.ts'
import { healthOfAll } from './embedded-views.ts'
import { parseGoDuration } from './go-duration.ts'

export interface EmbeddedOptions {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  /** Where checks may go; asked at every run. */
  readonly networks: () => NetworkRules
  readonly limits?: Partial<EmbeddedLimits>
  /** When checks first run, and the spread of waits. Default: Math.random. */
  readonly random?: () => number
}

export interface EmbeddedLimits {
  readonly services: number
  readonly checks: number
  /** Longest accepted body. */
  readonly bodyBytes: number
  /** Queries that wait at one time; beyond that they are answered at once. */
  readonly waiting: number
}

export interface EmbeddedRegistry {
  readonly url: string
  readonly nodeName: string
  /** What GET /v1/health/service/:name says, of all names at once. */
  health (): { readonly index: number, readonly entries: readonly object[] }
  /** Calls `wake` once, at the next change of anything. Returns how to stop waiting. */
  onChange (wake: () => void): () => void
  close (): Promise<void>
}

const defaultLimits: EmbeddedLimits = { services: 5_000, checks: 10_000, bodyBytes: 524_288, waiting: 1_000 }
/** Consul's own default and bound of a blocking query. Milliseconds. */
const defaultWaitMs = 300_000
const longestWaitMs = 600_000

/** Starts listening. Rejects when the address cannot be listened on. Nothing is kept over a restart, as with Consul's dev agent. */
export async function startEmbeddedRegistry (options: EmbeddedOptions): Promise<EmbeddedRegistry> {
  const limits = { ...defaultLimits, ...options.limits }
  const random = options.random ?? Math.random
  const store = new Store(limits)
  const checks = runChecks(store, options.networks, random)
  let waiting = 0

  const wait = (response: http.ServerResponse, call: Call, route: ApiRoute & { kind: 'read' }): Promise<void> => new Promise((resolve) => {
    const asked = indexOf(call.query)
    const waitMs = waitOf(call.query)
    if (asked === 0 || route.index(registry, call) > asked || waiting >= limits.waiting) {
      resolve()
      return
    }
    waiting++
    const finish = (): void => {
      waiting--
      clearTimeout(timer)
      unsubscribe()
      response.removeListener('close', finish)
      resolve()
    }
    const look = (): void => {
      if (route.index(registry, call) > asked) finish()
      else unsubscribe = store.onChange(look)
    }
    let unsubscribe = store.onChange(look)
    // Consul spreads the ends of waits over a sixteenth.
    const timer = setTimeout(finish, waitMs + random() * waitMs / 16)
    response.once('close', finish)
  })

  const serve = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    const url = new URL(`http://registry${request.url!.startsWith('/') ? request.url! : '/'}`)
    const found = findApiRoute(url.pathname)
    if (found === undefined) {
      response.writeHead(404).end()
      return
    }
    const { route, rest } = found
    if (!route.methods.includes(request.method!)) {
      throw new Refusal(405, `method ${request.method} not allowed`)
    }
    const call: Call = { rest: decoded(rest), query: url.searchParams, body: request.method === 'PUT' ? await bodyOf(request, limits.bodyBytes) : '' }
    if (route.kind === 'act') {
      route.run(registry, call)
      response.writeHead(200).end()
      return
    }
    if (route.kind === 'read') {
      // Both the parameters and the name are judged before anything waits.
      route.run(registry, call)
      await wait(response, call, route)
      response.setHeader('x-consul-index', route.index(registry, call))
      response.setHeader('x-consul-knownleader', 'true')
      response.setHeader('x-consul-lastcontact', '0')
    }
    const pretty = url.searchParams.has('pretty')
    response.writeHead(200, { 'content-type': 'application/json' }).end(`${JSON.stringify(route.run(registry, call), undefined, pretty ? 4 : undefined)}\n`)
  }

  const server = http.createServer({ requestTimeout: 30_000, headersTimeout: 10_000, maxHeaderSize: 16_384 }, (request, response) => {
    serve(request, response).catch((error: unknown) => {
      const refused = error instanceof Refusal
      if (response.headersSent) {
        response.destroy()
        return
      }
      const status = refused ? error.status : 500
      if (status === 405) response.setHeader('allow', findApiRoute(request.url!.split('?')[0]!)?.route.methods.join(', ') ?? '')
      // What was not read of a body is not to be taken for the next request.
      if (!request.complete) response.setHeader('connection', 'close')
      response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end((error as Error).message)
    })
  })
  server.maxConnections = limits.waiting + 1_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, resolve)
  })
  const { address, port, family } = server.address() as AddressInfo
  const reachable = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address
  const registry: Registry = { store, checks, node: { id: randomUUID(), name: 'postern', address: reachable, datacenter: 'dc1' } }
  return {
    nodeName: registry.node.name,
    health: () => ({ index: store.index, entries: healthOfAll(store, registry.node) }),
    onChange: wake => store.onChange(wake),
    url: `http://${family === 'IPv6' ? `[${reachable}]` : reachable}:${port}`,
    async close () {
      checks.close()
      const closed = new Promise<void>((resolve) => { server.close(() => resolve()) })
      server.closeAllConnections()
      await closed
    }
  }
}

async function bodyOf (request: http.IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let received = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    received += chunk.length
    if (received > maxBytes) throw new Refusal(413, `Request body too large, max size: ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function indexOf (query: URLSearchParams): number {
  const index = query.get('index')
  if (index === null) return 0
  if (!/^[0-9]{1,19}$/.test(index)) throw new Refusal(400, 'Invalid index')
  return Number(index)
}

function waitOf (query: URLSearchParams): number {
  const wait = query.get('wait')
  if (wait === null) return defaultWaitMs
  const ms = parseGoDuration(wait)
  if (ms === undefined) throw new Refusal(400, 'Invalid wait time')
  return Math.min(longestWaitMs, ms <= 0 ? defaultWaitMs : ms)
}

function decoded (text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Refusal(400, 'Invalid URL path')
  }
}
