// The score: peaks count at once, old samples fade into what is typical, failing fast is not being fast; and slow start.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Scale, scoredAs, Standing } from '../../../src/upstream/balancing/standing.ts'
import { balanced, candidate, type Balanced, type FakeCandidate } from './candidates.ts'

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

/** Whose typical time is 10 ms. */
const known = () => {
  const scale = new Scale(settings)
  const others = standing(scale)
  for (let n = 0; n < 200; n++) others.report('success', 10, n)
  return scale
}

test('a slower sample counts at once, but never more than threefold; a faster one by the time that has passed', () => {
  const one = standing(known())
  one.report('success', 10, 1_000)
  one.report('success', 100, 1_010)
  assert.equal(Math.round(one.estimateMs(1_010) / 5), 6)
  one.report('success', 100, 1_020)
  one.report('success', 100, 1_030)
  one.report('success', 100, 1_035)
  assert.equal(Math.round(one.estimateMs(1_035)), 100)
  one.report('success', 10, 1_040)
  assert.ok(one.estimateMs(1_040) > 99)
  one.report('success', 10, 11_040)
  assert.ok(one.estimateMs(11_040) < 50)
})

test('a slow answer is forgotten the sooner the fewer of them there were', () => {
  const estimateAfter = (slowAnswers: number, seconds: number) => {
    const one = standing(known())
    for (let n = 0; n < slowAnswers; n++) one.report('success', 100, 1_000 + n)
    return one.estimateMs(1_000 + slowAnswers + seconds * 1_000)
  }
  const after2s = [1, 2, 4].map(answers => estimateAfter(answers, 2))
  assert.ok(after2s[0]! < 16 && after2s[1]! > 25 && after2s[2]! > 80, JSON.stringify(after2s))
  assert.ok(estimateAfter(4, 30) < 20)
})

test('the first answer of a process, however slow, is not held against it for long', () => {
  const fresh = standing(known())
  fresh.report('success', 2_000, 200)
  assert.ok(fresh.estimateMs(200) < 35)
})

describe('calls one after the other', () => {
  /** Each endpoint answers as long as it is told, ms, `pauseMs` after the call before. Calls that each got. */
  const run = ({ balancer, clock, pick }: Balanced, endpoints: readonly FakeCandidate[], calls: number, answerMs: (url: string, nth: number) => number, pauseMs = 2) => {
    const counts: Record<string, number> = Object.fromEntries(endpoints.map(({ url }) => [url, 0]))
    for (let n = 0; n < calls; n++) {
      const url = pick()!
      const took = answerMs(url, counts[url]!++)
      clock.nowMs += took + pauseMs
      endpoints.find(endpoint => endpoint.url === url)!.standing.report('success', took, clock.nowMs)
    }
    assert.equal(balancer.overflowed, 0)
    return counts
  }
  const three = () => ['a', 'b', 'c'].map(url => candidate(url))

  test('the slow first answers of processes that have just started starve nobody', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const endpoints = three()
      const counts = run(balanced(endpoints, {}, { seed }), endpoints, 60, (url, nth) => nth === 0 ? { a: 60, b: 25, c: 15 }[url]! : 1)
      for (const { url } of endpoints) assert.ok(counts[url]! >= 5, `${url} of ${JSON.stringify(counts)}, seed ${seed}`)
    }
  })

  test('one slow answer keeps calls away for a few seconds, not for longer', () => {
    const endpoints = three()
    const world = balanced(endpoints)
    run(world, endpoints, 200, () => 2)
    endpoints[0]!.standing.report('success', 500, world.clock.nowMs)
    const share = (calls: number) => run(world, endpoints, calls, () => 2, 8)['a']! / calls
    assert.ok(share(50) < 0.25)
    world.clock.nowMs += 4_000
    const later = share(600)
    assert.ok(later > 0.27 && later < 0.4, String(later))
  })

  test('an endpoint that is slow is tried less and less often, and never again all the time', () => {
    const endpoints = three()
    const world = balanced(endpoints)
    const slow = (url: string) => url === 'a' ? 50 : 5
    const perMinute = Array.from({ length: 3 }, () => run(world, endpoints, 6_000, slow, 5)['a']!)
    for (const calls of perMinute) assert.ok(calls > 0 && calls < 6_000 * 0.03, JSON.stringify(perMinute))
  })
})

test('what is not measured for long is as good as unknown', () => {
  const scale = known()
  const slow = standing(scale)
  for (let n = 0; n < 6; n++) slow.report('success', 500, 1_000 + n)
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
