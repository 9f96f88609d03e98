// When the state of a registry is a line of the log.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeRegistry } from '../../src/control/changes-log.ts'
import type { WatchState } from '../../src/registry/registration.ts'

const state = (registry: WatchState['registry'], error?: string): WatchState => ({ registry, ok: error === undefined, lastGoodAt: 1, error, agent: undefined })
/** What is logged of states one after the other: '' for nothing. */
const told = (registry: WatchState['registry'], errors: ReadonlyArray<string | undefined>) => {
  let before: WatchState | undefined
  return errors.map(error => {
    const after = state(registry, error)
    const line = describeRegistry(before, after, 0)
    before = after
    return line === undefined ? '' : line.fields['error'] ?? line.message
  })
}

test('each mistake in a services file is logged, and each once', () => {
  assert.deepEqual(told('file', [undefined, 'is empty', 'is empty', 'not valid YAML', 'ENOENT', undefined, undefined, 'is empty']), ['registry answers', 'is empty', '', 'not valid YAML', 'ENOENT', 'registry answers', '', 'is empty'])
})

test('of an agent that does not answer the first failure is', () => {
  assert.deepEqual(told('consul', ['refused', 'timed out', undefined, 'refused']), ['refused', '', 'registry answers', 'refused'])
})
