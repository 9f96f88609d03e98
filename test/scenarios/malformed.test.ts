// One registration that an agent lists in a broken form: its route stays, its sentence says why, and it is counted; nothing of the others changes.
import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { startFakeConsul, type FakeConsul } from '../support/fake-consul.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { startLoad, type Load } from '../support/load.ts'
import { startServiceStackHost, type ServiceStackHost } from '../support/servicestack-host.ts'
import { until } from '../support/until.ts'

interface Shown { registration: string, state: string, why: string, stale?: true }
interface Entry { Node: object, Service: Record<string, unknown>, Checks: unknown }

describe('an entry in a broken form', { timeout: 300_000 }, () => {
  let consul: FakeConsul
  let gateway: TestGateway
  let load: Load
  let alone: ServiceStackHost
  let other: ServiceStackHost

  const entry = (host: ServiceStackHost): Entry => ({
    Node: { Node: 'vm', Address: '127.0.0.1', Datacenter: 'dc1' },
    Service: { ID: host.id, Service: 'api', Tags: host.tags, Address: host.address, Meta: null, Port: host.port, Weights: { Passing: 1, Warning: 1 }, CreateIndex: 5 },
    Checks: [{ Node: 'vm', CheckID: `${host.id}:SS-Heartbeat`, Status: 'passing', Output: '200 OK', Notes: '', ServiceID: host.id, Type: 'http' }]
  })
  const shown = async (id: string) => ((await gateway.api('routes')).registrations as Shown[]).find(({ registration }) => registration === id)
  const whole = async () => {
    consul.list([entry(alone), entry(other)])
    await until('both are fresh', async () => await gateway.metric('postern_registry_dropped') === 0 && await gateway.metric('postern_registry_stale') === 0 && (await shown(alone.id))?.state === 'routed')
  }

  before(async () => {
    consul = await startFakeConsul()
    gateway = await startGateway({ registry: { consul: { agents: [consul.url] } } } as never)
    alone = await startServiceStackHost({ service: 'Alone', messages: { Alone: () => ({ body: {} }) } })
    other = await startServiceStackHost({ service: 'Other', messages: { Other: () => ({ body: {} }) } })
    consul.list([entry(alone), entry(other)])
    await gateway.waitForRoute('Alone')
    await gateway.waitForRoute('Other')
    load = startLoad(gateway.url, '/json/reply/Alone', { callers: 2 })
  })
  after(async () => {
    await load.stop()
    await gateway.close()
    await Promise.all([alone.close(), other.close(), consul.close()])
  })

  for (const [sentence, breakIt, state, reason] of [
    ['without its checks', (item: Entry) => ({ ...item, Checks: undefined }), 'routed', /the registry lists it without its checks/],
    ['with tags of the wrong type', (item: Entry) => ({ ...item, Service: { ...item.Service, Tags: 'Alone' } }), 'routed', /its tags are no list of texts/],
    ['with an address of the wrong type', (item: Entry) => ({ ...item, Service: { ...item.Service, Address: [] } }), 'routed', /its address is no text/],
    ['without its node', (item: Entry) => ({ ...item, Node: null }), 'unconfirmed', /an entry has no node/],
    ['without an ID', (item: Entry) => ({ ...item, Service: { ...item.Service, ID: undefined } }), 'unconfirmed', /an entry has no ID/],
    ['as nothing at all', () => null, 'unconfirmed', /an entry is not an object/]
  ] as const) {
    test(`${sentence}: it is called all the same`, async () => {
      await whole()
      consul.list([breakIt(entry(alone)) as object, entry(other)])
      await until('it is counted', async () => await gateway.metric('postern_registry_dropped') === 1)
      const row = await until('it is stale', async () => { const row = await shown(alone.id); return row?.stale === true ? row : undefined })
      assert.equal(row.state, state)
      assert.match(row.why, reason)
      assert.match(row.why, state === 'routed' ? /; stale: what consul lists of it now cannot be read \(/ : /its registry does not name it, but lists an entry that may be it and cannot be read \(.*, and it answers us/)
      await gateway.metricBecomes('postern_registry_stale', 1)
      assert.equal((await shown(other.id))?.stale, undefined)
      const { calls } = load
      await until('calls go on', () => load.calls > calls + 20)
      assert.deepEqual(load.failures, [])
      await until('the log says so', async () => (await gateway.log()).some(line => line['registration'] === alone.id && String(line['why']).length > 0 && reason.test(String(line['stale']))))
    })
  }

  test('what is deregistered while another entry is broken is gone', async () => {
    await whole()
    consul.list([entry(alone), entry(other), { Service: {} }])
    await until('the broken one is counted', async () => await gateway.metric('postern_registry_dropped') === 1)
    consul.list([entry(alone), { Service: {} }])
    await until('it is gone', async () => await shown(other.id) === undefined)
    assert.deepEqual(load.failures, [])
  })
})
