import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Breaker, type BreakerState } from '../../src/upstream/breaker.ts'
import { breakerOpen } from '../../src/upstream/breaker-open.ts'
import { BreakerClock } from '../../src/upstream/breaker-clock.ts'

const settings = { errorThresholdPercent: 50, volumeThreshold: 10, windowMs: 10_000, resetTimeoutMs: 5_000, enabled: true, consecutiveFailures: 20, trials: 1, rampMs: 0, askIdleMs: 0 }

beforeEach(() => { mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] }) })
afterEach(() => { mock.timers.reset() })

function make (overrides: Partial<typeof settings> = {}) {
  const states: BreakerState[] = []
  const clock = new BreakerClock()
  const breaker = new Breaker({ ...settings, ...overrides }, clock, state => states.push(state))
  const report = async (outcome: 'success' | 'failure' | 'ignored', times = 1) => {
    for (let i = 0; i < times; i++) breaker.report(outcome, breaker.begin())
    await turn()
  }
  return { breaker, states, report }
}

test('below the volume threshold nothing opens it', async () => {
  const { breaker, report } = make()
  await report('failure', 9)
  assert.equal(breaker.state, 'closed')
  breaker.close()
})

test('at the threshold of volume and errors it opens, and admits nothing', async () => {
  const { breaker, states, report } = make()
  await report('failure', 12)
  assert.equal(breaker.state, 'open')
  assert.equal(breaker.admits, false)
  assert.deepEqual(states, ['open'])
  breaker.close()
})

test('successes between failures keep it closed', async () => {
  const { breaker, report } = make()
  for (let i = 0; i < 20; i++) {
    await report('failure')
    await report('success', 2)
  }
  assert.equal(breaker.state, 'closed')
  breaker.close()
})

test('after the reset time exactly one trial is admitted; its success closes the breaker and forgets the window', async () => {
  const { breaker, states, report } = make()
  await report('failure', 12)
  mock.timers.tick(5_000)
  assert.equal(breaker.state, 'half-open')
  assert.equal(breaker.admits, true)
  const trial = breaker.begin()
  assert.equal(trial, true)
  assert.equal(breaker.admits, false, 'a second trial is not admitted')
  breaker.report('success', trial)
  await turn()
  assert.equal(breaker.state, 'closed')
  assert.deepEqual(states, ['open', 'half-open', 'closed'])
  await report('failure', 9)
  assert.equal(breaker.state, 'closed', 'the failures of before do not count any more')
  breaker.close()
})

test('a failed trial opens it again', async () => {
  const { breaker, report } = make()
  await report('failure', 12)
  mock.timers.tick(5_000)
  await report('failure')
  assert.equal(breaker.state, 'open')
  breaker.close()
})

test('an ignored trial (the client left) leaves it half-open for the next one', async () => {
  const { breaker, report } = make()
  await report('failure', 12)
  mock.timers.tick(5_000)
  await report('ignored')
  assert.equal(breaker.state, 'half-open')
  assert.equal(breaker.admits, true)
  breaker.close()
})

test('late answers of attempts from before it opened do not close it', async () => {
  const { breaker, report } = make()
  await report('failure', 12)
  mock.timers.tick(5_000)
  breaker.report('success', false)
  await turn()
  assert.equal(breaker.state, 'half-open')
  breaker.close()
})

test('several trials: one first, one more beside it with each that succeeds, and it closes when all have', async () => {
  const { breaker, report } = make({ trials: 3 })
  await report('failure', 12)
  mock.timers.tick(5_000)
  const first = breaker.begin()
  assert.equal(breaker.admits, false)
  breaker.report('success', first)
  const two = [breaker.begin(), breaker.begin()]
  assert.equal(breaker.admits, false)
  breaker.report('success', two[0]!)
  await turn()
  assert.equal(breaker.state, 'half-open')
  breaker.report('success', two[1]!)
  await turn()
  assert.equal(breaker.state, 'closed')
  breaker.close()
})

test('so many failures in a row open it whatever succeeded before; a success begins the row anew', async () => {
  const { breaker, report } = make({ volumeThreshold: 1_000, consecutiveFailures: 5 })
  await report('failure', 4)
  await report('success')
  await report('failure', 4)
  assert.equal(breaker.state, 'closed')
  await report('failure')
  assert.equal(breaker.state, 'open')
  breaker.close()
})

