// Everyday work on services, as real hosts do it and under load: rolled, all replaced at once, a message moved, a service split and renamed, a name claimed twice.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runHere } from '../command/run-command.ts'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import { misdirected, startLoad, untilAllIsWell, type Load } from '../support/load.ts'
import { deregister, registerAsPlugin } from '../support/plugin-registration.ts'
import { startServiceStackHost } from '../support/servicestack-host.ts'
import { until } from '../support/until.ts'
import { aSecond, get, logged, startWorld, type World } from '../support/world.ts'

const answer = () => ({ body: {} })

async function more (load: Load, calls = 60): Promise<void> {
  const before = load.calls
  await until(`${calls} more calls`, () => load.calls > before + calls)
}

/** What decisions 4.3 leaves open: a call that is not GET and was already at a process that was killed. */
const unsaved = (load: Load) => load.failures.filter(failure => !/ POST .* 502 ConnectionClosed/.test(failure))

describe('a rolling deploy as real hosts do it: dead and still registered, then a new id at the same address', { timeout: 300_000 }, () => {
  const three = async (world: World) => {
    const hosts = [await world.deploy('Shop', ['Browse', 'Buy']), await world.deploy('Shop', ['Browse', 'Buy']), await world.deploy('Shop', ['Browse', 'Buy'])]
    for (const host of hosts) await world.gateway.waitForEndpoint(host.url)
    await world.gateway.waitForRoute('Buy')
    return hosts
  }

  test('one by one: no call is lost that could be saved', async t => {
    await using world = await startWorld()
    const hosts = await three(world)
    await using load = startLoad(world.gateway.url, [get('Browse'), `POST ${get('Buy')}`])
    await more(load)
    for (const old of hosts) {
      await old.kill()
      await more(load, 30)
      const next = await world.deploy('Shop', ['Browse', 'Buy'], old.port)
      const listening = performance.now()
      await until('the table is right', async () => await world.stateOf(next.id) === 'routed' && await world.stateOf(old.id) === 'ghost', aSecond)
      t.diagnostic(`table right after ${(performance.now() - listening).toFixed(0)} ms`)
      await until('the new process gets calls', () => next.executed.length > 0)
    }
    await load.stop()
    assert.deepEqual(unsaved(load), [])
    assert.ok(load.failures.length <= 3 * 4, `at most one call of each client at each killed process: ${load.failures.join('\n')}`)
    assert.deepEqual(misdirected(world.hosts), [])
  })

  test('all at once: what comes while nobody lives is refused; a second after they listen all get calls, and then nothing is', async t => {
    await using world = await startWorld()
    const hosts = await three(world)
    await using load = startLoad(world.gateway.url, [get('Browse'), `POST ${get('Buy')}`])
    await more(load)
    await Promise.all(hosts.map(host => host.kill()))
    await until('calls are refused', () => load.failures.some(failure => failure.includes('503 NoEndpoint')))
    const next = await Promise.all(hosts.map(({ port }) => world.deploy('Shop', ['Browse', 'Buy'], port)))
    const listening = performance.now()
    await until('the table is right', async () => (await Promise.all(next.map(({ id }) => world.stateOf(id)))).every(state => state === 'routed'), aSecond)
    t.diagnostic(`table right after ${(performance.now() - listening).toFixed(0)} ms`)
    await until('all get calls', () => next.every(({ executed }) => executed.length > 0), aSecond)
    await untilAllIsWell(load)
    const lost = load.failures.length
    await more(load, 100)
    await load.stop()
    assert.deepEqual(load.failures.slice(lost), [])
    assert.deepEqual(unsaved(load).filter(failure => !/503 (?:NoEndpoint|BreakerOpen)|502 Connect/.test(failure)), [], 'refused, not hung and not answered by somebody else')
    assert.deepEqual(misdirected(world.hosts), [])
  })
})

