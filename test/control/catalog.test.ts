import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expire, remember, type RegistryMemory } from '../../src/control/catalog.ts'
import type { Registration } from '../../src/registry/registration.ts'
import { registration } from './support.ts'

const of = (service: string, ...ids: string[]) => ids.map(id => registration({ id, service }))
const full = [...of('Alpha', 'a1', 'a2'), ...of('Beta', 'b1'), ...of('Gamma', 'g1')]
const snapshot = (registrations: typeof full, index: number | undefined, reset = false) => ({ registry: 'consul' as const, registrations, index, reset })
const first = remember(undefined, snapshot(full, 100), 1_000)
const shortly = (memory: RegistryMemory) => [...memory.entries.values()].map(({ registration: { id }, unconfirmedSince }) => unconfirmedSince === undefined ? id : `${id}?${unconfirmedSince}`)

for (const [sentence, next, expected] of [
  ['one endpoint gone is gone', snapshot(full.slice(1), 101), ['a2', 'b1', 'g1']],
  ['all endpoints of one service gone are gone', snapshot(full.filter(({ service }) => service !== 'Alpha'), 101), ['b1', 'g1']],
  ['all endpoints of two services gone at once are unconfirmed', snapshot(of('Gamma', 'g1'), 101), ['g1', 'a1?2000', 'a2?2000', 'b1?2000']],
  ['a calm empty answer is not believed', snapshot([], 101), ['a1?2000', 'a2?2000', 'b1?2000', 'g1?2000']],
  ['after the index went backwards one missing is doubted too', snapshot(full.slice(1), 7, true), ['a2', 'b1', 'g1', 'a1?2000']],
  ['a smaller index says the same without being told', snapshot(full.slice(1), 7), ['a2', 'b1', 'g1', 'a1?2000']],
  ['a restart under new ids is no forgetting', snapshot([...of('Alpha', 'a3', 'a4'), ...of('Beta', 'b2'), ...of('Gamma', 'g1')], 101), ['a3', 'a4', 'b2', 'g1']]
] as const) {
  test(sentence, () => assert.deepEqual(shortly(remember(first, next, 2_000)), expected))
}

const standing = (...all: ReadonlyArray<readonly [service: string, health: Registration['health']]>) => all.map(([service, health], n) => registration({ id: `${service}${n}`, service, health }))
const kept = registration({ id: 'kept', service: 'Kept' })
for (const [sentence, vanishing, expected] of [
  ['all of two services that were drained are gone', standing(['A', 'maintenance'], ['B', 'maintenance']), []],
  ['not so those whose checks failed: a machine whose agent has ended fails them too, and its hosts may live', standing(['A', 'critical'], ['B', 'critical'], ['B', 'maintenance']), ['A0', 'B1', 'B2']],
  ['one service in service beside drained ones is a single one', standing(['A', 'passing'], ['B', 'maintenance'], ['C', 'maintenance']), []],
  ['an instance in service is enough', standing(['A', 'warning'], ['A', 'maintenance'], ['B', 'maintenance'], ['B', 'unchecked']), ['A0', 'A1', 'B2', 'B3']],
  ['what was drained is doubted with the others', standing(['A', 'passing'], ['B', 'passing'], ['C', 'maintenance']), ['A0', 'B1', 'C2']]
] as const) {
  test(`of what vanishes at once, ${sentence}`, () => {
    const after = remember(remember(undefined, snapshot([kept, ...vanishing], 100), 1_000), snapshot([kept], 101), 2_000)
    assert.deepEqual(shortly(after), ['kept', ...expected.map(id => `${id}?2000`)])
  })
}

test('after the index went backwards what was drained is unconfirmed too: its names are not unknown', () => {
  const before = remember(undefined, snapshot([kept, ...standing(['A', 'maintenance'])], 100), 1_000)
  assert.deepEqual(shortly(remember(before, snapshot([kept], 7, true), 2_000)), ['kept', 'A0?2000'])
})

// ---- What is watched and not read ----

const web = [registration({ id: 'w1', service: 'Web', registeredAs: 'web', createIndex: 90 })]
const unread = [{ service: 'web', datacenter: undefined, awaited: true }]
const both = remember(undefined, snapshot([...full, ...web], 100), 1_000)
const fromDisk = (memory: RegistryMemory) => ({ index: memory.index, entries: new Map([...memory.entries].map(([id, entry]) => [id, { ...entry, stale: true, vouchedAt: 1_500 }])) })
const staleIn = (memory: RegistryMemory) => [...memory.entries.values()].filter(({ stale }) => stale).map(({ registration: { id } }) => id)

