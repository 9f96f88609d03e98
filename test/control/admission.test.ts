import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAdmission, createEntryAdmission, mostNames, type AdmissionOptions } from '../../src/control/admission.ts'
import { createNameResolver, type NameResolver } from '../../src/registry/resolve.ts'
import { until } from '../support/until.ts'
import { registration } from './support.ts'

const at = (host: string, more: object = {}) => ({ ...registration({ id: 'a' }), address: { url: `http://${host}:80`, origin: `http://${host}:80`, basePath: '' }, ...more })
const named = at('orders.internal')
const never = () => new Promise<never>(() => {})

function setUp (answers: (name: string) => readonly string[] | Error | Promise<never>, more: Partial<AdmissionOptions> = {}) {
  let changes = 0
  const resolver: NameResolver = {
    resolve: async name => {
      const answer = await answers(name)
      if (answer instanceof Error) throw answer
      return { ips: answer, forMs: 600_000, error: undefined }
    },
    configure () {},
    close () {}
  }
  const admission = createAdmission({ settings: { allowedNetworks: ['10.0.0.0/8'], nameServers: [] }, ownListeners: [], onChange: () => { changes++ }, resolver, ...more })
  return { admission, [Symbol.dispose]: () => admission.close(), changes: () => changes }
}

test('a host name waits for its addresses, and carries them then', async () => {
  using started = setUp(() => ['10.0.0.2', '10.0.0.1'])
  const { admission, changes } = started
  assert.equal(admission.admit(named).unresolved?.reason, 'orders.internal is being resolved')
  assert.equal(admission.isResolving, true)
  await until('the answer', () => changes() === 1)
  assert.equal(admission.isResolving, false)
  const { refused, ips } = admission.admit(named)
  assert.deepEqual([refused, ips], [undefined, ['10.0.0.1', '10.0.0.2']])
  assert.equal(admission.admit(named), admission.admit(named), 'the same object for as long as it holds: nothing is made anew or sent again')
})

test('an entry is the same object for as long as it says the same and its name leads to the same', async () => {
  using started = setUp(() => ['10.0.0.1'])
  const { admission, changes } = started
  const admitEntry = createEntryAdmission(admission)
  const entry = { registration: named, firstSeenAt: 0, unconfirmedSince: undefined, stale: false }
  const waiting = admitEntry(entry)
  assert.equal(admitEntry(entry), waiting)
  await until('the answer', () => changes() === 1)
  const resolved = admitEntry(entry)
  assert.notEqual(resolved, waiting)
  assert.equal(admitEntry(entry), resolved)
  assert.notEqual(admitEntry({ ...entry, stale: true }), resolved)
  const plain = { ...entry, registration: at('10.0.0.1') }
  assert.equal(admitEntry(plain), plain)
})

test('a name that leads to where nobody may connect is refused', async () => {
  using started = setUp(() => ['10.0.0.1', '169.254.169.254'])
  const { admission, changes } = started
  admission.admit(named)
  await until('the answer', () => changes() === 1)
  assert.match(admission.admit(named).refused ?? '', /169\.254\.169\.254 is link-local/)
})

test('one that leads nowhere is not: a name server may answer otherwise soon', async () => {
  using started = setUp(() => new Error('ENOTFOUND'))
  const { admission, changes } = started
  assert.equal(admission.admit(named).unresolved?.failedSince, undefined)
  const before = Date.now()
  await until('the answer', () => changes() === 1)
  const { refused, unresolved } = admission.admit(named)
  assert.deepEqual([refused, unresolved?.reason], [undefined, 'orders.internal cannot be resolved: ENOTFOUND'])
  assert.ok(unresolved!.failedSince! >= before && unresolved!.failedSince! <= Date.now())
})

for (const [sentence, ip, expected] of [
  ['what postern.yaml fixes is connected to wherever it stands', '192.0.2.1', undefined],
  ['what postern.yaml fixes is refused where a metadata service answers', '169.254.169.254', /link-local/]
] as const) {
  test(sentence, async () => {
    using started = setUp(() => [ip])
    const { admission, changes } = started
    const fixed = { ...named, registry: 'config' as const }
    admission.admit(fixed)
    await until('the answer', () => changes() === 1)
    const { refused, ips } = admission.admit(fixed)
    assert.deepEqual(ips, [ip])
    if (expected === undefined) assert.equal(refused, undefined)
    else assert.match(refused ?? 'allowed', expected)
  })
}

