// What is stored goes out in place of a refusal: on shed load, open breakers of every kind, by themselves and by hand, and full bulkheads. Marked as stale.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import { requestBytes, type RawResponse } from '../support/http-client.ts'
import * as behave from '../support/origin.ts'
import { until } from '../support/until.ts'

const stored = '/json/reply/GetReport?Id=1'
const other = '/json/reply/GetReport?Id=2'
const broken = behave.ok('broken', { status: 502, reason: 'Bad' })
/** Stale at once, and good for an hour where the service cannot answer. */
const report = behave.ok('{"report":1}', { headers: [['Content-Type', 'application/json'], ['Cache-Control', 'max-age=0, stale-if-error=3600']] })
const endless = { resetTimeoutMs: 600_000 }

interface Served extends AsyncDisposable { readonly gateway: TestGateway, readonly origin: behave.Origin }

/** A gateway with one service that has GetReport (sheddable, with a fixed degraded answer) and PlaceOrder, and the answer to `stored` in its cache. */
async function serving (upstream: object = {}, policy: object = {}, more: PartialConfig = {}): Promise<Served> {
  const stack = new AsyncDisposableStack()
  try {
    const origin = stack.use(await behave.startOrigin(report))
    const gateway = stack.use(await startGateway({
      upstreams: { shop: { endpoints: [origin.url], policy: { messageBreaker: { slowCallMs: 60_000 } }, ...upstream } },
      messages: {
        GetReport: { upstream: 'shop', policy: { attempts: 1, priority: 'sheddable', degraded: { on: ['BreakerOpen', 'BulkheadFull', 'QueueTimeout', 'Overloaded'], status: 203, body: 'nothing stored' }, ...policy } },
        PlaceOrder: { upstream: 'shop', policy: { attempts: 1, ...policy } }
      },
      ...more
    } as PartialConfig))
    await gateway.waitForEndpoint(origin.url)
    assert.equal((await gateway.get(stored)).status, 200)
    const owned = stack.move()
    return { gateway, origin, [Symbol.asyncDispose]: async () => { await owned.disposeAsync() } }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

const isStale = ({ status, header, text }: RawResponse): boolean =>
  status === 200 && /^Postern; hit; ttl=-?\d+; detail=stale-if-error$/.test(header('cache-status') ?? '') && Number(header('age')) >= 0 && text() === '{"report":1}'

/** What the log says of an answer. */
const lineOf = async (gateway: TestGateway, { header }: RawResponse): Promise<Record<string, unknown>> =>
  await until('it is in the log', async () => (await gateway.log()).find(line => line['msg'] === 'exchange' && line['correlationId'] === header('x-mac-requestid')))

/** The stored answer goes out, marked, and says what it stands in for; what is not stored is answered as the policy says; and nothing of it reaches the service. */
async function assertStale ({ gateway, origin }: Served, error: string, detail: Readonly<Record<string, unknown>> = {}): Promise<void> {
  const received = origin.received.length
  const answer = await gateway.get(stored)
  assert.ok(isStale(answer), `${answer.statusLine} ${answer.header('cache-status')} ${answer.text()}`)
  assert.match(answer.header('proxy-status') ?? '', new RegExp(`details="${error}[ "]`))
  const line = await lineOf(gateway, answer)
  assert.deepEqual([line['cache'], line['degradedBy']], ['stale', error])
  for (const [field, value] of Object.entries(detail)) assert.equal((line['detail'] as Record<string, unknown>)[field], value, field)
  const instead = await gateway.get(other)
  assert.deepEqual([instead.status, instead.text()], [203, 'nothing stored'])
  assert.equal(origin.received.length, received)
  assert.ok(await gateway.metric('postern_cache_requests_total', { result: 'stale' }) > 0)
}

describe('a stored answer goes before a refusal', { timeout: 300_000 }, () => {
  for (const [name, target] of [['an endpoint', { endpoint: true }], ['an upstream', {}], ['a message', { message: 'GetReport' }]] as const) {
    test(`the breaker of ${name}, held open by hand`, async () => {
      await using served = await serving()
      const { gateway, origin } = served
      const body = { upstream: 'shop', ...target, ...'endpoint' in target ? { endpoint: origin.url } : {}, held: 'open', reason: 'test', by: 'me' }
      const held = await gateway.tell('/api/breakers/hold', body)
      assert.equal(held.status, 200, held.text())
      await assertStale(served, 'BreakerOpen', { held: true })
    })
  }

  test('the breaker of an endpoint and of its upstream that opened by themselves', async () => {
    await using served = await serving({ breaker: { consecutiveFailures: 3, ...endless } })
    const { gateway, origin } = served
    origin.behave(broken)
    await until('they are open', async () => {
      await gateway.get(other)
      await gateway.post('/json/reply/PlaceOrder', {})
      return await gateway.metric('postern_breaker_state', { endpoint: origin.url }) === 2
    })
    await assertStale(served, 'BreakerOpen', { held: false })
  })

  test('the breaker of a message that opened by itself', async () => {
    await using served = await serving({}, { messageBreaker: { consecutiveFailures: 3, ...endless } })
    const { gateway, origin } = served
    origin.behave(behave.ok('broken', { status: 500, reason: 'Broken' }))
    await until('it is open', async () => {
      await gateway.get(other)
      return await gateway.metric('postern_message_breaker_state', { message: 'GetReport' }) === 2
    })
    await assertStale(served, 'BreakerOpen', { scope: 'message' })
  })

  test('a pause that the endpoint asked for', async () => {
    await using served = await serving({ breaker: { maxPauseMs: 60_000 } })
    served.origin.behave(behave.ok('', { status: 503, reason: 'Busy', headers: [['Retry-After', '60']] }))
    assert.equal((await served.gateway.post('/json/reply/PlaceOrder', {})).status, 503)
    await assertStale(served, 'BreakerOpen')
  })

  for (const [name, limits, policy, error, detail] of [
    ['full, its queue too', { maxConcurrent: 1, maxQueue: 0 }, {}, 'BulkheadFull', { limit: 'maxQueue', value: 0, inFlight: 1 }],
    ['full, and the wait in its queue over', { maxConcurrent: 1, maxQueue: 10 }, { queueTimeoutMs: 50 }, 'QueueTimeout', { limit: 'queueTimeoutMs', value: 50, inFlight: 1 }]
  ] as const) {
    test(`a bulkhead that is ${name}`, async () => {
      await using served = await serving({ bulkhead: limits }, policy)
      const { gateway, origin } = served
      origin.behave(behave.hang())
      using holder = await gateway.connect()
      const received = origin.received.length
      holder.send(requestBytes('x', '/json/reply/PlaceOrder', { method: 'POST', headers: [['Content-Type', 'application/json']], body: '{}' }))
      await until('the slot is taken', () => origin.received.length > received)
      await assertStale(served, error, detail)
    })
  }

  test('a place in the queue that a higher class takes', async () => {
    const patient = { queueTimeoutMs: 30_000, deadlineMs: 40_000, headersTimeoutMs: 40_000 }
    await using served = await serving({ bulkhead: { maxConcurrent: 1, maxQueue: 1 } }, patient)
    const { gateway, origin } = served
    origin.behave(behave.hang())
    const order = requestBytes('x', '/json/reply/PlaceOrder', { method: 'POST', headers: [['Content-Type', 'application/json']], body: '{}' })
    using holder = await gateway.connect()
    using higher = await gateway.connect()
    const received = origin.received.length
    holder.send(order)
    await until('the slot is taken', () => origin.received.length > received)
    const displaced = gateway.get(stored)
    await until('it waits', async () => await gateway.metric('postern_queue', { upstream: 'shop' }) === 1)
    higher.send(order)
    assert.ok(isStale(await displaced))
    await gateway.metricBecomes('postern_bulkhead_rejections_total', 1, { limit: 'displaced', priority: 'sheddable' })
  })

  test('shed load', async () => {
    // 1 % of the heap is 40 MB: sheddable messages are refused from there on, the next class from a third of the heap on.
    const ballast = Array.from({ length: 3_000_000 }, (_, n) => ({ n }))
    await using served = await serving({}, {}, { shedding: { eventLoopDelayMs: 0, heapPercent: 99 } })
    const { gateway, origin } = served
    await gateway.reload({
      upstreams: { shop: { endpoints: [origin.url] } },
      messages: { GetReport: { upstream: 'shop', policy: { priority: 'sheddable', degraded: { on: ['Overloaded'], status: 203, body: 'nothing stored' } } }, PlaceOrder: { upstream: 'shop' } },
      shedding: { eventLoopDelayMs: 0, heapPercent: 1 }
    })
    await until('the level', async () => await gateway.metric('postern_shed_level') === 1)
    await assertStale(served, 'Overloaded')
    assert.equal((await gateway.post('/json/reply/PlaceOrder', {})).status, 200)
    assert.equal(ballast.length, 3_000_000)
  })

  test('an error of the service itself is named by its status, to those who waited with others too', async () => {
    await using served = await serving({}, { attempts: 1 })
    const { gateway, origin } = served
    origin.behave(broken)
    for (const answer of await Promise.all([gateway.get(stored), gateway.get(stored)])) {
      assert.ok(isStale(answer))
      assert.match(answer.header('proxy-status') ?? '', /; received-status=502$/)
      assert.equal((await lineOf(gateway, answer))['degradedBy'], '502')
    }
  })

  test('by the operator\'s word where the origin says nothing of errors', async () => {
    await using origin = await behave.startOrigin(behave.ok('{"report":1}', { headers: [['Cache-Control', 'max-age=0'], ['ETag', '"1"']] }))
    await using gateway = await startGateway({ upstreams: { shop: { endpoints: [origin.url] } }, messages: { GetReport: { upstream: 'shop', policy: { cache: { stale: { ifErrorMs: 60_000 } } } } } } as PartialConfig)
    await gateway.waitForEndpoint(origin.url)
    assert.equal((await gateway.get(stored)).status, 200)
    await gateway.tell('/api/breakers/hold', { upstream: 'shop', held: 'open', reason: 'test', by: 'me' })
    assert.ok(isStale(await gateway.get(stored)))
    assert.equal((await gateway.get(other)).reason, 'BreakerOpen')
  })
})
