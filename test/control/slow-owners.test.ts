// Whose a name is while its owner takes connections and does not answer our own questions in time: slow, or hung.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decide } from '../../src/control/decide.ts'
import { heard, learn } from '../../src/control/knowledge.ts'
import { emptyMemory, type Decision } from '../../src/control/plan.ts'
import { decideWorld, inputOf, namesOf, toAnswer, type RegistrationLike, type World } from './support.ts'

const lists = (id: string, ...names: string[]) => ({ id, lists: names })
const a = { id: 'a', port: 9101, service: 'Alpha', names: ['Pay'], createIndex: 50 }
const b = { id: 'b', port: 9102, service: 'Beta', names: ['Pay'], createIndex: 60 }
const ownedByAlpha = { ...emptyMemory, owners: new Map([['pay', { upstream: 'Alpha', since: 1 }]]) }
const [stays, passes] = [{ Alpha: 'routed', Beta: 'quarantined' }, { Alpha: 'quarantined', Beta: 'routed' }]
const url = 'http://10.0.0.1:9101'

/** As the owner stands, it has been asked in vain since 1,000,000; decided at `now`. */
function slowOwner (owner: RegistrationLike, now: number, { heardAt = 0, ...more }: World & { heardAt?: number } = {}): Decision {
  const input = inputOf({ registrations: [owner, b], before: { 9101: lists('a', 'Pay') }, says: { 9101: 'slow', 9102: lists('b', 'Pay') }, memory: ownedByAlpha, ...more })
  return decide({ ...input, knowledge: new Map(input.knowledge).set(url, heard(input.knowledge.get(url)!, heardAt)), now })
}

const rows: ReadonlyArray<readonly [sentence: string, decision: Decision, names: Record<string, string>]> = [
  ['while its checks pass it is slow, however long', slowOwner(a, 9_000_000), stays],
  ['while they warn too', slowOwner({ ...a, health: 'warning' }, 9_000_000), stays],
  ['while they fail it may be slow for a while', slowOwner({ ...a, health: 'critical' }, 1_029_999), stays],
  ['and is gone after that', slowOwner({ ...a, health: 'critical' }, 1_030_000), passes],
  ['unless calls hear of it', slowOwner({ ...a, health: 'critical' }, 1_030_000, { heardAt: 1_000_001 }), stays],
  ['which says nothing of the time after', slowOwner({ ...a, health: 'critical' }, 1_030_001, { heardAt: 1_000_001 }), passes],
  ['nor does what they heard before', slowOwner({ ...a, health: 'critical' }, 1_030_000, { heardAt: 999_999 }), passes],
  ['where nobody checks it, calls decide alone', slowOwner({ ...a, health: 'unchecked' }, 1_030_000, { heardAt: 1_000_001 }), stays],
  ['and where there are none, it is gone after that', slowOwner({ ...a, health: 'unchecked' }, 1_030_000), passes],
  ['checks that passed before its registry forgot it say nothing now', slowOwner({ ...a, unconfirmedSince: 1_000_000 }, 1_030_000), passes],
  ['who takes no connections is gone, whatever its checks say', decideWorld({ registrations: [a, { ...b, createIndex: 10 }], before: { 9101: lists('a', 'Pay') }, says: { 9101: 'silent', 9102: lists('b', 'Pay') }, memory: ownedByAlpha, config: { registry: { ownerGoneMs: 0 } } }), passes]
]

for (const [sentence, decision, names] of rows) test(sentence, () => assert.deepEqual(namesOf(decision, 'Pay'), names))

test('the loop is told when it is gone, and that it is to be asked on', () => {
  const decision = slowOwner({ ...a, health: 'critical' }, 1_000_000, { heardAt: 1_000_500 })
  assert.deepEqual([decision.nextAt, decision.watched.has(url)], [1_030_500, true])
  assert.equal(slowOwner(a, 1_000_000).nextAt, undefined)
})

test('silence of one that listens begins anew when its registry says something else, and when it refuses connections', () => {
  const at = (said: 'slow' | 'silent', key: string, now: number, before = learn(undefined, toAnswer('slow'), 'a=p', 1_000)) => learn(before, toAnswer(said), key, now).silent?.since
  assert.equal(at('slow', 'a=p', 2_000), 1_000)
  assert.equal(at('slow', 'a=c', 2_000), 2_000)
  assert.equal(at('silent', 'a=p', 2_000), 2_000)
  assert.equal(at('silent', 'a=c', 2_000, learn(undefined, toAnswer('silent'), 'a=p', 1_000)), 1_000, 'who refuses them is gone whatever its registry says')
})

test('what was asked before its registry said that it fails is no answer', () => {
  const input = inputOf({ registrations: [a, b], before: { 9101: lists('a', 'Pay') }, says: { 9101: 'slow', 9102: lists('b', 'Pay') }, memory: ownedByAlpha })
  const { entries } = inputOf({ registrations: [{ ...a, health: 'critical' }, b] })
  assert.deepEqual(namesOf(decide({ ...input, entries, now: 9_000_000 }), 'Pay'), stays)
})

test('the last instance that has the name, while the others live without it, keeps it while it is slow', () => {
  const rest = { ...a, id: 'a2', port: 9104, names: ['Rest'] }
  const decided = (said: 'slow' | 'silent') => namesOf(decideWorld({ registrations: [a, rest, b], before: { 9101: lists('a', 'Pay') }, says: { 9101: said, 9102: lists('b', 'Pay'), 9104: lists('a2', 'Rest') }, memory: ownedByAlpha }), 'Pay')
  assert.deepEqual([decided('slow'), decided('silent')], [stays, passes])
})
