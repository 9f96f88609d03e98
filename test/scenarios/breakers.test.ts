// Breakers of messages and upstreams through the whole gateway: what opens them, what is answered meanwhile, and what operators do by hand.
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { startOrigins } from '../support/fleet.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { request, targetOf } from '../support/http-client.ts'
import * as behave from '../support/origin.ts'
import { startServices } from '../support/services.ts'
import { until } from '../support/until.ts'

const echo = '/json/reply/Echo'
const other = '/json/reply/Other'
/** In turn, but for one or two that are out of order when a new table comes: nothing here may rest on whose turn it is. */
const inTurn = { balancing: { slowStartMs: 0 }, policy: { balancer: { strategy: 'round-robin' as const } } }
describe('a broken message', { timeout: 900_000 }, () => {
  test('opens its own breaker and closes nothing else; it is back when it works again', async () => {
    await using fleet = await startOrigins([behave.byPath({ [echo]: behave.ok('', { status: 500, reason: 'InvalidOperationException' }) }, behave.ok('other'))], { upstreams: { origin: { breaker: { resetTimeoutMs: 300, rampMs: 0 } } } })
    const { gateway, origin } = fleet
    // Between two that are refused there may be a trial.
    const answer = await until('the breaker of the message is open', async () => {
      const now = await gateway.post(echo, {})
      return now.reason === 'BreakerOpen' && now
    })
    assert.equal(answer.status, 503)
    assert.equal(answer.header('retry-after'), '1')
    for (let n = 0; n < 5; n++) assert.equal((await gateway.post(other, {})).text(), 'other')
    assert.equal(await gateway.metric('postern_breaker_state', { endpoint: origin.url }), 0)
    origin.behave(behave.ok('mended'))
    await until('it is answered again', async () => (await gateway.post(echo, {})).status === 200)
  })

  for (const instances of [2, 3]) {
    for (const [what, broken] of [['answers 503', behave.ok('', { status: 503, reason: 'Broken' })], ['resets', behave.reset()], ['garbles', behave.raw('no HTTP\r\n\r\n', { close: true })]] as const) {
      test(`that ${what} at each of ${instances} instances, tried at one after the other, closes none of them`, async () => {
        const one = behave.byPath({ [echo]: broken }, behave.ok('other'))
        await using fleet = await startOrigins(Array.from({ length: instances }, () => one), { upstreams: { origin: { breaker: { resetTimeoutMs: 600_000, windowMs: 120_000 }, policy: { balancer: { strategy: 'round-robin' } } } } })
        const { gateway } = fleet
        for (let n = 0; n < 40; n++) {
          await gateway.get(echo)
          assert.equal((await gateway.get(other)).text(), 'other')
        }
        assert.equal((await gateway.get(echo)).reason, 'BreakerOpen')
        assert.equal(await gateway.metric('postern_breaker_state'), 0)
      })
    }
  }

  for (const status of [500, 503]) {
    test(`that two of four instances answer with ${status} is left to their breakers`, async () => {
      const down = behave.ok('', { status, reason: 'Down' })
      await using fleet = await startOrigins([down, behave.ok('well'), down, behave.ok('well')], { upstreams: { origin: { balancing: inTurn.balancing, breaker: { resetTimeoutMs: 600_000, windowMs: 120_000 }, policy: { ...inTurn.policy, messageBreaker: { enabled: false } } } } })
      const { gateway, origins: [first, , third] } = fleet
      const state = async (url: string) => await gateway.metric('postern_breaker_state', { endpoint: url })
      await until('both are out', async () => {
        await gateway.post(echo, {})
        return await state(first!.url) === 2 && await state(third!.url) === 2
      })
      for (let n = 0; n < 10; n++) assert.equal((await gateway.post(echo, {})).text(), 'well')
    })
  }

  test('that answers 500 at each of two instances opens its own breaker and neither of theirs', async () => {
    const one = behave.byPath({ [echo]: behave.ok('', { status: 500, reason: 'Broken' }) }, behave.ok('other'))
    await using fleet = await startOrigins([one, one], { upstreams: { origin: { ...inTurn, breaker: { resetTimeoutMs: 600_000, windowMs: 120_000 } } } })
    const { gateway, origins } = fleet
    await until('its breaker is open', async () => (await gateway.post(echo, {})).reason === 'BreakerOpen')
    for (const { url } of origins) assert.equal(await gateway.metric('postern_breaker_state', { endpoint: url }), 0)
    assert.ok(origins.every(({ received }) => received.length > 0))
    for (let n = 0; n < 10; n++) assert.equal((await gateway.post(other, {})).text(), 'other')
  })

  test('that answers 500 at one of three is left alone, and so is the instance for the others', async () => {
    const half = behave.byPath({ [echo]: behave.ok('', { status: 500, reason: 'Broken' }) }, behave.ok('other'))
    await using fleet = await startOrigins([half, behave.ok('well'), behave.ok('well')], { upstreams: { origin: { ...inTurn, breaker: { resetTimeoutMs: 600_000, windowMs: 120_000 } } } })
    const { gateway, origin } = fleet
    const answers: string[] = []
    // Whole rounds of both: a quarter of what the instance gets is the broken message.
    for (let n = 0; n < 20; n++) {
      for (const path of [echo, other, other, other]) {
        for (let turn = 0; turn < 3; turn++) {
          const { status, reason } = await gateway.post(path, {})
          answers.push(`${status} ${reason}`)
        }
      }
    }
    assert.deepEqual([...new Set(answers)].toSorted(), ['200 OK', '500 Broken'])
    assert.ok(answers.filter(answer => answer === '500 Broken').length >= 15)
    assert.equal(await gateway.metric('postern_breaker_state', { endpoint: origin.url }), 0)
    assert.equal(await gateway.metric('postern_message_breaker_state', { message: 'Echo' }), 0)
  })

  for (const status of [500, 503]) {
    test(`that answers ${status} at one of two instances does not take it from a message that only it has`, async () => {
      const half = behave.byPath({ [echo]: behave.ok('', { status, reason: 'Broken' }) }, behave.ok('only'))
      await using service = await startServices([{ messages: ['Echo', 'Only'], behaviour: half }, {}], { upstreams: { Orders: { ...inTurn, breaker: { resetTimeoutMs: 600_000, windowMs: 120_000 } } }, defaults: { policy: { cache: { mode: 'off' } } } })
      const { gateway, origins: [first] } = service
      let broken = 0
      for (let n = 0; n < 100; n++) {
        assert.equal((await gateway.post('/json/reply/Only', {})).text(), 'only')
        if ((await gateway.post(echo, {})).reason === 'Broken') broken++
      }
      assert.ok(broken >= 40, `${broken} of 100`)
      assert.equal(await gateway.metric('postern_breaker_state', { endpoint: first!.url }), 0)
    })
  }

  test('4xx opens nothing', async () => {
    await using fleet = await startOrigins([behave.ok('{}', { status: 404, reason: 'NotFound' })])
    for (let n = 0; n < 30; n++) assert.equal((await fleet.gateway.post(echo, {})).status, 404)
    assert.equal(await fleet.gateway.metric('postern_message_breaker_state'), 0)
  })
})

