// A head that is written as text is the head that Node would have written, field by field; and each client's own fields are its own.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { ResponseBody } from '../../src/exchange/response-body.ts'
import { headAsRead, headText } from '../../src/listener/head-text.ts'
import { startGateway } from '../support/gateway.ts'
import { ok, startOrigin } from '../support/origin.ts'
import type { HeaderList } from '../support/raw-server.ts'
import { requestBytes, type RawResponse } from '../support/http-client.ts'
import { parse } from '../upstream/http1/parse.ts'

const correlation = 'x-mac-requestId'
const date = ['Date', 'Fri, 27 Nov 2026 12:00:00 GMT'] as const
const length = ['Content-Length', '5'] as const

describe('the head as text', () => {
  test('without what is each client\'s own', () => {
    assert.equal(headText(200, 'Fine', [...date, 'X-Two', '1', 'X-Two', '2', 'content-length', '5', correlation, 'id'], correlation), `HTTP/1.1 200 Fine\r\n${date.join(': ')}\r\nX-Two: 1\r\nX-Two: 2\r\ncontent-length: 5\r\n`)
  })
  const unfit: Array<[name: string, reason: string, headers: readonly string[]]> = [
    ['no Date: Node would have to add one', 'OK', [...length, 'A', '1']],
    ['no length: it would be Node\'s to frame', 'OK', [...date, 'A', '1']],
    ['Location may differ from client to client', 'OK', [...date, ...length, 'Location', '/a']],
    ['what frames an answer is Node\'s to write', 'OK', [...date, ...length, 'Transfer-Encoding', 'chunked']],
    ['a line break in a value', 'OK', [...date, ...length, 'A', '1\r\nB: 2']],
    ['a name that is none', 'OK', [...date, ...length, 'A B', '1']],
    ['a line break in the reason', 'OK\r\nA: 1', [...date, ...length]]
  ]
  for (const [name, reason, headers] of unfit) test(`not: ${name}`, () => assert.equal(headText(200, reason, headers, correlation), undefined))
})

describe('the head as it was read', () => {
  const read = (lines: string, { status = 200, reason = 'OK', correlationHeader = correlation } = {}) => {
    const bytes = `HTTP/1.1 ${status} ${reason}\r\n${lines}\r\n`
    const { head } = parse(bytes, { headOnly: true })
    assert.ok(head, bytes)
    const response = { status: head.status, reason: head.reason, headers: head.headers, body: new ResponseBody(), read: head }
    return headAsRead(response, { endpointUrl: undefined, endpointAt: () => undefined, scheme: 'http', authority: 'a', correlationHeader, correlationId: 'id', pseudonym: 'postern', added: ['Cache-Status', 'x'] })
  }
  const ours = `Cache-Status: x\r\nVia: 1.1 postern\r\n${correlation}: id\r\n`

  test('everything but what stays on its hop; Node is told the length', () => {
    assert.deepEqual(read('A: 1\r\nContent-length: 5\r\nB:2\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nb: \r\nDATE: now\r\n', { status: 404, reason: 'Not There' }),
      { text: `HTTP/1.1 404 Not There\r\nA: 1\r\nContent-length: 5\r\nB:2\r\nb: \r\nDATE: now\r\n${ours}`, headers: ['Content-length', '5'], trailerAt: -1, hasLength: true, hasDate: true })
  })
  test('the fields that leave last, and none at all', () => {
    assert.equal(read('A: 1\r\nContent-Length: 5\r\n')?.text, `HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 5\r\n${ours}`)
    assert.equal(read('Transfer-Encoding: chunked\r\nA: 1\r\n')?.text, `HTTP/1.1 200 OK\r\nA: 1\r\n${ours}`)
    assert.equal(read('')?.text, `HTTP/1.1 200 OK\r\n${ours}`)
    assert.equal(read('A: 1\r\n')?.hasDate, false)
  })
  for (const line of ['Via: 1.1 inner', 'Location: /a', 'Content-Location: /a', 'Trailer: x', 'Expect: x', 'X-MAC-requestid: theirs', 'Connection: x-own']) {
    test(`not with ${line}`, () => assert.equal(read(`A: 1\r\n${line}\r\n`), undefined))
  }
  test('not where no body follows, nor for other headers than were read', () => {
    for (const status of [204, 304]) assert.equal(read('A: 1\r\n', { status, reason: '' }), undefined)
    const { head } = parse('HTTP/1.1 200 OK\r\nA: 1\r\n\r\n', { headOnly: true })
    const changed = { status: 200, reason: 'OK', headers: ['A', '2'], body: new ResponseBody(), read: head! }
    assert.equal(headAsRead(changed, { endpointUrl: undefined, endpointAt: () => undefined, scheme: 'http', authority: 'a', correlationHeader: correlation, correlationId: 'id', pseudonym: 'postern', added: [] }), undefined)
  })
})

