// Endpoints with host names, through the listener and against a real name server: asked behind the calls, TTL kept, last good answer kept, judged at every answer.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocket, WebSocketServer } from 'ws'
import { healthEntry, startFakeConsul } from '../support/fake-consul.ts'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import { startLoad } from '../support/load.ts'
import { startNameServer, type NameServer } from '../support/name-server.ts'
import { registerAsPlugin } from '../support/plugin-registration.ts'
import { startServiceStackHost } from '../support/servicestack-host.ts'
import { until } from '../support/until.ts'

const answer = () => ({ body: {} })
const get = (name: string) => `/json/reply/${name}`
const calmly = { callers: 2, everyMs: 20 }
/** A name is asked again after a second, the shortest time that an answer holds; without a good answer after five. */
const patience = { timeoutMs: 60_000, everyMs: 50 }
const idOf = (n: number) => `ss-Shop-00000000-0000-4000-8000-00000000000${n}`

const startHost = (message: string, more: { host?: string, port?: number, id?: string } = {}) => startServiceStackHost({ service: 'Shop', id: idOf(1), messages: { [message]: answer }, ...more })

/** A gateway that asks these name servers, with a registry of its own in which a host stands under the name shop.test. */
async function startBehind (names: NameServer | readonly NameServer[], host: { id: string, port: number, tags: readonly string[] }): Promise<TestGateway> {
  const gateway = await startGateway({ registry: { embedded: { address: '127.0.0.1:0' }, nameServers: [names].flat().map(({ address }) => address), allowedNetworks: ['127.0.0.0/8'] } } as PartialConfig)
  await registerAsPlugin(gateway.embedded!, { ...host, address: `http://shop.test:${host.port}/` }, { heartbeat: false })
  await gateway.waitForRoute('Browse')
  return gateway
}

const stateOf = async (gateway: TestGateway, id: string) => ((await gateway.api('routes')).registrations as Array<{ registration: string, state: string, why: string }>).find(({ registration }) => registration === id)

