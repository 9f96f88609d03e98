// What clients may not do on real sockets: each refusal is a responseStatus with its own status, and nothing is dropped in silence.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openConnection, request, sendBytes, targetOf } from '../support/http-client.ts'
import { until } from '../support/until.ts'
import { field, ok, startFake } from './fake-gateway.ts'

const refusals: ReadonlyArray<readonly [what: string, bytes: string, status: number, code: string]> = [
  ['a header list beyond the count', `GET /json/reply/X HTTP/1.1\r\nHost: a\r\n${Array.from({ length: 20 }, (_, i) => `X-${i}: 1\r\n`).join('')}\r\n`, 431, 'HeadersTooLarge'],
  ['headers beyond the bytes', `GET /json/reply/X HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(1_500)}\r\n\r\n`, 431, 'HeadersTooLarge'],
  ['headers beyond what the parser takes', `GET /json/reply/X HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(9_000)}\r\n\r\n`, 431, 'HeadersTooLarge'],
  ['a target beyond the limit', `GET /json/reply/X?${'x'.repeat(600)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414, 'RequestTargetTooLong'],
  ['a target beyond what the parser takes', `GET /json/reply/X?${'x'.repeat(9_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414, 'RequestTargetTooLong'],
  ['no Host', 'GET /json/reply/X HTTP/1.1\r\n\r\n', 400, 'BadRequest'],
  ['two Hosts', 'GET /json/reply/X HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400, 'BadRequest'],
  ['a Host that is none', 'GET /json/reply/X HTTP/1.1\r\nHost: a b"\r\n\r\n', 400, 'BadRequest'],
  ['what is not HTTP', 'HELO example.com\r\n\r\n', 400, 'BadRequest'],
  ['a length and chunks', 'POST /json/reply/X HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400, 'BadRequest'],
  ['two lengths', 'POST /json/reply/X HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc', 400, 'BadRequest'],
  ['a space before the colon', 'GET /json/reply/X HTTP/1.1\r\nHost : a\r\n\r\n', 400, 'BadRequest'],
  ['another spelling of a message', 'GET /json/reply/X/../Y HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'BadRequestTarget'],
  ['an upgrade on a message', 'GET /json/reply/X HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n', 400, 'UpgradeNotAllowed']
]

for (const [what, bytes, status, code] of refusals) {
  test(`${what}: ${status} ${code}`, async () => {
    await using fake = await startFake({ listener: { limits: { headerBytes: 1_024, headerCount: 10, requestTargetBytes: 512 } } })
    const response = await sendBytes(fake.url, bytes, { method: 'GET' })
    assert.equal(response.status, status)
    assert.equal(response.reason, code)
    assert.equal(response.json().responseStatus.errorCode, code)
    assert.deepEqual(fake.refused, [code])
    assert.equal(fake.exchanges.length, 0)
  })
}

test('an upgrade to another protocol is passed over', async () => {
  await using fake = await startFake()
  const response = await request(fake.url, '/json/reply/X', { headers: [['Connection', 'Upgrade, HTTP2-Settings'], ['Upgrade', 'h2c'], ['HTTP2-Settings', 'AAMAAABkAAQAAP__']] })
  assert.equal(response.status, 200)
  assert.equal(field(fake.exchanges[0]!.upstreamRequest.headers, 'http2-settings'), undefined)
})

test('a head that does not come in time: 408', async () => {
  await using fake = await startFake({ listener: { limits: { headersTimeoutMs: 100 } } })
  using connection = await openConnection(targetOf(fake.url))
  connection.send('GET /json/reply/X HTTP/1.1\r\nHos')
  const response = await connection.response()
  assert.equal(response.status, 408)
  assert.equal(response.json().responseStatus.errorCode, 'RequestTimeout')
})

test('connections beyond the limit are closed at once', async () => {
  await using fake = await startFake({ listener: { limits: { maxConnections: 1 } } })
  using first = await openConnection(targetOf(fake.url))
  using second = await openConnection(targetOf(fake.url))
  await until('the second is closed', () => second.reader.ended !== undefined)
  first.send('GET /json/reply/X HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.equal((await first.response()).status, 200)
  assert.equal(fake.listener.connections, 1)
})

test('a connection on which nothing is asked is closed after its idle time, and not before', async () => {
  const keepAliveTimeoutMs = 4_000
  await using fake = await startFake({ listener: { limits: { keepAliveTimeoutMs } } })
  using connection = await openConnection(targetOf(fake.url))
  let askedAtMs = 0
  for (let n = 0; n < 2; n++) {
    askedAtMs = performance.now()
    connection.send('GET /json/reply/X HTTP/1.1\r\nHost: a\r\n\r\n')
    const response = await connection.response()
    assert.deepEqual([response.status, response.header('connection')], [200, 'keep-alive'])
  }
  await until('it is closed', () => connection.reader.ended !== undefined)
  const keptMs = performance.now() - askedAtMs
  assert.ok(keptMs >= keepAliveTimeoutMs - 5, `${keptMs} ms`)
  assert.equal(fake.exchanges.length, 2)
})

test('an answer that takes longer than the idle time is no idleness', async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  await using fake = await startFake({ answer: async () => { await gate; return ok('late') }, listener: { limits: { keepAliveTimeoutMs: 2_000 } } })
  using connection = await openConnection(targetOf(fake.url))
  connection.send('GET /json/reply/X HTTP/1.1\r\nHost: a\r\n\r\n')
  await until('it is asked', () => fake.exchanges.length === 1)
  // As long as an idle connection takes to be closed, and longer.
  using idle = await openConnection(targetOf(fake.url))
  idle.send('GET /json/reply/HiddenX HTTP/1.1\r\nHost: a\r\n\r\n')
  await until('an idle connection is closed', () => idle.reader.ended !== undefined)
  open()
  assert.equal((await connection.response()).text(), 'late')
})

test('a connection closes after its number of requests', async () => {
  await using fake = await startFake({ listener: { limits: { maxRequestsPerConnection: 2 } } })
  using connection = await openConnection(targetOf(fake.url))
  for (const last of [false, true]) {
    connection.send('GET /json/reply/X HTTP/1.1\r\nHost: a\r\n\r\n')
    assert.equal((await connection.response()).header('connection') === 'close', last)
  }
})

test('our own name seen twice in Via: 508', async () => {
  await using fake = await startFake()
  const via = (await request(fake.url, '/json/reply/X')).header('via')!
  assert.equal((await request(fake.url, '/json/reply/X', { headers: [['Via', via]] })).status, 200)
  const loop = await request(fake.url, '/json/reply/X', { headers: [['Via', `${via}, 1.1 other`], ['Via', via]] })
  assert.equal(loop.status, 508)
  assert.equal(loop.json().responseStatus.errorCode, 'LoopDetected')
})

test('new limits hold from the next request on', async () => {
  await using fake = await startFake()
  using connection = await openConnection(targetOf(fake.url))
  const ask = async () => {
    connection.send(`GET /json/reply/X?${'x'.repeat(600)} HTTP/1.1\r\nHost: a\r\n\r\n`)
    return (await connection.response()).status
  }
  assert.equal(await ask(), 200)
  const take = fake.listener.prepare({ ...fake.config.listener, limits: { ...fake.config.listener.limits, requestTargetBytes: 256 } }, fake.config.edge)
  assert.equal(await ask(), 200, 'not before they are in force')
  take()
  assert.equal(await ask(), 414)
})

test('limits of the parser are raised for new connections', async () => {
  await using fake = await startFake()
  const ask = async () => (await request(fake.url, `/json/reply/X?${'x'.repeat(40_000)}`)).status
  assert.equal(await ask(), 414)
  fake.listener.prepare({ ...fake.config.listener, limits: { ...fake.config.listener.limits, requestTargetBytes: 65_536 } }, fake.config.edge)()
  assert.equal(await ask(), 200)
})
