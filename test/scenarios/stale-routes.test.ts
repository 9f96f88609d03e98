// A process that does not have what its registration says: its first "does not exist for this service" makes Postern ask again, and no further call goes astray.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { startGateway } from '../support/gateway.ts'
import { request, targetOf } from '../support/http-client.ts'
import { startOrigin } from '../support/origin.ts'
import { serviceBody } from '../support/plugin-registration.ts'
import { startRelay } from '../support/relay.ts'
import { startServiceStackHost } from '../support/servicestack-host.ts'
import { until } from '../support/until.ts'

const answer = () => ({ body: {} })
const id = 'ss-Moving-00000000-0000-4000-8000-000000000001'

for (const [sentence, tenantOf, shown] of [
  ['another process has taken over the address unseen', { service: 'Tenant', messages: { Pong: answer } }, { state: 'ghost', why: /says that it runs as ss-Tenant-.*which no registry lists/ }],
  ['the process has lost a message without a word', { service: 'Moving', id, messages: { Keep: answer } }, { state: 'routed', why: /its checks pass/ }]
] as const) {
  test(`${sentence}: a 405 makes Postern ask again, and the message goes to who has it`, { timeout: 300_000 }, async () => {
    await using gateway = await startGateway({ registry: { embedded: { address: '127.0.0.1:0' } }, defaults: { policy: { balancer: { strategy: 'round-robin' }, cache: { mode: 'off' } } } } as never)
    await using stayer = await startServiceStackHost({ service: 'Moving', messages: { Ping: answer, Keep: answer } })
    await using leaver = await startServiceStackHost({ service: 'Moving', id, messages: { Ping: answer, Keep: answer } })
    await using relay = await startRelay(leaver.port)
    for (const [host, url] of [[stayer, stayer.url], [leaver, relay.url]] as const) {
      // A check that says nothing of the process: from its first answer on nobody asks it without a reason.
      const Check = { TTL: '1h', Status: 'passing' }
      const { status } = await request(targetOf(gateway.embedded!), '/v1/agent/service/register', { method: 'PUT', headers: [['Content-Type', 'application/json']], body: JSON.stringify({ ...serviceBody(host), Address: `${url}/`, Port: Number(new URL(url).port), Check }) })
      assert.equal(status, 200)
      await gateway.waitForEndpoint(url)
    }
    await until('both have told their lists', () => [stayer, leaver].every(({ received }) => received.some(({ target }) => target === '/types/metadata.json')))
    const ping = async () => (await gateway.get('/json/reply/Ping')).status
    await using tenant = await startServiceStackHost(tenantOf)
    await until('the one that leaves has a connection', async () => { await ping(); return leaver.executed.length > 0 })
    // No connection ends, and none is refused: nothing tells of the change before the first call on a new one.
    relay.lead(tenant.port)
    const astray = await until('a call that went astray', async () => (await Promise.all(Array.from({ length: 16 }, ping))).find(status => status !== 200))
    assert.equal(astray, 405)
    await until('the message goes to who has it', async () => {
      for (let n = 0; n < 4; n++) if (await ping() !== 200) return false
      return true
    })
    const [row] = (await gateway.api('routes')).registrations.filter(({ url }: { url: string }) => url === relay.url) as Array<{ state: string, why: string }>
    assert.equal(row?.state, shown.state)
    assert.match(row.why, shown.why)
    const calls = tenant.calls.length
    for (let n = 0; n < 20; n++) assert.equal(await ping(), 200)
    assert.equal(tenant.calls.length, calls)
  })
}

