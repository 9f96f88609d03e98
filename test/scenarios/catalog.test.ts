// The catalog is not the truth: what a real Consul says of ghosts, strangers and maintenance, under load. No healthy call fails, and none goes astray.
import { after, afterEach, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { consulSkip, startConsul, type RealConsul } from '../support/consul.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { misdirected, startLoad, type Load } from '../support/load.ts'
import { registerAsPlugin, serviceBody } from '../support/plugin-registration.ts'
import { startServiceStackHost, type HostOptions, type ServiceStackHost } from '../support/servicestack-host.ts'
import { until } from '../support/until.ts'

const skip = await consulSkip()
const answer = () => ({ body: {} })
const target = (name: string) => `/json/reply/${name}`
interface Shown { registration: string, state: string, why: string, hint?: string, since: string }

/** A program that answers 200 to everything. */
async function startContentProgram (): Promise<{ url: string, targets: string[] } & AsyncDisposable> {
  const targets: string[] = []
  const server = http.createServer((request, response) => {
    targets.push(request.url!)
    response.end('fine')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    targets,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }
}

describe('under load', { timeout: 180_000, skip }, () => {
  let consul: RealConsul
  let gateway: TestGateway
  /** A service that nothing of this concerns: its calls go on through all of it. */
  let steady: Load
  const hosts: ServiceStackHost[] = []
  const start = async (options: HostOptions): Promise<ServiceStackHost> => {
    const host = await startServiceStackHost(options)
    hosts.push(host)
    return host
  }
  const register = (host: ServiceStackHost) => registerAsPlugin(consul.url, host, { heartbeatIntervalS: 1 })
  const status = async (name: string) => (await gateway.get(target(name))).status
  const shown = async (id: string) => ((await gateway.api('routes')).registrations as Shown[]).find(({ registration }) => registration === id)
  const becomes = (id: string, state: string) => until(`${id} to be ${state}`, async () => { const row = await shown(id); return row?.state === state ? row : undefined }, { everyMs: 25 })
  const passing = async (id: string) => (await consul.get('/v1/health/service/api?passing') as Array<{ Service: { ID: string } }>).some(({ Service }) => Service.ID === id)

  before(async () => {
    consul = await startConsul({ keepData: true })
    // Shares are counted here, so that they must not depend on who is quicker.
    gateway = await startGateway({ registry: { consul: { agents: [consul.url] } }, defaults: { policy: { balancer: { strategy: 'round-robin' } } } } as never)
    for (const host of [await start({ service: 'Steady', messages: { Steady: answer } }), await start({ service: 'Steady', messages: { Steady: answer } })]) {
      await register(host)
      await gateway.waitForEndpoint(host.url)
    }
    steady = startLoad(gateway.url, target('Steady'), { callers: 2 })
  })
  afterEach(() => {
    assert.deepEqual(steady.failures, [])
    assert.deepEqual(misdirected(hosts), [])
  })
  after(async () => {
    await steady.stop()
    await gateway.close()
    await Promise.all(hosts.map(async host => { await host.close() }))
    await consul.stop()
  })

  test('a ghost back from the dead passes its checks for ever, and gets nothing', async () => {
    const old = await start({ service: 'Haunted', messages: { Common: answer, OldOnly: answer } })
    const other = await start({ service: 'Haunted', messages: { Common: answer } })
    for (const host of [old, other]) await register(host)
    await until('both are routed', async () => await status('OldOnly') === 200 && (await shown(other.id))?.state === 'routed')
    await until('Consul calls the old one passing', async () => await passing(old.id), { everyMs: 50 })
    await using load = startLoad(gateway.url, target('Common'))
    await until('load is on', () => load.calls > 50)
    await old.kill()
    const next = await start({ service: 'Haunted', port: old.port, version: '2.0', messages: { Common: answer, NewOnly: answer } })
    await register(next)
    await until('the new process serves', async () => await status('NewOnly') === 200)
    await until('both registrations of the address pass', async () => await passing(old.id) && await passing(next.id), { everyMs: 50 })
    const ghost = await becomes(old.id, 'ghost')
    assert.match(ghost.why, new RegExp(`says that it runs as ${next.id}`))
    assert.match(ghost.hint ?? '', /deregistering it by hand is safe/)
    await until('its messages go with its process', async () => await status('OldOnly') === 404)
    const [atNext, atOther] = [next.executed.length, other.executed.length]
    await until('a hundred calls', () => load.calls > 0 && next.executed.length + other.executed.length > atNext + atOther + 100)
    await load.stop()
    assert.deepEqual(load.failures, [])
    const share = (next.executed.length - atNext) / (next.executed.length - atNext + other.executed.length - atOther)
    assert.ok(share > 0.4 && share < 0.6, `one process, one share: ${share}`)
    await gateway.metricBecomes('postern_registrations', 1, { state: 'ghost' })
    await until('the same words are in the log', async () => (await gateway.log()).some(line => line['msg'] === 'endpoint ghost' && line['registration'] === old.id && line['why'] === ghost.why))
  })

  test('somebody else at the address gets no call, from the first one on', async () => {
    const [mover, stayer] = [await start({ service: 'Rent', messages: { Rent: answer } }), await start({ service: 'Rent', messages: { Rent: answer } })]
    for (const host of [mover, stayer]) await register(host)
    for (const host of [mover, stayer]) await gateway.waitForEndpoint(host.url)
    await until('Consul calls it passing', async () => await passing(mover.id), { everyMs: 50 })
    await using load = startLoad(gateway.url, target('Rent'))
    await until('both get calls', () => mover.executed.length > 10 && stayer.executed.length > 10)
    await mover.kill()
    await until('it is missed', async () => await gateway.metric('postern_endpoint_available', { endpoint: mover.url }) === 0)
    const tenant = await start({ service: 'Tenant', port: mover.port, messages: { TenantPing: answer } })
    const ghost = await becomes(mover.id, 'ghost')
    assert.match(ghost.why, /which no registry lists/)
    await until('Consul is content with the tenant\'s heartbeat', async () => await passing(mover.id), { everyMs: 50 })
    const { calls } = load
    await until('calls go on', () => load.calls > calls + 100)
    await load.stop()
    assert.deepEqual(load.failures, [])
    assert.deepEqual(tenant.calls, [])
  })

  test('a host that failed to start passes its checks because another program answers there: its messages are not called', async () => {
    await using program = await startContentProgram()
    const stillborn = { id: 'ss-Stillborn-00000000-0000-4000-8000-000000000001', address: `${program.url}/`, tags: ['ss-version-1.0', 'Stillborn'] }
    await registerAsPlugin(consul.url, stillborn, { heartbeatIntervalS: 1 })
    await until('Consul calls it passing', async () => await passing(stillborn.id), { everyMs: 50 })
    await until('it is decided', async () => (await gateway.api('routes')).routes.some(({ message, state }: { message: string, state: string }) => message === 'Stillborn' && state === 'hidden'))
    assert.equal(await status('Stillborn'), 404)
    assert.deepEqual(program.targets.filter(target => target.includes('Stillborn')), [])
    await consul.put(`/v1/agent/service/deregister/${stillborn.id}`)
  })

  test('an endpoint without a message\'s name in its own list does not get it', async () => {
    const host = await start({ service: 'Shrinking', messages: { Stays: answer } })
    const twin = await start({ service: 'Shrinking', messages: { Stays: answer, Goes: answer } })
    // It claims more than it has.
    await consul.put('/v1/agent/service/register', { ...serviceBody(host), Tags: [...host.tags, 'Goes'] })
    await register(twin)
    await until('both are asked', async () => await status('Goes') === 200 && (await shown(host.id))?.state === 'routed')
    for (let n = 0; n < 10; n++) assert.equal(await status('Goes'), 200)
  })

  test('maintenance of a service is an order: drained with its reason, not asked, and back when it is taken off', async () => {
    const host = await start({ service: 'Served', messages: { Served: answer } })
    await register(host)
    await until('the call works', async () => await status('Served') === 200)
    await consul.put(`/v1/agent/service/maintenance/${host.id}?enable=true&reason=disk+change+by+Ann`)
    const draining = await becomes(host.id, 'draining')
    assert.match(draining.why, /disk change by Ann/)
    await until('it gets no calls: the last endpoint of all, and no panic', async () => await status('Served') === 503)
    const asked = host.received.filter(({ target }) => target.endsWith('/ServiceRegistration')).length
    const calls = steady.calls
    await until('some time passes', () => steady.calls > calls + 300)
    assert.equal(host.received.filter(({ target }) => target.endsWith('/ServiceRegistration')).length, asked, 'never asked back in')
    await consul.put(`/v1/agent/service/maintenance/${host.id}?enable=false`)
    await until('it is back', async () => await status('Served') === 200)
  })

  test('a health check that fails from its first run is seen although Consul does not tell it and the heartbeat is fine', async () => {
    const [ill, well] = [await start({ service: 'Half', messages: { Half: answer } }), await start({ service: 'Half', messages: { Half: answer } })]
    ill.unhealthy = 503
    for (const host of [ill, well]) await registerAsPlugin(consul.url, host, { heartbeatIntervalS: 1, healthCheckIntervalS: 1 })
    const waiting = await until('it says so', async () => { const row = await shown(ill.id); return row?.state === 'waiting' && row.why.includes('its health check answered 503') ? row : undefined })
    assert.match(waiting.hint ?? '', /as soon as it answers well/)
    await until('the other one serves', async () => await status('Half') === 200)
    for (let n = 0; n < 10; n++) assert.equal(await status('Half'), 200)
    assert.deepEqual(ill.executed, [])
    ill.unhealthy = undefined
    await until('it serves too', async () => await status('Half') === 200 && ill.executed.length > 0)
  })
})
