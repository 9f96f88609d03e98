// What counts for the breakers of a message and its upstream: slow calls while they are under way, and where a message fails.
import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { validate } from '../../src/config/validator.ts'
import { upstreamFor } from '../../src/config/resolve.ts'
import { Attempt } from '../../src/exchange/attempt.ts'
import { GatewayError } from '../../src/exchange/errors.ts'
import type { Exchange, UpstreamResponse } from '../../src/exchange/exchange.ts'
import { handOver } from '../../src/exchange/follow.ts'
import { ResponseBody } from '../../src/exchange/response-body.ts'
import { breaker } from '../../src/filters/breaker.ts'
import { BreakerClock } from '../../src/upstream/breaker-clock.ts'
import { MessageHistory } from '../../src/upstream/calls.ts'
import type { Elsewhere } from '../../src/upstream/elsewhere.ts'
import { UpstreamBreakers } from '../../src/upstream/upstream-breakers.ts'
import { fakeEndpoint, makeExchange, policy } from '../support/exchange.ts'

const endpointOf = (url: string) => fakeEndpoint(url, () => Promise.reject(new Error('not used')))
const endpoint = endpointOf('http://a')

/** One slow call is enough to open the breaker of its message, whose answers are known to take next to no time. */
function start (t: TestContext) {
  const told: unknown[] = []
  const messageBreaker = { ...policy.messageBreaker, consecutiveFailures: 1, slowCallMs: 1_000, slowCallFactor: 10 }
  const breakers = new UpstreamBreakers({ name: 'orders', settings: upstreamFor(validate({}).config, 'orders').breaker, clock: new BreakerClock(), onChange: (message, state, cause) => told.push({ message, state, ...cause }), onTick: () => false, hasOther: () => true, hasIdle: () => false, places: () => 1 })
  t.after(() => breakers.close())
  /** One attempt at each endpoint; the last one is told. */
  const begin = (...at: readonly string[]) => {
    const exchange = makeExchange({ policy: { messageBreaker } })
    const call = breakers.enter(exchange)
    const endpoints = at.length === 0 ? [endpoint] : at.map(endpointOf)
    exchange.endpoint = endpoints[0]
    exchange.attempts.push(...endpoints.map(one => new Attempt(one, exchange)))
    return { call, attempt: exchange.attempts.at(-1)! }
  }
  for (let n = 0; n < 10; n++) {
    const { call, attempt } = begin()
    attempt.answered(200)
    attempt.durationMs = 1
    call.answered(200)
  }
  return { breakers, begin, told }
}

test('a slow call opens the breaker while it is under way, and it is told which limit it was', t => {
  const { breakers, begin, told } = start(t)
  const { attempt } = begin()
  breakers.tick(attempt.startedAtMs + 500)
  assert.deepEqual(told, [])
  breakers.tick(performance.now() + 60_000)
  assert.deepEqual(told, [{ message: 'GetOrder', state: 'open', cause: 'slow call', limit: 'slowCallMs', value: 1_000, afterMs: 1_000, waitedFor: 'response head' }])
})

test('of a hedged call it is the endpoint of the second attempt that is compared: what works elsewhere is not the message\'s', t => {
  const { breakers, begin, told } = start(t)
  breakers.attemptFailed('GetOrder', 'http://a')
  begin('http://a', 'http://b')
  begin('http://c').call.answered(200)
  breakers.tick(performance.now() + 60_000)
  assert.deepEqual(told, [])
})

test('the time in which a client sends its body is not the service\'s; what comes after it is', t => {
  const { breakers, begin, told } = start(t)
  const { attempt } = begin()
  attempt.dueFromMs = Infinity
  breakers.tick(performance.now() + 60_000)
  assert.deepEqual(told, [])
  attempt.dueFromMs = performance.now()
  breakers.tick(performance.now() + 60_000)
  assert.equal(told.length, 1)
})

