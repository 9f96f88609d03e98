import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { Value } from 'typebox/value'
import { ConfigSchema, type Config } from '../../src/config/schema.ts'
import { noMarkers, type Markers } from '../../src/contracts/markers.ts'
import type { LogLine } from '../../src/control/changes-log.ts'
import { createEngine } from '../../src/control/engine.ts'
import { emptyPlan } from '../../src/control/plan.ts'
import type { ControlStatus } from '../../src/control/protocol.ts'
import type { KeptState } from '../../src/control/state-file.ts'
import { createNetworkRules } from '../../src/registry/allowed-networks.ts'
import type { WatchListener } from '../../src/registry/registration.ts'
import type { ChangeBatch, MessagePlan } from '../../src/routing/plan.ts'
import { until } from '../support/until.ts'
import { registration, toAnswer, type RegistrationLike } from './support.ts'

const toConfig = (like: object) => Value.Default(ConfigSchema, like) as Config

function setUp (t: TestContext, config: Config, more: { firstTableMs?: number, now?: () => number } = {}) {
  const registries = new Map<string, WatchListener>()
  const closed: string[] = []
  const answers = new Map<string, Parameters<typeof toAnswer>[0]>()
  const markers = new Map<string, Markers>()
  const lastCalled = new Map<string, () => number>()
  const messages = new Map<string, MessagePlan>()
  const batches: ChangeBatch[] = []
  const lines: LogLine[] = []
  const kept: KeptState[] = []
  const asked: string[] = []
  let status: ControlStatus | undefined
  let index = 100
  const watch = (name: string, listener: WatchListener) => {
    registries.set(name, listener)
    return { close: async () => { closed.push(name) } }
  }
  const engine = createEngine({
    config,
    generation: 1,
    async send (batch) {
      batches.push(batch)
      for (const change of batch.changes) {
        if (change.kind === 'message') messages.set(change.plan.key, change.plan)
        else if (change.kind === 'message-gone') messages.delete(change.key)
      }
    },
    log: line => lines.push(line),
    keep: state => kept.push(state()),
    onStatus: next => { status = next },
    starters: { consul: (_, listener) => watch('consul', listener), file: (_, listener) => watch('file', listener), embedded: async (_, listener) => ({ ...watch('embedded', listener), url: 'http://127.0.0.1:1', listener: { host: '127.0.0.1', port: 1 } }) },
    async ask ({ url }) {
      asked.push(url)
      return toAnswer(answers.get(url) ?? 'silent')
    },
    async askMarkers ({ url }) { return markers.get(url) ?? noMarkers },
    async lastHeard (urls) { return urls.flatMap(url => lastCalled.has(url) ? [[url, lastCalled.get(url)!()] as const] : []) },
    createAdmission: () => ({ admit: item => item, configure () {}, doubt () {}, forgetUnused () {}, networks: createNetworkRules([], []), isResolving: false, resolved: [], close () {} }),
    loadTls: () => new Map(),
    applied: emptyPlan,
    owners: new Map(),
    ...more
  })
  t.after(() => engine.close())
  const tell = (registry: 'consul' | 'file', items: readonly RegistrationLike[], reset = false) => {
    const listener = registries.get(registry)
    listener?.state({ registry, ok: true, lastGoodAt: 1, error: undefined, agent: 'test' })
    listener?.snapshot({ registry, registrations: items.map(item => registration({ ...item, registry })), index: reset ? index = 3 : ++index, reset })
  }
  return { engine, tell, answers, lastCalled, markers, messages, batches, lines, kept, asked, closed, registries, status: () => status }
}

const url = (port: number) => `http://10.0.0.1:${port}`
const catalog = { id: 'c1', port: 9101 }
const orders = { id: 'o1', port: 9201, service: 'Orders', names: ['PlaceOrder'] }

test('nothing is committed before every registry has answered', async t => {
  const { engine, tell, batches, answers, messages } = setUp(t, toConfig({ registry: { consul: {}, file: 'x' } }))
  answers.set(url(9101), { id: 'c1', lists: ['GetProduct'] })
  await engine.start()
  tell('consul', [catalog])
  await engine.idle()
  assert.equal(batches.length, 0)
  tell('file', [])
  await engine.idle()
  assert.equal(batches.at(-1)?.last, true)
  assert.equal(messages.get('getproduct')?.state, 'routed')
})

