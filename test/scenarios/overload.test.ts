// What gives way when there is more to do than can be done: through a whole gateway.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { startOrigins } from '../support/fleet.ts'
import { requestBytes } from '../support/http-client.ts'
import * as behave from '../support/origin.ts'
import { until } from '../support/until.ts'

const path = '/json/reply/Echo'
const code = (response: { json (): { responseStatus: { errorCode: string } } }) => response.json().responseStatus.errorCode

describe('priorities', { timeout: 900_000 }, () => {
  test('a full queue lets a critical message in for a sheddable one, and says so everywhere', async () => {
    await using fleet = await startOrigins([behave.hang()], {
      upstreams: { origin: { bulkhead: { maxConcurrent: 1, maxQueue: 1 }, policy: { queueTimeoutMs: 60_000, deadlineMs: 60_000, headersTimeoutMs: 60_000, messageBreaker: { slowCallMs: 60_000 } } } },
      messages: { Report: { upstream: 'origin', policy: { priority: 'sheddable' } }, Pay: { upstream: 'origin', policy: { priority: 'critical' } } }
    })
    using holder = await fleet.gateway.connect({ timeoutMs: 60_000 })
    holder.send(requestBytes('x', path))
    await until('the slot is taken', () => fleet.origin.received.length === 1)
    const report = fleet.gateway.get('/json/reply/Report', { timeoutMs: 60_000 })
    await until('it waits', async () => await fleet.gateway.metric('postern_queue', { upstream: 'origin' }) === 1)
    const pay = fleet.gateway.get('/json/reply/Pay', { timeoutMs: 60_000 })
    const refused = await report
    assert.equal(code(refused), 'BulkheadFull')
    const { gateway } = fleet
    const of = { upstream: 'origin' }
    // What the answer says, the counter beside its gauges says too.
    const gauges = async () => await Promise.all(['postern_queue', 'postern_queue_limit', 'postern_bulkhead_in_flight', 'postern_bulkhead_limit'].map(async name => await gateway.metric(name, of)))
    assert.deepEqual(await gauges(), [1, 1, 1, 1])
    assert.match(refused.header('proxy-status')!, /error=connection_limit_reached; details="BulkheadFull limit=maxQueue value=1 waitedFor=bulkhead slot full=maxConcurrent fullAt=1 inFlight=1 queued=1 priority=sheddable displacedBy=critical"$/)
    fleet.origin.behave(behave.ok('paid'))
    holder.close()
    assert.equal((await pay).text(), 'paid')
    await gateway.metricBecomes('postern_bulkhead_rejections_total', 1, { ...of, limit: 'displaced', priority: 'sheddable' })
    await until('nothing is held', async () => (await gauges()).join() === '0,1,0,1')
  })

  test('an endpoint at its limit gets nothing while another has room; with all full, exchanges wait', async () => {
    await using fleet = await startOrigins([behave.hang(), behave.hang()], { upstreams: { origin: { bulkhead: { maxPerEndpoint: 1, maxQueue: 1 }, policy: { queueTimeoutMs: 60_000, deadlineMs: 60_000, headersTimeoutMs: 60_000, messageBreaker: { slowCallMs: 60_000 } } } } })
    const connections = await Promise.all([1, 2, 3].map(async () => await fleet.gateway.connect({ timeoutMs: 60_000 })))
    try {
      for (const connection of connections.slice(0, 2)) connection.send(requestBytes('x', path))
      await until('one each', () => fleet.origins.every(({ received }) => received.length === 1))
      connections[2]!.send(requestBytes('x', path))
      await until('one waits', async () => await fleet.gateway.metric('postern_queue', { upstream: 'origin' }) === 1)
      const refused = await fleet.gateway.get(path)
      assert.match(refused.header('proxy-status')!, /full=maxPerEndpoint fullAt=1 inFlight=2 queued=1/)
      for (const { url } of fleet.origins) for (const name of ['postern_endpoint_in_flight', 'postern_endpoint_limit']) assert.equal(await fleet.gateway.metric(name, { endpoint: url }), 1)
      for (const origin of fleet.origins) origin.behave(behave.ok())
      connections[0]!.close()
      assert.equal((await connections[2]!.response()).status, 200, 'the place that came free')
    } finally {
      for (const connection of connections) connection.close()
    }
    await until('all places are free', async () => (await fleet.gateway.api('upstreams')).live.every((upstream: { endpoints: Array<{ seats: number }> }) => upstream.endpoints.every(({ seats }) => seats === 0)))
  })
})

test('a burst after a quiet time fills the queue and closes nothing: who finds room is served', { timeout: 900_000 }, async () => {
  await using fleet = await startOrigins([behave.ok()], { upstreams: { origin: { bulkhead: { maxConcurrent: 10, maxQueue: 10 }, breaker: { consecutiveFailures: 5, resetTimeoutMs: 10 }, policy: { queueTimeoutMs: 60_000, deadlineMs: 60_000, headersTimeoutMs: 60_000, messageBreaker: { slowCallMs: 60_000 } } } } })
  const { gateway, origin } = fleet
  const quietSinceMs = performance.now()
  await until('nothing was answered for longer than the breaker waits', () => performance.now() - quietSinceMs > 100)
  const open = Promise.withResolvers<void>()
  origin.behave(async request => {
    await open.promise
    await behave.ok()(request)
  })
  const burst = Array.from({ length: 45 }, async () => await gateway.post(path, {}, { timeoutMs: 60_000 }))
  await until('25 are turned away', async () => await gateway.metric('postern_bulkhead_rejections_total', { upstream: 'origin' }) === 25)
  open.resolve()
  const answers = await Promise.all(burst)
  assert.deepEqual([answers.filter(({ status }) => status === 200).length, answers.filter(answer => answer.status === 503 && code(answer) === 'BulkheadFull').length], [20, 25])
})

