// TLS, HTTP/2 and the redirect on real sockets.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import http2 from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { connect, type PeerCertificate, type TLSSocket } from 'node:tls'
import { GatewayError } from '../../src/exchange/errors.ts'
import type { ResponseBody } from '../../src/exchange/response-body.ts'
import { makeCertificate, type TestCertificate } from '../support/certificates.ts'
import { openConnection, request, sendBytes } from '../support/http-client.ts'
import { expectantHead, flag, frame, frameType, getHead, opening } from '../support/http2-frames.ts'
import { until, within } from '../support/until.ts'
import { field, ok, openBody, startFake, type FakeGateway, type FakeOptions } from './fake-gateway.ts'

let shop: TestCertificate
let wild: TestCertificate
before(async () => { [shop, wild] = await Promise.all([makeCertificate(['shop.test']), makeCertificate(['*.wild.test'])]) })
after(async () => { await Promise.all([shop.remove(), wild.remove()]) })

type Tls = NonNullable<NonNullable<FakeOptions['listener']>['tls']>
const pair = ({ certFile, keyFile }: { certFile: string, keyFile: string }) => ({ certFile, keyFile, hosts: [] })
const startTls = async (options: FakeOptions = {}, tls: Partial<Tls> = {}) => await startFake({
  ...options,
  listener: { ...options.listener, tls: { certificates: [pair(shop), pair(wild)], minVersion: 'TLSv1.2', http2: true, ...tls } }
})

const certificateFor = async (port: number, servername: string | undefined): Promise<string> => {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...servername !== undefined && { servername } })
  try {
    return await within('a handshake', 30_000, new Promise((resolve, reject) => {
      socket.once('secureConnect', () => resolve(String((socket.getPeerCertificate() as PeerCertificate).subject.CN)))
      socket.once('error', reject)
    }))
  } finally {
    socket.destroy()
  }
}

test('the certificate goes by name, wildcards and the default included', async () => {
  await using fake = await startTls()
  for (const [name, subject] of [['shop.test', 'shop.test'], ['SHOP.test', 'shop.test'], ['a.wild.test', '*.wild.test'], ['a.b.wild.test', 'shop.test'], ['elsewhere.test', 'shop.test'], [undefined, 'shop.test']] as const) {
    assert.equal(await certificateFor(fake.port, name), subject, name ?? 'no name')
  }
})

test('HTTP/1.1 over TLS: hosts are told https, and old TLS is refused', async () => {
  await using fake = await startTls()
  const response = await request({ host: '127.0.0.1', port: fake.port, tls: { servername: 'shop.test', ca: shop.pem } }, '/json/reply/X')
  assert.equal(response.statusLine, 'HTTP/1.1 200 OK')
  assert.equal(field(fake.exchanges[0]!.upstreamRequest.headers, 'x-forwarded-proto'), 'https')
  await assert.rejects(openConnection({ host: '127.0.0.1', port: fake.port, tls: { rejectUnauthorized: false, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } }))
})

test('a certificate replaced on disk is used from the next handshake on; a bad one changes nothing; open connections live on', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'postern-tls-'))
  const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  const put = async (from: TestCertificate) => {
    await copyFile(from.keyFile, `${keyFile}.new`)
    await copyFile(from.certFile, `${certFile}.new`)
    await rename(`${keyFile}.new`, keyFile)
    await rename(`${certFile}.new`, certFile)
  }
  const next = await makeCertificate(['next.test'])
  try {
    await put(shop)
    await using fake = await startTls({}, { certificates: [pair({ certFile, keyFile })] })
    using old = await openConnection({ host: '127.0.0.1', port: fake.port, tls: { rejectUnauthorized: false } })
    await writeFile(keyFile, 'no key at all')
    await until('the bad pair is logged', () => fake.logged.some(line => JSON.stringify(line).includes('the old one stays')))
    assert.equal(await certificateFor(fake.port, undefined), 'shop.test')
    await put(next)
    await until('the new certificate is in use', async () => await certificateFor(fake.port, undefined) === 'next.test')
    assert.equal(await certificateFor(fake.port, 'next.test'), 'next.test')
    old.send('GET /json/reply/X HTTP/1.1\r\nHost: a\r\n\r\n')
    assert.equal((await old.response()).status, 200)
  } finally {
    await next.remove()
    await rm(directory, { recursive: true })
  }
})

test('a key that does not fit is an error at the start', async () => {
  await assert.rejects(startTls({}, { certificates: [pair({ certFile: shop.certFile, keyFile: wild.keyFile })] }), /does not belong/)
})

type H2Headers = Record<string, unknown>
interface H2Answer { readonly headers: H2Headers, readonly body: string, readonly trailers: H2Headers | undefined, readonly informational: number[] }