describe('an instance that answers 500 to everything, from its start', { timeout: 900_000 }, () => {
  const broken = behave.ok('', { status: 500, reason: 'Broken' })
  const breaker = { resetTimeoutMs: 300, rampMs: 0, windowMs: 60_000 }

  test('is taken out beside one that works, keeps no message from its callers, and is back when it is mended', async () => {
    await using fleet = await startOrigins([broken, behave.ok('well')], { upstreams: { origin: { ...inTurn, breaker } } })
    const { gateway, origin } = fleet
    const state = async () => await gateway.metric('postern_breaker_state', { endpoint: origin.url })
    const statuses: number[] = []
    await until('it is out', async () => {
      // Three calls, so that each message goes to both in turn.
      for (const path of [echo, other, other]) statuses.push((await gateway.post(path, {})).status)
      return await state() === 2
    })
    assert.ok(statuses.length <= 80, `${statuses.length} calls`)
    assert.deepEqual([...new Set(statuses)].toSorted(), [200, 500], 'no message has a breaker that is open')
    assert.ok(await gateway.metric('postern_attempts_total', { endpoint: origin.url, outcome: 'failure' }) >= 5)
    await until('only trials go there', async () => {
      const received = origin.received.length
      for (const path of [echo, other, other]) assert.ok([200, 500].includes((await gateway.post(path, {})).status))
      return origin.received.length === received
    })
    origin.behave(behave.ok('mended'))
    await until('it is back', async () => (await gateway.post(echo, {})).text() === 'mended' && await state() === 0)
  })

  test('is hardly called by the way calls are balanced, before its breaker has counted enough', async () => {
    const none = { breaker: { enabled: false }, policy: { messageBreaker: { enabled: false } } }
    await using fleet = await startOrigins([broken, behave.ok('well')], { upstreams: { origin: none } })
    let failed = 0
    for (let n = 0; n < 200; n++) if ((await fleet.gateway.post(echo, {})).status === 500) failed++
    assert.ok(failed <= 40, `${failed} of 200`)
  })

  test('does not show to callers of what is safe, where postern.yaml says that a 500 is tried again', async () => {
    const policy = { ...inTurn.policy, retry: { statuses: [500], backoffMs: 0 } }
    await using fleet = await startOrigins([broken, behave.ok('well')], { upstreams: { origin: { ...inTurn, breaker: { resetTimeoutMs: 600_000, windowMs: 120_000 }, retryBudget: { percent: 100, perSecond: 100 }, policy } } })
    const { gateway, origin } = fleet
    await until('it is out', async () => {
      assert.equal((await gateway.get(echo)).text(), 'well')
      return await gateway.metric('postern_breaker_state', { endpoint: origin.url }) === 2
    })
    assert.ok(origin.received.length >= 10)
  })
})

