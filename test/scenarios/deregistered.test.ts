// What Consul has said is gone stays gone: while Consul cannot be asked, and when Postern starts without it. A process that nobody has heard of is another case.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { healthEntry, startFakeConsul, type FakeConsul } from '../support/fake-consul.ts'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import { startServiceStackHost, type ServiceStackHost } from '../support/servicestack-host.ts'
import { until } from '../support/until.ts'

const answer = () => ({ body: {} })
const ghost = 'ss-Catalog-00000000-0000-4000-8000-000000000001'

/** A registration at the address of a host, passing. */
function entry ({ url, port }: ServiceStackHost, id: string, name: string, CreateIndex: number): object {
  return healthEntry(id, { service: { Address: `${url}/`, Port: port, Tags: ['ss-version-1.0', name], CreateIndex }, checks: [{ Node: 'vm', CheckID: `service:${id}`, ServiceID: id, Status: 'passing', Output: 'ok', Type: 'http', Notes: '' }] })
}

const call = async (gateway: TestGateway) => (await gateway.get('/json/reply/First')).status
const rowOf = async (gateway: TestGateway, id: string) => ((await gateway.api('routes')).registrations as Array<{ registration: string, state: string, why: string }>).find(({ registration }) => registration === id)
const isMissed = async (gateway: TestGateway) => ((await gateway.api('routes')).registries as Array<{ error?: string }>)[0]?.error?.includes('HTTP 500') === true

function fail (agent: FakeConsul): void {
  agent.answer(({ response }) => { response.writeHead(500).end('rpc error') })
  agent.breakConnections()
}

test('a process whose registration was taken out gets no calls at the address of an older one, whether Consul answers or not', { timeout: 300_000 }, async t => {
  const agent = await startFakeConsul()
  t.after(() => agent.close())
  const dataDirectory = await mkdtemp(join(tmpdir(), 'postern-data-'))
  t.after(() => rm(dataDirectory, { recursive: true, force: true }))
  await using host = await startServiceStackHost({ service: 'Catalog', messages: { First: answer } })
  await using other = await startServiceStackHost({ service: 'Orders', messages: { Second: answer } })
  const second = entry(other, other.id, 'Second', 7)
  const config = { registry: { consul: { agents: [agent.url] } }, dataDirectory } as PartialConfig
  {
    agent.list([entry(host, ghost, 'First', 5), entry(host, host.id, 'First', 6), second])
    await using gateway = await startGateway(config)
    await until('the process that lives is routed', async () => await call(gateway) === 200)
    agent.list([entry(host, ghost, 'First', 5), second])
    await until('it is gone', async () => await call(gateway) === 404)
    const { length } = host.executed

    fail(agent)
    await until('Consul is missed', () => isMissed(gateway))
    // Whatever follows from that is in the table when the next decision is: the other service has one.
    await other.kill()
    await until('more is decided', async () => (await gateway.get('/json/reply/Second')).status !== 200 && (await rowOf(gateway, other.id))?.state === 'out')
    assert.deepEqual([await call(gateway), host.executed.length], [404, length])
    const row = await rowOf(gateway, ghost)
    assert.equal(row?.state, 'ghost')
    assert.match(row.why, new RegExp(`says that it runs as ${host.id}, which no registry lists there; stale: consul does not answer`))
    await until('it is on disk', async () => (await readFile(join(dataDirectory, 'control-state.json'), 'utf8').catch(() => '')).includes('ghost unknown-id'))
  }
  {
    await using gateway = await startGateway(config)
    await until('the process has said who it is', async () => (await rowOf(gateway, ghost))?.why.includes(host.id) === true)
    assert.equal(await call(gateway), 404)
  }
  await host.kill()
  await host.restart()
  await using gateway = await startGateway(config)
  await until('another process there, of which nobody can have told, gets calls', async () => await call(gateway) === 200)
  assert.match((await rowOf(gateway, ghost))!.why, /restarted as/)
})
