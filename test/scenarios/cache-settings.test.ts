// What postern.yaml says of caching, per message, through a real listener: lifetimes of one's own, negative caching, keys, whose word counts; and what holds unsaid.
import { randomBytes } from 'node:crypto'
import { describe, mock, test, type TestContext } from 'node:test'
import assert from 'node:assert/strict'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import { request, requestBytes, targetOf, type RawResponse } from '../support/http-client.ts'
import { hang, startOrigin, type Behaviour, type Origin } from '../support/origin.ts'
import { head, write, type HeaderList } from '../support/raw-server.ts'
import { until } from '../support/until.ts'

interface Says { readonly status?: number, readonly headers?: HeaderList, readonly body?: string | Buffer }

/** Answers so, with a number of its own each time where no body is said. */
function numbers (says: Says = {}): Behaviour {
  let number = 0
  return async request => {
    await request.body()
    const body = says.body ?? String(++number)
    await write(request.socket, head(says.status ?? 200, 'Said So', [...says.headers ?? [], ['Content-Length', String(body.length)]]))
    if (request.method !== 'HEAD') await write(request.socket, body)
  }
}

interface Served extends AsyncDisposable { readonly gateway: TestGateway, readonly origin: Origin }

/** One service with the message GetOrder under this policy of caching, and ListOrders without a word; `/shop/*` is a prefix of it. */
async function serving (says: Says, cache: object, more: PartialConfig = {}): Promise<Served> {
  const stack = new AsyncDisposableStack()
  try {
    const origin = stack.use(await startOrigin(numbers(says)))
    const gateway = stack.use(await startGateway({
      upstreams: { Shop: { endpoints: [origin.url] } },
      messages: { GetOrder: { upstream: 'Shop', policy: { cache } }, ListOrders: { upstream: 'Shop' } },
      prefixes: { '/shop/*': { upstream: 'Shop' } },
      ...more
    } as PartialConfig))
    await gateway.waitForEndpoint(origin.url)
    const owned = stack.move()
    return { gateway, origin, [Symbol.asyncDispose]: async () => { await owned.disposeAsync() } }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

const order = '/json/reply/GetOrder?Id=1'
const list = '/json/reply/ListOrders'
const isHit = ({ header }: RawResponse) => /; hit;/.test(header('cache-status') ?? '')
/** Whether the second of two calls, the first of which is `first`, is answered from the store. */
async function isShared ({ gateway }: Served, path: string, first: HeaderList = [], second: HeaderList = first): Promise<boolean> {
  await gateway.get(path, { headers: first })
  return isHit(await gateway.get(path, { headers: second }))
}

const begin = Date.UTC(2026, 10, 27, 12)
function setClock (t: TestContext): { pass: (seconds: number) => void } {
  mock.timers.enable({ apis: ['Date'], now: begin })
  t.after(() => { mock.timers.reset() })
  return { pass: seconds => { mock.timers.setTime(Date.now() + seconds * 1_000) } }
}

describe('without a word in postern.yaml', { timeout: 300_000 }, () => {
  test('a GET is kept as the service says, where it says so', async t => {
    const clock = setClock(t)
    await using served = await serving({ headers: [['Cache-Control', 'max-age=60']] }, {})
    assert.ok(await isShared(served, list))
    clock.pass(60)
    assert.ok(!isHit(await served.gateway.get(list)))
    await using silent = await serving({}, {})
    assert.ok(!await isShared(silent, list))
  })

  test('an old Last-Modified is no lifetime on a message route; below a prefix it is, and where a message is told so', async t => {
    setClock(t)
    const headers: HeaderList = [['Last-Modified', 'Sun, 22 Nov 2026 12:00:00 GMT']]
    await using served = await serving({ headers }, { heuristic: 'always' })
    assert.ok(!await isShared(served, list))
    assert.ok(await isShared(served, '/shop/list'))
    assert.ok(await isShared(served, order))
  })

  test('what [CacheResponse] sends, max-age and Last-Modified, is kept for every kind of client: Accept says nothing where the path has the format', async t => {
    const clock = setClock(t)
    const headers: HeaderList = [['Vary', 'Accept'], ['Cache-Control', 'max-age=60'], ['Last-Modified', 'Fri, 27 Nov 2026 11:00:00 GMT']]
    await using served = await serving({ headers }, { normalizeAccept: false })
    const browser: HeaderList = [['Accept', 'text/html,*/*;q=0.8']]
    const client: HeaderList = [['Accept', 'application/json']]
    assert.ok(await isShared(served, list, browser, client))
    assert.ok(!await isShared(served, order, browser, client), 'switched off for this message')
    clock.pass(7)
    const answer = await served.gateway.get(list, { headers: client })
    assert.deepEqual([answer.header('age'), answer.header('last-modified'), answer.header('vary')], ['7', 'Fri, 27 Nov 2026 11:00:00 GMT', 'Accept'])
    assert.equal((await served.gateway.get(list, { headers: [['If-Modified-Since', 'Fri, 27 Nov 2026 11:00:00 GMT']] })).status, 304)
    assert.equal((await served.gateway.request(list, { method: 'HEAD' })).header('age'), '7', 'HEAD, which hosts answer with 405')
    assert.equal(served.origin.received.filter(({ method }) => method === 'HEAD').length, 0)
  })

  test('sessions, API keys and tokens pass by, and nothing is stored of their answers, unless the service says that it is for all', async () => {
    const identities: HeaderList = [['Cookie', 'ss-id=a'], ['Cookie', 'ss-opt=temp; ss-pid=a'], ['Cookie', 'ss-tok=a'], ['X-ss-id', 'a'], ['Authorization', 'Bearer a'], ['X-Api-Key', 'a'], ['Cookie', 'ASP.NET_SessionId=a']]
    await using own = await serving({ headers: [['Cache-Control', 'max-age=60']] }, {}, { edge: { sessionHeaders: 'allow' } })
    await using open = await serving({ headers: [['Cache-Control', 'max-age=60, public']] }, {}, { edge: { sessionHeaders: 'allow' } })
    for (const [at, identity] of identities.entries()) {
      assert.ok(!await isShared(own, `${list}?Id=${at}`, [identity]), `${identity.join(': ')}: passes by`)
      assert.ok(!isHit(await own.gateway.get(`${list}?Id=${at}`)), `${identity.join(': ')}: nothing is there for others`)
      assert.ok(await isShared(open, `${list}?Id=${at}`, [identity], []), `${identity.join(': ')}: public`)
    }
  })

  test('bodies are kept as the bytes they are, small ones and large', async () => {
    for (const bytes of [Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)), randomBytes(300_000)]) {
      await using served = await serving({ headers: [['Cache-Control', 'max-age=60']], body: bytes }, {})
      assert.deepEqual((await served.gateway.get(list)).body, bytes)
      const hit = await served.gateway.get(list)
      assert.ok(isHit(hit))
      assert.deepEqual(hit.body, bytes)
      const part = await served.gateway.get(list, { headers: [['Range', 'bytes=100-199']] })
      assert.deepEqual([part.status, part.header('content-range'), part.body], [206, `bytes 100-199/${bytes.length}`, bytes.subarray(100, 200)])
    }
  })
})

