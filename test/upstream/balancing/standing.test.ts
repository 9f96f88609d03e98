// The score: peaks count at once, old samples fade into what is typical, failing fast is not being fast; and slow start.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scale, scoredAs, Standing } from '../../../src/upstream/balancing/standing.ts'
import { balanced, candidate } from './candidates.ts'

const settings = { decayMs: 10_000, failurePenaltyMs: 5_000, slowStartMs: 30_000, slowStartPercent: 10 }
const standing = (scale = new Scale(settings)) => {
  const one = new Standing()
  one.join(scale, 0)
  return one
}

test('without samples it is what is typical of the upstream, plus the way there', () => {
  const scale = new Scale(settings)
  assert.equal(standing(scale).estimateMs(0, 4), 34)
  const known = standing(scale)
  for (let n = 0; n < 200; n++) known.report('success', 12, n, 2)
  assert.equal(Math.round(standing(scale).estimateMs(200, 5)), 15)
})

test('a slower sample counts at once, but never more than threefold; a faster one by the time that has passed', () => {
  const one = standing()
  one.report('success', 10, 1_000)
  one.report('success', 100, 1_010)
  assert.equal(Math.round(one.estimateMs(1_010)), 30)
  one.report('success', 100, 1_020)
  one.report('success', 100, 1_030)
  assert.equal(Math.round(one.estimateMs(1_030)), 100)
  one.report('success', 10, 1_040)
  assert.ok(one.estimateMs(1_040) > 99)
  one.report('success', 10, 11_040)
  assert.ok(one.estimateMs(11_040) < 50)
})

test('the first answer of a process, however slow, is not held against it for long', () => {
  const scale = new Scale(settings)
  const others = standing(scale)
  for (let n = 0; n < 200; n++) others.report('success', 10, n)
  const fresh = standing(scale)
  fresh.report('success', 2_000, 200)
  assert.ok(fresh.estimateMs(200) < 35)
})

test('what is not measured for long is as good as unknown', () => {
  const scale = new Scale(settings)
  const typical = standing(scale)
  const slow = standing(scale)
  for (let n = 0; n < 5; n++) slow.report('success', 500, 1_000 + n)
  for (let n = 0; n < 500; n++) typical.report('success', 10, 1_000 + n)
  assert.ok(slow.estimateMs(2_000) > 400)
  assert.ok(Math.abs(slow.estimateMs(101_000) - scale.typicalMs) < 1)
})

test('a failure that came fast counts as slow, and the more so the more of them', () => {
  const one = standing()
  one.report('success', 10, 1_000)
  one.report('failure', 1, 1_100)
  const after = one.estimateMs(1_100)
  assert.ok(after > 50, String(after))
  for (let n = 1; n <= 20; n++) one.report('failure', 1, 1_100 + n * 100)
  assert.ok(one.estimateMs(3_100) > 800)
  const unknown = standing()
  unknown.report('failure', 1, 1_000)
  assert.ok(unknown.estimateMs(1_000) > 5_000)
})

test('an attempt that was given up says that it would have been slower, never that it was fast', () => {
  const one = standing()
  one.report('success', 10, 1_000)
  one.report('ignored', 2, 1_010)
  assert.equal(Math.round(one.estimateMs(1_010)), 10)
  one.report('ignored', 3_000, 1_020)
  assert.equal(Math.round(one.estimateMs(1_020)), 3_000)
})

test('a slow endpoint gets little, a fast failing one attracts nothing', () => {
  const [slow, failing, ...good] = ['slow', 'failing', 'a', 'b', 'c'].map(url => candidate(url))
  const { shares, clock } = balanced([slow!, failing!, ...good])
  for (let n = 0; n < 50; n++) {
    clock.nowMs += 20
    slow!.standing.report('success', 100, clock.nowMs)
    failing!.standing.report('failure', 1, clock.nowMs)
    for (const endpoint of good) endpoint.standing.report('success', 10, clock.nowMs)
  }
  const got = shares(2_000)
  // The two of them are each other's only company: then somebody has to get it.
  assert.ok(got['slow']! < 0.12, String(got['slow']))
  assert.equal(got['failing'], 0)
})

test('equally fast endpoints: the nearer one by the network\'s own estimate, where the difference is worth it', () => {
  assert.deepEqual(balanced([candidate('near', { rttMs: 0.5 }), candidate('far', { rttMs: 4 })]).shares(500), { near: 1, far: 0 })
  const alike = balanced([candidate('a', { rttMs: 0.5 }), candidate('b', { rttMs: 0.75 })]).shares(2_000)
  assert.ok(Math.abs(alike['a']! - 0.5) < 0.05)
})

test('a newcomer gets a growing share; those that come together share equally from the start', () => {
  const old = candidate('old')
  const { balancer, shares, clock } = balanced([old], { strategy: 'least-requests' })
  const fresh = candidate('fresh')
  clock.nowMs += 60_000
  balancer.apply([old, fresh], [])
  const shareOfFresh = () => 1 - shares(4_000)['old']!
  assert.ok(shareOfFresh() < 0.15)
  clock.nowMs += 15_000
  const half = shareOfFresh()
  assert.ok(half > 0.25 && half < 0.42, String(half))
  clock.nowMs += 15_000
  assert.ok(Math.abs(shareOfFresh() - 0.5) < 0.04)
  balancer.apply([fresh, old].map(({ url }) => candidate(url)), [])
  assert.ok(Math.abs(shareOfFresh() - 0.5) < 0.04)
})

test('when only newcomers are left they get everything', () => {
  const old = candidate('old')
  const fresh = candidate('fresh')
  const { balancer, pick, clock } = balanced([old])
  clock.nowMs += 60_000
  balancer.apply([old, fresh], [])
  old.available = false
  for (let n = 0; n < 50; n++) assert.equal(pick(), 'fresh')
})

test('what an attempt counts as', () => {
  const rows = [['success', 200, 'success'], ['success', 404, 'success'], ['success', 500, 'failure'], ['failure', 503, 'failure'], ['success', 429, 'ignored'], ['success', 101, 'ignored'], ['failure', undefined, 'failure'], ['ignored', undefined, 'ignored']] as const
  for (const [outcome, status, expected] of rows) assert.equal(scoredAs(outcome, status), expected, `${outcome} ${status}`)
})

test('what is back after a restart is unknown again', () => {
  const one = standing()
  for (let n = 0; n < 50; n++) one.report('failure', 1, 1_000 + n * 1_000)
  one.rejoin(60_000)
  assert.deepEqual([one.measured, one.estimateMs(60_000), one.slowStart(60_000), one.slowStart(75_000)], [false, 30, 0.1, 0.5])
})