test('a registry that does not answer holds up the first table for a while only; what it knows joins', async t => {
  const { engine, tell, batches, answers, messages, lines } = setUp(t, toConfig({ registry: { consul: {}, file: 'x' } }), { firstTableMs: 2_000 })
  answers.set(url(9101), { id: 'c1', lists: ['GetProduct'] })
  answers.set(url(9201), { id: 'o1', lists: ['PlaceOrder'] })
  const started = performance.now()
  await engine.start()
  tell('file', [catalog])
  await until('the first table', () => batches.length > 0)
  assert.ok(performance.now() - started >= 1_999)
  assert.deepEqual([batches[0]?.incomplete, messages.get('getproduct')?.state], [true, 'routed'])
  assert.ok(lines.some(({ message, fields }) => message.startsWith('route table without all registries') && JSON.stringify(fields) === '{"registries":["consul"]}'))
  tell('consul', [orders])
  await until('the whole table', () => batches.at(-1)?.incomplete === false && messages.get('placeorder')?.state === 'routed')
})

test('a deploy that changes no route is kept on disk all the same: a start without Consul must know the new id', async t => {
  const { engine, tell, answers, messages, batches, kept } = setUp(t, toConfig({ registry: { consul: {} } }))
  answers.set(url(9101), { id: 'c1', lists: ['GetProduct'] })
  await engine.start()
  tell('consul', [catalog])
  await engine.idle()
  assert.equal(messages.get('getproduct')?.state, 'routed')
  const tables = batches.length
  answers.set(url(9101), { id: 'c2', lists: ['GetProduct'] })
  tell('consul', [catalog, { ...catalog, id: 'c2', health: 'unchecked' }])
  await until('the old one is a ghost', async () => {
    await engine.idle()
    return JSON.stringify(engine.describe('routes')).includes('ghost')
  })
  assert.equal(batches.length, tables)
  assert.deepEqual(kept.at(-1)?.registries.flatMap(({ entries }) => entries.map(({ registration: { id } }) => id)), ['c1', 'c2'])
})

test('a registry that answers that it has nothing makes the table complete', async t => {
  const { engine, tell, batches } = setUp(t, toConfig({ registry: { consul: {}, file: 'x' } }), { firstTableMs: 1 })
  await engine.start()
  tell('file', [])
  await until('the first table', () => batches.length === 1)
  tell('consul', [])
  await until('the news that nothing is missing', () => batches.length === 2)
  assert.deepEqual(batches.map(({ incomplete }) => incomplete), [true, false])
})

test('while nobody has answered there is no table, unless postern.yaml has upstreams of its own', async t => {
  const nobody = setUp(t, toConfig({ registry: { consul: {}, file: 'x' } }), { firstTableMs: 20 })
  const fixed = setUp(t, toConfig({ registry: { consul: {} }, upstreams: { Legacy: { endpoints: ['http://127.0.0.1:9/'] } } }), { firstTableMs: 20 })
  await nobody.engine.start()
  await fixed.engine.start()
  await until('the table of what is fixed', () => fixed.batches.length === 1)
  assert.equal(fixed.batches[0]?.incomplete, true)
  await nobody.engine.idle()
  assert.equal(nobody.batches.length, 0)
})

test('a storm of snapshots is a handful of decisions', async t => {
  const { engine, tell, batches, answers, messages } = setUp(t, toConfig({ registry: { consul: {} } }))
  answers.set(url(9101), { id: 'c1', lists: ['GetProduct'] })
  await engine.start()
  const until = performance.now() + 300
  let snapshots = 0
  while (performance.now() < until || snapshots <= 200) {
    tell('consul', [{ ...catalog, version: `1.${snapshots++}` }])
    await new Promise(resolve => setImmediate(resolve))
  }
  await engine.idle()
  assert.ok(batches.length < 15 || batches.length < snapshots / 10, `${batches.length} batches for ${snapshots} snapshots`)
  assert.equal(messages.get('getproduct')?.state, 'routed')
})

