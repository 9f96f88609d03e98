// Against a real Consul agent: how fast changes arrive, what a restart does, and that the embedded registry answers as the real thing.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import type { ConsulConfig } from '../../src/config/schema.ts'
import { watchConsul } from '../../src/registry/consul-watch.ts'
import { startEmbeddedRegistry } from '../../src/registry/embedded.ts'
import type { Snapshot, WatchState } from '../../src/registry/registration.ts'
import { consulSkip, startConsul } from '../support/consul.ts'
import type { RealConsul } from '../support/consul.ts'
import { onThisMachine } from '../support/networks.ts'
import { until } from '../support/until.ts'

const skip = await consulSkip()
const guid = (last: number): string => `00000000-0000-4000-8000-${String(last).padStart(12, '0')}`
const pluginService = (name: string, number: number, over: object = {}): object =>
  ({ ID: `ss-${name}-${guid(number)}`, Name: 'api', Tags: ['ss-version-1.0', `Get${name}`], Address: `http://127.0.0.1:${9_100 + number}/`, Port: 9_100 + number, ...over })

function watching (t: TestContext, url: string, over: Partial<ConsulConfig> = {}) {
  const snapshots: Array<Snapshot & { at: number }> = []
  const states: WatchState[] = []
  const watch = watchConsul(
    { agents: [url], stale: true, services: ['api'], messageMetaKey: 'messages', ignoreTags: [], waitMs: 15_000, minIntervalMs: 100, maxBackoffMs: 500, datacenters: [], datacenterOrder: 'list', coordinatesMs: 0, maxAnswerBytes: 16_777_216, ...over },
    { snapshot: (snapshot) => { snapshots.push({ ...snapshot, at: performance.now() }) }, state: (state) => { states.push(state) } })
  t.after(() => watch.close())
  const services = (): string | undefined => snapshots.at(-1)?.registrations.map(({ service, health }) => `${service} ${health}`).join(', ')
  return { snapshots, states, services, listed: (wanted: string) => until(`[${wanted}], not [${services()}]`, () => services() === wanted && snapshots.at(-1)!, { everyMs: 1 }) }
}