test('held open it admits nothing and makes no trials, held closed it never opens; released it is closed', async () => {
  const { breaker, states, report } = make()
  breaker.hold({ held: 'open', until: undefined })
  mock.timers.tick(60_000)
  assert.deepEqual([breaker.admits, breaker.state], [false, 'open'])
  breaker.hold({ held: 'closed', until: undefined })
  await report('failure', 50)
  assert.deepEqual([breaker.admits, breaker.state], [true, 'closed'])
  breaker.hold(undefined)
  assert.equal(breaker.idle, true)
  assert.deepEqual(states, ['open', 'closed'])
})

test('held open, it says how long that is to be, a minute at most', () => {
  const { breaker } = make()
  const told = (forMs: number | undefined) => {
    breaker.hold({ held: 'open', until: forMs === undefined ? undefined : Date.now() + forMs })
    return Number(breakerOpen(breaker, {}).headers[1])
  }
  assert.deepEqual([told(undefined), told(3_600_000), told(42_000), told(10)], [60, 60, 42, 1])
  mock.timers.tick(5_000)
  assert.equal(Number(breakerOpen(breaker, {}).headers[1]), 1)
  breaker.close()
})

for (const [what, hasAsked, isUnderWay, expected] of [
  ['is forgotten after two windows', false, false, 'closed'],
  ['waits for its trial all the same', false, true, 'half-open'],
  ['waits for the word that it asks for', true, false, 'half-open']
] as const) {
  test(`half-open and called by nobody, it ${what}`, async t => {
    let nowMs = 1_000_000
    t.mock.method(performance, 'now', () => nowMs)
    const pass = (ms: number) => { for (let left = ms; left > 0; left -= 500) { nowMs += 500; mock.timers.tick(500) } }
    const states: BreakerState[] = []
    const breaker = new Breaker({ ...settings, askIdleMs: hasAsked ? 1_000 : 0 }, new BreakerClock(), state => states.push(state), hasAsked ? async () => await new Promise<boolean>(() => {}) : undefined)
    for (let n = 0; n < 12; n++) breaker.report('failure', breaker.begin())
    await turn()
    pass(6_000)
    assert.equal(breaker.state, 'half-open')
    if (isUnderWay) assert.equal(breaker.begin(), true)
    pass(18_000)
    assert.equal(breaker.state, 'half-open')
    pass(4_000)
    assert.deepEqual([breaker.state, states.at(-1)], [expected, expected])
    assert.equal(breaker.idle, expected === 'closed')
    breaker.close()
  })
}

test('while it recovers the share that passes grows, evenly', async () => {
  const { breaker, report } = make({ rampMs: 3_600_000 })
  await report('failure', 12)
  mock.timers.tick(5_000)
  await report('success')
  assert.equal(breaker.state, 'closed')
  assert.ok(breaker.rampFactor < 0.2)
  const passed = Array.from({ length: 100 }, () => breaker.passes).filter(Boolean).length
  assert.ok(passed >= 9 && passed <= 12, `${passed}`)
  assert.equal(breaker.admits, true, 'the balancer is asked to give it less, not nothing')
  breaker.close()
})

test('a pause admits nothing and counts for nothing', () => {
  const { breaker } = make()
  breaker.pause(60_000)
  assert.deepEqual([breaker.admits, breaker.state], [false, 'closed'])
  assert.ok(breaker.retryAfterMs > 50_000)
  breaker.close()
  assert.equal(breaker.admits, true)
})

for (const [what, cause, times, state] of [['as many as trials', 'slow call', 3, 'closed'], ['one too few', 'slow call', 2, 'open'], ['what opened it was no slow call', '503', 3, 'open']] as const) {
  test(`slow calls that are answered well after all, ${what}: ${state}`, () => {
    const { breaker } = make({ trials: 3, rampMs: 10_000 })
    breaker.trip({ cause })
    for (let n = 0; n < times; n++) breaker.answeredLate()
    assert.deepEqual([breaker.state, breaker.rampFactor], [state, 1])
    breaker.close()
  })
}
