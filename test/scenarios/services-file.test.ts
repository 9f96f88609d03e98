// A services.yaml beside a Consul, through the listener and under load: it is changed, broken, mended, and disputed with what Consul lists.
import { test, type TestContext } from 'node:test'
import assert from 'node:assert/strict'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { consulSkip, startConsul } from '../support/consul.ts'
import { healthEntry, startFakeConsul } from '../support/fake-consul.ts'
import { startGateway, type PartialConfig } from '../support/gateway.ts'
import { misdirected, startLoad } from '../support/load.ts'
import { ok, startOrigin } from '../support/origin.ts'
import { deregister, registerAsPlugin } from '../support/plugin-registration.ts'
import { startServiceStackHost, type ServiceStackHost } from '../support/servicestack-host.ts'
import { until } from '../support/until.ts'
import { get } from '../support/world.ts'

const skip = await consulSkip()
const answer = () => ({ body: {} })

/** The file, and how it is replaced: whole, as an editor does it. */
async function startFile (t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), 'postern-services-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const file = join(directory, 'services.yaml')
  const write = async (text: string) => {
    await writeFile(`${file}.new`, text)
    await rename(`${file}.new`, file)
  }
  return { file, write }
}

const entry = ({ service, url }: ServiceStackHost, ...messages: string[]) => `- { service: ${service}, url: "${url}", messages: [${messages.join(', ')}], servicestack: true }\n`

test('a file of fixed services is changed, broken, mended and disputed beside a Consul', { timeout: 180_000, skip }, async t => {
  await using stack = new AsyncDisposableStack()
  const start = async (service: string, ...messages: string[]) => stack.use(await startServiceStackHost({ service, messages: Object.fromEntries(messages.map(name => [name, answer])) }))
  const { file, write } = await startFile(t)
  const consul = await startConsul()
  stack.defer(() => consul.stop())
  const [one, two] = [await start('Orders', 'Place', 'Cancel'), await start('Orders', 'Place', 'Cancel')]
  const [billing, paper] = [await start('Billing', 'Invoice', 'Place'), await start('Paper', 'Invoice', 'Print')]
  await write(entry(one, 'Place'))
  const gateway = stack.use(await startGateway({ registry: { file, consul: { agents: [consul.url] } }, defaults: { policy: { balancer: { strategy: 'round-robin' } }, balancing: { slowStartMs: 0 } } } as PartialConfig))
  const status = async (name: string) => (await gateway.get(get(name))).status
  const claims = async (name: string) => ((await gateway.api('routes')).routes as Array<{ message: string, state: string, upstream: string }>).filter(({ message }) => message === name).map(({ upstream, state }) => `${upstream} ${state}`).sort()
  const registryState = async () => ((await gateway.api('routes')).registries as Array<{ registry: string, ok: boolean, error?: string }>).find(({ registry }) => registry === 'file')!
  await gateway.waitForRoute('Place')
  await using load = startLoad(gateway.url, [get('Place'), `POST ${get('Place')}`], { callers: 2, everyMs: 10 })
  const called = async (...hosts: ServiceStackHost[]) => {
    const before = hosts.map(({ executed }) => executed.length)
    await until('calls at each', () => hosts.every(({ executed }, n) => executed.length > before[n]! + 5))
  }
  await called(one)

  // An endpoint more, and a message more.
  await write(entry(one, 'Place') + entry(two, 'Place'))
  await called(one, two)
  await until('Consul has answered too, and nobody names the other message', async () => await status('Cancel') === 404)
  await write(entry(one, 'Place', 'Cancel') + entry(two, 'Place', 'Cancel'))
  await until('the new message is routed', async () => await status('Cancel') === 200)

  // A slip of the hand takes nothing away, and is told with its place.
  await write(entry(one, 'Place') + '- { service: Orders, url: nowhere }\n')
  const broken = await until('it is told', async () => { const state = await registryState(); return state.ok ? undefined : state })
  assert.match(broken.error ?? '', /services\.yaml:2:27 {2}\[1\]\.url: this is not a valid URL: nowhere/)
  await gateway.metricBecomes('postern_registry_up', 0, { registry: 'file' })
  await until('the log to say so', async () => (await gateway.log()).some(({ msg, registry, error }) => msg === 'registry does not answer; its last good list stays in force' && registry === 'file' && /services\.yaml:2:/.test(String(error))))
  // The sentence of each row is one line; the line of the file stands in the log.
  const rows = Object.values(await gateway.api('routes')).flat() as Array<{ stale?: true, why: string }>
  const stale = rows.filter(row => row.stale === true)
  assert.equal(stale.length, 4, 'two messages and two registrations')
  for (const { why } of stale) assert.match(why, /; stale: the services file cannot be read, and counts as it was at \S+Z \([^\n]*services\.yaml:2:27 {2}\[1\]\.url: this is not a valid URL: nowhere\)\.$/)
  await called(one, two)
  assert.equal(await status('Cancel'), 200)

  // Mended, and an endpoint less.
  await write(entry(two, 'Place', 'Cancel'))
  await until('it is read again', async () => (await registryState()).ok)
  await until('one is out', async () => await gateway.metric('postern_endpoint_available', { endpoint: one.url }) === 0)
  // What was on its way has ended by then.
  await called(two)
  const atOne = one.executed.length
  await called(two)
  assert.equal(one.executed.length, atOne)

  // The same rules for both registries: who has a name keeps it, whichever of them names it.
  await registerAsPlugin(consul.url, billing, { heartbeatIntervalS: 1 })
  await until('Consul\'s newcomer is quarantined', async () => (await claims('Place')).includes('Billing quarantined'))
  await until('its own message is routed', async () => await status('Invoice') === 200)
  await write(entry(two, 'Place', 'Cancel') + entry(paper, 'Invoice', 'Print'))
  await until('the file\'s newcomer is quarantined', async () => (await claims('Invoice')).includes('Paper quarantined'))
  assert.deepEqual([await claims('Place'), await claims('Invoice')], [['Billing quarantined', 'Orders routed'], ['Billing routed', 'Paper quarantined']])
  await until('its own message is routed', async () => await status('Print') === 200)
  await called(two)
  assert.deepEqual([billing.executed.filter(name => name === 'Place'), paper.executed.filter(name => name === 'Invoice')], [[], []])

  // What is taken out of the file has gone, and so has what is taken out of Consul.
  await write(entry(paper, 'Invoice', 'Print'))
  await until('it has moved to Consul\'s', async () => (await claims('Place')).join() === 'Billing routed')
  await called(billing)
  await load.stop()
  assert.deepEqual(load.failures, [])
  await deregister(consul.url, billing.id)
  await until('it has moved to the file\'s', async () => (await claims('Invoice')).join() === 'Paper routed')
  await until('its own are called there, and the other name is gone', async () => await status('Invoice') === 200 && await status('Place') === 404)
  assert.deepEqual(misdirected([one, two, billing, paper]), [])
})

