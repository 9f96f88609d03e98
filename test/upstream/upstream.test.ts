// An upstream's choice of an endpoint, as far as it is not the balancer's.
import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { upstreamFor } from '../../src/config/resolve.ts'
import { validate } from '../../src/config/validator.ts'
import { Attempt } from '../../src/exchange/attempt.ts'
import { BreakerClock } from '../../src/upstream/breaker-clock.ts'
import { Upstream } from '../../src/upstream/upstream.ts'
import { endpointPlan } from '../support/endpoint-plan.ts'
import { makeExchange } from '../support/exchange.ts'

function start () {
  const settings = upstreamFor(validate({}).config, 'shadow')
  const plan = { name: 'shadow', endpoints: [endpointPlan('http://127.0.0.1:1')], levels: [], apiForm: true, servicestack: false, lists: 'none' as const }
  const events = { breaker () {}, endpoint: () => ({ breaker () {}, reachable () {}, doubted () {}, whoIsThere: () => Promise.resolve(), lost: () => Promise.resolve(), attempt () {}, paused () {}, ejected () {} }) }
  const upstream = new Upstream(plan, settings, new BreakerClock(), events)
  const endpoint = upstream.endpoints[0]!
  const begin = (message: string, isMirrored = false) => {
    const exchange = makeExchange({ message })
    exchange.isMirrored = isMirrored
    return new Attempt(endpoint, exchange)
  }
  return { upstream, endpoint, begin, settings }
}

test('mirrored copies report nothing to breaker, outlier test and score', t => {
  const { upstream, endpoint, begin } = start()
  t.after(() => upstream.close())
  for (let n = 0; n < 100; n++) begin(n % 2 === 0 ? 'GetOrder' : 'GetCart', true).answered(503, ['Retry-After', '60'])
  assert.deepEqual([endpoint.breakerState, endpoint.pausedMs, endpoint.failures, endpoint.successes, endpoint.standing.measured], ['closed', 0, 0, 0, false])
})

test('a mirrored copy is no trial of an endpoint that recovers', async t => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
  t.after(() => mock.timers.reset())
  const { upstream, endpoint, begin, settings } = start()
  const copy = makeExchange({ message: 'GetOrder' })
  copy.isMirrored = true
  assert.equal(upstream.pick(copy), endpoint)
  for (let n = 0; n < 100 && endpoint.breakerState === 'closed'; n++) begin(n % 2 === 0 ? 'GetOrder' : 'GetCart').answered(502)
  await turn()
  mock.timers.tick(settings.breaker.resetTimeoutMs)
  assert.equal(endpoint.breakerState, 'half-open')
  assert.equal(upstream.pick(copy), undefined)
  assert.equal(upstream.pick(makeExchange({ message: 'GetOrder' })), endpoint)
  upstream.close()
})

test('an endpoint that is ejected is taken back for who has nobody else, not for who can go back to the upstream whose split drew him', t => {
  const { upstream, endpoint } = start()
  t.after(() => upstream.close())
  endpoint.eject('worse than the others', performance.now() + 60_000)
  const drawn = Object.assign(makeExchange(), { upstream, spare: { outside: [], versions: 'all', takeoverMs: 0 } })
  assert.deepEqual([upstream.reach(drawn), upstream.pick(drawn)], ['none', undefined])
  assert.equal(upstream.pick(Object.assign(makeExchange(), { upstream })), endpoint)
})
