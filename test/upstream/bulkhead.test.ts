import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Attempt } from '../../src/exchange/attempt.ts'
import { GatewayError } from '../../src/exchange/errors.ts'
import { Bulkhead, eachRejection } from '../../src/upstream/bulkhead.ts'
import { fakeEndpoint, makeExchange } from '../support/exchange.ts'

const code = (expected: string) => (error: unknown) => error instanceof GatewayError && error.code === expected

test('free slots are taken without waiting, up to maxConcurrent', () => {
  const bulkhead = new Bulkhead('orders', { maxConcurrent: 2, maxQueue: 1 })
  assert.equal(bulkhead.acquire(makeExchange()), undefined)
  assert.equal(bulkhead.acquire(makeExchange()), undefined)
  assert.equal(bulkhead.inFlight, 2)
})

test('who waits longest gets the next slot', async () => {
  const bulkhead = new Bulkhead('orders', { maxConcurrent: 1, maxQueue: 2 })
  void bulkhead.acquire(makeExchange())
  const order: string[] = []
  const first = bulkhead.acquire(makeExchange())!.then(() => order.push('first'))
  const second = bulkhead.acquire(makeExchange())!.then(() => order.push('second'))
  bulkhead.release(makeExchange())
  await first
  bulkhead.release(makeExchange())
  await second
  assert.deepEqual(order, ['first', 'second'])
  assert.deepEqual([bulkhead.inFlight, bulkhead.queued], [1, 0])
})

test('a full queue rejects at once and says which limit was hit', () => {
  const bulkhead = new Bulkhead('orders', { maxConcurrent: 1, maxQueue: 0 })
  void bulkhead.acquire(makeExchange())
  assert.throws(() => bulkhead.acquire(makeExchange()), (error: unknown) => {
    assert.ok(error instanceof GatewayError)
    assert.equal(error.code, 'BulkheadFull')
    assert.deepEqual(error.detail, { upstream: 'orders', limit: 'maxQueue', value: 0, waitedFor: 'bulkhead slot', full: 'maxConcurrent', fullAt: 1, inFlight: 1, queued: 0, priority: 'normal' })
    return true
  })
})

test('waiting ends after queueTimeoutMs, and the place in the queue is given back', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const bulkhead = new Bulkhead('orders', { maxConcurrent: 1, maxQueue: 1 })
  void bulkhead.acquire(makeExchange())
  const waiting = bulkhead.acquire(makeExchange({ policy: { queueTimeoutMs: 50 } }))!
  const rejected = assert.rejects(waiting, code('QueueTimeout'))
  t.mock.timers.tick(50)
  await rejected
  assert.equal(bulkhead.queued, 0)
})

test('a client that leaves the queue takes no slot', async () => {
  const bulkhead = new Bulkhead('orders', { maxConcurrent: 1, maxQueue: 3 })
  void bulkhead.acquire(makeExchange())
  const leaving = makeExchange()
  const left = assert.rejects(bulkhead.acquire(leaving)!, code('ClientClosed'))
  const staying = bulkhead.acquire(makeExchange())!
  leaving.end(new GatewayError('ClientClosed'))
  await left
  bulkhead.release(makeExchange())
  await staying
  assert.deepEqual([bulkhead.inFlight, bulkhead.queued], [1, 0])
})

test('more room lets the waiting in', async () => {
  const bulkhead = new Bulkhead('orders', { maxConcurrent: 1, maxQueue: 3 })
  void bulkhead.acquire(makeExchange())
  const waiting = bulkhead.acquire(makeExchange())!
  bulkhead.configure({ maxConcurrent: 2, maxQueue: 3 })
  await waiting
  assert.equal(bulkhead.inFlight, 2)
})

test('a queue that cannot move is emptied, everybody told why', async () => {
  const bulkhead = new Bulkhead('orders', { maxConcurrent: 1, maxQueue: 3 })
  void bulkhead.acquire(makeExchange())
  const waiting = [bulkhead.acquire(makeExchange())!, bulkhead.acquire(makeExchange())!].map(slot => assert.rejects(slot, code('BreakerOpen')))
  bulkhead.rejectWaiting(() => new GatewayError('BreakerOpen'))
  await Promise.all(waiting)
  assert.deepEqual([bulkhead.inFlight, bulkhead.queued], [1, 0])
})

test('of a message that cannot succeed those who wait go at once; the others keep their order', async () => {
  const bulkhead = new Bulkhead('orders', { maxConcurrent: 1, maxQueue: 5 })
  const [first, broken, second] = ['GetOrder', 'Report', 'GetOrder'].map(message => makeExchange({ message }))
  void bulkhead.acquire(makeExchange())
  const order: string[] = []
  const waits = [bulkhead.acquire(first!)!.then(() => order.push('first')), assert.rejects(bulkhead.acquire(broken!)!, code('BreakerOpen')), bulkhead.acquire(second!)!.then(() => order.push('second'))]
  bulkhead.rejectWaiting(({ route: { name } }) => name === 'Report' ? new GatewayError('BreakerOpen') : undefined)
  await waits[1]
  assert.equal(bulkhead.queued, 2)
  bulkhead.release(makeExchange())
  bulkhead.release(first!)
  await Promise.all(waits)
  assert.deepEqual(order, ['first', 'second'])
})

const of = (priority: 'critical' | 'normal' | 'sheddable') => makeExchange({ policy: { priority } })