test('an agent that has forgotten everything takes no healthy route away, and takes the dead ones', async t => {
  const { engine, tell, answers, messages, status, lines } = setUp(t, toConfig({ registry: { consul: {} }, }))
  answers.set(url(9101), { id: 'c1', lists: ['GetProduct'] })
  answers.set(url(9201), { id: 'o1', lists: ['PlaceOrder'] })
  await engine.start()
  tell('consul', [catalog, orders])
  await engine.idle()
  await new Promise(resolve => setTimeout(resolve, 60))
  await engine.idle()
  assert.deepEqual([messages.get('getproduct')?.state, messages.get('placeorder')?.state], ['routed', 'routed'])
  answers.set(url(9201), 'silent')
  tell('consul', [], true)
  await until('both are unconfirmed, and one is served', async () => {
    await engine.idle()
    return status()?.counts.registrations['unconfirmed'] === 2 && status()?.counts.served === 1
  })
  assert.equal(messages.get('getproduct')?.state, 'routed')
  assert.ok(lines.some(({ message, level }) => message === 'endpoint unconfirmed' && level === 'warn'))
  // Registered anew, under a new id: confirmed, and the old one is its ghost.
  answers.set(url(9101), { id: 'c2', lists: ['GetProduct'] })
  tell('consul', [{ ...catalog, id: 'c2' }])
  await until('the old one is a ghost', async () => {
    await engine.idle()
    return status()?.counts.registrations['ghost'] === 1
  })
  assert.equal(messages.get('getproduct')?.state, 'routed')
})

test('a registry that stops answering leaves the table and says so', async t => {
  const { engine, tell, answers, messages, registries, lines, status } = setUp(t, toConfig({ registry: { consul: {} } }))
  answers.set(url(9101), { id: 'c1', lists: ['GetProduct'] })
  await engine.start()
  tell('consul', [catalog])
  await engine.idle()
  registries.get('consul')?.state({ registry: 'consul', ok: false, lastGoodAt: 1, error: 'ECONNREFUSED', agent: undefined })
  await engine.idle()
  assert.equal(messages.size, 1)
  assert.equal(status()?.registries[0]?.ok, false)
  assert.equal(lines.at(-1)?.level, 'warn')
})

test('watches are restarted only where their settings changed, and a registry taken out of the configuration goes', async t => {
  const first = toConfig({ registry: { consul: { agents: ['http://a:8500'] }, file: 'x' } })
  const { engine, tell, closed, messages, answers, batches } = setUp(t, first)
  answers.set(url(9101), { id: 'c1', lists: ['GetProduct'] })
  await engine.start()
  tell('consul', [catalog])
  tell('file', [])
  await engine.idle()
  engine.configure({ ...first, drainMs: 1 }, 2)
  await engine.idle()
  assert.deepEqual(closed, [])
  assert.equal(batches.at(-1)?.configGeneration, 2)
  engine.configure(toConfig({ registry: { consul: { agents: ['http://b:8500'] }, file: 'x' } }), 3)
  await engine.idle()
  await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual(closed, ['consul'])
  assert.equal(messages.size, 1, 'it serves on until the new agent answers')
  tell('consul', [orders])
  await engine.idle()
  assert.deepEqual([...messages.keys()], ['placeorder'])
  engine.configure(toConfig({ registry: { file: 'x' } }), 4)
  await until('nothing is left', async () => {
    await engine.idle()
    return messages.size === 0
  })
})

test('markers are read in the background and decide the effect; a new process is read anew', async t => {
  const { engine, tell, answers, markers, messages } = setUp(t, toConfig({ registry: { consul: {} } }))
  answers.set(url(9101), { id: 'c1', lists: ['GetProduct'] })
  markers.set(url(9101), new Map([['getproduct', 'safe']]))
  await engine.start()
  tell('consul', [catalog])
  await until('the marker is known', () => messages.get('getproduct')?.effect === 'safe')
  const { routes } = JSON.parse(engine.describe('routes')) as { routes: Array<{ message: string, effect: string, effectFrom?: string }> }
  assert.deepEqual(routes.map(({ message, effect, effectFrom }) => [message, effect, effectFrom]), [['GetProduct', 'safe', 'marker']])
  answers.set(url(9101), { id: 'c2', lists: ['GetProduct'] })
  markers.set(url(9101), new Map([['getproduct', 'unsafe']]))
  tell('consul', [{ ...catalog, id: 'c2' }])
  await until('the new process is believed', () => messages.get('getproduct')?.effect === 'unsafe')
})

