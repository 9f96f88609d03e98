// Who waits for which gateways, and until when.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { OtherGateways, silentMs } from '../../../src/cache/second-level/others.ts'

const boundMs = 50

/** A write that purged something: `told` as of when the server has it under this id. */
function writing (others: OtherGateways) {
  let isOver = false
  const confirmed = others.confirmed(boundMs)
  void confirmed?.then(() => { isOver = true })
  return {
    told: (id: string) => { others.told(others.telling()!, id) },
    over: async () => {
      await turn()
      return isOver
    }
  }
}

describe('other gateways', () => {
  test('nobody is waited for where nobody is', () => {
    const others = new OtherGateways()
    assert.equal(others.confirmed(boundMs), undefined)
    others.heard('a', '1-0')
    others.left('a')
    assert.equal(others.confirmed(boundMs), undefined)
  })

  test('each must have come so far; one that leaves need not', async t => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const others = new OtherGateways()
    for (const gateway of ['a', 'b', 'c']) others.heard(gateway, '9-0')
    const write = writing(others)
    others.heard('a', '9-9')
    write.told('10-1')
    others.heard('a', '10-0')
    others.heard('b', '10-1')
    assert.equal(await write.over(), false)
    others.heard('a', '11-0')
    assert.equal(await write.over(), false)
    others.left('c')
    assert.equal(await write.over(), true)
    assert.equal(others.late, 0)
  })

  test('what was confirmed already need not be again', async t => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const others = new OtherGateways()
    others.heard('a', '1-0')
    const write = writing(others)
    others.heard('a', '10-0')
    write.told('10-0')
    assert.equal(await write.over(), true)
  })

  test('writes of one moment wait together, those after it for what is told next', async t => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const others = new OtherGateways()
    others.heard('a', '1-0')
    const [first, second] = [writing(others), writing(others)]
    first.told('2-0')
    const third = writing(others)
    others.heard('a', '2-0')
    assert.deepEqual([await first.over(), await second.over(), await third.over()], [true, true, false])
    third.told('3-0')
    others.heard('a', '3-0')
    assert.equal(await third.over(), true)
  })

  test('not beyond the bound, whether the server has it or not', async t => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const others = new OtherGateways()
    others.heard('a', '1-0')
    const told = writing(others)
    told.told('2-0')
    const waiting = writing(others)
    t.mock.timers.tick(boundMs - 1)
    assert.deepEqual([await told.over(), await waiting.over()], [false, false])
    t.mock.timers.tick(1)
    assert.deepEqual([await told.over(), await waiting.over()], [true, true])
    assert.equal(others.late, 2)
  })

  test('nor when the server cannot be reached', async t => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const others = new OtherGateways()
    others.heard('a', '1-0')
    const told = writing(others)
    told.told('2-0')
    const telling = writing(others)
    const under = others.telling()
    const waiting = writing(others)
    others.giveUp(under)
    assert.deepEqual([await told.over(), await telling.over(), await waiting.over()], [true, true, true])
    assert.equal(others.late, 0)
  })

  test('whoever has said nothing for a second is gone', () => {
    const others = new OtherGateways()
    const nowMs = performance.now()
    others.heard('a', '1-0', nowMs - silentMs)
    assert.equal(others.confirmed(boundMs), undefined)
  })

  test('no more are known than a thousand', () => {
    const others = new OtherGateways()
    for (let n = 0; n < 2_000; n++) others.heard(`gateway ${n}`, '1-0')
    for (let n = 0; n < 1_000; n++) others.left(`gateway ${n}`)
    assert.equal(others.confirmed(boundMs), undefined)
  })
})