describe('a service all of whose messages answer 500', { timeout: 900_000 }, () => {
  const broken = behave.ok('', { status: 500, reason: 'Broken' })
  const names = Array.from({ length: 30 }, (_, n) => `Message${n}`)
  const messages = Object.fromEntries(names.map(name => [name, { upstream: 'origin' }]))
  const round = async (gateway: TestGateway) => { for (const name of names) await gateway.post(`/json/reply/${name}`, {}) }
  const state = async (gateway: TestGateway) => await gateway.metric('postern_message_breaker_state', { upstream: 'origin', message: '' })

  for (const instances of [1, 2]) {
    test(`is not called any more, though no message of it failed often: ${instances} of ${instances} instances`, async () => {
      await using fleet = await startOrigins(Array.from({ length: instances }, () => behave.ok()), { upstreams: { origin: { breaker: { resetTimeoutMs: 600_000, windowMs: 120_000 } } }, messages })
      const { gateway, origins } = fleet
      const received = () => origins.reduce((sum, { received }) => sum + received.length, 0)
      await round(gateway)
      for (const origin of origins) origin.behave(broken)
      const before = received()
      for (let n = 0; n < 9; n++) await round(gateway)
      assert.ok(received() - before <= 90, `${received() - before} of 270`)
      assert.equal((await gateway.post(echo, {})).reason, 'BreakerOpen')
    })
  }

  test('is back when it is mended but for one message, whichever is tried', async () => {
    await using fleet = await startOrigins([broken], { upstreams: { origin: { breaker: { windowMs: 4_000, resetTimeoutMs: 300, rampMs: 0 } } }, messages })
    const { gateway, origin } = fleet
    await until('its breaker is open', async () => {
      await round(gateway)
      return await state(gateway) === 2
    })
    origin.behave(behave.byPath({ [echo]: broken }, behave.ok('mended')))
    await until('its breaker is closed, with nothing but that message called', async () => {
      await gateway.post(echo, {})
      return await state(gateway) === 0
    })
    assert.equal((await gateway.post(other, {})).text(), 'mended')
  })
})

