// Endpoints of a part of the traffic.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { compareVersions, matches, selectRest, type Rest, type Selectable } from '../../src/exchange/selection.ts'

const endpoint = (version: string | undefined, labels: string[] = [], sinceMs = 0): Selectable => ({ version, labels, sinceMs, weight: 1, expected: true })
const versionsOf = (endpoints: readonly Selectable[]) => endpoints.map(({ version }) => version)
const rest = (versions: Rest['versions'], outside: Rest['outside'] = []): Rest => ({ outside, versions, takeoverMs: 10_000 })

test('an endpoint matches when version and every label do', () => {
  const canary = endpoint('2.1', ['tag:canary', 'meta:track=blue'])
  assert.equal(matches(canary, { labels: [] }), true)
  assert.equal(matches(canary, { version: /^2\..*$/, labels: ['tag:canary'] }), true)
  assert.equal(matches(canary, { version: /^1\..*$/, labels: [] }), false)
  assert.equal(matches(canary, { labels: ['tag:canary', 'meta:track=green'] }), false)
  assert.equal(matches(endpoint(undefined), { version: /^.*$/, labels: [] }), false)
})

for (const [low, high] of [['1.9', '1.10'], ['2', '2.0.1'], ['2.0-beta', '2.0'], ['2.0-alpha', '2.0-beta'], ['1.0', '2.0-rc'], ['1.a', '1.b']] as const) {
  test(`${low} is below ${high}`, () => {
    assert.ok(compareVersions(low, high) < 0)
    assert.ok(compareVersions(high, low) > 0)
  })
}

test('equal versions are equal, however they are written', () => {
  assert.equal(compareVersions('2', '2.0'), 0)
  assert.equal(compareVersions('2.0-rc', '2.0-rc'), 0)
})

test('the rest are those outside every part; where all belong to some part, all', () => {
  const [stable, canary] = [endpoint('1'), endpoint('2', ['tag:canary'])]
  const outside = [{ labels: ['tag:canary'] }]
  assert.deepEqual(selectRest([stable, canary], rest('all', outside), 0).chosen, [stable])
  assert.deepEqual(selectRest([canary], rest('all', outside), 0).chosen, [canary])
  assert.deepEqual(selectRest([], rest('highest', outside), 0).chosen, [])
})

test('the highest version takes over step by step, whatever the number of endpoints', () => {
  const fleet = [endpoint('1'), endpoint('1'), endpoint('2', [], 50_000)]
  for (const [nowMs, weights] of [[50_001, [50, 475, 475]], [53_000, [300, 350, 350]], [59_999, [1_000]]] as const) {
    const during = selectRest(fleet, rest('highest'), nowMs)
    assert.deepEqual(during.chosen, [fleet[2], fleet[0], fleet[1]].slice(0, weights.length))
    assert.deepEqual(during.weights ?? [1_000], weights)
    assert.equal(during.untilMs, weights.length === 1 ? Infinity : nowMs + 500)
  }
})

test('one that is taken over while it takes over itself gives away part of its own', () => {
  const { chosen, weights } = selectRest([endpoint('1'), endpoint('2', [], 50_000), endpoint('3', [], 54_000)], rest('highest'), 55_000)
  assert.deepEqual(versionsOf(chosen), ['3', '2', '1'])
  assert.deepEqual(weights, [100, 450, 450])
})

test('endpoints of a version share its part by their own weights', () => {
  const { weights } = selectRest([endpoint('1'), { ...endpoint('2', [], 50_000), weight: 3 }, endpoint('2', [], 51_000)], rest('highest'), 54_000)
  assert.deepEqual(weights, [300, 100, 600])
})

test('the lowest version keeps it; a newcomer of a lower version takes it over in turn', () => {
  assert.deepEqual(versionsOf(selectRest([endpoint('1'), endpoint('2')], rest('lowest'), 20_000).chosen), ['1'])
  assert.deepEqual(versionsOf(selectRest([endpoint('1'), endpoint('2', [], 15_000)], rest('lowest'), 20_000).chosen), ['1'])
  assert.deepEqual(selectRest([endpoint('1', [], 15_000), endpoint('2')], rest('lowest'), 20_000).weights, [500, 500])
})

test('at a start there is nothing to take over from; endpoints without a version come last', () => {
  assert.deepEqual(versionsOf(selectRest([endpoint(undefined), endpoint('1', [], 100)], rest('highest'), 5_000).chosen), ['1'])
  assert.deepEqual(versionsOf(selectRest([endpoint(undefined), endpoint('1')], rest('highest'), 0).chosen), ['1'])
})

test('a version that may not be called is passed over for a while, unless that is so of all', () => {
  const out = (version: string): Selectable => ({ ...endpoint(version), expected: false })
  const passed = selectRest([endpoint('1'), endpoint('2'), out('3')], rest('highest'), 0)
  assert.deepEqual(versionsOf(passed.chosen), ['2'])
  assert.ok(passed.untilMs < Infinity)
  assert.deepEqual(versionsOf(selectRest([out('2'), endpoint('1')], rest('lowest'), 0).chosen), ['1'])
  assert.deepEqual(versionsOf(selectRest([out('1'), out('2')], rest('highest'), 0).chosen), ['2'])
  assert.deepEqual(versionsOf(selectRest([endpoint('1'), endpoint('2'), out('2')], rest('highest'), 0).chosen), ['2', '2'])
})
