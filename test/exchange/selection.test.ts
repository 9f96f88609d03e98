// Endpoints of a part of the traffic.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { compareVersions, matches, selectRest, type Rest, type Selectable } from '../../src/exchange/selection.ts'

const endpoint = (version: string | undefined, labels: string[] = [], sinceMs = 0): Selectable => ({ version, labels, sinceMs })
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

test('the highest version takes over once one of its endpoints has been there long enough, and shares until then', () => {
  const fleet = [endpoint('1'), endpoint('1'), endpoint('2', [], 50_000)]
  const during = selectRest(fleet, rest('highest'), 55_000)
  assert.deepEqual(versionsOf(during.chosen).toSorted(), ['1', '1', '2'])
  assert.equal(during.untilMs, 60_000)
  const after = selectRest(fleet, rest('highest'), 60_000)
  assert.deepEqual(versionsOf(after.chosen), ['2'])
  assert.equal(after.untilMs, Infinity)
})

test('the lowest version keeps it; a newcomer of a lower version takes it over in turn', () => {
  assert.deepEqual(versionsOf(selectRest([endpoint('1'), endpoint('2')], rest('lowest'), 20_000).chosen), ['1'])
  const newcomer = [endpoint('1', [], 15_000), endpoint('2')]
  assert.deepEqual(versionsOf(selectRest(newcomer, rest('lowest'), 20_000).chosen), ['1', '2'])
})

test('endpoints without a version come last, and all newcomers share at a start', () => {
  assert.deepEqual(versionsOf(selectRest([endpoint(undefined), endpoint('1')], rest('highest'), 20_000).chosen), ['1'])
  assert.deepEqual(versionsOf(selectRest([endpoint(undefined), endpoint('1')], rest('highest'), 5_000).chosen), ['1', undefined])
})
