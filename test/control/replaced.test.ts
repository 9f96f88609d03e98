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