test('other rules judge what is resolved already at once', async () => {
  using started = setUp(() => ['10.0.0.1'])
  const { admission, changes } = started
  const literal = at('10.0.0.1')
  admission.admit(named)
  await until('the answer', () => changes() === 1)
  admission.configure({ allowedNetworks: ['10.0.0.0/8', '192.168.0.0/16'], nameServers: [] }, [])
  assert.deepEqual([admission.admit(named).refused, admission.admit(literal).refused], [undefined, undefined])
  admission.configure({ allowedNetworks: ['192.168.0.0/16'], nameServers: [] }, [])
  for (const one of [named, literal]) assert.match(admission.admit(one).refused ?? 'allowed', /10\.0\.0\.1 is in none of registry\.allowedNetworks/)
  admission.configure({ allowedNetworks: ['10.0.0.0/8'], nameServers: [] }, [{ host: '10.0.0.1', port: 80 }])
  for (const one of [named, literal]) assert.match(admission.admit(one).refused ?? 'allowed', /Postern's own listener/)
})

test('a registration that says something else of the same host is judged at once', async () => {
  using started = setUp(() => ['10.0.0.1'])
  const { admission, changes } = started
  admission.admit(named)
  await until('the answer', () => changes() === 1)
  for (const other of [{ ...named, ownNode: true }, at('orders.internal', { id: 'b', health: 'critical' })]) assert.equal(admission.admit(other).refused, undefined)
})

test('what is known from before is in force without a name server, under the rules of now', () => {
  using started = setUp(never, { known: [['orders.internal', ['10.0.0.1']], ['evil.internal', ['169.254.169.254']]] })
  const { admission } = started
  assert.deepEqual([admission.admit(named).refused, admission.admit(named).ips], [undefined, ['10.0.0.1']])
  assert.match(admission.admit(at('evil.internal')).refused ?? 'allowed', /link-local/)
  assert.equal(admission.isResolving, false)
  assert.deepEqual(admission.resolved.map(([host]) => host), ['orders.internal', 'evil.internal'])
})

test('a name server that fails takes nothing away that was known from before', async () => {
  const asked: string[] = []
  using started = setUp(name => { asked.push(name); return new Error('SERVFAIL') }, { known: [['orders.internal', ['10.0.0.1']]] })
  const { admission, changes } = started
  admission.admit(named)
  admission.admit(at('new.internal'))
  await until('the new name is found to lead nowhere', () => changes() === 1)
  assert.deepEqual(asked, ['orders.internal', 'new.internal'])
  assert.equal(admission.admit(named).refused, undefined)
})

test('names beyond the bound are refused; those that are there keep their place until nobody has had them for long', async () => {
  let now = 0
  using started = setUp(() => ['10.0.0.1'], { now: () => now })
  const { admission, changes } = started
  for (let n = 0; n < mostNames; n++) admission.admit(at(`h${n}.internal`))
  await until('the answers', () => changes() === mostNames)
  assert.match(admission.admit(named).refused ?? 'allowed', /more than 20000 host names/)
  assert.equal(admission.admit(at('h0.internal')).refused, undefined)
  now = 600_001
  assert.equal(admission.admit(at('h0.internal')).refused, undefined)
  admission.forgetUnused()
  assert.deepEqual(admission.resolved.map(([host]) => host), ['h0.internal'])
  assert.equal(admission.admit(named).unresolved?.reason, 'orders.internal is being resolved')
})

test('each name is asked again when its own TTL is over, a second at least; one whose endpoint cannot be connected to before that', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let now = 0
  const ttls: Readonly<Record<string, number>> = { 'none.internal': 0, 'short.internal': 3_000, 'long.internal': 7_000 }
  const asked: Record<string, number[]> = {}
  const resolver = createNameResolver({ timeoutMs: 2_000, maxNames: 10, minTtlMs: 1_000, maxTtlMs: 300_000, retryMs: 5_000, now: () => now, ask: async name => { (asked[name] ??= []).push(now); return { ips: ['10.0.0.1'], ttlMs: ttls[name]! } } })
  using started = setUp(never, { resolver })
  const { admission } = started
  const advance = async (toMs: number) => {
    for (await new Promise(resolve => setImmediate(resolve)); now < toMs; await new Promise(resolve => setImmediate(resolve))) {
      now += 500
      t.mock.timers.tick(500)
    }
  }
  for (const host of Object.keys(ttls)) admission.admit(at(host))
  await advance(7_500)
  assert.deepEqual(asked, { 'none.internal': [0, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000], 'short.internal': [0, 3_000, 6_000], 'long.internal': [0, 7_000] })
  const dead = new Set(['long.internal'])
  admission.doubt(dead)
  await advance(8_000)
  assert.deepEqual(asked['long.internal'], [0, 7_000], 'it has just been asked')
  admission.doubt(new Set())
  admission.doubt(dead)
  await advance(13_500)
  admission.doubt(new Set())
  await advance(20_500)
  assert.deepEqual(asked['long.internal'], [0, 7_000, 8_000, 13_000, 20_000])
})
