// Traffic split between versions, groups of endpoints and two services, as operators do it: canary, pinned versions, blue and green.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { startFleet } from '../support/fleet.ts'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import { request, targetOf, type RequestOptions } from '../support/http-client.ts'
import * as behave from '../support/origin.ts'
import { startOrigin, type Behaviour } from '../support/origin.ts'
import { startServices, type Service, type Services } from '../support/services.ts'
import { until } from '../support/until.ts'

const path = '/json/reply/Echo'
const call = async (gateway: TestGateway, times: number, options: RequestOptions = {}, target = path) => {
  for (let n = 0; n < times; n++) assert.equal((await gateway.request(target, options)).status, 200)
}
const splitting = (parts: object[], more: object = {}): PartialConfig => ({ upstreams: { Orders: { policy: { balancer: { strategy: 'round-robin' }, split: { parts, ...more } } } } } as PartialConfig)
const three: Service[] = [{ version: '1.0' }, { version: '1.0' }, { version: '2.0', tags: ['canary'], meta: { track: 'blue' } }]

interface Part { readonly part: string, readonly calls: number, readonly errorRate: number, readonly meanMs: number | null, readonly p50Ms: number | null, readonly p95Ms: number | null, readonly p99Ms: number | null }

describe('splitting traffic', { timeout: 900_000 }, () => {
  test('a canary gets its share and nothing of the rest', async () => {
    await using world = await startServices(three, splitting([{ name: 'canary', to: { version: '2.*' }, percent: 20 }]))
    await call(world.gateway, 300)
    const [a = 0, b = 0, canary = 0] = world.counts()
    assert.equal(a + b + canary, 300)
    // Six standard deviations around 60.
    assert.ok(canary > 18 && canary < 102, `${canary} of 300`)
    assert.ok(a > 60 && b > 60, `${a}, ${b}`)
    await world.gateway.metricBecomes('postern_split_requests_total', canary, { part: 'canary', code: '2xx' })
    const { splits } = (await request(targetOf(world.gateway.admin), '/api/splits')).json() as { splits: Array<{ upstream: string, parts: Array<{ part: string, calls: number, errorRate: number, p95Ms: number }> }> }
    assert.deepEqual(splits.map(({ upstream, parts }) => [upstream, parts.map(({ part }) => part).toSorted()]), [['Orders', ['canary', 'rest']]])
    assert.equal(splits[0]!.parts.find(({ part }) => part === 'canary')!.calls, canary)
    const lines = await until('the log names the part', async () => {
      const exchanges = (await world.gateway.log()).filter(({ msg }) => msg === 'exchange')
      return exchanges.length === 300 && exchanges
    })
    assert.equal(lines.filter(({ part }) => part === 'canary').length, canary)
  })

  for (const [what, when, options, target] of [
    ['a header', { header: 'X-Canary', value: 'y*' }, { headers: [['x-canary', 'yes']] }, path],
    ['a cookie', { cookie: 'canary' }, { headers: [['Cookie', 'a=b; canary=1']] }, path],
    ['a query value', { query: 'v', value: '2' }, {}, `${path}?v=2`],
    ['a property in the query', { property: 'version', value: '2' }, {}, `${path}?Version=2`],
    ['a property of a JSON body', { property: 'Version', value: '2' }, { method: 'POST', headers: [['Content-Type', 'application/json']], body: '{"name":"x","version":2}' }, path],
    ['a property of JSON called text', { property: 'Version', value: '2' }, { method: 'POST', headers: [['Content-Type', 'text/plain;charset=UTF-8']], body: '{"version":2}' }, path],
    ['a property of JSON that is called nothing', { property: 'Version', value: '2' }, { method: 'POST', body: '{"version":2}' }, path],
    ['a field of a form', { property: 'Version', value: '2' }, { method: 'POST', headers: [['Content-Type', 'application/x-www-form-urlencoded']], body: 'version=2' }, path]
  ] as const) {
    test(`${what} decides`, async () => {
      await using world = await startServices(three, splitting([{ name: 'two', to: { tag: 'canary' }, when }]))
      await call(world.gateway, 6, options as RequestOptions, target)
      assert.deepEqual(world.counts(), [0, 0, 6])
      await call(world.gateway, 6)
      const [a = 0, b = 0, canary] = world.counts()
      assert.equal(canary, 0)
      assert.equal(a + b, 6)
    })
  }

  test('a body that is no JSON, or has no such property, belongs to the rest', async () => {
    await using world = await startServices(three, splitting([{ name: 'two', to: { tag: 'canary' }, when: { property: 'Version' } }]))
    for (const body of ['{"a":{"Version":2}}', '{broken', '[1]', '{"Version":{}}']) await call(world.gateway, 1, { method: 'POST', headers: [['Content-Type', 'application/json']], body })
    assert.equal(world.counts()[2], 0)
  })

  test('a body that is too long to be looked at belongs to the rest, and arrives whole', async () => {
    await using world = await startServices(three, splitting([{ name: 'two', to: { tag: 'canary' }, when: { property: 'Version' } }]))
    const body = (letters: number) => JSON.stringify({ Version: 2, more: 'x'.repeat(letters) })
    const post = async (letters: number) => { await call(world.gateway, 1, { method: 'POST', headers: [['Content-Type', 'application/json']], body: body(letters) }) }
    await post(60_000)
    assert.equal(world.counts()[2], 1)
    await post(70_000)
    assert.equal(world.counts()[2], 0)
    assert.deepEqual(world.origins.flatMap(({ received }) => received.map(({ header }) => Number(header('content-length')))).sort((a, b) => a - b), [body(60_000).length, body(70_000).length])
  })

  test('by caller, one caller stays in its part', async () => {
    await using world = await startServices(three, splitting([{ name: 'half', to: { meta: { track: 'blue' } }, percent: 50 }], { by: 'caller' }))
    const blue: boolean[] = []
    for (let caller = 0; caller < 40; caller++) {
      const options: RequestOptions = { headers: [['Cookie', `ss-pid=caller-${caller}`]] }
      await call(world.gateway, 2, options)
      await call(world.gateway, 1, { headers: [['Cookie', `ss-id=another-${caller}; ss-pid=caller-${caller}`]] })
      const counts = world.counts()
      assert.ok(counts[2] === 0 || counts[2] === 3, `${counts}`)
      blue.push(counts[2] === 3)
    }
    const share = blue.filter(Boolean).length
    assert.ok(share > 5 && share < 35, `${share} of 40`)
  })

  test('a version may stand in Meta, as services of any language register', async () => {
    await using one = await startOrigin()
    await using two = await startOrigin()
    const split = splitting([{ name: 'two', to: { version: '2.*' }, percent: 40 }])
    await using gateway = await startGateway({ ...split, registry: { embedded: { address: '127.0.0.1:0' } }, messages: { Echo: { upstream: 'Orders', expose: true, policy: { cache: { mode: 'off' } } } } } as PartialConfig)
    for (const [version, { url }] of [['1.4', one], ['2.0', two]] as const) {
      const { hostname, port } = new URL(url)
      const body = JSON.stringify({ ID: `orders-${version}`, Name: 'Orders', Address: hostname, Port: Number(port), Meta: { version } })
      assert.equal((await request(targetOf(gateway.embedded!), '/v1/agent/service/register', { method: 'PUT', body })).status, 200)
      await gateway.waitForEndpoint(url)
    }
    const { upstreams } = await gateway.api('upstreams') as { upstreams: Array<{ name: string, endpoints: Array<{ url: string, version?: string }> }> }
    const versions = upstreams.find(({ name }) => name === 'Orders')!.endpoints.map(({ url, version }) => [url, version])
    assert.deepEqual(Object.fromEntries(versions), { [one.url]: '1.4', [two.url]: '2.0' })
    const before = two.received.length
    await call(gateway, 200)
    const share = two.received.length - before
    // Six standard deviations around 80.
    assert.ok(share > 38 && share < 122, `${share} of 200`)
  })

  test('a part that has no endpoint leaves its share to the rest, and calls of a condition only where that says so', async () => {
    await using world = await startServices([{ version: '1.0' }], splitting([
      { name: 'two', to: { version: '2.*' }, percent: 100 },
      { name: 'three', to: { version: '3.*' }, when: { header: 'X-Three' } },
      { name: 'elsewhere', to: { upstream: 'Nowhere' }, when: { header: 'X-Any' } },
      { name: 'tried', to: { version: '4.*' }, when: { header: 'X-Try', orRest: true } }
    ]))
    await call(world.gateway, 3)
    for (const header of ['X-Three', 'X-Any']) assert.equal((await world.gateway.get(path, { headers: [[header, '1']] })).reason, 'NoEndpoint')
    await call(world.gateway, 3, { headers: [['X-Try', '1']] })
    assert.deepEqual(world.counts(), [6])
  })

  const withNew: Service[] = [{ version: '1.0' }, { version: '1.1', behaviour: behave.ok('next best') }, { version: '2.0', behaviour: behave.closing() }]
  const post = async (gateway: TestGateway, options: RequestOptions = {}) => await gateway.request(path, { method: 'POST', ...options })

  for (const [what, split] of [['a share', splitting([{ name: 'two', to: { version: '2.*' }, percent: 50 }])], ['the highest version', splitting([], { versions: 'highest', takeoverMs: 0 })]] as const) {
    test(`${what} whose only instance dies while it is still listed: no call is lost`, async () => {
      await using world = await startServices(withNew, split)
      for (let n = 0; n < 20; n++) assert.equal((await post(world.gateway)).status, 200)
      assert.ok(world.counts()[2]! > 0)
      await world.origins[2]!.close()
      for (let n = 0; n < 20; n++) {
        const answers = await Promise.all(Array.from({ length: 3 }, async () => await post(world.gateway)))
        assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200])
        if (what === 'the highest version') assert.deepEqual(answers.map(answer => answer.text()), ['next best', 'next best', 'next best'])
      }
    })
  }

  for (const orRest of [false, true]) {
    test(`who asked for a part by a condition, when its only instance has died, ${orRest ? 'goes to the rest if it says so' : 'gets that one or none'}: the first call and all after it`, async () => {
      await using world = await startServices(withNew, splitting([{ name: 'two', to: { version: '2.*' }, when: { header: 'X-Two', orRest } }]))
      const pinned = async () => await post(world.gateway, { headers: [['X-Two', '1']] })
      assert.equal((await pinned()).status, 200)
      await world.origins[2]!.close()
      const dead = orRest ? ['OK'] : ['ConnectFailed', 'NoEndpoint']
      const look = async () => {
        const { reason } = await pinned()
        assert.ok(dead.includes(reason), reason)
        assert.equal((await post(world.gateway)).status, 200)
        return reason
      }
      for (let n = 0; n < 5; n++) await look()
      // Neither once it has left the table.
      if (!orRest) await until('it is in no table any more', async () => await look() === 'NoEndpoint')
      await look()
    })
  }

  test('who asked for a part by a condition gets no other while its breaker is held open', async () => {
    await using world = await startServices(withNew, splitting([{ name: 'two', to: { version: '2.*' }, when: { header: 'X-Two' } }]))
    assert.equal((await world.gateway.tell('/api/breakers/hold', { upstream: 'Orders', endpoint: world.origins[2]!.url, held: 'open', reason: 'trouble', by: 'ann' })).status, 200)
    for (let n = 0; n < 3; n++) assert.equal((await post(world.gateway, { headers: [['X-Two', '1']] })).status, 503)
    assert.equal((await post(world.gateway)).status, 200)
  })

  test('a canary that is ejected leaves its calls to the rest', async () => {
    const { policy } = (splitting([{ name: 'two', to: { version: '2.*' }, percent: 50 }]).upstreams as { Orders: { policy: object } }).Orders
    const outliers = { intervalMs: 4_000, minAttempts: 5, baseMs: 600_000, maxMs: 600_000 }
    await using world = await startServices([{ version: '2.0', behaviour: behave.failingHalf() }, ...Array.from({ length: 4 }, () => ({ version: '1.0' }))], { upstreams: { Orders: { breaker: { errorThresholdPercent: 100 }, outliers, policy } } } as PartialConfig)
    await until('it is ejected', async () => {
      for (let n = 0; n < 20; n++) await post(world.gateway)
      return await world.gateway.metric('postern_endpoint_ejected') === 1
    })
    world.counts()
    for (let n = 0; n < 40; n++) assert.equal((await post(world.gateway)).status, 200)
    assert.equal(world.counts()[0], 0)
  })

  test('without a split every version shares by endpoint', async () => {
    await using world = await startServices([{ version: '1.0' }, { version: '1.0' }, { version: '2.0' }], { upstreams: { Orders: { policy: { balancer: { strategy: 'round-robin' } } } } } as PartialConfig)
    await call(world.gateway, 60)
    const counts = world.counts()
    assert.ok(counts.every(count => count > 17 && count < 23), `${counts}`)
  })

  test('the first instance of a new version gets what one endpoint gets, and not everything', async () => {
    // In turn: who is quicker is not what is tested here.
    await using world = await startServices([{ version: '1.0' }, { version: '1.0' }, { version: '1.1' }], { ...splitting([]), defaults: { balancing: { slowStartMs: 0 } } } as PartialConfig, 2)
    await call(world.gateway, 20)
    const [a = 0, b = 0, none] = world.counts()
    assert.ok(a > 7 && b > 7 && none === 0, `${a}, ${b}, ${none}`)
    await world.list(3)
    world.counts()
    await call(world.gateway, 60)
    const counts = world.counts()
    assert.ok(counts.every(count => count > 17 && count < 23), `${counts}`)
  })

  const comings: ReadonlyArray<readonly [what: string, services: readonly Service[], newest: number, come: (world: Services) => Promise<void>]> = [
    ['of a new instance', [{ version: '1.9' }, { version: '1.9' }, { version: '1.10' }], 2, async world => { await world.list(3) }],
    ['deployed in the place of an old one', [{ version: '1.9' }, { version: '1.9' }], 1, async world => { await world.deploy(1, '1.10') }]
  ]
  for (const [what, services, newest, come] of comings) {
    test(`highest version only: the new one, ${what}, takes over step by step`, async () => {
      const takeoverMs = 20_000
      await using world = await startServices(services, { ...splitting([], { versions: 'highest', takeoverMs }), defaults: { balancing: { slowStartMs: 0 } } } as PartialConfig, 2)
      const startedMs = performance.now()
      await until('the old one is no newcomer itself', () => performance.now() - startedMs > takeoverMs)
      const beforeMs = performance.now()
      await come(world)
      const listedMs = performance.now()
      const [early, late] = [[0, 0], [0, 0]] as [[number, number], [number, number]]
      await until('it has all calls', async () => {
        world.counts()
        // Its age is between the two.
        const [most, least] = [performance.now() - beforeMs, performance.now() - listedMs]
        await call(world.gateway, 10)
        const high = world.counts()[newest]!
        const phase = performance.now() - beforeMs <= takeoverMs / 4 ? early : least >= takeoverMs / 2 && most <= takeoverMs * 3 / 4 ? late : undefined
        if (phase !== undefined) {
          phase[0] += high
          phase[1] += 10
        }
        return least >= takeoverMs && high === 10
      }, { timeoutMs: 120_000 })
      // Of its first quarter at most 25 %, in the third half or more: endpoints take turns, so that chance has no part in it.
      assert.ok(early[1] > 0 && early[0] / early[1] < 0.35, `${early}`)
      assert.ok(late[1] > 0 && late[0] / late[1] > 0.42 && late[0] / late[1] < 0.95, `${late}`)
    })
  }

  test('errors and latency of the parts stand side by side', async () => {
    const late: Behaviour = async request => {
      await sleep(400)
      await behave.ok('{}', { status: 500, reason: 'Broken' })(request)
    }
    await using world = await startServices([{ version: '1.0' }, { version: '2.0', behaviour: late }], splitting([{ name: 'two', to: { version: '2.*' }, when: { header: 'X-Two' } }]))
    await call(world.gateway, 4)
    for (let n = 0; n < 4; n++) await world.gateway.get(path, { headers: [['X-Two', '1']] })
    const split = await until('all are counted', async () => {
      const [found] = ((await request(targetOf(world.gateway.admin), '/api/splits')).json() as { splits: Array<{ parts: Part[] }> }).splits
      return found?.parts.length === 2 && found.parts.every(({ calls }) => calls === 4) && found
    })
    const { two, rest } = Object.fromEntries(split.parts.map(part => [part.part, part])) as Record<'two' | 'rest', Part>
    assert.deepEqual([two.errorRate, rest.errorRate], [1, 0])
    // The upper bounds of histogram buckets: null would be beyond half a minute.
    for (const ms of [two.meanMs, two.p50Ms, two.p95Ms, two.p99Ms]) assert.ok(ms !== null && ms >= 390, JSON.stringify(two))
    for (const ms of [rest.meanMs, rest.p50Ms, rest.p95Ms, rest.p99Ms]) assert.ok(ms !== null && ms > 0, JSON.stringify(rest))
  })
})

