// What an operator reads is the whole truth: an endpoint that gets no calls is not said to be routed, and what nobody vouches for is marked stale. API, command, log and metrics.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { runHere } from '../command/run-command.ts'
import { healthEntry, startFakeConsul } from '../support/fake-consul.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { request, targetOf } from '../support/http-client.ts'
import { serviceBody } from '../support/plugin-registration.ts'
import { startServiceStackHost, type ServiceStackHost } from '../support/servicestack-host.ts'
import { until } from '../support/until.ts'

interface Row { message?: string, registration?: string, state: string, endpoints?: number, why: string, hint: string, since: string, stale?: true }
const answer = () => ({ body: {} })
const rows = async (gateway: TestGateway): Promise<{ routes: Row[], registrations: Row[], registries: Array<{ registry: string, ok: boolean, stale: number }> }> => await gateway.api('routes')
const postern = async (gateway: TestGateway, ...args: string[]) => (await runHere(['routes', '--admin', gateway.admin.replace('http://', ''), ...args])).out

test('an endpoint that refuses connections is out, whatever its checks say, and so are its messages; it comes back by itself', { timeout: 300_000 }, async () => {
  await using gateway = await startGateway({ registry: { embedded: { address: '127.0.0.1:0' } } })
  await using stays = await startServiceStackHost({ service: 'Shop', messages: { Browse: answer } })
  await using dies = await startServiceStackHost({ service: 'Shop', id: 'ss-Shop-00000000-0000-4000-8000-000000000001', messages: { Browse: answer, Buy: answer } })
  for (const host of [stays, dies]) {
    // A check that goes on passing whatever becomes of the process.
    const body = JSON.stringify({ ...serviceBody(host), Check: { TTL: '1h', Status: 'passing' } })
    assert.equal((await request(targetOf(gateway.embedded!), '/v1/agent/service/register', { method: 'PUT', headers: [['Content-Type', 'application/json']], body })).status, 200)
    await gateway.waitForEndpoint(host.url)
  }
  await gateway.waitForRoute('Buy')
  const rowOf = async (host: ServiceStackHost) => (await rows(gateway)).registrations.find(({ registration }) => registration === host.id)!
  const nameOf = async (name: string) => (await rows(gateway)).routes.find(({ message }) => message === name)!
  const well = await rowOf(dies)
  assert.deepEqual([well.state, well.why], ['routed', 'Routed: its checks pass.'])
  assert.match(well.hint, /^It leaves when they fail/)
  assert.match((await nameOf('Buy')).hint, /^It goes when no endpoint of Shop lists it any more/)

  await dies.kill()
  // Whoever notices it first: this call, or the control plane.
  assert.match(String((await gateway.get('/json/reply/Buy')).status), /^50[23]$/)
  const out = await until('it is out', async () => { const row = await rowOf(dies); return row.state === 'out' ? row : undefined })
  assert.deepEqual([out.why, out.hint], ['Out: a connection to it failed (ECONNREFUSED), although its checks pass.', 'It comes back as soon as Postern can connect and it has said who it is.'])
  assert.ok(out.since > well.since)
  const [browse, buy] = [await nameOf('Browse'), await nameOf('Buy')]
  assert.deepEqual([browse.endpoints, browse.why], [1, 'Routed to Shop: Shop lists it.'])
  assert.deepEqual([buy.endpoints, buy.why], [0, 'Routed to Shop, but none of its endpoints can take calls: they are answered 503.'])
  assert.equal((await gateway.get('/json/reply/Buy')).status, 503)
  await until('it is counted so', async () => await gateway.metric('postern_registrations', { state: 'out' }) === 1 && await gateway.metric('postern_registrations', { state: 'routed' }) === 1)
  assert.match(await postern(gateway, '--state', 'out'), /^ss-Shop-\S+ {2}out .* Out: a connection to it failed .* Since \d{4}-.*Z\. It comes back as soon as/m)
  const line = await until('it is logged', async () => (await gateway.log()).find(({ msg, registration }) => msg === 'endpoint out' && registration === dies.id))
  assert.deepEqual([line['why'], line['hint'], line['level']], [out.why, out.hint, 40])

  await dies.server.listen()
  await until('it is back', async () => (await rowOf(dies)).state === 'routed' && (await gateway.get('/json/reply/Buy')).status === 200)
  await until('nobody is out', async () => await gateway.metric('postern_registrations', { state: 'out' }) === 0)
})