test('thresholds are a message\'s own where it has some, and follow a reload', { timeout: 900_000 }, async () => {
  const brittle = (consecutiveFailures: number) => ({ upstreams: {}, messages: { Echo: { upstream: 'origin', policy: { cache: { mode: 'off' as const }, messageBreaker: { consecutiveFailures, resetTimeoutMs: 600_000 } } } } })
  await using fleet = await startOrigins([behave.ok('', { status: 500, reason: 'Broken' })], brittle(3))
  const { gateway, origin } = fleet
  const reasons = async (path: string, calls: number) => {
    const found: string[] = []
    for (let n = 0; n < calls; n++) found.push((await gateway.post(path, {})).reason)
    return found
  }
  assert.deepEqual(await reasons(echo, 5), ['Broken', 'Broken', 'Broken', 'BreakerOpen', 'BreakerOpen'])
  assert.ok(Number((await gateway.post(echo, {})).header('retry-after')) > 300)
  assert.deepEqual(await reasons(other, 5), Array.from({ length: 5 }, () => 'Broken'))
  const { upstreams, messages } = brittle(5)
  await gateway.reload({ upstreams: { ...upstreams, origin: { endpoints: [origin.url] } }, messages: { ...messages, Other: { upstream: 'origin' } } })
  assert.deepEqual(await reasons(echo, 6), [...Array.from({ length: 5 }, () => 'Broken'), 'BreakerOpen'])
})

