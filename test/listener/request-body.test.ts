// Bodies on real sockets: which are read whole, which stream, and that none is ever passed on as whole when it is not.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { once } from 'node:events'
import { GatewayError } from '../../src/exchange/errors.ts'
import type { Exchange } from '../../src/exchange/exchange.ts'
import { openConnection, request, sendBytes, targetOf } from '../support/http-client.ts'
import { until, within } from '../support/until.ts'
import { field, ok, startFake } from './fake-gateway.ts'

const bodyOf = async ({ upstreamRequest: { body } }: Exchange): Promise<string> => {
  if (body.kind === 'none') return ''
  if (body.kind === 'held') return body.bytes.toString('latin1')
  const chunks: Buffer[] = []
  for await (const chunk of body.stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('latin1')
}
const post = (path: string, headers: string, body: string) => `POST ${path} HTTP/1.1\r\nHost: a\r\n${headers}\r\n${body}`
const echo = async (exchange: Exchange) => ok(`${exchange.upstreamRequest.body.kind}:${await bodyOf(exchange)}`)

test('a small declared body is read whole', async () => {
  await using fake = await startFake({ answer: echo })
  assert.equal((await request(fake.url, '/json/reply/X', { method: 'POST', body: '{"a":1}' })).text(), 'held:{"a":1}')
  assert.equal(fake.exchanges[0]!.upstreamRequest.effect, 'unsafe')
})

test('a chunked body of a message is gathered; on a prefix route it streams without a length', async () => {
  const bytes = (path: string) => post(path, 'Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n')
  {
    await using fake = await startFake({ answer: echo })
    assert.equal((await sendBytes(fake.url, bytes('/json/reply/X'))).text(), 'held:hello world')
  }
  await using fake = await startFake({ answer: echo, kind: 'prefix' })
  assert.equal((await sendBytes(fake.url, bytes('/legacy/x'))).text(), 'stream:hello world')
  const { upstreamRequest } = fake.exchanges[0]!
  assert.equal(upstreamRequest.body.kind === 'stream' && upstreamRequest.body.contentLength, undefined)
})

test('a long declared body streams with its length', async () => {
  await using fake = await startFake({ answer: echo, listener: { limits: { heldBodyBytes: 10 } } })
  const body = 'x'.repeat(200_000)
  assert.equal((await request(fake.url, '/json/reply/X', { method: 'POST', body })).text(), `stream:${body}`)
  assert.equal(field(fake.exchanges[0]!.upstreamRequest.headers, 'content-length'), '200000')
})

test('too long: 413 before a byte is read, and in the middle of what has no length', async () => {
  await using fake = await startFake({ answer: echo, kind: 'prefix', listener: { limits: { bodyBytes: 1_000, heldBodyBytes: 10 } } })
  using declared = await openConnection(targetOf(fake.url))
  declared.send(post('/legacy/x', 'Content-Length: 1001\r\nExpect: 100-continue\r\n', ''))
  const refused = await declared.response()
  assert.equal(refused.status, 413)
  assert.equal(refused.informational.length, 0)
  const chunk = `400\r\n${'x'.repeat(1_024)}\r\n`
  const cut = await sendBytes(fake.url, post('/legacy/x', 'Transfer-Encoding: chunked\r\n', chunk))
  assert.equal(cut.status, 413)
  assert.equal(cut.json().responseStatus.errorCode, 'BodyTooLarge')
})

test('gathered bodies: 413 beyond one\'s limit, 503 beyond all of them together, given back afterwards', async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  await using fake = await startFake({ answer: async exchange => { await gate; return await echo(exchange) }, listener: { limits: { gatheredBodyBytes: 1_000, gatheredTotalBytes: 1_500 } } })
  const chunked = (length: number) => post('/json/reply/X', 'Transfer-Encoding: chunked\r\n', `${length.toString(16)}\r\n${'x'.repeat(length)}\r\n0\r\n\r\n`)
  assert.equal((await sendBytes(fake.url, chunked(1_001))).status, 413)
  const first = sendBytes(fake.url, chunked(900))
  await until('the first one is gathered', () => fake.exchanges.length === 1)
  const second = await sendBytes(fake.url, chunked(900))
  assert.equal(second.status, 503)
  assert.equal(second.header('retry-after'), '1')
  assert.equal(second.json().responseStatus.errorCode, 'BodyMemoryFull')
  open()
  assert.equal((await first).status, 200)
  assert.equal((await sendBytes(fake.url, chunked(900))).status, 200)
})

