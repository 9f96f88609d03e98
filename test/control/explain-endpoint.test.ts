// What is said of registrations is true of whoever made them: a file, Consul with checks and without, several registries at one address.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAdmission } from '../../src/control/admission.ts'
import { explainEndpoint } from '../../src/control/explain-endpoint.ts'
import type { Registration } from '../../src/registry/registration.ts'
import { judgeHealth } from '../../src/registry/health.ts'
import { decideWorld, registration, statesOf, type RegistrationLike, type World } from './support.ts'

const get = { lists: ['GetProduct'] }
const saidOf = (world: World, id = 'a') => explainEndpoint(decideWorld(world).endpoints.find(({ verdict }) => verdict.registration.id === id)!)
const file = { id: 'a', registry: 'file', kind: 'plain', health: 'unchecked', checkless: true } as const satisfies RegistrationLike
const bare = { ...judgeHealth([{ CheckID: 'serfHealth', Status: 'passing', ServiceID: '' }]), id: 'a' } satisfies RegistrationLike

for (const [sentence, like] of [['an entry of a file', file], ['a registration in Consul without a check', bare]] as const) {
  test(`nobody checks ${sentence} but Postern, and so it is said`, () => {
    const one = (says?: World['says'], before?: World['before']) => saidOf({ registrations: [like], ...says && { says }, ...before && { before } })
    assert.deepEqual(one({ 9101: { id: 'a', ...get } }), { why: 'Routed: nobody checks it but Postern, and it answered our own question.', hint: 'It leaves when it no longer answers well, or a connection to it fails.' })
    assert.deepEqual(one(), { why: 'Waiting: nobody checks it but Postern, and it is being asked.', hint: 'It gets traffic as soon as it answers.' })
    assert.deepEqual(one({ 9101: 'silent' }), { why: 'Waiting: nobody checks it but Postern, and it does not answer us (ECONNREFUSED).', hint: 'It gets traffic as soon as it answers well.' })
  })
}

test('one whose checks have not run yet waits for them', () => {
  const like = { id: 'a', ...judgeHealth([{ CheckID: 'c', Status: 'critical', Output: '', Type: 'http', ServiceID: 'a' }]) } as const
  assert.deepEqual(saidOf({ registrations: [like], says: { 9101: { id: 'a', ...get } } }), { why: 'Routed: its registry has not checked it yet, and it answered our own question.', hint: 'Its checks decide as soon as they have run; until then it leaves when it no longer answers well.' })
  assert.equal(saidOf({ registrations: [like], says: { 9101: 'silent' } }).hint, 'It gets traffic as soon as it answers well or its checks pass.')
})

test('an entry of a file whose process is in Consul too is no ghost', () => {
  const both: RegistrationLike[] = [{ ...file, id: 'Shop@x', service: 'Shop' }, { id: 'ss-1', service: 'Shop' }]
  const world: World = { registrations: both, says: { 9101: { id: 'ss-1', ...get } } }
  assert.deepEqual(statesOf(decideWorld(world)), { 'Shop@x': 'standby', 'ss-1': 'routed' })
  assert.deepEqual(saidOf(world, 'Shop@x'), { why: 'Standby: the process at this address is ss-1 in Consul, and that registration counts.', hint: 'It counts when that one goes. If one is enough, take it out of the services file.' })
  assert.deepEqual(statesOf(decideWorld({ ...world, registrations: both.slice(0, 1) })), { 'Shop@x': 'routed' }, 'when that one goes')
  // Of a process that does not say who it is, what is written counts, and the other one is not called its ghost.
  const mute: World = { registrations: both, says: { 9101: get } }
  assert.deepEqual(statesOf(decideWorld(mute)), { 'Shop@x': 'routed', 'ss-1': 'standby' })
  assert.deepEqual(saidOf(mute, 'ss-1'), { why: 'Standby: the services file has Shop@x at the same address, and that counts, because the process there does not say which it is.', hint: 'It counts when that one goes. If one is enough, deregister it.' })
  assert.deepEqual(statesOf(decideWorld({ ...mute, registrations: both.slice(1) })), { 'ss-1': 'routed' })
})

