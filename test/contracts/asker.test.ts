import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Answer } from '../../src/contracts/ask.ts'
import { createAsker, recheckMs, type AskerSettings, type Pace, type Target } from '../../src/contracts/asker.ts'
import { toOperationList } from '../../src/contracts/operations.ts'

const read: Answer = { kind: 'answered', ownId: 'a', listed: { state: 'read', list: toOperationList([]) }, servicestackVersion: undefined, apiForm: false }
const unread: Answer = { ...read, listed: { state: 'unread', reason: '503' } }
const silent: Answer = { kind: 'silent', reached: false, reason: 'ECONNREFUSED' }

/** A clock that only moves when told, and questions that are answered by hand or by a function. Nobody takes connections where the url begins with `hole`: those time out after two seconds. */
function setUp (settings: Partial<AskerSettings> = {}, answerOf?: (url: string, time: number) => Answer | undefined) {
  let time = 0
  const timers = new Map<number, { at: number, callback: () => void }>()
  let nextTimer = 0
  const asked: Array<{ url: string, at: number }> = []
  const open: Array<{ url: string, answer: (answer: Answer) => void, signal: AbortSignal }> = []
  const answers: Array<{ url: string, key: string, kind: string }> = []
  const again: boolean[] = []
  const asker = createAsker({
    settings: { intervalMs: 300, maxIntervalMs: 5_000, concurrency: 4, ...settings },
    ask: (question, signal, onConnect) => {
      asked.push({ url: question.url, at: time })
      if (question.url.startsWith('hole')) return new Promise(resolve => { timers.set(++nextTimer, { at: time + 2_000, callback: () => resolve(silent) }) })
      onConnect()
      const now = answerOf?.(question.url, time)
      return now !== undefined ? Promise.resolve(now) : new Promise(resolve => open.push({ url: question.url, answer: resolve, signal }))
    },
    onAnswer: (url, answer, key, isAgain) => {
      answers.push({ url, key, kind: answer.kind })
      again.push(isAgain)
    },
    now: () => time,
    random: () => 1,
    setTimeout: (callback, ms) => { timers.set(++nextTimer, { at: time + ms, callback }); return nextTimer },
    clearTimeout: timer => { timers.delete(timer as number) }
  })
  const settle = () => new Promise(resolve => setImmediate(resolve))
  const advance = async (ms: number) => {
    const end = time + ms
    await settle()
    for (;;) {
      const due = [...timers].filter(([, { at }]) => at <= end).sort((a, b) => a[1].at - b[1].at)[0]
      if (due === undefined) break
      timers.delete(due[0])
      time = due[1].at
      due[1].callback()
      await settle()
    }
    time = end
    await settle()
  }
  const timesOf = (url: string) => asked.filter(question => question.url === url).map(question => question.at)
  return { asker, asked, open, answers, again, advance, settle, timesOf }
}

const target = (url: string, pace: Pace = 'fast', key = 'k'): Target => ({ key, pace, question: { url, kind: 'plugin', livenessPath: '/' } })

test('one that is not well is asked on, until it is', async () => {
  const { asker, advance, timesOf } = setUp({}, (_, time) => time < 800 ? { ...read, sick: 'its heartbeat answered 503' } as Answer : read)
  asker.update([target('a')])
  await advance(60_000)
  assert.deepEqual(timesOf('a'), [0, 300, 600, 900])
})

test('a new endpoint is asked at once, and never again once it has answered', async () => {
  const { asker, advance, timesOf, answers } = setUp({}, () => read)
  asker.update([target('a')])
  await advance(120_000)
  assert.deepEqual(timesOf('a'), [0])
  assert.deepEqual(answers, [{ url: 'a', key: 'k', kind: 'answered' }])
})

