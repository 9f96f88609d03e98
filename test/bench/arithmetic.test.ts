// The arithmetic of the benchmark: if it is wrong, every number in docs/BENCHMARK.md is.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { quantile, slope, spread } from '../../bench/support/statistics.ts'
import { parseStat } from '../../bench/support/cpu-time.ts'
import { parseResult, type LoadResult } from '../../bench/support/load.ts'
import { moduleOf, shortFile, summarize } from '../../bench/support/cpu-profile.ts'
import { flaw, type Comparison, type Slice } from '../../bench/compare.ts'
import { intoPage, markdown, ratios, targetLines } from '../../bench/report.ts'
import { json, scenarios } from '../../bench/scenarios.ts'

test('quantiles lie between neighbours, in any order of the values', () => {
  assert.equal(quantile([3, 1, 2], 0.5), 2)
  assert.equal(quantile([4, 1, 3, 2], 0.5), 2.5)
  assert.equal(quantile([4, 1, 3, 2], 0.25), 1.75)
  assert.deepEqual(spread([10]), { median: 10, lower: 10, upper: 10, count: 1 })
  assert.ok(Number.isNaN(spread([]).median))
})

test('the slope is that of the least-squares line', () => {
  assert.equal(slope([[0, 1], [1, 3], [2, 5]]), 2)
  assert.equal(slope([[0, 1], [1, 2], [2, 0], [3, 1]]), -0.2)
  assert.equal(slope([[5, 1], [5, 9]]), 0)
})

test('CPU time counts user and system time, of the process and of its reaped children', () => {
  const line = '7629 (a (b) c) S 7624 7624 3650 0 -1 4194304 100 0 0 0 11 22 33 44 20 0 1 0 241715 3133440'
  assert.deepEqual(parseStat(line), { parent: 7624, ticks: 110 })
})

const result: LoadResult = { requests: 100, bytes: 90_000, seconds: 1, refused: 0, broken: 0, latency: { p50: 1, p99: 2, p999: 3, max: 4 } }

test('the result line of wrk is found among what else it prints', () => {
  const line = 'RESULT {"requests":7,"bytes":8,"durationMicroseconds":2000000,"connect":1,"read":2,"write":3,"timeout":4,"status":5,"p50":6,"p99":7,"p999":8,"max":9}'
  assert.deepEqual(parseResult(`Running 2s test\n\n${line}\n`), { requests: 7, bytes: 8, seconds: 2, refused: 5, broken: 10, latency: { p50: 6, p99: 7, p999: 8, max: 9 } })
  assert.throws(() => parseResult('unable to connect'), /no result/)
})

test('a slice with errors, short answers or no access log does not count', () => {
  const small = scenarios[0]!
  assert.equal(flaw(result, small, 5_000), undefined)
  assert.equal(flaw(result, small, undefined), undefined)
  assert.match(flaw({ ...result, refused: 1 }, small, 5_000)!, /error status/)
  assert.match(flaw({ ...result, broken: 1 }, small, 5_000)!, /broken/)
  assert.match(flaw({ ...result, requests: 0 }, small, 5_000)!, /no answer/)
  assert.match(flaw({ ...result, bytes: 69_299 }, small, 5_000)!, /shorter/)
  assert.match(flaw(result, small, 0)!, /access log/)
})

const slice = (round: number, contender: string, microsecondsPerRequest: number, invalid?: string): Slice =>
  ({ round, contender, scenario: 'get-small', microsecondsPerRequest, invalid, requests: 1, cpuSeconds: 1, requestsPerSecond: 1, latency: result.latency })

const slices = [
  slice(1, 'postern', 30), slice(1, 'nginx', 10), slice(1, 'caddy', 60),
  slice(2, 'postern', 40), slice(2, 'nginx', 20), slice(2, 'caddy', 50, 'answers with an error status'),
  slice(3, 'postern', 90), slice(3, 'nginx', 10), slice(3, 'caddy', 60)
]
const comparison: Comparison = {
  machine: { cores: 2, cpu: 'a CPU', kernel: '6', loadBefore: 0 },
  rounds: 3,
  seconds: 1,
  connections: 64,
  contenders: ['postern', 'nginx', 'caddy'].map(name => ({ name, title: name, version: '1' })),
  skipped: ['haproxy: not installed'],
  scenarios: [{ name: 'get-small', title: 'GET' }],
  slices
}

test('a ratio is taken within a round, and only of slices that count', () => {
  assert.deepEqual(ratios(slices, 'get-small', 'postern', 'nginx'), [3, 2, 9])
  assert.deepEqual(ratios(slices, 'get-small', 'postern', 'caddy'), [0.5, 1.5])
  assert.deepEqual(ratios(slices, 'get-64k', 'postern', 'nginx'), [])
})

