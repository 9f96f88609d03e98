// What keeps one bad service from taking the site down: bulkhead, timeouts, deadline, breaker, retry, balancing, ejection.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { startOrigins } from '../support/fleet.ts'
import { startGateway } from '../support/gateway.ts'
import { requestBytes } from '../support/http-client.ts'
import * as behave from '../support/origin.ts'
import { until, within } from '../support/until.ts'

const path = '/json/reply/Echo'
const other = '/json/reply/Other'
const code = (response: { json (): { responseStatus: { errorCode: string } } }) => response.json().responseStatus.errorCode
/** Upstream settings of the fixed upstream of startOrigins. */
const origin = (settings: object) => ({ upstreams: { origin: settings } })
/** Each endpoint in turn, so that a test knows who is next. */
const inTurn = { balancer: { strategy: 'round-robin' } }

describe('bulkhead', { timeout: 900_000 }, () => {
  test('full: the queue holds its number, the rest is answered at once, and slots come back', async () => {
    await using fleet = await startOrigins([behave.hang()], origin({ bulkhead: { maxConcurrent: 2, maxQueue: 1 }, policy: { queueTimeoutMs: 60_000, headersTimeoutMs: 60_000, deadlineMs: 60_000, messageBreaker: { slowCallMs: 60_000 } } }))
    const connections = await Promise.all([1, 2, 3].map(async () => await fleet.gateway.connect({ timeoutMs: 60_000 })))
    try {
      for (const connection of connections.slice(0, 2)) connection.send(requestBytes('x', path))
      await until('two are under way', () => fleet.origin.received.length === 2)
      connections[2]!.send(requestBytes('x', path))
      await until('one waits', async () => await fleet.gateway.metric('postern_queue', { upstream: 'origin' }) === 1)
      const started = performance.now()
      const refused = await fleet.gateway.get(path)
      assert.ok(performance.now() - started < 9_000, 'at once')
      assert.equal(refused.status, 503)
      assert.equal(refused.reason, 'BulkheadFull')
      assert.equal(code(refused), 'BulkheadFull')
      assert.equal(refused.header('retry-after'), '1')
      fleet.origin.behave(behave.ok())
      connections[0]!.close() // The client leaving gives its slot to the one who waits.
      const waited = await connections[2]!.response()
      assert.equal(waited.status, 200)
      await fleet.gateway.metricBecomes('postern_rejections_total', 1, { reason: 'BulkheadFull' })
    } finally {
      for (const connection of connections) connection.close()
    }
    await until('all slots are free', async () => await fleet.gateway.metric('postern_in_flight') === 0)
  })

  test('a queue wait has its limit', async () => {
    await using fleet = await startOrigins([behave.hang()], origin({ bulkhead: { maxConcurrent: 1 }, policy: { queueTimeoutMs: 150 } }))
    using holder = await fleet.gateway.connect()
    holder.send(requestBytes('x', path))
    await until('the slot is taken', () => fleet.origin.received.length === 1)
    const response = await fleet.gateway.get(path)
    assert.equal(response.status, 503)
    assert.equal(code(response), 'QueueTimeout')
  })

  test('a slow body keeps its slot until it ends', async () => {
    await using fleet = await startOrigins([behave.stall()], origin({ bulkhead: { maxConcurrent: 1, maxQueue: 0 } }))
    using holder = await fleet.gateway.connect()
    holder.send(requestBytes('x', path))
    await holder.head()
    assert.equal(code(await fleet.gateway.get(path)), 'BulkheadFull')
    holder.close()
    fleet.origin.behave(behave.ok())
    await until('the slot is free', async () => (await fleet.gateway.get(path)).status === 200)
  })
})

