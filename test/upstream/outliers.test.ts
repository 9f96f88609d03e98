import assert from 'node:assert/strict'
import { test } from 'node:test'
import { validate } from '../../src/config/validator.ts'
import { findOutliers, Outliers, type Counted } from '../../src/upstream/outliers.ts'

const settings = { ...validate({}).config.defaults.outliers, minAttempts: 10 }
const counted = (successes: number, failures: number, past?: number): Counted => ({ successes, failures, past })
const good = counted(100, 0)

const table: Array<[what: string, endpoints: Counted[], outliers: boolean[]]> = [
  ['five, one of them fails half', [good, good, good, good, counted(50, 50)], [false, false, false, false, true]],
  ['five that all fail: nobody is worse', Array.from({ length: 5 }, () => counted(10, 90)), [false, false, false, false, false]],
  ['five, one a little worse: below the least drop', [good, good, good, good, counted(95, 5)], [false, false, false, false, false]],
  ['too few attempts are not judged', [good, good, good, good, good, counted(0, 5)], [false, false, false, false, false, false]],
  ['four: no comparison with each other', [good, good, good, counted(50, 50)], [false, false, false, false]],
  ['two, one below its own past', [counted(100, 0, 1), counted(50, 50, 0.99)], [false, true]],
  ['two, one that always was so', [counted(100, 0, 1), counted(50, 50, 0.5)], [false, false]],
  ['two, both below their past: the service\'s trouble', [counted(50, 50, 1), counted(50, 50, 1)], [false, false]]
]
for (const [what, endpoints, outliers] of table) {
  test(what, () => assert.deepEqual(findOutliers(endpoints, settings).map(reason => reason !== undefined), outliers))
}

class Fake {
  readonly url: string
  successes = 0
  failures = 0
  up = true
  full = false
  ejection: { untilMs: number } | undefined
  constructor (url: string) { this.url = url }
  get usable (): boolean { return this.up && this.ejection === undefined }
  get available (): boolean { return this.usable && !this.full }
  eject (_reason: string, untilMs: number): void { this.ejection = { untilMs } }
  takeBack (): void { this.ejection = undefined }
}

function start (count: number, overrides: Partial<typeof settings> = {}) {
  const endpoints = Array.from({ length: count }, (_, index) => new Fake(`http://${index}`))
  const outliers = new Outliers<Fake>({ ...settings, ...overrides })
  let nowMs = performance.now()
  const interval = (failing: number[]) => {
    for (const [index, endpoint] of endpoints.entries()) {
      if (failing.includes(index)) endpoint.failures = 100
      else endpoint.successes = 100
    }
    outliers.tick(endpoints, nowMs += settings.intervalMs + 1)
  }
  return { endpoints, interval, ejected: () => endpoints.flatMap(({ ejection }, index) => ejection === undefined ? [] : [index]), tick: (ms: number) => { outliers.tick(endpoints, nowMs += ms) }, now: () => nowMs }
}

test('ejected for longer each time, and taken back when it is over', () => {
  const { endpoints, interval, ejected, tick, now } = start(6, { baseMs: 1_000 })
  interval([5])
  assert.deepEqual(ejected(), [5])
  assert.equal(endpoints[5]!.ejection!.untilMs - now(), 1_000)
  tick(1_000)
  assert.deepEqual(ejected(), [])
  interval([5])
  assert.equal(endpoints[5]!.ejection!.untilMs - now(), 2_000)
})

test('never more than the share, never the last one', () => {
  const { endpoints, interval, ejected } = start(10, { stdevFactor: 0.5, maxPercent: 20, baseMs: 60_000 })
  interval([7, 8, 9])
  assert.equal(ejected().length, 2)
  const pair = start(2, { baseMs: 60_000 })
  pair.interval([])
  pair.endpoints[0]!.up = false
  pair.interval([1])
  assert.deepEqual(pair.ejected(), [], 'the other one is not available')
  assert.equal(endpoints.length, 10)
})

test('while the others are only full, an ejected one stays out, and they may be ejected too', () => {
  const { endpoints, interval, ejected, tick } = start(3, { baseMs: 60_000, maxPercent: 67 })
  interval([])
  interval([2])
  assert.deepEqual(ejected(), [2])
  for (const endpoint of endpoints) endpoint.full = true
  tick(200)
  assert.deepEqual(ejected(), [2])
  interval([1])
  assert.deepEqual(ejected(), [1, 2])
})