test('postern.yaml says it over every marker', async t => {
  const { engine, tell, answers, markers } = setUp(t, toConfig({ registry: { consul: {} }, messages: { getProduct: { policy: { effect: 'unsafe' } } } }))
  answers.set(url(9101), { id: 'c1', lists: ['GetProduct', 'Other'] })
  markers.set(url(9101), new Map([['getproduct', 'safe']]))
  await engine.start()
  tell('consul', [{ ...catalog, names: ['GetProduct', 'Other'] }])
  const effects = () => (JSON.parse(engine.describe('routes')) as { routes: Array<{ message: string, effect: string, effectFrom?: string }> }).routes.map(({ message, effect, effectFrom }) => [message, effect, effectFrom])
  await until('both are known', () => effects().length === 2)
  assert.deepEqual(effects(), [['GetProduct', 'unsafe', 'yaml'], ['Other', 'by method', undefined]])
})

/** Orders has a name that Billing will claim. Questions are asked often. */
async function startOwner (t: TestContext, ownerGoneMs: number, options: Parameters<typeof setUp>[2] = {}): Promise<ReturnType<typeof setUp>> {
  const world = setUp(t, toConfig({ registry: { consul: {}, ownerGoneMs, ask: { intervalMs: 50, maxIntervalMs: 100 } } }), options)
  world.answers.set(url(9201), { id: 'o1', lists: ['PlaceOrder'] })
  world.answers.set(url(9202), { id: 'b1', lists: ['PlaceOrder'] })
  await world.engine.start()
  world.tell('consul', [orders])
  await until('it has the name', () => world.messages.get('placeorder')?.state === 'routed')
  return world
}

test('an owner that answers calls and none of our questions keeps its name for as long as it does', async t => {
  const ownerGoneMs = 200
  const { engine, tell, answers, lastCalled, messages, asked } = await startOwner(t, ownerGoneMs)
  answers.set(url(9201), 'slow')
  lastCalled.set(url(9201), () => Date.now())
  tell('consul', [{ ...orders, health: 'critical' }, { ...orders, id: 'b1', port: 9202, service: 'Billing' }])
  const { length } = asked.filter(one => one === url(9201))
  await until('it has been asked in vain for long', () => asked.filter(one => one === url(9201)).length > length + 3 * ownerGoneMs / 50)
  await engine.idle()
  assert.equal(messages.get('placeorder')?.upstream, 'Orders')
  const called = Date.now()
  lastCalled.set(url(9201), () => called)
  await until('it has passed', () => messages.get('placeorder')?.upstream === 'Billing')
  assert.ok(Date.now() >= called + ownerGoneMs)
})

test('what calls have heard of an owner counts in the very decision in which another comes to claim its name', async t => {
  const ownerGoneMs = 30_000
  let time = 1_000_000
  const { engine, tell, answers, lastCalled, messages, asked } = await startOwner(t, ownerGoneMs, { now: () => time })
  const askedTimes = () => asked.filter(one => one === url(9201)).length
  answers.set(url(9201), 'slow')
  const alone = { ...orders, health: 'critical' as const }
  tell('consul', [alone])
  const before = askedTimes()
  await until('it has been asked in vain', () => askedTimes() > before + 2)
  await engine.idle()
  time += 2 * ownerGoneMs
  const calledAt = time
  lastCalled.set(url(9201), () => calledAt)
  tell('consul', [alone, { ...orders, id: 'b1', port: 9202, service: 'Billing' }])
  await until('the other is known', async () => {
    await engine.idle()
    return engine.describe('routes').includes('"Billing"') && asked.includes(url(9202))
  })
  await engine.idle()
  assert.equal(messages.get('placeorder')?.upstream, 'Orders')
})
