// The handshake of a WebSocket is an attempt like any other: it has its time-outs, goes on to the next endpoint, and feeds the breakers.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { WebSocket } from 'ws'
import { makeCertificate } from '../support/certificates.ts'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import { requestBytes, type RawResponse } from '../support/http-client.ts'
import * as behave from '../support/origin.ts'
import { startOrigin, type Behaviour } from '../support/origin.ts'
import { startRawServer } from '../support/raw-server.ts'
import { until } from '../support/until.ts'

const handshake: Array<[string, string]> = [['Connection', 'Upgrade'], ['Upgrade', 'websocket'], ['Sec-WebSocket-Version', '13'], ['Sec-WebSocket-Key', 'AAAAAAAAAAAAAAAAAAAAAA==']]

/** Takes the socket, says `hello` in one frame, and leaves the rest to the client. */
const accept = (protocol?: string): Behaviour => async request => {
  const digest = createHash('sha1').update(`${request.header('sec-websocket-key')}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  const chosen = protocol === undefined ? '' : `Sec-WebSocket-Protocol: ${protocol}\r\n`
  // Head and first frame in one piece, as a quick service may send them.
  request.socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${digest}\r\n${chosen}\r\n\x81\x05hello`, 'latin1')
  await once(request.socket, 'close')
}

/** Three failures in a row open any breaker, for longer than a test lasts. */
const breaker = { consecutiveFailures: 3, resetTimeoutMs: 600_000 }
const settings = (urls: readonly string[], more: object = {}): PartialConfig => ({
  defaults: { policy: { balancer: { strategy: 'round-robin' }, messageBreaker: { ...breaker, slowCallFactor: 0 }, headersTimeoutMs: 10_000, retry: { backoffMs: 1, maxBackoffMs: 1 }, ...more } },
  // Most of these fail whatever they are asked, so they cannot say what they are.
  upstreams: { chat: { endpoints: [...urls], servicestack: false, breaker } },
  prefixes: { '/chat/*': { upstream: 'chat', rewrite: '/' } }
}) as unknown as PartialConfig

/** The answer to an upgrade as the client gets it. */
async function ask (gateway: TestGateway): Promise<RawResponse> {
  using connection = await gateway.connect()
  connection.send(requestBytes('gateway.test', '/chat/room', { headers: handshake }))
  return await connection.response()
}

const outcomeOf = ({ status, reason }: RawResponse): string => `${status} ${reason}`

interface Fault { readonly name: string, readonly behaviour: Behaviour, readonly expected: string, readonly then?: string, readonly headersTimeoutMs?: number }

const faults: readonly Fault[] = [
  { name: 'reset', behaviour: behave.reset(), expected: '502 ConnectionClosed' },
  { name: 'no HTTP', behaviour: behave.raw('SSH-2.0-OpenSSH_9.2\r\n\r\n', { close: true }), expected: '502 BadAnswer' },
  { name: 'left hanging', behaviour: behave.hang(), expected: '504 HeadersTimeout', headersTimeoutMs: 150 },
  { name: 'refused with 502', behaviour: behave.ok('down', { status: 502, reason: 'Down' }), expected: '502 Down' },
  { name: 'accepted for another key', behaviour: behave.raw('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n'), expected: '502 BadAnswer' }
]

describe('a handshake that fails', { timeout: 300_000 }, () => {
  for (const { name, behaviour, expected, headersTimeoutMs = 10_000 } of faults) {
    test(`${name}: the client is told, and the breaker opens`, async () => {
      await using origin = await startOrigin(behaviour)
      await using gateway = await startGateway(settings([origin.url], { headersTimeoutMs, attempts: 1 }))
      await gateway.waitForEndpoint(origin.url)
      for (let n = 0; n < 3; n++) assert.equal(outcomeOf(await ask(gateway)), expected)
      const refused = await ask(gateway)
      assert.equal(outcomeOf(refused), '503 BreakerOpen')
      assert.ok(Number(refused.header('retry-after')) > 1)
      assert.equal(origin.received.length, 3)
    })
  }

  test('a refused connection takes the endpoint out', async () => {
    await using gateway = await startGateway(settings([`http://127.0.0.1:${await behave.closedPort()}`]))
    await until('it has a table', () => gateway.gateway.ready)
    assert.equal(outcomeOf(await ask(gateway)), '502 ConnectFailed')
    assert.equal(outcomeOf(await ask(gateway)), '503 NoEndpoint')
  })

  test('goes on to the next endpoint', async () => {
    await using bad = await startOrigin(behave.reset())
    await using good = await startOrigin(accept())
    await using gateway = await startGateway(settings([bad.url, good.url]))
    await gateway.waitForEndpoint(bad.url)
    await gateway.waitForEndpoint(good.url)
    for (let n = 0; n < 4; n++) assert.equal((await ask(gateway)).status, 101)
    assert.ok(bad.received.length > 0)
    assert.equal(good.received.length, 4)
  })

  test('a client that leaves meanwhile takes its handshake with it, and is nobody\'s failure', async () => {
    const gone = Promise.withResolvers<void>()
    await using origin = await startOrigin(async request => {
      await behave.left(request)
      gone.resolve()
    })
    await using gateway = await startGateway(settings([origin.url]))
    await gateway.waitForEndpoint(origin.url)
    for (let n = 1; n <= 4; n++) {
      const connection = await gateway.connect()
      connection.send(requestBytes('gateway.test', '/chat/room', { headers: handshake }))
      await until('it is under way', () => origin.received.length === n)
      connection.close()
      await until('its slot is free', async () => await gateway.metric('postern_in_flight', { upstream: 'chat' }) === 0)
    }
    await gone.promise
    assert.equal(await gateway.metric('postern_attempts_total', { outcome: 'failure' }), 0)
  })
})

