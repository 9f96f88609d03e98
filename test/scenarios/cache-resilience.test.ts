// What is stored stands in where the origin cannot answer: killed, failing, full, or gone from the registry altogether.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { requestBytes, type RawResponse } from '../support/http-client.ts'
import { head, write, type HeaderList } from '../support/raw-server.ts'
import { hang, ok, startOrigin, type Origin } from '../support/origin.ts'
import { until } from '../support/until.ts'

const order = (id: number) => `/json/reply/GetOrder?Id=${id}`
const answering = (cacheControl: string, more: HeaderList = []) => ok('{}', { headers: [['Cache-Control', cacheControl], ['Content-Type', 'application/json'], ...more] })
/** Stale at once, and good for an hour where the origin fails. */
const lasting = 'max-age=0, stale-if-error=3600'

async function startWith (origin: Origin, more: object = {}): Promise<TestGateway> {
  const gateway = await startGateway({ upstreams: { Shop: { endpoints: [origin.url], ...more } }, messages: { GetOrder: { upstream: 'Shop' }, PlaceOrder: { upstream: 'Shop' } }, prefixes: { '/shop/*': { upstream: 'Shop' } } })
  await gateway.waitForEndpoint(origin.url)
  return gateway
}
const detailOf = (answer: RawResponse) => /detail=(\S+)/.exec(answer.header('cache-status') ?? '')?.[1]

/** Reads of what is stored among writes and reads of what is not, so many at once. */
async function mixed (gateway: TestGateway, stored: readonly string[]): Promise<{ stored: RawResponse[], others: RawResponse[] }> {
  const run = async (n: number) => await gateway.get(stored[n % stored.length]!)
  const others = async (n: number) => n % 2 === 0 ? await gateway.post('/json/reply/PlaceOrder', {}) : await gateway.get(order(1_000 + n))
  const rounds = Array.from({ length: 8 }, (_, round) => round)
  const answers: { stored: RawResponse[], others: RawResponse[] } = { stored: [], others: [] }
  for (const round of rounds) {
    const [reads, rest] = await Promise.all([Promise.all(Array.from({ length: 20 }, (_, n) => run(round + n))), Promise.all(Array.from({ length: 4 }, (_, n) => others(n)))])
    answers.stored.push(...reads)
    answers.others.push(...rest)
  }
  return answers
}

describe('stored answers stand in', { timeout: 300_000 }, () => {
  test('for an origin that was killed: no error for what is stored, whatever else is asked', async () => {
    await using origin = await startOrigin(answering(lasting))
    await using gateway = await startWith(origin)
    const paths = Array.from({ length: 10 }, (_, id) => order(id))
    for (const path of paths) assert.equal((await gateway.get(path)).status, 200)
    await origin.server.kill()
    const { stored, others } = await mixed(gateway, paths)
    assert.equal(stored.filter(({ status }) => status !== 200).length, 0)
    assert.ok(stored.every(answer => detailOf(answer) === 'stale-if-error' && Number(answer.header('age')) >= 0))
    assert.ok(others.every(({ status }) => status >= 502))
    await gateway.metricBecomes('postern_cache_requests_total', stored.length, { result: 'stale' })
  })

  test('for one that answers 500, hangs beyond the deadline, or whose bulkhead is full', async () => {
    await using origin = await startOrigin(answering(lasting))
    await using gateway = await startWith(origin, { bulkhead: { maxConcurrent: 1, maxQueue: 0 }, policy: { deadlineMs: 4_000, queueTimeoutMs: 100, connectTimeoutMs: 4_000 } })
    assert.equal((await gateway.get(order(1))).status, 200)
    origin.behave(ok('broken', { status: 500, reason: 'InternalServerError' }))
    assert.equal(detailOf(await gateway.get(order(1))), 'stale-if-error')
    origin.behave(hang())
    assert.equal(detailOf(await gateway.get(order(1))), 'stale-if-error')
    // The fill that hung ends by a deadline of its own.
    await until('the slot is free', async () => await gateway.metric('postern_bulkhead_in_flight', { upstream: 'Shop' }) === 0)
    using holder = await gateway.connect()
    holder.send(requestBytes(gateway.url.slice(7), order(2)))
    await until('the slot is taken', () => origin.received.some(({ target }) => target === order(2)))
    assert.equal(detailOf(await gateway.get(order(1))), 'stale-if-error')
  })

  test('not where the origin forbids it, nor for a client that wants none', async () => {
    await using origin = await startOrigin(answering('max-age=0, must-revalidate', [['ETag', '"1"']]))
    await using gateway = await startWith(origin)
    assert.equal((await gateway.get(order(1))).status, 200)
    await origin.server.kill()
    assert.ok((await gateway.get(order(1))).status >= 502)
  })

  test('for a service that left the registry altogether', async () => {
    await using origin = await startOrigin(answering(lasting))
    await using gateway = await startGateway({ registry: { embedded: { address: '127.0.0.1:0' } } })
    const agent = (path: string, body?: object) => fetch(`${gateway.embedded!}/v1/agent/service/${path}`, { method: 'PUT', ...body === undefined ? {} : { body: JSON.stringify(body) } })
    await agent('register', { ID: 'shop-1', Name: 'shop', Address: '127.0.0.1', Port: origin.port, Meta: { messages: 'GetOrder,GetOther' } })
    await gateway.waitForRoute('GetOrder')
    const paths = Array.from({ length: 10 }, (_, id) => order(id))
    for (const path of paths) await until('it is stored', async () => (await gateway.get(path)).status === 200)
    await origin.server.kill()
    await agent('deregister/shop-1')
    await until('the other message has gone', async () => (await gateway.get('/json/reply/GetOther')).status === 404)
    const { stored } = await mixed(gateway, paths)
    assert.equal(stored.filter(({ status }) => status !== 200).length, 0)
    assert.ok(stored.every(answer => detailOf(answer) === 'stale-if-error'))
    assert.equal((await gateway.get(order(77))).status, 503)
  })
})

