import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../src/exchange/errors.ts'
import type { UpstreamResponse } from '../../src/exchange/exchange.ts'
import { shed } from '../../src/filters/shed.ts'
import { ShedGauge } from '../../src/filters/shed-level.ts'
import { makeExchange, policy } from '../support/exchange.ts'

const limits = { eventLoopDelayMs: 100, heapPercent: 90 }
const samples = (gauge: ShedGauge, lateMs: number, times: number, heapPercent = 10) => {
  let level = gauge.level
  for (let n = 0; n < times; n++) level = gauge.sample(lateMs, heapPercent)
  return level
}

test('one pause, however long, refuses nobody', () => {
  const gauge = new ShedGauge(limits)
  assert.equal(gauge.sample(60_000, 10), 0)
})

test('a late event loop refuses by class: sheddable, from twice on normal, from three times on critical', () => {
  assert.deepEqual([99, 150, 250, 350].map(lateMs => samples(new ShedGauge(limits), lateMs, 60)), [0, 1, 2, 3])
})

test('a level ends well below where it began, so that it does not flap', () => {
  const gauge = new ShedGauge(limits)
  assert.equal(samples(gauge, 120, 60), 1)
  assert.equal(samples(gauge, 80, 60), 1)
  assert.equal(samples(gauge, 60, 60), 0)
})

test('a full heap refuses at once, and lets go five percent below', () => {
  const gauge = new ShedGauge(limits)
  assert.deepEqual([89, 90, 94, 97, 93, 91, 86, 84].map(heap => gauge.sample(0, heap)), [0, 1, 2, 3, 3, 2, 1, 0])
})

test('a signal that is switched off is not looked at', () => {
  assert.equal(samples(new ShedGauge({ eventLoopDelayMs: 0, heapPercent: 0 }), 10_000, 60, 99), 0)
})

test('the refusal says what it is about; higher classes pass', async () => {
  const gauge = new ShedGauge(limits)
  samples(gauge, 150, 60)
  const answer = {} as UpstreamResponse
  const passed = shed(gauge, { ...policy, priority: 'normal' })
  assert.equal(await passed(makeExchange(), () => Promise.resolve(answer)), answer)
  const refused = shed(gauge, { ...policy, priority: 'sheddable' })
  assert.throws(() => { void refused(makeExchange(), () => Promise.resolve(answer)) }, (error: unknown) => {
    assert.ok(error instanceof GatewayError)
    assert.equal(error.code, 'Overloaded')
    assert.deepEqual(error.detail, { limit: 'eventLoopDelayMs', value: 100, measured: 150, priority: 'sheddable' })
    assert.equal((error.spec as { staleable?: true }).staleable, true)
    return true
  })
})
