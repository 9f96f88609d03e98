import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeAbsence, judgeNodes, leavesOutAll } from '../../src/registry/consul-absence.ts'
import type { CatalogNode } from '../../src/registry/consul-agent.ts'
import { registration } from '../control/support.ts'
import { healthEntry } from '../support/fake-consul.ts'

for (const [sentence, acl, index, before, after, expected] of [
  ['without access rules nothing is withheld', 'off', 17, 21, 21, 'gone'],
  ['whoever does not know the question is believed', 'unknown', 17, 21, 21, 'gone'],
  ['an index of the service\'s own: it exists', 'on', 19, 21, 21, 'withheld'],
  ['after something else vanished', 'on', 30, 26, 26, 'withheld'],
  ['the same index tells nothing', 'on', 26, 26, 26, 'doubtful'],
  ['nor does one of a catalogue that moves meanwhile', 'on', 27, 26, 29, 'doubtful'],
  ['no index tells nothing that could be doubted', 'on', undefined, 26, 26, 'gone']
] as const) {
  test(sentence, () => assert.equal(judgeAbsence(acl, index, before, after), expected))
}

const on = (node: string, id: string) => registration({ id, node, nodeIdentity: `${node}-id/10` })
const [here, also, there] = [on('a', 'one'), on('a', 'two'), on('b', 'three')]
const same = (node: string, ...ids: string[]) => [node, { identity: `${node}-id/10`, services: new Map(ids.map(id => [id, 'api'])) }] as const
const renamed = (node: string, id: string) => [node, { identity: `${node}-id/10`, services: new Map([[id, 'other']]) }] as const
const another = (node: string) => [node, { identity: `${node}-new/10`, services: new Map<string, string>() }] as const
const left = (node: string) => [node, { identity: undefined, services: new Map<string, string>() }] as const
for (const [sentence, before, nodes, expected] of [
  ['its node is the one it was, without it: an operator took it out', [here, also], [same('a', 'another')], 'gone'],
  ['its node still has it: who answered lies', [here, also], [same('a', 'two')], 'listed'],
  ['its node has it under another name: it was registered anew', [here], [renamed('a', 'one')], 'gone'],
  ['its node was made anew: the catalogue has lost what it had', [here, there], [another('a'), another('b')], 'doubtful'],
  ['its node has left, with all that was on it', [here], [left('a')], 'doubtful'],
  ['one of two nodes has left, and the other tells that it is still the same catalogue', [here, there], [left('a'), same('b')], 'gone'],
  ['nobody may ask', [here], [['a', 'unknown']], 'gone'],
  ['which node it was is not known', [registration({ id: 'one', node: 'a' })], [left('a')], 'gone'],
  ['nothing was registered', [], [], 'gone']
] as const) {
  test(`what the nodes say: ${sentence}`, () => assert.equal(judgeNodes(before, new Map<string, CatalogNode | 'unknown'>(nodes)), expected))
}

const listed = (node: string, id: string) => healthEntry(id, { node: { Node: node } })
for (const [sentence, before, entries, expected] of [
  ['it is empty', [here], [], true],
  ['it names others only, of another node', [here, also, there], [listed('c', 'four')], true],
  ['it names others only, of the same node', [here, also], [listed('a', 'four')], true],
  ['it names the same ids on another node', [here, also], [listed('c', 'one'), listed('c', 'two')], true],
  ['it still names one of them', [here, also], [listed('c', 'four'), listed('a', 'two')], false],
  ['one of two nodes has left', [here, also, there], [listed('b', 'three')], false],
  ['an entry of it has no id, and may be one of them', [here], [listed('c', 'four'), listed('a', '')], false],
  ['an entry of it has no node, and may be one of them', [here], [listed('', 'one')], false],
  ['nothing was registered', [], [listed('c', 'four')], false]
] as const) {
  test(`whether an answer leaves out all that was registered: ${sentence}`, () => assert.equal(leavesOutAll(before, entries), expected))
}
