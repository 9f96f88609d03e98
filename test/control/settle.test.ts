import assert from 'node:assert/strict'
import { test } from 'node:test'
import { settle } from '../../src/control/settle.ts'
import { decideWorld, namesOf, type World } from './support.ts'

const a = { id: 'a', port: 9101, service: 'Alpha', names: ['Pay'] }
const b = { id: 'b', port: 9102, service: 'Beta', names: ['Pay'], createIndex: 20 }
const c = { id: 'c', port: 9103, service: 'Gamma', names: ['Pay', 'Rest'] }
const says: World['says'] = { 9101: { id: 'a', lists: ['Pay'] }, 9102: { id: 'b', lists: ['Pay'] }, 9103: { id: 'c', lists: ['Rest'] } }
const world: World = { registrations: [a, b, c], says }

test('the upstream an operator names owns the message from the next decision on, with the reason', () => {
  const decision = decideWorld(world)
  assert.deepEqual(namesOf(decision, 'Pay'), { Alpha: 'routed', Beta: 'quarantined', Gamma: 'absent' })
  const settled = settle({ message: 'PAY', upstream: 'Beta', note: 'agreed' }, { decision, owners: decision.memory.owners, yaml: undefined, now: 7 })
  assert.ok(settled.kind === 'settled')
  assert.deepEqual(settled.owner, { upstream: 'Beta', since: 7, moved: { from: 'Alpha', because: 'settled', note: 'agreed' }, settled: { at: 7, note: 'agreed' } })
  const next = decideWorld({ ...world, memory: { ...decision.memory, owners: new Map(decision.memory.owners).set(settled.key, settled.owner) } })
  assert.deepEqual(namesOf(next, 'Pay'), { Alpha: 'quarantined', Beta: 'routed', Gamma: 'absent' })
  const gone = decideWorld({ ...world, registrations: [a, c], memory: next.memory })
  assert.deepEqual(namesOf(gone, 'Pay'), { Alpha: 'routed', Gamma: 'absent' }, 'an owner like any other')
  assert.deepEqual(gone.moves, [{ from: 'Beta', because: 'gone' }])
})

test('it settles what nobody gets because its owner has left', () => {
  const memory = { ...decideWorld(world).memory, owners: new Map([['pay', { upstream: 'Left', since: 1 }]]) }
  const decision = decideWorld({ ...world, memory })
  assert.deepEqual(namesOf(decision, 'Pay'), { Alpha: 'conflict', Beta: 'conflict', Gamma: 'absent' })
  const settled = settle({ message: 'Pay', upstream: 'Beta' }, { decision, owners: decision.memory.owners, yaml: undefined, now: 7 })
  assert.ok(settled.kind === 'settled' && settled.owner.moved?.from === 'Left')
})

const refusals: ReadonlyArray<readonly [sentence: string, wish: { message: string, upstream: string }, yaml: string | undefined, code: string]> = [
  ['a message that nobody has', { message: 'Nothing', upstream: 'Alpha' }, undefined, 'MessageUnknown'],
  ['an upstream that does not claim it', { message: 'Pay', upstream: 'Delta' }, undefined, 'NotItsMessage'],
  ['an upstream whose own list lacks it', { message: 'Pay', upstream: 'Gamma' }, undefined, 'NotItsMessage'],
  ['what postern.yaml has settled', { message: 'Pay', upstream: 'Beta' }, 'Alpha', 'SettledByConfiguration']
]
for (const [sentence, wish, yaml, code] of refusals) {
  test(`refused: ${sentence}`, () => {
    const decision = decideWorld(world)
    const settled = settle(wish, { decision, owners: decision.memory.owners, yaml, now: 7 })
    assert.equal(settled.kind === 'refused' ? settled.code : settled.kind, code)
  })
}