test('a full queue turns away the lowest class for a higher one, the last that came first', async () => {
  const bulkhead = new Bulkhead('orders', { maxConcurrent: 1, maxQueue: 3 })
  void bulkhead.acquire(of('normal'))
  const early = bulkhead.acquire(of('sheddable'))!
  const late = bulkhead.acquire(of('sheddable'))!
  const normal = bulkhead.acquire(of('normal'))!
  const displaced = assert.rejects(late, (error: unknown) => {
    assert.ok(error instanceof GatewayError)
    assert.deepEqual([error.code, error.detail?.['limit'], error.detail?.['priority'], error.detail?.['displacedBy']], ['BulkheadFull', 'maxQueue', 'sheddable', 'normal'])
    return true
  })
  const second = bulkhead.acquire(of('normal'))!
  await displaced
  assert.throws(() => bulkhead.acquire(of('sheddable')), code('BulkheadFull'), 'nobody below it waits')
  const earlyGone = assert.rejects(early, code('BulkheadFull'))
  const critical = bulkhead.acquire(of('critical'))!
  await earlyGone
  assert.equal(bulkhead.queued, 3)
  assert.deepEqual([...eachRejection(bulkhead.rejections)], [{ limit: 'maxQueue', priority: 'sheddable', count: 1 }, { limit: 'displaced', priority: 'sheddable', count: 2 }])
  const order: string[] = []
  const all = [normal.then(() => order.push('normal')), second.then(() => order.push('second')), critical.then(() => order.push('critical'))]
  for (let n = 0; n < 3; n++) {
    bulkhead.release(makeExchange())
    await Promise.resolve()
  }
  await Promise.all(all)
  assert.deepEqual(order, ['critical', 'normal', 'second'], 'the highest class first, within it who waits longest')
})

test('what nobody waits for any more is not started when it leaves the queue', async () => {
  const bulkhead = new Bulkhead('orders', { maxConcurrent: 1, maxQueue: 2 })
  void bulkhead.acquire(makeExchange())
  const late = makeExchange()
  late.deadlineAtMs = performance.now() - 1
  const rejected = assert.rejects(bulkhead.acquire(late)!, (error: unknown) => error instanceof GatewayError && error.code === 'DeadlineExceeded' && error.detail?.['waitedFor'] === 'bulkhead slot')
  const next = bulkhead.acquire(makeExchange())!
  bulkhead.release(makeExchange())
  await Promise.all([rejected, next])
  assert.equal(bulkhead.inFlight, 1)
})

test('let in and then without a seat, it is turned away by the endpoints\' limit: said, and counted', () => {
  const bulkhead = new Bulkhead('orders', { maxConcurrent: 10, maxQueue: 5, maxPerEndpoint: 1 }, () => 1)
  const exchange = makeExchange()
  assert.equal(bulkhead.acquire(exchange), undefined)
  const { code, detail } = bulkhead.noSeat(exchange, { endpoints: 2 })
  assert.deepEqual({ code, ...detail }, { code: 'BulkheadFull', upstream: 'orders', limit: 'maxPerEndpoint', value: 1, waitedFor: 'bulkhead slot', full: 'maxPerEndpoint', fullAt: 1, inFlight: 1, queued: 0, priority: 'normal', endpoints: 2 })
  assert.equal(bulkhead.rejections.maxPerEndpoint.normal, 1)
})

test('without a seat at an endpoint an exchange waits, and those admitted together do not share one', async () => {
  let seats = 1
  const bulkhead = new Bulkhead('orders', { maxConcurrent: 10, maxQueue: 5, maxPerEndpoint: 1 }, () => seats)
  assert.equal(bulkhead.acquire(makeExchange()), undefined)
  seats = 0
  const first = makeExchange()
  const second = makeExchange()
  const firstSlot = bulkhead.acquire(first)!
  const secondSlot = bulkhead.acquire(second)!
  assert.equal(bulkhead.queued, 2)
  seats = 1
  bulkhead.admitWaiting()
  bulkhead.admitWaiting()
  await firstSlot
  assert.equal(bulkhead.queued, 1, 'one seat, one exchange')
  bulkhead.arrived(first)
  seats = 0
  bulkhead.admitWaiting()
  assert.equal(bulkhead.queued, 1)
  seats = 1
  bulkhead.admitWaiting()
  await secondSlot
  assert.equal(bulkhead.queued, 0)
})

test('who waits for a seat does not hold up who has one', async () => {
  const full = new Set(['http://a'])
  const bulkhead = new Bulkhead('orders', { maxConcurrent: 10, maxQueue: 5, maxPerEndpoint: 1 }, exchange => exchange.endpoints === full ? 0 : 1)
  const blocked = assert.rejects(bulkhead.acquire(makeExchange({ endpoints: full }))!, code('BulkheadFull'))
  assert.equal(bulkhead.acquire(makeExchange()), undefined)
  bulkhead.rejectWaiting(() => new GatewayError('BulkheadFull'))
  await blocked
})

test('the time in which a client sends its body is no latency of the service', t => {
  let nowMs = 0
  t.mock.method(performance, 'now', () => nowMs)
  const bulkhead = new Bulkhead('orders', { maxConcurrent: 10, maxQueue: 0, adaptive: { enabled: true, minConcurrent: 1, tolerance: 2 } })
  const endpoint = fakeEndpoint('http://a', () => Promise.reject(new Error('not used')))
  const exchangeOf = (dueFromMs: number, tookMs: number) => {
    const exchange = makeExchange()
    assert.equal(bulkhead.acquire(exchange), undefined)
    const attempt = new Attempt(endpoint, exchange)
    exchange.attempts.push(attempt)
    attempt.dueFromMs = dueFromMs
    nowMs += tookMs
    attempt.answered(200)
    bulkhead.release(exchange)
  }
  for (let n = 0; n < 20; n++) exchangeOf(Infinity, 60_000)
  assert.equal(bulkhead.baselineMs, 0)
  for (let n = 0; n < 20; n++) exchangeOf(nowMs + 59_900, 60_000)
  assert.equal(bulkhead.baselineMs, 100)
})
