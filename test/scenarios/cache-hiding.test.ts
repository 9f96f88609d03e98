// Hiding the origin: no client's miss reaches it; popular answers are asked for ahead of their end, and again after a purge.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import { request, targetOf } from '../support/http-client.ts'
import { head, write } from '../support/raw-server.ts'
import { startOrigin, type Origin } from '../support/origin.ts'
import { until } from '../support/until.ts'

const path = '/json/reply/GetOrder?Id=1'

/** Answers with a new number each time. */
async function startNumbers (cacheControl: string): Promise<Origin> {
  let number = 0
  return await startOrigin(async request => {
    await request.body()
    const body = String(++number)
    await write(request.socket, head(200, 'OK', [['Cache-Control', cacheControl], ['Content-Length', String(body.length)]]) + body)
  })
}

async function startWith (origin: Origin, cache: object): Promise<TestGateway> {
  const gateway = await startGateway({ upstreams: { Shop: { endpoints: [origin.url] } }, messages: { GetOrder: { upstream: 'Shop', policy: { cache: cache as never } } } })
  await gateway.waitForEndpoint(origin.url)
  return gateway
}

describe('a hidden origin', { timeout: 300_000 }, () => {
  for (const [hideOrigin, status, code] of [['busy', 503, 'AnswerNotReady'], ['accepted', 202, 'AnswerOrdered']] as const) {
    test(`${hideOrigin}: ${status} with Retry-After, asked for once in the background`, async () => {
      await using origin = await startNumbers('max-age=60')
      await using gateway = await startWith(origin, { hideOrigin })
      const first = await Promise.all(Array.from({ length: 20 }, async () => await gateway.get(path)))
      const refused = first.filter(answer => answer.status === status)
      assert.ok(refused.length > 0)
      for (const answer of refused) {
        assert.equal(answer.reason, code)
        assert.equal(answer.header('retry-after'), '1')
        assert.match(answer.header('cache-status')!, /detail=not-filled$/)
      }
      await until('it is filled', async () => (await gateway.get(path)).status === 200)
      assert.equal(origin.received.length, 1)
    })
  }

  for (const [name, options] of [
    ['If-Match', { headers: [['If-Match', '"x"']] }],
    ['If-Unmodified-Since', { headers: [['If-Unmodified-Since', 'Fri, 27 Nov 2026 11:00:00 GMT']] }],
    ['a body', { body: '{}', headers: [['Content-Type', 'application/json']] }]
  ] as const) {
    test(`is not reached by a GET with ${name} either; a write goes through`, async () => {
      await using origin = await startNumbers('max-age=60')
      await using gateway = await startWith(origin, { hideOrigin: 'busy' })
      const refused = await gateway.request(path, { method: 'GET', ...options })
      assert.deepEqual([refused.status, refused.reason], [503, 'AnswerNotStorable'])
      assert.match(refused.header('cache-status')!, /fwd=bypass; detail=not-filled$/)
      assert.equal(origin.received.length, 0)
      assert.equal((await gateway.post('/json/reply/GetOrder', {}, { headers: [['If-Match', '"x"']] })).status, 200)
      assert.equal(origin.received.length, 1)
    })
  }

  for (const [name, cacheControl, headers] of [
    ['for nobody', 'private, max-age=60', []],
    ['not for who carries an identity', 'max-age=60', [['Authorization', 'Bearer x']]],
    ['not for who carries one in a cookie', 'max-age=60', [['Cookie', 'ss-id=x']]]
  ] as const) {
    test(`is not asked again and again for what may be stored ${name}, and says so`, async () => {
      await using origin = await startNumbers(cacheControl)
      await using gateway = await startWith(origin, { hideOrigin: 'accepted', hitForMissMs: 3_600_000 })
      assert.equal((await gateway.get(path, { headers })).status, 202)
      const refused = await until('that it may not be stored is known', async () => {
        const answer = await gateway.get(path, { headers })
        return answer.status === 503 && answer
      })
      assert.deepEqual([refused.reason, refused.header('retry-after')], ['AnswerNotStorable', '3600'])
      for (let n = 0; n < 5; n++) assert.equal((await gateway.get(path, { headers })).reason, 'AnswerNotStorable')
      assert.equal(origin.received.length, 1)
    })
  }

  test('answers who carries an identity where each has answers of his own, or the service says that they are for all', async () => {
    for (const [cacheControl, mode] of [['max-age=60', 'perIdentity'], ['public, max-age=60', 'pass']] as const) {
      await using origin = await startNumbers(cacheControl)
      await using gateway = await startWith(origin, { hideOrigin: 'busy', identity: { mode } })
      await until('it is filled', async () => (await gateway.get(path, { headers: [['Authorization', 'Bearer x']] })).status === 200)
      assert.equal(origin.received.length, 1)
    }
  })

  for (const [name, method, headers] of [['a HEAD', 'HEAD', []], ['a client that wants nothing stored', 'GET', [['Cache-Control', 'no-store']]]] as const) {
    test(`is asked for the whole answer, also for ${name}`, async () => {
      await using origin = await startNumbers('max-age=60')
      await using gateway = await startWith(origin, { hideOrigin: 'busy' })
      assert.equal((await gateway.request(path, { method, headers })).status, 503)
      await until('it is filled', async () => await gateway.metric('postern_cache_entries') === 1)
      assert.equal((await gateway.get(path)).text(), '1')
      assert.equal(origin.received.length, 1)
    })
  }

  test('the whole cache is lost under load: never more requests at one time, nor in a second, than it allows', async () => {
    const background = { concurrency: 3, perSecond: 40 }
    const count = 80
    const paths = Array.from({ length: count }, (_, id) => `/json/reply/GetOrder?Id=${id}`)
    let running = 0
    let most = 0
    await using origin = await startOrigin(async request => {
      most = Math.max(most, ++running)
      // As long as it takes for as many to come as may.
      for (let turn = 0; turn < 20; turn++) await nextTurn()
      running--
      await write(request.socket, head(200, 'OK', [['Cache-Control', 'max-age=60'], ['Content-Length', '2']]) + '{}')
    })
    const configOf = (hideOrigin: string): PartialConfig => ({
      upstreams: { Shop: { endpoints: [origin.url] } },
      messages: { GetOrder: { upstream: 'Shop', policy: { cache: { hideOrigin, refillAfterPurge: true, refreshAhead: { minHits: 1 } } } } },
      cache: { background }
    }) as PartialConfig
    await using gateway = await startGateway(configOf('no'))
    await gateway.waitForEndpoint(origin.url)
    for (const path of [...paths, ...paths]) assert.equal((await gateway.get(path)).status, 200)
    await gateway.reload(configOf('busy'))
    const asked = origin.received.length
    most = 0
    let over = false
    const load = Array.from({ length: 4 }, async (_, caller) => {
      for (let n = caller; !over; n += 7) assert.match(String((await gateway.get(paths[n % count]!)).status), /^(?:200|503)$/)
    })
    try {
      const purgedAtMs = performance.now()
      assert.equal((await gateway.tell('/api/cache/purge', { all: true })).json().purged, count)
      await until('everything is here again', async () => {
        const begun = origin.received.length - asked
        const atMost = 1 + (performance.now() - purgedAtMs) / 1_000 * background.perSecond
        assert.ok(begun <= atMost, `${begun} requests, where ${atMost} could have been`)
        assert.ok(most <= background.concurrency, `${most} at one time`)
        return await gateway.metric('postern_cache_entries') === count
      })
    } finally {
      over = true
      await Promise.all(load)
    }
    assert.equal(origin.received.length - asked, count, 'each of them once')
    for (const path of paths) assert.equal((await gateway.get(path)).status, 200)
  })

  test('is not reached by a prefix that leads to its message either, whatever the prefix is told of caching', async () => {
    await using origin = await startNumbers('max-age=60')
    const prefix = { upstream: 'Shop', rewrite: '/json/reply/' }
    await using gateway = await startGateway({
      upstreams: { Shop: { endpoints: [origin.url] } },
      messages: { GetOrder: { upstream: 'Shop', policy: { cache: { hideOrigin: 'busy' } } }, GetPrice: { upstream: 'Shop' } },
      prefixes: { '/a/*': prefix, '/b/*': { ...prefix, policy: { cache: { mode: 'off' } } } }
    } as PartialConfig)
    await gateway.waitForEndpoint(origin.url)
    assert.equal((await gateway.get('/a/GetPrice')).text(), '1', 'what is not hidden is reached')
    const refused = await gateway.get('/a/GetOrder?Id=1')
    assert.deepEqual([refused.status, refused.reason], [503, 'AnswerNotReady'])
    const answers: string[] = []
    await until('it is filled', async () => answers.push((await gateway.get('/a/GetOrder?Id=1')).text()) > 0 && answers.at(-1) === '2')
    const off = await gateway.get('/b/GetOrder?Id=1')
    assert.deepEqual([off.status, off.reason], [503, 'AnswerNotStorable'])
    assert.equal(origin.received.length, 2)
  })

  test('stands behind a stale answer too', async () => {
    await using origin = await startNumbers('max-age=0, stale-if-error=60')
    await using gateway = await startWith(origin, { hideOrigin: 'busy' })
    await until('it is filled', async () => (await gateway.get(path)).status === 200)
    assert.match((await gateway.get(path)).header('cache-status')!, /^Postern; hit; ttl=-?\d+; detail=stale-if-error$/)
  })
})