describe('names change hands', { timeout: 300_000 }, () => {
  test('a message moves to another service, deployed instance by instance: not one call is lost, and the log says it', async () => {
    await using world = await startWorld()
    const old = [await world.deploy('Stock', ['Keep', 'Move']), await world.deploy('Stock', ['Keep', 'Move'])]
    for (const host of old) await world.gateway.waitForEndpoint(host.url)
    await world.gateway.waitForRoute('Move')
    await using load = startLoad(world.gateway.url, [get('Keep'), `POST ${get('Move')}`])
    const fresh = await world.deploy('Depot', ['Move'])
    await until('it is claimed twice', async () => await world.gateway.metric('postern_conflicts') === 1)
    assert.equal(await world.ownerOf('Move'), 'Stock')
    for (const host of old) {
      await world.maintain(host)
      await until('it is drained', async () => await world.stateOf(host.id) === 'draining')
      await more(load, 20)
      await host.kill()
      const next = await world.deploy('Stock', ['Keep'], host.port)
      await until('the new process serves', () => next.executed.length > 0)
    }
    await until('it has moved', async () => await world.ownerOf('Move') === 'Depot', aSecond)
    await more(load)
    await load.stop()
    assert.deepEqual(load.failures, [])
    assert.ok(fresh.executed.length > 0)
    assert.deepEqual(misdirected(world.hosts), [])
    await world.gateway.metricBecomes('postern_message_moves_total', 1, { reason: 'unlisted' })
    const line = await logged(world.gateway, 'message moved')
    assert.deepEqual([line['name'], line['service'], line['from'], line['level']], ['Move', 'Depot', 'Stock', 30])
    assert.match(String(line['why']), /^Routed to Depot: Depot lists it; it moved here from Stock, who no longer has it, at /)
  })

  test('the last instance that had it is killed: the name passes within a second, though its registration passes on, and the calls wait for that', async t => {
    await using world = await startWorld()
    const old = await world.deploy('Stock', ['Keep', 'Move'])
    await world.gateway.waitForRoute('Move')
    const other = await world.deploy('Stock', ['Keep'])
    await world.gateway.waitForEndpoint(other.url)
    const depot = await world.deploy('Depot', ['Move'])
    await world.gateway.waitForEndpoint(depot.url)
    await until('it is claimed twice', async () => await world.gateway.metric('postern_conflicts') === 1)
    await using load = startLoad(world.gateway.url, [get('Keep'), get('Move')])
    await more(load)
    await old.kill()
    const killed = performance.now()
    await until('Depot serves', () => depot.executed.length > 0, aSecond)
    t.diagnostic(`moved after ${(performance.now() - killed).toFixed(0)} ms`)
    await more(load)
    await load.stop()
    assert.deepEqual(load.failures, [])
    assert.deepEqual(misdirected(world.hosts), [])
  })

  test('a service is split in two', async () => {
    await using world = await startWorld()
    const whole = await world.deploy('Shop', ['Browse', 'Bill'])
    await world.gateway.waitForRoute('Bill')
    await using load = startLoad(world.gateway.url, [get('Browse'), `POST ${get('Bill')}`])
    const billing = await world.deploy('Billing', ['Bill'])
    const rest = await world.deploy('Shop', ['Browse'])
    await until('all are known', async () => await world.stateOf(rest.id) === 'routed' && await world.gateway.metric('postern_conflicts') === 1)
    await world.remove(whole)
    await until('the part has its own service', async () => await world.ownerOf('Bill') === 'Billing', aSecond)
    await more(load)
    await whole.kill()
    await more(load)
    await load.stop()
    assert.deepEqual(load.failures, [])
    assert.ok(billing.executed.length > 0 && rest.executed.length > 0)
    assert.deepEqual(misdirected(world.hosts), [])
    await world.gateway.metricBecomes('postern_message_moves_total', 1, { reason: 'unlisted' })
    const line = await logged(world.gateway, 'message moved')
    assert.deepEqual([line['name'], line['service'], line['from'], line['level']], ['Bill', 'Billing', 'Shop', 30])
    assert.match(String(line['why']), /^Routed to Billing: Billing lists it; it moved here from Shop, who no longer has it, at /)
  })

  test('a service is renamed', async () => {
    await using world = await startWorld()
    const before = [await world.deploy('Sales', ['Browse', 'Buy']), await world.deploy('Sales', ['Browse', 'Buy'])]
    for (const host of before) await world.gateway.waitForEndpoint(host.url)
    await world.gateway.waitForRoute('Buy')
    await using load = startLoad(world.gateway.url, [get('Browse'), `POST ${get('Buy')}`])
    const after = [await world.deploy('Store', ['Browse', 'Buy']), await world.deploy('Store', ['Browse', 'Buy'])]
    await until('the newcomer is quarantined', async () => await world.gateway.metric('postern_routes', { state: 'quarantined' }) === 2)
    await more(load)
    assert.deepEqual(after.flatMap(({ calls }) => calls), [], 'never merged')
    for (const host of before) await world.remove(host)
    await until('the names have moved', async () => await world.ownerOf('Buy') === 'Store' && await world.ownerOf('Browse') === 'Store', aSecond)
    await more(load)
    for (const host of before) await host.kill()
    await more(load)
    await load.stop()
    assert.deepEqual(load.failures, [])
    await world.gateway.metricBecomes('postern_message_moves_total', 2, { reason: 'gone' })
    const lines = await until('the log to say both', async () => {
      const moved = (await world.gateway.log()).filter(({ msg }) => msg === 'message moved')
      return moved.length === 2 && moved
    })
    assert.deepEqual(lines.map(line => `${line['name']} ${line['from']} ${line['service']}`).sort(), ['Browse Sales Store', 'Buy Sales Store'])
    for (const { why } of lines) assert.match(String(why), /^Routed to Store: Store lists it; it moved here from Sales, who has gone, at /)
  })

  test('two services claim one name by mistake: shown with its reason, settled by an operator, kept on disk; postern.yaml counts more', async t => {
    const dataDirectory = await mkdtemp(join(tmpdir(), 'postern-data-'))
    t.after(() => rm(dataDirectory, { recursive: true, force: true }))
    await using world = await startWorld({ dataDirectory } as never)
    const { gateway } = world
    await world.deploy('Orders', ['PlaceOrder', 'Cancel'])
    await gateway.waitForRoute('PlaceOrder')
    await using load = startLoad(gateway.url, [get('PlaceOrder'), `POST ${get('Cancel')}`])
    const billing = await world.deploy('Billing', ['PlaceOrder', 'Invoice'])
    await gateway.waitForRoute('Invoice')
    await more(load)
    assert.deepEqual(billing.executed, [], 'never merged')
    // Until its list is read, it may not have the name: that is no conflict yet.
    const conflict = await until('the log to warn of it', async () => (await gateway.log()).find(({ msg, level }) => msg === 'message quarantined' && level === 40))
    assert.deepEqual([conflict['level'], conflict['name'], conflict['service'], conflict['conflictWith']], [40, 'PlaceOrder', 'Billing', ['Orders']])
    assert.equal(conflict['why'], 'Quarantined: Orders owns the name and keeps its traffic.')
    assert.match(String(conflict['hint']), /postern settle PlaceOrder Billing$/)
    const admin = gateway.admin.replace('http://', '')
    const shown = await runHere(['routes', '--admin', admin, '--state', 'quarantined'])
    assert.match(shown.out, /^PlaceOrder {2}quarantined {2}Billing .*Quarantined: Orders owns the name and keeps its traffic\. Since \d{4}-/m)

    const own = (await gateway.api('routes')).routes.find(({ message, upstream }: { message: string, upstream: string }) => message === 'PlaceOrder' && upstream === 'Orders')
    assert.deepEqual([own.state, own.why, own.conflictWith], ['routed', 'Routed to Orders, who had it first; Billing claims it too and is quarantined.', ['Billing']])

    const refused = await runHere(['settle', 'PlaceOrder', 'Invoices', '--admin', admin])
    assert.deepEqual([refused.code, refused.err], [1, 'postern: Invoices does not have PlaceOrder. Who has it: Orders, Billing.\n'])
    const settled = await runHere(['settle', 'placeorder', 'Billing', '--note', 'agreed with Ann', '--admin', admin])
    assert.deepEqual(settled, { code: 0, out: 'placeorder belongs to Billing now; Orders had it.\n', err: '' })
    await until('Billing serves', () => billing.executed.length > 0, aSecond)
    await more(load)
    await load.stop()
    assert.deepEqual(load.failures, [])
    const moved = await logged(gateway, 'message moved')
    assert.match(String(moved['why']), /from Orders, by an operator's word \(agreed with Ann\), at /)
    await gateway.metricBecomes('postern_message_moves_total', 1, { reason: 'settled' })

    const again = await runHere(['settle', 'placeorder', 'Billing', '--note', 'agreed with Bob', '--admin', admin])
    assert.deepEqual(again, { code: 0, out: 'placeorder belongs to Billing already.\n', err: '' })
    assert.match(await readFile(join(dataDirectory, 'control-state.json'), 'utf8'), /agreed with Ann.*agreed with Bob/, 'on disk before it is answered')
    await gateway.metricBecomes('postern_conflicts', 0)
    await gateway.reload({ registry: { embedded: { address: '127.0.0.1:0' } }, dataDirectory, messages: { PlaceOrder: { upstream: 'Orders' } } } as never)
    await until('postern.yaml counts', async () => await world.ownerOf('PlaceOrder') === 'Orders')
    const overruled = await runHere(['settle', 'PlaceOrder', 'Billing', '--admin', admin])
    assert.deepEqual([overruled.code, /postern\.yaml gives PlaceOrder to Orders/.test(overruled.err)], [1, true], overruled.err)
  })
})

test('what an operator has settled holds over a restart of the gateway, with its reason, and the newcomer stays quarantined', { timeout: 300_000 }, async t => {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'postern-data-'))
  t.after(() => rm(dataDirectory, { recursive: true, force: true }))
  // A registry that outlives the gateway.
  await using registry = await startGateway({ registry: { embedded: { address: '127.0.0.1:0' } } })
  const config = { registry: { consul: { agents: [registry.embedded!], services: ['api'] } }, dataDirectory } as PartialConfig
  const rowOf = async (gateway: TestGateway, upstream: string) => (await gateway.api('routes')).routes.find((route: { message: string, upstream: string }) => route.message === 'PlaceOrder' && route.upstream === upstream) as { state: string, why: string, since: string } | undefined
  await using orders = await startServiceStackHost({ service: 'Orders', messages: { PlaceOrder: answer } })
  await using billing = await startServiceStackHost({ service: 'Billing', messages: { PlaceOrder: answer } })
  let why: string
  {
    await using gateway = await startGateway(config)
    await registerAsPlugin(registry.embedded!, orders, { heartbeatIntervalS: 1 })
    await gateway.waitForRoute('PlaceOrder')
    await registerAsPlugin(registry.embedded!, billing, { heartbeatIntervalS: 1 })
    await until('the newcomer is quarantined', async () => (await rowOf(gateway, 'Billing'))?.state === 'quarantined')
    const settled = await runHere(['settle', 'PlaceOrder', 'Billing', '--note', 'agreed with Ann', '--admin', gateway.admin.replace('http://', '')])
    assert.deepEqual([settled.code, settled.err], [0, ''])
    why = (await until('it is settled', async () => { const row = await rowOf(gateway, 'Billing'); return row?.state === 'routed' ? row : undefined })).why
    assert.match(why, /by an operator's word \(agreed with Ann\)/)
    // At once, however soon it is stopped.
  }
  await using gateway = await startGateway(config)
  await until('it is decided again', async () => (await gateway.get(get('PlaceOrder'))).status === 200)
  const [executed, others] = [billing.executed.length, orders.executed.length]
  for (let n = 0; n < 10; n++) assert.equal((await gateway.get(get('PlaceOrder'))).status, 200)
  assert.deepEqual([billing.executed.length - executed, orders.executed.length - others], [10, 0])
  // From disk at first, and marked so.
  await until('its registry has confirmed it', async () => (await rowOf(gateway, 'Billing'))?.why === why)
  assert.equal((await rowOf(gateway, 'Orders'))?.state, 'quarantined')
})