const withSession = async (fake: FakeGateway, use: (ask: (headers: http2.OutgoingHttpHeaders, body?: string) => Promise<H2Answer>, session: http2.ClientHttp2Session) => Promise<void>) => {
  const session = http2.connect(`https://127.0.0.1:${fake.port}`, { rejectUnauthorized: false })
  session.on('error', () => {}) // What a test looks for shows at its streams.
  const ask = (headers: http2.OutgoingHttpHeaders, body?: string) => new Promise<H2Answer>((resolve, reject) => {
    const stream = session.request({ ':authority': 'shop.test', ...headers }, { endStream: body === undefined })
    let answer: H2Headers = {}
    let trailers: H2Headers | undefined
    const informational: number[] = []
    const chunks: Buffer[] = []
    stream.on('headers', head => informational.push(head[':status']!))
    stream.on('response', head => { answer = head })
    stream.on('trailers', head => { trailers = head })
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', reject)
    stream.on('end', () => resolve({ headers: answer, body: Buffer.concat(chunks).toString(), trailers, informational }))
    if (body !== undefined) stream.end(body)
  })
  try {
    await use(ask, session)
  } finally {
    session.destroy()
  }
}

test('HTTP/2: calls, bodies, repeated headers, cookies, HEAD, local replies', async () => {
  await using fake = await startTls({ answer: exchange => ok(exchange.upstreamRequest.body.kind === 'held' ? exchange.upstreamRequest.body.bytes : 'hi', ['Content-Type', 'application/json', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2']) })
  await withSession(fake, async ask => {
    const got = await ask({ ':path': '/json/reply/X?a=1', cookie: ['a=1', 'b=2'] as never, 'x-custom': 'c' })
    assert.equal(got.headers[':status'], 200)
    assert.deepEqual(got.headers['set-cookie'], ['a=1', 'b=2'])
    assert.equal(got.headers['content-length'], '2')
    assert.ok(got.headers['date'] !== undefined)
    assert.equal(got.body, 'hi')
    const { request: client, upstreamRequest } = fake.exchanges[0]!
    assert.deepEqual([client.httpVersion, client.scheme, client.authority, client.clientAddress], ['2.0', 'https', 'shop.test', '127.0.0.1'])
    assert.equal(field(upstreamRequest.headers, 'cookie'), 'a=1; b=2')
    assert.match(field(upstreamRequest.headers, 'via')!, /^2\.0 postern-/)
    assert.ok(!upstreamRequest.headers.some(text => text.startsWith(':')))
    assert.equal((await ask({ ':path': '/json/reply/X', ':method': 'POST' }, '{"a":1}')).body, '{"a":1}')
    const head = await ask({ ':path': '/json/reply/X', ':method': 'HEAD' })
    assert.deepEqual([head.headers[':status'], head.body], [200, ''])
    const missing = await ask({ ':path': '/json/reply/Hidden' })
    assert.equal(missing.headers[':status'], 404)
    assert.equal(JSON.parse(missing.body).responseStatus.errorCode, 'MessageNotFound')
    const overlong = await ask({ ':path': '/json/reply/X', ':method': 'POST', 'content-length': String(200_000_000) }, 'x').catch((error: unknown) => error)
    assert.ok(overlong instanceof Error || (overlong as H2Answer).headers[':status'] === 413)
  })
})

test('HTTP/2: streams, trailers, 1xx', async () => {
  await using fake = await startTls({
    answer: exchange => {
      exchange.informed?.inform({ status: 103, headers: ['Link', '</a>'] })
      const { body } = openBody()
      setImmediate(() => {
        body.push(Buffer.from('one'))
        setImmediate(() => {
          body.push(Buffer.from('two'))
          body.end(['x-sum', '6'])
        })
      })
      return { status: 200, reason: 'OK', headers: [], body }
    }
  })
  await withSession(fake, async ask => {
    const answer = await ask({ ':path': '/json/reply/X' })
    assert.equal(answer.body, 'onetwo')
    assert.equal(answer.trailers?.['x-sum'], '6')
    assert.deepEqual(answer.informational, [103])
  })
})

test('HTTP/2: a body that fails midway resets its stream, the others live on; a client that resets cancels', async () => {
  const { body: failing } = openBody()
  const { body: endless, cancelled } = openBody()
  const bodies = [failing, endless]
  await using fake = await startTls({ answer: exchange => exchange.request.target.includes('plain') ? ok() : { status: 200, reason: 'OK', headers: [], body: bodies.shift() as ResponseBody } })
  await withSession(fake, async (ask, session) => {
    const broken = ask({ ':path': '/json/reply/X' })
    await until('the route was asked', () => fake.exchanges.length === 1)
    failing.push(Buffer.from('half'))
    setImmediate(() => failing.fail(new GatewayError('BodyCut')))
    await assert.rejects(broken, /NGHTTP2_INTERNAL_ERROR/)
    const stream = session.request({ ':path': '/json/reply/X', ':authority': 'a' })
    stream.on('error', () => {}) // It is the test that resets it.
    await until('the route was asked again', () => fake.exchanges.length === 2)
    stream.close(http2.constants.NGHTTP2_CANCEL)
    assert.equal((await within('the body is cancelled', 30_000, cancelled)).code, 'ClientClosed')
    assert.equal((await ask({ ':path': '/json/reply/plain' })).headers[':status'], 200)
  })
})

for (const how of ['resets its stream', 'closes its connection'] as const) {
  test(`HTTP/2: a client that ${how} while the service works ends the exchange`, async () => {
    await using fake = await startTls({ answer: exchange => new Promise((_resolve, reject) => exchange.waiting({ cancel: reject })) })
    await withSession(fake, async (_ask, session) => {
      const stream = session.request({ ':path': '/json/reply/X', ':authority': 'a' })
      stream.on('error', () => {}) // It is the test that ends it.
      await until('the route was asked', () => fake.exchanges.length === 1)
      if (how === 'resets its stream') stream.close(http2.constants.NGHTTP2_CANCEL)
      else session.destroy()
      assert.equal(await until('the exchange ends', () => fake.exchanges[0]!.ended?.code), 'ClientClosed')
    })
  })
}

const { data, headers, reset } = frameType

function typesOf (bytes: Buffer): number[] {
  const types: number[] = []
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) types.push(bytes[at + 3]!)
  return types
}

for (const [how, kind] of [['gathered', 'message'], ['streamed', 'prefix']] as const) {
  test(`HTTP/2: a body whose stream is reset without an error is not whole, ${how}`, async () => {
    const whole: string[] = []
    await using fake = await startTls({
      kind,
      answer: async ({ upstreamRequest: { body } }) => {
        whole.push(body.kind === 'stream' ? await text(body.stream) : body.kind)
        return ok()
      }
    })
    const socket = connect({ host: '127.0.0.1', port: fake.port, rejectUnauthorized: false, ALPNProtocols: ['h2'] })
    socket.on('error', () => {}) // What counts is what the route is handed.
    try {
      let received = Buffer.alloc(0)
      socket.on('data', (bytes: Buffer) => { received = Buffer.concat([received, bytes]) })
      socket.write(Buffer.concat([opening(), frame(headers, flag.endHeaders, 1, expectantHead('/json/reply/X'))]))
      // No sooner: what is reset before it is read has no body at all.
      await until('100 Continue', () => typesOf(received).includes(headers))
      socket.write(Buffer.concat([frame(data, 0, 1, Buffer.from('{"a":')), frame(reset, 0, 1, Buffer.alloc(4))]))
      await until('it is over', () => whole.length > 0 || fake.refused.length > 0 || fake.exchanges[0]?.ended !== undefined)
    } finally {
      socket.destroy()
    }
    assert.deepEqual(whole, [])
  })
}

test('HTTP/2: a method that is not allowed, or that nobody knows, is refused in our words', async () => {
  await using fake = await startTls()
  await withSession(fake, async ask => {
    for (const method of ['CONNECT', 'TRACE', 'FOO', 'get', 'X-Y!']) {
      const { headers, body } = await ask({ ':method': method, ':authority': 'example.com:443', ...method !== 'CONNECT' && { ':path': '/json/reply/X' } })
      assert.equal(headers[':status'], 405, method)
      assert.match(String(headers['allow']), /^ACL, .*GET, .*UNSUBSCRIBE$/, method)
      assert.match(String(headers['x-mac-requestid']), /^[0-9a-f]{32}$/, method)
      assert.equal((JSON.parse(body) as { responseStatus: { errorCode: string } }).responseStatus.errorCode, 'MethodNotAllowed', method)
      assert.equal(fake.refused.pop(), 'MethodNotAllowed', method)
    }
    assert.equal((await ask({ ':path': '/json/reply/X', 'accept-version': '1.x' })).headers[':status'], 200)
    assert.equal(fake.exchanges.length, 1)
  })
})

test('HTTP/2: limits, and a goodbye while draining', async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  await using fake = await startTls({ answer: async () => { await gate; return ok('done') }, listener: { limits: { headerCount: 10, requestTargetBytes: 512, http2MaxStreams: 7 } } })
  await withSession(fake, async (ask, session) => {
    const many = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`x-${i}`, '1']))
    assert.equal((await ask({ ':path': '/json/reply/X', ...many })).headers[':status'], 431)
    assert.equal((await ask({ ':path': `/json/reply/X?${'x'.repeat(600)}` })).headers[':status'], 414)
    assert.equal(session.remoteSettings.maxConcurrentStreams, 7)
    const busy = ask({ ':path': '/json/reply/X' })
    await until('one exchange is in flight', () => fake.exchanges.length === 1)
    const goodbye = new Promise<void>(resolve => session.once('goaway', () => resolve()))
    const drained = fake.listener.drain(60_000)
    await within('a GOAWAY', 30_000, goodbye)
    open()
    assert.equal((await busy).body, 'done')
    await within('drained', 30_000, drained)
  })
})

