import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pack, unpack } from '../../src/control/packed.ts'
import type { Change, ChangeBatch, MessagePlan } from '../../src/routing/plan.ts'

const all = ['http://10.0.0.1:80', 'http://10.0.0.2:80']
const plan = (name: string, more: Partial<MessagePlan> = {}): MessagePlan => ({ key: name.toLowerCase(), name, state: 'routed', upstream: 'Catalog', endpoints: all, alternatives: undefined, suggest: true, effect: undefined, ...more })
const message = (name: string, more: Partial<MessagePlan> = {}): Change => ({ kind: 'message', plan: plan(name, more) })
const batchOf = (...changes: Change[]): ChangeBatch => ({ changes, last: true, configGeneration: 3, incomplete: true })
const crossed = (batch: ChangeBatch) => unpack(structuredClone(pack(batch)))

test('what crosses is what was sent, in its order', () => {
  const upstream: Change = { kind: 'upstream', plan: { name: 'Catalog', endpoints: [], levels: [], apiForm: true, servicestack: true, lists: 'read' } }
  const route = (path: string, verbs: string[], routed: boolean) => ({ path, verbs, message: path.slice(1), routed })
  const batch = batchOf(
    upstream, message('A'), message('B'), message('C', { state: 'hidden', endpoints: undefined, suggest: false }), message('D', { upstream: 'Orders' }),
    { kind: 'message-gone', key: 'x' }, message('E', { upstream: 'Orders' }), message('F', { alternatives: [{ upstream: 'Other', endpoints: all }] }), message('G', { effect: 'safe' }), message('H', { key: 'other' }),
    { kind: 'custom-routes', upstream: 'Catalog', routes: [route('/a', [], true), route('/b', ['GET', 'POST'], false), route('/c', ['GET'], true), route('/d', [], true)] },
    { kind: 'custom-routes', upstream: 'Orders', routes: [] }, { kind: 'upstream-gone', name: 'Old' })
  assert.deepEqual(crossed(batch), batch)
  assert.deepEqual(crossed(batchOf()), batchOf())
})

test('messages with the same endpoints still share one list of them', () => {
  const plans = crossed(batchOf(message('A'), message('B'), message('C', { suggest: false }))).changes.map(change => change.kind === 'message' ? change.plan.endpoints : [])
  assert.ok(plans.every(endpoints => endpoints === plans[0]))
})
