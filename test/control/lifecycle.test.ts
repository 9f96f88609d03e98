// The recorded life of three real hosts on a real Consul, replayed by a fake agent on a fake clock: what the table routes after each step.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test, type TestContext } from 'node:test'
import { validate } from '../../src/config/validator.ts'
import { ask, askMarkers } from '../../src/contracts/ask.ts'
import { createAdmission } from '../../src/control/admission.ts'
import { createEngine, type EngineOptions } from '../../src/control/engine.ts'
import { emptyPlan } from '../../src/control/plan.ts'
import { DataPlane } from '../../src/data-plane.ts'
import { GatewayError } from '../../src/exchange/errors.ts'
import { watchConsul } from '../../src/registry/consul-watch.ts'
import { parseRequestTarget } from '../../src/routing/request-target.ts'
import { installFakeClock, type FakeClock } from '../support/fake-clock.ts'
import { startFakeConsul, type FakeConsul } from '../support/fake-consul.ts'
import { startServiceStackHost, type ServiceStackHost } from '../support/servicestack-host.ts'

interface Entry { Service: { ID: string, Address: string } }
interface Step { ms: number, event?: string, index?: number, body?: Entry[] }

/** A loopback address of this process's own, so that the recorded ports can be used as they are. */
const ownAddress = `127.77.${process.pid >> 8 & 255}.${process.pid & 255}`
const recording = readFileSync(new URL('../fixtures/recordings/consul-lifecycle.jsonl', import.meta.url), 'utf8').replaceAll('http://127.0.0.1:', `http://${ownAddress}:`)
const steps = recording.trim().split('\n').map(line => JSON.parse(line) as Step)
const idOf = (start: string) => steps.flatMap(({ body }) => body ?? []).find(({ Service: { ID } }) => ID.startsWith(start))!.Service.ID

/** What the processes did, at the times of the recorded events. */
const deeds = new Map<number, readonly [port: number, id: string | undefined]>([
  [887, [9201, idOf('ss-Orders-d19a6')]],
  [894, [9101, idOf('ss-Catalog-bd9e5')]],
  [957, [9102, idOf('ss-Catalog-ee12a')]],
  [45_033, [9102, undefined]],
  [60_550, [9102, idOf('ss-Catalog-bc41c')]],
  [100_063, [9201, undefined]]
])

const page = new URL('../../docs/LIFECYCLE.md', import.meta.url)
type Row = readonly [ms: string, happened: string, getProduct: string, placeOrder: string, registrations: string, after: string]
const toRow = (line: string): Row | undefined => /^\| \d/.test(line) ? line.split('|').slice(1, -1).map(cell => cell.trim()) as unknown as Row : undefined
/** How long after a step the table is looked at, or just before the next step that comes sooner. Milliseconds. */
const settledAfterMs = 1_000

/** The control plane from the blocking query to the table, but for the thread: that has a clock of its own. */
async function startPlanes (t: TestContext, clock: FakeClock, agent: FakeConsul) {
  const { config } = validate({ registry: { consul: { agents: [agent.url], coordinatesMs: 0 } } })
  const state = { asking: 0, swappedAtMs: -1 }
  const counted = <A extends unknown[], R>(question: (...all: A) => Promise<R>) => async (...all: A): Promise<R> => {
    state.asking++
    return await question(...all).finally(() => { state.asking-- })
  }
  const dataPlane = new DataPlane({
    config,
    storedUntil: () => 0,
    remembered: () => [],
    buildPipeline: () => () => Promise.reject(new Error('not called')),
    meter: () => ({ start () {}, done () {}, retry () {}, hedge () {}, degraded () {} }),
    events: { upstream: () => ({ breaker () {}, endpoint: () => ({ breaker () {}, reachable () {}, doubted () {}, whoIsThere: async () => {}, lost: async () => {}, attempt () {}, paused () {}, ejected () {} }) }), held () {}, swapped () {}, gone () {} }
  })
  const notStarted = () => { throw new Error('not configured') }
  const options: EngineOptions = {
    config,
    generation: 1,
    async send (batch) {
      await dataPlane.apply(batch)
      if (batch.changes.length > 0) state.swappedAtMs = clock.nowMs
    },
    log () {},
    onStatus () {},
    starters: { consul: (settings, listener) => watchConsul(settings, listener), file: notStarted, embedded: notStarted },
    ask: counted(ask),
    askMarkers: counted(askMarkers),
    lastHeard: async () => [],
    createAdmission: (settings, known, onChange) => createAdmission({ settings: settings.registry, ownListeners: [], known, onChange }),
    loadTls: () => new Map(),
    applied: emptyPlan,
    owners: new Map()
  }
  const engine = createEngine(options)
  await engine.start()
  return { dataPlane, engine, state }
}