describe('a real Consul agent', { skip }, () => {
  let consul: RealConsul
  before(async () => { consul = await startConsul() })
  after(() => consul?.stop())

  test('every change arrives within 250 ms, in the median: registered, checked, maintained, deregistered', async (t) => {
    const { listed, snapshots } = watching(t, consul.url)
    await listed('')
    const took: Array<{ what: string, ms: number }> = []
    const step = async (what: string, path: string, body: unknown, wanted: string): Promise<void> => {
      await consul.put(path, body)
      const at = performance.now()
      const snapshot = await listed(wanted)
      took.push({ what, ms: Math.round(snapshot.at - at) })
    }
    const service = pluginService('Orders', 1)
    const id = (service as { ID: string }).ID
    await step('registered without checks', '/v1/agent/service/register', service, 'Orders unchecked')
    await step('a check that fails only later', '/v1/agent/check/register', { ID: `${id}:ttl`, Name: 'ttl', ServiceID: id, TTL: '1h' }, 'Orders critical')
    await step('fed', `/v1/agent/check/pass/${id}:ttl`, undefined, 'Orders passing')
    await step('a check that has not run yet', '/v1/agent/check/register', { ID: `${id}:SS-Heartbeat`, Name: 'SS-Heartbeat', ServiceID: id, HTTP: 'http://127.0.0.1:1/', Interval: '1h', DeregisterCriticalServiceAfter: '90m' }, 'Orders unchecked')
    await step('maintenance of the service', `/v1/agent/service/maintenance/${id}?enable=true&reason=db+move`, undefined, 'Orders maintenance')
    assert.equal(snapshots.at(-1)!.registrations[0]!.notes, 'db move')
    await step('and its end', `/v1/agent/service/maintenance/${id}?enable=false`, undefined, 'Orders unchecked')
    await step('maintenance of the node', '/v1/agent/maintenance?enable=true', undefined, 'Orders maintenance')
    await step('and its end', '/v1/agent/maintenance?enable=false', undefined, 'Orders unchecked')
    await step('deregistered', `/v1/agent/service/deregister/${id}`, undefined, '')
    // One step may be held up by this machine.
    assert.ok(took.toSorted((a, b) => a.ms - b.ms)[4]!.ms < 250, JSON.stringify(took))
    assert.ok(snapshots.every(({ registrations }) => registrations.every(({ ownNode, refused, kind }) => ownNode === true && refused === undefined && kind === 'plugin')))
    assert.ok(snapshots.every(({ reset }) => !reset))
  })

  test('ordinary services with Meta, weights and the node\'s address', async (t) => {
    const { listed } = watching(t, consul.url, { services: ['billing', 'shop'] })
    await listed('')
    await consul.put('/v1/agent/service/register', { Name: 'billing', Port: 8_080, Meta: { messages: 'Bill,Refund' }, Weights: { Passing: 7, Warning: 2 } })
    const { registrations: [found] } = await listed('billing unchecked')
    assert.deepEqual([found!.address!.url, found!.names, found!.weights, found!.kind], ['http://127.0.0.1:8080', ['Bill', 'Refund'], { passing: 7, warning: 2 }, 'plain'])
    await consul.put('/v1/agent/service/deregister/billing')
    await listed('')
  })

  test('a storm of 100 registrations is seen whole, in few reads', async (t) => {
    const { listed, snapshots } = watching(t, consul.url)
    await listed('')
    const before = snapshots.length
    const startedAt = performance.now()
    for (let i = 0; i < 100; i++) await consul.put('/v1/agent/service/register', pluginService('Storm', i))
    await until('all of them', () => snapshots.at(-1)!.registrations.length === 100)
    assert.ok(snapshots.length - before <= (performance.now() - startedAt) / 100 + 3)
    for (let i = 0; i < 100; i++) await consul.put(`/v1/agent/service/deregister/ss-Storm-${guid(i)}`)
    await listed('')
  })

  test('an agent that restarts with nothing is told as a reset, and what registers again shows at once', async (t) => {
    const { listed, states, snapshots } = watching(t, consul.url)
    await listed('')
    for (let i = 0; i < 20; i++) await consul.put('/v1/agent/service/register', pluginService('Orders', 1, { Tags: ['ss-version-1.0', `T${i}`] }))
    await listed('Orders unchecked')
    await consul.kill()
    const gone = await until('the state to say so', () => states.find(({ ok }) => !ok))
    assert.match(gone.error!, /ECONNREFUSED|hang up|ECONNRESET/)
    assert.equal(snapshots.at(-1)!.registrations.length, 1)
    await consul.restart()
    await listed('')
    assert.ok(snapshots.some(({ reset }) => reset))
    const registering = consul.put('/v1/agent/service/register', pluginService('Orders', 2))
    await registering
    const at = performance.now()
    const shown = await listed('Orders unchecked')
    // Long before its query would end by itself.
    assert.ok(shown.at - at < 10_000, `${shown.at - at} ms`)
    await consul.put(`/v1/agent/service/deregister/ss-Orders-${guid(2)}`)
  })

  test('the embedded registry answers as the real agent does', async (t) => {
    const embedded = await startEmbeddedRegistry({ host: '127.0.0.1', port: 0, networks: onThisMachine, random: () => 1 })
    t.after(() => embedded.close())
    const exact: Array<[method: string, path: string, body?: string]> = [
      ['PUT', '/v1/agent/service/register', '{"ID":"a","Name":"api","Address":"http://127.0.0.1:1/","Port":1,"Tags":["X","y"]}'],
      ['PUT', '/v1/agent/service/register', '{}'],
      ['PUT', '/v1/agent/service/register', ''],
      ['PUT', '/v1/agent/service/register', '{"Name":"z","Address":"0.0.0.0"}'],
      ['PUT', '/v1/agent/service/register', '{"Name":"z","Check":{"HTTP":"http://x"}}'],
      ['PUT', '/v1/agent/check/register', '{"ID":"a:c","Name":"c","ServiceID":"a","HTTP":"http://127.0.0.1:1/x","Interval":"1h","Notes":"n"}'],
      ['PUT', '/v1/agent/check/register', '{"ID":"t","Name":"t","Service_ID":"a","ttl":"1h"}'],
      ['PUT', '/v1/agent/check/register', '{"ID":"u","Name":"u","ServiceID":"nope","TTL":"30s"}'],
      ['PUT', '/v1/agent/check/register', '{"ID":"u","ServiceID":"a","TTL":"30s"}'],
      ['PUT', '/v1/agent/check/register', '{"Name":"u","ServiceID":"a"}'],
      ['PUT', '/v1/agent/check/register', '{"Name":"u","TTL":"5s","Status":"bogus"}'],
      ['PUT', '/v1/agent/check/pass/t?note=hello'],
      ['PUT', '/v1/agent/check/pass/nope'],
      ['PUT', '/v1/agent/check/pass/a:c'],
      ['PUT', '/v1/agent/check/update/t', '{"Status":"warning","Output":"o"}'],
      ['PUT', '/v1/agent/check/update/t', '{"Status":"bogus"}'],
      ['GET', '/v1/agent/check/pass/t'],
      ['GET', '/v1/agent/service/register'],
      ['PUT', '/v1/agent/service/deregister/nope'],
      ['PUT', '/v1/agent/check/deregister/nope'],
      ['PUT', '/v1/agent/service/maintenance/a?enable=true&reason=db+move'],
      ['PUT', '/v1/agent/service/maintenance/a'],
      ['PUT', '/v1/agent/service/maintenance/nope?enable=true'],
      ['PUT', '/v1/agent/service/maintenance/a?enable=x'],
      ['PUT', '/v1/agent/maintenance?enable=true'],
      ['GET', '/v1/health/service/api?passing=maybe'],
      ['GET', '/v1/health/service/api?index=x'],
      ['GET', '/v1/health/service/api?index=1&wait=x'],
      ['GET', '/v1/health/service/'],
      ['GET', '/v1/health/service/none'],
      ['GET', '/v1/health/service/api?passing'],
      ['GET', '/v1/health/node/none'],
      ['POST', '/v1/health/service/api'],
      ['GET', '/v1/nope']
    ]
    const ask = async (base: string, method: string, path: string, body?: string) => {
      const answer = await fetch(base + path, { method, ...(body === undefined ? {} : { body }) })
      return { status: answer.status, text: await answer.text(), type: answer.headers.get('content-type') }
    }
    for (const [method, path, body] of exact) {
      assert.deepEqual(await ask(embedded.url, method, path, body), await ask(consul.url, method, path, body), `${method} ${path} ${body ?? ''}`)
    }
    // What names the node, counts indexes or lists the real agent's own is taken out; every other member is the same.
    const plain = (value: unknown): unknown => {
      // Consul gives the tags of a service in no order of its own.
      if (Array.isArray(value)) return value.every(item => typeof item === 'string') ? value.toSorted() : value.map(plain)
      if (typeof value !== 'object' || value === null) return value
      return Object.fromEntries(Object.entries(value).filter(([key]) => !['CreateIndex', 'ModifyIndex', 'TaggedAddresses', 'NodeMeta'].includes(key))
        .filter(([key]) => !('Datacenter' in value && ['Meta', 'ID'].includes(key)))
        .map(([key, item]) => [key, key === 'Node' && typeof item === 'string' ? 'node' : plain(item)]))
    }
    const sorted = (list: unknown): unknown => Array.isArray(list)
      ? list.map((entry: { Checks?: Array<{ CheckID: string }> }) => entry.Checks === undefined ? entry : { ...entry, Checks: entry.Checks.toSorted((a, b) => a.CheckID < b.CheckID ? -1 : 1) })
      : list
    for (const path of ['/v1/health/service/api', '/v1/health/service/api?tag=x', '/v1/health/checks/api', '/v1/agent/services', '/v1/agent/checks', '/v1/catalog/services', '/v1/catalog/service/api']) {
      const real = await until(`the catalog to have it all: ${path}`, async () => {
        const text = (await ask(consul.url, 'GET', path)).text
        return (!path.includes('health/service') || text.includes('"_node_maintenance"')) && text
      })
      assert.deepEqual(sorted(plain(JSON.parse((await ask(embedded.url, 'GET', path)).text))), sorted(plain(JSON.parse(real))), path)
    }
    await consul.put('/v1/agent/maintenance?enable=false')
    await consul.put('/v1/agent/service/deregister/a')
  })
})

