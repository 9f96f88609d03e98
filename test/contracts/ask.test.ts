import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { ask, askMarkers, type Question } from '../../src/contracts/ask.ts'

const limits = { timeoutMs: 2_000, maxAnswerBytes: 65_536 }
const list = readFileSync(new URL('../fixtures/recordings/operations-catalog.json', import.meta.url), 'utf8')

type Reply = { status?: number, body?: string, headers?: Record<string, string> } | 'hang' | 'cut'

/** A host that answers by path. `{base}` is stripped by the caller giving whole paths. */
async function host (t: TestContext, replies: Record<string, Reply>): Promise<{ url: string, seen: string[] }> {
  const seen: string[] = []
  const listener: RequestListener = (request, response) => {
    seen.push(`${request.url} ${request.headers.accept}`)
    const reply = replies[request.url ?? ''] ?? { status: 404 }
    if (reply === 'hang') return
    if (reply === 'cut') {
      response.writeHead(200, { 'content-length': '100', 'content-type': 'application/json' })
      response.write('[')
      setImmediate(() => response.destroy())
      return
    }
    response.writeHead(reply.status ?? 200, { 'content-type': 'application/json; charset=utf-8', 'x-powered-by': 'ServiceStack/10.15 NET10/Linux/net10/NO', ...reply.headers })
    response.end(reply.body ?? '')
  }
  const server = createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => { server.closeAllConnections(); server.close() })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
}

const own = '/json/reply/ServiceRegistration'
const operations = '/operations/metadata'
const heartbeat = '/json/reply/Heartbeat'
const put = (url: string, kind: Question['kind'] = 'plugin', livenessPath = '/') => ask({ url, kind, livenessPath }, limits, new AbortController().signal)
const registration = { body: '{"name":"api","id":"ss-Catalog-1","address":"http://x/","tags":[]}' }

test('only addresses that were resolved and allowed before are connected to, whatever the name says now', async t => {
  const { url, seen } = await host(t, { [own]: registration, [operations]: { body: list }, '/types/metadata.json': { body: '{"Operations":[]}' } })
  const question: Question = { url: url.replace('127.0.0.1', 'catalog.invalid'), kind: 'plugin', livenessPath: '/', ips: ['127.0.0.1'] }
  assert.equal((await ask(question, limits, new AbortController().signal)).kind, 'answered')
  await askMarkers(question, limits, new AbortController().signal)
  assert.ok(seen.some(line => line.startsWith('/types/metadata.json')), seen.join('\n'))
})

test('a plugin host says who it is, what it lists and which version it has', async t => {
  const { url, seen } = await host(t, { '/base/json/reply/ServiceRegistration': registration, '/base/operations/metadata': { body: list } })
  const answer = await put(`${url}/base`)
  assert.ok(answer.kind === 'answered' && answer.listed.state === 'read')
  assert.equal(answer.ownId, 'ss-Catalog-1')
  assert.equal(answer.listed.list.byName.get('getproduct')?.name, 'GetProduct')
  assert.equal(answer.servicestackVersion, '10.15')
  assert.equal(answer.apiForm, true)
  assert.equal(answer.sick, undefined, 'a heartbeat that is not there says nothing')
  assert.deepEqual(seen, ['/base/json/reply/ServiceRegistration application/json', '/base/operations/metadata application/json', '/base/json/reply/Heartbeat application/json'])
})

for (const [sentence, reply, sick] of [
  ['200', { body: '{}' }, undefined],
  ['401', { status: 401 }, undefined],
  ['405', { status: 405 }, undefined],
  ['503', { status: 503 }, 'its heartbeat answered 503'],
  ['500', { status: 500 }, 'its heartbeat answered 500'],
  ['429', { status: 429 }, 'its heartbeat answered 429'],
  ['silence', 'hang', 'its heartbeat: no whole answer within 2000 ms']
] as ReadonlyArray<readonly [string, Reply, string | undefined]>) {
  test(`who it is and what it lists is read although its heartbeat gives ${sentence}; it is ${sick === undefined ? 'well' : 'not well'}`, async t => {
    const { url } = await host(t, { [own]: registration, [operations]: { body: list }, [heartbeat]: reply })
    const answer = await put(url)
    assert.ok(answer.kind === 'answered')
    assert.deepEqual([answer.ownId, answer.listed.state, answer.sick], ['ss-Catalog-1', 'read', sick])
  })
}

