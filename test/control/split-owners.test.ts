// Whose the names of a service are that is split into several new ones, and ends before they are deregistered, as real hosts do.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeChanges } from '../../src/control/changes-log.ts'
import { emptyMemory, type Decision } from '../../src/control/plan.ts'
import { decideWorld, tableOf, type RegistrationLike, type World } from './support.ts'

const whole = { id: 'w', port: 9101, service: 'Whole', names: ['Cc', 'Dd'], createIndex: 10 }
const halfC = { id: 'c', port: 9102, service: 'HalfC', names: ['Cc'], createIndex: 20 }
const halfD = { id: 'd', port: 9103, service: 'HalfD', names: ['Dd'], createIndex: 30 }
const all = [whole, halfC, halfD]
const owned = { ...emptyMemory, owners: new Map(['cc', 'dd'].map(key => [key, { upstream: 'Whole', since: 1 }])) }
const says = (registrations: readonly RegistrationLike[]): NonNullable<World['says']> => Object.fromEntries(registrations.map(({ id, port, names = [] }) => [port, { id, lists: names }]))
const maintained = { health: 'maintenance' } as const
const [wholes, halves] = ['Cc→Whole 9101 Dd→Whole 9101', 'Cc→HalfC 9102 Dd→HalfD 9103']

/** `said`: by those who do not say what they list now. The owner has said it before. */
const decided = (registrations: readonly RegistrationLike[], said: NonNullable<World['says']>, memory = owned): Decision =>
  decideWorld({ registrations, before: says(registrations.filter(({ service }) => service === 'Whole')), says: { ...says(registrations), ...said }, memory })
const tableOfBoth = (decision: Decision) => tableOf(decision).filter(row => /Cc|Dd/.test(row)).join(' ')

const rows: ReadonlyArray<readonly [sentence: string, registrations: readonly RegistrationLike[], said: NonNullable<World['says']>, table: string]> = [
  ['while it lives it has them', all, {}, wholes],
  ['its last instance refuses connections: each name passes at once', all, { 9101: 'silent' }, halves],
  ['the same where it is drained', [{ ...whole, ...maintained }, halfC, halfD], {}, halves],
  ['and where one of two is drained and the other dead', [{ ...whole, ...maintained }, { ...whole, id: 'w2', port: 9104, createIndex: 11 }, halfC, halfD], { 9104: 'silent' }, halves],
  ['one of two lives', [...all, { ...whole, id: 'w2', port: 9104, createIndex: 11 }], { 9101: 'silent' }, 'Cc→Whole 9101,9104 Dd→Whole 9101,9104'],
  ['it is slow', all, { 9101: 'slow' }, wholes],
  ['it is not well', all, { 9101: 'sick' }, wholes],
  ['it fails its checks, and answers', [{ ...whole, health: 'critical' }, halfC, halfD], {}, wholes],
  ['a half is missing', [whole, halfC], { 9101: 'silent' }, wholes],
  ['a half is dead too', all, { 9101: 'silent', 9103: 'silent' }, wholes],
  ['nobody knows yet what a half lists', all, { 9101: 'silent', 9103: { id: 'd', unread: true } }, wholes],
  ['a half was there before it', [whole, halfC, { ...halfD, createIndex: 5 }], { 9101: 'silent' }, wholes],
  ['two claim one of its names: which is the part is a guess', [...all, { ...halfD, id: 'e', port: 9105, service: 'Other', createIndex: 40 }], { 9101: 'silent' }, wholes],
  ['one has both, and another one has one of them too: what two claim stays', [whole, { ...halfC, names: ['Cc', 'Dd'] }, halfD], { 9101: 'silent' }, 'Cc→HalfC 9102 Dd→Whole 9101'],
  ['the halves have more than it had', [whole, { ...halfC, names: ['Cc', 'Xx'] }, { ...halfD, names: ['Dd', 'Yy'] }], { 9101: 'silent' }, halves],
  ['three parts, one of them of two names', [{ ...whole, names: ['Aa', 'Bb', 'Cc', 'Dd'] }, { ...halfC, id: 'ab', port: 9106, service: 'HalfAB', names: ['Aa', 'Bb'] }, halfC, halfD], { 9101: 'silent' }, halves],
  ['it had a single name, and who claims it has others: that may be a mistake', [{ ...whole, names: ['Cc'] }, { ...halfC, names: ['Cc', 'Xx'] }], { 9101: 'silent' }, 'Cc→Whole 9101']
]

