// What takes a minute, side by side: an agent that is gone for one, and 1,000 registrations in one. Clients call all the while.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { consulSkip, startConsul, type ConsulOptions } from '../support/consul.ts'
import { startGateway } from '../support/gateway.ts'
import { misdirected, startLoad } from '../support/load.ts'
import { registerAsPlugin } from '../support/plugin-registration.ts'
import { startServiceStackHost, type ServiceStackHost } from '../support/servicestack-host.ts'
import { watchSlowness } from '../support/slowness.ts'
import { until } from '../support/until.ts'

const skip = await consulSkip()
const minuteMs = 60_000
const answer = () => ({ body: {} })
const get = (name: string) => `/json/reply/${name}`
/** Fifty calls a second leave the machine to the other tests. */
const calmly = { callers: 2, everyMs: 40 }
/** For what an agent does after its start, on a machine with other things to do. */
const patience = { timeoutMs: 60_000, everyMs: 100 }

/** A gateway on a Consul, with a service of two instances that have had calls. */
async function startWorld (options: ConsulOptions) {
  await using stack = new AsyncDisposableStack()
  const consul = await startConsul(options)
  stack.defer(() => consul.stop())
  const gateway = stack.use(await startGateway({ registry: { consul: { agents: [consul.url] } } } as never))
  const hosts: ServiceStackHost[] = []
  for (let n = 0; n < 2; n++) {
    const host = stack.use(await startServiceStackHost({ service: 'Steady', messages: { Steady: answer } }))
    hosts.push(host)
    await registerAsPlugin(consul.url, host, { heartbeatIntervalS: 1 })
    await gateway.waitForEndpoint(host.url)
  }
  await gateway.waitForRoute('Steady')
  const load = stack.use(startLoad(gateway.url, [get('Steady'), `POST ${get('Steady')}`], calmly))
  await until('load is on', () => load.calls > 20)
  const owned = stack.move()
  return {
    consul,
    gateway,
    load,
    isUp: async () => await gateway.metric('postern_registry_up', { registry: 'consul' }) === 1,
    async start (service: string, message: string) {
      const host = owned.use(await startServiceStackHost({ service, host: '0.0.0.0', messages: { [message]: answer } }))
      hosts.push(host)
      return host
    },
    /** Ends the load: no call has failed, and none went astray. */
    async noneLost () {
      await load.stop()
      assert.deepEqual(load.failures, [])
      assert.deepEqual(misdirected(hosts), [])
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync()
  }
}

describe('for a minute', { timeout: 300_000, skip, concurrency: true }, () => {
  test('the agent is gone: not one healthy call fails, and changes arrive afterwards', async () => {
    await using world = await startWorld({ keepData: true })
    const { consul, gateway, load, isUp } = world
    await consul.kill()
    await until('the gateway knows that the agent is gone', async () => !await isUp(), patience)
    const { calls } = load
    await sleep(minuteMs)
    assert.ok(load.calls > calls + 100, `${load.calls - calls} calls`)
    assert.ok(!await isUp())
    assert.ok(await gateway.metric('postern_registry_age_seconds', { registry: 'consul' }) >= minuteMs / 1_000 - 1)
    assert.ok(await gateway.metric('postern_registry_stale', { registry: 'consul' }) >= 2)
    await consul.restart()
    await until('the registry is read again', isUp, patience)
    await registerAsPlugin(consul.url, await world.start('Late', 'Latecomer'))
    await until('what registers now is callable', async () => (await gateway.get(get('Latecomer'))).status === 200, patience)
    await world.noneLost()
  })

  test('a storm of 1,000 registrations: not one healthy call fails, and no call goes to what nobody knows', async t => {
    // In memory: how fast a disk writes is not what is tested.
    await using world = await startWorld({})
    const { consul, gateway, load } = world
    const crowd = await world.start('Crowd', 'Crowded')
    const [storm, lanes, stays] = [1_000, 20, 40]
    const idOf = (n: number) => `ss-Storm${n % 50}-00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
    await using slowness = await watchSlowness()
    const isSlower = slowness.measure()
    const [startedAt, before] = [performance.now(), load.calls]
    let next = 0
    const register = async () => {
      const own: string[] = []
      for (let n = next++; n < storm; n = next++) {
        await sleep(Math.max(0, startedAt + n * minuteMs / storm - performance.now()))
        await consul.put('/v1/agent/service/register', { ID: idOf(n), Name: 'api', Tags: ['ss-version-1.0', `Storm${n % 50}`, 'Crowded'], Address: `http://127.3.${n >> 8}.${n & 255}:${crowd.port}/`, Port: crowd.port })
        own.push(idOf(n))
        if (own.length > stays / lanes) await consul.put(`/v1/agent/service/deregister/${own.shift()}`)
      }
    }
    await Promise.all(Array.from({ length: lanes }, register))
    const tookS = (performance.now() - startedAt) / 1_000
    const times = isSlower()
    const said = `${storm} registrations in ${tookS.toFixed(1)} s, on a machine ${times.toFixed(1)} times as slow as an idle one`
    t.diagnostic(said)
    assert.ok(storm / tookS * times >= 12, said)
    assert.ok(load.calls > before + 100, `${load.calls - before} calls`)
    // An id that nobody there has was registered at each of these addresses.
    assert.deepEqual(crowd.calls, [])
    await until('the table has the last of it', async () => JSON.stringify(await gateway.api('routes')).includes(idOf(storm - 1)), patience)
    assert.ok(await world.isUp())
    await world.noneLost()
  })
})
