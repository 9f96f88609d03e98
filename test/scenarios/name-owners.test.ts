// Whose a name is where chance or an operator's order could decide it otherwise: lists that are read late, owners drained and gone.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startGateway, type PartialConfig } from '../support/gateway.ts'
import { misdirected, startLoad, type Load } from '../support/load.ts'
import { registerAsPlugin } from '../support/plugin-registration.ts'
import { startServiceStackHost, type ServiceStackHost } from '../support/servicestack-host.ts'
import { until } from '../support/until.ts'
import { aSecond, get, logged, startWorld, type World } from '../support/world.ts'

const answer = () => ({ body: {} })

/** Calls wait for the table for a second at most: where a machine is so busy that the names took longer to pass, only what waited in vain may be lost. */
const assertNoneLost = ({ failures }: Load, tookMs: number) =>
  assert.deepEqual(tookMs < 1_000 ? failures : failures.filter(failure => !/50[23] (?:NoEndpoint|ConnectFailed|ConnectionClosed)/.test(failure)), [])

/** Its names are quarantined, and it could be called: a claim is seen before the process that makes it has answered. */
async function isQuarantined (world: World, names: number, ...newcomers: readonly ServiceStackHost[]): Promise<void> {
  await until('the newcomer is quarantined', async () => await world.gateway.metric('postern_routes', { state: 'quarantined' }) === names)
  for (const { id } of newcomers) await until('it can be called', async () => await world.stateOf(id) === 'routed')
}

test('a service is renamed at other addresses and its old instances are drained: the name passes with the last of them, and no call is lost', { timeout: 300_000 }, async () => {
  await using world = await startWorld()
  const before = [await world.deploy('Sales', ['Browse']), await world.deploy('Sales', ['Browse'])]
  for (const { url } of before) await world.gateway.waitForEndpoint(url)
  await world.gateway.waitForRoute('Browse')
  await using load = startLoad(world.gateway.url, get('Browse'))
  const after = [await world.deploy('Store', ['Browse']), await world.deploy('Store', ['Browse'])]
  await isQuarantined(world, 1, ...after)
  await world.maintain(before[0]!)
  await until('one is drained', async () => await world.stateOf(before[0]!.id) === 'draining')
  assert.equal(await world.ownerOf('Browse'), 'Sales', 'the other one serves on')
  await world.maintain(before[1]!)
  await until('the name has moved', async () => await world.ownerOf('Browse') === 'Store', aSecond)
  for (const host of before) await host.kill()
  await until('both get calls', () => after.every(({ executed }) => executed.length > 0))
  await load.stop()
  assert.deepEqual(load.failures, [])
  const line = await logged(world.gateway, 'message moved')
  assert.match(String(line['why']), /it moved here from Sales, of which all was drained, at /)
})

test('maintenance of a service whose names a later one has too lends them: that one has them as long as it lasts, and no call is lost', { timeout: 300_000 }, async () => {
  await using world = await startWorld()
  const shop = await world.deploy('Shop', ['Browse', 'Buy'])
  await world.gateway.waitForRoute('Buy')
  const staging = await world.deploy('ShopStaging', ['Browse', 'Buy'])
  await isQuarantined(world, 2, staging)
  await using load = startLoad(world.gateway.url, get('Buy'))
  const owners = async () => [await world.ownerOf('Browse'), await world.ownerOf('Buy')].join()
  for (const round of [1, 2]) {
    await world.maintain(shop)
    await until(`it is lent, round ${round}`, async () => await owners() === 'ShopStaging,ShopStaging', aSecond)
    await world.maintain(shop, false)
    await until(`it is back, round ${round}`, async () => await owners() === 'Shop,Shop', aSecond)
  }
  // Stopped and started for an upgrade: the process is another one, at the address of what is registered still.
  await world.maintain(shop)
  await until('it is lent', async () => await owners() === 'ShopStaging,ShopStaging', aSecond)
  await shop.kill()
  await world.deploy('Shop', ['Browse', 'Buy'], shop.port)
  await until('the new process has the names', async () => await owners() === 'Shop,Shop', aSecond)
  const { length } = staging.executed
  const { calls } = load
  await until('calls go on', () => load.calls > calls + 50)
  await load.stop()
  assert.deepEqual(load.failures, [])
  assert.equal(staging.executed.length, length)
  const line = await until('the log to say it', async () => (await world.gateway.log()).find(({ msg, from }) => msg === 'message moved' && from === 'ShopStaging'))
  assert.match(String(line['why']), /it moved here from ShopStaging, who had it while this one was drained or restarted, at /)
})

