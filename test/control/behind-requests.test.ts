import { test } from 'node:test'
import assert from 'node:assert/strict'
import { createFleetWatch } from '../../src/control/behind-requests.ts'

test('a small fleet leaves the control thread beside requests; a large one puts it behind them, once', () => {
  let puts = 0
  const watch = createFleetWatch(() => { puts++ })
  watch(500)
  assert.equal(puts, 0)
  watch(501)
  watch(5_000)
  watch(3)
  watch(600)
  assert.equal(puts, 1)
})
