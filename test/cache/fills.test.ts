import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fills } from '../../src/cache/fills.ts'

test('marks are bounded by what they take, too: long keys push out the eldest', () => {
  const fills = new Fills()
  const key = (n: number) => `${n}${'x'.repeat(12_000)}`
  for (let n = 0; n < 1_000; n++) fills.mark(key(n), 60_000)
  const kept = Array.from({ length: 1_000 }, (_, n) => n).filter(n => fills.isMarked(key(n)))
  assert.ok(kept.length > 0 && kept.length * 12_000 <= 2_000_000, `${kept.length}`)
  assert.equal(kept.at(-1), 999)
})
