import { test } from 'node:test'
import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { SharedByText } from '../../src/lib/shared-by-text.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

test('the same text has one object, as long as somebody holds it', async () => {
  const shared = new SharedByText<object>()
  const held = shared.get('a', () => ({ n: 1 }))
  for (let n = 0; n < 100; n++) shared.get(`of nobody ${n}`, () => ({ n }))
  // Collected in one turn, and told of in a later one.
  for (let turns = 0; shared.size > 1 && turns < 1_000; turns++) {
    collect()
    await turn()
  }
  assert.equal(shared.size, 1)
  assert.equal(shared.get('a', () => assert.fail('it is held')), held)
  assert.notEqual(shared.get('b', () => ({ n: 2 })), held)
})

test('a text that makes nothing is asked again', () => {
  const shared = new SharedByText<object>()
  assert.equal(shared.get('<html>', () => undefined), undefined)
  const made = {}
  assert.equal(shared.get('<html>', () => made), made)
})
