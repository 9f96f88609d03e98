// Where no call may go: metadata services, Postern's own listeners, programs that only say yes. Each is shown with the reason, and healthy siblings serve on.
import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { request, targetOf } from '../support/http-client.ts'
import { startLoad } from '../support/load.ts'
import { serviceBody } from '../support/plugin-registration.ts'
import { startServiceStackHost, type ServiceStackHost } from '../support/servicestack-host.ts'
import { until } from '../support/until.ts'

interface Shown { registration: string, state: string, why: string, hint: string }

/** A program that answers everything alike. */
async function startContentProgram (port = 0, status = 200, type = 'text/plain', body = 'fine') {
  const targets: string[] = []
  const server = http.createServer((asked, response) => {
    targets.push(asked.url!)
    response.writeHead(status, { 'Content-Type': type }).end(body)
  })
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    targets,
    close: async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }
}

describe('addresses that get no call', { timeout: 300_000 }, () => {
  let gateway: TestGateway
  let sound: ServiceStackHost
  let program: Awaited<ReturnType<typeof startContentProgram>>
  const config = (more: object = {}) => ({
    registry: { embedded: { address: '127.0.0.1:0' }, ...more },
    upstreams: { Meta: { endpoints: ['http://169.254.169.254/'] } },
    prefixes: { '/meta/*': { upstream: 'Meta' }, '/sound/*': { upstream: 'Sound' } },
    defaults: { policy: { balancer: { strategy: 'round-robin' } } }
  }) as never

  const idOf = (n: number, service = 'Sound') => `ss-${service}-00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
  /** As the plugin does, with a check that says nothing of the process. */
  const register = async (id: string, address: string, messages: readonly string[] = ['Sound']) => {
    const body = { ID: id, Name: 'api', Tags: ['ss-version-1.0', ...messages], Address: address, Port: 80, Check: { TTL: '1h', Status: 'passing' } }
    const { status } = await request(targetOf(gateway.embedded!), '/v1/agent/service/register', { method: 'PUT', headers: [['Content-Type', 'application/json']], body: JSON.stringify(body) })
    assert.equal(status, 200)
  }
  const shown = async (id: string) => ((await gateway.api('routes')).registrations as Shown[]).find(({ registration }) => registration === id)
  const becomes = (id: string, state: string) => until(`${id} to be ${state}`, async () => { const row = await shown(id); return row?.state === state ? row : undefined })
  const servesOn = async () => { for (let n = 0; n < 6; n++) assert.equal((await gateway.get('/json/reply/Sound')).status, 200) }

  before(async () => {
    program = await startContentProgram()
    gateway = await startGateway(config())
    sound = await startServiceStackHost({ service: 'Sound', id: idOf(0), messages: { Sound: () => ({ body: {} }) } })
    await register(sound.id, sound.address)
    await gateway.waitForRoute('Sound')
    await gateway.waitForEndpoint(sound.url)
  })
  after(async () => {
    await gateway.close()
    await Promise.all([sound.close(), program.close()])
  })

  for (const [sentence, n, address, reason] of [
    ['a metadata service', 1, () => 'http://169.254.169.254/', /169\.254\.169\.254 is link-local \(metadata services answer there\)/],
    ['a metadata service in another notation', 2, () => 'http://[::ffff:a9fe:a9fe]/', /is link-local/],
    ['a link-local address', 3, () => 'http://[fe80::1]:8080/', /fe80::1 is link-local/],
    ['the public listener', 4, () => `${gateway.url}/`, /is Postern's own listener/],
    ['the admin listener', 5, () => `${gateway.admin}/`, /is Postern's own listener/],
    ['the embedded registry', 6, () => `${gateway.embedded}/`, /is Postern's own listener/],
    ['the embedded registry by another name', 7, () => `${gateway.embedded!.replace('127.0.0.1', 'localhost')}/`, /is Postern's own listener/],
    ['a public address', 8, () => 'http://192.0.2.1/', /192\.0\.2\.1 is in none of registry\.allowedNetworks/]
  ] as const) {
    test(`a registration at ${sentence} is refused with the reason, and its sibling serves on`, async () => {
      await register(idOf(n), address())
      const row = await becomes(idOf(n), 'refused')
      assert.match(row.why, /^Refused: /)
      assert.match(row.why, reason)
      await servesOn()
      assert.equal((await shown(sound.id))?.state, 'routed')
    })
  }

  test('all of them are counted, and in the log with the same words', async () => {
    await gateway.metricBecomes('postern_registrations', 9, { state: 'refused' })
    const row = await shown(idOf(1))
    await until('the log has it', async () => (await gateway.log()).some(line => line['msg'] === 'endpoint refused' && line['registration'] === idOf(1) && line['why'] === row?.why))
  })

  test('what postern.yaml fixes at a metadata service is refused too', async () => {
    const row = await becomes('config:Meta:http://169.254.169.254', 'refused')
    assert.match(row.why, /is link-local/)
    assert.match(row.hint, /upstreams\.Meta\.endpoints/)
    assert.equal((await gateway.get('/meta/latest')).status, 503)
  })

  test('a program that says yes to everything is a stranger: no call reaches it beside a host that has the message, nor by a prefix', async () => {
    await register(idOf(20), program.url)
    const row = await becomes(idOf(20), 'stranger')
    assert.match(row.why, /neither who it is nor what it lists/)
    for (let n = 0; n < 10; n++) await gateway.get('/sound/page')
    await servesOn()
    assert.deepEqual(program.targets.filter(target => /sound/i.test(target)), [])
  })

  test('alone it is a stranger too, and its messages are not there', async () => {
    await register(idOf(21, 'Stillborn'), `${program.url}base`, ['Stillborn'])
    await becomes(idOf(21, 'Stillborn'), 'stranger')
    const { routes } = await gateway.api('routes')
    assert.deepEqual(routes.filter(({ message, state }: { message: string, state: string }) => message === 'Stillborn' && state === 'routed'), [])
    assert.equal((await gateway.get('/json/reply/Stillborn')).status, 404)
    assert.deepEqual(program.targets.filter(target => target.includes('Stillborn')), [])
  })

  test('it holds no name from who has it: nor where it says yes in JSON, and was registered first', async () => {
    const early = await startContentProgram(0, 200, 'application/json', '{"status":"ok"}')
    await using late = await startServiceStackHost({ service: 'Late', id: idOf(23, 'Late'), messages: { Contested: () => ({ body: {} }) } })
    try {
      await register(idOf(22, 'Early'), early.url, ['Contested'])
      await becomes(idOf(22, 'Early'), 'stranger')
      assert.equal((await gateway.get('/json/reply/Contested')).status, 404)
      await register(late.id, late.address, ['Contested'])
      // Well before registry.ownerGoneMs, which is 30 s.
      await until('the one that has it is called', async () => (await gateway.get('/json/reply/Contested')).status === 200, { timeoutMs: 20_000 })
      assert.deepEqual(early.targets.filter(target => target.includes('Contested')), [])
    } finally {
      await early.close()
    }
  })

  test('other networks judge at once: a reload takes no healthy route away, and lets in what is allowed now', async () => {
    await gateway.reload(config({ allowedNetworks: ['127.0.0.0/8', '192.0.2.0/24'] }))
    await until('the public address is let in', async () => (await shown(idOf(8)))?.state !== 'refused')
    await servesOn()
    await gateway.reload(config())
    assert.match((await becomes(idOf(8), 'refused')).why, /in none of/)
    await servesOn()
  })
})

/** The registration of a host and a check that says nothing of the process. */
async function registerUnchecked (gateway: TestGateway, host: ServiceStackHost): Promise<void> {
  const body = JSON.stringify({ ...serviceBody(host), Check: { TTL: '1h', Status: 'passing' } })
  assert.equal((await request(targetOf(gateway.embedded!), '/v1/agent/service/register', { method: 'PUT', headers: [['Content-Type', 'application/json']], body })).status, 200)
  await gateway.waitForEndpoint(host.url)
}

test('somebody else who does not say who he is gets no call while another endpoint can be called; the only one is tried all the same', { timeout: 300_000 }, async t => {
  await using gateway = await startGateway({ registry: { embedded: { address: '127.0.0.1:0' }, ask: { timeoutMs: 1_000 } }, defaults: { policy: { balancer: { strategy: 'round-robin' }, cache: { mode: 'off' } }, balancing: { slowStartMs: 0 } } } as never)
  const start = () => startServiceStackHost({ service: 'Rent', messages: { Rent: () => ({ body: {} }) } })
  await using mover = await start()
  await using stayer = await start()
  for (const host of [mover, stayer]) await registerUnchecked(gateway, host)
  const rent = async () => (await gateway.get('/json/reply/Rent')).status
  await until('both get calls', async () => { await rent(); return mover.executed.length > 0 && stayer.executed.length > 0 })
  await mover.kill()
  await until('it is missed', async () => { await rent(); return await gateway.metric('postern_endpoint_available', { endpoint: mover.url }) === 0 })
  const [calls, questions]: [string[], string[]] = [[], []]
  // Asked anything but the message it hangs.
  const tenant = http.createServer((asked, response) => {
    const isCall = asked.url!.endsWith('/Rent')
    ;(isCall ? calls : questions).push(asked.url!)
    if (isCall) response.writeHead(405).end()
  })
  await new Promise<void>(resolve => tenant.listen(mover.port, '127.0.0.1', resolve))
  t.after(() => { tenant.closeAllConnections(); tenant.close() })
  await using load = startLoad(gateway.url, '/json/reply/Rent')
  await until('it was asked again and again', () => questions.length >= 4, { timeoutMs: 60_000 })
  await load.stop()
  assert.deepEqual([calls, load.failures], [[], []])
  await stayer.kill()
  await until('it is tried', async () => { await rent(); return calls.length > 0 })
})

for (const status of [200, 404]) {
  test(`a program that answers ${status} to everything takes the address of a killed host: no call reaches it, with another endpoint or without`, { timeout: 300_000 }, async t => {
    await using gateway = await startGateway({ registry: { embedded: { address: '127.0.0.1:0' } }, defaults: { policy: { balancer: { strategy: 'round-robin' }, cache: { mode: 'off' } }, balancing: { slowStartMs: 0 } } } as never)
    const start = () => startServiceStackHost({ service: 'Rent', messages: { Rent: () => ({ body: {} }) } })
    const hosts = [await start(), await start()]
    t.after(() => Promise.all(hosts.map(host => host.close())))
    for (const host of hosts) await registerUnchecked(gateway, host)
    const rent = async () => (await gateway.get('/json/reply/Rent')).status
    await until('both get calls', async () => { await rent(); return hosts.every(({ executed }) => executed.length > 0) })
    const stateOf = async ({ id }: ServiceStackHost) => ((await gateway.api('routes')).registrations as Shown[]).find(({ registration }) => registration === id)?.state
    for (const host of hosts) {
      await host.kill()
      const program = await startContentProgram(host.port, status)
      t.after(program.close)
      // One call after the other: each finds the connection of the one before, or its end.
      if (host === hosts[0]) for (let n = 0; n < 6; n++) assert.equal(await rent(), 200)
      await until('it is a stranger', async () => await stateOf(host) === 'stranger')
      for (let n = 0; n < 6; n++) assert.equal(await rent(), host === hosts[0] ? 200 : 503)
      assert.deepEqual(program.targets.filter(target => target.endsWith('/Rent')), [])
    }
    const [row] = (await gateway.api('routes')).routes
    assert.deepEqual([row.message, row.state, row.endpoints, row.why], ['Rent', 'routed', 0, 'Routed to Rent, but only strangers answer at its addresses: calls are answered 503.'])
    assert.doesNotMatch(row.hint, /trustTags/)
    await until('it is logged as something to act on', async () => (await gateway.log()).some(line => line['msg'] === 'message routed' && line['why'] === row.why && line['level'] === 40))
  })
}
