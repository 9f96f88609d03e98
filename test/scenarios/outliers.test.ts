// Endpoints that do worse than their equals get no calls for a while: found out, shown, taken back by hand, never the last one. Through the whole gateway.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { runHere } from '../command/run-command.ts'
import { startOrigins } from '../support/fleet.ts'
import type { TestGateway } from '../support/gateway.ts'
import * as behave from '../support/origin.ts'
import { startServices } from '../support/services.ts'
import { until } from '../support/until.ts'

const path = '/json/reply/Echo'
type Gatewayed = { readonly gateway: TestGateway }
/** In turn, so that each gets the same; who fails half of them is not the breakers' business here. */
const config = (outliers: object = {}) => ({ upstreams: { origin: { breaker: { errorThresholdPercent: 100 }, outliers: { intervalMs: 2_000, minAttempts: 5, baseMs: 600_000, maxMs: 600_000, ...outliers }, policy: { balancer: { strategy: 'round-robin' as const } } } } })

const ejected = async ({ gateway }: Gatewayed): Promise<Array<{ readonly url: string, readonly reason: string }>> => {
  const { live } = await gateway.api('upstreams') as { live: Array<{ endpoints: Array<{ url: string, ejected: { reason: string } | null }> }> }
  return live.flatMap(({ endpoints }) => endpoints.flatMap(({ url, ejected }) => ejected === null ? [] : [{ url, reason: ejected.reason }]))
}
const call = async ({ gateway }: Gatewayed) => await gateway.post(path, {})
const isEjected = async (fleet: Gatewayed) => await until('one is ejected', async () => {
  for (let n = 0; n < 10; n++) await call(fleet)
  return (await ejected(fleet)).length > 0
})

describe('ejection', { timeout: 900_000 }, () => {
  test('five endpoints, one fails half: it gets no calls, is shown with the reason, and is taken back by hand', async () => {
    await using fleet = await startOrigins([behave.failingHalf(), ...Array.from({ length: 4 }, () => behave.ok())], config())
    const [bad] = fleet.origins
    await isEjected(fleet)
    const found = await ejected(fleet)
    assert.deepEqual(found.map(({ url }) => url), [bad!.url])
    assert.match(found[0]!.reason, /^success rate \d+(?:\.\d)? %, mean of 5 endpoints \d+(?:\.\d)? %$/)
    assert.equal(await fleet.gateway.metric('postern_endpoint_ejected', { endpoint: bad!.url }), 1)
    const received = bad!.received.length
    for (let n = 0; n < 20; n++) assert.equal((await call(fleet)).status, 200)
    assert.equal(bad!.received.length, received)
    await until('it is in the log', async () => (await fleet.gateway.log()).some(line => line['ejected'] === true && line['endpoint'] === bad!.url))
    const admin = ['--admin', fleet.gateway.admin]
    assert.match((await runHere(['breaker', 'list', ...admin])).out, new RegExp(`${bad!.url}.*success rate`))
    bad!.behave(behave.ok('mended'))
    const released = await runHere(['breaker', 'release', 'origin', '--endpoint', bad!.url, ...admin])
    assert.deepEqual([released.code, released.err], [0, ''])
    assert.deepEqual(await ejected(fleet), [])
    await until('it gets calls again', async () => (await call(fleet)).text() === 'mended')
    assert.equal(await fleet.gateway.metric('postern_endpoint_ejected', { endpoint: bad!.url }), 0)
  })

  test('two endpoints: one that falls behind its own past goes; the last one never does', async () => {
    await using fleet = await startOrigins([behave.ok(), behave.ok()], config())
    const [first, second] = fleet.origins
    const startedAt = performance.now()
    await until('both have a past', async () => {
      await call(fleet)
      return performance.now() - startedAt > 7_000
    }, { everyMs: 1, timeoutMs: 30_000 })
    first!.behave(behave.failingHalf())
    await isEjected(fleet)
    const found = await ejected(fleet)
    assert.deepEqual(found.map(({ url }) => url), [first!.url])
    assert.match(found[0]!.reason, /its own past/)
    second!.behave(behave.failingHalf())
    const later = performance.now()
    await until('two more intervals', async () => {
      await call(fleet)
      return performance.now() - later > 5_000
    }, { everyMs: 1, timeoutMs: 30_000 })
    assert.deepEqual((await ejected(fleet)).map(({ url }) => url), [first!.url])
  })

  test('ends by itself', async () => {
    await using fleet = await startOrigins([behave.failingHalf(), ...Array.from({ length: 4 }, () => behave.ok())], config({ baseMs: 300, maxMs: 300 }))
    await isEjected(fleet)
    fleet.origin.behave(behave.ok('back'))
    await until('it gets calls again', async () => (await call(fleet)).text() === 'back')
  })

  test('ends by itself without a call', async () => {
    await using fleet = await startOrigins([behave.failingHalf(), ...Array.from({ length: 4 }, () => behave.ok())], config({ baseMs: 2_000, maxMs: 2_000 }))
    await isEjected(fleet)
    await until('it is not shown any more', async () => (await ejected(fleet)).length === 0)
    await fleet.gateway.metricBecomes('postern_endpoint_ejected', 0)
  })

  test('ends when the others die: who is turned away there is answered by it', async () => {
    await using fleet = await startOrigins([behave.failingHalf(), ...Array.from({ length: 4 }, () => behave.closing())], config())
    const [bad, ...others] = fleet.origins
    await isEjected(fleet)
    bad!.behave(behave.ok('last'))
    await Promise.all(others.map(async other => { await other.close() }))
    for (let n = 0; n < 20; n++) assert.equal((await call(fleet)).text(), 'last')
  })

  test('is not for a message that only this one has', async () => {
    await using service = await startServices([{ messages: ['Echo', 'Only'], behaviour: behave.byPath({ '/json/reply/Only': behave.ok('only') }, behave.failingHalf()) }, ...Array.from({ length: 4 }, () => ({ messages: ['Echo'] }))], { upstreams: { Orders: config().upstreams.origin } })
    await isEjected(service)
    for (let n = 0; n < 20; n++) assert.equal((await service.gateway.post('/json/reply/Only', {})).text(), 'only')
  })
})
