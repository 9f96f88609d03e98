// Collapsing: however many want the same answer at once, the origin is asked once; and what becomes of them when that fails.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { head, write } from '../support/raw-server.ts'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import { openConnection, requestBytes, targetOf, type RawResponse } from '../support/http-client.ts'
import { hang, ok, raw, startOrigin, type Behaviour, type Origin } from '../support/origin.ts'
import { until } from '../support/until.ts'

const path = '/legacy/thing?id=1'
/** Patient in everything: on a busy machine a thousand connections take their time, and nothing here is about that. */
const configFor = (origin: Origin, more: PartialConfig = {}): PartialConfig => ({
  listener: { limits: { headersTimeoutMs: 60_000 } },
  upstreams: { legacy: { endpoints: [origin.url] } },
  prefixes: { '/legacy/*': { upstream: 'legacy', policy: { deadlineMs: 60_000, headersTimeoutMs: 60_000, messageBreaker: { slowCallFactor: 0 }, cache: { collapseWaitMs: 60_000 } } } },
  ...more
})

/** An origin that answers when it is told to; or when the test is over, so that a failure is told at once. */
function gate (answer: Behaviour): { behaviour: Behaviour, open: () => void, [Symbol.dispose]: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { behaviour: async request => { await promise; await answer(request) }, open: resolve, [Symbol.dispose]: resolve }
}
const cacheable = (body: string): Behaviour => ok(body, { headers: [['Cache-Control', 'max-age=60'], ['Content-Type', 'text/plain']] })

/** So many requests under way beside those that were `before`, each on a connection of its own; `answers` reads them all. */
async function burst (gateway: TestGateway, count: number, before = 0): Promise<{ answers: () => Promise<RawResponse[]>, [Symbol.dispose]: () => void }> {
  const target = targetOf(gateway.url)
  const connections = await Promise.all(Array.from({ length: count }, async () => {
    const connection = await openConnection(target, { timeoutMs: 90_000 })
    connection.send(requestBytes(`${target.host}:${target.port}`, path))
    return connection
  }))
  await until('all of them are under way', async () => await gateway.metric('postern_in_flight', { upstream: 'legacy' }) === before + count, { timeoutMs: 60_000 })
  const close = () => { for (const connection of connections) connection.close() }
  return { answers: () => Promise.all(connections.map(connection => connection.response())), [Symbol.dispose]: close }
}

test('1,000 misses at once ask the origin once, also when the first client leaves', { timeout: 300_000 }, async () => {
  await using origin = await startOrigin()
  await using gateway = await startGateway(configFor(origin))
  await gateway.waitForEndpoint(origin.url)
  using held = gate(cacheable('hello'))
  origin.behave(held.behaviour)
  const first = await openConnection(targetOf(gateway.url), { timeoutMs: 90_000 })
  first.send(requestBytes(gateway.url.slice(7), path))
  await until('the origin is asked', () => origin.received.length === 1)
  using followers = await burst(gateway, 1_000, 1)
  first.close()
  await until('the first is gone', async () => await gateway.metric('postern_in_flight', { upstream: 'legacy' }) === 1_000)
  held.open()
  const answers = await followers.answers()
  assert.equal(answers.filter(answer => answer.status === 200 && answer.text() === 'hello').length, 1_000)
  assert.equal(origin.received.length, 1)
  assert.match(answers[500]!.header('cache-status')!, /^Postern; fwd=uri-miss; fwd-status=200; stored; collapsed; ttl=\d+$/)
  assert.match(answers[500]!.header('age')!, /^\d+$/)
  const hit = await gateway.get(path)
  assert.match(hit.header('cache-status')!, /^Postern; hit; ttl=\d+$/)
  assert.match(hit.header('age')!, /^\d+$/)
  assert.equal(hit.header('content-length'), '5')
  assert.equal(origin.received.length, 1)
  const head = await gateway.request(path, { method: 'HEAD' })
  assert.equal(head.status, 200)
  assert.match(head.header('cache-status')!, /hit/)
  assert.equal(origin.received.length, 1)
})

