// Registrations of which nobody hears anything, not even a refusal, hold up no service that is there: neither one that comes later nor one that stands among them at a cold start.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBlackHole } from '../support/black-hole.ts'
import { consulSkip, startConsul, type RealConsul } from '../support/consul.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { registerAsPlugin } from '../support/plugin-registration.ts'
import { startServiceStackHost } from '../support/servicestack-host.ts'
import { watchSlowness } from '../support/slowness.ts'
import { until } from '../support/until.ts'

const skip = process.platform === 'linux' ? await consulSkip() : 'SKIPPED: what fills a queue of connections elsewhere is not known'
const holes = 200
const answer = () => ({ body: {} })
/** What is promised is a second; without the promise kept it is eleven. ms, on an idle machine. */
const soonMs = 8_000

const hostOf = (service: string) => startServiceStackHost({ service, messages: { [`Get${service}`]: answer } })
/** Half of them passing, the others unchecked. */
const fill = async (consul: RealConsul, port: number) => {
  for (let n = 0; n < holes; n++) {
    const Check = n % 2 === 0 ? { Check: { TTL: '1h', Status: 'passing' } } : {}
    await consul.put('/v1/agent/service/register', { ID: `ss-Hole${n}-00000000-0000-4000-8000-${String(n).padStart(12, '0')}`, Name: 'api', Tags: ['ss-version-1.0', `Hole${n}`], Address: `http://127.0.0.1:${port}/${n}/`, Port: port, ...Check })
  }
}

async function comesSoon (gateway: TestGateway, service: string, startedAt: number, isSlower: () => number): Promise<string> {
  await until(`${service} to be callable`, async () => (await gateway.get(`/json/reply/Get${service}`)).status === 200, { everyMs: 10 })
  const tookMs = performance.now() - startedAt
  const times = isSlower()
  const said = `${service} after ${tookMs.toFixed()} ms, on a machine ${times.toFixed(1)} times as slow as an idle one`
  assert.ok(tookMs < soonMs * times, said)
  return said
}

test('200 registrations where nobody takes connections', { timeout: 300_000, skip }, async t => {
  const consul = await startConsul()
  t.after(() => consul.stop())
  await using hole = await startBlackHole()
  await using early = await hostOf('Early')
  await using late = await hostOf('Late')
  await using slowness = await watchSlowness()
  await fill(consul, hole.port)
  await registerAsPlugin(consul.url, early)
  const isSlower = slowness.measure()
  await using gateway = await startGateway({ registry: { consul: { agents: [consul.url] } } } as never)
  const startedAt = performance.now()
  t.diagnostic(await comesSoon(gateway, 'Early', startedAt, isSlower))
  // Every one of them has been waited for in vain.
  await until('nobody to have been found at any', async () => ((await gateway.api('routes')).registrations as Array<{ state: string, why: string }>).filter(({ why }) => /no whole answer/.test(why)).length >= holes / 2)
  const isSlowerLater = slowness.measure()
  const registeredAt = performance.now()
  await registerAsPlugin(consul.url, late)
  t.diagnostic(await comesSoon(gateway, 'Late', registeredAt, isSlowerLater))
})
