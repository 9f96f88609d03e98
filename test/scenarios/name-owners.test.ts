// Whose a name is where chance could decide it otherwise: owners drained and gone.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { until } from '../support/until.ts'
import { get, logged, startWorld } from '../support/world.ts'

test('a service is renamed, its old instances drained and then stopped: the name passes when nothing of it lives', { timeout: 120_000 }, async () => {
  await using world = await startWorld({ registry: { ownerGoneMs: 500, ask: { maxIntervalMs: 300 } } } as never)
  const before = await world.deploy('Sales', ['Browse'])
  await world.gateway.waitForRoute('Browse')
  const after = await world.deploy('Store', ['Browse'])
  await until('the newcomer is quarantined', async () => await world.gateway.metric('postern_routes', { state: 'quarantined' }) === 1)
  await world.maintain(before)
  await until('it is drained', async () => await world.stateOf(before.id) === 'draining')
  assert.equal(await world.ownerOf('Browse'), 'Sales', 'drained is not gone')
  await before.kill()
  await until('the name has moved', async () => await world.ownerOf('Browse') === 'Store', { timeoutMs: 15_000 })
  assert.equal((await world.gateway.get(get('Browse'))).status, 200)
  assert.equal(after.executed.length, 1)
  const line = await logged(world.gateway, 'message moved')
  assert.match(String(line['why']), /it moved here from Sales, of whom no endpoint answered any more, at /)
})
