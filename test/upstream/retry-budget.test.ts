import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RetryBudget } from '../../src/upstream/retry-budget.ts'

function make (limits: { percent?: number, perSecond?: number, windowMs?: number } = {}) {
  let now = 12_345
  const budget = new RetryBudget({ percent: 20, perSecond: 0, windowMs: 10_000, ...limits }, () => now)
  return {
    budget,
    pass: (ms: number) => { now += ms },
    exchanges: (count: number) => { for (let i = 0; i < count; i++) budget.exchange() },
    takeAll: (most = 1_000) => { let taken = 0; while (taken < most && budget.take()) taken++; return taken }
  }
}

test('a share of the exchanges in the window, no more', () => {
  const { budget, exchanges, takeAll } = make()
  assert.equal(budget.take(), false)
  exchanges(100)
  assert.equal(budget.left, 20)
  assert.equal(takeAll(), 20)
  assert.equal(budget.left, 0)
  exchanges(4)
  assert.equal(budget.take(), false, '104 exchanges pay for 20')
  exchanges(1)
  assert.equal(budget.take(), true)
  assert.equal(budget.refused, 3)
})

test('exchanges pay only within the window', () => {
  const { pass, exchanges, takeAll } = make()
  exchanges(100)
  pass(8_000)
  exchanges(50)
  assert.equal(takeAll(10), 10)
  pass(3_000)
  // The hundred have gone, what they paid for has not.
  assert.equal(takeAll(), 0)
  pass(30_000)
  assert.equal(takeAll(), 0)
})

test('the bucket fills by the second and holds one second', () => {
  const { pass, takeAll } = make({ perSecond: 10 })
  assert.equal(takeAll(), 10)
  pass(100)
  assert.equal(takeAll(), 1)
  pass(60_000)
  assert.equal(takeAll(), 10)
})

test('off: no share and no bucket', () => {
  const { exchanges, takeAll } = make({ percent: 0 })
  exchanges(1_000)
  assert.equal(takeAll(), 0)
})

test('over any time: at most the share and the bucket, however the load comes', () => {
  let seed = 7
  const random = () => (seed = seed * 16_807 % 2_147_483_647) / 2_147_483_647
  const { pass, exchanges, takeAll } = make({ perSecond: 3, windowMs: 1_000 })
  let total = 0
  let taken = 0
  let ms = 0
  for (let i = 0; i < 5_000; i++) {
    const count = random() < 0.1 ? Math.floor(random() * 200) : Math.floor(random() * 3)
    exchanges(count)
    total += count
    taken += takeAll(Math.floor(random() * 50))
    const step = random() * 150
    pass(step)
    ms += step
    assert.ok(taken <= total * 0.2 + 3 * (ms / 1_000 + 1), `${taken} of ${total} after ${ms} ms`)
  }
  assert.ok(taken > total * 0.15, 'and it is used')
})

test('new limits hold at once; another window begins empty', () => {
  const { budget, exchanges } = make()
  exchanges(100)
  budget.configure({ percent: 50, perSecond: 0, windowMs: 10_000 })
  assert.equal(budget.left, 50)
  budget.configure({ percent: 50, perSecond: 0, windowMs: 5_000 })
  assert.equal(budget.left, 0)
})