describe('who waits in the queue when a breaker opens', { timeout: 900_000 }, () => {
  const patient = { queueTimeoutMs: 30_000, deadlineMs: 40_000, headersTimeoutMs: 40_000, cache: { mode: 'off' as const } }
  const queue = { bulkhead: { maxConcurrent: 2, maxQueue: 10 }, policy: patient }

  test('by hand: those of its message are answered at once, fixed body or 503; the others keep their place', async () => {
    await using fleet = await startOrigins([behave.hang()], { upstreams: { origin: queue }, messages: { Degraded: { upstream: 'origin', policy: { degraded: { body: 'reduced', status: 203 } } } } })
    const { gateway, origin } = fleet
    const holders = [gateway.post(other, {}), gateway.post(other, {})]
    await until('the slots are taken', () => origin.received.length === 2)
    const waiting = [gateway.post(echo, {}), gateway.post(echo, {}), gateway.post('/json/reply/Degraded', {})]
    const patients = gateway.post(other, {})
    const queued = async (calls: number) => await until(`${calls} wait`, async () => await gateway.metric('postern_queue', { upstream: 'origin' }) === calls)
    await queued(4)
    for (const message of ['Echo', 'Degraded']) await gateway.tell('/api/breakers/hold', { upstream: 'origin', message, held: 'open', reason: 'table locked', by: 'ann', forMs: 3_600_000 })
    const [first, second, degraded] = await Promise.all(waiting)
    for (const answer of [first!, second!]) {
      assert.deepEqual([answer.status, answer.reason], [503, 'BreakerOpen'])
      assert.equal(answer.header('retry-after'), '60')
    }
    assert.deepEqual([degraded!.status, degraded!.text()], [203, 'reduced'])
    await queued(1)
    await gateway.tell('/api/breakers/hold', { upstream: 'origin', held: 'open', reason: 'all of it', by: 'ann' })
    assert.equal((await patients).reason, 'BreakerOpen')
    assert.equal(origin.received.length, 2, 'nothing of it was sent')
    await origin.server.kill()
    await Promise.all(holders)
  })

  test('of all its endpoints: nobody waits who could only be told at his turn that there is none, and nobody begins to', async () => {
    await using fleet = await startOrigins([behave.hang(), behave.hang()], { upstreams: { origin: queue } })
    const { gateway, origins } = fleet
    const holders = [gateway.post(echo, {}), gateway.post(echo, {})]
    const received = () => origins.reduce((sum, { received }) => sum + received.length, 0)
    await until('the slots are taken', () => received() === 2)
    const waiting = [gateway.post(echo, {}), gateway.post(other, {})]
    const queued = async () => await gateway.metric('postern_queue', { upstream: 'origin' })
    await until('two wait', async () => await queued() === 2)
    const holdOpen = async (endpoint: string) => { await gateway.tell('/api/breakers/hold', { upstream: 'origin', endpoint, held: 'open', reason: 'disk full', by: 'ann' }) }
    await holdOpen(origins[0]!.url)
    assert.equal(await queued(), 2, 'one is left')
    await holdOpen(origins[1]!.url)
    for (const answer of await Promise.all(waiting)) assert.deepEqual([answer.status, answer.reason], [503, 'BreakerOpen'])
    assert.equal((await gateway.post(echo, {})).reason, 'BreakerOpen', 'the slots are still taken')
    assert.equal(received(), 2)
    await Promise.all(origins.map(async ({ server }) => { await server.kill() }))
    await Promise.all(holders)
  })

  test('by itself: a message that hangs, counted while its calls are under way', async () => {
    await using fleet = await startOrigins([behave.ok()], { upstreams: { origin: queue }, messages: { Echo: { upstream: 'origin', policy: { messageBreaker: { consecutiveFailures: 2, slowCallMs: 2_000, resetTimeoutMs: 600_000 } } } } })
    const { gateway, origin } = fleet
    for (let n = 0; n < 5; n++) assert.equal((await gateway.post(echo, {})).status, 200)
    origin.behave(behave.hang())
    const holders = [gateway.post(echo, {}), gateway.post(echo, {})]
    await until('the slots are taken', () => origin.received.length === 7)
    const waiting = await Promise.all(Array.from({ length: 4 }, async () => await gateway.post(echo, {})))
    assert.deepEqual(waiting.map(({ reason }) => reason), Array.from({ length: 4 }, () => 'BreakerOpen'))
    assert.equal(origin.received.length, 7)
    await origin.server.kill()
    await Promise.all(holders)
  })
})

test('a service that becomes slow is not waited for: its breaker opens on calls under way, and it is served soon after it recovers', { timeout: 900_000 }, async () => {
  await using fleet = await startOrigins([behave.ok('fast')], { defaults: { policy: { messageBreaker: { slowCallMs: 300 }, headersTimeoutMs: 120_000, deadlineMs: 120_000 } } })
  const { gateway, origin } = fleet
  for (let n = 0; n < 10; n++) assert.equal((await gateway.post(echo, {})).status, 200)
  origin.behave(behave.hang())
  const waiting = Array.from({ length: 25 }, async () => await gateway.post(echo, {}, { timeoutMs: 120_000 }))
  await until('the breaker is open, long before any time-out', async () => await gateway.metric('postern_message_breaker_state', { message: 'Echo' }) === 2)
  origin.behave(behave.ok('fast'))
  await until('it is served again, while the first still wait', async () => (await gateway.post(echo, {}, { timeoutMs: 120_000 })).status === 200)
  await origin.server.kill()
  await Promise.allSettled(waiting)
})

