// One fill's dealings with the second level: asked once, for what is left of the one wait that a call has for it.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { shareFor } from '../../../src/cache/second-level/share.ts'
import type { SecondLevel, Wanted } from '../../../src/cache/second-level/second-level.ts'
import type { Stored } from '../../../src/cache/stored.ts'

function secondLevel () {
  const asked: number[] = []
  const answers: Array<(found: Stored | undefined) => void> = []
  const second = {
    mark: '0-0',
    config: { timeoutMs: 20 },
    read: (_wanted: Wanted, spentMs: number) => {
      asked.push(spentMs)
      return new Promise<Stored | undefined>(resolve => { answers.push(resolve) })
    },
    write () {}
  } as unknown as SecondLevel
  return { second, asked, answers }
}
const wanted = { request: { identity: '' }, rules: { config: { identity: { mode: 'pass' } } } } as unknown as Wanted

describe('the share of a fill', () => {
  test('asks once, and says how long was waited with somebody else', () => {
    const { second, asked } = secondLevel()
    const share = shareFor(second, wanted, undefined, { why: 'uri-miss', entry: undefined, spentMs: 7 })!
    assert.notEqual(share.find(), undefined)
    assert.equal(share.find(), undefined)
    assert.deepEqual(asked, [7])
  })

  test('tells how long whoever joined has waited for it: until it answered, and not before', async () => {
    const { second, answers } = secondLevel()
    const share = shareFor(second, wanted, undefined, { why: 'uri-miss', entry: undefined })!
    const joinedAtMs = performance.now() - 1_000
    assert.equal(share.waitedSince(joinedAtMs), 0, 'it was not asked yet')
    const found = share.find()
    assert.ok(share.waitedSince(joinedAtMs) >= 1_000)
    answers[0]!(undefined)
    await found
    const waitedMs = share.waitedSince(joinedAtMs)
    assert.ok(waitedMs >= 1_000)
    await new Promise(resolve => setImmediate(resolve))
    assert.equal(share.waitedSince(joinedAtMs), waitedMs, 'it does not grow any more')
    assert.equal(share.waitedSince(performance.now() + 1), 0, 'who came later did not wait')
  })

  test('waits no longer than any of those who join it may', async t => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { second, answers } = secondLevel()
    const finding = () => {
      const share = shareFor(second, wanted, undefined, { why: 'uri-miss', entry: undefined })!
      let isOver = false
      share.joined(19)
      void share.find()!.then(() => { isOver = true })
      const over = async () => {
        await new Promise(resolve => setImmediate(resolve))
        return isOver
      }
      return { share, over }
    }
    const { share, over } = finding()
    share.joined(0)
    share.joined(15)
    share.joined(3)
    t.mock.timers.tick(4)
    assert.equal(await over(), false)
    t.mock.timers.tick(1)
    assert.equal(await over(), true)
    share.joined(20)
    const answered = finding()
    answered.share.joined(5)
    answers[1]!(undefined)
    assert.equal(await answered.over(), true)
    const late = finding()
    late.share.joined(25)
    t.mock.timers.tick(1)
    assert.equal(await late.over(), true)
  })

  test('is not asked where the origin is to be asked, nor for one identity', () => {
    const { second, asked } = secondLevel()
    for (const one of [{ why: 'request' as const }, { why: 'uri-miss' as const, found: true }]) assert.equal(shareFor(second, wanted, undefined, { entry: undefined, ...one })!.find(), undefined)
    assert.equal(shareFor(second, { request: { identity: 'x' }, rules: { config: { identity: { mode: 'perIdentity' } } } } as unknown as Wanted, undefined, { why: 'uri-miss', entry: undefined }), undefined)
    assert.deepEqual(asked, [])
  })
})