describe('an answer that its service took back', { timeout: 300_000 }, () => {
  for (const [what, status, cacheControl] of [['private', 200, 'private'], ['no-store', 200, 'no-store'], ['gone', 410, 'no-cache'], ['not there', 404, 'no-store']] as const) {
    test(`${what}: is not given on while it is refreshed`, async () => {
      await using origin = await startOrigin(ok('v1', { headers: [['Cache-Control', 'max-age=0, stale-while-revalidate=3600, stale-if-error=3600']] }))
      await using gateway = await startWith(origin)
      assert.equal((await gateway.get(order(1))).text(), 'v1')
      origin.behave(ok('v2', { status, reason: 'Said So', headers: [['Cache-Control', cacheControl]] }))
      await until('the gateway has learnt of it', async () => (await gateway.get(order(1))).text() === 'v2')
      for (let n = 0; n < 5; n++) assert.equal((await gateway.get(order(1))).status, status)
      await origin.server.kill()
      assert.ok((await gateway.get(order(1))).status >= 502)
    })
  }

  test('by whoever asked, where answers are the same for everybody', async () => {
    await using origin = await startOrigin(ok('v1', { headers: [['Cache-Control', 'max-age=0, stale-while-revalidate=3600']] }))
    await using gateway = await startWith(origin, { policy: { cache: { identity: { mode: 'shared' } } } })
    const asked = async () => (await gateway.get(order(1), { headers: [['Authorization', 'Bearer a']] })).status
    assert.equal(await asked(), 200)
    origin.behave(ok('v2', { status: 410, reason: 'Gone', headers: [['Cache-Control', 'no-cache']] }))
    await until('the gateway has learnt of it', async () => await asked() === 410)
    for (let n = 0; n < 5; n++) assert.equal(await asked(), 410)
  })

  test('but not one that its service only failed to refresh', async () => {
    await using origin = await startOrigin(ok('v1', { headers: [['Cache-Control', 'max-age=0, stale-if-error=3600']] }))
    await using gateway = await startWith(origin)
    assert.equal((await gateway.get(order(1))).text(), 'v1')
    for (const status of [503, 429]) {
      origin.behave(ok('no', { status, reason: 'Said So' }))
      await gateway.get(order(1))
    }
    // Nor where somebody is given a cookie of his own with the new one.
    origin.behave(ok('v2', { headers: [['Set-Cookie', 'a=b'], ['Cache-Control', 'max-age=60']] }))
    assert.equal((await gateway.get(order(1))).text(), 'v2')
    await origin.server.kill()
    assert.equal((await gateway.get(order(1))).text(), 'v1')
  })
})

