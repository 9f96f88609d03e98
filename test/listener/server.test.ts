// The listener on real sockets: what clients send, what routes are handed, what clients get.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../src/exchange/errors.ts'
import { fakeEndpoint } from '../support/exchange.ts'
import { ResponseBody } from '../../src/exchange/response-body.ts'
import { openConnection, request, sendBytes, targetOf } from '../support/http-client.ts'
import { until, within } from '../support/until.ts'
import { field, ok, openBody, startFake } from './fake-gateway.ts'

test('a call goes through: target, headers and ids up, answer down with its reason phrase and header order', async () => {
  await using fake = await startFake({
    answer: () => ({ status: 404, reason: 'NotFound', headers: ['Content-Type', 'application/json; charset=utf-8', 'X-Powered-By', 'ServiceStack', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Date', 'Sat, 21 Nov 2026 08:04:23 GMT'], body: ResponseBody.of(Buffer.from('{"ü":1}')) })
  })
  const response = await request(fake.url, '/json/reply/GetOrder?Id=1', { headers: [['Accept', '*/*'], ['X-Custom', 'a'], ['Cookie', 'ss-id=1']] })
  assert.equal(response.statusLine, 'HTTP/1.1 404 NotFound')
  assert.equal(response.text(), '{"ü":1}')
  assert.deepEqual(response.headers.slice(0, 5).map(([name]) => name), ['Content-Type', 'X-Powered-By', 'Set-Cookie', 'Set-Cookie', 'Date'])
  assert.equal(response.all('date').length, 1)
  assert.equal(response.header('content-length'), '8')
  const { upstreamRequest, request: client } = fake.exchanges[0]!
  assert.equal(upstreamRequest.path, '/json/reply/GetOrder?Id=1')
  assert.equal(upstreamRequest.effect, 'safe')
  assert.deepEqual(upstreamRequest.headers.slice(0, 6), ['Accept', '*/*', 'X-Custom', 'a', 'Cookie', 'ss-id=1'])
  assert.equal(field(upstreamRequest.headers, 'x-forwarded-for'), '127.0.0.1')
  assert.equal(field(upstreamRequest.headers, 'x-mac-requestId'), client.correlationId)
  assert.equal(response.header('x-mac-requestid'), client.correlationId)
  assert.match(response.header('via')!, /^1\.1 postern-[0-9a-f]{8}$/)
  assert.match(field(upstreamRequest.headers, 'traceparent')!, new RegExp(`^00-${client.traceId}-[0-9a-f]{16}-01$`))
})

test('every method passes but TRACE and CONNECT', async () => {
  await using fake = await startFake()
  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'QUERY', 'REPORT', 'MKCOL']) {
    assert.equal((await request(fake.url, '/json/reply/X', { method })).status, 200, method)
  }
  const trace = await request(fake.url, '/json/reply/X', { method: 'TRACE' })
  assert.equal(trace.status, 405)
  assert.match(trace.header('allow')!, /GET.*PROPFIND/)
  const connect = await sendBytes(fake.url, 'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n')
  assert.equal(connect.status, 405)
  assert.equal(connect.json().responseStatus.errorCode, 'MethodNotAllowed')
  assert.deepEqual(fake.refused, ['MethodNotAllowed', 'MethodNotAllowed'])
})

test('DELETE with a JSON content type and no body, and a POST with an empty one, are accepted', async () => {
  await using fake = await startFake()
  const headers = [['Content-Type', 'application/json']] as const
  assert.equal((await request(fake.url, '/json/reply/X', { method: 'DELETE', headers })).status, 200)
  assert.equal((await request(fake.url, '/json/reply/X', { method: 'POST', headers, body: '' })).status, 200)
  assert.deepEqual(fake.exchanges.map(({ upstreamRequest }) => upstreamRequest.body.kind), ['none', 'none'])
  assert.equal(field(fake.exchanges[0]!.upstreamRequest.headers, 'content-type'), 'application/json')
})

test('HEAD, 204 and 304 have no body, keep their Content-Length, and the connection lives on', async () => {
  await using fake = await startFake()
  using connection = await openConnection(targetOf(fake.url))
  const ask = async (method: string) => {
    connection.send(`${method} /json/reply/X HTTP/1.1\r\nHost: a\r\n\r\n`)
    return await connection.response(method)
  }
  fake.answer = () => ({ status: 200, reason: 'OK', headers: ['Content-Length', '42'], body: ResponseBody.of(Buffer.alloc(0)) })
  assert.equal((await ask('HEAD')).header('content-length'), '42')
  fake.answer = () => ({ status: 304, reason: 'Not Modified', headers: ['ETag', '"a"'], body: ResponseBody.of(Buffer.alloc(0)) })
  assert.equal((await ask('GET')).status, 304)
  fake.answer = () => ({ status: 204, reason: 'No Content', headers: [], body: ResponseBody.of(Buffer.alloc(0)) })
  const empty = await ask('GET')
  assert.equal(empty.status, 204)
  assert.equal(empty.header('transfer-encoding'), undefined)
  fake.answer = () => ok('still here')
  assert.equal((await ask('GET')).text(), 'still here')
  const missing = await request(fake.url, '/json/reply/Hidden', { method: 'HEAD' })
  assert.equal(missing.status, 404)
  assert.ok(Number(missing.header('content-length')) > 0)
})

test('a streamed answer arrives piece by piece, with its trailers', async () => {
  const { body } = openBody()
  await using fake = await startFake({ answer: () => ({ status: 200, reason: 'OK', headers: ['Trailer', 'X-Sum'], body }) })
  using connection = await openConnection(targetOf(fake.url))
  connection.send('GET /json/reply/X HTTP/1.1\r\nHost: a\r\n\r\n')
  await until('the head is out before any byte of the body', () => fake.exchanges.length === 1 && connection.reader.pending)
  body.push(Buffer.from('one'))
  setImmediate(() => {
    body.push(Buffer.from('two'))
    body.end(['X-Sum', '6'])
  })
  const response = await connection.response()
  assert.equal(response.text(), 'onetwo')
  assert.deepEqual(response.trailers, [['X-Sum', '6']])
})

test('a body that fails midway cuts the connection: nobody takes it for whole', async () => {
  const { body } = openBody()
  await using fake = await startFake({ answer: () => ({ status: 200, reason: 'OK', headers: [], body }) })
  using connection = await openConnection(targetOf(fake.url))
  connection.send('GET /json/reply/X HTTP/1.1\r\nHost: a\r\n\r\n')
  await until('the answer has begun', () => connection.reader.pending)
  body.push(Buffer.from('half'))
  setImmediate(() => body.fail(new GatewayError('BodyCut')))
  const response = await connection.response()
  assert.equal(response.whole, false)
})

test('a client that reads slowly pauses the service, and one that leaves cancels it', async () => {
  const { body, cancelled, paused } = openBody()
  await using fake = await startFake({ answer: () => ({ status: 200, reason: 'OK', headers: [], body }) })
  using connection = await openConnection(targetOf(fake.url))
  connection.socket.pause()
  connection.send('GET /json/reply/X HTTP/1.1\r\nHost: a\r\n\r\n')
  await until('the route was asked', () => fake.exchanges.length === 1)
  const chunk = Buffer.alloc(65_536, 'x')
  await until('the service is paused', () => {
    if (!paused()) body.push(chunk)
    return paused()
  }, { everyMs: 1 })
  connection.close()
  assert.equal((await within('the body is cancelled', 30_000, cancelled)).code, 'ClientClosed')
  assert.equal(fake.exchanges[0]!.ended?.code, 'ClientClosed')
})

test('a client that leaves while the service works ends the exchange', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  await using fake = await startFake({
    answer: exchange => new Promise((_resolve, reject) => exchange.waiting({
      cancel (error) {
        resolve()
        reject(error)
      }
    }))
  })
  const connection = await openConnection(targetOf(fake.url))
  connection.send('GET /json/reply/X HTTP/1.1\r\nHost: a\r\n\r\n')
  await until('the route was asked', () => fake.exchanges.length === 1)
  connection.close()
  await within('the exchange ends', 30_000, promise)
})

