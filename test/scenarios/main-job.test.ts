// The main job on a real Consul agent: hosts register as the plugin does, and clients call their messages; nobody wrote a route.
import { after, before, describe, test, type TestContext } from 'node:test'
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { consulSkip, startConsul, type RealConsul } from '../support/consul.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { startLoad } from '../support/load.ts'
import { deregister, deregisterAsPlugin, registerAsPlugin } from '../support/plugin-registration.ts'
import { startServiceStackHost, type HostOptions, type ServiceStackHost } from '../support/servicestack-host.ts'
import { watchSlowness, type Slowness } from '../support/slowness.ts'
import { until } from '../support/until.ts'

/** What a busy machine excuses. */
const mostTimes = 5
const skip = await consulSkip()

describe('the main job', { timeout: 180_000, skip }, () => {
  let consul: RealConsul
  let gateway: TestGateway
  let slowness: Slowness
  const hosts: ServiceStackHost[] = []
  before(async () => {
    consul = await startConsul({ keepData: true })
    slowness = await watchSlowness()
    // Shares are counted here, so that they must not depend on who is quicker.
    gateway = await startGateway({ registry: { consul: { agents: [consul.url] } }, defaults: { policy: { balancer: { strategy: 'round-robin' } } } } as never)
  })
  after(async () => {
    await gateway.close()
    await Promise.all(hosts.map(async host => { await host.close() }))
    await slowness[Symbol.asyncDispose]()
    await consul.stop()
  })
  const start = async (options: HostOptions): Promise<ServiceStackHost> => {
    const host = await startServiceStackHost(options)
    hosts.push(host)
    return host
  }
  /** Up to here a machine counts as idle. */
  const notSlowed = 1.2
  /** From now on: says how long it took, and asserts that it was not beyond what a busy machine excuses. That it is a second is told by the median of five, below. */
  const second = (t: TestContext) => {
    const startedAt = performance.now()
    const isSlower = slowness.measure()
    return (what: string) => {
      const tookMs = performance.now() - startedAt
      const times = isSlower()
      const said = `${tookMs.toFixed(0)} ms ${what}, on a machine ${times.toFixed(1)} times as slow as an idle one`
      t.diagnostic(said)
      assert.ok(tookMs < 1_000 * mostTimes, said)
    }
  }
  const status = async (name: string) => (await gateway.get(`/json/reply/${name}`)).status

  test('before anything is registered: ready, and everything is unknown', async () => {
    await until('a table', async () => await status('GetProduct') === 404)
  })

  test('registered before it listens, as real hosts are: callable within a second of listening, though Consul says critical', async t => {
    for (const [generation, basePath] of [['10.1.5', ''], ['5.2.0', '/sub/api']] as const) {
      const name = `Ping${generation.replaceAll('.', '')}`
      const host = await start({ generation, basePath, service: `Fresh${generation[0]}`, messages: { [name]: () => ({ body: { pong: true } }) }, listen: false })
      // Consul's first check comes at some moment of the interval: of an hour, so that none is among what is looked at here.
      await registerAsPlugin(consul.url, host, { heartbeatIntervalS: 3_600 })
      // Consul knows it; nothing listens: no traffic, and no 200.
      await until('Consul lists it', async () => JSON.stringify(await consul.get('/v1/health/service/api')).includes(host.id))
      await until('the gateway knows of it', async () => await status(name) === 503)
      // It is asked again and again meanwhile.
      await sleep(600)
      assert.equal(await status(name), 503)
      await host.listen()
      const isSoon = second(t)
      await until('the call works', async () => await status(name) === 200, { everyMs: 5 })
      isSoon('after listening')
      const entry = (await consul.get('/v1/health/service/api') as Array<{ Service: { ID: string }, Checks: Array<{ Status: string, ServiceID: string }> }>).find(({ Service }) => Service.ID === host.id)!
      assert.ok(entry.Checks.some(check => check.ServiceID === host.id && check.Status === 'critical'), 'Consul itself still says critical')
      assert.ok(host.calls.every(({ target }) => target.startsWith(basePath)))
      assert.equal((await gateway.get('/api/' + name)).status, 200, '/api works whatever the generation')
    }
  })

  test('a host that says of itself that it is not well gets no traffic, although Consul has not told its checks yet; then it does', async t => {
    const host = await start({ service: 'Ailing', messages: { Ailing: () => ({ body: {} }) } })
    host.failing = 503
    // The first run fails: Consul may go on showing an empty output for minutes, as if the check had never run.
    await registerAsPlugin(consul.url, host, { heartbeatIntervalS: 1 })
    await until('its list is read', async () => (await gateway.api('upstreams')).upstreams.find(({ name }: { name: string }) => name === 'Ailing')?.endpoints[0]?.state === 'waiting')
    await until('Consul has asked it too', () => host.received.filter(({ target }) => target.endsWith('/json/reply/Heartbeat?')).length > 1, { everyMs: 50 })
    assert.equal(await status('Ailing'), 503)
    assert.deepEqual(host.executed, [])
    host.failing = undefined
    const isSoon = second(t)
    await until('the call works', async () => await status('Ailing') === 200, { everyMs: 5 })
    isSoon('after it is well')
  })

  test('a running host that registers is callable within a second', async t => {
    const host = await start({ service: 'Catalog' })
    const isSoon = second(t)
    await registerAsPlugin(consul.url, host)
    await until('the call works', async () => await status('GetProduct') === 200, { everyMs: 5 })
    isSoon('after it registered')
    assert.equal(await status('ReindexProducts'), 404, 'restricted ones are hidden before their first call')
    assert.equal(await status('team-catalog'), 404, 'a custom tag is no message')
    assert.equal(await status('ss-version-1.0'), 404)
    assert.ok(!host.executed.includes('ReindexProducts'))
  })

  test('so it is in the median of five, where nothing else slows the machine', async t => {
    const measured: Array<{ tookMs: number, times: number }> = []
    for (let n = 0; n < 5; n++) {
      const name = `Median${n}`
      const host = await start({ service: name, messages: { [name]: () => ({ body: {} }) } })
      const [startedAtMs, isSlower] = [performance.now(), slowness.measure()]
      await registerAsPlugin(consul.url, host)
      await until('the call works', async () => await status(name) === 200, { everyMs: 5 })
      measured.push({ tookMs: performance.now() - startedAtMs, times: isSlower() })
    }
    const median = (values: number[]) => values.sort((a, b) => a - b)[2]!
    const [tookMs, times] = [median(measured.map(({ tookMs }) => tookMs)), median(measured.map(({ times }) => times))]
    const said = `median of five: ${tookMs.toFixed(0)} ms, on a machine ${times.toFixed(1)} times as slow as an idle one`
    t.diagnostic(said)
    assert.ok(tookMs < 1_000 || times > notSlowed, said)
  })

  test('the plugin\'s own deregistration is refused by Consul; by PUT it goes, and its messages are unknown again', async t => {
    const host = await start({ service: 'Passing', messages: { ShortLived: () => ({ body: {} }) } })
    await registerAsPlugin(consul.url, host)
    await until('the call works', async () => await status('ShortLived') === 200)
    assert.equal((await deregisterAsPlugin(consul.url, host.id)).status, 405)
    assert.equal(await status('ShortLived'), 200)
    const isSoon = second(t)
    await deregister(consul.url, host.id)
    await until('it is unknown', async () => await status('ShortLived') === 404)
    isSoon('after it was deregistered')
    await gateway.metricBecomes('postern_requests_total', 0, { message: 'ShortLived' })
  })

  test('two instances share the calls; the one whose check fails leaves, and comes back', async () => {
    const messages = (which: string) => ({ Shared: () => ({ body: { which } }) })
    const [a, b] = [await start({ service: 'Pair', messages: messages('a') }), await start({ service: 'Pair', messages: messages('b') })]
    for (const host of [a, b]) await registerAsPlugin(consul.url, host, { heartbeatIntervalS: 1 })
    const which = async () => (await gateway.get('/json/reply/Shared')).json().which as string
    await until('both answer', async () => new Set([await which(), await which()]).size === 2)
    // Only then: Consul holds an output back for minutes while the status stays, so checks that fail from the first look as if they had not run.
    await until('the first checks have passed', async () => {
      const entries = await consul.get('/v1/health/service/api?passing') as Array<{ Service: { ID: string } }>
      return [a, b].every(({ id }) => entries.some(({ Service }) => Service.ID === id))
    }, { everyMs: 50 })
    await using load = startLoad(gateway.url, '/json/reply/Shared')
    a.failing = 503
    // The load takes turns too: a few calls in a row may meet one instance by chance.
    await until('a leaves', async () => {
      const [atA, atB] = [a.executed.length, b.executed.length]
      await until('twenty calls', () => a.executed.length + b.executed.length >= atA + atB + 20)
      return a.executed.length === atA
    })
    assert.equal(await which(), 'b')
    a.failing = undefined
    await until('a comes back', async () => new Set([await which(), await which()]).size === 2, { everyMs: 100 })
    await load.stop()
    assert.deepEqual(load.failures, [])
    assert.ok(load.calls > 100)
  })

  test('an instance killed under load costs no GET; restarted under a new id it serves again, and its ghost gets nothing twice', async () => {
    const messages = (which: string) => ({ Sturdy: () => ({ body: { which } }) })
    const [a, b] = [await start({ service: 'Trio', messages: messages('a') }), await start({ service: 'Trio', messages: messages('b') })]
    for (const host of [a, b]) await registerAsPlugin(consul.url, host, { heartbeatIntervalS: 1 })
    await gateway.waitForEndpoint(a.url)
    await gateway.waitForEndpoint(b.url)
    await using load = startLoad(gateway.url, '/json/reply/Sturdy')
    await until('load is on', () => load.calls > 50)
    await a.kill()
    const calls = load.calls
    await until('load goes on', () => load.calls > calls + 100)
    await a.restart()
    await registerAsPlugin(consul.url, a, { heartbeatIntervalS: 1 })
    const before = a.executed.length
    await until('a serves again', () => a.executed.length > before)
    await load.stop()
    assert.deepEqual(load.failures, [])
    const [atA, atB] = [a.executed.length, b.executed.length]
    for (let n = 0; n < 60; n++) await gateway.get('/json/reply/Sturdy')
    // A new table, with what Consul says of its checks, may come between two turns; with a share for its ghost too it would be 40.
    const shares = [a.executed.length - atA, b.executed.length - atB]
    assert.ok(shares.every(share => share >= 26 && share <= 34), `one endpoint, one share, whatever is registered beside it: ${shares.join()}`)
  })
})

