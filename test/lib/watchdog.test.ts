import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Watchdog } from '../../src/lib/watchdog.ts'
import { until } from '../support/until.ts'

/** Times are real: the timer under test is the process's own. */
function watched (): { readonly dog: Watchdog, readonly dueAtMs: number[] } {
  const dueAtMs: number[] = []
  const dog = new Watchdog(() => dueAtMs.push(performance.now()))
  return { dog, dueAtMs }
}

test('due once, not before its time', async () => {
  const { dog, dueAtMs } = watched()
  const at = performance.now() + 30
  dog.at(at)
  await until('it is due', () => dueAtMs.length > 0)
  assert.ok(dueAtMs[0]! >= at - 1)
  dog.in(1)
  await until('it is due again', () => dueAtMs.length === 2)
})

test('moved later, moved earlier, called off', async () => {
  const { dog, dueAtMs } = watched()
  const begin = performance.now()
  dog.at(begin + 20)
  dog.at(begin + 80)
  await until('the later time', () => dueAtMs.length > 0)
  assert.ok(dueAtMs[0]! >= begin + 79)
  dog.in(60_000)
  dog.in(10)
  await until('the earlier time', () => dueAtMs.length === 2)
  dog.in(10)
  dog.off()
  const other = watched()
  other.dog.in(40)
  await until('longer than that', () => other.dueAtMs.length > 0)
  assert.equal(dueAtMs.length, 2)
})

test('closed, it is never due', async () => {
  const { dog, dueAtMs } = watched()
  dog.in(1)
  dog.close()
  const other = watched()
  other.dog.in(20)
  await until('longer than that', () => other.dueAtMs.length > 0)
  assert.deepEqual(dueAtMs, [])
})

test('after the process stood still, what came meanwhile is read first; a time in the past is no such thing', async () => {
  const { dog, dueAtMs } = watched()
  const begin = performance.now()
  let isRead = false
  setImmediate(() => {
    dog.in(10)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400)
    setImmediate(() => { isRead = dueAtMs.length === 0 })
  })
  await until('it is due all the same', () => dueAtMs.length > 0)
  assert.ok(isRead && dueAtMs[0]! >= begin + 400)
  const past = watched()
  const now = performance.now()
  past.dog.at(now - 10_000)
  await until('it is due', () => past.dueAtMs.length > 0)
})