test('a 5.2 host has no /api form; PascalCase is understood', async t => {
  const { url } = await host(t, { [own]: { body: '{"Name":"api","Id":"ss-Old-1"}', headers: { 'x-powered-by': 'ServiceStack/5.00 NETStandard/Linux' } }, [operations]: { body: '[{"Name":"Ping"}]' } })
  const answer = await put(url)
  assert.ok(answer.kind === 'answered')
  assert.equal(answer.ownId, 'ss-Old-1')
  assert.equal(answer.apiForm, false)
})

for (const [sentence, reply, state] of [
  ['401: none', { status: 401 }, 'none'],
  ['403: none', { status: 403 }, 'none'],
  ['404: none', { status: 404 }, 'none'],
  ['a redirect, which is not followed: none', { status: 302, headers: { location: '/elsewhere' } }, 'none'],
  ['HTML: none', { body: '<html>', headers: { 'content-type': 'text/html' } }, 'none'],
  ['500: not read yet', { status: 500 }, 'unread'],
  ['503: not read yet', { status: 503 }, 'unread'],
  ['no answer in time: not read yet', 'hang', 'unread'],
  ['a cut answer: not read yet', 'cut', 'unread'],
  ['JSON that is no list: not read yet', { body: '[{"name":' }, 'unread'],
  ['an answer beyond the limit: not read yet', { body: `[${'{"name":"A"},'.repeat(6_000)}{"name":"B"}]` }, 'unread']
] as ReadonlyArray<readonly [string, Reply, string]>) {
  test(`a list answered with ${sentence}; the heartbeat says that it is up`, async t => {
    const { url, seen } = await host(t, { [own]: registration, [operations]: reply, [heartbeat]: { body: '{}' }, '/elsewhere': { body: list } })
    const answer = await put(url)
    assert.ok(answer.kind === 'answered')
    assert.equal(answer.listed.state, state)
    assert.equal(answer.ownId, 'ss-Catalog-1')
    assert.ok(!seen.some(path => path.startsWith('/elsewhere')))
  })
}

for (const [sentence, replies, strange] of [
  ['a program that answers 200 to everything', { [own]: { body: 'fine' }, [operations]: { body: 'fine', headers: { 'content-type': 'text/plain' } }, [heartbeat]: { body: 'fine' } }, true],
  ['one that answers JSON to everything', { [own]: { body: '{}' }, [operations]: { body: '{}' }, [heartbeat]: { body: '{}' } }, true],
  ['a host that says who it is and shows a page for its list', { [own]: registration, [operations]: { body: '<html>', headers: { 'content-type': 'text/html' } }, [heartbeat]: { body: '{}' } }, undefined],
  ['a host that says neither to strangers', { [own]: { status: 401 }, [operations]: { status: 401 }, [heartbeat]: { body: '{}' } }, undefined],
  ['a host without the question for its id, and with a page for its list', { [own]: { status: 405 }, [operations]: { body: '<html>', headers: { 'content-type': 'text/html' } }, [heartbeat]: { body: '{}' } }, undefined]
] as ReadonlyArray<readonly [string, Record<string, Reply>, true | undefined]>) {
  test(`strange or not: ${sentence}`, async t => {
    const { url } = await host(t, replies)
    const answer = await put(url)
    assert.ok(answer.kind === 'answered')
    assert.equal(answer.strange, strange)
  })
}

test('without a list and with a failing heartbeat it does not count as answered, but it was reached', async t => {
  const { url } = await host(t, { [heartbeat]: { status: 503 } })
  assert.deepEqual(await put(url), { kind: 'silent', reached: true, reason: 'its heartbeat answered 503' })
})

test('with neither a list nor a heartbeat it does not count as answered, and publishes none', async t => {
  const { url } = await host(t, {})
  assert.deepEqual(await put(url), { kind: 'silent', reached: true, reason: 'its heartbeat answered 404', listed: { state: 'none', reason: 'its list answered 404' } })
})

test('a host that cannot say who it is just now is not believed its list', async t => {
  const { url } = await host(t, { [own]: { status: 503 }, [operations]: { body: list }, [heartbeat]: {} })
  const answer = await put(url)
  assert.ok(answer.kind === 'answered')
  assert.equal(answer.listed.state, 'unread')
})