describe('timeouts and deadline', { timeout: 900_000 }, () => {
  test('no response head: 504 HeadersTimeout, and the origin is let go', async () => {
    await using fleet = await startOrigins([behave.hang()], origin({ policy: { headersTimeoutMs: 150 } }))
    const started = performance.now()
    const response = await fleet.gateway.post(path, {})
    assert.equal(response.status, 504)
    assert.equal(code(response), 'HeadersTimeout')
    assert.ok(performance.now() - started < 8_000, `a limit of 150 ms took ${Math.round(performance.now() - started)} ms`)
    await until('the origin is let go', () => fleet.origin.received[0]!.gone)
    assert.equal(fleet.origin.received.length, 1, 'a POST that was sent is not repeated')
  })

  test('half a head counts as none', async () => {
    await using fleet = await startOrigins([async request => {
      await request.body()
      request.socket.write('HTTP/1.1 200 OK\r\nContent-')
      await behave.left(request)
    }], origin({ policy: { headersTimeoutMs: 150 } }))
    assert.equal(code(await fleet.gateway.post(path, {})), 'HeadersTimeout')
  })

  test('silence in a body cuts the answer', async () => {
    await using fleet = await startOrigins([behave.stall()], origin({ policy: { bodyIdleTimeoutMs: 200 } }))
    using connection = await fleet.gateway.connect()
    connection.send(requestBytes('x', path))
    const response = await within('the answer is cut', 30_000, connection.response())
    assert.equal(response.status, 200)
    assert.equal(response.whole, false)
    await until('it is counted', async () => await fleet.gateway.metric('postern_rejections_total', { reason: 'BodyTimeout' }) === 1)
  })

  test('a body that moves may last longer than every limit', async () => {
    await using fleet = await startOrigins([behave.drip(50, 100)], origin({ policy: { bodyIdleTimeoutMs: 4_000, deadlineMs: 4_000, headersTimeoutMs: 4_000 } }))
    const response = await fleet.gateway.get(path)
    assert.equal(response.whole, true)
    assert.equal(response.text().split('\n').length, 51)
  })

  test('the deadline ends queueing and attempts together', async () => {
    await using fleet = await startOrigins([behave.hang(), behave.hang()], origin({ policy: { deadlineMs: 8_000, headersTimeoutMs: 5_000, attempts: 5 } }))
    const started = performance.now()
    const response = await fleet.gateway.get(path, { timeoutMs: 60_000 })
    const took = performance.now() - started
    assert.equal(response.status, 504)
    assert.equal(code(response), 'DeadlineExceeded')
    assert.ok(took >= 7_900 && took < 30_000, `${took} ms`)
    assert.equal(fleet.origins.reduce((sum, { received }) => sum + received.length, 0), 2)
  })

  test('a policy of one message holds for that message only', async () => {
    await using fleet = await startOrigins([behave.byPath({ [path]: behave.hang() }, behave.ok('fine'))], { messages: { Echo: { upstream: 'origin', policy: { headersTimeoutMs: 100 } } } })
    assert.equal(code(await fleet.gateway.post(path, {})), 'HeadersTimeout')
    assert.equal((await fleet.gateway.get('/json/reply/Other')).text(), 'fine')
  })
})