test('the same where the old instances are killed and stay registered: the name passes within a second after the last, and the calls wait for that', { timeout: 300_000 }, async () => {
  await using world = await startWorld()
  const before = [await world.deploy('Sales', ['Browse', 'Buy']), await world.deploy('Sales', ['Browse', 'Buy'])]
  for (const { url } of before) await world.gateway.waitForEndpoint(url)
  await world.gateway.waitForRoute('Buy')
  await using load = startLoad(world.gateway.url, get('Browse'))
  await isQuarantined(world, 2, await world.deploy('Store', ['Browse', 'Buy']))
  await until('there are calls', () => load.calls > 0)
  await before[0]!.kill()
  // Who was at the one that died is through: a call is repeated once, and not to meet the end of the other as well.
  const { calls: soFar } = load
  await until('the other one serves on', () => load.calls > soFar + 50)
  assert.deepEqual([await world.ownerOf('Browse'), load.failures], ['Sales', []])
  const killedAt = performance.now()
  await before[1]!.kill()
  await until('the names have moved', async () => await world.ownerOf('Browse') === 'Store' && await world.ownerOf('Buy') === 'Store', aSecond)
  const tookMs = performance.now() - killedAt
  const { calls } = load
  await until('calls go on', () => load.calls > calls + 40)
  await load.stop()
  assertNoneLost(load, tookMs)
})

test('a service is split into two new ones and killed, and stays registered: each name passes to its half within a second, and the calls wait for that', { timeout: 300_000 }, async () => {
  await using world = await startWorld()
  const whole = [await world.deploy('Whole', ['Browse', 'Buy']), await world.deploy('Whole', ['Browse', 'Buy'])]
  for (const { url } of whole) await world.gateway.waitForEndpoint(url)
  await world.gateway.waitForRoute('Buy')
  await using load = startLoad(world.gateway.url, [get('Browse'), get('Buy')])
  const halves = [await world.deploy('Browsing', ['Browse']), await world.deploy('Buying', ['Buy'])]
  await isQuarantined(world, 2, ...halves)
  const owners = async () => [await world.ownerOf('Browse'), await world.ownerOf('Buy')].join()
  await whole[0]!.kill()
  const { calls: soFar } = load
  await until('the other one serves on', () => load.calls > soFar + 50)
  assert.deepEqual([await owners(), load.failures], ['Whole,Whole', []])
  const killedAt = performance.now()
  await whole[1]!.kill()
  await until('the names have moved', async () => await owners() === 'Browsing,Buying', aSecond)
  const tookMs = performance.now() - killedAt
  await until('both get calls', () => halves.every(({ executed }) => executed.length > 20))
  await load.stop()
  assertNoneLost(load, tookMs)
  assert.deepEqual(misdirected(world.hosts), [])
  const line = await logged(world.gateway, 'message moved')
  assert.match(String(line['why']), /it moved here from Whole, of which nothing took connections any more, at /)
})

test('a service of one instance is restarted beside a newer one that has its names too: that one has them meanwhile and gives them back, and no call is lost', { timeout: 300_000 }, async () => {
  // However long a start takes on a loaded machine.
  await using world = await startWorld({ registry: { ownerGoneMs: 100_000 } } as PartialConfig)
  const shop = await world.deploy('Shop', ['Browse', 'Buy'])
  await world.gateway.waitForRoute('Buy')
  await isQuarantined(world, 2, await world.deploy('ShopStaging', ['Browse', 'Buy']))
  await using load = startLoad(world.gateway.url, get('Buy'))
  const owners = async () => [await world.ownerOf('Browse'), await world.ownerOf('Buy')].join()
  await until('it has calls', () => shop.executed.length > 10)
  const killedAt = performance.now()
  await shop.kill()
  await until('they are lent', async () => await owners() === 'ShopStaging,ShopStaging', aSecond)
  const tookMs = performance.now() - killedAt
  const again = await world.deploy('Shop', ['Browse', 'Buy'], shop.port)
  await until('they are back', async () => await owners() === 'Shop,Shop', aSecond)
  await until('it gets the calls', () => again.executed.length > 10)
  await load.stop()
  assertNoneLost(load, tookMs)
})

test('two services claim one name by mistake, and a new instance of the one gets the address of a dead one of the other: the owner keeps it', { timeout: 300_000 }, async () => {
  await using world = await startWorld()
  const shops = [await world.deploy('Shop', ['Browse', 'Place']), await world.deploy('Shop', ['Browse', 'Place'])]
  for (const { url } of shops) await world.gateway.waitForEndpoint(url)
  await world.gateway.waitForRoute('Place')
  const billing = [await world.deploy('Billing', ['Place', 'Invoice'])]
  await isQuarantined(world, 1, ...billing)
  await shops[0]!.kill()
  billing.push(await world.deploy('Billing', ['Place', 'Invoice'], shops[0]!.port))
  await until('the new one is there', async () => await world.stateOf(billing[1]!.id) === 'routed' && await world.stateOf(shops[0]!.id) === 'ghost')
  for (let n = 0; n < 10; n++) assert.equal((await world.gateway.get(get('Place'))).status, 200)
  assert.equal(await world.ownerOf('Place'), 'Shop')
  assert.deepEqual(billing.flatMap(({ executed }) => executed), [])
})