test('where a host name leads elsewhere, its endpoint is asked at once, and once', async () => {
  const { asker, advance, timesOf } = setUp({}, () => read)
  const at = (...ips: string[]): Target => ({ ...target('a'), question: { ...target('a').question, ips } })
  for (const ips of [['10.0.0.1'], ['10.0.0.1'], ['10.0.0.2'], ['10.0.0.2']]) {
    asker.update([at(...ips)])
    await advance(10_000)
  }
  assert.deepEqual(timesOf('a'), [0, 20_000])
})

test('one that does not answer is asked every interval for a minute, then backs off to the longest interval', async () => {
  const { asker, advance, timesOf } = setUp({}, () => silent)
  asker.update([target('a')])
  await advance(59_000)
  const early = timesOf('a')
  assert.ok(early.every((at, index) => index === 0 || at - early[index - 1]! <= 300), 'never more than 300 ms apart')
  assert.ok(early.length >= 190)
  await advance(60_000)
  const late = timesOf('a').slice(-3)
  assert.deepEqual([late[1]! - late[0]!, late[2]! - late[1]!], [5_000, 5_000])
})

test('an endpoint whose list is not read yet is asked again, until it is', async () => {
  const { asker, advance, timesOf } = setUp({}, (_, time) => time < 1_000 ? unread : read)
  asker.update([target('a')])
  await advance(10_000)
  assert.deepEqual(timesOf('a'), [0, 300, 600, 900, 1_200])
})

test('new registrations at the address are a reason to ask again, at once and fast', async () => {
  const { asker, advance, timesOf } = setUp({}, () => read)
  asker.update([target('a', 'fast', 'one')])
  await advance(70_000)
  asker.update([target('a', 'fast', 'one')])
  await advance(1_000)
  assert.deepEqual(timesOf('a'), [0])
  asker.update([target('a', 'fast', 'two')])
  await advance(0)
  assert.deepEqual(timesOf('a'), [0, 71_000])
})

test('a change while the question is on its way is asked right after it, and the answer carries the key it was asked for', async () => {
  const { asker, open, answers, settle, timesOf } = setUp()
  asker.update([target('a', 'fast', 'one')])
  asker.update([target('a', 'fast', 'two')])
  assert.equal(open.length, 1)
  open[0]!.answer(read)
  await settle()
  assert.deepEqual(answers, [{ url: 'a', key: 'one', kind: 'answered' }])
  assert.equal(timesOf('a').length, 2)
  open[1]!.answer(read)
  await settle()
  assert.equal(answers[1]?.key, 'two')
})

test('a recheck asks again, at most once in its time', async () => {
  const { asker, advance, timesOf } = setUp({}, () => read)
  asker.update([target('a')])
  await advance(10_000)
  for (let call = 0; call < 50; call++) asker.recheck('a')
  asker.recheck('unknown')
  await advance(recheckMs - 1)
  asker.recheck('a')
  assert.equal(timesOf('a').length, 2)
  await advance(1)
  assert.deepEqual(timesOf('a').map(time => time - 10_000).slice(1), [0, recheckMs], 'what came too soon is asked when that is over, once')
  asker.recheck('a')
  await advance(recheckMs)
  assert.equal(timesOf('a').length, 4)
  await advance(10 * recheckMs)
  assert.equal(timesOf('a').length, 4)
})

test('watched endpoints are asked for as long as they are watched', async () => {
  const { asker, advance, timesOf } = setUp({}, () => read)
  asker.update([target('a', 'watched')])
  await advance(20_000)
  assert.deepEqual(timesOf('a'), [0, 5_000, 10_000, 15_000, 20_000])
  asker.update([target('a', 'fast')])
  await advance(5_000)
  const settled = timesOf('a').length
  await advance(60_000)
  assert.equal(timesOf('a').length, settled)
})

test('no more questions at one time than allowed', async () => {
  const { asker, open, settle } = setUp({ concurrency: 4 })
  asker.update(Array.from({ length: 100 }, (_, index) => target(`e${index}`)))
  assert.equal(open.length, 4)
  open[0]!.answer(read)
  await settle()
  assert.equal(open.length, 5)
})

