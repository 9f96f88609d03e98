// A Consul agent that lies: a real HTTP server whose answers to `GET /v1/health/service/:name` are scripted by the test.
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'

/** One element of `GET /v1/health/service/:name`, with the members that Consul 1.8.7 was recorded to send. */
export function healthEntry (id: string, over: { service?: object, node?: object, checks?: object[] } = {}): object {
  return {
    Node: { Node: 'vm', Address: '127.0.0.1', Datacenter: 'dc1', ...over.node },
    Service: { ID: id, Service: 'api', Tags: ['ss-version-1.0', 'PlaceOrder'], Address: 'http://127.0.0.1:9201/', Meta: null, Port: 9201, Weights: { Passing: 1, Warning: 1 }, CreateIndex: 5, ...over.service },
    Checks: over.checks ?? [{ Node: 'vm', CheckID: 'serfHealth', Status: 'passing', Notes: '', Output: 'Agent alive and reachable', ServiceID: '', Type: '' }]
  }
}

export interface FakeQuery {
  readonly service: string
  readonly index: number
  readonly waitMs: number
  readonly query: URLSearchParams
  readonly headers: http.IncomingHttpHeaders
  readonly response: http.ServerResponse
}

export interface FakeConsul {
  readonly url: string
  /** Queries of services so far, newest last. */
  readonly queries: FakeQuery[]
  /** Sets what is listed (for all services; a query with a dc gets those of its nodes) and wakes queries that wait. Without an index: one more than before. */
  list (entries: object[], index?: number): void
  /** Answers queries in place of the list, until called with undefined. Returning false falls back to the list. */
  answer (handler: ((query: FakeQuery) => void | false) | undefined): void
  /** Queries that wait for a newer list. */
  readonly blocked: number
  /** Node name told by /v1/agent/self; undefined answers 403. */
  nodeName: string | undefined
  /** Whether it has access rules. */
  acl: boolean
  /** What /v1/coordinate/nodes and /datacenters answer; 403 where nothing is set. */
  coordinates: Record<string, object[]>
  /** What /v1/catalog/node/NAME answers, null for one that is not there, or a status; 404 where nothing is set. */
  nodes: Record<string, object | number | null>
  /** Breaks every connection, as a crash does. */
  breakConnections (): void
  /** Resolves when this many queries have arrived in all. */
  queried (count: number): Promise<void>
  close (): Promise<void>
}

export async function startFakeConsul (options: { port?: number, tls?: https.ServerOptions } = {}): Promise<FakeConsul> {
  let entries: object[] = []
  let index = 10
  let handler: ((query: FakeQuery) => void | false) | undefined
  const waiting = new Set<() => void>()
  const watchers = new Set<() => void>()
  const queries: FakeQuery[] = []

  const serve: http.RequestListener = (request, response) => {
    const url = new URL(request.url!, 'http://fake')
    if (url.pathname === '/v1/agent/self') {
      if (fake.nodeName === undefined) response.writeHead(403).end('Permission denied')
      else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ Config: { NodeName: fake.nodeName, Datacenter: 'dc1' } }))
      return
    }
    if (url.pathname === '/v1/acl/token/self') {
      if (fake.acl && request.headers['x-consul-token'] === undefined) response.writeHead(403).end('ACL not found')
      else if (fake.acl) response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
      else response.writeHead(401).end('ACL support disabled')
      return
    }
    if (url.pathname.startsWith('/v1/catalog/node/')) {
      const node = fake.nodes[decodeURIComponent(url.pathname.slice('/v1/catalog/node/'.length))]
      if (node === undefined || typeof node === 'number') response.writeHead(node ?? 404).end()
      else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(node))
      return
    }
    if (url.pathname.startsWith('/v1/coordinate/')) {
      const known = fake.coordinates[url.pathname.slice('/v1/coordinate/'.length)]
      if (known === undefined) response.writeHead(403).end('Permission denied')
      else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(known))
      return
    }
    const query: FakeQuery = {
      service: decodeURIComponent(url.pathname.split('/').at(-1)!),
      index: Number(url.searchParams.get('index') ?? 0),
      waitMs: parseInt(url.searchParams.get('wait') ?? '300000', 10),
      query: url.searchParams,
      headers: request.headers,
      response
    }
    queries.push(query)
    for (const watcher of watchers) watcher()
    if (handler?.(query) !== false && handler !== undefined) return
    const datacenter = query.query.get('dc')
    const send = (): void => { answerList(response, datacenter === null ? entries : entries.filter(entry => (entry as { Node: { Datacenter: string } }).Node.Datacenter === datacenter), index) }
    if (query.index === 0 || query.index < index) {
      send()
      return
    }
    const wake = (): void => {
      waiting.delete(wake)
      clearTimeout(timer)
      send()
    }
    const timer = setTimeout(wake, query.waitMs)
    waiting.add(wake)
    response.on('close', () => {
      waiting.delete(wake)
      clearTimeout(timer)
    })
  }
  const server = options.tls === undefined ? http.createServer(serve) : https.createServer(options.tls, serve)
  await new Promise<void>((resolve, reject) => { server.once('error', reject).listen(options.port ?? 0, '127.0.0.1', resolve) })

  const fake: FakeConsul = {
    url: `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    queries,
    get blocked () { return waiting.size },
    nodeName: 'vm',
    acl: false,
    coordinates: {},
    nodes: {},
    list (listed, at) {
      entries = listed
      index = at ?? index + 1
      for (const wake of [...waiting]) wake()
    },
    answer (next) { handler = next },
    breakConnections () { server.closeAllConnections() },
    queried: (count) => new Promise((resolve) => {
      const look = (): void => {
        if (queries.length < count) return
        watchers.delete(look)
        resolve()
      }
      watchers.add(look)
      look()
    }),
    close: () => new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  }
  return fake
}

/** Answers a list as Consul does. `index` undefined: without the header. */
export function answerList (response: http.ServerResponse, entries: unknown, index: number | undefined, headers: http.OutgoingHttpHeaders = {}): void {
  response.writeHead(200, {
    'content-type': 'application/json',
    ...(index === undefined ? {} : { 'x-consul-index': String(index) }),
    'x-consul-knownleader': 'true',
    'x-consul-lastcontact': '0',
    ...headers
  }).end(JSON.stringify(entries))
}