test('the recorded lifecycle, step by step', { timeout: 300_000 }, async t => {
  const agent = await startFakeConsul()
  t.after(() => agent.close())
  const hosts = new Map<number, ServiceStackHost>()
  t.after(() => Promise.all(hosts.values().map(host => host.close())))
  const clock = installFakeClock(t)
  t.mock.method(Math, 'random', () => 0.5)
  agent.list([], steps.find(({ body }) => body !== undefined)!.index! - 1)
  const { dataPlane, engine, state } = await startPlanes(t, clock, agent)
  t.after(async () => { await engine.close(); dataPlane.close() })

  /** Real time goes by until nothing is under way: whatever happens next, the clock has to bring it about. */
  const settle = async () => {
    for (let quiet = 0; quiet < 5;) {
      await new Promise(resolve => { setImmediate(resolve) })
      quiet = state.asking === 0 && (agent.blocked > 0 || clock.sleeping > 0) ? quiet + 1 : 0
    }
  }
  const act = async ({ ms, body, index }: Step) => {
    if (body !== undefined) agent.list(body, index)
    const [port, id] = deeds.get(ms) ?? []
    if (port === undefined) return
    await hosts.get(port)?.kill()
    hosts.delete(port)
    if (id !== undefined) hosts.set(port, await startServiceStackHost({ service: port === 9201 ? 'Orders' : 'Catalog', host: ownAddress, port, id }))
  }
  const place = (message: string): string => {
    try {
      const { route } = dataPlane.match(parseRequestTarget(`/json/reply/${message}`, new Set(['json'])), 'GET')
      return [...route.endpoints ?? dataPlane.upstreamNamed(route.upstream.name)!.endpoints.map((endpoint) => endpoint.url)].map(url => url.slice(-4)).sort().join(', ')
    } catch (error) {
      assert.ok(error instanceof GatewayError, String(error))
      return error.code === 'RoutesNotReady' ? 'unread' : '-'
    }
  }
  const registrations = (): string => {
    const { upstreams } = JSON.parse(engine.describe('upstreams')) as { upstreams: Array<{ endpoints: Array<{ registrationIds: string[], state: string }> }> }
    return upstreams.flatMap(({ endpoints }) => endpoints.map(({ registrationIds, state }) => `${/-([0-9a-f]{5})[0-9a-f]{3}-/.exec(registrationIds[0]!)?.[1]} ${state}`)).sort().join(', ') || '-'
  }

  const seen = new Map<string, readonly [getProduct: string, placeOrder: string, registrations: string, after: string]>()
  for (const [at, step] of steps.entries()) {
    const { ms } = step
    await clock.moveTo(ms, settle)
    await act(step)
    await settle()
    await clock.moveTo(Math.min(ms + settledAfterMs, (steps[at + 1]?.ms ?? Infinity) - 1), settle)
    seen.set(String(ms), [place('GetProduct'), place('PlaceOrder'), registrations(), state.swappedAtMs >= ms ? `${state.swappedAtMs - ms} ms` : '-'])
    // Restricted in its list, in Consul all the same, and a custom tag: never routed, at no time.
    for (const never of ['ReindexProducts', 'team-catalog']) assert.ok(['-', 'unread'].includes(place(never)), never)
  }

  const text = readFileSync(page, 'utf8')
  const written = text.split('\n').map(line => {
    const row = toRow(line)
    return row === undefined ? line : `| ${[row[0], row[1], ...seen.get(row[0]) ?? ['no step of the recording']].join(' | ')} |`
  }).join('\n')
  if (process.env['UPDATE'] === '1') writeFileSync(page, written)
  else assert.deepEqual(text.split('\n').filter(toRow), written.split('\n').filter(toRow), 'UPDATE=1 writes docs/LIFECYCLE.md anew')
  const told = new Set(text.split('\n').map(line => toRow(line)?.[0]))
  assert.deepEqual(steps.filter(({ ms, body }) => body !== undefined && !told.has(String(ms))).map(({ ms }) => ms), [], 'every answer of Consul has its row')
})