describe('retry', { timeout: 900_000 }, () => {
  for (const [what, behaviour] of [['reset before any byte', behave.reset()], ['closed in the middle of the head', behave.cutHead()], ['an answer that is not HTTP', behave.raw('SSH-2.0-OpenSSH\r\n\r\n', { close: true })]] as const) {
    test(`a GET is repeated once elsewhere: ${what}`, async () => {
      await using fleet = await startOrigins([behaviour, behave.ok('second')], origin({ policy: { balancer: { strategy: 'round-robin' } } }))
      for (let n = 0; n < 4; n++) {
        const response = await fleet.gateway.get(path)
        assert.equal(response.status, 200, response.text())
        assert.equal(response.text(), 'second')
      }
      assert.ok(fleet.origin.received.length > 0)
      await fleet.gateway.metricBecomes('postern_retries_total', fleet.origin.received.length)
    })

    test(`a POST that was sent is not repeated: ${what}`, async () => {
      await using fleet = await startOrigins([behaviour, behaviour])
      const response = await fleet.gateway.post(path, { a: 1 })
      assert.equal(response.status, 502)
      assert.match(code(response), /^(ConnectionClosed|BadAnswer)$/)
      assert.equal(fleet.origins.reduce((sum, { received }) => sum + received.length, 0), 1)
    })
  }

  test('a short Retry-After is really waited for', async () => {
    let calls = 0
    const busy = behave.ok('', { status: 503, reason: 'Busy', headers: [['Retry-After', '1']] })
    await using fleet = await startOrigins([async request => { await (calls++ === 0 ? busy : behave.ok('rested'))(request) }])
    const started = performance.now()
    assert.equal((await fleet.gateway.get(path)).text(), 'rested')
    assert.ok(performance.now() - started >= 990, 'not before it is over')
    assert.equal(fleet.origin.received.length, 2)
  })

  test('a one-way GET, and a GET with an override where that is allowed, are not safe to repeat', async () => {
    await using fleet = await startOrigins([behave.reset(), behave.reset()], { edge: { methodOverride: 'allow' } })
    assert.equal((await fleet.gateway.get('/json/oneway/Echo')).status, 502)
    assert.equal((await fleet.gateway.get('/json/reply/Echo[]')).status, 502)
    assert.equal((await fleet.gateway.get(path, { headers: [['X-HTTP-Method-Override', 'POST']] })).status, 502)
    assert.equal((await fleet.gateway.get(`${path}?X-HTTP-Method-Override=POST`)).status, 502)
    assert.equal((await fleet.gateway.get(path, { headers: [['Content-Type', 'application/x-www-form-urlencoded']] })).status, 502, 'where a form could say it')
    assert.equal(fleet.origins.reduce((sum, { received }) => sum + received.length, 0), 5)
  })

  test('a refused connect goes elsewhere, POST too, takes the endpoint out, and it comes back when it listens again', async () => {
    await using fleet = await startOrigins([behave.ok('a'), behave.ok('b')], origin({ policy: inTurn }))
    const [first] = fleet.origins
    await first!.server.kill()
    for (let n = 0; n < 6; n++) assert.equal((await fleet.gateway.post(path, { n })).text(), 'b')
    assert.equal(await fleet.gateway.metric('postern_endpoint_available', { endpoint: first!.url }), 0)
    // Or by the control plane, before any call.
    assert.ok(await fleet.gateway.metric('postern_attempts_total', { endpoint: first!.url, outcome: 'failure' }) <= 1, 'found dead once')
    await first!.server.listen()
    await until('traffic returns', async () => (await fleet.gateway.get(path)).text() === 'a')
  })

  test('nothing listens anywhere: 502, then 503 with Retry-After, then service again', async () => {
    await using fleet = await startOrigins([behave.ok('back')])
    await fleet.origin.server.kill()
    const first = await fleet.gateway.get(path)
    // Or, where the control plane has noticed it first, what the second one gets.
    assert.match(`${first.status} ${code(first)}`, /^(?:502 ConnectFailed|503 NoEndpoint)$/)
    const second = await fleet.gateway.get(path)
    assert.equal(second.status, 503)
    assert.equal(code(second), 'NoEndpoint')
    assert.ok(Number(second.header('retry-after')) >= 1)
    await fleet.origin.server.listen()
    await until('service again', async () => (await fleet.gateway.get(path)).text() === 'back')
  })

  test('a kept connection that the service closed meanwhile costs nobody a call', async () => {
    await using fleet = await startOrigins([behave.ok('x')])
    for (let n = 0; n < 10; n++) {
      assert.equal((await fleet.gateway.get(path)).status, 200)
      for (const socket of fleet.origin.server.connections) socket.destroy()
    }
  })
})