describe('what a message says', { timeout: 300_000 }, () => {
  test('off', async () => {
    await using served = await serving({ headers: [['Cache-Control', 'max-age=60']] }, { mode: 'off' })
    assert.ok(!await isShared(served, order))
    assert.ok(await isShared(served, list), 'another message')
  })

  test('lifetimes of its own: where the service says none; in its place only with override, and never of what it calls private or no-store', async t => {
    const clock = setClock(t)
    const lifetimes = { successMs: 30_000 }
    for (const [says, mode, seconds] of [
      [undefined, 'honour', 30], ['max-age=5', 'honour', 5], ['max-age=5', 'override', 30], ['max-age=600', 'override', 30], ['no-cache', 'override', 30], ['private, max-age=60', 'override', 0], ['no-store', 'override', 0], ['no-store', 'honour', 0]
    ] as const) {
      await using served = await serving({ headers: says === undefined ? [] : [['Cache-Control', says]] }, { mode, lifetimes })
      const what = `${says}, ${mode}`
      assert.equal(await isShared(served, order), seconds > 0, what)
      if (seconds === 0) continue
      clock.pass(seconds - 1)
      assert.ok(isHit(await served.gateway.get(order)), what)
      clock.pass(1)
      assert.ok(!isHit(await served.gateway.get(order)), what)
    }
  })

  test('negative caching: of the statuses it names, for so long; redirects apart', async t => {
    const clock = setClock(t)
    const lifetimes = { negativeMs: 5_000, redirectMs: 20_000 }
    for (const [status, cache, seconds] of [[404, { lifetimes }, 5], [410, { lifetimes }, 5], [403, { lifetimes }, 0], [403, { lifetimes, negativeStatuses: [403] }, 5], [404, { lifetimes, negativeStatuses: [403] }, 0], [302, { lifetimes }, 20], [500, { lifetimes }, 0], [404, {}, 0]] as const) {
      await using served = await serving({ status, headers: status === 302 ? [['Location', '/elsewhere']] : [] }, cache)
      const what = `${status} with ${JSON.stringify(cache)}`
      assert.equal(await isShared(served, order), seconds > 0, what)
      clock.pass(seconds)
      const after = await served.gateway.get(order)
      assert.deepEqual([after.status, isHit(after)], [status, false], what)
    }
  })

  test('further parts of the key: headers and cookies; and those that are none', async () => {
    const key = { headers: ['X-Client'], cookies: ['lang'], inertHeaders: ['X-Trace-*'], inertCookies: ['ab_*'] }
    await using served = await serving({ headers: [['Cache-Control', 'max-age=60']] }, { key })
    let id = 0
    const shared = async (first: HeaderList, second: HeaderList) => await isShared(served, `/json/reply/GetOrder?Id=${++id}`, first, second)
    assert.ok(await shared([['X-Client', 'app']], [['X-Client', 'app']]))
    assert.ok(!await shared([['X-Client', 'app']], [['X-Client', 'web']]))
    assert.ok(!await shared([['Cookie', 'lang=de']], [['Cookie', 'lang=en']]))
    assert.ok(await shared([['Cookie', 'lang=de; ab_test=1']], [['Cookie', 'ab_test=2; lang=de']]))
    assert.ok(await shared([['X-Trace-Own', '1']], [['X-Trace-Own', '2']]))
    assert.ok(!await shared([['X-Other', '1']], [['X-Other', '2']]))
  })

  test('answers by identity: each its own, or everybody the same', async () => {
    const [ann, bob]: [HeaderList, HeaderList] = [[['Authorization', 'Bearer ann']], [['Authorization', 'Bearer bob']]]
    for (const [mode, own, others] of [['pass', false, false], ['perIdentity', true, false], ['shared', true, true]] as const) {
      await using served = await serving({ headers: [['Cache-Control', 'max-age=60']] }, { identity: { mode } })
      assert.equal(await isShared(served, order, ann), own, mode)
      assert.equal(isHit(await served.gateway.get(order, { headers: bob })), others, mode)
    }
  })

  test('whose Cache-Control on requests counts', async () => {
    for (const [clientDirectives, heard] of [['everybody', true], ['trusted', false], ['nobody', false]] as const) {
      await using served = await serving({ headers: [['Cache-Control', 'max-age=60']] }, { clientDirectives })
      assert.equal(await isShared(served, order, [], [['Cache-Control', 'no-cache']]), !heard, clientDirectives)
      assert.equal((await served.gateway.get('/json/reply/GetOrder?Id=2', { headers: [['Cache-Control', 'only-if-cached']] })).status, heard ? 504 : 200, clientDirectives)
    }
  })
})

