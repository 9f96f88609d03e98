// WebSocket through a prefix route, on real sockets.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { lookup } from 'node:dns'
import { test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { compose } from '../../src/exchange/compose.ts'
import { GatewayError } from '../../src/exchange/errors.ts'
import type { Exchange } from '../../src/exchange/exchange.ts'
import { settle } from '../../src/exchange/settle.ts'
import { bulkhead } from '../../src/filters/bulkhead.ts'
import { pickEndpoint } from '../../src/filters/pick-endpoint.ts'
import { send } from '../../src/filters/send.ts'
import { EndpointPool } from '../../src/upstream/pool.ts'
import { fakeEndpoint } from '../support/exchange.ts'
import { until } from '../support/until.ts'
import { startFake, type FakeOptions } from './fake-gateway.ts'

/** Echoes, and remembers how it was asked. */
async function startEcho () {
  const server = createServer()
  const asked: Array<{ url: string, headers: IncomingHttpHeaders }> = []
  const wss = new WebSocketServer({ server })
  wss.on('connection', (socket, req) => {
    asked.push({ url: req.url!, headers: req.headers })
    socket.on('message', (data, binary) => socket.send(data, { binary }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/base`,
    asked,
    clients: wss.clients,
    async [Symbol.asyncDispose] () {
      for (const client of wss.clients) client.terminate()
      wss.close()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    }
  }
}

const through = async (url: string, options: FakeOptions = {}) => {
  const held = { slots: 0 }
  const { origin, pathname } = new URL(url)
  const pool = new EndpointPool({ url, origin, basePath: pathname === '/' ? '' : pathname }, undefined, lookup, () => {})
  const upstream = {
    acquire: () => { held.slots++; return undefined },
    release: () => { held.slots-- },
    pick: (exchange: Exchange) => exchange.attempts.length > 0
      ? undefined
      : fakeEndpoint(url, async (exchange, attempt) => await pool.upgrade(exchange, attempt))
  }
  const fake = await startFake({ kind: 'prefix', websocket: true, answer: settle(compose([bulkhead, pickEndpoint], send)), ...options, upstream: { ...upstream, ...options.upstream } })
  return { held, fake, [Symbol.asyncDispose]: async () => { await fake.close() } }
}

/** The status of an upgrade that was refused. */
const refusal = (url: string) => new Promise<number>((resolve, reject) => {
  const socket = new WebSocket(url)
  socket.on('unexpected-response', (_request, response) => {
    resolve(response.statusCode!)
    socket.terminate()
  })
  socket.on('open', () => reject(new Error('it was accepted')))
  socket.on('error', () => {}) // unexpected-response says more.
})

test('messages pass in both directions, the slot is held until the socket closes', async () => {
  await using echo = await startEcho()
  await using started = await through(echo.url)
  const { fake, held } = started
  const socket = new WebSocket(`ws://127.0.0.1:${fake.port}/legacy/chat?a=%2f&debug=1`, ['v2'], { headers: { cookie: 'a=1', 'x-ss-id': 'stolen', 'x-custom': 'c' } })
  await once(socket, 'open')
  assert.equal(socket.protocol, 'v2')
  socket.send('hello')
  assert.equal(String((await once(socket, 'message'))[0]), 'hello')
  socket.send(Buffer.from([1, 2]))
  assert.deepEqual((await once(socket, 'message'))[0], Buffer.from([1, 2]))
  assert.equal(held.slots, 1)
  const { url, headers } = echo.asked[0]!
  assert.equal(url, '/base/legacy/chat?a=%2f')
  assert.equal(headers.cookie, 'a=1')
  assert.equal(headers['x-custom'], 'c')
  assert.equal(headers['x-ss-id'], undefined)
  assert.equal(headers['x-forwarded-for'], '127.0.0.1')
  assert.match(headers.via!, /^1\.1 postern-/)
  socket.close(4001, 'bye')
  await once(socket, 'close')
  await until('the slot is free', () => held.slots === 0)
  await until('the service was told', () => echo.clients.size === 0)
})

test('the service closing closes the client, with its code', async () => {
  await using echo = await startEcho()
  await using started = await through(echo.url)
  const { fake, held } = started
  const socket = new WebSocket(`ws://127.0.0.1:${fake.port}/legacy/chat`)
  await once(socket, 'open')
  await until('the service has it', () => echo.clients.size === 1)
  for (const client of echo.clients) client.close(4002, 'over')
  assert.equal((await once(socket, 'close'))[0], 4002)
  await until('the slot is free', () => held.slots === 0)
})

test('refused: a route without WebSocket, a full bulkhead, no endpoint, a hidden spelling', async () => {
  await using echo = await startEcho()
  const full = () => { throw new GatewayError('BulkheadFull') }
  const cases: ReadonlyArray<readonly [FakeOptions, string, number]> = [
    [{ websocket: false }, '/legacy/x', 400],
    [{ upstream: { acquire: full, release: () => assert.fail('nothing was taken') } }, '/legacy/x', 503],
    [{ upstream: { pick: () => undefined } }, '/legacy/x', 503],
    // Not dots: the client's own URL parser would resolve them.
    [{}, '/legacy/x%2fjson%2freply%2fX', 400],
    [{}, '/json/reply/Hidden', 404]
  ]
  for (const [options, path, status] of cases) {
    await using started = await through(echo.url, options)
    const { fake, held } = started
    assert.equal(await refusal(`ws://127.0.0.1:${fake.port}${path}`), status, path)
    assert.equal(held.slots, 0)
  }
  assert.equal(echo.asked.length, 0)
})

test('an endpoint that is not there is found out before the client is accepted', async () => {
  await using started = await through('http://127.0.0.1:1')
  const { fake, held } = started
  assert.equal(await refusal(`ws://127.0.0.1:${fake.port}/legacy/chat`), 502)
  assert.equal(held.slots, 0)
})

test('a new limit on messages holds for the next socket, in both directions', async () => {
  await using echo = await startEcho()
  await using started = await through(echo.url)
  const { fake } = started
  const { listener, edge } = fake.config
  const open = async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${fake.port}/legacy/chat`)
    await once(socket, 'open')
    return socket
  }
  const first = await open()
  fake.listener.prepare({ ...listener, limits: { ...listener.limits, gatheredBodyBytes: 10 } }, edge)()
  first.send('x'.repeat(100))
  assert.equal(String((await once(first, 'message'))[0]), 'x'.repeat(100), 'an open one keeps its own')
  first.close()
  await until('it has left', () => echo.clients.size === 0)
  const second = await open()
  second.send('x'.repeat(100))
  assert.equal((await once(second, 'close'))[0], 1009)
  await until('it has left', () => echo.clients.size === 0)
  const third = await open()
  await until('the service has it', () => echo.clients.size === 1)
  for (const client of echo.clients) client.send('x'.repeat(100))
  await once(third, 'close')
})

test('draining says goodbye to open sockets', async () => {
  await using echo = await startEcho()
  await using started = await through(echo.url)
  const { fake, held } = started
  const socket = new WebSocket(`ws://127.0.0.1:${fake.port}/legacy/chat`)
  await once(socket, 'open')
  await until('the service has it', () => echo.clients.size === 1)
  const closed = once(socket, 'close')
  await fake.listener.drain(2_000)
  await closed
  await until('the slot is free', () => held.slots === 0)
})