test('another program takes over the address without a gap, soon after the host closed a connection that was idle: it gets no call', { timeout: 300_000 }, async () => {
  await using gateway = await startGateway({ registry: { embedded: { address: '127.0.0.1:0' } }, defaults: { policy: { balancer: { strategy: 'round-robin' }, cache: { mode: 'off' } }, balancing: { slowStartMs: 0 } } } as never)
  await using stranger = await startOrigin()
  await using stayer = await startServiceStackHost({ service: 'Moving', messages: { Ping: answer } })
  await using leaver = await startServiceStackHost({ service: 'Moving', messages: { Ping: answer } })
  await using relay = await startRelay(leaver.port)
  for (const [host, url] of [[stayer, stayer.url], [leaver, relay.url]] as const) {
    const body = { ...serviceBody(host), Address: `${url}/`, Port: Number(new URL(url).port), Check: { TTL: '1h', Status: 'passing' } }
    const { status } = await request(targetOf(gateway.embedded!), '/v1/agent/service/register', { method: 'PUT', headers: [['Content-Type', 'application/json']], body: JSON.stringify(body) })
    assert.equal(status, 200)
    await gateway.waitForEndpoint(url)
  }
  const pingAll = async (calls: number) => { for (let n = 0; n < calls; n++) assert.equal((await gateway.get('/json/reply/Ping')).status, 200) }
  const isCalled = (host: { executed: readonly string[] }) => {
    const { length } = host.executed
    return until('it gets calls', async () => { await pingAll(1); return host.executed.length > length })
  }
  await gateway.waitForRoute('Ping')
  await isCalled(leaver)
  relay.cut()
  const closedAt = performance.now()
  // It is asked who it is, and is itself; what is close to that is not asked again.
  await until('a while has gone by', () => performance.now() - closedAt > 3_000)
  await isCalled(leaver)
  relay.lead(stranger.port)
  relay.cut()
  await pingAll(60)
  assert.deepEqual(stranger.received.map(({ target }) => target), [])
})

for (const others of [0, 1]) {
  test(`another program takes over the address of a host that nobody has heard of for a while and to which no connection is open, ${others === 0 ? 'the only one' : 'one of two'}: not even the first call reaches it`, { timeout: 300_000 }, async t => {
    await using gateway = await startGateway({ registry: { embedded: { address: '127.0.0.1:0' } }, defaults: { policy: { balancer: { strategy: 'round-robin' }, cache: { mode: 'off' } }, balancing: { slowStartMs: 0 } } } as never)
    await using stranger = await startOrigin()
    await using leaver = await startServiceStackHost({ service: 'Moving', messages: { Ping: answer } })
    await using stayer = await startServiceStackHost({ service: 'Moving', messages: { Ping: answer } })
    await using relay = await startRelay(leaver.port)
    for (const [host, url] of [[leaver, relay.url], [stayer, stayer.url]].slice(0, 1 + others) as Array<[typeof leaver, string]>) {
      const body = { ...serviceBody(host), Address: `${url}/`, Port: Number(new URL(url).port), Check: { TTL: '1h', Status: 'passing' } }
      const { status } = await request(targetOf(gateway.embedded!), '/v1/agent/service/register', { method: 'PUT', headers: [['Content-Type', 'application/json']], body: JSON.stringify(body) })
      assert.equal(status, 200)
      await gateway.waitForEndpoint(url)
    }
    await gateway.waitForRoute('Ping')
    const routedAt = performance.now()
    await until('a while has gone by', () => performance.now() - routedAt > 6_000)
    relay.lead(stranger.port)
    // Calls at once, before anybody's word has come, and one after the other.
    const askedAt = performance.now()
    const statuses = await Promise.all(Array.from({ length: 10 }, async () => (await gateway.get('/json/reply/Ping')).status))
    for (let n = 0; n < 10; n++) statuses.push((await gateway.get('/json/reply/Ping')).status)
    // Whom nobody could ask for a second is tried: the table does not depend on the control plane.
    if (performance.now() - askedAt >= 1_000) return t.diagnostic('not judged: this machine took more than a second to ask')
    assert.deepEqual(stranger.received.map(({ target }) => target).filter(target => target.includes('Ping')), [])
    // Alone, its message is nowhere: 404, or 503 where its list has not been read to the end.
    assert.deepEqual([...new Set(statuses)].filter(status => others > 0 ? status !== 200 : status !== 404 && status !== 503), [])
  })
}