test('HTTP/2: a session on which nothing is asked is closed after its idle time', async () => {
  await using fake = await startTls({ listener: { limits: { keepAliveTimeoutMs: 3_000 } } })
  await withSession(fake, async (ask, session) => {
    const askedAtMs = performance.now()
    assert.equal((await ask({ ':path': '/json/reply/X' })).headers[':status'], 200)
    await until('it is closed', () => session.closed)
    assert.ok(performance.now() - askedAtMs >= 2_995)
  })
})

test('HTTP/2: new limits hold for new sessions', async () => {
  await using fake = await startTls()
  fake.listener.prepare({ ...fake.config.listener, limits: { ...fake.config.listener.limits, headerCount: 300, requestTargetBytes: 65_536, http2MaxStreams: 7, keepAliveTimeoutMs: 4_000 } }, fake.config.edge)()
  await withSession(fake, async (ask, session) => {
    const many = Object.fromEntries(Array.from({ length: 250 }, (_, i) => [`x-${i}`, '1']))
    assert.equal((await ask({ ':path': `/json/reply/X?${'x'.repeat(40_000)}`, ...many })).headers[':status'], 200)
    assert.equal(session.remoteSettings.maxConcurrentStreams, 7)
    await until('it is closed', () => session.closed)
  })
})

