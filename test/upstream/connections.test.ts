// What becomes of connections to an endpoint: which are kept, which are not, and what passes on them.
import assert from 'node:assert/strict'
import http from 'node:http'
import net, { type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { Readable } from 'node:stream'
import { test, type TestContext } from 'node:test'
import tls, { type TLSSocket } from 'node:tls'
import { GatewayError } from '../../src/exchange/errors.ts'
import { makeCertificate } from '../support/certificates.ts'
import { makeExchange } from '../support/exchange.ts'
import { until } from '../support/until.ts'
import { answer, code, endpointAt, listen, raw, read } from './endpoint-at.ts'

/** Answers each request with the number of its connection, as the script writes it. */
async function numbered (t: TestContext, script: (socket: Socket, connection: number, request: string) => void): Promise<{ port: number, sockets: Socket[] }> {
  const sockets: Socket[] = []
  const server = net.createServer(socket => {
    const connection = sockets.push(socket)
    socket.on('error', () => {}).on('data', data => script(socket, connection, data.toString('latin1')))
  })
  return { port: await listen(t, server), sockets }
}

const post = (stream: Readable, contentLength: number | undefined) => makeExchange({ method: 'POST', body: { kind: 'stream', stream, contentLength } })

const kept: ReadonlyArray<readonly [name: string, text: (connection: number) => string, connections: string]> = [
  ['a plain answer', n => answer(String(n)), '1 1'],
  ['an answer in chunks', n => `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n${n}\r\n0\r\n\r\n`, '1 1'],
  ['Connection: close', n => answer(String(n), 'HTTP/1.1 200 OK\r\nConnection: close\r\n'), '1 2'],
  ['HTTP/1.0', n => answer(String(n), 'HTTP/1.0 200 OK\r\n'), '1 2'],
  ['a time to keep it that is as good as over', n => answer(String(n), 'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\n'), '1 2'],
  ['bytes behind the answer', n => `${answer(String(n))}${answer('smuggled')}`, '1 2']
]
for (const [name, text, connections] of kept) {
  test(`${name}: two exchanges run on connections ${connections}`, async t => {
    const { port } = await numbered(t, (socket, connection) => socket.write(text(connection)))
    const endpoint = endpointAt(t, port)
    const bodies = [await read(await endpoint.send(makeExchange())), await read(await endpoint.send(makeExchange()))]
    assert.equal(bodies.join(' '), connections)
    assert.equal(endpoint.inFlight, 0)
  })
}

test('a connection to where the host name no longer leads is given up: an idle one at once, one in use after its answer', async t => {
  let release = () => {}
  const { port } = await numbered(t, (socket, connection, request) => {
    const say = () => socket.write(answer(String(connection)))
    if (request.startsWith('POST')) release = say
    else say()
  })
  const endpoint = endpointAt(t, `http://shop.invalid:${port}`)
  const lead = (...ips: string[]) => endpoint.apply({ ...endpoint.plan, ips })
  const call = async (more = {}) => await read(await endpoint.send(makeExchange(more)))
  lead('127.0.0.1')
  assert.deepEqual([await call(), await call()], ['1', '1'])
  lead('127.0.0.1', '127.0.0.9')
  assert.equal(await call(), '1', 'it leads there still')
  lead('127.0.0.9')
  assert.equal(endpoint.idleConnections, 0)
  lead('127.0.0.1')
  const under = call({ method: 'POST' })
  await until('the request to arrive', () => release.name === 'say')
  lead('127.0.0.9')
  release()
  assert.equal(await under, '2')
  assert.equal(endpoint.idleConnections, 0)
  lead('127.0.0.1')
  assert.equal(await call(), '3')
})

test('HEAD, 204 and 304 leave the connection clean for the next exchange', async t => {
  const answers = ['HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n', 'HTTP/1.1 204 No Content\r\n\r\n', 'HTTP/1.1 304 Not Modified\r\n\r\n', answer('ok')]
  let nth = 0
  const { port, sockets } = await numbered(t, socket => socket.write(answers[nth++]!))
  const endpoint = endpointAt(t, port)
  const statuses = []
  for (const method of ['HEAD', 'GET', 'GET', 'GET']) {
    const response = await endpoint.send(makeExchange({ method }))
    statuses.push([response.status, await read(response)])
  }
  assert.deepEqual(statuses, [[200, ''], [204, ''], [304, ''], [200, 'ok']])
  assert.equal(sockets.length, 1)
})

test('whoever ends before the turn does is not sent at all, and costs the connection', async t => {
  const requests: string[] = []
  const { port } = await numbered(t, (socket, connection, request) => {
    requests.push(request)
    socket.write(answer(String(connection)))
  })
  const endpoint = endpointAt(t, port)
  await read(await endpoint.send(makeExchange()))
  const left = makeExchange()
  const sent = endpoint.send(left)
  left.end(new GatewayError('ClientClosed'))
  await assert.rejects(sent, code('ClientClosed'))
  assert.equal(await read(await endpoint.send(makeExchange())), '2')
  assert.equal(requests.length, 2)
})

test('an idle connection on which the endpoint speaks, or which it closes, is gone', async t => {
  const { port, sockets } = await numbered(t, (socket, connection) => socket.write(answer(String(connection))))
  const endpoint = endpointAt(t, port)
  for (const [index, spoil] of [(socket: Socket) => socket.write(answer('unasked')), (socket: Socket) => socket.end(), (socket: Socket) => socket.resetAndDestroy()].entries()) {
    assert.equal(await read(await endpoint.send(makeExchange())), String(index + 1))
    assert.equal(endpoint.idleConnections, 1)
    spoil(sockets[index]!)
    await until('the connection is gone', () => endpoint.idleConnections === 0)
  }
})

test('a connection is given up some time before the endpoint says that it closes it', async t => {
  const { port } = await numbered(t, socket => socket.write(answer('ok', 'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=7\r\n')))
  const endpoint = endpointAt(t, port)
  const begin = performance.now()
  await read(await endpoint.send(makeExchange()))
  assert.equal(endpoint.idleConnections, 1)
  await until('it is given up', () => endpoint.idleConnections === 0)
  assert.ok(performance.now() - begin > 900)
})

test('an answer before the whole request: passed on, and the connection is cut; the client\'s stream is not', async t => {
  const { port, sockets } = await numbered(t, socket => socket.write(answer('no need', 'HTTP/1.1 413 Too Large\r\n')))
  const endpoint = endpointAt(t, port)
  const stream = new Readable({ read () {} })
  stream.push('first')
  const response = await endpoint.send(post(stream, 1_000))
  assert.deepEqual([response.status, await read(response)], [413, 'no need'])
  await until('the connection is cut', () => sockets[0]!.destroyed)
  assert.deepEqual([stream.destroyed, endpoint.idleConnections, endpoint.inFlight], [false, 0, 0])
})

for (const [name, bytes] of [['longer', 'too much'], ['shorter', 'few']] as const) {
  test(`a body that is ${name} than its length never looks whole`, async t => {
    let received = ''
    const { port, sockets } = await numbered(t, (_, __, request) => { received += request })
    await assert.rejects(endpointAt(t, port).send(post(Readable.from([Buffer.from(bytes)]), 5)), code('BodyIncomplete'))
    await until('the connection is cut', () => sockets.every(socket => socket.destroyed))
    assert.ok((received.split('\r\n\r\n')[1] ?? '').length < 5)
  })
}

test('a body without a length goes in chunks, and its end only when it is whole', async t => {
  const bodies: string[] = []
  const server = http.createServer((request, response) => {
    let body = ''
    request.on('data', data => { body += data }).on('end', () => { bodies.push(body); response.end('ok') }).on('error', () => bodies.push('cut'))
  })
  const endpoint = endpointAt(t, await listen(t, server))
  await read(await endpoint.send(post(Readable.from([Buffer.from('ab'), Buffer.alloc(0), Buffer.from('c'.repeat(70_000))]), undefined)))
  await assert.rejects(endpoint.send(post(new Readable({ read () { this.push('ab'); this.destroy(new Error('gone')) } }), undefined)), code('BodyIncomplete'))
  await until('both have arrived', () => bodies.length === 2)
  assert.deepEqual(bodies, [`ab${'c'.repeat(70_000)}`, 'cut'])
})

test('held bodies of any size arrive whole, in the request that they belong to', async t => {
  const lengths: number[] = []
  const server = http.createServer((request, response) => {
    let length = 0
    request.on('data', (data: Buffer) => { length += data.length }).on('end', () => { lengths.push(length); response.end('ok') })
  })
  const endpoint = endpointAt(t, await listen(t, server))
  for (const length of [1, 16_384, 16_385, 3_000_000]) await read(await endpoint.send(makeExchange({ method: 'POST', body: { kind: 'held', bytes: Buffer.alloc(length, 0xff) } })))
  assert.deepEqual(lengths, [1, 16_384, 16_385, 3_000_000])
})

test('a reader that takes its time holds the endpoint up, and the connection is good for the next exchange', async t => {
  const bytes = 20_000_000
  let connections = 0
  let socket: Socket | undefined
  const server = http.createServer((_, response) => response.end(Buffer.alloc(bytes)))
  server.on('connection', one => { connections++; socket = one })
  const endpoint = endpointAt(t, await listen(t, server))
  const { body } = await endpoint.send(makeExchange())
  let received = 0
  const whole = new Promise<void>((resolve, reject) => body.pipe({ write: chunk => { received += chunk.length; return false }, end: () => resolve(), fail: reject }))
  let before = -1
  await until('nothing moves', () => {
    const still = received === before && socket!.writableLength > 0
    before = received
    return still
  }, { everyMs: 50 })
  assert.ok(received < bytes / 2, `${received} bytes were read ahead`)
  const pull = setInterval(() => body.resume(), 0)
  await whole
  clearInterval(pull)
  assert.equal(received, bytes)
  await read(await endpoint.send(makeExchange()))
  assert.equal(connections, 1)
})

test('a handshake that hangs ends with the connect timeout, or with the exchange, and leaves nothing', async t => {
  const { port, sockets } = await numbered(t, () => {})
  const endpoint = endpointAt(t, `https://127.0.0.1:${port}`)
  await assert.rejects(endpoint.send(makeExchange({ policy: { connectTimeoutMs: 50 } })), code('ConnectTimeout'))
  const exchange = makeExchange()
  const sent = endpoint.send(exchange)
  await until('it is connecting', () => sockets.length >= 2)
  exchange.end(new GatewayError('ClientClosed'))
  await assert.rejects(sent, code('ClientClosed'))
  await until('everything is closed', () => sockets.every(socket => socket.destroyed))
  assert.deepEqual([endpoint.inFlight, endpoint.idleConnections], [0, 0])
})

test('TLS: verified by authority and name, presents a certificate, resumes its session', async t => {
  const certificate = await makeCertificate(['billing.internal'])
  t.after(() => certificate.remove())
  const seen: unknown[] = []
  const server = tls.createServer({ cert: certificate.pem, key: certificate.key, ca: certificate.pem, requestCert: true, ALPNProtocols: ['h2', 'http/1.1'] }, (socket: TLSSocket) => {
    seen.push([socket.servername, socket.alpnProtocol, socket.authorized, socket.isSessionReused()])
    socket.on('error', () => {}).on('data', () => socket.end(answer('ok', 'HTTP/1.1 200 OK\r\nConnection: close\r\n')))
  }).on('tlsClientError', () => {})
  const origin = `https://127.0.0.1:${await listen(t, server)}`
  const trusting = { caFile: certificate.certFile, serverName: 'billing.internal', certFile: certificate.certFile, keyFile: certificate.keyFile, verify: true }
  const endpoint = endpointAt(t, origin, '', trusting)
  for (let i = 0; i < 2; i++) assert.equal(await read(await endpoint.send(makeExchange())), 'ok')
  assert.deepEqual(seen, [['billing.internal', 'http/1.1', true, false], ['billing.internal', 'http/1.1', true, true]])
  await assert.rejects(endpointAt(t, origin, '', { ...trusting, serverName: 'other.internal' }).send(makeExchange()), code('ConnectFailed'))
  await assert.rejects(endpointAt(t, origin).send(makeExchange()), code('ConnectFailed'))
  assert.equal(await read(await endpointAt(t, origin, '', { certFile: certificate.certFile, keyFile: certificate.keyFile, verify: false }).send(makeExchange())), 'ok')
})

test('certificates that cannot be used fail the attempt, not the gateway', async t => {
  const certificate = await makeCertificate(['a.internal'])
  t.after(() => certificate.remove())
  const endpoint = endpointAt(t, 'https://127.0.0.1:1', '', { certFile: certificate.keyFile, keyFile: certificate.certFile, verify: true })
  await assert.rejects(endpoint.send(makeExchange()), code('ConnectFailed'))
  assert.equal(endpoint.inFlight, 0)
})

const hasIPv6 = Object.values(networkInterfaces()).some(list => list?.some(({ address }) => address === '::1'))
test('an IPv6 address is connected to, and named in Host', { skip: !hasIPv6 && 'this machine has no ::1' }, async t => {
  let seen = ''
  const server = net.createServer(socket => socket.on('data', data => { seen = data.toString(); socket.write(answer('ok')) }))
  const port = await listen(t, server, '::1')
  assert.equal(await read(await endpointAt(t, `http://[::1]:${port}`).send(makeExchange())), 'ok')
  assert.ok(seen.includes(`\r\nHost: [::1]:${port}\r\n`))
})

test('a host name is tried at its addresses until one answers', async t => {
  // localhost is ::1 too, on most machines.
  const port = await raw(t, socket => socket.write(answer('ok')))
  const endpoint = endpointAt(t, `http://localhost:${port}`)
  assert.equal(await read(await endpoint.send(makeExchange())), 'ok')
  await assert.rejects(endpointAt(t, `http://nowhere.invalid:${port}`).send(makeExchange()), code('ConnectFailed'))
})

test('what would write a second request is our own failure, and the endpoint is not blamed', async t => {
  const endpoint = endpointAt(t, await raw(t, socket => socket.write(answer('ok'))))
  await assert.rejects(endpoint.send(makeExchange({ headers: ['X', '1\r\nEvil: 1'] })), code('InternalError'))
  assert.deepEqual([endpoint.events, endpoint.available, endpoint.inFlight], [['ignored'], true, 0])
})