describe('ahead of time', { timeout: 300_000 }, () => {
  test('a popular answer is asked for before it ends, one that nobody wants is not', async () => {
    await using origin = await startNumbers('max-age=20')
    await using gateway = await startWith(origin, { refreshAhead: { percent: 90, minHits: 3 } })
    assert.equal((await gateway.get(path)).text(), '1')
    assert.equal((await gateway.get('/json/reply/GetOrder?Id=2')).text(), '2')
    await until('the next one is here', async () => {
      const answer = await gateway.get(path)
      assert.match(answer.header('cache-status')!, /^Postern; hit; ttl=\d+$/)
      return answer.text() === '3'
    })
    assert.equal(origin.received.length, 3)
  })

  test('what is purged although it is popular is asked for again at once', async () => {
    await using origin = await startNumbers('max-age=60')
    await using gateway = await startWith(origin, { refillAfterPurge: true, refreshAhead: { minHits: 2 } })
    for (let n = 0; n < 3; n++) assert.equal((await gateway.get(path)).text(), '1')
    assert.equal((await gateway.get('/json/reply/GetOrder?Id=2')).text(), '2')
    const purged = await gateway.tell('/api/cache/purge', { all: true })
    assert.equal(purged.json().purged, 2)
    await until('it is asked for', () => origin.received.length === 3)
    await until('it is here', async () => await gateway.metric('postern_cache_entries') === 1)
    const answer = await gateway.get(path)
    assert.equal(answer.text(), '3')
    assert.match(answer.header('cache-status')!, /hit/)
  })

  test('what is made stale although it is popular is asked for by its validator, and good again', async () => {
    const conditions: Array<string | undefined> = []
    await using origin = await startOrigin(async request => {
      const known = request.header('if-none-match')
      conditions.push(known)
      await write(request.socket, known === '"1"'
        ? head(304, 'Not Modified', [['ETag', '"1"'], ['Cache-Control', 'max-age=60']])
        : head(200, 'OK', [['ETag', '"1"'], ['Cache-Control', 'max-age=60'], ['Content-Length', '4']]) + 'body')
    })
    await using gateway = await startWith(origin, { refillAfterPurge: true, refreshAhead: { minHits: 2 } })
    for (let n = 0; n < 3; n++) assert.equal((await gateway.get(path)).text(), 'body')
    const purged = await gateway.tell('/api/cache/purge', { all: true, soft: true })
    assert.equal(purged.json().purged, 1)
    await until('it is asked for', () => conditions.length === 2)
    await until('it is fresh', async () => {
      const { entries } = (await request(targetOf(gateway.admin), '/api/cache/entries?message=GetOrder')).json()
      return entries.length === 1 && entries[0].ttlS > 0
    })
    assert.deepEqual(conditions, [undefined, '"1"'])
  })
})
