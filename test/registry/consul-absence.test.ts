import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeAbsence } from '../../src/registry/consul-absence.ts'

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