describe('what one caller is told of his own request', { timeout: 300_000 }, () => {
  // A firewall's; a Referer that is too long; a method, a condition, a coding that is not liked.
  const refusals = [400, 401, 402, 403, 405, 406, 407, 408, 412, 415, 417, 421, 422, 425, 428, 431, 511]
  // Firewalls say how their own pages are to be cached, and mean those.
  for (const said of [undefined, 'no-store', 'private, max-age=60', 'max-age=0, must-revalidate']) {
    for (const cacheControl of ['max-age=0, stale-if-error=3600', 'max-age=60']) {
      test(`a refusal (${said ?? 'nothing said'}) takes nothing from the others: ${cacheControl}`, async () => {
        let refusal = 200
        const refused: HeaderList = said === undefined ? [] : [['Cache-Control', said]]
        await using origin = await startOrigin(async request => await ok('v1', refusal === 200 ? { headers: [['Cache-Control', cacheControl], ['ETag', '"1"']] } : { status: refusal, reason: 'Refused', headers: refused })(request))
        await using gateway = await startWith(origin, { policy: { cache: { stale: { ifErrorMs: 3_600_000 } } } })
        for (const status of refusals) {
          refusal = 200
          assert.equal((await gateway.get(order(status))).text(), 'v1')
          refusal = status
          assert.equal((await gateway.get(order(status), { headers: [['User-Agent', 'sqlmap/1'], ['Cache-Control', 'no-cache']] })).status, status)
        }
        await origin.server.kill()
        for (const status of refusals) assert.equal((await gateway.get(order(status))).text(), 'v1', String(status))
      })
    }
  }

  for (const [status, said] of [[200, 'private'], [200, 'no-store'], [200, undefined], [404, 'no-store'], [410, 'private'], [301, undefined]] as const) {
    test(`who is logged in gets ${status} (${said ?? 'nothing said'}): the others keep theirs`, async () => {
      await using origin = await startOrigin(async request => await (request.header('authorization') === undefined
        ? ok('for all', { headers: [['Cache-Control', 'public, max-age=0, stale-if-error=3600'], ['ETag', '"1"']] })
        : ok('for ann', { status, reason: 'Said So', headers: said === undefined ? [] : [['Cache-Control', said]] }))(request))
      await using gateway = await startWith(origin)
      assert.equal((await gateway.get(order(1))).text(), 'for all')
      const ann: HeaderList = [['Authorization', 'Bearer ann']]
      assert.equal((await gateway.get(order(1), { headers: ann })).text(), 'for ann')
      // By HEAD it is the same.
      assert.equal((await gateway.request('/shop/1')).text(), 'for all')
      assert.equal((await gateway.request('/shop/1', { method: 'HEAD', headers: ann })).status, status)
      await origin.server.kill()
      assert.equal((await gateway.get(order(1))).text(), 'for all')
      assert.equal((await gateway.get('/shop/1')).text(), 'for all')
    })
  }

  test('his 304 without the word that it is for all is no word on what the others have', async () => {
    let said = 'public, max-age=0, stale-if-error=3600'
    await using origin = await startOrigin(async request => {
      const lines: HeaderList = [['ETag', '"1"'], ['Cache-Control', said]]
      if (request.header('if-none-match') === undefined) await ok('for all', { headers: lines })(request)
      else await write(request.socket, head(304, 'Not Modified', lines))
    })
    await using gateway = await startWith(origin)
    assert.equal((await gateway.get(order(1))).text(), 'for all')
    said = 'max-age=60'
    assert.equal((await gateway.get(order(1), { headers: [['Authorization', 'Bearer ann']] })).status, 200)
    await origin.server.kill()
    assert.equal((await gateway.get(order(1))).text(), 'for all')
  })
})