describe('what is not stored', { timeout: 300_000 }, () => {
  test('a cookie that comes with a 304: it is for the one who asked, and the answer is good again for all', async t => {
    const clock = setClock(t)
    for (const [setCookie, kept] of [['pass', false], ['strip', false], ['store', true]] as const) {
      await using served = await serving({}, { setCookie })
      const { gateway, origin } = served
      const lifetime: HeaderList = [['Cache-Control', 'max-age=60'], ['ETag', '"1"']]
      origin.behave(async request => {
        const isKnown = request.header('if-none-match') === '"1"'
        await write(request.socket, isKnown ? head(304, 'Not Modified', [...lifetime, ['Set-Cookie', 'visit=1']]) : head(200, 'OK', [...lifetime, ['Content-Length', '4']]) + 'body')
      })
      await gateway.get(order)
      clock.pass(60)
      const asked = await gateway.get(order)
      assert.deepEqual([asked.status, asked.text(), asked.header('set-cookie')], [200, 'body', 'visit=1'], setCookie)
      const other = await gateway.get(order)
      assert.deepEqual([other.text(), isHit(other), other.header('set-cookie')], ['body', true, kept ? 'visit=1' : undefined], setCookie)
      assert.equal(origin.received.length, 2, setCookie)
    }
  })

  test('is not waited for again for a while: the next ones go on side by side (hit-for-miss)', async () => {
    await using served = await serving({ headers: [['Cache-Control', 'no-store']] }, {})
    const { gateway, origin } = served
    assert.equal((await gateway.get(order)).status, 200)
    origin.behave(hang())
    using one = await gateway.connect()
    using two = await gateway.connect()
    for (const each of [one, two]) each.send(requestBytes(gateway.url.slice(7), order))
    await until('both ask', () => origin.received.length === 3)
  })

  test('is waited for where that is told so', async () => {
    await using served = await serving({ headers: [['Cache-Control', 'no-store']] }, { hitForMissMs: 0 })
    const { gateway, origin } = served
    assert.equal((await gateway.get(order)).status, 200)
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    const answered = numbers({ headers: [['Cache-Control', 'max-age=60']] })
    origin.behave(async request => {
      await released
      await answered(request)
    })
    const one = gateway.get(order)
    await until('the first asks', () => origin.received.length === 2)
    const two = gateway.get(order)
    await until('the second waits', async () => await gateway.metric('postern_in_flight', { upstream: 'Shop' }) === 2)
    release()
    assert.deepEqual([(await one).text(), (await two).text()], ['1', '1'])
    assert.equal(origin.received.length, 2)
  })

  test('a body beyond cache.maxEntryBytes is streamed all the same; one within it reaches client and store at once', async () => {
    const piece = Buffer.alloc(4_096, 'a')
    const inPieces = (count: number, more: Promise<void>): Behaviour => async request => {
      await write(request.socket, head(200, 'OK', [['Cache-Control', 'max-age=60'], ['Content-Length', String(piece.length * count)]]))
      await write(request.socket, piece)
      await more
      for (let n = 1; n < count; n++) await write(request.socket, piece)
    }
    await using served = await serving({}, {}, { cache: { maxEntryBytes: 32_768 } })
    const { gateway, origin } = served
    for (const [path, count, kept] of [['/json/reply/GetOrder?Id=4', 4, true], ['/json/reply/GetOrder?Id=16', 16, false]] as const) {
      const { promise, resolve: more } = Promise.withResolvers<void>()
      origin.behave(inPieces(count, promise))
      using client = await gateway.connect()
      client.send(requestBytes(gateway.url.slice(7), path))
      await client.head()
      let got = (await client.reader.some(piece.length))!.length
      assert.ok(got > 0, 'the first bytes are here while the service still writes')
      more()
      while (got < piece.length * count) got += (await client.reader.some(piece.length * count - got))!.length
      if (kept) await until('it is stored', async () => await gateway.metric('postern_cache_entries') === 1)
      origin.behave(numbers())
      const answer = await gateway.get(path)
      assert.equal(isHit(answer), kept, path)
      assert.equal(answer.body.length === piece.length * count, kept, path)
    }
  })
})

