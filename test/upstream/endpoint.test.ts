import assert from 'node:assert/strict'
import http from 'node:http'
import net, { type Socket } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { describe, test, type TestContext } from 'node:test'
import { deadlineExceeded } from '../../src/exchange/deadline.ts'
import { GatewayError } from '../../src/exchange/errors.ts'
import { Scale } from '../../src/upstream/balancing/standing.ts'
import { makeExchange } from '../support/exchange.ts'
import { until } from '../support/until.ts'
import { answer, code, endpointAt, listen, raw, read } from './endpoint-at.ts'

test('status, reason phrase, header order and letter case come through; hop-by-hop headers do not', async t => {
  const port = await raw(t, socket => socket.write('HTTP/1.1 404 NotFound\r\nX-b: 2\r\nConnection: x-secret\r\nX-Secret: 1\r\nx-A: 1\r\nKeep-Alive: timeout=5\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nno'))
  const response = await endpointAt(t, port).send(makeExchange())
  assert.deepEqual([response.status, response.reason, response.headers, await read(response)],
    [404, 'NotFound', ['X-b', '2', 'x-A', '1', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Content-Length', '2'], 'no'])
})

test('the request goes to the base path with the endpoint as Host, its own headers untouched', async t => {
  let seen = ''
  const port = await raw(t, (socket, request) => { seen = request; socket.write(answer('ok')) })
  await read(await endpointAt(t, port, '/sub/api').send(makeExchange({ path: '/json/reply/X?a=%20b', headers: ['X-Q', '1', 'x-q', '2'] })))
  assert.match(seen, /^GET \/sub\/api\/json\/reply\/X\?a=%20b HTTP\/1\.1\r\n/i)
  assert.ok(seen.toLowerCase().includes(`host: 127.0.0.1:${port}\r\n`))
  assert.ok(seen.includes('X-Q: 1\r\nx-q: 2\r\n'))
})

test('connections are kept: two exchanges in turn use one', async t => {
  let connections = 0
  const server = http.createServer((_request, response) => response.end('ok'))
  server.on('connection', () => { connections++ })
  const endpoint = endpointAt(t, await listen(t, server))
  for (let i = 0; i < 3; i++) await read(await endpoint.send(makeExchange()))
  assert.deepEqual([connections, endpoint.idleConnections, endpoint.inFlight], [1, 1, 0])
})

test('a refused connection takes the endpoint out, until it can be connected to again', async t => {
  const server = net.createServer(socket => socket.on('data', () => socket.write(answer('ok'))).on('error', () => {}))
  const port = await listen(t, server)
  await new Promise(resolve => server.close(resolve))
  const endpoint = endpointAt(t, port)
  await assert.rejects(endpoint.send(makeExchange()), code('ConnectFailed'))
  assert.equal(endpoint.available, false)
  server.listen(port, '127.0.0.1')
  await until('it is so', () => endpoint.available)
  assert.equal(await read(await endpoint.send(makeExchange())), 'ok')
  assert.deepEqual(endpoint.events, ['unreachable', 'failure', 'returning', 'reachable', 'success'])
})

test('of another version, in the same place, it is as new as one that was added; of the same it is not', t => {
  const endpoint = endpointAt(t, 1)
  const { sinceMs, plan } = endpoint
  endpoint.apply({ ...plan, weight: 3 })
  assert.equal(endpoint.sinceMs, sinceMs)
  endpoint.apply({ ...plan, version: '2.0' })
  assert.ok(endpoint.sinceMs > sinceMs)
})

const failures = [
  { name: 'closed before the head', script: (socket: Socket) => socket.destroy(), expected: 'ConnectionClosed' },
  { name: 'closed in the middle of the head', script: (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\nContent-'), expected: 'ConnectionClosed' },
  { name: 'garbage instead of HTTP', script: (socket: Socket) => socket.write('hello world, this is not HTTP\r\n\r\n'), expected: 'BadAnswer' },
  { name: 'a head without end', script: (socket: Socket) => socket.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`), expected: 'BadAnswer' }
]
for (const { name, script, expected } of failures) {
  test(`${name} is ${expected}`, async t => {
    const endpoint = endpointAt(t, await raw(t, script))
    await assert.rejects(endpoint.send(makeExchange()), code(expected))
    assert.deepEqual(endpoint.events, ['failure'])
  })
}

test('no head in time is HeadersTimeout', async t => {
  const endpoint = endpointAt(t, await raw(t, () => {}))
  await assert.rejects(endpoint.send(makeExchange({ policy: { headersTimeoutMs: 50 } })), code('HeadersTimeout'))
})

test('a body that is cut fails its reader; it never looks whole', async t => {
  for (const head of ['HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n']) {
    const response = await endpointAt(t, await raw(t, socket => socket.end(head))).send(makeExchange())
    await assert.rejects(read(response), code('BodyCut'))
  }
})

test('silence in the body is BodyTimeout, but an event stream may be silent', async t => {
  const silent = await endpointAt(t, await raw(t, socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'))).send(makeExchange({ policy: { bodyIdleTimeoutMs: 30 } }))
  await assert.rejects(read(silent), code('BodyTimeout'))
  let stream: Socket | undefined
  const port = await raw(t, socket => { stream = socket; socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n') })
  const events = await endpointAt(t, port).send(makeExchange({ policy: { bodyIdleTimeoutMs: 30 } }))
  const whole = read(events)
  await new Promise(resolve => setTimeout(resolve, 120))
  stream!.write('5\r\nhello\r\n0\r\n\r\n')
  assert.equal(await whole, 'hello')
})

test('the exchange ending cancels the attempt and closes the connection, without blame', async t => {
  let closed = false
  const port = await raw(t, socket => socket.on('close', () => { closed = true }))
  const endpoint = endpointAt(t, port)
  const exchange = makeExchange()
  const sent = assert.rejects(endpoint.send(exchange), code('ClientClosed'))
  await until('it is so', () => endpoint.inFlight === 1)
  setTimeout(() => exchange.end(new GatewayError('ClientClosed')), 20)
  await sent
  await until('it is so', () => closed && endpoint.inFlight === 0)
  assert.deepEqual(endpoint.events, ['ignored'])
})

test('1xx answers pass, and trailers', async t => {
  const port = await raw(t, socket => socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n'))
  const exchange = makeExchange()
  const informational: unknown[] = []
  exchange.informed = { inform (one) { informational.push(one) } }
  assert.equal(await read(await endpointAt(t, port).send(exchange)), 'ok|X-Sum 7')
  assert.deepEqual(informational, [{ status: 103, headers: ['Link', '</a>'] }])
})

test('a streamed body reaches the endpoint, and one that breaks is the client\'s fault and never whole', async t => {
  const bodies: string[] = []
  const server = http.createServer((request, response) => {
    let body = ''
    request.on('data', data => { body += data })
    request.on('end', () => { bodies.push(body); response.end('ok') })
    request.on('error', () => bodies.push(`cut after ${body.length}`))
  })
  const endpoint = endpointAt(t, await listen(t, server))
  const whole = Readable.from([Buffer.from('ab'), Buffer.from('cd')])
  await read(await endpoint.send(makeExchange({ method: 'POST', headers: ['Content-Length', '4'], body: { kind: 'stream', stream: whole, contentLength: 4 } })))
  const broken = new Readable({ read () { this.push('ab'); this.destroy(new Error('client gone')) } })
  await assert.rejects(endpoint.send(makeExchange({ method: 'POST', headers: ['Content-Length', '4'], body: { kind: 'stream', stream: broken, contentLength: 4 } })), code('BodyIncomplete'))
  assert.equal(bodies[0], 'abcd')
  assert.notEqual(bodies[1], 'ab')
  assert.deepEqual(endpoint.events, ['success', 'ignored'])
})

describe('while the client still sends a body that streams', { timeout: 120_000 }, () => {
  const uploading = (t: TestContext) => {
    const stream = new PassThrough()
    t.after(() => stream.destroy())
    const exchange = makeExchange({ method: 'POST', headers: ['Content-Length', '4'], body: { kind: 'stream', stream, contentLength: 4 } })
    stream.write('ab')
    return { stream, exchange }
  }

  test('time is the client\'s; the endpoint\'s begins when it has everything', async t => {
    const endpoint = endpointAt(t, await listen(t, http.createServer((request, response) => { request.resume().on('end', () => response.end('ok')) })))
    const { stream, exchange } = uploading(t)
    const sent = endpoint.send(exchange)
    await until('its head is sent', () => exchange.waitsFor === 'request body')
    const attempt = exchange.attempts[0]!
    assert.equal(attempt.isTimed, false)
    const endedAtMs = performance.now()
    stream.end('cd')
    await read(await sent)
    assert.ok(attempt.dueFromMs >= endedAtMs)
    assert.ok(attempt.durationMs <= performance.now() - endedAtMs)
  })

  test('a deadline is nobody\'s failure', async t => {
    const endpoint = endpointAt(t, await raw(t, () => {}))
    const { exchange } = uploading(t)
    const sent = assert.rejects(endpoint.send(exchange), code('DeadlineExceeded'))
    await until('its head is sent', () => exchange.waitsFor === 'request body')
    exchange.end(deadlineExceeded(exchange, exchange.waitsFor!))
    await sent
    assert.deepEqual(endpoint.events, ['ignored'])
  })

  test('an answer before its end is no measure of the endpoint; a failure is one', async t => {
    for (const [status, measured] of [[413, false], [503, true]] as const) {
      const endpoint = endpointAt(t, await raw(t, (socket, _request, nth) => { if (nth === 1) socket.write(answer('no', `HTTP/1.1 ${status} No\r\n`)) }))
      endpoint.standing.join(new Scale({ decayMs: 10_000, failurePenaltyMs: 5_000, slowStartMs: 0, slowStartPercent: 10 }), 0)
      const { exchange } = uploading(t)
      await read(await endpoint.send(exchange))
      assert.deepEqual([endpoint.standing.measured, exchange.attempts[0]!.isTimed], [measured, false])
    }
  })
})

test('an endpoint that is back after refused connections is unknown again and starts slowly', async t => {
  const server = net.createServer(socket => socket.on('data', () => socket.write(answer('ok'))).on('error', () => {}))
  const port = await listen(t, server)
  await new Promise(resolve => server.close(resolve))
  const endpoint = endpointAt(t, port)
  endpoint.standing.join(new Scale({ decayMs: 10_000, failurePenaltyMs: 5_000, slowStartMs: 60_000, slowStartPercent: 10 }), 0)
  await assert.rejects(endpoint.send(makeExchange()), code('ConnectFailed'))
  assert.ok(endpoint.standing.estimateMs(performance.now()) > 4_000)
  server.listen(port, '127.0.0.1')
  await until('it is back', () => endpoint.available)
  assert.deepEqual([endpoint.standing.measured, endpoint.standing.slowStart(performance.now())], [false, 0.1])
})