test('maintenance in Consul drains what the file names at the same address, with its reason, until it is taken off', { timeout: 300_000 }, async t => {
  await using origin = await startOrigin(ok('here'))
  const consul = await startFakeConsul()
  t.after(() => consul.close())
  const { file, write } = await startFile(t)
  await write(`- { service: Shop, url: "${origin.url}", messages: [Browse] }\n`)
  const inConsul = (...checks: object[]) => consul.list([healthEntry('shop-1', { service: { Service: 'Shop', Address: '127.0.0.1', Port: Number(new URL(origin.url).port), Tags: [], Meta: { messages: 'Browse' } }, checks })])
  const maintenance = { CheckID: '_service_maintenance:shop-1', Status: 'critical', Notes: 'disk change by Ann', Output: '', ServiceID: 'shop-1' }
  inConsul()
  await using gateway = await startGateway({ registry: { file, consul: { agents: [consul.url], services: ['Shop'] } } } as PartialConfig)
  const status = async () => (await gateway.get(get('Browse'))).status
  await until('it is called', async () => await status() === 200)
  inConsul(maintenance)
  await until('it is drained, no other being left', async () => await status() === 503)
  const { registrations } = await gateway.api('routes') as { registrations: Array<{ state: string, why: string }> }
  assert.deepEqual(registrations.filter(({ state }) => state === 'draining').map(({ why }) => why).sort(), ['Draining: an operator set it to maintenance: disk change by Ann.', 'Draining: an operator set shop-1, at the same address, to maintenance: disk change by Ann.'])
  inConsul()
  await until('it is back', async () => await status() === 200)
})