test('endpoints that have been dead for long never hold up a fresh one', async () => {
  const { asker, advance, open, timesOf } = setUp({ concurrency: 4 }, url => url.startsWith('dead') ? undefined : read)
  asker.update(Array.from({ length: 50 }, (_, index) => target(`dead${index}`, 'slow')))
  await advance(1_000)
  assert.equal(open.length, 2, 'half of the slots')
  asker.update([...Array.from({ length: 50 }, (_, index) => target(`dead${index}`, 'slow')), target('fresh')])
  await advance(0)
  assert.deepEqual(timesOf('fresh'), [1_000])
})

const holes = (count: number) => Array.from({ length: count }, (_, index) => target(`hole${index}`))

test('addresses where nobody takes a connection hold up a fresh one by no more than a second, however long that goes on', async () => {
  const { asker, advance, timesOf } = setUp({ concurrency: 32 }, () => read)
  asker.update([...holes(200), target('fresh')])
  await advance(10_000)
  assert.ok(timesOf('fresh')[0]! <= 700, `${timesOf('fresh')[0]} ms`)
  // Each is asked again as soon as its question is over: whoever comes up there is noticed.
  assert.deepEqual(holes(200).filter(({ question: { url } }) => timesOf(url).length < 4), [])
  for (let n = 0; n < 20; n++) {
    const url = `later${n}`
    const at = 10_000 + n * 130
    asker.update([...holes(200), target(url)])
    await advance(130)
    assert.deepEqual(timesOf(url), [at], 'at once')
  }
})

test('connects under way are not without end either, and half of the questions are left to those that have not failed to connect', async () => {
  const { asker, asked, advance, timesOf } = setUp({ concurrency: 4 }, () => read)
  asker.update(holes(1_000))
  await advance(1_999)
  assert.equal(asked.length, 4 + 4 * 16)
  await advance(60_000)
  asker.update([...holes(1_000), target('fresh')])
  await advance(0)
  assert.deepEqual(timesOf('fresh'), [61_999])
})

test('endpoints that are gone are forgotten, their questions given up, their answers unheard', async () => {
  const { asker, open, answers, settle, advance } = setUp()
  asker.update([target('a')])
  asker.update([])
  assert.equal(asker.size, 0)
  assert.ok(open[0]?.signal.aborted)
  open[0].answer(silent)
  await settle()
  await advance(60_000)
  assert.deepEqual(answers, [])
  assert.equal(open.length, 1)
})

test('one that nobody else checks is asked on at leisure after it has answered well, and faster when it does not', async () => {
  const { asker, advance, timesOf } = setUp({}, (_, time) => time < 10_000 ? read : silent)
  asker.update([target('a', 'steady')])
  await advance(10_700)
  assert.deepEqual(timesOf('a'), [0, 5_000, 10_000, 10_300, 10_600])
})

test('one that is put off makes nobody wait, comes by any question before it, and the next one is put off in its turn', async () => {
  const { asker, advance, again, timesOf } = setUp({}, () => read)
  asker.update([target('a')])
  await advance(10_000)
  asker.recheck('a')
  await advance(0)
  asker.recheck('a')
  asker.update([target('a', 'fast', 'two')])
  await advance(100)
  assert.deepEqual(again, [false, false, false])
  asker.recheck('a')
  await advance(10 * recheckMs)
  assert.equal(timesOf('a').length, 4, 'the last one was not dropped')
})

test('a recheck because of a refused connection is never put off; one because of an answer is', async () => {
  const { asker, advance, timesOf } = setUp({}, () => read)
  asker.update([target('a')])
  await advance(10)
  assert.deepEqual([asker.recheck('a'), asker.recheck('a'), asker.recheck('nobody', true)], [true, true, false])
  await advance(10)
  assert.equal(asker.recheck('a', true), true)
  await advance(10)
  assert.deepEqual(timesOf('a'), [0, 10, 20])
})
