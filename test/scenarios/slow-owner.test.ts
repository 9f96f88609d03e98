// A service that owns a name answers later than Postern's own questions wait, and another one claims that name: slow is not gone.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import type { PartialConfig } from '../support/gateway.ts'
import { registerAsPlugin } from '../support/plugin-registration.ts'
import { startRelay } from '../support/relay.ts'
import { startServiceStackHost } from '../support/servicestack-host.ts'
import { until } from '../support/until.ts'
import { get, startWorld } from '../support/world.ts'

const [askMs, lateMs, ownerGoneMs] = [300, 1_000, 1_500]

test('a healthy owner of which every answer takes longer than a question may keeps its name, and gets its calls', { timeout: 300_000 }, async () => {
  const config = { registry: { ownerGoneMs, ask: { timeoutMs: askMs, intervalMs: 100, maxIntervalMs: 200 } } } as PartialConfig
  await using world = await startWorld(config)
  const { gateway } = world
  await using busy = await startServiceStackHost({ service: 'Busy', messages: { Work: () => ({ body: {} }) } })
  await using relay = await startRelay(busy.port)
  await registerAsPlugin(gateway.embedded!, { id: busy.id, address: `${relay.url}/`, tags: busy.tags }, { heartbeatIntervalS: 1 })
  await gateway.waitForRoute('Work')
  const lazy = await world.deploy('Lazy', ['Work'])
  await until('the newcomer is quarantined', async () => await gateway.metric('postern_routes', { state: 'quarantined' }) === 1)
  await until('it could be called', async () => await world.stateOf(lazy.id) === 'routed')
  relay.late(lateMs)
  const asked = () => busy.received.filter(({ target }) => /ServiceRegistration/.test(target)).length
  const [before, slowSince] = [asked(), performance.now()]
  await until('it has been asked in vain for longer than it takes to be gone', async () => {
    assert.equal((await gateway.get(get('Work'))).status, 200)
    return performance.now() - slowSince > 4 * ownerGoneMs && asked() > before + 8
  })
  assert.equal(await world.ownerOf('Work'), 'Busy')
  assert.deepEqual(lazy.executed, [])
  assert.equal(await gateway.metric('postern_message_moves_total', { reason: 'silent' }), 0)
})
