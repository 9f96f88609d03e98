import assert from 'node:assert/strict'
import { test } from 'node:test'
import { batchSize, diff, namesOf, toBatches, unknownPlan } from '../../src/control/diff.ts'
import { emptyPlan } from '../../src/control/plan.ts'
import type { Change } from '../../src/routing/plan.ts'
import { decideWorld, operation, type RegistrationLike, type World } from './support.ts'

const plan = (world: World) => decideWorld(world).plan
const one: RegistrationLike = { id: 'a', names: ['GetProduct', 'Search'] }
/** The last one gives its upstream a path that is kept from prefix routes. */
const lists = ['GetProduct', 'Search', operation('Reindex', { restricted: true, routes: ['/reindex'] })]
const says = { 9101: { id: 'a', lists }, 9102: { id: 'b', lists } }
const shortly = (changes: readonly Change[]) => changes.map(change => change.kind === 'upstream' ? `upstream ${change.plan.name}` : change.kind === 'message' ? `message ${change.plan.name}` : change.kind === 'message-gone' ? `gone ${change.key}` : change.kind === 'upstream-gone' ? `gone ${change.name}` : `paths ${change.upstream} ${change.routes.length}`)

test('the same world decided twice has no difference', () => {
  assert.deepEqual(diff(plan({ registrations: [one], says }), plan({ registrations: [one], says })), [])
})
test('everything is new at first: upstreams before their messages', () => {
  assert.deepEqual(shortly(diff(emptyPlan, plan({ registrations: [one], says }))), ['upstream Catalog', 'message GetProduct', 'message Search', 'paths Catalog 1'])
})
test('another endpoint of the service changes the upstream and none of its messages', () => {
  assert.deepEqual(shortly(diff(plan({ registrations: [one], says }), plan({ registrations: [one, { ...one, id: 'b', port: 9102 }], says }))), ['upstream Catalog'])
})
test('what is gone goes after everything else, upstreams last', () => {
  assert.deepEqual(shortly(diff(plan({ registrations: [one], says }), plan({ registrations: [{ ...one, service: 'New' }], says }))), ['upstream New', 'message GetProduct', 'message Search', 'paths New 1', 'paths Catalog 0', 'gone Catalog'])
  assert.deepEqual(shortly(diff(plan({ registrations: [one], says }), emptyPlan)), ['gone getproduct', 'gone search', 'paths Catalog 0', 'gone Catalog'])
})
test('weight, version, state and exposure are differences', () => {
  const before = plan({ registrations: [one], says })
  assert.deepEqual(shortly(diff(before, plan({ registrations: [{ ...one, weights: { passing: 2, warning: 1 } }], says }))), ['upstream Catalog'])
  assert.deepEqual(shortly(diff(before, plan({ registrations: [{ ...one, version: '2.0' }], says }))), ['upstream Catalog'])
  assert.deepEqual(shortly(diff(before, plan({ registrations: [one], says, config: { exposure: { hide: ['Search'] } } }))), ['message Search'])
})
test('a plan of unknown contents differs in every name, and what it has too much is gone', () => {
  const target = plan({ registrations: [one], says })
  const before = unknownPlan(namesOf(target), { upstreams: ['Old'], messages: [['old', 'Old']], customRoutes: ['Old'] })
  assert.deepEqual(shortly(diff(before, target)), ['upstream Catalog', 'message GetProduct', 'message Search', 'gone old', 'paths Catalog 1', 'paths Old 0', 'gone Old'])
})
for (const [count, sizes] of [[0, [0]], [1, [1]], [batchSize, [batchSize]], [batchSize + 1, [batchSize, 1]]] as const) {
  test(`${count} changes make batches of ${sizes.join(' and ')}, the last one commits`, () => {
    const batches = toBatches(Array.from({ length: count }, (_, index): Change => ({ kind: 'message-gone', key: `m${index}` })), 7)
    assert.deepEqual(batches.map(({ changes }) => changes.length), sizes)
    assert.deepEqual(batches.map(({ last }) => last), sizes.map((_, index) => index === sizes.length - 1))
    assert.ok(batches.every(({ configGeneration }) => configGeneration === 7))
  })
}
