// A service that fails altogether gets little more than its own traffic, however it fails and however often a policy would repeat.
import assert from 'node:assert/strict'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import type { Effect } from '../../src/exchange/effect.ts'
import { makeCertificate } from '../support/certificates.ts'
import { startOrigins, type OriginFleet } from '../support/fleet.ts'
import { startGateway, type PartialConfig } from '../support/gateway.ts'
import * as behave from '../support/origin.ts'
import { startRawServer } from '../support/raw-server.ts'
import { until } from '../support/until.ts'

const path = '/json/reply/Echo'
const calls = 150
const concurrency = 15
const retryBudget = { percent: 20, perSecond: 3, windowMs: 10_000 }
/** Breakers would stop it sooner: here the budget has to. */
const settings = {
  upstreams: {
    origin: {
      retryBudget,
      breaker: { enabled: false },
      policy: { attempts: 5, headersTimeoutMs: 150, retry: { backoffMs: 5, maxBackoffMs: 20 } }
    }
  }
}

async function storm ({ gateway }: OriginFleet): Promise<{ statuses: Set<number>, seconds: number }> {
  const startedAtMs = performance.now()
  const statuses = new Set<number>()
  let sent = 0
  await Promise.all(Array.from({ length: concurrency }, async () => {
    while (sent++ < calls) statuses.add((await gateway.get(path)).status)
  }))
  return { statuses, seconds: (performance.now() - startedAtMs) / 1_000 }
}

const received = ({ origins }: OriginFleet) => origins.reduce((sum, origin) => sum + origin.received.length, 0)

describe('retry storm', { timeout: 300_000 }, () => {
  for (const [what, behaviour, status] of [
    ['answers 503', behave.ok('', { status: 503, reason: 'Busy' }), 503],
    ['resets', behave.reset(), 502],
    ['is silent', behave.hang(), 504]
  ] as const) {
    test(`a fleet that ${what}: attempts stay within the budget`, async () => {
      await using fleet = await startOrigins([behaviour, behaviour, behaviour], settings)
      const { statuses, seconds } = await storm(fleet)
      const allowed = calls * (1 + retryBudget.percent / 100) + retryBudget.perSecond * (seconds + 1)
      const attempts = received(fleet)
      assert.ok(attempts <= allowed, `${attempts} attempts of ${calls} calls, ${allowed} allowed`)
      assert.ok(attempts > calls * 1.1, `${attempts} attempts: what is allowed is used`)
      assert.ok(statuses.has(status) && [...statuses].every(one => one >= 502), [...statuses].join())
      assert.ok(await fleet.gateway.metric('postern_retries_refused_total', { upstream: 'origin' }) > 0)
      await fleet.gateway.metricBecomes('postern_retries_total', attempts - calls, { upstream: 'origin' })
    })
  }

  test('a fleet that refuses: attempts stay within the budget', async () => {
    await using fleet = await startOrigins([behave.ok(), behave.ok(), behave.ok()], settings)
    assert.equal((await fleet.gateway.get(path)).status, 200)
    for (const origin of fleet.origins) await origin.server.kill()
    const { statuses, seconds } = await storm(fleet)
    const attempts = await fleet.gateway.metric('postern_attempts_total', { upstream: 'origin' })
    const allowed = (calls + 1) * (1 + retryBudget.percent / 100) + retryBudget.perSecond * (seconds + 1)
    assert.ok(attempts <= allowed, `${attempts} attempts of ${calls} calls, ${allowed} allowed`)
    assert.ok(!statuses.has(200))
  })

  test('of POSTs at once none is lost to an endpoint that finishes no connection, beyond the budget too', async t => {
    const certificate = await makeCertificate(['127.0.0.1'])
    t.after(() => certificate.remove())
    const isStuck = { now: false }
    const handler = behave.ok()
    const tls = { cert: certificate.pem, key: certificate.key }
    const servers = [await startRawServer({ handler, tls }), await startRawServer({ handler, tls })] as const
    const held = new Set<Socket>()
    const between = createServer(socket => {
      socket.on('error', () => {})
      held.add(socket)
      if (isStuck.now) return
      const onwards = connect(servers[0].port, '127.0.0.1').on('error', () => socket.destroy())
      socket.pipe(onwards).pipe(socket)
    })
    await new Promise<void>(resolve => between.listen(0, '127.0.0.1', resolve))
    t.after(async () => {
      for (const socket of held) socket.destroy()
      between.close()
      for (const server of servers) await server.kill()
    })
    const { port } = between.address() as AddressInfo
    await using gateway = await startGateway({
      defaults: { policy: { cache: { mode: 'off' } } },
      upstreams: { origin: { endpoints: [`https://127.0.0.1:${port}`, `https://127.0.0.1:${servers[1].port}`], tls: { caFile: certificate.certFile }, breaker: { enabled: false }, retryBudget: { percent: 0, perSecond: 1 }, policy: { connectTimeoutMs: 5_000, balancer: { strategy: 'round-robin' } } } },
      messages: { Echo: { upstream: 'origin' } }
    } as PartialConfig)
    await gateway.waitForRoute('Echo')
    for (const one of [port, servers[1].port]) await gateway.waitForEndpoint(`https://127.0.0.1:${one}`)
    for (let i = 0; i < 4; i++) assert.equal((await gateway.post(path, {})).status, 200)
    isStuck.now = true
    for (const socket of held) socket.destroy()
    const statuses = await Promise.all(Array.from({ length: 40 }, async () => (await gateway.post(path, {}, { timeoutMs: 60_000 })).status))
    assert.deepEqual([...new Set(statuses)], [200])
    await until('repeats are counted', async () => await gateway.metric('postern_retries_total', { upstream: 'origin' }) > 1)
  })

  test('one that could be saved is saved: with one endpoint of three failing, no call is lost', async () => {
    await using fleet = await startOrigins([behave.ok('', { status: 503, reason: 'Busy' }), behave.ok(), behave.ok()], { upstreams: { origin: { breaker: { enabled: false }, retryBudget: { percent: 100 } } } })
    const { statuses } = await storm(fleet)
    assert.deepEqual([...statuses], [200])
  })
})