test('a restart keeps an owner whom nobody has settled, although the other was registered before what is left of it, and since when', { timeout: 300_000 }, async t => {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'postern-data-'))
  t.after(() => rm(dataDirectory, { recursive: true, force: true }))
  await using registry = await startGateway({ registry: { embedded: { address: '127.0.0.1:0' } } })
  const config = { registry: { consul: { agents: [registry.embedded!], services: ['api'] } }, dataDirectory } as PartialConfig
  const start = (service: string) => startServiceStackHost({ service, messages: { PlaceOrder: answer } })
  await using orders = await start('Orders')
  await using billing = await start('Billing')
  await using more = await start('Orders')
  const told = async (gateway: TestGateway) => await gateway.api('routes') as Record<'routes' | 'registrations', Array<{ upstream: string, state: string, since: string, why: string }>>
  const rowsOf = async (gateway: TestGateway) => {
    const { routes, registrations } = await told(gateway)
    return [...routes, ...registrations].map(({ upstream, state, since }) => `${upstream} ${state} ${since}`).sort()
  }
  let before: string[]
  {
    await using gateway = await startGateway(config)
    await registerAsPlugin(registry.embedded!, orders, { heartbeatIntervalS: 1 })
    await gateway.waitForRoute('PlaceOrder')
    await registerAsPlugin(registry.embedded!, billing, { heartbeatIntervalS: 1 })
    await until('the newcomer is quarantined', async () => (await rowsOf(gateway)).some(row => row.startsWith('Billing quarantined')))
    await registerAsPlugin(registry.embedded!, more, { heartbeatIntervalS: 1 })
    await gateway.waitForEndpoint(more.url)
    await deregister(registry.embedded!, orders.id)
    // What stands otherwise after the restart does not stand so since before.
    await until('only the newer one is left, and the checks of both have run', async () => {
      const { registrations } = await told(gateway)
      return registrations.length === 2 && registrations.every(({ why }) => why.includes('its checks pass'))
    })
    before = await rowsOf(gateway)
  }
  await using gateway = await startGateway(config)
  await until('it is decided again', async () => (await gateway.get(get('PlaceOrder'))).status === 200)
  for (let n = 0; n < 10; n++) assert.equal((await gateway.get(get('PlaceOrder'))).status, 200)
  await until('all stand as before, since the same time', async () => (await rowsOf(gateway)).join() === before.join())
  assert.deepEqual(billing.executed, [])
})