for (const [sentence, before, expected, stale, missing] of [
  ['nothing was known: its names may be missing', undefined, ['a2', 'b1', 'g1'], [], unread],
  ['what is known from disk stays, and the others are judged by what is told of them', fromDisk(both), ['a2', 'b1', 'g1', 'w1'], ['w1'], []],
  ['what another source said of it stays, for want of better', { ...both, replaced: true }, ['a2', 'b1', 'g1', 'w1'], ['w1'], []],
  ['another source had nothing of it', { ...first, replaced: true }, ['a2', 'b1', 'g1'], [], unread]
] as const) {
  test(`a service that cannot be read takes nothing away: ${sentence}`, () => {
    // The index of what is read alone is lower than that of all was.
    const after = remember(before, { ...snapshot(full.slice(1), 60), unread }, 2_000, 1_500)
    assert.deepEqual([shortly(after), staleIn(after), after.missing], [expected, stale, missing])
    assert.deepEqual(after.entries.get('dc1/vm/w1')?.vouchedAt, stale.length === 0 ? undefined : 1_500)
    const later = remember(after, { ...snapshot(full.slice(2), 61), unread }, 3_000)
    assert.equal(later.entries.get('dc1/vm/w1'), after.entries.get('dc1/vm/w1'), 'the same object: nothing is made anew')
    assert.deepEqual([later.entries.size, later.missing], [expected.length - 1, missing])
    const read = remember(later, snapshot([...full.slice(2), ...web], 101), 4_000)
    assert.deepEqual([staleIn(read), read.missing], [[], []])
  })
}

test('an answer whose index is lower than what it named before is doubted, whatever else cannot be read; and so is one that is lower than all was before, once all is read', () => {
  const low = remember(fromDisk(both), { ...snapshot(full.slice(1), 9), unread }, 2_000)
  assert.deepEqual(shortly(low), ['a2', 'b1', 'g1', 'w1', 'a1?2000'])
  const partly = remember(fromDisk(both), { ...snapshot(full, 60), unread }, 2_000)
  assert.deepEqual(shortly(remember(partly, snapshot(full, 70), 3_000)), ['a1', 'a2', 'b1', 'g1', 'w1?3000'])
})

test('a datacenter beyond the nearest keeps what it had, and no name is waited for in it', () => {
  const far = registration({ id: 'f1', datacenter: 'dc2' })
  const known = fromDisk(remember(undefined, snapshot([...full, far], 100), 1_000))
  const part = [{ service: 'api', datacenter: 'dc2', awaited: false }]
  const after = remember(known, { ...snapshot(full, 60), unread: part }, 2_000)
  assert.deepEqual([staleIn(after), after.missing], [['f1'], []])
  assert.deepEqual(remember(undefined, { ...snapshot(full, 60), unread: part }, 2_000).missing, [])
})

// ---- What cannot be read takes nothing away ----

const [a1, a2, b1, g1] = full as [typeof full[0], typeof full[0], typeof full[0], typeof full[0]]
const broken = (like: Partial<typeof a1>) => ({ ...a1, names: [], malformed: 'its tags are no list of texts', ...like })
const dropped = (like: object = {}) => ({ reason: 'an entry has no ID', id: undefined, registeredAs: 'api', node: 'vm', datacenter: 'dc1', ...like })

test('a registration that cannot be read whole any more keeps its last good form, with the reason, until it can be read', () => {
  const held = remember(first, snapshot([broken({}), a2, b1, g1], 101), 2_000)
  const entry = held.entries.get('dc1/vm/a1')
  assert.equal(entry?.registration, a1)
  assert.deepEqual([entry.unread, entry.unconfirmedSince, entry.firstSeenAt], ['its tags are no list of texts', undefined, 1_000])
  const still = remember(held, snapshot([broken({ names: ['Other'] }), a2, b1, g1], 102), 3_000)
  assert.equal(still.entries.get('dc1/vm/a1'), entry, 'the same object: nothing is made anew')
  const again = remember(still, snapshot([{ ...a1, version: '2.0' }, a2, b1, g1], 103), 4_000)
  assert.deepEqual([again.entries.get('dc1/vm/a1')?.registration.version, again.entries.get('dc1/vm/a1')?.unread], ['2.0', undefined])
})

