import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRechecks, mostUnsaid } from '../../src/control/rechecks.ts'
import type { RecheckReason } from '../../src/control/protocol.ts'

/** Who waits, and who has been told, in order. */
function start (isAsked = true, isFresh = false) {
  const told: string[] = []
  const rechecks = createRechecks(() => isAsked, () => isFresh, async () => {})
  return { rechecks, told, wait: (name: string, url = 'a', why: RecheckReason = 'returning') => rechecks.wait(url, why).then(() => { told.push(name) }) }
}
/** A turn of the event loop: whatever can settle has settled. */
const turn = () => new Promise(resolve => { setImmediate(resolve) })

test('a question that nobody answered is no answer: who waits goes on until somebody speaks', async () => {
  const { rechecks, told, wait } = start()
  void wait('first')
  rechecks.answered('a', false)
  void wait('second')
  rechecks.answered('b', true)
  await turn()
  assert.deepEqual(told, [])
  rechecks.answered('a', true)
  await turn()
  assert.deepEqual(told, ['first', 'second'])
})

test('nobody waits for ever: each is told after so many questions in vain, counted from his own', async () => {
  const { rechecks, told, wait } = start()
  void wait('first')
  for (let n = 1; n < mostUnsaid; n++) rechecks.answered('a', false)
  void wait('second')
  await turn()
  assert.deepEqual(told, [])
  rechecks.answered('a', false)
  await turn()
  assert.deepEqual(told, ['first'])
  for (let n = 1; n < mostUnsaid; n++) rechecks.answered('a', false)
  await turn()
  assert.deepEqual(told, ['first', 'second'])
})

test('who asks about an endpoint that is not asked, or not any more, does not wait', async () => {
  const unasked = start(false)
  await unasked.wait('first')
  const { rechecks, told, wait } = start()
  void wait('gone')
  void wait('there', 'b')
  rechecks.only(new Set(['b']))
  await turn()
  assert.deepEqual(told, ['gone'])
})

test('of one that takes no connections the first question in vain is the answer', async () => {
  const { rechecks, told, wait } = start()
  void wait('lost', 'a', 'lost')
  void wait('returning')
  rechecks.answered('a', false)
  await turn()
  assert.deepEqual(told, ['lost'])
})

test('one that is only cold is not asked where its last word is fresh; else, and for any other reason, it is', async () => {
  const { told, wait } = start(true, true)
  await wait('cold', 'a', 'cold')
  void wait('returning')
  const { told: others, wait: waitAnew } = start()
  void waitAnew('cold', 'a', 'cold')
  await turn()
  assert.deepEqual([told, others], [['cold'], []])
})