for (const [sentence, registrations, said, table] of rows) {
  test(sentence, () => {
    const memory = { ...owned, owners: new Map(whole.names.concat('Aa', 'Bb').map(name => [name.toLowerCase(), { upstream: 'Whole', since: 1 }])) }
    assert.equal(tableOfBoth(decided(registrations, said, memory)), table)
  })
}

/** It had both names before it was merged into Whole with another one. */
const former = { id: 'f', port: 9110, service: 'Former', names: ['Cc', 'Dd'], createIndex: 5 }
const forgotten = { ...former, unconfirmedSince: 999_000 }
const store = { id: 's', port: 9120, service: 'Store', names: ['Cc', 'Dd'], createIndex: 40 }
for (const [sentence, first, said, counts] of [
  ['forgotten by its registry and dead it does not count', forgotten, { 9110: 'silent' }, false],
  ['forgotten by its registry and drained neither', { ...forgotten, ...maintained }, {}, false],
  ['forgotten and answering it does', forgotten, {}, true],
  ['forgotten and slow it does', forgotten, { 9110: 'slow' }, true],
  ['dead and still listed it does', former, { 9110: 'silent' }, true]
] as const) {
  test(`of what was merged into a service, where that is split or renamed later: ${sentence}`, () => {
    const drained = { ...whole, ...maintained }
    const after = (...later: RegistrationLike[]) => decideWorld({ registrations: [first, drained, ...later], before: { ...says([first]), ...says([whole]) }, says: { ...says([first, ...later]), ...said }, memory: owned })
    assert.equal(tableOfBoth(after(halfC, halfD)), counts ? 'Cc→Whole  Dd→Whole ' : halves)
    assert.equal(tableOfBoth(after(store)), counts ? 'Cc→Whole  Dd→Whole ' : 'Cc→Store 9120 Dd→Store 9120')
    // Who is deregistered leaves them to the only other one that counts; where that is what was forgotten, it has them as before.
    const gone = decideWorld({ registrations: [first, store], before: says([first]), says: { ...says([first, store]), ...said }, memory: owned })
    assert.deepEqual(gone.plan.messages.get('cc')?.upstream, counts ? undefined : 'Store')
    const alone = decideWorld({ registrations: [first], before: says([first]), says: { ...says([first]), ...said }, memory: owned })
    assert.equal(alone.plan.messages.get('cc')?.upstream, 'Former')
  })
}

test('each name is logged as moved, and goes back where the service was only restarted', () => {
  const before = decided(all, {})
  const split = decided(all, { 9101: 'silent' }, before.memory as typeof owned)
  assert.deepEqual(split.moves, [{ from: 'Whole', because: 'stopped' }, { from: 'Whole', because: 'stopped' }])
  const lines = describeChanges(before, split).filter(({ message }) => message === 'message moved')
  assert.deepEqual(lines.map(({ fields }) => `${fields['name']} ${fields['service']} from ${fields['from']}`).sort(), ['Cc HalfC from Whole', 'Dd HalfD from Whole'])
  const stays = decided(all, { 9101: 'silent' }, split.memory as typeof owned)
  assert.deepEqual([tableOfBoth(stays), stays.moves], [halves, []])
  const back = decided(all, {}, split.memory as typeof owned)
  assert.deepEqual([tableOfBoth(back), back.moves.map(({ because }) => because)], [wholes, ['returned', 'returned']])
})
