// Which endpoints get no calls although the table has them, and when that is told.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { leftOut, watchLeftOut, whyLeftOut, type LeftOut } from '../../src/upstream/left-out.ts'
import { until } from '../support/until.ts'

type Seen = Parameters<typeof whyLeftOut>[0]
const well: Seen = { url: 'http://a', unreachable: undefined, breakerHeld: undefined, breakerState: 'closed', ejection: undefined, pausedMs: 0 }

const rows: ReadonlyArray<readonly [sentence: string, seen: Partial<Seen>, cause: LeftOut['cause'] | undefined, reason?: string]> = [
  ['one that is well', {}, undefined],
  ['one that refuses connections', { unreachable: 'ECONNREFUSED' }, 'unreachable', 'ECONNREFUSED'],
  ['an open breaker', { breakerState: 'open' }, 'breaker'],
  ['a half-open one: what it gets are trials', { breakerState: 'half-open' }, 'breaker'],
  ['a breaker held open', { breakerHeld: 'open', breakerState: 'open' }, 'held'],
  ['a breaker held closed', { breakerHeld: 'closed' }, undefined],
  ['an ejected one', { ejection: { reason: 'half of its calls fail', untilMs: 1 } }, 'ejected', 'half of its calls fail'],
  ['one that asked for a pause', { pausedMs: 500 }, 'paused'],
  ['no connection says more than an open breaker', { unreachable: 'ETIMEDOUT', breakerState: 'open', pausedMs: 5 }, 'unreachable', 'ETIMEDOUT']
]
for (const [sentence, seen, cause, reason] of rows) {
  test(sentence, () => {
    assert.deepEqual(whyLeftOut({ ...well, ...seen }), cause === undefined ? undefined : { cause, reason })
    assert.deepEqual([...leftOut([{ name: 'Shop', endpoints: [well, { ...well, ...seen, url: 'http://b' }] }])], cause === undefined ? [] : [{ upstream: 'Shop', url: 'http://b', cause, reason }])
  })
}

test('the list is told when it is another one, whole; the end of a pause, which nobody tells, is found out', async t => {
  const one = { upstream: 'Shop', url: 'http://b', cause: 'paused', reason: undefined } as const
  let now: readonly LeftOut[] = []
  const told: Array<readonly LeftOut[]> = []
  const watch = watchLeftOut(() => now, all => { told.push(all) })
  t.after(() => watch.close())
  // Its timers hold nobody up.
  const alive = setInterval(() => {}, 60_000)
  t.after(() => clearInterval(alive))
  watch.changed()
  now = [one]
  for (let n = 0; n < 10; n++) watch.changed()
  await until('it is told', () => told.length === 1)
  now = []
  await until('its end is told', () => told.length === 2)
  assert.deepEqual(told, [[one], []])
})