// Side by side: most of their time they wait for a name to be asked again.
describe('a host name', { timeout: 240_000, concurrency: true }, () => {
  test('a name leads somewhere else: calls follow it, also those on kept connections, and none is lost', async () => {
    await using names = await startNameServer()
    await using before = await startHost('Browse', { host: '127.0.0.2' })
    await using after = await startHost('Browse', { host: '127.0.0.3', port: before.port })
    names.point('shop.test', '127.0.0.2')
    await using gateway = await startBehind(names, before)
    await using load = startLoad(gateway.url, get('Browse'), calmly)
    await until('the old address is called', () => before.executed.length > 20)
    assert.equal(after.received.length, 0)
    const [asked, calls] = [names.asked.length, load.calls]
    names.point('shop.test', '127.0.0.3')
    await until('the new address is called', () => after.executed.length > 20, patience)
    const last = before.executed.length
    await until('calls go on', () => after.executed.length > 100, patience)
    assert.equal(before.executed.length, last, 'no connection to the old address is used again')
    assert.ok(names.asked.length - asked < load.calls - calls, 'asked by its time, not by the calls')
    await load.stop()
    assert.deepEqual(load.failures, [])
  })

  test('each name is asked again by its own TTL: one that holds for an hour is not, while one of a second is again and again', async () => {
    await using names = await startNameServer()
    names.ttlS['long.test'] = 3_600
    names.point('short.test', '127.0.0.1')
    names.point('long.test', '127.0.0.1')
    await using host = await startHost('Browse')
    const endpoints = ['short', 'long'].map(name => `http://${name}.test:${host.port}`)
    await using gateway = await startGateway({ registry: { nameServers: [names.address] }, upstreams: { shop: { endpoints } }, messages: { Browse: { upstream: 'shop' } } } as PartialConfig)
    for (const endpoint of endpoints) await gateway.waitForEndpoint(endpoint)
    const asked = (name: string) => names.asked.filter(one => one === name).length
    const [short, long] = [asked('short.test'), asked('long.test')]
    // Each time for A and AAAA.
    await until('it is asked three times more', () => asked('short.test') >= short + 6, patience)
    assert.equal(asked('long.test'), long)
  })

  test('an endpoint that cannot be connected to any more is asked for anew, although its name was to hold for an hour', async () => {
    await using names = await startNameServer()
    names.ttlS['shop.test'] = 3_600
    await using before = await startHost('Browse', { host: '127.0.0.6' })
    await using after = await startHost('Browse', { host: '127.0.0.7', port: before.port })
    names.point('shop.test', '127.0.0.6')
    await using gateway = await startBehind(names, before)
    assert.equal((await gateway.get(get('Browse'))).status, 200)
    names.point('shop.test', '127.0.0.7')
    await before[Symbol.asyncDispose]()
    await until('it is called where it is now', async () => (await gateway.get(get('Browse'))).status === 200 && after.executed.length > 0, patience)
    assert.ok(names.asked.length < 100, 'not at every failure')
  })

  test('the name server dies: the last good answer is kept', async () => {
    await using names = await startNameServer()
    await using host = await startHost('Browse')
    names.point('shop.test', '127.0.0.1')
    await using gateway = await startBehind(names, host)
    await using load = startLoad(gateway.url, get('Browse'), calmly)
    const asked = names.asked.length
    names.silent = true
    // Each time for A and AAAA.
    await until('it was asked in vain, and again', () => names.asked.length > asked + 3, patience)
    const { calls } = load
    await until('calls go on', () => load.calls > calls + 50, patience)
    await load.stop()
    assert.deepEqual(load.failures, [])
    assert.equal((await stateOf(gateway, host.id))?.state, 'routed')
  })

  test('of two name servers one is silent, the other drops AAAA questions: it counts; later it falls silent, the first is back, and calls follow what that says', async () => {
    await using first = await startNameServer()
    await using second = await startNameServer()
    await using before = await startHost('Browse', { host: '127.0.0.8' })
    await using after = await startHost('Browse', { host: '127.0.0.9', port: before.port })
    first.silent = true
    second.dropped = 'AAAA'
    second.point('shop.test', '127.0.0.8')
    await using gateway = await startBehind([first, second], before)
    assert.ok(first.asked.length > 0)
    await using load = startLoad(gateway.url, get('Browse'), calmly)
    await until('it is called', () => before.executed.length > 20)
    second.silent = true
    first.point('shop.test', '127.0.0.9')
    first.silent = false
    await until('the new address is called', () => after.executed.length > 20, patience)
    await load.stop()
    assert.deepEqual(load.failures, [])
  })

  test('the name server is silent when a host registers: what it has is not there yet (503), not unknown, and callable as soon as it answers', async () => {
    await using names = await startNameServer()
    await using host = await startHost('Browse')
    names.point('shop.test', '127.0.0.1')
    names.silent = true
    await using gateway = await startGateway({ registry: { embedded: { address: '127.0.0.1:0' }, nameServers: [names.address], allowedNetworks: ['127.0.0.0/8'] } } as PartialConfig)
    await registerAsPlugin(gateway.embedded!, { ...host, address: `http://shop.test:${host.port}/` }, { heartbeat: false })
    const row = await until('it cannot be resolved', async () => { const shown = await stateOf(gateway, host.id); return /cannot be resolved/.test(shown?.why ?? '') ? shown : undefined }, patience)
    assert.equal(row.state, 'waiting')
    const answered = await gateway.get(get('Browse'))
    assert.equal(answered.status, 503)
    assert.match(String(answered.body), /RoutesNotReady/)
    assert.equal((await gateway.get(get('Nothing'))).status, 404)
    names.silent = false
    await until('it is called', async () => (await gateway.get(get('Browse'))).status === 200, patience)
    assert.deepEqual((await gateway.log()).filter(({ msg }) => msg === 'endpoint refused'), [])
  })

  test('a name that comes to lead to a metadata service is refused with the reason, and taken back when it leads home', async () => {
    await using names = await startNameServer()
    await using host = await startHost('Browse')
    names.point('shop.test', '127.0.0.1')
    await using gateway = await startBehind(names, host)
    assert.equal((await gateway.get(get('Browse'))).status, 200)
    names.point('shop.test', '127.0.0.1', '169.254.169.254')
    const row = await until('it is refused', async () => { const shown = await stateOf(gateway, host.id); return shown?.state === 'refused' ? shown : undefined }, patience)
    assert.match(row.why, /^Refused: .*169\.254\.169\.254 is link-local/)
    await until('nobody has the message', async () => (await gateway.get(get('Browse'))).status === 404)
    const executed = host.executed.length
    assert.equal((await gateway.get(get('Browse'))).status, 404)
    assert.equal(host.executed.length, executed)
    names.point('shop.test', '127.0.0.1')
    await until('it is back', async () => (await gateway.get(get('Browse'))).status === 200, patience)
  })

  test('a WebSocket goes where the name leads', async t => {
    await using names = await startNameServer()
    names.point('chat.test', '127.0.0.4')
    const server = new WebSocketServer({ host: '127.0.0.4', port: 0 })
    t.after(() => { for (const client of server.clients) client.terminate(); server.close() })
    await once(server, 'listening')
    server.on('connection', socket => socket.on('message', data => socket.send(String(data).toUpperCase())))
    const endpoint = `http://chat.test:${(server.address() as { port: number }).port}`
    await using gateway = await startGateway({ registry: { nameServers: [names.address] }, upstreams: { chat: { endpoints: [endpoint] } }, prefixes: { '/chat/*': { upstream: 'chat' } } } as PartialConfig)
    await gateway.waitForEndpoint(endpoint)
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/chat/room`)
    t.after(() => socket.terminate())
    await once(socket, 'open')
    const said = once(socket, 'message')
    socket.send('hello')
    assert.equal(String((await said)[0]), 'HELLO')
  })

  test('a start with neither registry nor name server: what stands at host names and at addresses is served at once, from the table on disk', async t => {
    const dataDirectory = await mkdtemp(join(tmpdir(), 'postern-data-'))
    t.after(() => rm(dataDirectory, { recursive: true, force: true }))
    const names = await startNameServer()
    names.point('shop.test', '127.0.0.5')
    await using named = await startHost('Browse', { host: '127.0.0.5' })
    await using plain = await startHost('Buy', { id: idOf(2) })
    const consul = await startFakeConsul()
    consul.list([[named.id, `http://shop.test:${named.port}/`, 'Browse'], [plain.id, plain.address, 'Buy']].map(([id, Address, message]) => healthEntry(id!, { service: { Address, Tags: ['ss-version-1.0', message] } })))
    const config = { dataDirectory, registry: { consul: { agents: [consul.url] }, nameServers: [names.address] } } as PartialConfig
    {
      await using gateway = await startGateway(config)
      for (const message of ['Browse', 'Buy']) await gateway.waitForRoute(message)
    }
    await consul.close()
    await names[Symbol.asyncDispose]()
    await using gateway = await startGateway(config)
    // With nothing to wait for but reading a file.
    await until('both are served', async () => (await gateway.get(get('Browse'))).status === 200 && (await gateway.get(get('Buy'))).status === 200)
    assert.equal(await gateway.metric('postern_registry_up', { registry: 'consul' }), 0)
    assert.ok(named.executed.length > 0 && plain.executed.length > 0)
  })
})
