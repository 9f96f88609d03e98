// The origin is gone for the whole time that its answers may stand in: killed, or removed from the registry altogether. A clock that is set.
import { describe, mock, test, type TestContext } from 'node:test'
import assert from 'node:assert/strict'
import { deregister } from '../support/plugin-registration.ts'
import { startFleet } from '../support/fleet.ts'
import { consulSkip, startConsul } from '../support/consul.ts'
import type { RouteRow } from '../../src/command/routes-table.ts'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import { ok, startOrigin, type Origin } from '../support/origin.ts'
import type { HeaderList } from '../support/raw-server.ts'
import { until } from '../support/until.ts'

const freshS = 10
const staleS = 600
const stepS = 61
const stored = Array.from({ length: 10 }, (_, id) => `/json/reply/GetOrder?Id=${id}`)
type Word = 'stale-if-error' | 'stale-while-revalidate'
const saying = (word: Word) => ok('{}', { headers: [['Cache-Control', `max-age=${freshS}, ${word}=${staleS}`], ['Content-Type', 'application/json']] })
const answer = saying('stale-if-error')

const begin = Date.UTC(2026, 10, 27, 12)
function setClock (t: TestContext): void {
  mock.timers.enable({ apis: ['Date'], now: begin })
  t.after(() => { mock.timers.reset() })
}

/** Mixed traffic at each step of the window: reads of what is stored, again and again, among reads of what is not, and writes. */
async function wholeWindow (gateway: TestGateway, other: (path: string, status: number) => void, word: Word = 'stale-if-error'): Promise<void> {
  const end = begin + (freshS + staleS) * 1_000
  for (let nowMs = begin + 1_000; nowMs < end; nowMs = nowMs + stepS * 1_000 > end && nowMs < end - 1 ? end - 1 : nowMs + stepS * 1_000) {
    mock.timers.setTime(nowMs)
    const ageS = Math.floor((nowMs - begin) / 1_000)
    const others = [gateway.post('/json/reply/PlaceOrder', {}), gateway.get('/json/reply/GetOrder?Id=1000')]
    for (const each of await Promise.all([...stored, ...stored].map(async path => await gateway.get(path)))) {
      assert.deepEqual([each.status, each.text(), each.header('age')], [200, '{}', String(ageS)], `${ageS} s old`)
      assert.match(each.header('cache-status')!, ageS < freshS ? /; hit; ttl=\d+$/ : new RegExp(`; hit; ttl=-\\d+; detail=${word}$`))
    }
    for (const each of await Promise.all(others)) other(`${ageS} s`, each.status)
  }
  mock.timers.setTime(end)
}

async function fill (gateway: TestGateway, origin: Origin): Promise<void> {
  for (const path of stored) assert.equal((await gateway.get(path)).status, 200)
  assert.equal(origin.received.length, stored.length)
}

/** Registers a service at an agent, removes it, kills it, and reads on. */
async function removed (gateway: TestGateway, agentUrl: string, word: Word = 'stale-if-error'): Promise<void> {
  await using origin = await startOrigin(saying(word))
  const agent = async (path: string, body?: object) => {
    const { status } = await fetch(`${agentUrl}/v1/agent/service/${path}`, { method: 'PUT', ...body === undefined ? {} : { body: JSON.stringify(body) } })
    assert.equal(status, 200, path)
  }
  await agent('register', { ID: 'shop-1', Name: 'shop', Address: '127.0.0.1', Port: origin.port, Meta: { messages: 'GetOrder,PlaceOrder' } })
  await gateway.waitForRoute('GetOrder')
  await gateway.waitForEndpoint(origin.url)
  await fill(gateway, origin)
  await agent('deregister/shop-1')
  await until('what has nothing stored is unknown', async () => (await gateway.post('/json/reply/PlaceOrder', {})).status === 404)
  const [row] = await cachedRows(gateway)
  assert.deepEqual([row?.message, row?.state, row?.upstream], ['GetOrder', 'cached', 'shop'])
  assert.match(row!.why, /^Cached: no service has it any more.* of shop may be given out until \d{4}-/)
  assert.equal(await gateway.metric('postern_routes', { state: 'cached' }), 1)
  await origin.server.kill()
  await wholeWindow(gateway, (at, status) => assert.ok(status === 404 || status === 503, `${at}: ${status}`), word)
  await until('its route is gone', async () => (await gateway.get(stored[0]!)).status !== 200)
  assert.deepEqual(await cachedRows(gateway), [])
}

const cachedRows = async (gateway: TestGateway): Promise<readonly RouteRow[]> => (await gateway.api('routes')).cached

const skip = await consulSkip()

describe('an origin that is gone', { timeout: 300_000 }, () => {
  test('killed: no error for what is stored, for as long as its word holds, and not a moment longer', async t => {
    setClock(t)
    await using origin = await startOrigin(answer)
    await using gateway = await startGateway({ upstreams: { Shop: { endpoints: [origin.url] } }, messages: { GetOrder: { upstream: 'Shop' }, PlaceOrder: { upstream: 'Shop' } } })
    await gateway.waitForEndpoint(origin.url)
    await fill(gateway, origin)
    await origin.server.kill()
    await wholeWindow(gateway, (at, status) => assert.ok(status >= 502, `${at}: ${status}`))
    for (const path of stored) assert.ok((await gateway.get(path)).status >= 502, 'its word does not hold any more')
  })

  for (const word of ['stale-if-error', 'stale-while-revalidate'] as const) {
    test(`removed from the registry, its word being ${word}: the same, and then its messages are unknown`, async t => {
      setClock(t)
      await using gateway = await startGateway({ registry: { embedded: { address: '127.0.0.1:0' } } })
      await removed(gateway, gateway.embedded!, word)
    })
  }

  test('removed from Consul: the same', { skip }, async t => {
    const consul = await startConsul()
    t.after(async () => { await consul.stop() })
    setClock(t)
    await using gateway = await startGateway({ registry: { consul: { agents: [consul.url], services: ['shop'] } } })
    await removed(gateway, consul.url)
    assert.deepEqual(await consul.get('/v1/catalog/service/shop'), [])
  })
})

test('a message of a service that has left is answered by its RESTful paths as by its name', { timeout: 300_000 }, async () => {
  const handler = () => ({ headers: [['Cache-Control', 'max-age=600']] as HeaderList, body: { id: 1 } })
  const GetOrder = { actions: ['GET'], marker: 'IGet' as const, serviceName: 'ShopServices', routes: ['/orders/{Id}'], handler }
  await using fleet = await startFleet([{ service: 'Shop', replay: false, messages: { GetOrder } }], { upstreams: { Shop: { customRoutes: true } } } as PartialConfig)
  const { gateway, hosts: [host] } = fleet
  for (const path of [stored[1]!, '/orders/1']) assert.match((await gateway.get(path)).header('cache-status')!, /stored/)
  await deregister(gateway.embedded!, host!.id)
  let other = 2
  await until('nobody is left', async () => (await gateway.get(`/orders/${other++}`)).status === 503)
  for (const path of [stored[1]!, '/orders/1']) assert.match((await gateway.get(path)).header('cache-status')!, /; hit;/, path)
})
