import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../src/exchange/errors.ts'
import { Bulkhead } from '../../src/upstream/bulkhead.ts'
import { makeExchange } from '../support/exchange.ts'

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
  bulkhead.release()
  await first
  bulkhead.release()
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
    assert.deepEqual(error.detail, { upstream: 'orders', limit: 'maxQueue', value: 0, inFlight: 1, queued: 0 })
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
  bulkhead.release()
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