test('a breaker that is held open is why an endpoint is out', { timeout: 300_000 }, async () => {
  await using origin = await startServiceStackHost({ messages: {} })
  await using gateway = await startGateway({ upstreams: { Legacy: { endpoints: [origin.url] } }, messages: { Authenticate: { upstream: 'Legacy' } } } as never)
  await gateway.waitForRoute('Authenticate')
  const why = async () => (await rows(gateway)).registrations[0]!.why
  await until('it has said what it is', async () => await why() === 'Routed: a fixed endpoint of postern.yaml.')
  const admin = ['--admin', gateway.admin.replace('http://', '')]
  assert.equal((await runHere(['breaker', 'open', 'Legacy', '--endpoint', origin.url, '--reason', 'test', ...admin])).code, 0)
  await until('it says so', async () => await why() === 'Out: an operator holds its breaker open, although postern.yaml names it.')
  assert.equal((await runHere(['breaker', 'release', 'Legacy', '--endpoint', origin.url, ...admin])).code, 0)
  await until('it is back', async () => await why() === 'Routed: a fixed endpoint of postern.yaml.')
})

test('what a running agent no longer vouches for is marked stale and counted while it fails, forgets, and not a moment longer', { timeout: 300_000 }, async () => {
  const consul = await startFakeConsul()
  try {
    await using one = await startServiceStackHost({ service: 'One', messages: { First: answer } })
    await using two = await startServiceStackHost({ service: 'Two', messages: { Second: answer } })
    const entries = [one, two].map(host => healthEntry(host.id, { service: { Tags: host.tags, Address: host.address, Port: host.port } }))
    consul.list(entries)
    await using gateway = await startGateway({ registry: { consul: { agents: [consul.url], waitMs: 500, maxBackoffMs: 200, coordinatesMs: 0 } } } as never)
    for (const message of ['First', 'Second']) await gateway.waitForRoute(message)
    const marks = async () => {
      const { routes, registrations, registries } = await rows(gateway)
      return { stale: [...routes, ...registrations].filter(row => row.stale === true), fresh: [...routes, ...registrations].filter(row => row.stale !== true), registry: registries[0]! }
    }
    const stale = async () => await gateway.metric('postern_registry_stale', { registry: 'consul' })
    const errors = async () => await gateway.metric('postern_registry_errors_total', { registry: 'consul' })
    assert.deepEqual([(await marks()).stale, await stale(), await errors()], [[], 0, 0])

    for (const [how, handler, said] of [
      ['500', ({ response }) => { response.writeHead(500).end('rpc error') }, /HTTP 500/],
      ['half', ({ response }) => { response.writeHead(200, { 'x-consul-index': '99', 'content-length': '1000' }).write('[{', () => response.destroy()) }, /./]
    ] as ReadonlyArray<readonly [string, Parameters<typeof consul.answer>[0], RegExp]>) {
      const before = await errors()
      consul.answer(handler)
      await until(`all is stale: ${how}`, async () => await stale() === 2 && await errors() >= before + 3)
      const { stale: rowsNow, fresh, registry } = await marks()
      assert.deepEqual([fresh, rowsNow.length, registry.ok, registry.stale], [[], 4, false, 2])
      for (const { why } of rowsNow) assert.match(why, /; stale: consul does not answer, last at \d{4}-\S+Z \(.*\)\.$/)
      assert.match(rowsNow[0]!.why, said)
      assert.match(await postern(gateway), /^consul does not answer, last at \S+Z \(.*\): 2 registrations stay in force as it said last \(stale\)\.$/m)
      assert.equal((await gateway.get('/json/reply/First')).status, 200)
      consul.answer(undefined)
      await until('nothing is', async () => await stale() === 0 && (await marks()).stale.length === 0)
    }
    consul.list([])
    await until('what it forgot is, and it answers', async () => { const { fresh, registry } = await marks(); return await stale() === 2 && fresh.length === 0 && registry.ok })
    for (const row of (await marks()).stale) assert.match(row.why, row.registration === undefined ? /^Routed to \w+: .*; stale: consul no longer names its registrations\.$/ : /^Unconfirmed: its registry no longer names it, without a sign that it was deregistered, but it answers us/)
    assert.match(await postern(gateway), /^consul answers, and does not vouch for all that it listed: 2 registrations stay in force without its word \(stale\)\.$/m)
    assert.equal((await gateway.get('/json/reply/First')).status, 200)
    consul.list(entries)
    await until('nothing is', async () => await stale() === 0 && (await marks()).stale.length === 0)
    const line = await until('it is logged', async () => (await gateway.log()).find(({ msg }) => String(msg).startsWith('registry does not answer')))
    assert.deepEqual([line['registry'], line['stale']], ['consul', 2])
  } finally {
    await consul.close()
  }
})