test('an owner that was silent when Postern stopped, and lives when it starts, keeps its name', { timeout: 300_000 }, async t => {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'postern-data-'))
  t.after(() => rm(dataDirectory, { recursive: true, force: true }))
  // A registry that outlives the gateway.
  await using registry = await startGateway({ registry: { embedded: { address: '127.0.0.1:0' } } })
  const ownerGoneMs = 8_000
  const config = { registry: { consul: { agents: [registry.embedded!], services: ['api'] }, ownerGoneMs }, dataDirectory } as PartialConfig
  const id = 'ss-Orders-00000000-0000-4000-8000-000000000001'
  const orders = await startServiceStackHost({ service: 'Orders', id, messages: { Place: answer } })
  await using billing = await startServiceStackHost({ service: 'Billing', messages: { Place: answer, Invoice: answer } })
  {
    await using gateway = await startGateway(config)
    await registerAsPlugin(registry.embedded!, orders)
    await gateway.waitForRoute('Place')
    await registerAsPlugin(registry.embedded!, billing)
    await until('the newcomer is quarantined', async () => await gateway.metric('postern_routes', { state: 'quarantined' }) === 1)
    await orders.kill()
    await gateway.get(get('Place'))
    await until('its silence is kept', async () => (await readFile(join(dataDirectory, 'control-state.json'), 'utf8').catch(() => '')).includes('"silent":{'))
  }
  const stoppedAt = performance.now()
  await using again = await startServiceStackHost({ service: 'Orders', id, port: orders.port, messages: { Place: answer } })
  await until('it would have been gone for long', () => performance.now() - stoppedAt > ownerGoneMs)
  await using gateway = await startGateway(config)
  await until('it is asked', () => again.received.length > 0)
  await until('the call is answered', async () => (await gateway.get(get('Place'))).status === 200)
  assert.deepEqual([again.executed, billing.executed, await gateway.metric('postern_message_moves_total', { reason: 'silent' })], [['Place'], [], 0])
})

test('where nobody remembers, who registered first has the name, also when his list is read later', { timeout: 300_000 }, async () => {
  // A registry that outlives the gateway: its order is what is left.
  await using registry = await startGateway({ registry: { embedded: { address: '127.0.0.1:0' } } })
  await using orders = await startServiceStackHost({ service: 'Orders', messages: { PlaceOrder: answer }, publishes: 503 })
  await using billing = await startServiceStackHost({ service: 'Billing', messages: { PlaceOrder: answer, Invoice: answer } })
  for (const host of [orders, billing]) await registerAsPlugin(registry.embedded!, host, { heartbeatIntervalS: 1 })
  await using gateway = await startGateway({ registry: { consul: { agents: [registry.embedded!], services: ['api'] }, ownerGoneMs: 120_000 } } as PartialConfig)
  const rows = async () => (await gateway.api('routes')).routes as Array<{ message: string, state: string, upstream: string, why: string }>
  await gateway.waitForRoute('Invoice')
  await until('it waits for the list', async () => (await rows()).some(({ message, upstream, why }) => message === 'PlaceOrder' && upstream === 'Billing' && /^Unread: Orders was registered before Billing and may have it/.test(why)))
  assert.equal((await gateway.get(get('PlaceOrder'))).reason, 'RoutesNotReady')
  orders.publishes = 'list'
  const owner = await until('somebody has it', async () => (await rows()).find(({ message, state }) => message === 'PlaceOrder' && state === 'routed')?.upstream)
  assert.equal(owner, 'Orders')
})

test('a slip of the pen in messages.X.upstream, and its line taken out again: its owner has the name as before', { timeout: 300_000 }, async () => {
  const config = { registry: { embedded: { address: '127.0.0.1:0' } } } as PartialConfig
  await using gateway = await startGateway(config)
  await using orders = await startServiceStackHost({ service: 'Orders', messages: { Place: answer } })
  await using billing = await startServiceStackHost({ service: 'Billing', messages: { Place: answer, Invoice: answer } })
  await registerAsPlugin(gateway.embedded!, orders)
  await gateway.waitForRoute('Place')
  await registerAsPlugin(gateway.embedded!, billing)
  await until('the newcomer is quarantined', async () => await gateway.metric('postern_routes', { state: 'quarantined' }) === 1)
  const place = async () => { const { status, reason } = await gateway.get(get('Place')); return `${status} ${reason}` }
  for (const [upstream, said] of [['Order', '503 NoEndpoint'], ['Billing', '200 OK'], ['Orders', '200 OK']] as const) {
    await gateway.reload({ ...config, messages: { Place: { upstream } } } as PartialConfig)
    assert.equal(await place(), said, upstream)
    await gateway.reload(config)
    assert.equal(await place(), '200 OK', `after ${upstream}`)
  }
  assert.deepEqual([orders.executed.length, billing.executed.length], [3, 2])
})
