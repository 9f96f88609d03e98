// The fleet that the swap measurement deploys again and again: it must behave as Consul and the hosts do, or the measurement shows nothing.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { startFleet } from '../../bench/swap/fleet.ts'
import { ask, freePorts } from '../../bench/support/network.ts'
import { between, parseBuilds } from '../../bench/swap/builds.ts'
import { judgeSwap, type Phase } from '../../bench/swap/verdict.ts'
import { judge, type Sample } from '../../bench/memory/verdict.ts'

interface Entry { Service: { ID: string, Tags: string[], Address: string } }

test('a waiting query is answered by the change, and the hosts say the same of themselves', async t => {
  const [port = 0] = await freePorts(1)
  const fleet = await startFleet({ messages: 40, endpoints: 20, origin: `http://127.0.0.1:${port}`, port })
  t.after(() => fleet.close())
  const catalogue = async (query: string) => JSON.parse((await ask(port, `/v1/health/service/api?${query}`)).body.toString()) as Entry[]
  const json = async (path: string) => JSON.parse((await ask(port, path)).body.toString()) as unknown

  assert.equal(fleet.services, 4)
  const before = await catalogue('passing=1')
  assert.equal(before.length, 20)
  assert.equal(new Set(before.flatMap(({ Service }) => Service.Tags.slice(1))).size, 40)

  let answered = false
  const waiting = catalogue('index=100&wait=1500ms').finally(() => { answered = true })
  await ask(port, '/v1/agent/self')
  assert.equal(answered, false, 'nothing has changed yet')
  const oldNames = fleet.messagesOf(2)
  fleet.replace([2])
  const after = await waiting
  assert.equal(after.filter(({ Service }, n) => Service.ID !== before[n]!.Service.ID).length, 5)
  const newNames = fleet.messagesOf(2)
  assert.equal(newNames.filter(name => !oldNames.includes(name)).length, 5)
  assert.deepEqual(after[10]!.Service.Tags.slice(1), newNames)
  assert.deepEqual((await json('/e10/operations/metadata') as Array<{ name: string }>).map(({ name }) => name), newNames)
  assert.equal((await json('/e10/json/reply/ServiceRegistration') as { id: string }).id, after[10]!.Service.ID)
  assert.equal((await ask(port, '/e10/json/reply/Other')).status, 404)
})

test('builds between two readings: their mean, and the bound none went over', () => {
  const before = { count: 10, sumMs: 50, below: new Map([[1, 2], [5, 9], [10, 10], [Infinity, 10]]) }
  const after = { count: 14, sumMs: 62, below: new Map([[1, 2], [5, 13], [10, 14], [Infinity, 14]]) }
  assert.deepEqual(between(before, after), { count: 4, meanMs: 3, atMostMs: 5 })
  assert.deepEqual(between(before, before), { count: 0, meanMs: 0, atMostMs: 1 })
})

test('build times are read from the text of /metrics', () => {
  const text = [
    'postern_table_build_seconds_bucket{le="0.001"} 3', 'postern_table_build_seconds_bucket{le="+Inf"} 4',
    'postern_table_build_seconds_sum 0.25', 'postern_table_build_seconds_count 4'
  ].join('\n')
  assert.deepEqual(parseBuilds(text), { count: 4, sumMs: 250, below: new Map([[1, 3], [Infinity, 4]]) })
  assert.throws(() => parseBuilds('other 1'), /exports no/)
})

test('swaps are judged by the slowest request, the slowest build, failures, and by whether there were any', () => {
  const phase = (kind: Phase['kind'], max: number, more: Partial<Phase> = {}): Phase =>
    ({ kind, p50: 1, p99: 2, p999: 3, max, loopMax: 1, failed: 0, builds: { count: kind === 'quiet' ? 0 : 5, meanMs: 2, atMostMs: kind === 'quiet' ? 1 : 5 }, ...more })
  const judged = (...phases: Phase[]) => judgeSwap({ phases, firstBuilds: { count: 3, meanMs: 20, atMostMs: 50 }, propagationsMs: [200], failures: [] })
  assert.equal(judged(phase('quiet', 4), phase('deploying', 13), phase('quiet', 20), phase('reloading', 30)).met, true)
  assert.equal(judged(phase('quiet', 4), phase('deploying', 15), phase('quiet', 4), phase('reloading', 4)).met, false)
  assert.equal(judged(phase('quiet', 4), phase('deploying', 4), phase('quiet', 4), phase('reloading', 15)).met, false)
  const deploys = (...pairs: Array<readonly [quiet: number, deploying: number]>) => judged(...pairs.flatMap(([quiet, deploying]) => [phase('quiet', quiet), phase('deploying', deploying)]))
  assert.deepEqual([deploys([4, 6], [4, 40], [30, 6]).addedMaxMs, deploys([4, 6], [4, 40], [4, 41]).addedMaxMs], [2, 36], 'one bad pair is the machine\'s, two of three are ours')
  assert.equal(judged(phase('quiet', 4), phase('deploying', 4, { failed: 1 })).met, false)
  assert.equal(judged(phase('quiet', 4), phase('reloading', 4, { builds: { count: 1, meanMs: 120, atMostMs: 250 } })).met, false)
  assert.equal(judged(phase('quiet', 4), phase('deploying', 4, { builds: { count: 0, meanMs: 0, atMostMs: 1 } })).met, false)
})

test('a series is flat when neither live memory nor the resident set nor what was set up for requests grows with them', () => {
  const series = (perRequest: number, residentPerRequest: number, setUpPerThousand = 0): Sample[] => Array.from({ length: 21 }, (_, n) => ({
    requests: n * 50_000,
    timers: 70 + (n % 3) * 20 + n * 50 * setUpPerThousand,
    listeners: 900,
    handles: 70,
    heapUsed: 20e6 + n * 50_000 * perRequest + (n % 2) * 100_000,
    external: 5e6,
    rss: 100e6 + n * 50_000 * residentPerRequest
  }))
  assert.equal(judge(series(0, 0)).flat, true)
  assert.equal(judge(series(8, 0)).flat, false, 'one slot of a list for each request')
  assert.equal(judge(series(0, 80)).flat, false, 'memory outside the heap')
  assert.equal(judge(series(0, 0, 1)).flat, false, 'a timer for each of the rarest requests')
  const warmingUp = series(0, 0).map((sample, n) => ({ ...sample, rss: 100e6 + Math.min(n, 5) * 10e6 }))
  assert.equal(judge(warmingUp).flat, true, 'the resident set of the first quarter is warm-up')
  assert.ok(Math.abs(judge(series(8, 0)).bytesPerRequest - 8) < 0.1)
})
