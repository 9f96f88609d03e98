// Which node is this machine is no word of one connection: hosts that register on loopback keep their calls whatever the agents do.
import { test, type TestContext } from 'node:test'
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { healthEntry, startFakeConsul } from '../support/fake-consul.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { startLoad } from '../support/load.ts'
import { startServiceStackHost, type ServiceStackHost } from '../support/servicestack-host.ts'
import { until } from '../support/until.ts'

const target = '/json/reply/First'

/** A host as the plugin's samples register it, on a node that is listed under this address. */
const entryOf = (host: ServiceStackHost, nodeAddress: string): object => healthEntry(host.id, {
  node: { Address: nodeAddress },
  service: { Address: `http://localhost:${host.port}/`, Tags: ['ss-version-1.0', 'First'], Port: host.port },
  checks: [{ Node: 'vm', CheckID: `${host.id}:SS-Heartbeat`, ServiceID: host.id, Status: 'passing', Output: 'HTTP GET: 200 OK', Type: 'http', Notes: '' }]
})

async function startAgent (t: TestContext, node: string | undefined, entries: object[]) {
  const agent = await startFakeConsul()
  t.after(() => agent.close())
  agent.nodeName = node
  agent.list(entries)
  return agent
}

const behind = (agents: readonly string[], more: object = {}) => ({ registry: { consul: { agents, waitMs: 300, maxBackoffMs: 200 } }, defaults: { balancing: { slowStartMs: 0 } }, ...more }) as never
const isRouted = (gateway: TestGateway) => until('the message is routed', async () => (await gateway.get(target)).status === 200)
const answers = (gateway: TestGateway, agent: { url: string }) => until(`${agent.url} answers`, async () => {
  const [consul] = (await gateway.api('routes')).registries as Array<{ ok: boolean, agent: string }>
  return consul?.ok === true && consul.agent === agent.url
})

for (const nodeAddress of ['198.51.100.7', '127.0.0.1']) {
  test(`the local agent dies, and that of another node answers (node listed under ${nodeAddress})`, { timeout: 180_000 }, async t => {
    await using host = await startServiceStackHost({ service: 'One', messages: { First: () => ({ body: {} }) } })
    const local = await startAgent(t, 'vm', [entryOf(host, nodeAddress)])
    const other = await startAgent(t, 'server-1', [entryOf(host, nodeAddress)])
    await using gateway = await startGateway(behind([local.url, other.url]))
    await isRouted(gateway)
    await using load = startLoad(gateway.url, target, { callers: 2, everyMs: 10 })
    await local.close()
    await answers(gateway, other)
    // What it says from now on counts too.
    await using second = await startServiceStackHost({ service: 'One', messages: { First: () => ({ body: {} }) } })
    other.list([entryOf(host, nodeAddress), entryOf(second, nodeAddress)])
    await until('the new host gets calls', () => second.executed.length > 0)
    await load.stop()
    assert.deepEqual(load.failures, [])
  })
}

test('the agent answers all but the question for its node, from a hiccup on', { timeout: 180_000 }, async t => {
  await using host = await startServiceStackHost({ service: 'One', messages: { First: () => ({ body: {} }) } })
  // Listed under an address that is none of this machine's: nobody but the agent can tell.
  const agent = await startAgent(t, 'vm', [entryOf(host, '198.51.100.7')])
  await using gateway = await startGateway(behind([agent.url]))
  await isRouted(gateway)
  await using load = startLoad(gateway.url, target, { callers: 2, everyMs: 10 })
  agent.nodeName = undefined
  const { length } = agent.queries
  agent.breakConnections()
  await agent.queried(length + 2)
  await using second = await startServiceStackHost({ service: 'One', messages: { First: () => ({ body: {} }) } })
  agent.list([entryOf(host, '198.51.100.7'), entryOf(second, '198.51.100.7')])
  await until('the new host gets calls', () => second.executed.length > 0)
  await load.stop()
  assert.deepEqual(load.failures, [])
})

test('an agent that cannot tell its node at first is asked again', { timeout: 180_000 }, async t => {
  await using host = await startServiceStackHost({ service: 'One', messages: { First: () => ({ body: {} }) } })
  const agent = await startAgent(t, undefined, [entryOf(host, '198.51.100.7')])
  await using gateway = await startGateway(behind([agent.url]))
  await until('it is refused', async () => await gateway.metric('postern_registrations', { state: 'refused' }) === 1)
  agent.nodeName = 'vm'
  await isRouted(gateway)
})

test('what the agent said before a restart counts after it, when the agent of another node answers', { timeout: 180_000 }, async t => {
  await using host = await startServiceStackHost({ service: 'One', messages: { First: () => ({ body: {} }) } })
  const [local, other] = [await startAgent(t, 'vm', [entryOf(host, '198.51.100.7')]), await startAgent(t, 'server-1', [entryOf(host, '198.51.100.7')])]
  const dataDirectory = await mkdtemp(join(tmpdir(), 'postern-test-'))
  t.after(() => rm(dataDirectory, { recursive: true, force: true }))
  const config = behind([local.url, other.url], { dataDirectory })
  const before = await startGateway(config)
  await isRouted(before)
  await before.close()
  await local.close()
  await using gateway = await startGateway(config)
  await answers(gateway, other)
  await until('it is no longer judged by what is kept', async () => await gateway.metric('postern_registry_stale', { registry: 'consul' }) === 0)
  assert.equal((await gateway.get(target)).status, 200)
})