describe('shedding', { timeout: 900_000 }, () => {
  const messages = {
    Report: { upstream: 'origin', policy: { priority: 'sheddable' as const } },
    Pay: { upstream: 'origin', policy: { priority: 'critical' as const } }
  }

  test('an event loop that is late refuses by class, says why, and is over when it is not late any more', async () => {
    await using fleet = await startOrigins([behave.ok()], { messages, shedding: { eventLoopDelayMs: 40, heapPercent: 0 } })
    const { gateway, origin } = fleet
    await until('it is not late yet', async () => (await gateway.post('/json/reply/Report', {})).status === 200)
    const busy = setInterval(() => { for (const endAtMs = performance.now() + 90; performance.now() < endAtMs;); }, 1)
    const received = origin.received.length
    try {
      // As late as this only the first classes go; on a machine that is busy itself, perhaps all.
      const refused = await until('a sheddable message is refused', async () => {
        const answer = await gateway.post('/json/reply/Report', {})
        return answer.status === 503 && answer
      })
      assert.equal(code(refused), 'Overloaded')
      assert.ok(Number(refused.header('retry-after')) >= 1)
      assert.match(refused.header('proxy-status')!, /error=proxy_internal_response; details="Overloaded limit=eventLoopDelayMs value=40 measured=\d+ priority=sheddable"$/)
      assert.ok(await gateway.metric('postern_shed_level') >= 1)
      assert.ok(await gateway.metric('postern_shed_event_loop_delay_seconds') >= 0.04 * 0.7)
    } finally {
      clearInterval(busy)
    }
    await until('it is over', async () => (await gateway.post('/json/reply/Report', {})).status === 200, { timeoutMs: 30_000, everyMs: 50 })
    assert.ok(origin.received.length > received)
    await until('it is in the log', async () => (await gateway.log()).some(line => String(line['msg']).startsWith('overloaded')))
  })

  test('a heap that is full refuses by class; another configuration lifts it', async () => {
    // 1 % of the heap is 40 MB; normal messages are refused from a third of it on.
    const ballast = Array.from({ length: 3_000_000 }, (_, n) => ({ n }))
    await using fleet = await startOrigins([behave.ok()], { messages, shedding: { eventLoopDelayMs: 0, heapPercent: 1 } })
    const { gateway, origin } = fleet
    await until('the level', async () => await gateway.metric('postern_shed_level') === 1)
    const answers = await Promise.all(['Report', 'Echo', 'Pay'].map(async message => (await gateway.post(`/json/reply/${message}`, {})).reason))
    assert.deepEqual(answers, ['Overloaded', 'OK', 'OK'])
    assert.equal(origin.received.length, 2)
    await gateway.reload({ upstreams: { origin: { endpoints: [origin.url] } }, messages: { ...messages, Echo: { upstream: 'origin' } }, shedding: { eventLoopDelayMs: 0, heapPercent: 0 } })
    await until('it is over', async () => (await gateway.post('/json/reply/Report', {})).status === 200)
    assert.equal(ballast.length, 3_000_000)
  })
})

describe('the adaptive limit', { timeout: 900_000 }, () => {
  test('falls when answers take longer, and rises again when they do not; nobody is held back to measure', async () => {
    const answerAfter = (ms: number): behave.Behaviour => async request => { await sleep(ms); await behave.ok()(request) }
    await using fleet = await startOrigins([answerAfter(10)], { upstreams: { origin: { bulkhead: { maxConcurrent: 40, maxQueue: 200, adaptive: { enabled: true, minConcurrent: 4 } }, policy: { queueTimeoutMs: 20_000, deadlineMs: 40_000, messageBreaker: { enabled: false } } } } })
    const { gateway, origin } = fleet
    const limit = async () => await gateway.metric('postern_bulkhead_limit', { upstream: 'origin' })
    const calls = async (count: number) => { assert.deepEqual([...new Set((await Promise.all(Array.from({ length: count }, async () => await gateway.post(path, {})))).map(({ status }) => status))], [200]) }
    await until('it is whole', async () => {
      for (let n = 0; n < 20; n++) await calls(2)
      return await limit() === 40
    })
    origin.behave(answerAfter(400))
    const fallen = await until('the limit has fallen', async () => {
      await calls(40)
      const now = await limit()
      return now < 30 && now
    }, { timeoutMs: 120_000 })
    origin.behave(answerAfter(10))
    // How far depends on how evenly this machine answers; that it comes back whole is shown by the arithmetic's own tests.
    await until('it rises', async () => {
      await calls(20)
      return await limit() > fallen
    }, { timeoutMs: 120_000 })
  })
})