test('HTTP/2: a head that never ends does not keep its connection, and does not end what else is answered there', async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  await using fake = await startTls({ answer: async () => { await gate; return ok('late') }, listener: { limits: { headersTimeoutMs: 5_000, keepAliveTimeoutMs: 1_000 } } })
  const send = async (...frames: Buffer[]) => {
    const socket = connect({ host: '127.0.0.1', port: fake.port, rejectUnauthorized: false, ALPNProtocols: ['h2'] })
    await once(socket, 'secureConnect')
    socket.on('error', () => {}).resume()
    socket.write(Buffer.concat([opening(), ...frames]))
    return { closed: once(socket, 'close'), socket }
  }
  const whole = getHead('/json/reply/X')
  const begun = whole.subarray(0, 1)
  const half = await send(frame(headers, flag.endStream, 1, begun))
  const both = await send(frame(headers, flag.endStream | flag.endHeaders, 1, whole), frame(headers, flag.endStream, 3, begun))
  await until('one is asked', () => fake.exchanges.length === 1)
  await within('the first is closed', 30_000, half.closed)
  assert.equal(both.socket.destroyed, false)
  open()
  await within('so is the second, when it is answered', 30_000, both.closed)
  await until('they are given up', () => fake.listener.connections === 0)
})

test('without HTTP/2 the listener offers HTTP/1.1 alone', async () => {
  await using fake = await startTls({}, { http2: false })
  using connection = await openConnection({ host: '127.0.0.1', port: fake.port, tls: { rejectUnauthorized: false, ALPNProtocols: ['h2', 'http/1.1'] } })
  assert.equal((connection.socket as TLSSocket).alpnProtocol, 'http/1.1')
  connection.send('GET /json/reply/X HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.equal((await connection.response()).status, 200)
})

test('plain HTTP is redirected: same host and path, 308', async () => {
  await using fake = await startTls({}, { redirectFrom: '127.0.0.1:0' })
  const { port } = fake.listener.addresses[1]!
  const response = await request({ host: '127.0.0.1', port }, '/json/reply/X?a=%2f', { method: 'POST', headers: [['Host', 'shop.test:81']], body: '{}' })
  assert.equal(response.status, 308)
  assert.equal(response.header('location'), `https://shop.test:${fake.port}/json/reply/X?a=%2f`)
  // Where nothing is said there are browsers that keep it for ever.
  assert.deepEqual([response.header('cache-control'), response.header('cache-status')], ['max-age=3600', 'Postern; detail=local-reply'])
  using old = await openConnection({ host: '127.0.0.1', port })
  old.send('GET /x HTTP/1.0\r\n\r\n')
  assert.equal((await old.response()).status, 400)
  const mixed = await sendBytes({ host: '127.0.0.1', port }, 'GET /x HTTP/2.0\r\nHost: a\r\n\r\n')
  assert.deepEqual([mixed.status, mixed.json().responseStatus.errorCode], [400, 'BadRequest'])
  assert.equal(fake.exchanges.length, 0)
})