describe('effect and repetition, counted at the origin', { timeout: 300_000 }, () => {
  const broken = (effect: Effect | 'auto', more: object = {}) => ({ upstreams: { origin: { policy: { effect, ...more } } } })

  for (const [what, config, headers, count] of [
    ['a POST', {}, [], 1],
    ['a POST of an idempotent message', broken('idempotent'), [], 2],
    ['a POST with an Idempotency-Key that the service does not honour', {}, [['Idempotency-Key', 'k1']], 1],
    ['a POST with an Idempotency-Key that it honours', broken('auto', { retry: { honoursIdempotencyKey: true } }), [['Idempotency-Key', 'k1']], 2]
  ] as const) {
    for (const behaviour of [behave.reset(), behave.ok('', { status: 503, reason: 'Busy' })]) {
      test(`${what} that failed is executed ${count === 1 ? 'once' : 'again'}`, async () => {
        await using fleet = await startOrigins([behaviour, behaviour], config)
        const response = await fleet.gateway.post(path, {}, { headers: [['Content-Type', 'application/json'], ...headers as ReadonlyArray<[string, string]>] })
        assert.ok(response.status >= 502)
        assert.equal(received(fleet), count)
      })
    }
  }

  for (const target of ['/json/oneway/Echo', '/json/reply/Echo[]']) {
    test(`${target} is never executed again, whatever its message says`, async () => {
      await using fleet = await startOrigins([behave.reset(), behave.reset()], broken('safe', { retry: { honoursIdempotencyKey: true } }))
      await fleet.gateway.post(target, '[{}]', { headers: [['Content-Type', 'application/json'], ['Idempotency-Key', 'k1']] })
      assert.equal(received(fleet), 1)
    })
  }

  test('an answer that is tried again leaves no connection behind', async () => {
    const large = behave.ok('x'.repeat(200_000), { status: 503, reason: 'Busy' })
    await using fleet = await startOrigins([large, large, behave.ok()], { upstreams: { origin: { breaker: { enabled: false }, retryBudget: { perSecond: 1_000 }, policy: { attempts: 3 } } } })
    for (let i = 0; i < 30; i++) assert.equal((await fleet.gateway.get(path)).status, 200)
    await fleet.gateway.metricBecomes('postern_pool_connections', 0, { state: 'busy' })
    await fleet.gateway.metricBecomes('postern_in_flight', 0)
  })
})
