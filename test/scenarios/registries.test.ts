// Every kind of registration, from every kind of registry, through the listener: who is routed, by which names, and what one registry's silence costs.
import { after, before, describe, test, type TestContext } from 'node:test'
import assert from 'node:assert/strict'
import { createServer, type AddressInfo } from 'node:net'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { consulSkip, startConsul, type RealConsul } from '../support/consul.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { closedPort, ok, startOrigin, type Origin } from '../support/origin.ts'
import { registerAsPlugin } from '../support/plugin-registration.ts'
import { startServiceStackHost } from '../support/servicestack-host.ts'
import { until } from '../support/until.ts'

const skip = await consulSkip()

/** An address nobody listens on. */
const deadUrl = async () => `http://127.0.0.1:${await closedPort()}`

async function servicesFile (t: TestContext, entries: readonly object[]): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-services-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const file = join(directory, 'services.yaml')
  await writeFile(file, JSON.stringify(entries))
  return file
}

const statusOf = async (gateway: TestGateway, name: string) => (await gateway.get(`/json/reply/${name}`)).status

describe('ordinary services and old shapes in a real Consul', { timeout: 300_000, skip }, () => {
  let consul: RealConsul
  let gateway: TestGateway
  let origins: Origin[]
  before(async () => {
    consul = await startConsul()
    origins = [await startOrigin(ok('one')), await startOrigin(ok('two')), await startOrigin(ok('three'))]
    gateway = await startGateway({ defaults: { policy: { balancer: { strategy: 'weighted' } } }, registry: { consul: { agents: [consul.url], services: ['api', 'billing', 'stock', 'SS-Old'], messageTagPrefix: 'msg-', ignoreTags: ['msg-internal*'] } } } as never)
  })
  after(async () => {
    await gateway.close()
    for (const origin of origins) await origin.close()
    await consul.stop()
  })
  const register = async (body: object) => await consul.put('/v1/agent/service/register', body)

  test('by Meta, with host and port; a passing TTL check is believed', async () => {
    const { port } = origins[0]!
    await register({ ID: 'billing-1', Name: 'billing', Address: '127.0.0.1', Port: port, Meta: { messages: 'PayInvoice, CancelInvoice' }, Check: { TTL: '60s', Status: 'passing' } })
    await until('the call works', async () => await statusOf(gateway, 'PayInvoice') === 200)
    assert.equal(await statusOf(gateway, 'cancelinvoice'), 200)
    assert.equal(await statusOf(gateway, 'messages'), 404)
    await consul.put('/v1/agent/service/maintenance/billing-1?enable=true&reason=moving')
    await until('it drains', async () => await statusOf(gateway, 'PayInvoice') === 503)
    await consul.put('/v1/agent/service/maintenance/billing-1?enable=false')
    await until('it is back', async () => await statusOf(gateway, 'PayInvoice') === 200)
  })

  test('by tag prefix, without an address of its own (its node\'s counts), with weights', async () => {
    const [, two, three] = origins
    await register({ ID: 'stock-1', Name: 'stock', Port: two!.port, Tags: ['msg-CountStock', 'msg-internalAudit', 'blue'], Weights: { Passing: 3, Warning: 1 } })
    await register({ ID: 'stock-2', Name: 'stock', Port: three!.port, Tags: ['msg-CountStock'], Weights: { Passing: 1, Warning: 1 } })
    await gateway.waitForEndpoint(two!.url)
    await gateway.waitForEndpoint(three!.url)
    await until('the call works', async () => await statusOf(gateway, 'CountStock') === 200)
    const counts = () => [two!, three!].map(origin => origin.received.length)
    const [a, b] = counts()
    for (let n = 0; n < 40; n++) assert.equal(await statusOf(gateway, 'CountStock'), 200)
    const [c, d] = counts()
    // Three to one; a new table, with what Consul says of the checks, may come between two turns.
    assert.ok(c! - a! >= 27 && c! - a! <= 33 && c! - a! + d! - b! === 40, `${c! - a!} and ${d! - b!}`)
    for (const name of ['internalAudit', 'msg-CountStock', 'blue']) assert.equal(await statusOf(gateway, name), 404, name)
  })

  test('with environmentTag, registrations of that environment alone get calls, in whatever letter case it is tagged', async () => {
    await using production = await startGateway({ registry: { consul: { agents: [consul.url], services: ['mail'], environmentTag: 'prod' } } } as never)
    const [prod, staging, untagged] = origins
    const mail = async (name: string, { port }: Origin, tags: readonly string[]) => await register({ ID: name, Name: 'mail', Address: '127.0.0.1', Port: port, Tags: tags, Meta: { messages: `SendMail, ${name}` } })
    await mail('Staged', staging!, ['staging'])
    await mail('Untagged', untagged!, [])
    // The last one: once it is known, so are they.
    await mail('Productive', prod!, ['Prod'])
    await until('the call works', async () => await statusOf(production, 'Productive') === 200)
    const before = origins.map(({ received }) => received.length)
    for (let n = 0; n < 6; n++) assert.equal(await statusOf(production, 'SendMail'), 200)
    assert.deepEqual(origins.map(({ received }, n) => received.length - before[n]!), [6, 0, 0])
    for (const name of ['Staged', 'Untagged', 'Prod']) assert.equal(await statusOf(production, name), 404, name)
    await mail('Staged', staging!, ['prod'])
    await until('it has changed its environment', async () => await statusOf(production, 'Staged') === 200)
  })

  test('the shape of April 2016: SS- name, ServiceStack tag, req- in front of each message', async () => {
    await using host = await startServiceStackHost({ id: 'SS-Oldv2-0', generation: '5.2.0', service: 'Old', messages: { OldPing: () => ({ body: { pong: true } }), Unnamed: () => ({ body: {} }) } })
    await register({ ID: host.id, Name: 'SS-Old', Address: host.address, Port: host.port, Tags: ['ServiceStack', 'req-OldPing', 'Unnamed'] })
    await until('the call works', async () => await statusOf(gateway, 'OldPing') === 200)
    assert.equal((await gateway.get('/api/OldPing')).status, 200)
    assert.equal(await statusOf(gateway, 'Unnamed'), 404, 'only what has the prefix is named')
  })
})

