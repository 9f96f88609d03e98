// Whose checks pass is called before who warns, and who warns before who fails; what needs no message goes where most may go. Through the listener.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import { request, targetOf } from '../support/http-client.ts'
import { hang, ok, startOrigin } from '../support/origin.ts'
import { serviceBody } from '../support/plugin-registration.ts'
import { startServiceStackHost, type ServiceStackHost } from '../support/servicestack-host.ts'
import { until } from '../support/until.ts'

/** Endpoints take turns: one that may be called is. */
const turns = { policy: { balancer: { strategy: 'round-robin' }, cache: { mode: 'off' } }, balancing: { slowStartMs: 0 } }
const config = (more: object = {}, registry: object = {}) => ({ defaults: turns, ...more, registry: { embedded: { address: '127.0.0.1:0' }, ...registry } }) as PartialConfig
const path = '/json/reply/Browse'

async function put (gateway: TestGateway, to: string, body?: object): Promise<void> {
  const answer = await request(targetOf(gateway.embedded!), `/v1/agent/${to}`, { method: 'PUT', headers: [['Content-Type', 'application/json']], ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
  assert.equal(answer.status, 200, answer.text())
}

describe('the health that a registry tells', { timeout: 300_000 }, () => {
  /** Two hosts of one service, with a check that says what the test says. */
  async function twoHosts (health: 'warning' | 'critical', registry: object = {}) {
    await using stack = new AsyncDisposableStack()
    const gateway = stack.use(await startGateway(config({}, registry)))
    const hosts: ServiceStackHost[] = []
    for (let n = 0; n < 2; n++) {
      const host = stack.use(await startServiceStackHost({ service: 'Shop', messages: { Browse: () => ({ body: {} }) } }))
      hosts.push(host)
      await put(gateway, 'service/register', { ...serviceBody(host), Check: { TTL: '1h', Status: health } })
    }
    const [a, b] = hosts as [ServiceStackHost, ServiceStackHost]
    const status = async () => (await gateway.get(path)).status
    await until('both are served', async () => { await status(); return a.executed.length > 1 && b.executed.length > 1 })
    /** Ten calls, all answered well: how many of them each host got. */
    const share = async () => {
      const before = [a.executed.length, b.executed.length] as const
      for (let n = 0; n < 10; n++) assert.equal(await status(), 200)
      return [a.executed.length - before[0], b.executed.length - before[1]]
    }
    const owned = stack.move()
    return {
      gateway,
      a,
      b,
      status,
      /** Tells the registry, and waits until so many registrations stand so. */
      check: async (host: ServiceStackHost, how: 'pass' | 'warn' | 'fail', state: string, count: number) => {
        await put(gateway, `check/${how}/service:${host.id}`)
        await until(`${count} are ${state}`, async () => await gateway.metric('postern_registrations', { state }) === count)
      },
      share,
      /** Until each gets so many of ten calls: the table may come a moment after it is counted. */
      becomes: async (atA: number, atB: number) => { await until(`${atA} and ${atB} of ten calls`, async () => (await share()).join() === [atA, atB].join()) },
      [Symbol.asyncDispose]: () => owned.disposeAsync()
    }
  }

  test('who warns is called when nobody passes, and stands by otherwise', async () => {
    await using shop = await twoHosts('warning')
    await until('both are called', async () => (await shop.share()).every(calls => calls > 0))
    await shop.check(shop.a, 'pass', 'standby', 1)
    await shop.becomes(10, 0)
    await shop.check(shop.a, 'fail', 'critical', 1)
    await shop.becomes(0, 10)
  })

  test('where all fail they are called all the same; one that passes gets all of it; and not at all without the panic rule', async () => {
    await using shop = await twoHosts('critical')
    await until('both are called', async () => (await shop.share()).every(calls => calls > 0))
    await shop.check(shop.a, 'pass', 'critical', 1)
    await shop.becomes(10, 0)
    await shop.check(shop.a, 'fail', 'critical', 0)
    await until('both are called', async () => (await shop.share()).every(calls => calls > 0))
    await shop.gateway.reload(config({}, { panic: false }))
    await until('nobody is called', async () => await shop.status() === 503)
    await shop.check(shop.b, 'pass', 'routed', 1)
    await shop.becomes(0, 10)
  })
})

test('whoever is called by the panic rule is bounded like any other: slots, queue, breakers', { timeout: 300_000 }, async () => {
  await using a = await startOrigin(ok())
  await using b = await startOrigin(ok())
  const defaults = { ...turns, bulkhead: { maxConcurrent: 4, maxQueue: 2 }, breaker: { consecutiveFailures: 3, resetTimeoutMs: 600_000 }, policy: { ...turns.policy, headersTimeoutMs: 4_000, queueTimeoutMs: 15_000 } }
  await using gateway = await startGateway(config({ defaults }))
  for (const [id, { port }] of Object.entries({ a, b })) await put(gateway, 'service/register', { ID: `web-${id}`, Name: 'web', Address: '127.0.0.1', Port: port, Meta: { messages: 'Browse' }, Check: { TTL: '1h', Status: 'critical' } })
  await gateway.waitForRoute('Browse')
  const called = () => [a, b].map(({ received }) => received.filter(({ method }) => method === 'POST').length) as [number, number]
  await until('both are called', async () => { await gateway.post(path, {}); return called().every(calls => calls > 0) })
  for (const origin of [a, b]) origin.behave(hang())
  const before = called()
  const calls = Array.from({ length: 12 }, async () => (await gateway.post(path, {}, { timeoutMs: 60_000 })).reason)
  await until('six are turned away', async () => await gateway.metric('postern_bulkhead_rejections_total', { upstream: 'web' }) === 6)
  await until('both are called again', () => called().every((calls, at) => calls > before[at]!))
  assert.equal((await Promise.all(calls)).filter(reason => reason === 'BulkheadFull').length, 6)
  await until('their breakers are open', async () => (await gateway.post(path, {})).reason === 'BreakerOpen')
})

test('while an endpoint passes, one that fails its checks gets its own message and no calls of a prefix', { timeout: 300_000 }, async () => {
  await using a = await startOrigin(ok('a'))
  await using b = await startOrigin(ok('b'))
  await using gateway = await startGateway(config({ prefixes: { '/web/*': { upstream: 'web' } } }))
  await put(gateway, 'service/register', { ID: 'web-a', Name: 'web', Address: '127.0.0.1', Port: a.port, Meta: { messages: 'OnlyA' }, Check: { TTL: '1h', Status: 'passing' } })
  await put(gateway, 'service/register', { ID: 'web-b', Name: 'web', Address: '127.0.0.1', Port: b.port, Meta: { messages: 'OnlyB' }, Check: { TTL: '1h', Status: 'critical' } })
  for (const name of ['OnlyA', 'OnlyB']) await gateway.waitForRoute(name)
  await until('both messages are called', async () => (await gateway.get('/json/reply/OnlyA')).text() === 'a' && (await gateway.get('/json/reply/OnlyB')).text() === 'b')
  for (let n = 0; n < 10; n++) assert.equal((await gateway.get('/web/page')).text(), 'a')
  const { registrations, prefixes } = await gateway.api('routes') as { registrations: Array<{ registration: string, why: string }>, prefixes: Array<{ path: string, endpoints: number }> }
  assert.equal(registrations.find(({ registration }) => registration === 'web-b')?.why, 'Routed although its checks fail: no passing endpoint has its messages.')
  assert.equal(prefixes.find(({ path }) => path === '/web/*')?.endpoints, 1)
})