test('1xx answers pass, but not to HTTP/1.0', async () => {
  await using fake = await startFake({
    answer: exchange => {
      exchange.informed?.inform({ status: 103, headers: ['Link', '</a.css>; rel=preload'] })
      return ok()
    }
  })
  const response = await request(fake.url, '/json/reply/X')
  assert.deepEqual(response.informational, [{ status: 103, headers: [['Link', '</a.css>; rel=preload']] }])
  using old = await openConnection(targetOf(fake.url))
  old.send('GET /json/reply/X HTTP/1.0\r\n\r\n')
  assert.match((await old.reader.rest()).toString(), /^HTTP\/1\.1 200 OK\r\n/)
})

test('hidden and unknown answer alike, in the format asked for', async () => {
  await using fake = await startFake()
  const at = async (path: string) => await request(fake.url, path)
  const json = await at('/json/reply/HiddenOne')
  assert.equal(json.statusLine, 'HTTP/1.1 404 MessageNotFound')
  assert.equal(json.text(), '{"responseStatus":{"errorCode":"MessageNotFound","message":"The message \'HiddenOne\' does not exist.","errors":[]}}')
  assert.equal((await at('/xml/reply/Hidden')).header('content-type'), 'application/xml')
  assert.equal((await at('/json/reply/Hidden?format=xml')).header('content-type'), 'application/xml')
  assert.equal((await at('/api/Hidden.csv')).header('content-type'), 'text/csv')
  assert.equal((await at('/jsv/reply/Hidden')).text(), '{responseStatus:{errorCode:MessageNotFound,message:The message \'Hidden\' does not exist.,errors:[]}}')
  assert.match((await at('/html/reply/Hidden')).header('content-type')!, /^text\/html/)
})