describe('two services of one name', { timeout: 900_000 }, () => {
  const services: Service[] = [{ service: 'Orders' }, { service: 'OrdersNext' }]

  test('named by a split, both get their part and there is no conflict; without it the newcomer is quarantined', async () => {
    const split: PartialConfig = { messages: { Echo: { upstream: 'Orders', policy: { split: { parts: [{ name: 'next', to: { upstream: 'OrdersNext' }, percent: 50 }] } } } } } as PartialConfig
    await using world = await startServices(services, split)
    await until('both are in the table', async () => ((await world.gateway.api('routes')).routes as Array<{ state: string }>).filter(({ state }) => state === 'routed').length === 2)
    await call(world.gateway, 100)
    const [old = 0, next = 0] = world.counts()
    assert.equal(old + next, 100)
    assert.ok(next > 20 && next < 80, `${next} of 100`)
    assert.equal(await world.gateway.metric('postern_conflicts'), 0)
    const why = ((await world.gateway.api('routes')).routes as Array<{ upstream: string, why: string }>).find(({ upstream }) => upstream === 'OrdersNext')!.why
    assert.match(why, /Routed in part/)

    await world.gateway.reload({ messages: { Echo: { upstream: 'Orders' } }, registry: { file: world.file } })
    await call(world.gateway, 20)
    assert.deepEqual(world.counts(), [20, 0])
    await world.gateway.metricBecomes('postern_routes', 1, { state: 'quarantined' })
    assert.equal(await world.gateway.metric('postern_conflicts'), 0, 'postern.yaml has settled it')
    await world.gateway.reload({ registry: { file: world.file } })
    await world.gateway.metricBecomes('postern_conflicts', 1)
    await call(world.gateway, 20)
    assert.deepEqual(world.counts(), [20, 0], 'its owner keeps it')
  })

  const toNext = (part: object, breaker: object): PartialConfig => ({
    messages: { Echo: { upstream: 'Orders', policy: { split: { parts: [{ name: 'next', to: { upstream: 'OrdersNext' }, ...part }] } } } },
    upstreams: { OrdersNext: { breaker } }
  } as PartialConfig)
  const hold = async (gateway: TestGateway, what: object) => {
    const body = JSON.stringify({ upstream: 'OrdersNext', held: 'open', reason: 'game day', by: 'ann', ...what })
    assert.equal((await request(targetOf(gateway.admin), '/api/breakers/hold', { method: 'POST', headers: [['Content-Type', 'application/json']], body })).status, 200)
  }
  const startNext = async (part: object, breaker: object = {}) => {
    const world = await startServices(services, toNext(part, breaker))
    await until('both are in the table', async () => ((await world.gateway.api('routes')).routes as Array<{ state: string }>).filter(({ state }) => state === 'routed').length === 2)
    return world
  }

  for (const [what, held] of [['the service', {}], ['the message on it', { message: 'Echo' }]] as const) {
    test(`a share of one whose breaker is held open, that of ${what}, is served by the other`, async () => {
      await using world = await startNext({ percent: 100 })
      await call(world.gateway, 3)
      assert.deepEqual(world.counts(), [0, 3])
      await hold(world.gateway, held)
      await call(world.gateway, 5)
      assert.deepEqual(world.counts(), [5, 0])
    })
  }

  const answered = { handler: () => ({ status: 200, body: '{}' }) }
  for (const [what, messages, goes] of [
    ['restricts it', { Echo: { ...answered, restrictTo: ['InternalNetworkAccess'] } }, false],
    ['does not have it', {}, false],
    ['has it', { Echo: answered }, true]
  ] as const) {
    for (const part of [{ percent: 100 }, { when: { header: 'X-Next' } }]) {
      test(`of hosts that list their messages, one that ${what} gets ${goes ? 'its part' : 'no part of it'}: ${JSON.stringify(part)}`, async () => {
        await using fleet = await startFleet([{ service: 'Orders', messages: { Echo: answered } }, { service: 'OrdersNext', messages: { ...messages, More: answered } }], toNext(part, {}))
        // Its list is in the table then.
        await fleet.gateway.waitForRoute('More')
        // Who asks for it by a condition gets that one or none.
        const isRefused = !goes && 'when' in part
        for (let n = 0; n < 3; n++) assert.equal((await fleet.gateway.post(path, {}, { headers: [['X-Next', '1']] })).status, isRefused ? 503 : 200)
        assert.deepEqual(fleet.hosts.map(({ executed }) => executed.length), isRefused ? [0, 0] : goes ? [0, 3] : [3, 0])
      })
    }
  }

  test('nothing of a prefix goes to such a host either: what is restricted there cannot be told from other paths', async () => {
    await using old = await behave.startOrigin()
    const split = { parts: [{ name: 'next', to: { upstream: 'OrdersNext' }, percent: 100 }] }
    const config = { prefixes: { '/old/*': { upstream: 'legacy', rewrite: '/', policy: { split } } }, upstreams: { legacy: { endpoints: [old.url] } } } as unknown as PartialConfig
    await using fleet = await startFleet([{ service: 'Orders', messages: { Echo: answered } }, { service: 'OrdersNext', messages: { Echo: { ...answered, restrictTo: ['InternalNetworkAccess'] }, More: answered } }], config)
    await fleet.gateway.waitForRoute('More')
    for (const target of [path, '/files/x']) await until('it is answered', async () => (await fleet.gateway.get(`/old${target}`)).status === 200)
    assert.deepEqual(fleet.hosts.map(({ executed }) => executed.length), [0, 0])
    for (const wanted of [path, '/files/x']) assert.ok(old.received.some(({ target }) => target === wanted), wanted)
  })

  test('a share of one whose only instance dies is served by the other, from the first call on that finds it dead', async () => {
    await using world = await startNext({ percent: 100 })
    await world.origins[1]!.close()
    const post = async () => (await world.gateway.post(path, {})).status
    assert.deepEqual(await Promise.all([post(), post(), post()]), [200, 200, 200])
    assert.equal(await post(), 200)
    assert.deepEqual(world.counts(), [4, 0])
  })

  for (const preserving of ['Orders', 'OrdersNext']) {
    test(`each gets the Host that it wants itself: the client's is ${preserving}'s only`, async () => {
      const { messages } = toNext({ when: { header: 'X-Next' } }, {})
      await using world = await startServices(services, { messages, upstreams: { [preserving]: { preserveHost: true } } } as PartialConfig)
      await until('both are in the table', async () => ((await world.gateway.api('routes')).routes as Array<{ state: string }>).filter(({ state }) => state === 'routed').length === 2)
      for (const headers of [[], [['X-Next', '1']]] as Array<Array<[string, string]>>) assert.equal((await world.gateway.get(path, { headers: [['Host', 'shop.test'], ...headers] })).status, 200)
      assert.deepEqual(world.origins.map(({ received, url }) => received.map(({ header }) => header('host') === new URL(url).host ? 'its own' : header('host'))), preserving === 'Orders' ? [['shop.test'], ['its own']] : [['its own'], ['shop.test']])
    })
  }

  test('who asked for one whose only instance has died is told so, or served by the other where the condition says it: from the first call on', async () => {
    for (const orRest of [false, true]) {
      await using world = await startNext({ when: { header: 'X-Next', orRest } })
      await world.origins[1]!.close()
      for (let n = 0; n < 5; n++) assert.match((await world.gateway.get(path, { headers: [['X-Next', '1']] })).reason, orRest ? /^OK$/ : /^(?:ConnectFailed|NoEndpoint)$/)
      await call(world.gateway, 1)
    }
  })

  test('who asked for the one whose breaker is held open is told so', async () => {
    await using world = await startNext({ when: { header: 'X-Next' } })
    await hold(world.gateway, {})
    assert.equal((await world.gateway.get(path, { headers: [['X-Next', '1']] })).reason, 'BreakerOpen')
    await call(world.gateway, 3)
    assert.deepEqual(world.counts(), [3, 0])
  })

  test('a share of one that fails is served by the other while its breaker is open, and while it recovers as far as it takes no calls', async () => {
    const rampMs = 10_000
    await using world = await startNext({ percent: 100 }, { resetTimeoutMs: 600, rampMs })
    const state = async () => await world.gateway.metric('postern_message_breaker_state', { upstream: 'OrdersNext' })
    world.origins[1]!.behave(behave.ok('', { status: 503, reason: 'Down' }))
    const answers = new Set<string>()
    await until('its breaker is open', async () => {
      answers.add((await world.gateway.post(path, {})).reason)
      return await state() > 0
    })
    world.origins[1]!.behave(behave.ok('mended'))
    const texts: string[] = []
    await until('it has all its calls again', async () => {
      const { status, text } = await world.gateway.post(path, {})
      assert.equal(status, 200)
      texts.push(text())
      return texts.length > 20 && texts.slice(-20).every(text => text === 'mended')
    }, { timeoutMs: 90_000 })
    assert.deepEqual([...answers].filter(reason => reason === 'BreakerOpen'), [])
    const first = texts.indexOf('mended')
    assert.ok(texts.slice(first).includes('ok'), 'it got a growing share')
  })
})