describe('what the service says', { timeout: 300_000 }, () => {
  test('a refusal of its own reaches the client whole, and is no failure', async () => {
    await using origin = await startOrigin(behave.ok('who are you?', { status: 401, reason: 'TokenException', headers: [['WWW-Authenticate', 'Bearer'], ['Content-Type', 'text/plain']] }))
    await using gateway = await startGateway(settings([origin.url]))
    await gateway.waitForEndpoint(origin.url)
    for (let n = 0; n < 5; n++) {
      const refused = await ask(gateway)
      assert.equal(outcomeOf(refused), '401 TokenException')
      assert.equal(refused.header('www-authenticate'), 'Bearer')
      assert.equal(refused.text(), 'who are you?')
      assert.ok(refused.header('via'))
      assert.equal(refused.header('cache-status'), 'Postern; fwd=bypass; fwd-status=401')
    }
  })

  test('it chooses among the subprotocols the client offers, and may speak at once', async () => {
    await using origin = await startOrigin(accept('v2'))
    await using gateway = await startGateway(settings([origin.url]))
    await gateway.waitForEndpoint(origin.url)
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/chat/room`, ['v3', 'v2'])
    const [[message]] = await Promise.all([once(socket, 'message'), once(socket, 'open')])
    assert.equal(String(message), 'hello')
    assert.equal(socket.protocol, 'v2')
    assert.equal(origin.received[0]!.headers.find(([name]) => name.toLowerCase() === 'sec-websocket-protocol')?.[1], 'v3,v2')
    socket.terminate()
  })

  test('an endpoint behind TLS is verified by the upstream\'s own authority, as for calls', async t => {
    const certificate = await makeCertificate(['chat.internal'])
    t.after(() => certificate.remove())
    const server = await startRawServer({ handler: async request => { await (request.header('upgrade') === undefined ? behave.ok() : accept())(request) }, tls: { cert: certificate.pem, key: certificate.key } })
    t.after(() => server.kill())
    const url = `https://127.0.0.1:${server.port}`
    const { upstreams, ...rest } = settings([url])
    const trusting = (serverName: string) => ({ ...rest, upstreams: { chat: { ...upstreams!['chat'], tls: { caFile: certificate.certFile, serverName } } } }) as PartialConfig
    await using gateway = await startGateway(trusting('chat.internal'))
    await gateway.waitForEndpoint(url)
    assert.equal((await ask(gateway)).status, 101)
    await using doubting = await startGateway(trusting('billing.internal'))
    await until('it has a table', () => doubting.gateway.ready)
    assert.equal((await ask(doubting)).status, 502)
  })

  test('101 is a success: the trial of a half-open breaker', async () => {
    await using origin = await startOrigin(behave.ok('', { status: 502, reason: 'Down' }))
    await using gateway = await startGateway(settings([origin.url], { messageBreaker: { consecutiveFailures: 3, resetTimeoutMs: 100, trials: 1, rampMs: 0 }, attempts: 1 }))
    await gateway.waitForEndpoint(origin.url)
    const state = async () => await gateway.metric('postern_message_breaker_state', { message: '/chat/*' })
    for (let n = 0; n < 3; n++) await ask(gateway)
    assert.notEqual(await state(), 0)
    origin.behave(accept())
    await until('it is served again', async () => (await ask(gateway)).status === 101)
    await until('it is closed', async () => await state() === 0)
  })
})