test('a body that ends short is never passed on', async () => {
  await using fake = await startFake({ answer: echo })
  for (const headers of ['Content-Length: 10\r\n', 'Transfer-Encoding: chunked\r\n']) {
    using connection = await openConnection(targetOf(fake.url))
    connection.send(post('/json/reply/X', headers, headers.startsWith('C') ? '{"a"' : '4\r\n{"a"\r\n'))
    connection.socket.end()
    const response = await connection.response()
    assert.equal(response.status, 400)
    assert.equal(response.json().responseStatus.errorCode, 'BodyIncomplete')
  }
  assert.equal(fake.exchanges.length, 0)
})

test('a streamed body that breaks off errors at its reader and ends the exchange', async () => {
  const { promise, resolve } = Promise.withResolvers<unknown>()
  await using fake = await startFake({
    answer: async exchange => {
      try {
        return await echo(exchange)
      } catch (error) {
        resolve(error)
        throw exchange.ended ?? error
      }
    },
    listener: { limits: { heldBodyBytes: 2 } }
  })
  const connection = await openConnection(targetOf(fake.url))
  connection.send(post('/json/reply/X', 'Content-Length: 10\r\n', '{"a"'))
  await until('the route reads', () => fake.exchanges.length === 1)
  connection.close()
  const error = await within('the reader is told', 30_000, promise)
  assert.ok(error instanceof GatewayError && error.code === 'BodyIncomplete')
  assert.ok(fake.exchanges[0]!.ended !== undefined)
})

for (const [what, limits] of [['held', {}], ['streamed', { heldBodyBytes: 2 }]] as const) {
  test(`silence in the middle of a ${what} body: 408`, async () => {
    await using fake = await startFake({
      answer: async exchange => { try { return await echo(exchange) } catch (error) { throw exchange.ended ?? error } },
      listener: { limits: { bodyIdleTimeoutMs: 50, ...limits } }
    })
    using connection = await openConnection(targetOf(fake.url))
    connection.send(post('/json/reply/X', 'Content-Length: 10\r\n', '{"a"'))
    const response = await connection.response()
    assert.equal(response.status, 408)
    assert.equal(response.json().responseStatus.errorCode, 'RequestTimeout')
    // Nobody wants the rest: the connection does not stay open for it.
    await until('the connection is closed', () => connection.reader.ended !== undefined)
  })
}

test('a streamed body waits for its reader', async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  await using fake = await startFake({ answer: async exchange => { await gate; return await echo(exchange) }, listener: { limits: { heldBodyBytes: 2, bodyIdleTimeoutMs: 1_000 } } })
  using connection = await openConnection(targetOf(fake.url))
  const body = Buffer.alloc(8_388_608, 'x')
  connection.send(post('/json/reply/X', `Content-Length: ${body.length}\r\n`, ''))
  const flushed = once(connection.socket, 'drain')
  connection.send(body)
  await until('the route was asked', () => fake.exchanges.length === 1)
  // The idle timeout passes without harm while nobody reads.
  assert.equal(await Promise.race([flushed.then(() => 'all taken'), until('time passes', async () => performance.now() - fake.exchanges[0]!.startedAtMs > 2_000).then(() => 'waiting')]), 'waiting')
  open()
  assert.equal((await connection.response()).body.length, body.length + 'stream:'.length)
})

test('Expect: 100-continue is answered when the route is known, and not forwarded', async () => {
  await using fake = await startFake({ answer: echo })
  using connection = await openConnection(targetOf(fake.url))
  connection.send(post('/json/reply/X', 'Content-Length: 2\r\nExpect: 100-continue\r\n', ''))
  assert.equal((await connection.head()).status, 100)
  connection.send('{}')
  assert.equal((await connection.response()).text(), 'held:{}')
  assert.equal(field(fake.exchanges[0]!.upstreamRequest.headers, 'expect'), undefined)
  using hidden = await openConnection(targetOf(fake.url))
  hidden.send(post('/json/reply/Hidden', 'Content-Length: 2\r\nExpect: 100-continue\r\n', ''))
  const response = await hidden.response()
  assert.equal(response.status, 404)
  assert.equal(response.informational.length, 0)
})

