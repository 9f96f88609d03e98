import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Deadlines } from '../../src/exchange/deadlines.ts'
import { makeExchange } from '../support/exchange.ts'
import { until } from '../support/until.ts'

const dueIn = (deadlines: Deadlines, ms: number) => {
  const exchange = makeExchange()
  exchange.deadlineAtMs = performance.now() + ms
  deadlines.add(exchange)
  return exchange
}

test('each ends at its own time, whatever the order they came in, and none before it', async () => {
  // Where a busy machine looks late, several are over at once, in no order: it is tried again.
  await until('three end in their order', async () => {
    const deadlines = new Deadlines()
    const waiting = [60_000, 900, 300, 600].map(ms => dueIn(deadlines, ms))
    const ends: number[] = []
    for (const [index, exchange] of waiting.entries()) {
      exchange.waiting({
        waitsFor: 'test',
        cancel () {
          assert.ok(performance.now() >= exchange.deadlineAtMs)
          ends.push(index)
        }
      })
    }
    await until('three have ended', () => ends.length === 3)
    assert.equal(waiting[0]!.ended, undefined)
    return ends.join() === '2,3,1'
  })
})

test('who comes later and waits longer puts off nobody\'s end', async () => {
  const deadlines = new Deadlines()
  const first = dueIn(deadlines, 60)
  const others = setInterval(() => { dueIn(deadlines, 60_000) }, 5)
  try {
    await until('it has ended', () => first.ended !== undefined)
  } finally {
    clearInterval(others)
  }
})

test('who ends may let another in, and who was removed is left alone', async () => {
  const deadlines = new Deadlines()
  const [first, gone] = [dueIn(deadlines, 10), dueIn(deadlines, 10)]
  let next = gone
  first.waiting({ waitsFor: 'test', cancel: () => { next = dueIn(deadlines, 10) } })
  deadlines.remove(gone)
  await until('the one let in has ended too', () => next !== gone && next.ended !== undefined)
  assert.equal(gone.ended, undefined)
})
