import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLoop } from '../../src/control/loop.ts'

test('settled is when what was triggered by now has run, however much comes meanwhile', { timeout: 30_000 }, async () => {
  let runs = 0
  const loop = createLoop(async () => {
    runs++
    loop.trigger()
  }, { everyMs: 1, retryMs: 1, onError: assert.ifError })
  await loop.settled()
  assert.equal(runs, 0, 'nothing was wanted')
  loop.trigger()
  await loop.settled()
  assert.ok(runs > 0)
  await loop.close()
})
