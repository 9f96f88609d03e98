// Who is at an address while its registry cannot be asked: a process that restarted there under another id of its service, which nobody can have told us.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explainEndpoint } from '../../src/control/explain-endpoint.ts'
import { toTargets } from '../../src/control/targets.ts'
import { decideWorld, statesOf, tableOf, type World } from './support.ts'

const idOf = (service: string, n: number) => `ss-${service}-00000000-0000-4000-8000-00000000000${n}`
const [old, older, now] = [idOf('Catalog', 1), idOf('Catalog', 0), idOf('Catalog', 2)]
const get = { lists: ['GetProduct'] }
const restarted: World = { registrations: [{ id: old }], says: { 9101: { id: now, ...get } }, unheard: [old] }

const rows: ReadonlyArray<readonly [sentence: string, world: World, table: string[], states: Record<string, string>]> = [
  ['it keeps the messages of the registration that it comes after', restarted, ['GetProduct→Catalog 9101'], { [old]: 'routed' }],
  ['not where its registry answers: what that says counts', { ...restarted, unheard: [] }, [], { [old]: 'ghost' }],
  ['nor one that stood there while its registry still answered: that did not list it', { ...restarted, before: { 9101: { id: now, ...get } } }, [], { [old]: 'ghost' }],
  ['nor where it is of another service', { ...restarted, says: { 9101: { id: idOf('Tenant', 2), ...get } } }, [], { [old]: 'ghost' }],
  ['nor one whose list has none of them', { ...restarted, says: { 9101: { id: now, lists: ['Invoice'] } } }, [], { [old]: 'stranger' }],
  ['of several registrations it comes after the newest of its service; the others are ghosts still', { ...restarted, registrations: [{ id: old, createIndex: 20 }, { id: older, createIndex: 10, names: ['Gone'] }, { id: idOf('Tenant', 3), service: 'Tenant', names: ['Pong'], createIndex: 30 }], unheard: [old, older, idOf('Tenant', 3)] }, ['GetProduct→Catalog 9101'], { [old]: 'routed', [older]: 'ghost', [idOf('Tenant', 3)]: 'ghost' }],
  ['what failed before it restarted says nothing of it', { ...restarted, registrations: [{ id: old, health: 'critical' }, { id: idOf('Catalog', 4), port: 9102, health: 'critical' }], says: { 9101: { id: now, ...get }, 9102: { id: idOf('Catalog', 4), ...get } } }, ['GetProduct→Catalog 9101'], { [old]: 'routed', [idOf('Catalog', 4)]: 'critical' }],
  ['it waits while it says that it is not well', { ...restarted, says: { 9101: { id: now, ...get, sick: 'its heartbeat answered 503' } } }, ['GetProduct→Catalog '], { [old]: 'waiting' }],
  ['maintenance of the address holds', { ...restarted, registrations: [{ id: old, health: 'maintenance' }] }, ['GetProduct→Catalog '], { [old]: 'draining' }],
  ['what its registry has forgotten is unconfirmed all the same', { ...restarted, registrations: [{ id: old, unconfirmedSince: 999_000 }] }, ['GetProduct→Catalog 9101'], { [old]: 'unconfirmed' }],
  ['its own registration counts as soon as it is known', { ...restarted, registrations: [{ id: old }, { id: now, names: ['GetProduct'] }] }, ['GetProduct→Catalog 9101'], { [old]: 'ghost', [now]: 'routed' }]
]
for (const [sentence, world, table, states] of rows) {
  test(sentence, () => {
    const decision = decideWorld(world)
    assert.deepEqual([tableOf(decision), statesOf(decision)], [table, states])
  })
}

test('its sentence says what it runs as, and it is asked on: nobody else checks it', () => {
  const decision = decideWorld(restarted)
  assert.deepEqual(explainEndpoint(decision.endpoints[0]!), { why: `Routed: the process at this address restarted as ${now}, which its registry cannot tell us, and it answers us.`, hint: 'When its registry answers again, what that says of the address counts.' })
  assert.deepEqual(toTargets(decision, {}, new Map()).map(({ pace }) => pace), ['steady'])
})

test('a registry that fails or answers again has the same address judged anew', () => {
  const before = decideWorld({ ...restarted, unheard: [] })
  const during = decideWorld({ ...restarted, memory: before.memory })
  const after = decideWorld({ ...restarted, unheard: [], memory: during.memory })
  assert.deepEqual([before, during, after].map(decision => statesOf(decision)[old]), ['ghost', 'routed', 'ghost'])
})
