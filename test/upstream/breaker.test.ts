import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Breaker, type BreakerState } from '../../src/upstream/breaker.ts'
import { BreakerClock } from '../../src/upstream/breaker-clock.ts'

const settings = { errorThresholdPercent: 50, volumeThreshold: 10, windowMs: 10_000, resetTimeoutMs: 5_000, enabled: true, consecutiveFailures: 20, trials: 1, rampMs: 0 }

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