test('a service that only paused is served at once when what it was asked meanwhile is answered', { timeout: 900_000 }, async () => {
  await using fleet = await startOrigins([behave.ok()], { defaults: { breaker: { resetTimeoutMs: 600_000, consecutiveFailures: 5 }, policy: { messageBreaker: { slowCallMs: 2_000 }, headersTimeoutMs: 120_000, deadlineMs: 120_000 } } })
  const { gateway, origin } = fleet
  for (let n = 0; n < 10; n++) assert.equal((await gateway.post(echo, {})).status, 200)
  const pause = Promise.withResolvers<void>()
  origin.behave(async request => {
    await pause.promise
    await behave.ok()(request)
  })
  const waiting = Array.from({ length: 12 }, async () => (await gateway.post(echo, {}, { timeoutMs: 120_000 })).status)
  await until('the breaker is open', async () => await gateway.metric('postern_message_breaker_state', { message: 'Echo' }) === 2)
  assert.equal((await gateway.post(echo, {})).reason, 'BreakerOpen')
  pause.resolve()
  assert.deepEqual(await Promise.all(waiting), Array.from({ length: 12 }, () => 200))
  for (let n = 0; n < 20; n++) assert.equal((await gateway.post(echo, {})).status, 200)
})

test('an endpoint that nobody calls is asked itself, and its breaker closes', { timeout: 900_000 }, async () => {
  const breaker = { windowMs: 5_000, resetTimeoutMs: 200, askIdleMs: 200, rampMs: 0 }
  await using fleet = await startOrigins([behave.ok('', { status: 502, reason: 'Bad' })], { upstreams: { origin: { breaker, livenessPath: '/alive' } }, defaults: { policy: { messageBreaker: { enabled: false } } } })
  const { gateway, origin } = fleet
  const state = async () => await gateway.metric('postern_breaker_state', { endpoint: origin.url })
  await until('both messages fail, so it is the endpoint', async () => {
    await gateway.post(echo, {})
    await gateway.post(other, {})
    return await state() !== 0
  })
  const received = origin.received.length
  await until('it is closed without a call', async () => await state() === 0)
  // The double answers Postern's own questions apart from calls.
  assert.equal(origin.received.length, received)
})

test('503 with Retry-After pauses the endpoint, bounded; 429 does not', { timeout: 900_000 }, async () => {
  const busy = (status: number) => behave.ok('', { status, reason: 'Busy', headers: [['Retry-After', '600']] })
  await using fleet = await startOrigins([busy(429)], { upstreams: { origin: { breaker: { maxPauseMs: 5_000 } } } })
  const { gateway, origin } = fleet
  assert.equal((await gateway.post(echo, {})).status, 429)
  assert.equal((await gateway.post(echo, {})).status, 429)
  origin.behave(busy(503))
  assert.equal((await gateway.post(echo, {})).reason, 'Busy')
  assert.equal((await gateway.post(other, {})).reason, 'BreakerOpen')
  origin.behave(behave.ok('rested'))
  await until('the pause is over', async () => (await gateway.post(other, {})).status === 200)
})

test('429 pauses the endpoint where postern.yaml says so', { timeout: 900_000 }, async () => {
  await using fleet = await startOrigins([behave.ok('', { status: 429, reason: 'Busy', headers: [['Retry-After', '600']] })], { upstreams: { origin: { breaker: { pauseStatuses: [429, 503], maxPauseMs: 600_000 } } } })
  assert.equal((await fleet.gateway.post(echo, {})).status, 429)
  const refused = await fleet.gateway.post(other, {})
  assert.equal(refused.reason, 'BreakerOpen')
  assert.ok(Number(refused.header('retry-after')) > 300)
  assert.equal(fleet.origin.received.length, 1)
})