test('an answer that proves uncacheable: one, then no more at once than the bulkhead allows, and the rest are told', { timeout: 300_000 }, async () => {
  await using origin = await startOrigin()
  await using gateway = await startGateway(configFor(origin, { defaults: { bulkhead: { maxConcurrent: 8, maxQueue: 20 }, policy: { deadlineMs: 60_000, queueTimeoutMs: 60_000 } } }))
  await gateway.waitForEndpoint(origin.url)
  using held = gate(ok('mine', { headers: [['Cache-Control', 'no-store']] }))
  origin.behave(held.behaviour)
  using all = await burst(gateway, 1_000)
  await until('the origin is asked', () => origin.received.length > 0)
  assert.equal(origin.received.length, 1)
  let most = 0
  origin.behave(async request => {
    most = Math.max(most, origin.received.filter(({ target }) => target === path).length - answered)
    await ok('mine', { headers: [['Cache-Control', 'no-store']] })(request)
    answered++
  })
  let answered = 1
  held.open()
  const answers = await all.answers()
  const served = answers.filter(({ status }) => status === 200).length
  // The first answer holds its slot until it is delivered.
  assert.ok(served === 1 + 8 + 20 || served === 8 + 20, `${served} served`)
  assert.equal(answers.filter(({ status, reason }) => status === 503 && reason === 'BulkheadFull').length, 1_000 - served)
  assert.equal(origin.received.length, served)
  assert.ok(most <= 8, `${most} at once`)
  assert.ok(answers.every(answer => answer.header('cache-status')?.startsWith('Postern; fwd=uri-miss')))
})

test('the origin dies before the first byte of a body: all share one second attempt', { timeout: 300_000 }, async () => {
  await using origin = await startOrigin()
  await using gateway = await startGateway(configFor(origin))
  await gateway.waitForEndpoint(origin.url)
  using held = gate(async request => {
    await write(request.socket, head(200, 'OK', [['Cache-Control', 'max-age=60'], ['Content-Length', '10']]))
    request.socket.destroySoon()
  })
  origin.behave(held.behaviour)
  using all = await burst(gateway, 100)
  origin.behave(cacheable('0123456789'))
  held.open()
  const answers = await all.answers()
  assert.equal(answers.filter(answer => answer.status === 200 && answer.text() === '0123456789').length, 100)
  assert.equal(origin.received.length, 2)
})

test('the origin dies in the middle: clients that have bytes are cut, those that come then share one second attempt', { timeout: 300_000 }, async () => {
  await using origin = await startOrigin()
  await using gateway = await startGateway(configFor(origin))
  await gateway.waitForEndpoint(origin.url)
  using part = gate(async () => {})
  origin.behave(async request => {
    await write(request.socket, head(200, 'OK', [['Cache-Control', 'max-age=60'], ['Content-Length', '10']]))
    await write(request.socket, '01234')
    await part.behaviour(request)
    request.socket.destroySoon()
  })
  using early = await burst(gateway, 50)
  const reading = early.answers()
  // Comes while it is arriving, and reads what is there.
  using late = await gateway.connect({ timeoutMs: 90_000 })
  late.send(requestBytes(gateway.url.slice(7), path))
  await late.head()
  assert.equal((await late.reader.some(5))?.toString(), '01234')
  using second = gate(cacheable('0123456789'))
  origin.behave(second.behaviour)
  part.open()
  assert.ok((await reading).every(({ whole }) => !whole))
  assert.equal(await late.reader.some(5), undefined)
  using after = await burst(gateway, 50)
  second.open()
  assert.ok((await after.answers()).every(answer => answer.text() === '0123456789'))
  assert.equal(origin.received.length, 2)
})

