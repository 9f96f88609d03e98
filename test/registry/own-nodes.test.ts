// Which nodes are this machine: each agent's word holds until it says otherwise, or nobody asks it any more.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OwnNodes } from '../../src/registry/own-nodes.ts'

const vm = { node: 'vm', datacenter: 'dc1' }
const listed = (node: string, address: string) => ({ Node: { Node: node, Address: address, Datacenter: 'dc1' } })

test('a node of the same name in another datacenter is another machine; where one of the two is not known the name decides', () => {
  const own = new OwnNodes([['a', vm]])
  assert.deepEqual([own.has('vm', 'dc1'), own.has('vm', 'dc2'), own.has('vm', undefined), own.has('other', 'dc1')], [true, false, true, false])
})

test('what an agent says replaces its own earlier word, not that of another', () => {
  const own = new OwnNodes()
  own.told('a', vm, ['a', 'b'])
  own.told('b', { node: 'server-1', datacenter: 'dc1' }, ['a', 'b'])
  assert.deepEqual([own.has('vm', 'dc1'), own.has('server-1', 'dc1')], [true, true])
  own.told('a', { node: 'renamed', datacenter: 'dc1' }, ['a', 'b'])
  assert.deepEqual([own.has('vm', 'dc1'), own.has('renamed', 'dc1'), own.has('server-1', 'dc1')], [false, true, true])
  assert.equal(own.changes, 3)
  own.told('a', { node: 'renamed', datacenter: 'dc1' }, ['a', 'b'])
  assert.equal(own.changes, 3, 'the same again is no change')
})

test('an agent that is no longer configured has no word as soon as one that is has spoken', () => {
  const own = new OwnNodes([['old', vm]])
  assert.equal(own.has('vm', 'dc1'), true)
  own.told('new', { node: 'renamed', datacenter: 'dc1' }, ['new'])
  assert.deepEqual(own.said, [['new', { node: 'renamed', datacenter: 'dc1' }]])
})

test('a guess holds until the agent tells, and never against what it told', () => {
  const own = new OwnNodes()
  own.guess('a', [null, listed('far', '198.51.100.7'), listed('near', '127.0.0.1')], ['a'])
  assert.deepEqual([own.has('far', 'dc1'), own.has('near', 'dc1'), own.knows('a')], [false, true, false])
  own.guess('a', [], ['a'])
  assert.equal(own.has('near', 'dc1'), true)
  own.told('a', vm, ['a'])
  own.guess('a', [listed('near', '127.0.0.1')], ['a'])
  assert.deepEqual([own.has('vm', 'dc1'), own.has('near', 'dc1'), own.said.length], [true, false, 1])
})
