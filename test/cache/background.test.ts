// What is asked in the background: few at a time and at a bounded rate, however it is offered.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { Background } from '../../src/cache/background.ts'
import { installFakeClock } from '../support/fake-clock.ts'

const settle = async (): Promise<void> => { await new Promise(resolve => setImmediate(resolve)) }
const limits = { concurrency: 4, perSecond: 10, queue: 1_000 }

describe('the background', () => {
  test('keeps to its rate also where each is over before the next is offered', async t => {
    const clock = installFakeClock(t)
    const background = new Background(limits)
    let begun = 0
    for (let n = 0; n < 100; n++) {
      background.offer('Shop', `key ${n}`, async () => { begun++ })
      await clock.moveTo(clock.nowMs + 10, settle)
      assert.ok(begun <= 1 + clock.nowMs / 100, `${begun} begun in ${clock.nowMs} ms`)
    }
    await clock.moveTo(9_900, settle)
    assert.deepEqual([begun, background.waiting, background.running], [100, 0, 0])
    background.close()
  })

  test('after a pause begins at once', async t => {
    const clock = installFakeClock(t)
    const background = new Background(limits)
    let begun = 0
    background.offer('Shop', 'a', async () => { begun++ })
    await clock.moveTo(1_000, settle)
    background.offer('Shop', 'b', async () => { begun++ })
    assert.equal(begun, 2)
    background.close()
  })

  test('runs no more at a time than allowed, drops what is too much, and each upstream has its own measure', async t => {
    const clock = installFakeClock(t)
    const background = new Background({ concurrency: 2, perSecond: 1_000, queue: 3 })
    const ends: Array<() => void> = []
    const job = async (): Promise<void> => { await new Promise<void>(resolve => ends.push(resolve)) }
    for (let n = 0; n < 10; n++) {
      background.offer('Shop', `key ${n}`, job)
      await clock.moveTo(clock.nowMs + 10, settle)
    }
    assert.deepEqual([background.running, background.waiting, background.dropped], [2, 3, 5])
    assert.equal(background.offer('Other', 'key 0', job), true)
    assert.equal(background.running, 3)
    ends[0]!()
    await clock.moveTo(clock.nowMs + 10, settle)
    assert.deepEqual([background.running, background.waiting], [3, 2])
    background.close()
  })
})
