// Ten thousand requests of every kind leave nothing behind: no timer, no listener, no socket, no memory. (`npm run bench` sends a million.)
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http, { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket, WebSocketServer } from 'ws'
import { takeSample } from '../../bench/memory/sample.ts'
import type { Sample } from '../../bench/memory/verdict.ts'
import { startChild, type Child } from '../command/run-command.ts'
import { sumOf } from '../support/gateway.ts'
import { closedPort } from '../support/origin.ts'
import { until } from '../support/until.ts'

const concurrency = 20
const measuredTurns = 3
/** The rarest kind is sent this often in a turn. */
const rarest = 60
/** What one of each for every request of the rarest kind is far above. */
const mostLeft = { timers: 40, listeners: 60, handles: 40 } as const
/** Of code that is still being compiled, some 80 bytes are measured; an exchange that is kept takes ten times the limit. */
const mostBytesPerRequest = 250

/** Of 20 at a time. */
async function repeat (times: number, one: () => Promise<unknown>): Promise<void> {
  let left = times
  await Promise.all(Array.from({ length: concurrency }, async () => { while (left-- > 0) await one() }))
}

/** Answers by the name of the message. Its connections are soon given up, so that none is there when it is counted. */
async function startService (isFirst: boolean, onAbandoned: () => void): Promise<Server> {
  let hedged = 0
  const answer = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    req.resume()
    switch (req.url!.split('?')[0]!.split('/').at(-1)!) {
      case 'Silent': return
      case 'Abandoned': return onAbandoned()
      case 'Retried':
        if (isFirst) res.statusCode = 503
        break
      case 'Hedged':
        // Slower than usual now and then, once it is known what is usual.
        if (++hedged > 60 && hedged % 3 === 0) await sleep(250)
        break
      case 'Crowded': await sleep(10)
    }
    res.setHeader('Content-Type', 'application/json').end('{"fine":true}')
  }
  const server = createServer({ keepAliveTimeout: 3_000 }, (req, res) => { void answer(req, res) })
  const sockets = new WebSocketServer({ noServer: true })
  server.on('upgrade', (req, socket, head) => {
    if (req.url!.endsWith('/refused')) socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    else sockets.handleUpgrade(req, socket, head, open => { open.on('message', data => open.send(data)) })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

const urlOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`

const tireless = { breaker: { enabled: false }, retryBudget: { percent: 100, perSecond: 10_000 } }
const configuration = (urls: readonly string[], goneUrl: string) => ({
  log: { destination: 'exchanges.log' },
  shedding: { eventLoopDelayMs: 0, heapPercent: 0 },
  defaults: { policy: { connectTimeoutMs: 8_000, cache: { mode: 'off' }, messageBreaker: { enabled: false }, balancer: { strategy: 'round-robin' }, retry: { backoffMs: 1, maxBackoffMs: 1 } } },
  upstreams: {
    service: { endpoints: urls, ...tireless },
    narrow: { endpoints: urls, ...tireless, bulkhead: { maxConcurrent: 2, maxQueue: 6 } },
    gone: { endpoints: [goneUrl] }
  },
  messages: {
    ...Object.fromEntries(['Read', 'Write', 'Retried', 'Abandoned'].map(name => [name, { upstream: 'service' }])),
    Hedged: { upstream: 'service', policy: { hedge: { enabled: true, percentile: 50, minDelayMs: 15 } } },
    Silent: { upstream: 'service', policy: { headersTimeoutMs: 40 } },
    Crowded: { upstream: 'narrow', policy: { queueTimeoutMs: 15 } },
    Gone: { upstream: 'gone' }
  },
  prefixes: { '/chat/*': { upstream: 'service' } }
})

/** Clients of one turn, each with what it must come to. */
class Clients {
  readonly #url: URL
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: concurrency })
  readonly #nextAbandoned: () => Promise<void>
  requests = 0

  constructor (url: string, nextAbandoned: () => Promise<void>) {
    this.#url = new URL(url)
    this.#nextAbandoned = nextAbandoned
  }

  async ask (path: string, method: string, ...allowed: number[]): Promise<void> {
    this.requests++
    const request = http.request(new URL(path, this.#url), { method, agent: this.#agent, headers: method === 'POST' ? { 'content-type': 'application/json' } : {} })
    request.end(method === 'POST' ? '{"name":"value"}' : undefined)
    const [response] = await once(request, 'response') as [IncomingMessage]
    response.resume()
    await once(response, 'end')
    assert.ok(allowed.includes(response.statusCode!), `${method} ${path}: ${response.statusCode}`)
  }

  /** Leaves when the service has the request, or in the middle of its body. */
  async abandon (isWhole: boolean): Promise<void> {
    this.requests++
    const arrived = isWhole ? this.#nextAbandoned() : undefined
    const socket = connect(Number(this.#url.port), this.#url.hostname)
    await once(socket, 'connect')
    socket.write(isWhole ? 'GET /json/reply/Abandoned HTTP/1.1\r\nHost: a\r\n\r\n' : 'POST /json/reply/Write HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{"half": ')
    await arrived
    socket.destroy()
  }

  async chat (): Promise<void> {
    this.requests++
    const socket = new WebSocket(new URL('/chat/room', this.#url))
    await once(socket, 'open')
    socket.send('hello')
    await once(socket, 'message')
    socket.close()
    await once(socket, 'close')
  }

  async beRefused (): Promise<void> {
    this.requests++
    const socket = new WebSocket(new URL('/chat/refused', this.#url))
    const [request, response] = await once(socket, 'unexpected-response') as [http.ClientRequest, IncomingMessage]
    assert.equal(response.statusCode, 403)
    request.destroy()
  }

  close (): void {
    this.#agent.destroy()
  }
}

async function sendTurn (url: string, nextAbandoned: () => Promise<void>): Promise<number> {
  const clients = new Clients(url, nextAbandoned)
  try {
    await repeat(600, () => clients.ask('/json/reply/Read?Id=1', 'GET', 200))
    await repeat(500, () => clients.ask('/json/reply/Write', 'POST', 200))
    await repeat(300, () => clients.ask(`/json/reply/Unknown${Math.random().toString(36).slice(2)}`, 'GET', 404))
    await repeat(250, () => clients.ask('/json/reply/Retried', 'GET', 200))
    await repeat(200, () => clients.ask('/json/reply/Hedged', 'GET', 200))
    await repeat(200, () => clients.ask('/json/reply/Crowded', 'POST', 200, 503))
    await repeat(100, () => clients.ask('/json/reply/Gone', 'POST', 502, 503))
    await repeat(rarest, () => clients.ask('/json/reply/Silent', 'GET', 504))
    await repeat(rarest, () => clients.ask('/json/reply/Silent', 'POST', 504))
    await repeat(rarest, () => clients.abandon(true))
    await repeat(rarest, () => clients.abandon(false))
    await repeat(rarest, () => clients.chat())
    await repeat(rarest, () => clients.beRefused())
    return clients.requests
  } finally {
    clients.close()
  }
}

const addressesOf = async (child: Child) => {
  const [, listener, admin] = await until('it listens', () => {
    if (child.process.exitCode !== null) throw new Error(child.err())
    return /listening on (\S+) \(admin (\S+)\)$/m.exec(child.out()) ?? undefined
  })
  const inspector = /Debugger listening on ws:\/\/127\.0\.0\.1:(\d+)/.exec(child.err())![1]
  return { listener: listener!, admin: admin!, inspectorPort: Number(inspector) }
}

test('ten thousand requests of every kind leave no timer, listener, handle or memory behind', { timeout: 300_000 }, async t => {
  const directory = await mkdtemp(join(tmpdir(), 'postern-leftovers-'))
  t.after(() => rm(directory, { recursive: true }))
  const arrivals: Array<() => void> = []
  const nextAbandoned = () => new Promise<void>(resolve => { arrivals.push(resolve) })
  const services = [await startService(true, () => arrivals.shift()!()), await startService(false, () => arrivals.shift()!())]
  t.after(() => {
    for (const server of services) {
      server.closeAllConnections()
      server.close()
    }
  })
  await writeFile(join(directory, 'postern.yaml'), JSON.stringify(configuration(services.map(urlOf), `http://127.0.0.1:${await closedPort()}`)))
  await using child = startChild(['start', '--config', 'postern.yaml', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'], { cwd: directory, env: { ...process.env, NODE_OPTIONS: '--inspect=127.0.0.1:0' } })
  const { listener, admin, inspectorPort } = await addressesOf(child)
  const metric = async (name: string) => sumOf(await (await fetch(`${admin}/metrics`)).text(), name, {})
  await until('it is ready', async () => (await fetch(`${admin}/readyz`)).status === 200)

  await until('every endpoint is known', async () => await metric('postern_endpoint_available') >= 4)
  const idle = async () => await metric('postern_in_flight') === 0 && await metric('postern_pool_connections') === 0
  let requests = 0
  const turn = async () => {
    requests += await sendTurn(listener, nextAbandoned)
    await until('nothing is under way, and idle connections are given up', idle, { timeoutMs: 30_000, everyMs: 100 })
  }
  await turn()
  const before = await takeSample(inspectorPort, requests)
  for (let n = 0; n < measuredTurns; n++) await turn()
  let after = await takeSample(inspectorPort, requests)
  const left = (what: keyof typeof mostLeft) => after[what] - before[what]
  const live = ({ heapUsed, external }: Sample) => heapUsed + external
  const bytesPerRequest = () => (live(after) - live(before)) / (after.requests - before.requests)
  const isClean = () => Object.entries(mostLeft).every(([what, most]) => left(what as keyof typeof mostLeft) <= most) && bytesPerRequest() <= mostBytesPerRequest
  // What ends by itself a little later is not left behind.
  for (const endAtMs = performance.now() + 15_000; !isClean() && performance.now() < endAtMs;) {
    await sleep(500)
    after = await takeSample(inspectorPort, requests)
  }
  const found = `${requests} requests, ${left('timers')} timers, ${left('listeners')} listeners, ${left('handles')} handles, ${bytesPerRequest().toFixed(0)} bytes a request`
  t.diagnostic(found)
  assert.ok(isClean(), found)
  // Every kind was what it was meant to be.
  for (const name of ['postern_retries_total', 'postern_hedges_total', 'postern_bulkhead_rejections_total']) assert.ok(await metric(name) >= rarest * measuredTurns, name)
})