test('an answer that came before the client had sent everything says nothing of the message\'s normal time', t => {
  const { breakers, begin, told } = start(t)
  for (let n = 0; n < 50; n++) {
    const { call, attempt } = begin()
    attempt.dueFromMs = Infinity
    attempt.answered(413)
    // As if the client had taken very long.
    attempt.durationMs = 3_600_000
    call.answered(413)
  }
  begin()
  breakers.tick(performance.now() + 60_000)
  assert.equal(told.length, 1)
})

test('the breaker says which failure opened it', t => {
  const { begin, told } = start(t)
  const { call, attempt } = begin()
  attempt.answered(503)
  call.answered(503)
  assert.deepEqual(told, [{ message: 'GetOrder', state: 'open', cause: '503' }])
})

const late = () => performance.now() + 60_000

test('a call that goes on at another upstream says nothing of the first from then on, also if it had been too slow there', async t => {
  const { breakers, told } = start(t)
  const { upstream: billing } = makeExchange({ upstream: { name: 'billing' } })
  const goOn = async (became: (exchange: Exchange) => UpstreamResponse, isSlow = false) => {
    const exchange = Object.assign(makeExchange({ policy: { messageBreaker: { ...policy.messageBreaker, consecutiveFailures: 1 } } }), { upstream: Object.assign(makeExchange().upstream, { breakers }) })
    await breaker(exchange, async () => {
      exchange.attempts.push(new Attempt(endpoint, exchange))
      if (isSlow) breakers.tick(late())
      exchange.attempts[0]!.failed(new GatewayError('ConnectFailed'))
      handOver(exchange, billing, undefined)
      exchange.endpoint = endpointOf('http://b')
      exchange.attempts.push(new Attempt(exchange.endpoint, exchange))
      breakers.tick(late())
      return became(exchange)
    }).catch(() => {})
  }
  await goOn(() => ({ status: 503, reason: '', headers: [], body: ResponseBody.of(Buffer.alloc(0)) }))
  await goOn(() => { throw new GatewayError('ConnectionClosed') })
  assert.deepEqual(told, [])
  await goOn(() => { throw new GatewayError('ConnectionClosed') }, true)
  assert.deepEqual(told.length, 1, 'what was slow there was so')
})

test('of a call that came from another upstream, what became of it there says nothing here', t => {
  const { breakers, told } = start(t)
  const exchange = makeExchange({ policy: { messageBreaker: { ...policy.messageBreaker, consecutiveFailures: 1 } } })
  exchange.attempts.push(new Attempt(endpointOf('http://there'), exchange))
  breakers.enter(exchange).failed(new GatewayError('DeadlineExceeded'))
  assert.deepEqual(told, [])
})

test('the share that they let in: all, less while one of them recovers, nothing while one is open', async t => {
  const { breakers } = start(t)
  const share = () => breakers.share(makeExchange())
  assert.equal(share(), 1)
  breakers.own.ramp()
  const ramping = share()
  assert.ok(ramping > 0 && ramping < 1, `${ramping}`)
  breakers.hold('GetOrder', { held: 'open', until: undefined })
  assert.equal(share(), 0)
  breakers.hold('GetOrder', undefined)
  breakers.own.hold({ held: 'open', until: undefined })
  assert.equal(share(), 0)
})