test('services of the embedded registry are routed under whatever name they register, whenever they do', { timeout: 300_000 }, async () => {
  await using gateway = await startGateway({ registry: { embedded: { address: '127.0.0.1:0', messageTagPrefix: 'msg-' } } } as never)
  await using origin = await startOrigin(ok('{}'))
  await using host = await startServiceStackHost({ service: 'Catalog' })
  const register = async (body: object) => assert.equal((await fetch(`${gateway.embedded!}/v1/agent/service/register`, { method: 'PUT', body: JSON.stringify(body) })).status, 200)
  await registerAsPlugin(gateway.embedded!, host)
  await until('the plugin\'s', async () => await statusOf(gateway, 'GetProduct') === 200)
  const started = performance.now()
  await register({ ID: 'late-1', Name: 'late', Address: '127.0.0.1', Port: origin.port, Meta: { messages: 'Latecomer' }, Tags: ['msg-LateToo'] })
  await until('the ordinary one', async () => await statusOf(gateway, 'Latecomer') === 200 && await statusOf(gateway, 'LateToo') === 200)
  assert.ok(performance.now() - started < 5_000)
  assert.equal((await fetch(`${gateway.embedded!}/v1/agent/service/deregister/late-1`, { method: 'PUT' })).status, 200)
  await until('it is unknown again', async () => await statusOf(gateway, 'Latecomer') === 404)
})

test('an entry of a file is routed although the plugin\'s process there runs under an id of its own', { timeout: 300_000 }, async t => {
  await using host = await startServiceStackHost({ service: 'Catalog' })
  const file = await servicesFile(t, [{ service: 'Catalog', url: host.address, messages: ['GetProduct', 'ReindexProducts'], servicestack: true }])
  await using gateway = await startGateway({ registry: { file } } as never)
  await until('the call works', async () => await statusOf(gateway, 'GetProduct') === 200)
  assert.equal(await statusOf(gateway, 'ReindexProducts'), 404, 'restricted ones are hidden all the same')
})

test('a Consul that is down holds up what a file names for two seconds, no more; until it answers nothing is said to be unknown', { timeout: 300_000, skip }, async t => {
  await using host = await startServiceStackHost({ service: 'Catalog' })
  await using late = await startServiceStackHost({ service: 'Late', messages: { Latecomer: () => ({ body: {} }) } })
  const consul = await startConsul({ keepData: true })
  try {
    await registerAsPlugin(consul.url, late)
    await consul.kill()
    const file = await servicesFile(t, [{ service: 'Catalog', url: host.address, messages: ['GetProduct', 'ReindexProducts'], servicestack: true }])
    const started = performance.now()
    await using gateway = await startGateway({ registry: { file, consul: { agents: [consul.url] } } } as never)
    await until('what the file names is served', async () => await statusOf(gateway, 'GetProduct') === 200)
    assert.ok(performance.now() - started < 25_000, `${performance.now() - started} ms`)
    assert.equal(gateway.gateway.ready, true)
    const [unknown, hidden] = [await gateway.get('/json/reply/Latecomer'), await gateway.get('/json/reply/ReindexProducts')]
    assert.deepEqual([unknown.status, unknown.json().responseStatus.errorCode, unknown.header('retry-after')], [503, 'RoutesNotReady', '1'])
    assert.deepEqual([hidden.status, hidden.text()], [503, unknown.text()], 'nothing tells hidden from unknown')
    await consul.restart()
    await until('what Consul knows joins', async () => await statusOf(gateway, 'Latecomer') === 200)
    assert.deepEqual([await statusOf(gateway, 'Nowhere'), await statusOf(gateway, 'ReindexProducts'), await statusOf(gateway, 'GetProduct')], [404, 404, 200])
  } finally {
    await consul.stop()
  }
})

test('while no registry has answered there is no table, and what postern.yaml fixes is served all the same', { timeout: 300_000 }, async () => {
  await using origin = await startOrigin(ok('old'))
  const consul = { agents: [await deadUrl()] }
  await using fixed = await startGateway({ registry: { consul }, upstreams: { old: { endpoints: [origin.url] } }, prefixes: { '/old/*': { upstream: 'old' } } } as never)
  await using nothing = await startGateway({ registry: { consul } } as never)
  await until('the prefix works', async () => (await fixed.get('/old/x')).status === 200)
  assert.equal(await statusOf(fixed, 'GetProduct'), 503)
  assert.equal(nothing.gateway.ready, false)
  assert.equal(await statusOf(nothing, 'GetProduct'), 503)
})

test('an embedded registry that cannot listen ends the start', { timeout: 300_000 }, async () => {
  const taken = createServer()
  await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
  const address = `127.0.0.1:${(taken.address() as AddressInfo).port}`
  try {
    await assert.rejects(startGateway({ registry: { embedded: { address } } } as never), new RegExp(`registry\\.embedded\\.address: ${address}.*EADDRINUSE`))
  } finally {
    await new Promise(resolve => taken.close(resolve))
  }
})