for (const status of [204, 404] as const) {
  test(`${status} in a row from the cache keeps its fields`, { timeout: 120_000 }, async () => {
    await using origin = await startOrigin(ok('', { status, reason: 'As It Is', headers: [['Cache-Control', 'max-age=600'], ['X-One', '1']] }))
    await using gateway = await startGateway({ upstreams: { Shop: { endpoints: [origin.url] } }, messages: { GetOrder: { upstream: 'Shop' } } })
    await gateway.waitForEndpoint(origin.url)
    const first = await gateway.get('/json/reply/GetOrder')
    for (let n = 0; n < 4; n++) {
      const hit = await gateway.get('/json/reply/GetOrder')
      assert.equal(hit.statusLine, first.statusLine)
      assert.deepEqual(fields(hit), fields(first))
    }
    assert.equal(origin.received.length, 1)
  })
}

/** Fields in their order; the ids of each exchange apart, and what changes with the second. */
const fields = ({ headers }: RawResponse): HeaderList => headers.filter(([name]) => !/^(?:x-mac-requestid|age|cache-status)$/i.test(name))

test('hits in a row: the same status, reason, fields and body, however their heads are written', { timeout: 120_000 }, async () => {
  await using origin = await startOrigin(ok('hello', { reason: 'All Well', headers: [['Cache-Control', 'max-age=600'], ['X-Two', '1'], ['X-Two', '2'], ['X-Latin', 'gr\xfcn'], ['Via', '1.1 inner'], ['X-Mac-RequestId', 'of the service']] }))
  await using gateway = await startGateway({ upstreams: { Shop: { endpoints: [origin.url] } }, messages: { GetOrder: { upstream: 'Shop' } } })
  await gateway.waitForEndpoint(origin.url)
  const path = '/json/reply/GetOrder?Id=1'
  const first = await gateway.get(path)
  const ids = new Set([first.header(correlation)])
  using connection = await gateway.connect()
  for (let n = 0; n < 20; n++) {
    connection.send(requestBytes(gateway.url.slice(7), path))
    const hit = await connection.response()
    assert.deepEqual([hit.statusLine, hit.text(), hit.whole], [first.statusLine, 'hello', true])
    assert.deepEqual(fields(hit), fields(first))
    assert.match(hit.header('cache-status')!, /^Postern; hit; ttl=\d+$/)
    assert.match(hit.header('age')!, /^\d+$/)
    assert.equal(hit.all(correlation).length, 1)
    ids.add(hit.header(correlation))
  }
  assert.equal(ids.size, 21, 'each has an id of its own')
  assert.equal(origin.received.length, 1)

  // An old client, and one that wants no more: Node says how the connection goes on.
  for (const line of [`GET ${path} HTTP/1.0\r\nHost: ${gateway.url.slice(7)}\r\n\r\n`, `GET ${path} HTTP/1.1\r\nHost: ${gateway.url.slice(7)}\r\nConnection: close\r\n\r\n`]) {
    using closing = await gateway.connect()
    closing.send(line)
    const hit = await closing.response()
    assert.equal(hit.header('connection'), 'close')
    assert.equal(hit.text(), 'hello')
    assert.equal(await closing.reader.some(1), undefined)
  }
  // And the others of the same moment.
  assert.equal((await gateway.request(path, { method: 'HEAD' })).header('content-length'), '5')
  assert.equal((await gateway.get(path, { headers: [['If-None-Match', '*']] })).status, 304)
  assert.equal((await gateway.get(path, { headers: [['Range', 'bytes=1-2']] })).text(), 'el')
})
