// What leaves the cache: by an operator's word, and by a write, so that nobody reads his own write stale.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { runCommand } from '../../src/command/cli.ts'
import { startFleet } from '../support/fleet.ts'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import { request, requestBytes, targetOf } from '../support/http-client.ts'
import { head, write, type HeaderList } from '../support/raw-server.ts'
import { cutHead, hang, ok, reset, stall, startOrigin, type Behaviour, type Origin } from '../support/origin.ts'
import { until } from '../support/until.ts'

/** Answers every GET with a new number, to be kept for a minute; writes with what `writes` says. */
async function startNumbers (writes: { headers?: HeaderList, body?: string, behaviour?: Behaviour } = {}): Promise<Origin> {
  let number = 0
  return await startOrigin(async request => {
    const reading = request.method === 'GET'
    if (!reading && writes.behaviour !== undefined) return await writes.behaviour(request)
    await request.body()
    const body = reading ? String(++number) : writes.body ?? '{}'
    const headers: HeaderList = reading ? [['Cache-Control', 'max-age=60'], ['Cache-Tag', `all, ${request.target}`]] : writes.headers ?? []
    await write(request.socket, head(200, 'OK', [...headers, ['Content-Type', 'application/json'], ['Content-Length', String(body.length)]]) + body)
  })
}

async function startWith (origin: Origin, invalidates: object[] = [], policy: object = {}): Promise<TestGateway> {
  const gateway = await startGateway({
    upstreams: { Shop: { endpoints: [origin.url] } },
    messages: { GetOrder: { upstream: 'Shop' }, ListOrders: { upstream: 'Shop' }, PlaceOrder: { upstream: 'Shop', policy: { ...policy, cache: { invalidates } as never } } }
  })
  await gateway.waitForEndpoint(origin.url)
  return gateway
}
const get = async (gateway: TestGateway, path: string) => (await gateway.get(path)).text()
const purge = async (gateway: TestGateway, body: object) =>
  (await gateway.tell('/api/cache/purge', body)).json().purged as number
const order = (id: number | string) => `/json/reply/GetOrder?Id=${id}`

