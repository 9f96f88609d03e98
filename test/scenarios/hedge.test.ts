// Hedging on real sockets: a slow endpoint is overtaken, and nothing is left behind.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startOrigins } from '../support/fleet.ts'
import * as behave from '../support/origin.ts'
import { until } from '../support/until.ts'

const path = '/json/reply/Echo'
const hedged = { hedge: { enabled: true, percentile: 90, minDelayMs: 30 }, headersTimeoutMs: 100_000, deadlineMs: 100_000 }

describe('hedging', { timeout: 900_000 }, () => {
  test('a safe request that an endpoint sits on is answered by another, and the first attempt is let go', async () => {
    let slow = false
    const sometimes: behave.Behaviour = async request => await (slow ? behave.hang() : behave.ok('fine'))(request)
    await using fleet = await startOrigins([sometimes, behave.ok('fine')], { upstreams: { origin: { policy: { ...hedged, balancer: { strategy: 'round-robin' } }, breaker: { enabled: false } } } })
    const { gateway, origin } = fleet
    for (let i = 0; i < 60; i++) assert.equal((await gateway.get(path)).status, 200)
    slow = true
    const startedAtMs = performance.now()
    for (let i = 0; i < 10; i++) assert.equal((await gateway.get(path, { timeoutMs: 120_000 })).text(), 'fine')
    assert.ok(performance.now() - startedAtMs < 90_000, 'nobody waited for the one that hangs')
    await until('the attempts that lost are let go', () => origin.received.filter(({ gone }) => gone).length >= 1)
    assert.ok(await gateway.metric('postern_hedges_total', { upstream: 'origin' }) >= 1)
    await until('slots and connections are back', async () => await gateway.metric('postern_pool_connections', { state: 'busy' }) === 0 && await gateway.metric('postern_in_flight') === 0)
    const { upstreams } = await gateway.api('upstreams') as { upstreams: Array<{ name: string }> }
    assert.ok(upstreams.some(({ name }) => name === 'origin'))
    const said = ({ hedge, outcome }: { hedge?: true, outcome: string }) => `${outcome}${hedge === true ? ' hedge' : ''}`
    await until('the hedged exchange is logged', async () => (await gateway.log()).some(({ attempts }) => Array.isArray(attempts) && attempts.map(said).join() === 'ignored,success hedge'))
  })

  test('with a service that is slow for all, second attempts stay within the budget of repeats', async () => {
    let slowMs = 0
    const both: behave.Behaviour = async request => {
      if (slowMs > 0) await sleep(slowMs)
      await behave.ok('fine')(request)
    }
    const [quick, late] = [150, 100]
    await using fleet = await startOrigins([both, both], {
      upstreams: { origin: { retryBudget: { percent: 20, perSecond: 0, windowMs: 600_000 }, breaker: { enabled: false }, policy: { hedge: { enabled: true, percentile: 50, minDelayMs: 30 }, headersTimeoutMs: 120_000, deadlineMs: 120_000 } } }
    })
    const { gateway, origins } = fleet
    for (let n = 0; n < quick; n++) assert.equal((await gateway.get(path)).status, 200)
    // Half of what is remembered was quick: each of these is worth a second attempt.
    slowMs = 400
    await Promise.all(Array.from({ length: 10 }, async () => { for (let n = 0; n < late / 10; n++) assert.equal((await gateway.get(path)).status, 200) }))
    const hedges = await gateway.metric('postern_hedges_total', { upstream: 'origin' })
    assert.ok(hedges > 0 && hedges <= (quick + late) * 0.2, `${hedges} second attempts`)
    assert.ok(await gateway.metric('postern_retries_refused_total', { upstream: 'origin' }) > 0, 'more were due')
    assert.ok(origins.reduce((sum, { received }) => sum + received.length, 0) <= quick + late + hedges)
    assert.equal(await gateway.metric('postern_retries_total', { upstream: 'origin' }), 0)
    assert.ok(await gateway.metric('postern_retry_budget_left', { upstream: 'origin' }) <= (quick + late) * 0.2 - hedges)
  })

  test('soak: thousands of hedged and retried exchanges with failures of every kind, and everything is back at zero', async () => {
    let seed = 11
    const random = () => (seed = seed * 16_807 % 2_147_483_647) / 2_147_483_647
    const kinds: behave.Behaviour[] = [behave.reset(), behave.cutHead(), behave.cutBody(), behave.hang(), behave.ok('x'.repeat(100_000), { status: 503, reason: 'Busy' }), behave.raw('SSH-2.0\r\n\r\n', { close: true })]
    const fickle: behave.Behaviour = async request => {
      const luck = random()
      if (luck < 0.08) return await kinds[Math.floor(luck / 0.08 * kinds.length)]!(request)
      if (luck < 0.2) await sleep(40)
      await behave.ok('fine')(request)
    }
    await using fleet = await startOrigins([fickle, fickle, fickle], {
      upstreams: {
        origin: {
          bulkhead: { maxConcurrent: 40, maxQueue: 100 },
          breaker: { enabled: false },
          retryBudget: { perSecond: 200 },
          policy: { hedge: { enabled: true, percentile: 80, minDelayMs: 5 }, attempts: 3, headersTimeoutMs: 2_000, retry: { backoffMs: 2, maxBackoffMs: 5 } }
        }
      },
      messages: { Other: { upstream: 'origin', policy: { headersTimeoutMs: 60_000, deadlineMs: 60_000 } } }
    })
    const { gateway } = fleet
    const total = 3_000
    let sent = 0
    let answered = 0
    await Promise.all(Array.from({ length: 24 }, async () => {
      while (sent++ < total) {
        // One in fifty leaves without waiting.
        if (sent % 50 === 0) {
          const connection = await gateway.connect()
          connection.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
          connection.close()
          continue
        }
        const response = await gateway.get(path, { timeoutMs: 60_000 })
        if (response.status === 200) answered++
      }
    }))
    assert.ok(answered > total * 0.8, `${answered} of ${total}`)
    await until('everything is given back', async () => await gateway.metric('postern_in_flight') === 0 && await gateway.metric('postern_queue') === 0 && await gateway.metric('postern_pool_connections', { state: 'busy' }) === 0, { timeoutMs: 60_000 })
    // All slots are free: as many as there are can be taken at once, and not one more.
    for (const origin of fleet.origins) origin.behave(behave.hang())
    const holders = await Promise.all(Array.from({ length: 40 }, async () => await gateway.connect({ timeoutMs: 60_000 })))
    for (const holder of holders) holder.send('POST /json/reply/Other HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n')
    await until('every slot is taken', async () => await gateway.metric('postern_pool_connections', { state: 'busy' }) === 40)
    assert.equal(await gateway.metric('postern_queue'), 0)
    for (const holder of holders) holder.close()
    assert.ok(await gateway.metric('postern_hedges_total') > 20)
    assert.ok(await gateway.metric('postern_retries_total') > 20)
  })
})