const windowMs = 10_000
type Event = readonly [endpoint: string, became: 'works' | 'fails', atMs: number]
const rows: ReadonlyArray<readonly [what: string, events: readonly Event[], elsewhere: Elsewhere]> = [
  ['nobody else was asked', [['a', 'fails', 0]], 'unknown'],
  ['what worked before the first failure was not looked at', [['b', 'works', 0], ['a', 'fails', 1]], 'unknown'],
  ['another one answers it well', [['a', 'fails', 0], ['b', 'works', 1], ['a', 'fails', 2]], 'works'],
  ['another one fails as well', [['a', 'fails', 0], ['b', 'fails', 1], ['a', 'fails', 2]], 'fails'],
  ['the last word of the others counts: it works again', [['b', 'fails', 0], ['b', 'works', 1], ['a', 'fails', 2]], 'works'],
  ['the last word of the others counts: it fails by now', [['a', 'fails', 0], ['b', 'works', 1], ['c', 'fails', 2], ['a', 'fails', 3]], 'fails'],
  ['what it did itself is no word of another', [['b', 'fails', 0], ['a', 'works', 1], ['a', 'fails', 2]], 'fails'],
  ['that was long ago', [['a', 'fails', 0], ['b', 'works', 1], ['a', 'fails', windowMs + 2]], 'unknown']
]
for (const [what, events, elsewhere] of rows) {
  test(`a message fails at an endpoint, and ${what}: ${elsewhere}`, () => {
    const history = new MessageHistory('GetOrder')
    for (const [endpoint, became, atMs] of events) history[became === 'works' ? 'worked' : 'failed'](endpoint, atMs)
    assert.equal(history.elsewhere('a', events.at(-1)![2], windowMs), elsewhere)
  })
}

test('what does not fail any more is not compared any more', () => {
  const history = new MessageHistory('GetOrder')
  history.failed('a', 1)
  history.worked('b', 100)
  history.forget(1)
  assert.equal(history.elsewhere('a', 100, windowMs), 'works')
  history.forget(2)
  assert.equal(history.elsewhere('a', 100, windowMs), 'unknown')
})

describe('of the upstream\'s own breaker', () => {
  /** Calls of messages that no endpoint fails more than another. */
  function startShop (t: TestContext, hasIdle = false) {
    const breakers = new UpstreamBreakers({ name: 'shop', settings: upstreamFor(validate({}).config, 'shop').breaker, clock: new BreakerClock(), onChange () {}, onTick: () => false, hasOther: () => false, hasIdle: () => hasIdle, places: () => 1 })
    t.after(() => breakers.close())
    const call = async (message: string, status: number) => {
      const exchange = makeExchange({ message, policy: { messageBreaker: { ...policy.messageBreaker, enabled: false } } })
      const entered = breakers.enter(exchange)
      const attempt = new Attempt(endpoint, exchange)
      exchange.attempts.push(attempt)
      exchange.endpoint = endpoint
      attempt.answered(status)
      entered.answered(status)
      // opossum counts in its own time.
      await turn()
    }
    return { breakers, call }
  }

  for (const [status, state] of [[500, 'closed'], [503, 'open']] as const) {
    test(`beside one message that works, two that answer ${status}: ${state}`, async t => {
      const { breakers, call } = startShop(t)
      for (let n = 0; n < 100 && breakers.own.state === 'closed'; n++) await call('CABAB'[n % 5]!, n % 5 === 0 ? 200 : status)
      assert.equal(breakers.own.state, state)
    })
  }

  test('what worked until all of them began to answer 500 is no word for them', async t => {
    const { breakers, call } = startShop(t)
    for (const message of ['A', 'B', 'C']) await call(message, 200)
    for (let n = 0; n < 30 && breakers.own.state === 'closed'; n++) await call('ABC'[n % 3]!, 500)
    assert.equal(breakers.own.state, 'open')
  })

  const waits = [
    ['a call that an endpoint has waits for long', 60_000, false, 'open'],
    ['the same while an endpoint has no call', 60_000, true, 'closed'],
    ['a burst after a quiet time', 100, false, 'closed']
  ] as const
  for (const [what, waitsMs, hasIdle, state] of waits) {
    test(`a full queue without answers: ${what}: ${state}`, t => {
      const now = t.mock.method(performance, 'now')
      const { breakers } = startShop(t, hasIdle)
      const atMs = performance.now() + 120_000
      now.mock.mockImplementation(() => atMs - waitsMs)
      const exchange = makeExchange()
      breakers.enter(exchange)
      exchange.attempts.push(new Attempt(endpoint, exchange))
      now.mock.mockImplementation(() => atMs)
      for (let n = 0; n < 30 && breakers.own.state === 'closed'; n++) breakers.enter(makeExchange()).failed(new GatewayError('BulkheadFull'))
      assert.equal(breakers.own.state, state)
    })
  }
})