describe('an operator purges', { timeout: 900_000 }, () => {
  const cases: Array<{ name: string, body: object, purged: number, gone: number[] }> = [
    { name: 'by URL, in any letter case', body: { url: 'http://shop.test/JSON/reply/getorder?id=1' }, purged: 1, gone: [1] },
    { name: 'by tag', body: { tag: order(2) }, purged: 1, gone: [2] },
    { name: 'by a tag of all', body: { tag: 'all' }, purged: 3, gone: [1, 2, 3] },
    { name: 'by message', body: { message: 'getorder' }, purged: 3, gone: [1, 2, 3] },
    { name: 'by service', body: { service: 'shop' }, purged: 3, gone: [1, 2, 3] },
    { name: 'everything', body: { all: true }, purged: 3, gone: [1, 2, 3] },
    { name: 'what is not there', body: { tag: 'nothing' }, purged: 0, gone: [] }
  ]
  for (const { name, body, purged, gone } of cases) {
    test(name, async () => {
      await using origin = await startNumbers()
      await using gateway = await startWith(origin)
      const before = [await get(gateway, order(1)), await get(gateway, order(2)), await get(gateway, order(3))]
      assert.deepEqual([await get(gateway, order(1)), await get(gateway, order(2)), await get(gateway, order(3))], before)
      assert.equal(await purge(gateway, body), purged)
      for (const id of [1, 2, 3]) assert.equal(await get(gateway, order(id)) !== before[id - 1], gone.includes(id), `order ${id}`)
      assert.equal((await gateway.get(order(1))).header('cache-tag'), undefined, 'tags end here')
      // Softly: as many are stale from now on, and all of them stay until the service has been asked.
      const current = [await get(gateway, order(1)), await get(gateway, order(2)), await get(gateway, order(3))]
      assert.equal(await purge(gateway, { ...body, soft: true }), purged)
      const { entries } = (await request(targetOf(gateway.admin), '/api/cache/entries')).json() as { entries: Array<{ ttlS: number }> }
      assert.deepEqual([entries.length, entries.filter(({ ttlS }) => ttlS <= 0).length], [3, purged])
      for (const id of [1, 2, 3]) assert.equal(await get(gateway, order(id)) !== current[id - 1], gone.includes(id), `order ${id}`)
    })
  }

  test('by URL as a client writes it: without regard to keys that are ignored, escapes, trailing slashes and prefixes that are rewritten', async () => {
    await using origin = await startNumbers()
    await using gateway = await startGateway({
      upstreams: { Shop: { endpoints: [origin.url] } },
      messages: { GetOrder: { upstream: 'Shop', policy: { cache: { key: { ignoreQuery: ['utm_*'] } } } } },
      prefixes: { '/shop/*': { upstream: 'Shop', rewrite: '/internal', policy: { cache: { key: { ignoreQuery: ['utm_*'] } } } } }
    } as PartialConfig)
    await gateway.waitForEndpoint(origin.url)
    for (const [asked, named] of [
      [order(1), `${order(1)}&utm_source=a`],
      [`${order(1)}&utm_source=a`, order(1)],
      [`${order(1)}&utm_source=a`, `${order(1)}&utm_source=b`],
      ['/json/reply/GetOrder/?Id=1', '/json/reply/GetOrde%72?Id=1'],
      ['/api/GetOrder?Id=1', '/api/getorder?utm_source=a&Id=1'],
      ['/shop/thing?id=1', 'https://shop.test/shop/thing?id=1&utm_source=a'],
      ['/shop/thing?id=1', '/internal/thing?id=1']
    ] as const) {
      const before = await get(gateway, asked)
      assert.equal(await get(gateway, asked), before)
      const listed = (await request(targetOf(gateway.admin), `/api/cache/entries?url=${encodeURIComponent(named)}`)).json().entries
      assert.equal(listed.length, 1, `${named} shows ${asked}`)
      assert.equal(await purge(gateway, { url: named }), 1, `${named} means ${asked}`)
      assert.notEqual(await get(gateway, asked), before)
      assert.equal(await purge(gateway, { url: named, soft: true }), 1, `${named} means ${asked}`)
      await purge(gateway, { all: true })
    }
  })

  test('softly: stale from now on, and still there when the service is not', async () => {
    let fails = false
    await using origin = await startOrigin(async request => {
      const body = fails ? 'broken' : 'fine'
      await write(request.socket, head(fails ? 500 : 200, 'X', [['Cache-Control', fails ? 'no-store' : 'max-age=60, stale-if-error=60'], ['Content-Length', String(body.length)]]) + body)
    })
    await using gateway = await startWith(origin)
    assert.equal(await get(gateway, order(1)), 'fine')
    fails = true
    assert.equal(await purge(gateway, { all: true, soft: true }), 1)
    const answer = await gateway.get(order(1))
    assert.equal(answer.text(), 'fine')
    assert.match(answer.header('cache-status')!, /^Postern; hit; ttl=-?\d+; detail=stale-if-error$/)
    assert.equal(origin.received.length, 2)
  })

  for (const [what, body] of [['"soft" in quotes', { all: true, soft: 'true' }], ['a misspelt word', { all: true, softt: true }], ['two at once', { all: true, tag: 'all' }], ['nothing', {}], ['a list', [{ all: true }]]] as const) {
    test(`and is told that ${what} is not understood: nothing goes`, async () => {
      await using origin = await startNumbers()
      await using gateway = await startWith(origin)
      await get(gateway, order(1))
      const answer = await gateway.tell('/api/cache/purge', body)
      assert.deepEqual([answer.status, answer.json().error.code], [400, 'PurgeUnclear'])
      assert.equal(await gateway.metric('postern_cache_entries'), 1)
    })
  }

  test('by the command, which shows what there is', async () => {
    await using origin = await startNumbers()
    await using gateway = await startWith(origin)
    await get(gateway, order(1))
    let text = ''
    const terminal = { out: (piece: string) => { text += piece }, err: (piece: string) => { text += piece } }
    const run = async (...args: string[]) => {
      text = ''
      return await runCommand(['cache', ...args, '--admin', targetOf(gateway.admin).host + ':' + String(targetOf(gateway.admin).port)], terminal as never)
    }
    assert.equal(await run('show'), 0)
    assert.match(text, /1 stored answers[^]*Shop +GetOrder +1 /)
    assert.equal(await run('show', '--message', 'GetOrder'), 0)
    assert.match(text, /GetOrder +200 +\d+ +\d+ +\d+ +0 +http:\/\/\S+\/json\/reply\/GetOrder\?Id=1/)
    assert.equal(await run('purge', '--message', 'GetOrder'), 0)
    assert.equal(text, '1 stored answer removed.\n')
    assert.equal(await run('purge'), 2)
    // A message that has left may have answers stored: only where there are none is the name a mistake.
    assert.deepEqual([await run('purge', '--message', 'GetOrders'), text], [1, 'postern: There is no message GetOrders, and nothing is stored of it here.\n'])
    assert.deepEqual([await run('purge', '--message', 'listorders'), text], [0, '0 stored answers removed.\n'])
    assert.deepEqual([await run('purge', '--url', 'order 1'), text], [1, 'postern: "order 1" is no URL, and no path that begins with a slash.\n'])
    for (const [meant, other] of [[['--url', order(1)], ['--url', order(3)]], [['--tag', order(1)], ['--tag', 'b']], [['--service', 'Shop'], ['--service', 'Other']]] as const) {
      const before = [await get(gateway, order(1)), await get(gateway, order(2))]
      const went = meant[0] === '--service' ? '2 stored answers' : '1 stored answer'
      assert.deepEqual([await run('purge', ...other), text], meant[0] === '--service' ? [1, 'postern: There is no service Other, and nothing is stored of it here.\n'] : [0, '0 stored answers removed.\n'])
      assert.deepEqual([await run('purge', ...meant, '--soft'), text], [0, `${went} made stale.\n`])
      assert.equal(await gateway.metric('postern_cache_entries'), 2, 'all are still there')
      assert.deepEqual([await run('purge', ...meant), text], [0, `${went} removed.\n`])
      assert.equal(await gateway.metric('postern_cache_entries'), meant[0] === '--service' ? 0 : 1)
      assert.notEqual(await get(gateway, order(1)), before[0])
      assert.equal(await get(gateway, order(2)) === before[1], meant[0] !== '--service')
    }
  })
})