describe('by hand', { timeout: 900_000 }, () => {
  test('held open it gets nothing, held closed it never opens; released it is itself again', async () => {
    await using fleet = await startOrigins([behave.ok('fine')])
    const { gateway, origin } = fleet
    const target = { upstream: 'origin', message: 'echo' }
    assert.equal((await gateway.tell('/api/breakers/hold', { ...target, held: 'open', reason: 'table locked', by: 'ann', forMs: 600_000 })).status, 200)
    const received = origin.received.length
    assert.equal((await gateway.post(echo, {})).reason, 'BreakerOpen')
    assert.equal((await gateway.post(other, {})).status, 200)
    assert.equal(origin.received.length, received + 1)
    assert.equal(await gateway.metric('postern_breakers_held', { held: 'open' }), 1)
    assert.deepEqual((await gateway.tell('/api/breakers/release', target)).json(), { released: { upstream: 'origin', message: 'Echo' }, wasHeld: true })
    assert.equal((await gateway.post(echo, {})).status, 200)
    await gateway.tell('/api/breakers/hold', { ...target, held: 'closed', reason: 'we know', by: 'ann' })
    origin.behave(behave.ok('', { status: 500, reason: 'Broken' }))
    for (let n = 0; n < 30; n++) assert.equal((await gateway.post(echo, {})).status, 500)
  })

  test('ends by itself', async () => {
    await using fleet = await startOrigins([behave.ok('fine')])
    await fleet.gateway.tell('/api/breakers/hold', { upstream: 'origin', held: 'open', reason: 'short', by: 'ann', forMs: 6_000 })
    assert.equal((await fleet.gateway.post(echo, {})).reason, 'BreakerOpen')
    await until('the hold is over', async () => (await fleet.gateway.post(echo, {})).status === 200)
  })

  test('survives a restart, and a file that cannot be read stops nobody', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'postern-holds-'))
    try {
      await using origin = await behave.startOrigin(behave.ok('fine'))
      const forMs = 3_600_000
      let untilBefore: unknown
      const holdsOf = async (gateway: TestGateway) => ((await request(targetOf(gateway.admin), '/api/breakers')).json() as { holds: Array<Record<string, unknown>> }).holds
      const config = { dataDirectory: directory, upstreams: { origin: { endpoints: [origin.url] } }, messages: { Echo: { upstream: 'origin' } } }
      {
        await using gateway = await startGateway(config)
        await gateway.waitForRoute('Echo')
        const told = await gateway.tell('/api/breakers/hold', { upstream: 'origin', message: 'Echo', held: 'open', reason: 'table locked', by: 'ann', forMs })
        assert.deepEqual([told.status, told.json().outlivesRestart], [200, true])
        assert.match(await readFile(join(directory, 'breaker-holds.json'), 'utf8'), /table locked/, 'on disk when it is answered')
        untilBefore = (await holdsOf(gateway))[0]!['until']
        const leftMs = Date.parse(String(untilBefore)) - Date.now()
        assert.ok(leftMs > forMs / 2 && leftMs <= forMs, String(untilBefore))
      }
      {
        await using gateway = await startGateway(config)
        await gateway.waitForRoute('Echo')
        assert.equal((await gateway.post(echo, {})).reason, 'BreakerOpen')
        const holds = (await holdsOf(gateway)).map(({ upstream, message, held, reason, by, until }) => ({ upstream, message, held, reason, by, until }))
        assert.deepEqual(holds, [{ upstream: 'origin', message: 'Echo', held: 'open', reason: 'table locked', by: 'ann', until: untilBefore }])
      }
      await writeFile(join(directory, 'breaker-holds.json'), '{"version":1,"holds":[{}]}')
      await using gateway = await startGateway(config)
      await gateway.waitForRoute('Echo')
      assert.equal((await gateway.post(echo, {})).status, 200)
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })

  test('what cannot be held is said', async () => {
    await using fleet = await startOrigins([behave.ok()])
    const status = async (body: object) => (await fleet.gateway.tell('/api/breakers/hold', body)).status
    const whole = { upstream: 'origin', held: 'open', reason: 'r', by: 'b' }
    assert.deepEqual(await Promise.all([
      status({ ...whole, upstream: 'nobody' }), status({ ...whole, message: 'Nothing' }), status({ ...whole, endpoint: 'http://127.0.0.1:1' }),
      status({ ...whole, reason: ' ' }), status({ ...whole, held: 'ajar' }), status({ ...whole, forMs: -1 })
    ]), [404, 404, 404, 400, 400, 400])
  })
})
