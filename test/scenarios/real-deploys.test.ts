// Deploys on a real Consul with hosts that are real processes: ended by SIGTERM they stay registered, and come back under a new id at the same address. Under load.
import { after, before, describe, test, type TestContext } from 'node:test'
import assert from 'node:assert/strict'
import { consulSkip, startConsul, type RealConsul } from '../support/consul.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { startHostProcess, type HostProcess } from '../support/host-process.ts'
import { startLoad, untilAllIsWell, type Load } from '../support/load.ts'
import { measureWait } from '../support/processor-wait.ts'
import { watchSlowness, type Slowness } from '../support/slowness.ts'
import { until } from '../support/until.ts'

const skip = await consulSkip()
const get = (name: string) => `/json/reply/${name}`
const patience = { everyMs: 5 }
/** How long after Consul's index moved the table may take to be right, on a machine that has nothing else to do. ms. */
const aSecond = 1_000

interface Row { registration: string, state: string }

/** When Consul's list first had what, as one who waits for its index sees it. */
async function followConsul (consul: RealConsul) {
  const seenAt = new Map<string, number>()
  const state = { stopped: false }
  const following = (async () => {
    for (let index = '0'; !state.stopped;) {
      const answered = fetch(`${consul.url}/v1/health/service/api?index=${index}&wait=1s`).then(async answer => ({ index: answer.headers.get('x-consul-index') ?? '0', entries: await answer.json() as Array<{ Service: { ID: string } }> }))
      // An error of the agent, or an idle connection that it closed: asked anew.
      const answer = await answered.catch(() => ({ index: '0', entries: [] }))
      index = answer.index
      for (const { Service: { ID } } of answer.entries) if (!seenAt.has(ID)) seenAt.set(ID, performance.now())
    }
  })()
  return { seenAt, stop: async () => { state.stopped = true; await following } }
}

/** What decisions 4.3 leaves open: a call that is not GET and was already at a process that died. */
const unsaved = (load: Load) => load.failures.filter(failure => !/ POST .* 502 ConnectionClosed/.test(failure))

async function more (load: Load, calls = 60): Promise<void> {
  const { calls: before } = load
  await until(`${calls} more calls`, () => load.calls > before + calls, patience)
}