test('a target is met by the median, and left out when the other side was not measured', () => {
  const reached = targetLines(comparison)
  assert.deepEqual(reached.map(({ over, met, ratio }) => [over, met, ratio.median]), [['caddy', false, 1]])
})

test('protections are measured against the same code without them, which has no targets of its own', () => {
  const pair = [slice(1, 'postern', 33), slice(1, 'postern-unprotected', 30), slice(2, 'postern-unprotected', 20), slice(2, 'postern', 23)]
  const measured: Comparison = { ...comparison, contenders: ['postern', 'postern-unprotected'].map(name => ({ name, title: name, version: '1' })), slices: pair }
  assert.deepEqual(targetLines(measured).map(({ contender, over, met }) => [contender, over, met]), [['postern', 'postern-unprotected', false]])
  assert.match(markdown(measured), /× postern-unprotected[^]*\| postern \(1\) \| 1\.13 /)
})

test('the page says what was measured, what was skipped and what did not count', () => {
  const page = markdown(comparison)
  assert.match(page, /\| postern \(1\) \| 3\.00 \(2\.50–6\.00\) \| 40\.0 \(35\.0–65\.0\) \|/)
  assert.match(page, /Not measured:\*\* haproxy/)
  assert.match(page, /round 2 get-small caddy/)
  const marks = '<!-- result: written by npm run bench -- --write -->\nold\n<!-- end of result -->\nrest'
  assert.equal(intoPage(`head\n${marks}`, 'new'), 'head\n<!-- result: written by npm run bench -- --write -->\n\nnew\n<!-- end of result -->\nrest')
  assert.throws(() => intoPage('nothing', 'new'), /no place/)
})

test('answers of the origin have exactly the bytes they claim', () => {
  for (const bytes of [693, 1_024, 65_536]) {
    assert.equal(Buffer.byteLength(json(bytes)), bytes)
    assert.doesNotThrow(() => JSON.parse(json(bytes)))
  }
})

test('a profile is summed by function and by module; idle time is nobody\'s', () => {
  const frame = (functionName: string, url: string) => ({ functionName, url, lineNumber: 4 })
  const ours = frame('send', 'file:///somewhere/src/upstream/attempt.ts')
  const library = frame('onHeaders', 'file:///somewhere/node_modules/undici/lib/client.js')
  const summary = summarize({
    nodes: [
      { id: 1, callFrame: frame('(root)', ''), children: [2, 3] },
      { id: 2, callFrame: frame('(idle)', '') },
      { id: 3, callFrame: ours, children: [4] },
      { id: 4, callFrame: library, children: [5, 6] },
      { id: 5, callFrame: ours },
      { id: 6, callFrame: frame('writev', '') }
    ],
    samples: [2, 3, 4, 5, 6, 2],
    timeDeltas: [0, 100, 10, 20, 30, 40]
  })
  assert.equal(summary.idleMicroseconds, 100)
  assert.equal(summary.busyMicroseconds, 100)
  assert.deepEqual(summary.functions.map(({ name, microseconds }) => [name, microseconds]), [
    ['send  src/upstream/attempt.ts:5', 40], ['writev', 40], ['onHeaders  undici/lib/client.js:5', 20]
  ])
  assert.deepEqual(summary.totals.map(({ name, microseconds }) => [name, microseconds]), [
    ['send  src/upstream/attempt.ts:5', 100], ['onHeaders  undici/lib/client.js:5', 90]
  ])
  assert.deepEqual(summary.modules.map(({ name }) => name), ['src/upstream', 'native code and system calls', 'undici'])
})

test('files and modules are named as a reader knows them', () => {
  const nested = '/x/node_modules/@fastify/reply-from/node_modules/undici/lib/a.js'
  assert.equal(shortFile(nested), 'undici/lib/a.js')
  assert.equal(moduleOf({ functionName: 'f', url: 'file:///x/node_modules/@fastify/reply-from/index.js', lineNumber: 0 }), '@fastify/reply-from')
  assert.equal(moduleOf({ functionName: 'f', url: 'node:internal/streams/readable', lineNumber: 0 }), 'node:streams')
  assert.equal(moduleOf({ functionName: 'f', url: 'node:_http_server', lineNumber: 0 }), 'node:_http_server')
  assert.equal(moduleOf({ functionName: 'f', url: 'file:///x/src/gateway.ts', lineNumber: 0 }), 'src/gateway.ts')
})
