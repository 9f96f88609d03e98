// What stands beside the registration of the process at an address: while nobody knows yet who is there now, and when it stands otherwise than when that process was asked.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decide } from '../../src/control/decide.ts'
import { explainEndpoint } from '../../src/control/explain-endpoint.ts'
import { toTargets } from '../../src/control/targets.ts'
import { inputOf, namesOf, statesOf, tableOf, type World } from './support.ts'

const [old, now, next] = [1, 2, 3].map(n => `ss-Catalog-00000000-0000-4000-8000-00000000000${n}`) as [string, string, string]
const get = { lists: ['GetProduct'] }
/** Decided by what the process said when its address stood as in `then`. */
const decideAfter = (then: World, world: World) => decide({ ...inputOf(world), knowledge: inputOf(then).knowledge })
const two = (health: 'passing' | 'critical' | 'maintenance' = 'passing'): World => ({ registrations: [{ id: old, health, createIndex: 10 }, { id: now, health, createIndex: 20 }] })
const asked: World = { ...two(), says: { 9101: { id: now, ...get } } }

test('a ghost stays one when checks turn, or another registration comes: its process is another one by its own word', () => {
  assert.deepEqual(statesOf(decideAfter(asked, two())), { [old]: 'ghost', [now]: 'routed' })
  assert.deepEqual(statesOf(decideAfter(asked, two('critical'))), { [old]: 'ghost', [now]: 'routed' })
  const third = decideAfter(asked, { registrations: [...two().registrations!, { id: next, createIndex: 30 }] })
  assert.deepEqual(statesOf(third), { [old]: 'ghost', [now]: 'routed', [next]: 'waiting' })
})

test('also while the process that said so is gone', () => {
  const silent: World = { ...asked, before: asked.says!, says: { 9101: 'silent' } }
  for (const world of [silent, two('critical')]) assert.deepEqual(statesOf(decideAfter(silent, world)), { [old]: 'ghost', [now]: 'routed' })
})

const alone: World = { registrations: [{ id: old }], says: { 9101: { id: old, ...get } } }
const refund = { id: now, names: ['GetProduct', 'Refund'], createIndex: 20 }

test('what a new registration carries is unread until its process says who it is: not what nobody has', () => {
  const decision = decideAfter(alone, { registrations: [{ id: old }, refund] })
  assert.deepEqual(statesOf(decision), { [old]: 'routed', [now]: 'waiting' })
  assert.deepEqual(tableOf(decision), ['GetProduct→Catalog 9101', 'Refund unread'])
  const renamed = decideAfter(alone, { registrations: [{ id: old }, { ...refund, service: 'Store' }] })
  assert.deepEqual([namesOf(renamed, 'Refund'), namesOf(renamed, 'GetProduct')], [{ Store: 'unread' }, { Catalog: 'routed', Store: 'quarantined' }])
})

test('nor is it shown that is hidden, or that another instance of the service lists as restricted', () => {
  assert.deepEqual(tableOf(decideAfter(alone, { registrations: [{ id: old }, refund], config: { exposure: { hide: ['Refund'] } } })), ['GetProduct→Catalog 9101', 'Refund hidden'])
})

test('in maintenance the order is said of the new one too, and the address is asked who is there: of two registrations one is dead', () => {
  const decision = decideAfter(alone, two('maintenance'))
  assert.deepEqual(statesOf(decision), { [old]: 'draining', [now]: 'draining' })
  assert.match(explainEndpoint(decision.endpoints.find(({ verdict }) => verdict.registration.id === now)!).why, /^Draining: .*maintenance/)
  assert.deepEqual(toTargets(decision, {}, new Map()).map(({ question }) => question.url), ['http://10.0.0.1:9101'])
  const told = decideAfter({ ...two('maintenance'), says: { 9101: { id: now, ...get } } }, two('maintenance'))
  assert.deepEqual(statesOf(told), { [old]: 'ghost', [now]: 'draining' })
  assert.deepEqual(toTargets(told, {}, new Map()), [], 'whoever is known is left alone')
})

test('nobody is a ghost by a question that nobody answered: the one that is starting waits on when a check turns', () => {
  const silent = { ...alone, registrations: [{ id: old }, refund], before: alone.says!, says: { 9101: 'silent' as const } }
  for (const health of ['passing', 'critical'] as const) {
    const decision = decideAfter(silent, { registrations: [{ id: old, health }, refund] })
    assert.deepEqual([statesOf(decision)[now], namesOf(decision, 'Refund')], ['waiting', { Catalog: 'unread' }])
  }
})

test('nor by the age of a registration in another registry', () => {
  assert.equal(statesOf(decideAfter(alone, { registrations: [{ id: old }, { ...refund, registry: 'embedded' }] }))[now], 'waiting')
})

test('where nobody answers any more a ghost is not called safe to remove: it may be its own process that comes back', () => {
  const silent: World = { ...asked, before: asked.says!, says: { 9101: 'silent' } }
  const ghost = decideAfter(silent, two()).endpoints.find(({ verdict }) => verdict.registration.id === old)!
  assert.match(explainEndpoint(ghost).why, /last said that it runs as .*, and nobody answers now\.$/)
  assert.doesNotMatch(explainEndpoint(ghost).hint, /safe/)
})

test('a name does not stay with a service whose only process never came: after a while it is of the one that has it', () => {
  const pay: World = { registrations: [{ id: 'o1', service: 'Old', names: ['Gone'], createIndex: 5 }, { id: 'c2', createIndex: 20, names: ['Pay'] }, { id: 'z1', service: 'Zeta', port: 9102, names: ['Pay'], createIndex: 30 }] }
  const before = inputOf({ ...pay, says: { 9101: { id: 'o1', lists: ['Gone'] }, 9102: { id: 'z1', lists: ['Pay'] } } }).knowledge
  const silent = inputOf({ ...pay, before: { 9101: { id: 'o1', lists: ['Gone'] } }, says: { 9101: 'silent', 9102: { id: 'z1', lists: ['Pay'] } } }).knowledge
  const owned = { ...decide({ ...inputOf(pay), knowledge: before }).memory, owners: new Map([['pay', { upstream: 'Catalog', since: 1 }]]) }
  const at = (seconds: number) => decide({ ...inputOf({ ...pay, memory: owned }), knowledge: silent, now: 1_000_000 + seconds * 1_000 })
  assert.deepEqual(tableOf(at(1)), ['Gone→Old 9101', 'Pay unread'])
  assert.ok(at(1).nextAt !== undefined)
  assert.deepEqual(tableOf(at(31)), ['Gone→Old 9101', 'Pay→Zeta 9102'])
})

test('a check that passes again where nobody was brings no calls before the process there has said what it is', () => {
  const elsewhere = { id: next, port: 9102 }
  const dead: World = { registrations: [{ id: old, health: 'critical' }, elsewhere], before: alone.says!, says: { 9101: 'silent', 9102: { id: next, ...get } } }
  const back: World = { registrations: [{ id: old }, elsewhere] }
  assert.deepEqual([statesOf(decideAfter(dead, back)), tableOf(decideAfter(dead, back))], [{ [old]: 'waiting', [next]: 'routed' }, ['GetProduct→Catalog 9102']])
  // It had traffic until now, which is kept from it by the data plane until it can connect; and once asked the check counts, whatever came of the question.
  assert.equal(statesOf(decide({ ...inputOf(back), knowledge: inputOf(dead).knowledge, memory: decideAfter(alone, back).memory }))[old], 'routed')
  assert.equal(statesOf(decideAfter({ ...back, before: alone.says!, says: { 9101: 'silent' } }, back))[old], 'routed')
})