describe('a reload', { timeout: 300_000 }, () => {
  const configOf = (origin: Origin, cache: object): PartialConfig => ({ upstreams: { Shop: { endpoints: [origin.url] } }, messages: { GetOrder: { upstream: 'Shop', policy: { cache } }, ListOrders: { upstream: 'Shop' } } }) as PartialConfig
  const ann: HeaderList = [['Authorization', 'Bearer ann']]

  test('nothing is given out that was stored under a policy by which it is somebody else\'s', async () => {
    await using origin = await startOrigin(numbers({ headers: [['Cache-Control', 'max-age=60']] }))
    const configFor = (cache: object): PartialConfig => configOf(origin, cache)
    await using gateway = await startGateway(configFor({ identity: { mode: 'shared' } }))
    await gateway.waitForEndpoint(origin.url)
    const anns = (await gateway.get(order, { headers: ann })).text()
    const all = (await gateway.get(list)).text()
    assert.equal((await gateway.get(order)).text(), anns)
    await gateway.reload(configFor({ identity: { mode: 'pass' } }))
    await until('the policy is in force', async () => (await gateway.get(order, { headers: ann })).text() !== anns)
    const everybodys = (await gateway.get(order)).text()
    assert.notEqual(everybodys, anns)
    assert.equal((await gateway.get(order)).text(), everybodys)
    // Of another message, and of what is only asked in another way, everything stays.
    await gateway.reload(configFor({ collapseWaitMs: 1_000, hitForMissMs: 0 }))
    assert.deepEqual([(await gateway.get(order)).text(), (await gateway.get(list)).text()], [everybodys, all])
  })

  test('how long an answer holds, and what clients are told of it, is by the settings in force, not by those it was stored under', async t => {
    const clock = setClock(t)
    await using origin = await startOrigin(numbers({ headers: [['Cache-Control', 'max-age=60']] }))
    const configFor = (cache: object): PartialConfig => configOf(origin, cache)
    await using gateway = await startGateway(configFor({}))
    await gateway.waitForEndpoint(origin.url)
    const other = '/json/reply/GetOrder?Id=2'
    const purged = '/json/reply/GetOrder?Id=3'
    const [stored, others] = [(await gateway.get(order)).text(), (await gateway.get(other)).text()]
    await gateway.get(purged)
    const status = (await request(targetOf(gateway.admin), '/api/cache/purge', { method: 'POST', headers: [['Content-Type', 'application/json']], body: JSON.stringify({ url: purged, soft: true }) })).status
    assert.equal(status, 200)
    const asked = origin.received.length
    clock.pass(30)
    for (const [cache, ttl, said] of [
      [{ stale: { ifErrorMs: 3_600_000 } }, 30, 'max-age=60'],
      [{ stale: { ifErrorMs: 3_600_000 }, guard: { maxStoredMs: 40_000 } }, 10, 'max-age=60'],
      [{ stale: { ifErrorMs: 3_600_000 }, guard: { clientMs: 5_000 } }, 30, 'max-age=35'],
      [{ stale: { ifErrorMs: 3_600_000 }, mode: 'override', lifetimes: { successMs: 3_600_000 } }, 3_570, 'max-age=60'],
      [{ stale: { ifErrorMs: 3_600_000 } }, 30, 'max-age=60']
    ] as const) {
      await gateway.reload(configFor(cache))
      const answer = await gateway.get(order)
      assert.deepEqual([answer.text(), answer.header('cache-status'), answer.header('cache-control')], [stored, `Postern; hit; ttl=${ttl}`, said], JSON.stringify(cache))
    }
    assert.equal(origin.received.length, asked, 'nothing was asked anew')
    await origin.server.kill()
    clock.pass(3_000)
    for (const [path, body] of [[order, stored], [other, others]] as const) {
      const answer = await gateway.get(path)
      assert.deepEqual([answer.status, answer.text()], [200, body], `${path}: it may stand in now`)
      assert.match(answer.header('cache-status')!, /ttl=-2970; detail=stale-if-error$/)
    }
    await gateway.reload(configFor({ mode: 'override', lifetimes: { successMs: 7_200_000 } }))
    assert.match((await gateway.get(other)).header('cache-status')!, /ttl=4170$/)
    assert.ok((await gateway.get(purged)).status >= 502, 'a purge holds on')
    await gateway.reload(configFor({ lifetimes: { successMs: 7_200_000 } }))
    assert.ok((await gateway.get(order)).status >= 502)
  })
})