test('one that the process says it is not stays a ghost beside a file, and two registries may list one process', () => {
  const world: World = { registrations: [{ ...file, id: 'f' }, { id: 'a' }], says: { 9101: { id: 'other', ...get } } }
  assert.deepEqual(statesOf(decideWorld(world)), { f: 'routed', a: 'ghost' })
  assert.equal(saidOf(world).why, 'Ghost: the process at this address says that it runs as other.')
  const twice = decideWorld({ registrations: [{ id: 'a' }, { id: 'a', registry: 'embedded' }], says: { 9101: { id: 'a', ...get } } })
  assert.deepEqual(twice.endpoints.map(({ state }) => state).sort(), ['routed', 'standby'])
  assert.equal(explainEndpoint(twice.endpoints.find(({ state }) => state === 'standby')!).why, 'Standby: the process at this address is a in Consul, and that registration counts.')
})

test('of two entries of a file at one address it is said which counts', () => {
  const world: World = { registrations: [{ ...file, createIndex: 1 }, { ...file, id: 'b', createIndex: 2 }], says: { 9101: get } }
  assert.deepEqual(saidOf(world), { why: 'Ghost: b stands further down in the services file with the same address, and an address is of one service.', hint: 'Take one of the two entries out.' })
  assert.match(saidOf({ registrations: [file], says: { 9101: { lists: ['Invoice'] } } }).hint, /take it out of the services file if none/)
})

test('what is out says of its checks what they say', () => {
  const out = [{ upstream: 'Catalog', url: 'http://10.0.0.1:9101', cause: 'unreachable', reason: 'ECONNREFUSED' }] as const
  const why = (health: Registration['health'], said: object = {}) => saidOf({ registrations: [{ id: 'a', health }], says: { 9101: { id: 'a', ...get, ...said } }, leftOut: out }).why
  assert.equal(why('passing'), 'Out: a connection to it failed (ECONNREFUSED), although its checks pass.')
  assert.equal(why('critical'), 'Out: a connection to it failed (ECONNREFUSED), and its checks fail.')
  assert.equal(why('warning'), 'Out: a connection to it failed (ECONNREFUSED), and its checks warn.')
  assert.equal(why('unchecked', { warns: 'its health check answered 429' }), 'Out: a connection to it failed (ECONNREFUSED), and it warns (its health check answered 429).')
  assert.equal(saidOf({ registrations: [{ id: 'a', health: 'unchecked' }], before: { 9101: { id: 'a', ...get } }, says: { 9101: { id: 'a', ...get, sick: 'its heartbeat answered 503' } }, leftOut: out }).why, 'Out: a connection to it failed (ECONNREFUSED), and it says that it is not well (its heartbeat answered 503).')
})

test('what answered and gets nothing all the same stands by, whoever checks it', () => {
  const world: World = { registrations: [{ id: 'a', health: 'unchecked' }, { id: 'b', port: 9102 }], says: { 9101: { id: 'a', none: true }, 9102: { id: 'b', ...get } } }
  assert.deepEqual(statesOf(decideWorld(world)), { a: 'standby', b: 'routed' })
  assert.equal(saidOf(world).why, 'Standby: it answered our own question, but no message or path needs it.')
})

test('of a host that names no messages it is told that this is why it gets nothing', () => {
  const { why, hint } = saidOf({ registrations: [{ ...file, kind: 'plugin', names: [] }], says: { 9101: { id: 'x', ...get } } })
  assert.equal(why, 'Routed: nobody checks it but Postern, and it answered our own question; its registration names no messages, so only postern.yaml leads there.')
  assert.match(hint, /^Write messages: \[NAME\] to it in the services file, or/)
  assert.match(saidOf({ registrations: [{ id: 'a', health: 'critical', names: [] }], says: { 9101: { id: 'a', ...get } } }).why, /^Routed although its checks fail: .*; its registration names no messages/)
})

test('a fixed endpoint that has not said what it is delays calls only where postern.yaml has not said it', () => {
  const fixed = (servicestack?: boolean) => saidOf({ config: { upstreams: { Legacy: { endpoints: ['http://10.0.0.1:9101'], ...servicestack !== undefined && { servicestack } } } } }, 'config:Legacy:http://10.0.0.1:9101')
  assert.match(fixed().why, /: until one of its upstream has, what postern\.yaml sends there is answered 503 RoutesNotReady\.$/)
  assert.deepEqual(fixed(false), { why: 'Routed: a fixed endpoint of postern.yaml. It has not said yet what it is.', hint: 'It gets calls all the same. It is asked again and again (/operations/metadata).' })
})

