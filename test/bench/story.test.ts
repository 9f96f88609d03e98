// What a round of the story comes to, from calls that are made up.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import type { Call } from '../../bench/story/driver.ts'
import { summarize } from '../../bench/story/summary.ts'
import { storyPicture } from '../../bench/story/picture.ts'
import { storyMarkdown, storyTargets } from '../../bench/story/report.ts'
import { storyPlan, type Story } from '../../bench/story.ts'

const plan = storyPlan(1)
const slowFrom = plan.quietS * 1_000
const recovered = slowFrom + plan.slowS * 1_000
const every = (from: number, until: number, stepMs: number, call: (due: number) => Call): Call[] => Array.from({ length: (until - from) / stepMs }, (_, n) => call(from + n * stepMs))

/** Healthy calls take 6 ms; callers of the slow one are refused in 2 ms while it is slow, and for `brokenMs` after that. */
const round = (brokenMs: number, healthyMs = 6): Story => {
  const result = {
    calls: [
      ...every(0, slowFrom, 100, due => [due, 0, 6, 200]),
      ...every(slowFrom, recovered, 100, due => [due, 0, healthyMs, 200]),
      ...every(slowFrom, recovered, 500, due => [due, 1, 2, 503]),
      ...every(recovered, recovered + 10_000, 500, due => [due, 1, 5, due < recovered + brokenMs ? 503 : 200])
    ],
    pending: [[-50, 9_999, 0], [0, 5, 1], [20_000, 300, 290]] as const
  }
  return { plan, rounds: [{ contender: 'postern', round: 1, summary: summarize(result, plan), result }], titles: new Map([['postern', 'Postern']]), skipped: [] }
}

test('a round is summed up: who failed, who waited, when it was over', () => {
  const { summary } = round(3_000).rounds[0]!
  assert.equal(summary.healthyFailed, 0)
  assert.equal(summary.quietP99Ms, 6)
  assert.equal(summary.pendingAll, 300)
  assert.equal(summary.slowCallersFast, summary.slowCallers)
  assert.equal(summary.servedAgainMs, 3_000)
  assert.equal(round(10_000).rounds[0]!.summary.servedAgainMs, undefined)
})

test('targets are missed by lost calls, slow healthy calls and a late return', () => {
  assert.deepEqual(storyTargets(round(3_000)).map(({ met }) => met), [true, true, true, true, true])
  assert.equal(storyTargets(round(3_000, 13)).find(({ what }) => what.startsWith('healthy p99'))!.met, false)
  assert.equal(storyTargets(round(6_000)).find(({ what }) => what.startsWith('served again'))!.met, false)
})

test('table and picture name every contender', () => {
  assert.match(storyMarkdown(round(3_000)), /\| Postern \| 1 \| 0\.0 % \|/)
  assert.match(storyPicture(round(3_000)), /^<svg [^]*Postern[^]*<\/svg>\n$/)
})