test('what never could be read whole is taken as far as it can be, and as it changes', () => {
  const half = remember(undefined, snapshot([broken({ health: 'unchecked' })], 1), 1_000)
  const next = remember(half, snapshot([broken({ health: 'passing' })], 2), 2_000)
  assert.deepEqual([next.entries.get('dc1/vm/a1')?.registration.health, next.entries.get('dc1/vm/a1')?.unread], ['passing', undefined])
})

for (const [sentence, drops, expected] of [
  ['what is missing beside an entry that may be it is unconfirmed', [dropped()], ['a2', 'b1', 'g1', 'a1?2000']],
  ['what is missing beside something that nobody can say anything of is unconfirmed', [dropped({ registeredAs: undefined, node: undefined, datacenter: undefined })], ['a2', 'b1', 'g1', 'a1?2000']],
  ['what is missing beside an unreadable entry of another name is gone', [dropped({ registeredAs: 'web' })], ['a2', 'b1', 'g1']],
  ['what is missing beside an unreadable entry of another node is gone', [dropped({ node: 'other' })], ['a2', 'b1', 'g1']],
  ['what is missing beside an unreadable entry of another datacenter is gone', [dropped({ datacenter: 'dc2' })], ['a2', 'b1', 'g1']]
] as const) {
  test(sentence, () => assert.deepEqual(shortly(remember(first, { ...snapshot(full.slice(1), 101), dropped: drops }, 2_000)), expected))
}

test('an entry that says its id and no node may be that id on any node', () => {
  const drops = [dropped({ id: 'a1', node: undefined, datacenter: undefined })]
  assert.deepEqual(shortly(remember(first, { ...snapshot(full.slice(2), 101), dropped: drops }, 2_000)), ['b1', 'g1', 'a1?2000'])
})

test('what may be listed in an unreadable form does not run out of time, and is gone when nothing can be it any more', () => {
  const doubted = remember(first, { ...snapshot(full.slice(1), 101), dropped: [dropped()] }, 2_000)
  const later = remember(doubted, { ...snapshot(full.slice(1), 102), dropped: [dropped()] }, 3_000)
  assert.equal(expire(later, 9_000_000, 600_000), later)
  assert.deepEqual(shortly(remember(later, snapshot(full.slice(1), 103), 4_000)), ['a2', 'b1', 'g1'])
})

test('what was unreadable before a registration vanished is not that registration', () => {
  const before = remember(first, { ...snapshot(full, 101), dropped: [dropped()] }, 2_000)
  assert.deepEqual(shortly(remember(before, { ...snapshot(full.slice(1), 102), dropped: [dropped()] }, 3_000)), ['a2', 'b1', 'g1'])
  assert.deepEqual(shortly(remember(before, { ...snapshot(full.slice(1), 102), dropped: [dropped(), dropped()] }, 3_000)), ['a2', 'b1', 'g1', 'a1?3000'], 'one more of the same kind may be it')
})

test('what was forgotten together with others is not gone when nothing is unreadable any more', () => {
  const doubted = remember(first, { ...snapshot([g1], 101), dropped: [dropped({ registeredAs: undefined })] }, 2_000)
  assert.deepEqual(shortly(remember(doubted, snapshot([g1], 102), 3_000)), ['g1', 'a1?2000', 'a2?2000', 'b1?2000'])
})

test('a node that is another one of the same name has a catalogue begun anew: what is missing beside it is unconfirmed, and only that', () => {
  const at = (nodeIdentity: string, ...ids: string[]) => ids.map(id => ({ ...registration({ id }), nodeIdentity }))
  const before = remember(undefined, snapshot(at('x/10', 'a1', 'a2', 'a3'), 100), 1_000)
  const anew = remember(before, snapshot(at('y/10', 'a1', 'a4'), 112), 2_000)
  assert.deepEqual(shortly(anew), ['a1', 'a4', 'a2?2000', 'a3?2000'])
  assert.deepEqual(shortly(remember(anew, snapshot(at('y/10', 'a1'), 113), 3_000)), ['a1', 'a2?2000', 'a3?2000'], 'what it says from then on counts')
  assert.deepEqual(shortly(remember(before, snapshot(at('x/10', 'a1'), 101), 2_000)), ['a1'])
})

