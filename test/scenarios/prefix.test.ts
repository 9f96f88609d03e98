// Prefix routes for what is not a message: longest wins, rewriting, message routes first, WebSocket, RESTful paths on request.
import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocket, WebSocketServer } from 'ws'
import { startFleet } from '../support/fleet.ts'
import { configOf, startGateway, type TestGateway } from '../support/gateway.ts'
import { requestBytes } from '../support/http-client.ts'
import { misdirected, startLoad } from '../support/load.ts'
import * as behave from '../support/origin.ts'
import { startOrigin, type Origin } from '../support/origin.ts'
import { registerAsPlugin } from '../support/plugin-registration.ts'
import { startServiceStackHost } from '../support/servicestack-host.ts'
import { until, within } from '../support/until.ts'

describe('prefix routes', { timeout: 300_000 }, () => {
  let legacy: Origin
  let deep: Origin
  let gateway: TestGateway
  before(async () => {
    legacy = await startOrigin(behave.echo())
    deep = await startOrigin(behave.echo())
    gateway = await startGateway({
      upstreams: { legacy: { endpoints: [`${legacy.url}/base`] }, deep: { endpoints: [deep.url] } },
      messages: { Echo: { upstream: 'deep' } },
      // The order in the file never matters: the shorter one stands first.
      prefixes: {
        '/legacy/*': { upstream: 'legacy' },
        '/legacy/deep/*': { upstream: 'deep' },
        '/old/*': { upstream: 'legacy', rewrite: '/new' },
        '/root/*': { upstream: 'deep', rewrite: '/' },
        '/hang/*': { upstream: 'deep', policy: { headersTimeoutMs: 100 } }
      }
    } as never)
    await gateway.waitForRoute('Echo')
    for (const url of [`${legacy.url}/base`, deep.url]) await gateway.waitForEndpoint(url)
  })
  after(async () => {
    await gateway.close()
    await Promise.all([legacy.close(), deep.close()])
  })
  const target = async (path: string) => {
    const response = await gateway.get(path)
    assert.equal(response.status, 200, `${path}: ${response.text()}`)
    return response.json().target as string
  }

  test('the longest prefix wins, and the path goes up as it came, below the base path', async () => {
    const [atLegacy, atDeep] = [legacy.received.length, deep.received.length]
    assert.equal(await target('/legacy/a%20b/c?x=%2f&y'), '/base/legacy/a%20b/c?x=%2f&y')
    assert.equal(await target('/legacy/deep/x'), '/legacy/deep/x')
    assert.equal(await target('/legacy'), '/base/legacy')
    assert.equal(await target('/legacy/deeper'), '/base/legacy/deeper')
    assert.deepEqual([legacy.received.length - atLegacy, deep.received.length - atDeep], [3, 1])
  })

  test('a prefix ends at a segment', async () => {
    assert.equal((await gateway.get('/legacyx')).status, 404)
    assert.equal((await gateway.get('/')).status, 404)
  })

  test('rewriting replaces the prefix and nothing else', async () => {
    assert.equal(await target('/old/a%20b?q=/old/'), '/base/new/a%20b?q=/old/')
    assert.equal(await target('/root/a//b/'), '/a//b/')
    assert.equal(await target('/root/'), '/')
  })

  test('where the service leads on below what the prefix was replaced by, the client is led on below the prefix, also from the cache', async () => {
    await using origin = await startOrigin(behave.ok('here', { status: 301, headers: [['Location', '/base/new/login?next=/new/a'], ['Content-Location', '/base/new'], ['Cache-Control', 'max-age=60']] }))
    await using redirected = await startGateway({ upstreams: { moved: { endpoints: [`${origin.url}/base`] } }, prefixes: { '/Old/*': { upstream: 'moved', rewrite: '/new' }, '/older/*': { upstream: 'moved', rewrite: '/new' } } })
    await redirected.waitForEndpoint(`${origin.url}/base`)
    for (let n = 0; n < 3; n++) {
      for (const prefix of ['/Old', '/older']) {
        const answer = await redirected.get(`${prefix}/start`)
        assert.deepEqual([answer.status, answer.header('location'), answer.header('content-location')], [301, `${prefix}/login?next=/new/a`, prefix])
      }
    }
  })

  test('message routes win, whatever the prefixes', async () => {
    assert.equal(await target('/json/reply/Echo'), '/json/reply/Echo')
    assert.equal((await gateway.get('/json/reply/Unknown')).status, 404)
  })

  test('what only looks like a message is its own, because there is no such format', async () => {
    assert.equal(await target('/legacy/reply/42'), '/base/legacy/reply/42')
    assert.equal(await target('/legacy/oneway/42/edit?x'), '/base/legacy/oneway/42/edit?x')
    assert.equal((await gateway.get('/json/reply/42')).status, 404)
  })

  test('spellings that hosts read as another path are refused on prefix routes too', async () => {
    const received = () => legacy.received.length + deep.received.length
    const before = received()
    for (const path of ['/legacy/../json/reply/X', '/legacy/%2e%2e/x', '/legacy/a%2f..%2fb', '/legacy/a%5cb', '/legacy/%00', '/legacy/%', '/legacy/./x', '/legacy/a\\b']) {
      const response = await gateway.get(path)
      assert.equal(response.status, 400, path)
      assert.equal(response.json().responseStatus.errorCode, 'BadRequestTarget')
    }
    assert.equal(received(), before)
  })

  test('the same safety measures: policy of the prefix, bodies, cut answers', async () => {
    deep.behave(behave.hang())
    assert.equal((await gateway.post('/hang/x', {})).json().responseStatus.errorCode, 'HeadersTimeout')
    deep.behave(behave.cutBody())
    assert.equal((await gateway.get('/root/x')).whole, false)
    deep.behave(behave.echo())
    // What is no message streams as it came.
    using connection = await gateway.connect()
    connection.send('POST /root/upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n')
    assert.equal((await connection.response('POST')).json().body, 'hello')
  })

  test('server-sent events come as they are sent, and outlive the deadline', async () => {
    const gate = Promise.withResolvers<void>()
    deep.behave(async request => {
      request.socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n')
      await gate.promise
      request.socket.write('9\r\ndata: 2\n\n\r\n0\r\n\r\n')
    })
    using connection = await gateway.connect()
    connection.send(requestBytes('x', '/root/events'))
    assert.equal((await connection.head()).status, 200)
    assert.match((await within('the first event', 20_000, connection.reader.until('data: 1\n\n'))).toString(), /data: 1/)
    gate.resolve()
    assert.match((await within('the second event', 20_000, connection.reader.until('data: 2\n\n'))).toString(), /data: 2/)
    deep.behave(behave.echo())
  })

  for (const [what, poweredBy, status] of [['a ServiceStack host', 'ServiceStack/10.15 NET10/Linux', 404], ['another service', 'Express', 200]] as const) {
    test(`every path waits until ${what} has said what it is`, async () => {
      let speaks = false
      const reached: string[] = []
      const server = createServer((request, response) => {
        if (request.headers['user-agent'] !== 'postern') reached.push(request.url!)
        else if (!speaks) response.statusCode = 503
        response.setHeader('X-Powered-By', poweredBy).end('{}')
      })
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      try {
        const { port } = server.address() as { port: number }
        await using gateway = await startGateway({ upstreams: { host: { endpoints: [`http://127.0.0.1:${port}`] } }, prefixes: { '/host/*': { upstream: 'host', rewrite: '/' } } } as never)
        await until('a table', async () => gateway.gateway.ready)
        const internal = ['/host/discovery/services', '/host/discovery/registration', '/host/json/reply/Heartbeat', '/host/json/reply/GetServices', '/host/sub/api/HealthCheck', '/host/api/orders', '/host/purge/1', '/host/page']
        for (const path of internal) {
          const answer = await gateway.get(path)
          assert.equal(`${answer.status} ${answer.reason} ${answer.header('retry-after')}`, '503 RoutesNotReady 1', path)
        }
        assert.deepEqual(reached, [])
        speaks = true
        await until('it is known', async () => (await gateway.get(internal[0]!)).status !== 503)
        for (const path of internal) assert.equal((await gateway.get(path)).status, status, path)
      } finally {
        server.close()
        server.closeAllConnections()
      }
    })
  }

  test('a service that answers no question is passed calls where postern.yaml says what it is', async () => {
    const server = createServer((request, response) => { if (request.url === '/page') response.end('page') })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      const endpoints = [`http://127.0.0.1:${(server.address() as AddressInfo).port}`]
      await using gateway = await startGateway({ upstreams: { told: { endpoints, servicestack: false }, untold: { endpoints } }, prefixes: { '/told/*': { upstream: 'told', rewrite: '/' }, '/untold/*': { upstream: 'untold', rewrite: '/' } } } as never)
      await until('a table', async () => gateway.gateway.ready)
      assert.equal((await gateway.get('/told/page')).text(), 'page')
      assert.equal((await gateway.get('/untold/page')).reason, 'RoutesNotReady')
    } finally {
      server.close()
      server.closeAllConnections()
    }
  })

  test('a service that is not well, or whose first page hangs, says what it is all the same', async () => {
    for (const first of ['503', 'hang']) {
      const server = createServer((request, response) => {
        if (request.url === '/page') response.end('page')
        else if (request.url !== '/') response.writeHead(404).end()
        else if (first !== 'hang') response.writeHead(Number(first)).end()
      })
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      try {
        const endpoints = [`http://127.0.0.1:${(server.address() as AddressInfo).port}`]
        await using gateway = await startGateway({ registry: { ask: { timeoutMs: 300 } }, upstreams: { legacy: { endpoints } }, prefixes: { '/legacy/*': { upstream: 'legacy', rewrite: '/' } } } as never)
        await until('it is known', async () => (await gateway.get('/legacy/page')).status === 200)
      } finally {
        server.close()
        server.closeAllConnections()
      }
    }
  })

  test('no call waits for it: neither the first ones after a start, nor those during a reload that names other endpoints', async () => {
    await using one = await startOrigin(behave.echo())
    await using other = await startOrigin(behave.echo())
    const to = ({ url }: Origin) => ({ upstreams: { legacy: { endpoints: [url] } }, prefixes: { '/legacy/*': { upstream: 'legacy' } } }) as never
    await using gateway = await startGateway(to(one))
    await until('a table', async () => gateway.gateway.ready)
    assert.equal((await gateway.get('/legacy/x')).status, 200)
    await using load = startLoad(gateway.url, '/legacy/x', { callers: 2 })
    await gateway.reload(to(other))
    assert.equal((await gateway.get('/legacy/x')).status, 200)
    assert.ok(other.received.some(({ target }) => target === '/legacy/x'))
    await load.stop()
    assert.deepEqual(load.failures, [])
  })

  test('a prefix that would shadow a message form is a configuration error', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'postern-prefix-'))
    for (const prefix of ['/json/reply/*', '/api/*', '/JSON/*', '/xml/oneway/*']) {
      await assert.rejects(configOf({ upstreams: { a: { endpoints: ['http://127.0.0.1:1'] } }, prefixes: { [prefix]: { upstream: 'a' } } } as never, directory), { name: 'ConfigError' }, prefix)
    }
    await rm(directory, { recursive: true })
  })
})