describe('revalidation', { timeout: 300_000 }, () => {
  test('a 304 makes the stored answer good again, and its headers current', async () => {
    let conditional = 0
    await using origin = await startOrigin(async request => {
      const known = request.header('if-none-match') === '"1"'
      if (known) conditional++
      await write(request.socket, known
        ? head(304, 'Not Modified', [['ETag', '"1"'], ['Cache-Control', 'max-age=60'], ['X-Round', '2']])
        : head(200, 'OK', [['ETag', '"1"'], ['Cache-Control', 'max-age=0'], ['X-Round', '1'], ['Content-Length', '4']]) + 'body')
    })
    await using gateway = await startWith(origin)
    assert.equal((await gateway.get(order(1))).text(), 'body')
    const again = await gateway.get(order(1))
    assert.equal(again.status, 200, 'a client that sent no validator never sees a 304')
    assert.equal(again.text(), 'body')
    assert.equal(again.header('x-round'), '2')
    assert.match(again.header('cache-status')!, /fwd=stale; fwd-status=304; stored/)
    assert.equal(detailOf(await gateway.get(order(1))), undefined)
    assert.equal(conditional, 1)
    const own = await gateway.get(order(1), { headers: [['If-None-Match', '"1"']] })
    assert.equal(own.status, 304)
    assert.equal(origin.received.length, 2)
  })

  test('a 304 that nobody asked for is no answer, to a client that has nothing', async () => {
    await using origin = await startOrigin(async request => { await write(request.socket, head(304, 'Not Modified', [['ETag', '"1"']])) })
    await using gateway = await startWith(origin)
    const range: HeaderList = [['Range', 'bytes=0-1']]
    for (const [method, headers] of [['GET', []], ['GET', []], ['HEAD', []], ['GET', range], ['GET', [...range, ['If-Range', '"1"']]]] as Array<[string, HeaderList]>) {
      const answer = await gateway.request(order(1), { method, headers })
      assert.deepEqual([answer.status, answer.reason], [502, 'BadAnswer'])
    }
    // Nor to a write, nor to what no cache keeps; `OPTIONS` of a message is answered here.
    assert.equal((await gateway.post(order(1), {})).status, 502)
    assert.equal((await gateway.request('/shop/1', { method: 'OPTIONS' })).status, 502)
    // Past the cache as well; and whoever asks for it gets it.
    assert.equal((await gateway.get(order(1), { headers: [['If-Match', '"1"']] })).status, 502)
    assert.equal((await gateway.get(order(1), { headers: [['If-Match', '"1"'], ['If-None-Match', '"1"']] })).status, 304)
  })

  test('stale-while-revalidate: given at once, asked for once behind the client\'s back', async () => {
    let round = 0
    let release = () => {}
    await using origin = await startOrigin(async request => {
      const mine = ++round
      if (mine > 1) await new Promise<void>(resolve => { release = resolve })
      await write(request.socket, head(200, 'OK', [['Cache-Control', mine === 1 ? 'max-age=0, stale-while-revalidate=60' : 'max-age=60'], ['Content-Length', '1']]) + String(mine))
    })
    await using gateway = await startWith(origin)
    assert.equal((await gateway.get(order(1))).text(), '1')
    const stale = await Promise.all(Array.from({ length: 20 }, async () => await gateway.get(order(1))))
    assert.ok(stale.every(answer => answer.text() === '1' && detailOf(answer) === 'stale-while-revalidate'))
    await until('it is asked for', () => round === 2)
    release()
    await until('the new one is here', async () => (await gateway.get(order(1))).text() === '2')
    assert.equal(round, 2)
  })

  for (const [name, method, headers] of [['a HEAD', 'HEAD', []], ['a client that wants nothing stored', 'GET', [['Cache-Control', 'no-store']]]] as const) {
    test(`stale-while-revalidate: what ${name} gets stale is not lost by asking for it`, async () => {
      let round = 0
      await using origin = await startOrigin(async request => {
        const lines: HeaderList = [['ETag', '"1"'], ['Cache-Control', ++round === 1 ? 'max-age=0, stale-while-revalidate=600' : 'max-age=600']]
        await write(request.socket, request.header('if-none-match') === '"1"' ? head(304, 'Not Modified', lines) : head(200, 'OK', [...lines, ['Content-Length', '4']]) + 'body')
      })
      await using gateway = await startWith(origin)
      assert.equal((await gateway.get(order(1))).text(), 'body')
      assert.equal(detailOf(await gateway.request(order(1), { method, headers })), 'stale-while-revalidate')
      await until('it is fresh', async () => /^Postern; hit; ttl=[1-9]/.test((await gateway.get(order(1), { headers: [['Cache-Control', 'only-if-cached']] })).header('cache-status')!))
      assert.equal(origin.received.length, 2)
    })
  }

  test('losing everything at once asks in the background no faster than is allowed', async () => {
    let now = 0
    let most = 0
    await using origin = await startOrigin(async request => {
      most = Math.max(most, ++now)
      // As long as it takes for as many to come as may.
      for (let turn = 0; turn < 20; turn++) await nextTurn()
      now--
      await answering('max-age=0, stale-while-revalidate=600')(request)
    })
    await using gateway = await startGateway({
      upstreams: { Shop: { endpoints: [origin.url] } },
      messages: { GetOrder: { upstream: 'Shop' } },
      cache: { background: { concurrency: 2, perSecond: 20, queue: 30 } }
    })
    await gateway.waitForEndpoint(origin.url)
    for (let id = 0; id < 60; id++) await gateway.get(order(id))
    now = 0
    most = 0
    const before = origin.received.length
    const started = performance.now()
    await Promise.all(Array.from({ length: 60 }, async (_, id) => assert.equal((await gateway.get(order(id))).status, 200)))
    await until('all that were not dropped have been asked for', async () => await gateway.metric('postern_cache_fills') === 0)
    const asked = origin.received.length - before
    assert.ok(most <= 2, `${most} at once`)
    assert.ok(asked <= 1 + 20 * (performance.now() - started) / 1_000 + 1, `${asked} asked`)
  })
})