test('the node that is remembered of what cannot be read any more doubts no later answer', () => {
  const on = (nodeIdentity: string, like: object) => ({ ...registration({ id: 'a1' }), nodeIdentity, ...like })
  const before = remember(undefined, snapshot([on('x/10', {}), on('x/10', { id: 'a2' })], 100), 1_000)
  const unreadable = on('y/10', { names: [], malformed: 'its tags are no list of texts' })
  const anew = remember(before, snapshot([unreadable, on('y/10', { id: 'a3' })], 112), 2_000)
  assert.deepEqual(shortly(anew), ['a1', 'a3', 'a2?2000'])
  assert.deepEqual(shortly(remember(anew, snapshot([unreadable], 113), 3_000)), ['a1', 'a2?2000'])
})

test('what is unconfirmed stays so, keeps its time, and is confirmed when it is named again', () => {
  const forgotten = remember(first, snapshot([], 3, true), 2_000)
  const later = remember(forgotten, snapshot(of('Beta', 'b1'), 4), 3_000)
  assert.deepEqual(shortly(later), ['b1', 'a1?2000', 'a2?2000', 'g1?2000'])
  assert.equal(later.entries.get('dc1/vm/b1')?.firstSeenAt, 1_000)
})

test('its time ends', () => {
  const forgotten = remember(first, snapshot(of('Beta', 'b1'), 3, true), 2_000)
  assert.equal(expire(forgotten, 601_999, 600_000), forgotten)
  assert.deepEqual(shortly(expire(forgotten, 602_000, 600_000)), ['b1'])
})

test('another source is another truth: what its first answer leaves out is gone', () => {
  assert.deepEqual(shortly(remember({ ...first, replaced: true }, snapshot(of('Delta', 'd1'), 3), 2_000)), ['d1'])
})

test('what came from disk is doubted by the same rules', () => {
  const stale = { index: 100, entries: new Map([...first.entries].map(([id, entry]) => [id, { ...entry, stale: true }])) }
  const after = remember(stale, snapshot([], 5), 2_000)
  assert.deepEqual(shortly(after), ['a1?2000', 'a2?2000', 'b1?2000', 'g1?2000'])
  assert.ok([...after.entries.values()].every(entry => !entry.stale))
})

test('what an operator takes out of a file is out', () => {
  assert.deepEqual(shortly(remember(first, { ...snapshot(of('Beta', 'b1'), 101), registry: 'file' }, 2_000)), ['b1'])
})

test('the same id in two datacenters, or on two nodes, is two registrations', () => {
  const both = [registration({ id: 'web-1' }), registration({ id: 'web-1', datacenter: 'dc2' }), registration({ id: 'web-1', node: 'other' })]
  assert.equal(remember(undefined, snapshot(both, 1), 1_000).entries.size, 3)
})

test('what its registry does not vouch for any more says when that last did, until it is listed again', () => {
  const forgotten = remember(first, snapshot([], 3, true), 2_000, 1_500)
  const later = remember(forgotten, snapshot([broken({ id: 'a1' })], 4), 4_000, 3_000)
  const again = remember(later, snapshot(full, 5), 6_000, 5_000)
  const times = (memory: RegistryMemory) => ['a1', 'b1'].map(id => memory.entries.get(`dc1/vm/${id}`)?.vouchedAt)
  assert.deepEqual([first, forgotten, later, again].map(times), [[undefined, undefined], [1_500, 1_500], [1_500, 1_500], [undefined, undefined]])
})

test('an answer without an index, after one that had one, is doubted in what it leaves out, and so are those after it', () => {
  const before = remember(undefined, snapshot(full, 7), 0)
  const lost = remember(before, snapshot(full.slice(1), undefined), 10)
  const again = remember(lost, snapshot(full.slice(2), undefined), 20)
  assert.deepEqual([...again.entries.values()].filter(({ unconfirmedSince }) => unconfirmedSince !== undefined).map(({ unconfirmedSince }) => unconfirmedSince).toSorted((a, b) => a! - b!), [10, 20])
  const never = remember(remember(undefined, snapshot(full, undefined), 0), snapshot(full.slice(1), undefined), 10)
  assert.equal(never.entries.size, full.length - 1, 'who never gives one is believed')
})