describe('a write', { timeout: 900_000 }, () => {
  const cases: Array<{ name: string, invalidates?: object[], headers?: HeaderList, body?: string, gone: string[] }> = [
    { name: 'leaves what it does not concern', gone: [] },
    { name: 'takes the one that its request names', invalidates: [{ message: 'GetOrder', property: 'Id' }], gone: [order(2)] },
    { name: 'takes the one that its answer names', invalidates: [{ message: 'GetOrder', property: 'Id', from: 'response.orderId' }], body: '{"OrderId":1}', gone: [order(1)] },
    { name: 'takes all of a message', invalidates: [{ message: 'ListOrders' }], gone: ['/json/reply/ListOrders'] },
    { name: 'takes all of a message where it cannot tell which', invalidates: [{ message: 'GetOrder', property: 'Id', from: 'response.Missing' }], gone: [order(1), order(2)] },
    { name: 'takes what its answer tags', headers: [['Purge-Tag', order(1)]], gone: [order(1)] },
    { name: 'takes everything of its service where its answer names more tags than anybody has', headers: [['Purge-Tag', Array.from({ length: 129 }, (_, n) => `t${n}`).join()]], gone: [order(1), order(2), '/json/reply/ListOrders'] },
    { name: 'takes what Location names', headers: [['Location', order(2)]], gone: [order(2)] }
  ]
  for (const { name, invalidates, headers, body, gone } of cases) {
    test(name, async () => {
      await using origin = await startNumbers({ ...headers === undefined ? {} : { headers }, ...body === undefined ? {} : { body } })
      await using gateway = await startWith(origin, invalidates)
      const paths = [order(1), order(2), '/json/reply/ListOrders']
      const before = new Map<string, string>()
      for (const path of paths) before.set(path, await get(gateway, path))
      const written = await gateway.post('/json/reply/PlaceOrder', { Id: 2, Amount: 1 })
      assert.equal(written.status, 200)
      assert.equal(written.header('purge-tag'), undefined)
      for (const path of paths) assert.equal(await get(gateway, path) !== before.get(path), gone.includes(path), path)
    })
  }

  for (const [name, path, effect] of [['by a one-way GET', '/json/oneway/PlaceOrder?Id=2', 'auto'], ['by a GET of what is said to be unsafe', '/json/reply/PlaceOrder?Id=2', 'unsafe'], ['by a GET of what has a list of its own, and no more is said of it', '/json/reply/PlaceOrder?Id=2', 'auto']] as const) {
    test(`${name} takes the one that its request names`, async () => {
      await using origin = await startNumbers()
      await using gateway = await startGateway({
        upstreams: { Shop: { endpoints: [origin.url] } },
        messages: { GetOrder: { upstream: 'Shop' }, PlaceOrder: { upstream: 'Shop', policy: { effect, cache: { invalidates: [{ message: 'GetOrder', property: 'Id' }] } } } }
      } as PartialConfig)
      await gateway.waitForEndpoint(origin.url)
      const before = [await get(gateway, order(1)), await get(gateway, order(2))]
      assert.equal((await gateway.get(path)).status, 200)
      assert.deepEqual([await get(gateway, order(1)) === before[0], await get(gateway, order(2)) === before[1]], [true, false])
    })
  }

  for (const [name, method, path] of [
    ['by a path below a prefix', 'POST', '/legacy/json/reply/PlaceOrder?Id=2'],
    ['by a GET of it', 'GET', '/legacy/json/reply/PlaceOrder?Id=2'],
    ['by a one-way GET of it', 'GET', '/legacy/json/oneway/PlaceOrder?Id=2'],
    ['by its own name', 'POST', '/json/reply/PlaceOrder?Id=2']
  ] as const) {
    test(`${name} takes the one that its request names, also as it was asked for below a prefix`, async () => {
      await using origin = await startNumbers()
      await using gateway = await startGateway({
        upstreams: { Shop: { endpoints: [origin.url] } },
        messages: { GetOrder: { upstream: 'Shop' }, PlaceOrder: { upstream: 'Shop', policy: { cache: { invalidates: [{ message: 'GetOrder', property: 'Id' }, { message: 'ListOrders' }] } } }, ListOrders: { upstream: 'Shop' } },
        prefixes: { '/legacy/*': { upstream: 'Shop' } }
      } as PartialConfig)
      await gateway.waitForEndpoint(origin.url)
      const paths = [order(1), order(2), '/json/reply/ListOrders'].flatMap(path => [path, `/legacy${path}`])
      const before = await Promise.all(paths.map(async path => await get(gateway, path)))
      assert.deepEqual(await Promise.all(paths.map(async path => await get(gateway, path))), before, 'all are stored')
      assert.equal((await gateway.request(path, { method, ...method === 'POST' ? { headers: [['Content-Length', '0']] as HeaderList } : {} })).status, 200)
      const after = await Promise.all(paths.map(async path => await get(gateway, path)))
      assert.deepEqual(after.map((text, n) => text === before[n]), [true, true, false, false, false, false])
    })
  }

  for (const [ids, gone] of [['Ids=1,2', true], ['Ids=%5B1%5D', true], ['Ids=1&Ids=2', true], ['Ids=2', false]] as const) {
    test(`takes all of a message where a list names them, and no more where there is one value: ${ids}`, async () => {
      await using origin = await startNumbers()
      await using gateway = await startWith(origin, [{ message: 'GetOrder', property: 'Id', from: 'request.Ids' }])
      const before = await get(gateway, order(1))
      assert.equal((await gateway.post(`/json/reply/PlaceOrder?${ids}`, {})).status, 200)
      assert.equal(await get(gateway, order(1)) !== before, gone)
    })
  }

  test('an answer that is searched and never ends is passed on when the deadline comes, and everything it could name is gone', async () => {
    await using origin = await startNumbers({ behaviour: stall() })
    await using gateway = await startWith(origin, [{ message: 'GetOrder', property: 'Id', from: 'response.Id' }], { deadlineMs: 4_000, queueTimeoutMs: 4_000, connectTimeoutMs: 4_000, bodyIdleTimeoutMs: 120_000 })
    const before = await get(gateway, order(1))
    using connection = await gateway.connect({ timeoutMs: 60_000 })
    connection.send(requestBytes('x', '/json/reply/PlaceOrder', { method: 'POST', headers: [['Content-Length', '2']], body: '{}' }))
    assert.equal((await connection.head()).status, 200)
    assert.notEqual(await get(gateway, order(1)), before)
  })

  test('takes what a GUID means, however it is written', async () => {
    const id = '0f8fad5b-d9cb-469f-a165-70867728950e'
    const plain = id.replaceAll('-', '')
    await using origin = await startNumbers({ body: `{"id":"${plain}"}` })
    await using gateway = await startWith(origin, [{ message: 'GetOrder', property: 'Id', from: 'response.Id' }])
    const other = order(id.replace('0', '1'))
    const untouched = await get(gateway, other)
    for (const spelt of [id, id.toUpperCase(), plain, `{${id}}`]) {
      const before = await get(gateway, order(spelt))
      await gateway.post('/json/reply/PlaceOrder', {})
      assert.notEqual(await get(gateway, order(spelt)), before, spelt)
    }
    assert.equal(await get(gateway, other), untouched)
  })

  const alike: ReadonlyArray<readonly [name: string, read: string, written: string]> = [
    ['of 64 bits', '9007199254740993', '9007199254740993'],
    ['below zero', '-9007199254740993', '-9007199254740993'],
    ['with zeros before it', '007', '7'],
    ['with a plus', '%2B7', '7'],
    ['with blanks about it', '+7%20', '7'],
    ['with decimals that say nothing', '7', '7.0']
  ]
  for (const [name, read, written] of alike) {
    test(`takes what a number means, however it is written: ${name}`, async () => {
      await using origin = await startNumbers({ body: `{"id":${written},"of":{"id":5}}` })
      await using gateway = await startWith(origin, [{ message: 'GetOrder', property: 'Id', from: 'response.Id' }, { message: 'ListOrders', property: 'Id' }])
      const list = `/json/reply/ListOrders?Id=${read}`
      const [first, second, fifth, listed] = [await get(gateway, order(1)), await get(gateway, order(read)), await get(gateway, order(5)), await get(gateway, list)]
      const { status } = await request(targetOf(gateway.url), '/json/reply/PlaceOrder', { method: 'POST', headers: [['Content-Type', 'application/json']], body: `{"Id":${written}}` })
      assert.equal(status, 200)
      assert.deepEqual([await get(gateway, order(1)) === first, await get(gateway, order(5)) === fifth], [true, true])
      assert.deepEqual([await get(gateway, order(read)) === second, await get(gateway, list) === listed], [false, false])
    })
  }

  const unknown: ReadonlyArray<readonly [name: string, behaviour: Behaviour, expected: number]> = [
    ['resets the connection', reset('after'), 502],
    ['closes it in the head', cutHead(), 502],
    ['does not answer in time', hang(), 504],
    ['says that nothing has changed, which nobody asked', ok('', { status: 304, reason: 'Not Modified' }), 502]
  ]
  for (const [name, behaviour, expected] of unknown) {
    test(`takes what its success would, where nobody knows what became of it: the service ${name}`, async () => {
      await using origin = await startNumbers({ behaviour })
      await using gateway = await startWith(origin, [{ message: 'GetOrder', property: 'Id' }, { message: 'ListOrders', property: 'Id', from: 'response.Id' }], expected === 504 ? { headersTimeoutMs: 1_000 } : {})
      const [first, second, list] = [await get(gateway, order(1)), await get(gateway, order(2)), await get(gateway, '/json/reply/ListOrders')]
      assert.equal((await gateway.post('/json/reply/PlaceOrder', { Id: 2 })).status, expected)
      assert.deepEqual([await get(gateway, order(1)) === first, await get(gateway, order(2)) === second, await get(gateway, '/json/reply/ListOrders') === list], [true, false, false])
    })
  }

  test('of a client that leaves before the answer takes what its success would; its own URL, too', async () => {
    await using origin = await startNumbers({ behaviour: hang() })
    await using gateway = await startWith(origin, [{ message: 'GetOrder', property: 'Id' }])
    const [first, second] = [await get(gateway, order(1)), await get(gateway, order(2))]
    for (const path of ['/json/reply/PlaceOrder', order(1)]) {
      const before = origin.received.length
      using client = await gateway.connect()
      client.send(requestBytes(gateway.url.slice(7), path, { method: 'POST', headers: [['Content-Type', 'application/json']], body: '{"Id":2}' }))
      await until('the service has it', () => origin.received.length > before)
      client.close()
      await until('it is over', async () => await gateway.metric('postern_in_flight', { upstream: 'Shop' }) === 0)
    }
    assert.deepEqual([await get(gateway, order(1)) === first, await get(gateway, order(2)) === second], [false, false])
  })

  test('that comes to its end after its client has left takes what was read meanwhile', async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    let value = 'before'
    await using origin = await startOrigin(async request => {
      await request.body()
      if (request.method === 'POST') await released.then(() => { value = 'after' })
      else await ok(value, { headers: [['Cache-Control', 'max-age=3600']] })(request)
    })
    await using gateway = await startWith(origin, [{ message: 'GetOrder', property: 'Id' }], { deadlineMs: 15_000 })
    using client = await gateway.connect()
    client.send(requestBytes(gateway.url.slice(7), '/json/reply/PlaceOrder', { method: 'POST', headers: [['Content-Type', 'application/json']], body: '{"Id":2}' }))
    await until('the service has it', () => origin.received.some(({ method }) => method === 'POST'))
    client.close()
    await until('it is over', async () => await gateway.metric('postern_in_flight', { upstream: 'Shop' }) === 0)
    assert.equal(await get(gateway, order(2)), 'before')
    release()
    await until('what it wrote is read', async () => await get(gateway, order(2)) === 'after', { timeoutMs: 90_000 })
  })

  test('that was never sent takes nothing', async () => {
    await using origin = await startNumbers()
    await using gateway = await startWith(origin, [{ message: 'GetOrder', property: 'Id' }])
    const second = await get(gateway, order(2))
    await origin.server.kill()
    assert.ok((await gateway.post('/json/reply/PlaceOrder', { Id: 2 })).status >= 502)
    assert.equal(await get(gateway, order(2)), second)
  })

  test('takes what was asked for by a RESTful path, where it cannot tell which', async () => {
    let number = 0
    const handler = () => ({ headers: [['Cache-Control', 'max-age=60']] as HeaderList, body: `{"n":${++number}}` })
    await using fleet = await startFleet([{
      service: 'Shop',
      replay: false,
      messages: { GetOrder: { actions: ['GET'], marker: 'IGet', serviceName: 'ShopServices', routes: ['/orders/{Id}'], handler }, PlaceOrder: { actions: ['GET', 'POST'], serviceName: 'ShopServices', routes: ['/place/{Id}'], handler } }
    }], { upstreams: { Shop: { customRoutes: true } }, messages: { PlaceOrder: { policy: { cache: { invalidates: [{ message: 'GetOrder', property: 'Id' }] } } } } } as PartialConfig)
    const { gateway } = fleet
    const paths = ['/orders/1', order(1), order(2)]
    assert.equal((await gateway.get('/place/2')).status, 200, 'what writes is never stored')
    const before = new Map<string, string>()
    for (const path of paths) before.set(path, await get(gateway, path))
    for (const path of paths) assert.equal(await get(gateway, path), before.get(path), `${path} is stored`)
    assert.equal((await gateway.post('/json/reply/PlaceOrder', { Id: 2 })).status, 200)
    assert.deepEqual(await Promise.all(paths.map(async path => await get(gateway, path) === before.get(path))), [false, true, false])
    const all = await Promise.all(paths.map(async path => await get(gateway, path)))
    assert.equal((await gateway.get('/place/2')).status, 200)
    assert.deepEqual(await Promise.all(paths.map(async (path, n) => await get(gateway, path) === all[n])), [false, false, false], 'a RESTful path does not tell which')
  })

  test('takes what was asked for by a body that is neither a form nor JSON', async () => {
    let number = 0
    await using origin = await startOrigin(async request => {
      await request.body()
      const body = String(++number)
      await write(request.socket, head(200, 'OK', [['Cache-Control', 'max-age=60'], ['Content-Length', String(body.length)]]) + body)
    })
    await using gateway = await startGateway({
      upstreams: { Shop: { endpoints: [origin.url] } },
      messages: { GetOrder: { upstream: 'Shop', policy: { effect: 'safe', cache: { methods: ['POST'] } } }, PlaceOrder: { upstream: 'Shop', policy: { cache: { invalidates: [{ message: 'GetOrder', property: 'Id' }] } } } }
    } as PartialConfig)
    await gateway.waitForEndpoint(origin.url)
    const bodies: Array<[format: string, body: string]> = [['xml', '<GetOrder><Id>2</Id></GetOrder>'], ['jsv', '{Id:2}'], ['json', '{"Id":2}'], ['json', '{"Id":1}']]
    const texts = async () => await Promise.all(bodies.map(async ([format, body]) => (await gateway.post(`/${format}/reply/GetOrder`, body, { headers: [['Content-Type', `application/${format}`]] })).text()))
    const before = await texts()
    assert.deepEqual(await texts(), before, 'all are stored')
    assert.equal((await gateway.post('/json/reply/PlaceOrder', { Id: 2 })).status, 200)
    const after = await texts()
    assert.deepEqual(after.map((text, n) => text === before[n]), [false, false, false, true])
  })

  test('takes what Location names, written as the service knows it: below its base path, with keys that do not count', async () => {
    await using origin = await startOrigin(async request => {
      await request.body()
      const reading = request.method === 'GET'
      const body = String(origin.received.length)
      const named = request.header('x-named')!
      await write(request.socket, head(200, 'OK', [...reading ? [['Cache-Control', 'max-age=60'] as const] : [['Location', named] as const], ['Content-Length', String(body.length)]]) + body)
    })
    await using gateway = await startGateway({
      upstreams: { Shop: { endpoints: [`${origin.url}/base`] } },
      messages: { GetOrder: { upstream: 'Shop', policy: { cache: { key: { ignoreQuery: ['utm_*'] } } } }, PlaceOrder: { upstream: 'Shop' } }
    } as PartialConfig)
    await gateway.waitForEndpoint(`${origin.url}/base`)
    for (const named of [`/base${order(1)}`, `${origin.url}/base${order(1)}`, `${order(1)}&utm_source=a`, '/JSON/reply/getorde%72/?Id=1']) {
      const before = await get(gateway, order(1))
      assert.equal(await get(gateway, order(1)), before)
      assert.equal((await gateway.post('/json/reply/PlaceOrder', {}, { headers: [['X-Named', named]] })).status, 200)
      assert.notEqual(await get(gateway, order(1)), before, named)
    }
    assert.ok(origin.received.every(({ target }) => target.startsWith('/base/')))
  })

  test('an answer that was asked for before it is not stored after it, and not joined', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    let first = true
    await using origin = await startOrigin(async request => {
      await request.body()
      const old = request.method === 'GET' && first
      if (request.method === 'GET') first = false
      if (old) await promise
      const body = old ? 'old' : 'new'
      await write(request.socket, head(200, 'OK', [['Cache-Control', 'max-age=60'], ['Content-Length', '3']]) + body)
    })
    await using gateway = await startWith(origin, [{ message: 'GetOrder', property: 'Id' }])
    const early = gateway.get(order(2))
    while (origin.received.length === 0) await new Promise(setImmediate)
    await gateway.post('/json/reply/PlaceOrder', { Id: 2 })
    assert.equal(await get(gateway, order(2)), 'new')
    resolve()
    assert.equal((await early).text(), 'old')
    assert.equal(await get(gateway, order(2)), 'new')
  })
})