describe('a rolling deploy', { timeout: 600_000, skip }, () => {
  let consul: RealConsul
  let gateway: TestGateway
  let slowness: Slowness
  let followed: Awaited<ReturnType<typeof followConsul>>
  const hosts: HostProcess[] = []
  const deploy = async (service: string, messages: readonly string[], port?: number) => {
    const host = await startHostProcess({ agent: consul.url, service, messages, ...(port === undefined ? {} : { port }) })
    hosts.push(host)
    return host
  }
  const registrations = async () => (await gateway.api('routes')).registrations as Row[]
  const stateOf = async (id: string) => (await registrations()).find(({ registration }) => registration === id)?.state

  before(async () => {
    consul = await startConsul()
    slowness = await watchSlowness()
    followed = await followConsul(consul)
    gateway = await startGateway({ registry: { consul: { agents: [consul.url] } }, defaults: { policy: { balancer: { strategy: 'round-robin' } }, balancing: { slowStartMs: 0 } } } as never)
  })
  after(async () => {
    await gateway.close()
    for (const host of hosts) await host[Symbol.asyncDispose]()
    await slowness[Symbol.asyncDispose]()
    await followed.stop()
    await consul.stop()
  })

  /** A new process at the address of one that died. Resolves when the table is right, which it has to be within a second from when Consul had told it and it listened. */
  const replace = async (t: TestContext, old: HostProcess, messages: readonly string[]) => {
    const next = await deploy('Shop', messages, old.port)
    const isSlower = slowness.measure()
    // Those that have a part in it: who calls and is called, who decides, who says who he is.
    const hasWaited = measureWait([{ pid: process.pid, names: ['node-MainThread', 'postern-control'] }, { pid: next.pid, names: ['node-MainThread'] }])
    await until('the table is right', async () => {
      const rows = await registrations()
      return rows.find(({ registration }) => registration === next.id)?.state === 'routed' && rows.find(({ registration }) => registration === old.id)?.state === 'ghost'
    }, patience)
    const rightAt = performance.now()
    const toldAt = await until('Consul\'s index has moved', () => followed.seenAt.get(next.id), patience)
    const [tookMs, factor, waitedMs] = [rightAt - Math.max(toldAt, next.listeningAt), isSlower(), hasWaited()]
    const said = `right ${tookMs.toFixed(0)} ms after it was told; this machine takes ${factor.toFixed(2)} times as long as an idle one, and let them wait for a processor for ${waitedMs.toFixed(0)} ms`
    t.diagnostic(said)
    assert.ok(Math.min(tookMs / factor, tookMs - waitedMs) <= aSecond, said)
    return next
  }

  test('three instances one by one, then all at once: no call is lost that could be saved, and the table is right within a second', async t => {
    const messages = ['Browse', 'Buy']
    let live = await Promise.all([1, 2, 3].map(() => deploy('Shop', messages)))
    for (const { url } of live) await gateway.waitForEndpoint(url)
    await gateway.waitForRoute('Buy')
    await using load = startLoad(gateway.url, [get('Browse'), `POST ${get('Buy')}`])
    await more(load)

    const [first] = live as [HostProcess]
    for (const [n, old] of [...live.entries()]) {
      const { code, said } = await old.terminate()
      assert.notEqual(code, 0)
      assert.match(said, /Consul answered the deregistration with HTTP\/1\.1 405/)
      await more(load, 30)
      const next = await replace(t, old, messages)
      await until('the new process gets calls', async () => await next.executed() > 0, patience)
      live[n] = next
    }
    assert.deepEqual(unsaved(load), [])
    assert.ok(load.failures.length <= 3 * 4, `at most one call of each client at each process that died: ${load.failures.join('\n')}`)
    assert.ok((await consul.get('/v1/agent/services') as Record<string, unknown>)[first.id] !== undefined, 'dead and still registered')

    const before = load.failures.length
    await Promise.all(live.map(old => old.terminate()))
    await until('calls are refused', () => load.failures.slice(before).some(failure => failure.includes('503 NoEndpoint')), patience)
    live = await Promise.all(live.map(old => replace(t, old, messages)))
    await until('all get calls', async () => (await Promise.all(live.map(host => host.executed()))).every(executed => executed > 0), patience)
    await untilAllIsWell(load)
    const lost = load.failures.length
    await more(load, 100)
    await load.stop()
    assert.deepEqual(load.failures.slice(lost), [])
    assert.deepEqual(load.failures.slice(before).filter(failure => !/503 (?:NoEndpoint|BreakerOpen)|502 Connect/.test(failure)), [], 'refused, not hung and not answered by somebody else')
    assert.deepEqual(hosts.flatMap(host => host.misdirected()), [])
  })

  test('a message moves to another service, deployed instance by instance: not one call is lost, and the log says it', async () => {
    const old = await Promise.all([1, 2].map(() => deploy('Stock', ['Keep', 'Move'])))
    for (const { url } of old) await gateway.waitForEndpoint(url)
    await gateway.waitForRoute('Move')
    await using load = startLoad(gateway.url, [get('Keep'), `POST ${get('Move')}`])
    const depot = await deploy('Depot', ['Move'])
    const owner = async () => ((await gateway.api('routes')).routes as Array<{ message: string, state: string, upstream: string }>).filter(({ message }) => message === 'Move').map(({ upstream, state }) => `${upstream} ${state}`)
    await until('the newcomer is quarantined', async () => (await owner()).includes('Depot quarantined'), patience)
    assert.deepEqual(await owner(), ['Stock routed', 'Depot quarantined'])
    for (const host of old) {
      await consul.put(`/v1/agent/service/maintenance/${host.id}?enable=true&reason=deploy`)
      await until('it is drained', async () => await stateOf(host.id) === 'draining' && await gateway.metric('postern_endpoint_available', { endpoint: host.url }) === 0, patience)
      await more(load, 20)
      await host.terminate()
      const next = await deploy('Stock', ['Keep'], host.port)
      await until('the new process serves', async () => await next.executed() > 0, patience)
    }
    await until('it has moved', async () => (await owner()).includes('Depot routed'), patience)
    await more(load)
    await load.stop()
    assert.deepEqual(load.failures, [])
    assert.ok(await depot.executed() > 0)
    assert.deepEqual(hosts.flatMap(host => host.misdirected()), [])
    const line = await until('it is logged', async () => (await gateway.log()).find(({ msg }) => msg === 'message moved'), patience)
    assert.deepEqual([line['name'], line['service'], line['from']], ['Move', 'Depot', 'Stock'])
    assert.match(String(line['why']), /^Routed to Depot: Depot lists it; it moved here from Stock, who no longer has it, at /)
  })

  test('a service is split in two, its instances ended without being drained and deployed anew at the same addresses: no call is lost that could be saved, and the log says it', async () => {
    const old = await Promise.all([1, 2].map(() => deploy('Mill', ['Grind', 'Bill'])))
    for (const { url } of old) await gateway.waitForEndpoint(url)
    await gateway.waitForRoute('Bill')
    await using load = startLoad(gateway.url, [get('Grind'), get('Bill'), `POST ${get('Bill')}`])
    const billing = await deploy('Billing', ['Bill'])
    const said = async (msg: string) => (await gateway.log()).find(line => line['msg'] === msg && line['name'] === 'Bill')
    const conflict = await until('the newcomer is quarantined', () => said('message quarantined'), patience)
    assert.deepEqual([conflict['service'], conflict['conflictWith'], conflict['why']], ['Billing', ['Mill'], 'Quarantined: Mill owns the name and keeps its traffic.'])
    for (const host of old) {
      await host.terminate()
      await more(load)
      const next = await deploy('Mill', ['Grind'], host.port)
      await until('the new process serves', async () => await next.executed() > 0, patience)
    }
    await more(load)
    await load.stop()
    assert.deepEqual(unsaved(load), [])
    assert.ok(await billing.executed() > 0)
    assert.deepEqual(hosts.flatMap(host => host.misdirected()), [])
    const moved = await until('it is logged', () => said('message moved'), patience)
    assert.deepEqual([moved['service'], moved['from'], moved['level']], ['Billing', 'Mill', 30])
    assert.match(String(moved['why']), /^Routed to Billing: Billing lists it; it moved here from Mill, who no longer has it, at /)
  })

  test('a service is renamed, deployed under its new name at the same addresses one by one: not one call is lost, and the log says it', async () => {
    const messages = ['Offer', 'Order']
    const old = await Promise.all([1, 2, 3].map(() => deploy('Sales', messages)))
    for (const { url } of old) await gateway.waitForEndpoint(url)
    await gateway.waitForRoute('Order')
    await using load = startLoad(gateway.url, [get('Offer'), `POST ${get('Order')}`])
    await more(load)
    const renamed: HostProcess[] = []
    for (const [n, host] of old.entries()) {
      await host.terminate()
      await more(load, 30)
      const next = await deploy('Store', messages, host.port)
      renamed.push(next)
      // The last of the old ones may go when the name has passed, which is when two of three are replaced.
      if (n === 0) await until('the new process is known', async () => await stateOf(host.id) === 'ghost', patience)
      else await until('the new process gets calls', async () => await next.executed() > 0, patience)
      await more(load, 30)
    }
    await until('all get calls', async () => (await Promise.all(renamed.map(host => host.executed()))).every(executed => executed > 0), patience)
    await more(load)
    await load.stop()
    assert.deepEqual(unsaved(load), [])
    assert.deepEqual(hosts.flatMap(host => host.misdirected()), [])
    const lines = await until('it is logged', async () => { const moved = (await gateway.log()).filter(({ msg, from }) => msg === 'message moved' && from === 'Sales'); return moved.length >= messages.length ? moved : undefined }, patience)
    assert.deepEqual(lines.map(({ name, service }) => `${name} ${service}`).sort(), ['Offer Store', 'Order Store'])
  })
})
