// Clients that do not take the answers they asked for, on real sockets: cut after the idle time, and only they.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import type { UpstreamResponse } from '../../src/exchange/exchange.ts'
import { makeCertificate, type TestCertificate } from '../support/certificates.ts'
import { openConnection, targetOf } from '../support/http-client.ts'
import { flag, frame, frameType, getHead, opening } from '../support/http2-frames.ts'
import { until } from '../support/until.ts'
import { ok, openBody, startFake, type FakeGateway } from './fake-gateway.ts'

let certificate: TestCertificate
before(async () => { certificate = await makeCertificate(['shop.test']) })
after(async () => { await certificate.remove() })

const startTls = async (answer: () => UpstreamResponse, limits: object) => await startFake({
  answer,
  listener: { limits, tls: { certificates: [{ certFile: certificate.certFile, keyFile: certificate.keyFile, hosts: [] }], minVersion: 'TLSv1.2', http2: true } }
} as never)
const idle = { bodyIdleTimeoutMs: 300, keepAliveTimeoutMs: 1_500, headersTimeoutMs: 2_000 }
const get = 'GET /json/reply/X HTTP/1.1\r\nHost: a\r\n\r\n'
/** A connection whose streams may be sent `window` bytes each. */
const http2 = (window: number, streams: number) => {
  const { headers, windowUpdate } = frameType
  const initialWindow = Buffer.from([0, 4, 0, 0, 0, 0])
  initialWindow.writeUInt32BE(window, 2)
  const connectionWindow = Buffer.from([0x7f, 0, 0, 0])
  return Buffer.concat([
    opening(initialWindow), frame(windowUpdate, 0, 0, connectionWindow),
    ...Array.from({ length: streams }, (_, i) => frame(headers, flag.endStream | flag.endHeaders, 2 * i + 1, getHead('/json/reply/X')))
  ])
}

/** Asks, takes nothing, and waits until the listener has let it go. */
async function neverRead (fake: FakeGateway, socket: Socket, connected: string, bytes: string | Buffer) {
  socket.on('error', () => {})
  await once(socket, connected)
  socket.pause()
  socket.write(bytes)
  await until('it was asked', () => fake.exchanges.length > 0)
  await until('the connection is given up', () => fake.listener.connections === 0)
  socket.destroy()
}
const tls = (fake: FakeGateway, protocol: string) => connectTls({ host: '127.0.0.1', port: fake.port, rejectUnauthorized: false, ALPNProtocols: [protocol] })

test('pipelined requests whose answers nobody reads', async () => {
  await using fake = await startFake({ answer: () => ok('x'.repeat(60_000)), listener: { limits: idle } } as never)
  await neverRead(fake, connectTcp(fake.port, '127.0.0.1'), 'connect', get.repeat(500))
})

test('the same over TLS', async () => {
  await using fake = await startTls(() => ok('x'.repeat(8_000_000)), idle)
  await neverRead(fake, tls(fake, 'http/1.1'), 'secureConnect', get.repeat(3))
})

test('HTTP/2: a window that stays shut', async () => {
  await using fake = await startTls(() => ok('small'), idle)
  await neverRead(fake, tls(fake, 'h2'), 'secureConnect', http2(0, 50))
})

test('HTTP/2: the same for the end of a streamed answer', async () => {
  await using fake = await startTls(() => {
    const { body } = openBody()
    setImmediate(() => {
      body.push(Buffer.from('a piece'))
      body.end([])
    })
    return { status: 200, reason: 'OK', headers: ['Content-Type', 'text/plain'], body }
  }, idle)
  await neverRead(fake, tls(fake, 'h2'), 'secureConnect', http2(0, 1))
})

test('HTTP/2: a window that is wide open, and a client that reads nothing', async () => {
  await using fake = await startTls(() => ok('x'.repeat(8_000_000)), idle)
  await neverRead(fake, tls(fake, 'h2'), 'secureConnect', http2(0x7fffffff, 3))
})

test('a client that reads slowly, for longer than the idle time, gets all of it', { timeout: 60_000 }, async () => {
  const bytes = 24_000_000
  const bodyIdleTimeoutMs = 6_000
  await using fake = await startFake({ answer: () => ok('x'.repeat(bytes)), listener: { limits: { ...idle, bodyIdleTimeoutMs } } } as never)
  const socket = connectTcp(fake.port, '127.0.0.1')
  const startedAtMs = performance.now()
  socket.write(get)
  let taken = 0
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    taken += chunk.length
    if (taken >= bytes) break
    if (performance.now() - startedAtMs < bodyIdleTimeoutMs * 1.5) await sleep(20)
  }
  assert.ok(performance.now() - startedAtMs > bodyIdleTimeoutMs)
  assert.ok(taken >= bytes, `${taken} bytes`)
})

test('an answer that waits behind one whose service takes its time is not unread', async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  await using fake = await startFake({ answer: async () => { if (fake.exchanges.length === 1) await gate; return ok(String(fake.exchanges.length)) }, listener: { limits: idle } } as never)
  using connection = await openConnection(targetOf(fake.url))
  connection.send(get.repeat(2))
  await until('both are asked', () => fake.exchanges.length === 2)
  const askedAtMs = performance.now()
  await until('longer than the idle time', () => performance.now() - askedAtMs > idle.bodyIdleTimeoutMs * 2)
  open()
  assert.deepEqual([(await connection.response()).status, (await connection.response()).status], [200, 200])
})

test('requests that are answered before their body is read leave nothing on their connection', async t => {
  await using fake = await startFake()
  const warnings: Error[] = []
  const note = (warning: Error) => { warnings.push(warning) }
  process.on('warning', note)
  t.after(() => process.removeListener('warning', note))
  const socket = connectTcp(fake.port, '127.0.0.1')
  let text = ''
  socket.on('data', (bytes: Buffer) => { text += bytes.toString() })
  for (let asked = 1; asked <= 20; asked++) {
    socket.write('POST /json/reply/hidden HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}')
    await until('it is answered', () => text.split('HTTP/1.1 404').length - 1 === asked)
  }
  socket.destroy()
  assert.deepEqual(warnings, [])
})