describe('a real Consul agent with ACLs', { skip }, () => {
  test('a token without rights gives 200 and an empty list that is not believed, an unknown one 403: neither crashes, and the right one works', async (t) => {
    const consul = await startConsul({ token: 'root-token', config: { acl: { enabled: true, default_policy: 'deny', tokens: { master: 'root-token', agent: 'root-token' } } } })
    t.after(() => consul.stop())
    await consul.put('/v1/agent/service/register', pluginService('Orders', 1))
    const anonymous = watching(t, consul.url)
    await until('an answer', () => anonymous.states.length > 0)
    const unknown = watching(t, consul.url, { token: '00000000-0000-0000-0000-000000000001' })
    await until('a refusal', () => unknown.states.some(({ ok, error }) => !ok && /HTTP 403/.test(error ?? '')))
    assert.equal(unknown.snapshots.length, 0)
    const right = watching(t, consul.url, { token: 'root-token' })
    await right.listed('Orders unchecked')
    // Refused by what the index tells, or at least doubted.
    assert.ok(anonymous.states.some(({ error }) => /may not read it/.test(error ?? '')) || anonymous.snapshots.every(({ reset }) => reset))
    assert.ok(anonymous.snapshots.every(({ registrations }) => registrations.length === 0))
  })
})

test('a real agent that keeps its data comes back with it', { skip }, async (t) => {
  const consul = await startConsul({ keepData: true })
  t.after(() => consul.stop())
  const { listed, snapshots, states } = watching(t, consul.url)
  await consul.put('/v1/agent/service/register', pluginService('Orders', 1))
  await listed('Orders unchecked')
  await consul.restart()
  const restartedAt = Date.now()
  // It may have answered before `restart` returned; the next answer then takes a whole blocking query (15 s and a sixteenth).
  await until('an answer of the restarted agent', () => states.at(-1)!.ok && states.at(-1)!.lastGoodAt! >= restartedAt, { timeoutMs: 60_000 })
  await listed('Orders unchecked')
  // A young agent's index moves by itself, so that there may have been several empty lists at first.
  const first = snapshots.findIndex(({ registrations }) => registrations.length > 0)
  assert.deepEqual(snapshots.slice(first).filter(({ registrations }) => registrations.length !== 1), [])
})