test('nobody listens: silent, not reached', async () => {
  const server = createTcpServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  assert.deepEqual(await put(`http://127.0.0.1:${port}`), { kind: 'silent', reached: false, reason: 'ECONNREFUSED' })
})

test('one that takes the connection and ends it is not there', async t => {
  const server = createTcpServer(socket => { socket.on('error', () => {}).destroy() })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const answer = await put(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  assert.deepEqual({ ...answer, reason: '' }, { kind: 'silent', reached: false, reason: '' })
})

test('a listener that never speaks is silent after the timeout, and listens', async t => {
  const sockets = new Set<Socket>()
  const server = createTcpServer(socket => { sockets.add(socket); socket.on('error', () => {}) })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => { for (const socket of sockets) socket.destroy(); server.close() })
  const answer = await put(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  assert.deepEqual(answer, { kind: 'silent', reached: false, reason: 'no whole answer within 2000 ms', listens: true })
})

const plain = { headers: { 'x-powered-by': 'Express' } }

test('a plain service needs any complete answer below 500 to its path', async t => {
  const { url } = await host(t, { '/live': { status: 404, ...plain }, '/sick': { status: 500, ...plain }, [operations]: { status: 500, ...plain } })
  const up = await put(url, 'plain', '/live')
  assert.ok(up.kind === 'answered')
  // It may be a host whose list fails just now.
  assert.equal(up.listed.state, 'unread')
  assert.equal(up.servicestackVersion, undefined)
  assert.deepEqual(await put(url, 'plain', '/sick'), { kind: 'silent', reached: true, reason: '/sick answered 500' })
})

test('a plain service that answers everything with JSON has no list', async t => {
  const { url } = await host(t, { '/': { body: '{"fine":true}', ...plain }, [operations]: { body: '{"fine":true}', ...plain } })
  const answer = await put(url, 'plain')
  assert.ok(answer.kind === 'answered')
  assert.deepEqual([answer.listed.state, answer.servicestackVersion], ['none', undefined])
})

test('what it is, a plain service that is not well says too', async t => {
  const { url } = await host(t, { '/sick': { status: 500, ...plain }, '/slow': 'hang', [operations]: { status: 404, ...plain } })
  for (const [path, sick] of [['/sick', '/sick answered 500'], ['/slow', '/slow: no whole answer within 2000 ms']] as const) {
    const answer = await put(url, 'plain', path)
    assert.ok(answer.kind === 'answered', path)
    assert.deepEqual([answer.listed.state, answer.servicestackVersion, answer.sick], ['none', undefined, sick])
  }
})

test('a plain registration that is a ServiceStack host is asked for its restrictions', async t => {
  const { url } = await host(t, { '/': { status: 302 }, [operations]: { body: list } })
  const answer = await put(url, 'plain')
  assert.ok(answer.kind === 'answered' && answer.listed.state === 'read')
  assert.equal(answer.servicestackVersion, '10.15')
})

test('a question that is given up ends at once', async t => {
  const { url } = await host(t, { [own]: 'hang' })
  const controller = new AbortController()
  const answer = ask({ url, kind: 'plugin', livenessPath: '/' }, { ...limits, timeoutMs: 60_000 }, controller.signal)
  setImmediate(() => controller.abort())
  assert.equal((await answer).kind, 'silent')
})

for (const [status, expected] of [[200, {}], [503, { sick: 'its health check answered 503' }], [429, { warns: 'its health check answered 429' }], [404, {}]] as const) {
  test(`a health check that answers ${status}, beside a heartbeat that is fine`, async t => {
    const { url } = await host(t, { [own]: registration, [operations]: { body: list }, [heartbeat]: { body: '{}' }, '/json/reply/HealthCheck?message=Ok': { status } })
    const answer = await ask({ url, kind: 'plugin', livenessPath: '/', healthCheck: true }, limits, new AbortController().signal)
    assert.ok(answer.kind === 'answered')
    assert.deepEqual({ ...(answer.sick === undefined ? {} : { sick: answer.sick }), ...(answer.warns === undefined ? {} : { warns: answer.warns }) }, expected)
    const unasked = await put(url)
    assert.ok(unasked.kind === 'answered' && unasked.sick === undefined && unasked.warns === undefined)
  })
}
