// What is answered while a breaker is open, per message as its operator chose: what is stored, a fixed body, or another service. Through the listener.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { startOrigins } from '../support/fleet.ts'
import { request, targetOf, type RawResponse } from '../support/http-client.ts'
import * as behave from '../support/origin.ts'
import { until } from '../support/until.ts'

const echo = '/json/reply/Echo'
const other = '/json/reply/Other'
const open = { upstream: 'origin', held: 'open', reason: 'test', by: 'me' }
/** Stale at once, and good for an hour where the service cannot answer. */
const first = behave.ok('first', { headers: [['Cache-Control', 'max-age=0, stale-if-error=3600']] })
/** What a timer and the time of day may differ by. */
const clockMs = 100
const uncached = { cache: { mode: 'off' as const } }
const choices: ReadonlyArray<readonly [what: string, policy: object, is: (answer: RawResponse) => boolean]> = [
  ['what is stored', {}, ({ status, text, header }) => status === 200 && text() === 'first' && /hit;.*detail=stale-if-error/.test(header('cache-status') ?? '')],
  ['a fixed body with its status', { ...uncached, degraded: { body: 'reduced', status: 203 } }, ({ status, text }) => status === 203 && text() === 'reduced'],
  ['a status that has no body', { ...uncached, degraded: { body: 'unused', status: 204 } }, ({ status, text, header }) => status === 204 && text() === '' && header('content-length') === undefined],
  ['another upstream', { ...uncached, degraded: { upstream: 'spare' } }, ({ status, text }) => status === 200 && text() === 'second']
]

test('a breaker that is held open by hand lets go at its time, and not before', { timeout: 300_000 }, async () => {
  await using fleet = await startOrigins([first], { messages: { Echo: { upstream: 'origin', policy: { ...uncached, degraded: { body: 'reduced' } } } } })
  const { gateway } = fleet
  const held = await gateway.tell('/api/breakers/hold', { ...open, message: 'Echo', reason: 'table locked', by: 'ann', forMs: 12_000 })
  assert.equal(held.status, 200, held.text())
  assert.equal((await gateway.get(echo)).text(), 'reduced')
  const [hold] = ((await request(targetOf(gateway.admin), '/api/breakers')).json() as { holds: Array<Record<string, unknown>> }).holds
  assert.deepEqual([hold?.['held'], hold?.['message'], hold?.['reason'], hold?.['by']], ['open', 'Echo', 'table locked', 'ann'])
  await until('it has let go', async () => (await gateway.get(echo)).text() === 'first', { timeoutMs: 90_000 })
  assert.ok(Date.now() >= Date.parse(String(hold!['until'])) - clockMs, 'not before its time')
  assert.equal((await gateway.get(echo)).header('proxy-status'), undefined)
})

for (const [what, policy, is] of choices) {
  describe(`${what} in place of the error`, { timeout: 300_000 }, () => {
    const start = async (messageBreaker: object = {}) => {
      await using stack = new AsyncDisposableStack()
      const second = stack.use(await behave.startOrigin(behave.ok('second')))
      const fleet = stack.use(await startOrigins([first], {
        upstreams: { spare: { endpoints: [second.url] } },
        messages: { Echo: { upstream: 'origin', policy: { attempts: 1, messageBreaker, ...policy } } }
      }))
      assert.equal((await fleet.gateway.get(echo)).text(), 'first')
      const owned = stack.move()
      return { ...fleet, [Symbol.asyncDispose]: () => owned.disposeAsync() }
    }
    /** Whether an answer is the chosen one, and says what it stands in for. */
    const standsIn = (answer: RawResponse) => is(answer) && /BreakerOpen/.test(answer.header('proxy-status') ?? '')

    test('while the breaker is open by itself', async () => {
      await using fleet = await start({ consecutiveFailures: 3, resetTimeoutMs: 600_000 })
      const { gateway, origin } = fleet
      origin.behave(behave.ok('', { status: 500, reason: 'Broken' }))
      await until('it is open', async () => {
        // What is not stored is asked for each time.
        await gateway.get(`${echo}?more`)
        return standsIn(await gateway.get(echo))
      })
      const received = origin.received.length
      for (let n = 0; n < 5; n++) assert.ok(standsIn(await gateway.get(echo)))
      assert.equal(origin.received.length, received)
      await until('it is in the log', async () => (await gateway.log()).some(line => line['degradedBy'] === 'BreakerOpen'))
    })

    test('while it is held open by hand', async () => {
      await using fleet = await start()
      const { gateway } = fleet
      const held = await gateway.tell('/api/breakers/hold', { ...open, message: 'Echo' })
      assert.equal(held.status, 200, held.text())
      assert.ok(standsIn(await gateway.get(echo)))
    })
  })
}

describe('degraded', { timeout: 300_000 }, () => {
  test('a fixed body in place of the error, marked', async () => {
    await using fleet = await startOrigins([behave.ok()], { messages: { Echo: { upstream: 'origin', policy: { degraded: { body: '{"results":[]}', status: 203, headers: { 'X-Mode': 'reduced' } } } } } })
    assert.equal((await fleet.gateway.tell('/api/breakers/hold', open)).status, 200)
    const answer = await fleet.gateway.post(echo, {})
    assert.deepEqual([answer.status, answer.text(), answer.header('x-mode'), answer.header('cache-control')], [203, '{"results":[]}', 'reduced', 'no-store'])
    assert.match(answer.header('proxy-status') ?? '', /BreakerOpen/)
    await fleet.gateway.metricBecomes('postern_degraded_total', 1, { answer: 'fixed' })
    assert.equal((await fleet.gateway.post(other, {})).reason, 'BreakerOpen')
    await until('it is in the log', async () => (await fleet.gateway.log()).some(line => line['degradedBy'] === 'BreakerOpen'))
  })

  test('a fallback upstream, with a bulkhead of its own; slots come back', async () => {
    await using second = await behave.startOrigin(behave.ok('second'))
    await using fleet = await startOrigins([behave.ok('first')], {
      upstreams: { spare: { endpoints: [second.url] } },
      messages: { Echo: { upstream: 'origin', policy: { degraded: { upstream: 'spare', on: ['BreakerOpen', 'NoEndpoint'] } } } }
    })
    assert.equal((await fleet.gateway.post(echo, {})).text(), 'first')
    await fleet.gateway.tell('/api/breakers/hold', { ...open, upstream: 'origin', endpoint: fleet.origin.url })
    assert.equal((await fleet.gateway.post(echo, {})).text(), 'second')
    await until('all slots are back', async () => (await fleet.gateway.api('upstreams') as { live: Array<{ inFlight: number }> }).live.every(({ inFlight }) => inFlight === 0))
  })
})