test('whoever waits too long for somebody else asks anew, once for all', { timeout: 300_000 }, async () => {
  await using origin = await startOrigin(hang())
  // Long enough for the answer to whoever asks anew: else others would too.
  const policy = { deadlineMs: 60_000, headersTimeoutMs: 60_000, messageBreaker: { slowCallFactor: 0 }, cache: { collapseWaitMs: 5_000 } }
  await using gateway = await startGateway({ ...configFor(origin), prefixes: { '/legacy/*': { upstream: 'legacy', policy } } })
  await gateway.waitForEndpoint(origin.url)
  using first = await gateway.connect({ timeoutMs: 90_000 })
  first.send(requestBytes(gateway.url.slice(7), path))
  await until('the origin is asked', () => origin.received.length === 1)
  origin.behave(cacheable('late'))
  const others = await Promise.all(Array.from({ length: 20 }, async () => await gateway.get(path, { timeoutMs: 90_000 })))
  assert.ok(others.every(answer => answer.text() === 'late'))
  assert.equal(origin.received.length, 2)
})

/** Each answer another body. */
const counted = (cacheControl: string): Behaviour => {
  let count = 0
  return async request => { await ok(`answer ${++count}`, { headers: [['Cache-Control', cacheControl], ['ETag', `"${count}"`], ['Content-Type', 'text/plain']] })(request) }
}

for (const cacheControl of ['no-cache', 'max-age=60, no-cache', 'max-age=0, must-revalidate', 's-maxage=0']) {
  test(`${cacheControl}: nobody gets what another one asked for, whether it is known before or not`, { timeout: 300_000 }, async () => {
    await using origin = await startOrigin()
    await using gateway = await startGateway(configFor(origin))
    await gateway.waitForEndpoint(origin.url)
    const answer = counted(cacheControl)
    for (const times of [1, 2]) {
      using held = gate(answer)
      origin.behave(held.behaviour)
      using all = await burst(gateway, 3)
      held.open()
      const answers = await all.answers()
      assert.equal(new Set(answers.map(answer => answer.text())).size, 3)
      assert.equal(origin.received.length, 3 * times)
      assert.ok(answers.every(answer => !answer.header('cache-status')!.includes('collapsed')))
    }
  })
}

for (const [what, cacheControl, asks] of [['an answer that says no-cache', 'no-cache', 'max-age=60'], ['a client that says no-cache', 'max-age=60', 'no-cache']] as const) {
  test(`${what}: who comes while the body arrives asks himself`, { timeout: 300_000 }, async () => {
    await using origin = await startOrigin()
    await using gateway = await startGateway(configFor(origin))
    await gateway.waitForEndpoint(origin.url)
    using rest = gate(async request => { await write(request.socket, '56789') })
    origin.behave(async request => {
      await write(request.socket, head(200, 'OK', [['Cache-Control', cacheControl], ['ETag', '"1"'], ['Content-Length', '10']]))
      await write(request.socket, '01234')
      await rest.behaviour(request)
    })
    using first = await gateway.connect({ timeoutMs: 90_000 })
    first.send(requestBytes(gateway.url.slice(7), path))
    await first.head()
    origin.behave(ok('anew', { headers: [['Cache-Control', 'max-age=60']] }))
    assert.equal((await gateway.get(path, { headers: [['Cache-Control', asks]] })).text(), 'anew')
    assert.equal((await first.reader.some(5))?.toString(), '01234')
    rest.open()
    assert.equal(origin.received.length, 2)
  })
}

test('what a service says ahead of its answer goes to the client whose request it is, and is not stored', { timeout: 60_000 }, async () => {
  await using origin = await startOrigin(raw('HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\nwhole'))
  await using gateway = await startGateway(configFor(origin))
  await gateway.waitForEndpoint(origin.url)
  const told = async () => {
    const { informational, text, header } = await gateway.get(path)
    return [informational.map(({ status, headers }) => [status, headers]), text(), /; (hit|stored)\b/.exec(header('cache-status') ?? '')?.[1]]
  }
  assert.deepEqual(await told(), [[[103, [['Link', '</a>; rel=preload']]]], 'whole', 'stored'])
  assert.deepEqual(await told(), [[], 'whole', 'hit'])
})