test('an agent that comes back having forgotten everything takes nothing out that still answers', { timeout: 300_000, skip }, async () => {
  const consul = await startConsul()
  try {
    await using gateway = await startGateway({ registry: { consul: { agents: [consul.url] } } } as never)
    await using one = await startServiceStackHost({ service: 'One', messages: { First: () => ({ body: {} }) } })
    await using two = await startServiceStackHost({ service: 'Two', messages: { Second: () => ({ body: {} }) } })
    for (const host of [one, two]) await registerAsPlugin(consul.url, host)
    await gateway.waitForRoute('First')
    await gateway.waitForRoute('Second')
    await until('both answer', async () => (await gateway.get('/json/reply/First')).status === 200 && (await gateway.get('/json/reply/Second')).status === 200)
    await using load = startLoad(gateway.url, '/json/reply/First')
    await consul.restart()
    assert.deepEqual(await consul.get('/v1/health/service/api'), [], 'it has forgotten everything')
    await until('the registry is read again', async () => await gateway.metric('postern_registry_up', { registry: 'consul' }) === 1, { everyMs: 50 })
    const { calls } = load
    await until('calls go on', () => load.calls > calls + 200)
    await load.stop()
    assert.deepEqual(load.failures, [])
    assert.equal((await gateway.get('/json/reply/Second')).status, 200)
  } finally {
    await consul.stop()
  }
})
