// Two services are merged into one and taken out of Consul in one answer, which looks like forgetting: they stand in the way of nothing that comes after.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { healthEntry, startFakeConsul } from '../support/fake-consul.ts'
import { startGateway, type PartialConfig } from '../support/gateway.ts'
import { misdirected, startLoad } from '../support/load.ts'
import { serviceBody } from '../support/plugin-registration.ts'
import { startServiceStackHost, type ServiceStackHost } from '../support/servicestack-host.ts'
import { until } from '../support/until.ts'
import { aSecond, get } from '../support/world.ts'

type Row = Record<'state' | 'upstream' | 'registration', string>

for (const [sentence, isDrained] of [['drained and ended before that they are gone', true], ['killed, and passing in Consul until then, they are unconfirmed and count no more', false]] as const) {
  test(`two services are merged into one, which is split later: ${sentence}, and no call is lost`, { timeout: 120_000 }, async () => {
    await using stack = new AsyncDisposableStack()
    const consul = stack.adopt(await startFakeConsul(), fake => fake.close())
    const hosts: ServiceStackHost[] = []
    const listed = new Map<ServiceStackHost, 'passing' | 'maintenance'>()
    const tell = () => {
      consul.list([...listed].map(([host, health]) => {
        const { Name, ...service } = serviceBody(host)
        const check = health === 'passing' ? { CheckID: `${host.id}:SS-Heartbeat`, Status: 'passing' } : { CheckID: `_service_maintenance:${host.id}`, Status: 'critical', Notes: 'deploy' }
        return healthEntry(host.id, { service: { ...service, Service: Name, CreateIndex: 5 + hosts.indexOf(host) }, checks: [{ Node: 'vm', Notes: '', Output: '', Type: '', ServiceID: host.id, ...check }] })
      }))
    }
    const drain = (...drained: ServiceStackHost[]) => { for (const host of drained) listed.set(host, 'maintenance'); tell() }
    const gateway = stack.use(await startGateway({ registry: { consul: { agents: [consul.url] } } } as PartialConfig))
    const rows = async () => await gateway.api('routes') as { routes: Row[], registrations: Row[] }
    const stateOf = async ({ id }: ServiceStackHost) => (await rows()).registrations.find(({ registration }) => registration === id)?.state
    const owners = async () => (await rows()).routes.filter(({ state }) => state === 'routed').map(({ upstream }) => upstream).join()
    const deploy = async (service: string, ...messages: string[]) => {
      const host = stack.use(await startServiceStackHost({ service, messages: Object.fromEntries(messages.map(name => [name, () => ({ body: {} })])) }))
      hosts.push(host)
      listed.set(host, 'passing')
      tell()
      await until(`${service} can be called`, async () => await stateOf(host) === 'routed')
      return host
    }

    const retired = [await deploy('Browsing', 'Browse', 'Search'), await deploy('Buying', 'Buy', 'Pay')]
    const whole = await deploy('Whole', 'Browse', 'Search', 'Buy', 'Pay')
    if (isDrained) drain(...retired)
    else for (const host of retired) await host.kill()
    await until('they are merged', async () => await owners() === 'Whole,Whole,Whole,Whole')
    if (isDrained) for (const host of retired) await host.kill()
    for (const host of retired) listed.delete(host)
    tell()
    for (const host of retired) await until('it is gone, or unconfirmed', async () => await stateOf(host) === (isDrained ? undefined : 'unconfirmed'))

    await using load = startLoad(gateway.url, [get('Browse'), get('Buy')])
    const halves = [await deploy('Left', 'Browse', 'Search'), await deploy('Right', 'Buy', 'Pay')]
    drain(whole)
    await until('the names have passed', async () => await owners() === 'Left,Right,Right,Left', aSecond)
    await until('both get calls', () => halves.every(({ executed }) => executed.length > 20))
    await load.stop()
    assert.deepEqual(load.failures, [])
    assert.deepEqual(misdirected(hosts), [])
  })
}