test('what strangers may not send is taken out of forms, the other bytes unchanged', async () => {
  await using fake = await startFake({ answer: echo })
  const form = async (body: string, headers: ReadonlyArray<readonly [string, string]> = [['Content-Type', 'application/x-www-form-urlencoded']]) => await request(fake.url, '/json/reply/X', { method: 'POST', headers, body })
  assert.equal((await form('a=1&auths%65cret=x&b=%2f+&DEBUG&c')).text(), 'held:a=1&b=%2f+&c')
  assert.equal((await form('X-Http-Method-Override=GET')).text(), 'none:')
  assert.equal((await form('debug=1', [['Content-Type', 'text/plain']])).text(), 'held:debug=1')
  const zipped = await form('x', [['Content-Type', 'application/x-www-form-urlencoded'], ['Content-Encoding', 'gzip']])
  assert.equal(zipped.json().responseStatus.errorCode, 'FieldNotAllowed')
  assert.equal((await request(fake.url, '/json/reply/X?a=1&Debug=2&b=%20&x-http-method-override=DELETE')).status, 200)
  assert.equal(fake.exchanges.at(-1)!.upstreamRequest.path, '/json/reply/X?a=1&b=%20')
})

test('a form whose type hosts could read in two ways is refused before its body is', async () => {
  await using fake = await startFake({ answer: echo })
  const send = async (type: string, body: string | Buffer) => await request(fake.url, '/json/reply/X', { method: 'POST', headers: [['Content-Type', type]], body })
  const part = '--b\r\nContent-Disposition: form-data; name="authsecret"\r\n\r\nz\r\n--b--\r\n'
  const refused: ReadonlyArray<readonly [type: string, body: string | Buffer]> = [
    ['multipart/form-data; x="; boundary=a"; boundary=b', part],
    ['multipart/form-data; boundary=a; boundary=b', part],
    ['multipart/form-data; boundary=b', part.replace(' name', ' x=" name="; name')],
    ['multipart / form-data; boundary=b', part],
    ['application/x-www-form-urlencoded; charset=utf-16', Buffer.from('authsecret=z', 'utf16le')],
    ['application/x-www-form-urlencoded; x="; charset=utf-8"; charset=utf-16', Buffer.from('authsecret=z', 'utf16le')],
    ['application / x-www-form-urlencoded', 'authsecret=z'],
    ['text/plain, application/x-www-form-urlencoded', 'authsecret=z']
  ]
  for (const [type, body] of refused) assert.equal((await send(type, body)).json().responseStatus.errorCode, 'FieldNotAllowed', type)
  assert.equal((await send('application/x-www-form-urlencoded; charset="UTF-8"', 'a=1&authsecret=z')).text(), 'held:a=1')
  assert.equal((await send('application/json; profile="x-www-form-urlencoded"', 'authsecret=z')).text(), 'held:authsecret=z')
})

test('a multipart part with such a name is refused, whole or streamed', async () => {
  const part = (name: string, value: string) => `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
  const headers = [['Content-Type', 'multipart/form-data; boundary=b']] as const
  for (const limits of [{}, { heldBodyBytes: 10 }]) {
    await using fake = await startFake({ answer: async exchange => { try { return await echo(exchange) } catch (error) { throw exchange.ended ?? error } }, listener: { limits } })
    const send = async (body: string) => await request(fake.url, '/json/reply/X', { method: 'POST', headers, body })
    assert.equal((await send(`${part('file', 'the text name="debug" in a file')}--b--\r\n`)).status, 200)
    const refused = await send(`${part('a', '1')}${part('AuthSecret', 'x')}--b--\r\n`)
    assert.equal(refused.status, 400)
    assert.equal(refused.json().responseStatus.errorCode, 'FieldNotAllowed')
  }
})