describe('WebSocket', { timeout: 300_000 }, () => {
  let server: Server
  let sockets: WebSocketServer
  let gateway: TestGateway
  const upgrades: Array<{ url: string, headers: NodeJS.Dict<string | string[]> }> = []
  before(async () => {
    server = createServer((_request, response) => response.writeHead(426).end())
    sockets = new WebSocketServer({ server })
    sockets.on('connection', (socket, request) => {
      upgrades.push({ url: request.url!, headers: request.headers })
      socket.on('message', (data, isBinary) => { socket.send(data, { binary: isBinary }) })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    gateway = await startGateway({
      upstreams: { chat: { endpoints: [`http://127.0.0.1:${port}`], bulkhead: { maxConcurrent: 3, maxQueue: 0 } } },
      messages: { Echo: { upstream: 'chat' } },
      prefixes: { '/chat/*': { upstream: 'chat', rewrite: '/' }, '/quiet/*': { upstream: 'chat', websocket: false } }
    } as never)
    await gateway.waitForRoute('Echo')
    await gateway.waitForEndpoint(`http://127.0.0.1:${port}`)
  })
  after(async () => {
    await gateway.close()
    for (const client of sockets.clients) client.terminate()
    sockets.close()
    await new Promise(resolve => server.close(resolve))
  })
  const open = async (path: string, options: { headers?: Record<string, string> } = {}): Promise<WebSocket> => {
    const socket = new WebSocket(gateway.url.replace('http', 'ws') + path, options)
    await Promise.race([once(socket, 'open'), once(socket, 'unexpected-response').then(([, response]) => { throw new Error(`status ${(response as { statusCode: number }).statusCode}`) })])
    return socket
  }
  const echoed = async (socket: WebSocket, data: string | Buffer) => {
    const answer = once(socket, 'message')
    socket.send(data)
    const [message, isBinary] = await within('the echo', 30_000, answer) as [Buffer, boolean]
    assert.equal(isBinary, Buffer.isBuffer(data))
    return message
  }

  test('text and binary pass both ways, headers are cleaned as for calls', async () => {
    const socket = await open('/chat/room?x=1', { headers: { 'X-Forwarded-For': '203.0.113.9', 'X-ss-id': 'stolen' } })
    try {
      assert.equal((await echoed(socket, 'hello')).toString(), 'hello')
      const big = Buffer.alloc(1_000_000, 'z')
      assert.equal((await echoed(socket, big)).length, big.length)
      const upgrade = upgrades.at(-1)!
      assert.equal(upgrade.url, '/room?x=1')
      assert.equal(upgrade.headers['x-forwarded-for'], '127.0.0.1')
      assert.equal(upgrade.headers['x-ss-id'], undefined)
      assert.ok(upgrade.headers['x-mac-requestid'])
    } finally {
      socket.terminate()
    }
  })

  test('an open socket holds a bulkhead slot until it closes', async () => {
    await until('slots are free', async () => await gateway.metric('postern_in_flight', { upstream: 'chat' }) === 0)
    const open3 = [await open('/chat/1'), await open('/chat/2'), await open('/chat/3')]
    await assert.rejects(open('/chat/4'), /status 503/)
    open3[0]!.terminate()
    const fourth = await until('a slot is free', async () => await open('/chat/4').catch(() => undefined))
    for (const socket of [...open3, fourth]) socket.terminate()
  })

  test('where websocket is off, and on messages, an upgrade is refused', async () => {
    await assert.rejects(open('/quiet/room'), /status 400/)
    await assert.rejects(open('/json/reply/Echo'), /status 400/)
    await assert.rejects(open('/nowhere'), /status 404/)
  })
})

test('RESTful paths of a service\'s own list, where asked for', { timeout: 300_000 }, async () => {
  await using fleet = await startFleet([{ replay: false }], { upstreams: { Catalog: { customRoutes: true } } } as never)
  const response = await until('its path is routed', async () => { const answer = await fleet.gateway.get('/products/7'); return answer.status === 200 && answer })
  assert.equal(response.json().id, 0, 'the double binds the query only; what counts is that it ran')
  assert.equal(fleet.hosts[0]!.executed.at(-1), 'GetProduct')
  assert.equal(fleet.hosts[0]!.calls.at(-1)!.target, '/products/7')
  const post = await fleet.gateway.post('/products/7', {})
  assert.equal(post.status, 405)
  assert.equal(post.header('allow'), 'GET')
  assert.equal((await fleet.gateway.get('/products')).status, 404)
})

describe('a RESTful path is another way to its message', { timeout: 300_000 }, () => {
  const config = { upstreams: { Catalog: { customRoutes: true }, Shrinking: { customRoutes: true } }, defaults: { policy: { cache: { mode: 'off' }, balancer: { strategy: 'round-robin' } }, balancing: { slowStartMs: 0 } } } as never

  test('an endpoint whose own list lacks the message does not get its paths', async () => {
    const answer = () => ({ body: {} })
    const GoAway = { handler: answer, actions: ['GET'], routes: ['/goes/{Id}'] }
    await using fleet = await startFleet([{ service: 'Shrinking', messages: { Stays: answer } }, { service: 'Shrinking', messages: { Stays: answer, GoAway } }], config)
    const { gateway, hosts } = fleet
    await gateway.waitForRoute('GoAway')
    await until('its path is routed', async () => (await gateway.get('/goes/1')).status === 200)
    for (let n = 0; n < 10; n++) {
      assert.equal((await gateway.get('/json/reply/GoAway')).status, 200)
      assert.equal((await gateway.get('/goes/1')).status, 200)
    }
    assert.deepEqual(misdirected(hosts), [])
    // The plan of the message changes, and that of the path does not.
    await using other = await startServiceStackHost({ service: 'Shrinking', messages: { Stays: answer, GoAway } })
    await registerAsPlugin(gateway.embedded!, other, { heartbeatIntervalS: 1 })
    await until('the new endpoint gets its paths', async () => { await gateway.get('/goes/1'); return other.calls.some(({ target }) => target === '/goes/1') })
  })

  test('a message held open by hand gets no calls by its path either', async () => {
    await using fleet = await startFleet([{ replay: false }], config)
    const { gateway } = fleet
    await until('its path is routed', async () => (await gateway.get('/products/1')).status === 200)
    const hold = { upstream: 'Catalog', message: 'GetProduct', held: 'open', reason: 'table locked', by: 'ann' }
    assert.equal((await gateway.tell('/api/breakers/hold', hold)).status, 200)
    assert.equal((await gateway.get('/json/reply/GetProduct?Id=1')).reason, 'BreakerOpen')
    assert.equal((await gateway.get('/products/1')).reason, 'BreakerOpen')
  })
})
