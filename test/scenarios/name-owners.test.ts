// Whose a name is where chance or an operator's order could decide it otherwise: lists that are read late, owners drained and gone.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { startGateway, type PartialConfig } from '../support/gateway.ts'
import { registerAsPlugin } from '../support/plugin-registration.ts'
import { startServiceStackHost } from '../support/servicestack-host.ts'
import { until } from '../support/until.ts'
import { get, logged, startWorld } from '../support/world.ts'

const answer = () => ({ body: {} })

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

test('where nobody remembers, who registered first has the name, also when his list is read later', { timeout: 120_000 }, async () => {
  // A registry that outlives the gateway: its order is what is left.
  await using registry = await startGateway({ registry: { embedded: { address: '127.0.0.1:0' } } })
  await using orders = await startServiceStackHost({ service: 'Orders', messages: { PlaceOrder: answer }, publishes: 503 })
  await using billing = await startServiceStackHost({ service: 'Billing', messages: { PlaceOrder: answer, Invoice: answer } })
  for (const host of [orders, billing]) await registerAsPlugin(registry.embedded!, host, { heartbeatIntervalS: 1 })
  await using gateway = await startGateway({ registry: { consul: { agents: [registry.embedded!], services: ['api'] }, ownerGoneMs: 120_000 } } as PartialConfig)
  const rows = async () => (await gateway.api('routes')).routes as Array<{ message: string, state: string, upstream: string, why: string }>
  await gateway.waitForRoute('Invoice')
  const [why] = (await rows()).filter(({ message, upstream }) => message === 'PlaceOrder' && upstream === 'Billing').map(row => row.why)
  assert.match(why!, /^Unread: Orders was registered before Billing and may have it/)
  assert.equal((await gateway.get(get('PlaceOrder'))).reason, 'RoutesNotReady')
  orders.publishes = 'list'
  const owner = await until('somebody has it', async () => (await rows()).find(({ message, state }) => message === 'PlaceOrder' && state === 'routed')?.upstream)
  assert.equal(owner, 'Orders')
})