test('a bug of ours is a 500 without a word about it, and the log has the stack', async () => {
  await using fake = await startFake({ answer: () => { throw new GatewayError('InternalError', { cause: new Error('secret') }) } })
  const response = await request(fake.url, '/json/reply/X')
  assert.equal(response.status, 500)
  assert.doesNotMatch(response.text(), /secret/)
})

test('Location of the endpoint becomes the client\'s own address', async () => {
  await using fake = await startFake({
    answer: exchange => {
      exchange.endpoint = fakeEndpoint('http://10.1.2.3:9101/base', () => Promise.reject(new Error('not used')))
      return { status: 201, reason: 'Created', headers: ['Location', 'http://10.1.2.3:9101/base/orders/5?x=%2F'], body: ResponseBody.of(Buffer.alloc(0)) }
    }
  })
  const response = await request(fake.url, '/json/reply/X', { method: 'POST', headers: [['Host', 'shop.test:81']] })
  assert.equal(response.header('location'), 'http://shop.test:81/orders/5?x=%2F')
})

test('trusted proxies are believed, strangers are not', async () => {
  await using fake = await startFake({ edge: { trustedProxies: ['127.0.0.0/8', '10.0.0.0/8'] } })
  const sent = [['X-Forwarded-For', '6.6.6.6, 8.8.8.8, 10.0.0.7'], ['X-Forwarded-Proto', 'https'], ['X-Forwarded-Host', 'shop.test'], ['X-mac-requestId', 'from-outside'], ['traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00']] as const
  await request(fake.url, '/json/reply/X', { headers: [...sent] })
  const trusted = fake.exchanges[0]!
  assert.equal(trusted.request.clientAddress, '8.8.8.8')
  assert.equal(trusted.request.correlationId, 'from-outside')
  assert.equal(trusted.request.traceId, '0af7651916cd43dd8448eb211c80319c')
  assert.equal(field(trusted.upstreamRequest.headers, 'x-forwarded-proto'), 'https')
  assert.equal(field(trusted.upstreamRequest.headers, 'x-forwarded-host'), 'shop.test')
  fake.listener.prepare(fake.config.listener, { ...fake.config.edge, trustedProxies: [] })()
  await request(fake.url, '/json/reply/X', { headers: [...sent] })
  const stranger = fake.exchanges[1]!
  assert.equal(stranger.request.clientAddress, '127.0.0.1')
  assert.notEqual(stranger.request.correlationId, 'from-outside')
  assert.notEqual(stranger.request.traceId, '0af7651916cd43dd8448eb211c80319c')
  assert.equal(field(stranger.upstreamRequest.headers, 'x-forwarded-for'), '127.0.0.1')
  assert.equal(field(stranger.upstreamRequest.headers, 'x-forwarded-proto'), 'http')
})

test('draining: what is in flight finishes, idle connections close, nothing new is accepted', async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  await using fake = await startFake({ answer: async () => { await gate; return ok('done') } })
  using idle = await openConnection(targetOf(fake.url))
  using busy = await openConnection(targetOf(fake.url))
  busy.send('GET /json/reply/X HTTP/1.1\r\nHost: a\r\n\r\n')
  await until('one exchange is in flight', () => fake.exchanges.length === 1)
  const drained = fake.listener.drain(60_000)
  await until('the idle connection is closed', () => idle.reader.ended !== undefined)
  await assert.rejects(openConnection(targetOf(fake.url)))
  open()
  assert.equal((await busy.response()).text(), 'done')
  await within('drained', 30_000, drained)
})

test('drain cuts what does not finish in time', async () => {
  await using fake = await startFake({ answer: () => new Promise(() => {}) })
  using busy = await openConnection(targetOf(fake.url))
  busy.send('GET /json/reply/X HTTP/1.1\r\nHost: a\r\n\r\n')
  await until('one exchange is in flight', () => fake.exchanges.length === 1)
  await within('drained', 30_000, fake.listener.drain(100))
  assert.equal(await until('the exchange ends', () => fake.exchanges[0]!.ended?.code), 'ClientClosed')
})