describe('breaker', { timeout: 900_000 }, () => {
  const settings = origin({ breaker: { volumeThreshold: 10, errorThresholdPercent: 50, windowMs: 60_000, resetTimeoutMs: 5_000 }, policy: inTurn })
  const state = async (gateway: { metric (name: string, labels: Record<string, string>): Promise<number> }, endpoint: string) => await gateway.metric('postern_breaker_state', { endpoint })

  test('opens for the failing endpoint only, which then gets no calls, and recovers', async () => {
    await using fleet = await startOrigins([behave.ok('bad', { status: 503, reason: 'Down' }), behave.ok('good')], settings)
    const [bad] = fleet.origins
    let isOpen = false
    for (let n = 0; n < 40 && !isOpen; n++) {
      await fleet.gateway.post(path, {})
      isOpen = await state(fleet.gateway, bad!.url) === 2
    }
    assert.ok(isOpen)
    const received = bad!.received.length
    for (let n = 0; n < 5; n++) assert.equal((await fleet.gateway.post(path, {})).text(), 'good')
    assert.ok(bad!.received.length <= received + 1, 'at most a trial')
    bad!.behave(behave.ok('mended'))
    await until('the endpoint is used again', async () => (await fleet.gateway.post(path, {})).text() === 'mended')
    await until('trials enough have succeeded, and the breaker is closed', async () => {
      await fleet.gateway.post(path, {})
      return await state(fleet.gateway, bad!.url) === 0
    })
  })

  test('all open: 503 BreakerOpen with Retry-After, without a call', async () => {
    await using fleet = await startOrigins([behave.ok('', { status: 502, reason: 'Bad' })], origin({ breaker: { volumeThreshold: 10, windowMs: 60_000, resetTimeoutMs: 600_000 } }))
    for (let n = 0; n < 12; n++) await fleet.gateway.post(path, {})
    const received = fleet.origin.received.length
    assert.ok(received <= 12)
    const response = await fleet.gateway.post(path, {})
    assert.equal(response.status, 503)
    assert.equal(code(response), 'BreakerOpen')
    assert.ok(Number(response.header('retry-after')) >= 1)
    assert.equal(fleet.origin.received.length, received)
  })

  test('a message\'s own errors open no endpoint, and clients that leave nothing at all', async () => {
    await using fleet = await startOrigins([behave.ok('{}', { status: 500, reason: 'InvalidOperationException' })], settings)
    for (let n = 0; n < 20; n++) await fleet.gateway.post(path, {})
    assert.equal(await state(fleet.gateway, fleet.origin.url), 0)
    fleet.origin.behave(behave.hang())
    for (let n = 0; n < 15; n++) {
      using connection = await fleet.gateway.connect()
      const before = fleet.origin.received.length
      connection.send(requestBytes('x', other))
      await until('it is upstream', () => fleet.origin.received.length > before)
    }
    await until('all have left', async () => await fleet.gateway.metric('postern_in_flight') === 0)
    assert.equal(await state(fleet.gateway, fleet.origin.url), 0)
    fleet.origin.behave(behave.ok('fine'))
    assert.equal((await fleet.gateway.get(other)).text(), 'fine')
  })
})

describe('balancing', { timeout: 900_000 }, () => {
  test('round robin over endpoints, where it is chosen', async () => {
    await using fleet = await startOrigins([behave.ok('0'), behave.ok('1'), behave.ok('2')], origin({ policy: inTurn }))
    // Unless a new table comes in the middle.
    await until('nine calls go to the three in turn', async () => {
      const answers: string[] = []
      for (let n = 0; n < 9; n++) answers.push((await fleet.gateway.get(path)).text())
      return new Set(answers).size === 3 && answers.every((answer, n) => n < 3 || answer === answers[n - 3])
    })
  })

  test('connections to an endpoint are kept and used again', async () => {
    await using fleet = await startOrigins([behave.ok()])
    for (let n = 0; n < 20; n++) await fleet.gateway.get(path)
    assert.equal(fleet.origin.connectionsUsed, 1)
  })
})

describe('one bad service', { timeout: 900_000 }, () => {
  test('a service that hangs takes nothing from the others', async () => {
    await using bad = await behave.startOrigin(behave.hang())
    await using good = await behave.startOrigin(behave.ok('good'))
    await using gateway = await startGateway({
      upstreams: { bad: { endpoints: [bad.url], bulkhead: { maxConcurrent: 20, maxQueue: 5 } }, good: { endpoints: [good.url] } },
      messages: { Hang: { upstream: 'bad', policy: { cache: { mode: 'off' } } }, Good: { upstream: 'good' } }
    })
    await gateway.waitForRoute('Good')
    for (const { url } of [bad, good]) await gateway.waitForEndpoint(url)
    const connections = await Promise.all(Array.from({ length: 60 }, async () => await gateway.connect({ timeoutMs: 60_000 })))
    try {
      for (const connection of connections) connection.send(requestBytes('x', '/json/reply/Hang'))
      await until('the bulkhead is full', async () => await gateway.metric('postern_rejections_total', { reason: 'BulkheadFull' }) > 0)
      for (let n = 0; n < 20; n++) {
        const started = performance.now()
        assert.equal((await gateway.get('/json/reply/Good')).text(), 'good')
        assert.ok(performance.now() - started < 9_000)
      }
      assert.ok(bad.received.length <= 20)
    } finally {
      for (const connection of connections) connection.close()
    }
  })
})