test('of what its registry no longer names nothing is said of others, and that a token may be why', () => {
  const said = (like: Partial<RegistrationLike> = {}, one: World['says'] = { 9101: { id: 'a', ...get } }) => saidOf({ registrations: [{ id: 'a', unconfirmedSince: 999_000, ...like }], says: one })
  const begin = 'Unconfirmed: its registry no longer names it, without a sign that it was deregistered'
  assert.deepEqual(said(), { why: `${begin}, but it answers us; served for registry.unconfirmedMs at most.`, hint: 'It has to register again; if Consul still has it, look whether Postern\'s token (registry.consul.token) may read the service.' })
  assert.equal(said({}, { 9101: 'silent' }).why, `${begin}, and it does not answer us.`)
  assert.equal(said({ registry: 'embedded' }).hint, 'It has to register again.', 'our own registry asks for no token')
})

test('of what is refused only that is advised which can help', async t => {
  const admission = createAdmission({
    settings: { allowedNetworks: ['10.0.0.0/8'], nameServers: [] },
    ownListeners: [{ host: '127.0.0.1', port: 8080 }],
    onChange () {},
    known: [['far.example', ['93.184.216.34']], ['metadata.example', ['169.254.169.254']]],
    resolver: { configure () {}, close () {}, resolve: (host: string) => host === 'gone.example' ? Promise.reject(new Error('ENOTFOUND')) : new Promise(() => {}) } as never
  })
  t.after(() => admission.close())
  const at = (url: string, more: Partial<RegistrationLike> = {}) => ({ ...registration({ id: 'a', ownNode: true, ...more }), address: { url, origin: url, basePath: '' } })
  const said = async (url: string, more: Partial<RegistrationLike> = {}) => {
    admission.admit(at(url, more))
    await Promise.resolve()
    const admitted = admission.admit(at(url, more))
    const { why, hint } = saidOf({ registrations: [admitted as RegistrationLike] })
    return [why, hint]
  }
  const where = 'Correct the registration, where it is made'
  for (const [url, why, hint, more] of [
    ['http://93.184.216.34', 'Refused: 93.184.216.34 is in none of registry.allowedNetworks.', `${where}, or add that network to registry.allowedNetworks.`],
    ['http://169.254.169.254', 'Refused: 169.254.169.254 is link-local (metadata services answer there).', `${where}: no setting lets it in.`],
    ['http://127.0.0.1:8080', 'Refused: 127.0.0.1:8080 is Postern\'s own listener.', `${where}: no setting lets it in.`],
    ['http://127.0.0.1:8080', 'Refused: 127.0.0.1:8080 is Postern\'s own listener.', 'Correct the entry in the services file: no setting lets it in.', { registry: 'file' }],
    ['http://127.0.0.1:8080', 'Refused: 127.0.0.1:8080 is Postern\'s own listener.', 'Correct upstreams.Catalog.endpoints: no setting lets it in.', { registry: 'config' }],
    ['http://far.example', 'Refused: far.example resolves to 93.184.216.34: 93.184.216.34 is in none of registry.allowedNetworks.', `${where}, or add that network to registry.allowedNetworks.`],
    ['http://metadata.example', 'Refused: metadata.example resolves to 169.254.169.254: 169.254.169.254 is link-local (metadata services answer there).', `${where}, or what name servers say of that name (registry.nameServers); it is asked again by itself.`]
  ] as ReadonlyArray<readonly [string, string, string, Partial<RegistrationLike>?]>) assert.deepEqual(await said(url, more), [why, hint], url)
  assert.deepEqual(saidOf({ registrations: [{ id: 'a', refused: 'it has no usable port (0)' }] }), { why: 'Refused: it has no usable port (0).', hint: `${where}: no setting lets it in.` })
})

test('what was forgotten in maintenance stays drained, and both are said', () => {
  const like = { id: 'a', health: 'maintenance', notes: 'deploy', unconfirmedSince: 999_000 } as const
  const drained = decideWorld({ registrations: [like], says: { 9101: { id: 'a', ...get } } })
  assert.deepEqual(statesOf(drained), { a: 'draining' })
  assert.deepEqual(saidOf({ registrations: [like] }), { why: 'Draining: an operator set it to maintenance: deploy; unconfirmed: its registry no longer names it, without a sign that it was deregistered.', hint: 'It has to register again; if Consul still has it, look whether Postern\'s token (registry.consul.token) may read the service. In maintenance it stays out then, too.' })
  const [endpoint] = drained.endpoints
  const unread = explainEndpoint({ ...endpoint!, verdict: { ...endpoint!.verdict, entry: { ...endpoint!.verdict.entry, unread: 'an entry has no ID' } } })
  assert.deepEqual(unread, { why: 'Draining: an operator set it to maintenance: deploy; unconfirmed: its registry does not name it, but lists an entry that may be it and cannot be read (an entry has no ID).', hint: 'Its registry has to list it in a form that can be read. In maintenance it stays out then, too.' })
})
