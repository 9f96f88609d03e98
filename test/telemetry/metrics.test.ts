// The exposition: closed label sets, series that come and go with the table, and what counting costs.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createMetrics, metricTable, type Metrics } from '../../src/telemetry/metrics.ts'
import { until } from '../support/until.ts'

interface Series { name: string, labels: Record<string, string>, value: number }

/** A strict reader of the text format: anything it does not know is an error. */
async function scrape (metrics: Metrics): Promise<{ series: Series[], types: Map<string, string> }> {
  const types = new Map<string, string>()
  const helps = new Set<string>()
  const series: Series[] = []
  const text = await metrics.text()
  assert.ok(text.endsWith('\n'))
  for (const line of text.split('\n')) {
    if (line === '') continue
    const meta = /^# (HELP|TYPE) ([a-z_0-9]+) (.+)$/.exec(line)
    if (meta !== null) {
      const [, what, name, rest] = meta as unknown as [string, string, string, string]
      const seen = what === 'HELP' ? helps : types
      assert.ok(!seen.has(name), `${what} ${name} stands twice`)
      if (what === 'HELP') helps.add(name)
      else types.set(name, rest)
      continue
    }
    const sample = /^([a-z_0-9]+)(?:\{(.*)\})? (\S+)$/.exec(line)
    assert.ok(sample !== null, line)
    const labels = Object.fromEntries([...(sample[2] ?? '').matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, value]) => [key!, value!]))
    series.push({ name: sample[1]!, labels, value: Number(sample[3]) })
  }
  return { series, types }
}
const value = (series: Series[], name: string, labels: Record<string, string> = {}) =>
  series.find(one => one.name === name && JSON.stringify(Object.entries(one.labels).sort()) === JSON.stringify(Object.entries(labels).sort()))?.value

const createQuiet = () => createMetrics({ version: '1.2.3', processMetrics: false })

test('every metric of the table is exported under its name and type, with no label outside the table', async () => {
  const metrics = createQuiet()
  const route = metrics.routeMeter('Orders', 'PlaceOrder')
  route.start()
  route.done(503, 12, 'BulkheadFull')
  route.retry()
  route.degraded('fixed')
  metrics.endpointMeter('Orders', 'http://10.0.0.1:80').attempt('failure', 3)
  metrics.partMeter('Orders', 'canary').done(200, 5)
  metrics.copied('Orders', 'success')
  metrics.registryErrors('consul', 1)
  metrics.observeUpstreams(() => [{ name: 'Orders', bulkhead: { inFlight: 7, limit: 9, queued: 2, maxQueue: 5, rejections: [{ limit: 'maxQueue', priority: 'normal', count: 3 }] }, retryBudget: { left: 4, refused: 2 }, overflowed: 1, balance: () => new Map([[{ url: 'http://10.0.0.1:80' }, { share: 0.25, scoreMs: 12 }]]), breakers: [{ message: 'PlaceOrder', state: 'open' }], held: { open: 1, closed: 0 }, endpoints: [{ url: 'http://10.0.0.1:80', breaker: 'half-open', available: true, ejected: true, inFlight: 3, limit: 6, busy: 3, idle: 4 }] }])
  metrics.observeRegistries(() => [{ registry: 'consul', ok: true, lastGoodAt: Date.now() - 2_000 }])
  metrics.observeTable(() => ({ routes: { routed: 5, hidden: 1 }, registrations: { routed: 2, ghost: 1 }, moves: { gone: 1 }, dropped: {}, stale: {}, stateKept: false, conflicts: 2 }))
  metrics.observeFaults(() => [['Orders', { delay: 1 }]])
  metrics.observeCache(() => ({
    bytes: 1,
    arriving: 1,
    entries: 1,
    evictions: 0,
    purged: { operator: 0, write: 0, gateway: 0 },
    running: 0,
    waiting: 0,
    secondLevel: { up: true, reads: { hit: 1 }, bytesRead: 1, writes: { counts: { written: 1 }, bytesWritten: 1 }, purges: { told: 1, heard: 1, late: 1 } },
    messages: [{ upstream: 'Orders', message: 'GetOrder', results: { hit: 1 }, forwarded: new Map([['stale', 1]]), notStored: new Map([['no-store', 1]]), alarms: new Map([['expires-no-date', 1]]) }],
    outage: { held: 1, missing: 1, bytes: 1, oldestAgeS: 1, fetches: { kept: 1 }, given: new Map([['', { upstream: 'Orders', message: 'GetOrder', count: 1 }]]) }
  }))
  const { series, types } = await scrape(metrics)
  for (const spec of Object.values(metricTable)) {
    assert.equal(types.get(spec.name), spec.type)
    const mine = series.filter(({ name }) => name === spec.name || (spec.type === 'histogram' && name.startsWith(spec.name) && /_(bucket|sum|count)$/.test(name)))
    assert.ok(mine.length > 0, `${spec.name} has no series`)
    const allowed: string[] = [...spec.labels].sort()
    for (const one of mine) assert.deepEqual(Object.keys(one.labels).filter(label => label !== 'le').sort(), allowed, one.name)
  }
  assert.equal(types.size, Object.keys(metricTable).length)
  assert.equal(value(series, 'postern_breaker_state', { upstream: 'Orders', endpoint: 'http://10.0.0.1:80' }), 1)
  assert.equal(value(series, 'postern_pool_connections', { upstream: 'Orders', endpoint: 'http://10.0.0.1:80', state: 'busy' }), 3)
  assert.equal(value(series, 'postern_queue', { upstream: 'Orders' }), 2)
  assert.equal(value(series, 'postern_rejections_total', { upstream: 'Orders', reason: 'BulkheadFull' }), 1)
  assert.equal(value(series, 'postern_routes', { state: 'hidden' }), 1)
  assert.ok(Math.abs(value(series, 'postern_registry_age_seconds', { registry: 'consul' })! - 2) < 1)
  assert.equal(value(series, 'postern_build_info', { version: '1.2.3', node: process.version }), 1)
})

test('the process speaks for itself too: event loop delay and heap', async () => {
  const { types } = await scrape(createMetrics())
  assert.ok(types.has('nodejs_eventloop_lag_seconds'))
  assert.ok(types.has('nodejs_heap_size_used_bytes'))
  assert.ok(types.has('process_cpu_seconds_total'))
})

test('counts and durations are as they were measured; buckets are cumulative', async () => {
  const metrics = createQuiet()
  const route = metrics.routeMeter('Orders', 'PlaceOrder')
  for (const [status, ms] of [[200, 0.5], [201, 1], [404, 40], [503, 60_000]] as const) {
    route.start()
    route.done(status, ms)
  }
  route.start()
  const { series } = await scrape(metrics)
  const requests = (code: string) => value(series, 'postern_requests_total', { upstream: 'Orders', message: 'PlaceOrder', code })
  assert.deepEqual([requests('2xx'), requests('4xx'), requests('5xx'), requests('3xx')], [2, 1, 1, undefined])
  const bucket = (le: string) => value(series, 'postern_request_duration_seconds_bucket', { upstream: 'Orders', le })
  assert.deepEqual([bucket('0.001'), bucket('0.025'), bucket('0.05'), bucket('30'), bucket('+Inf')], [2, 2, 3, 3, 4])
  assert.equal(value(series, 'postern_request_duration_seconds_sum', { upstream: 'Orders' }), 60.0415)
  assert.equal(value(series, 'postern_in_flight', { upstream: 'Orders' }), 1)
})

test('a message has no series before its first exchange; one meter for one name', async () => {
  const metrics = createQuiet()
  for (let i = 0; i < 20_000; i++) metrics.routeMeter('Orders', `Message${i}`)
  assert.equal(metrics.routeMeter('Orders', 'Message1'), metrics.routeMeter('Orders', 'Message1'))
  const { series } = await scrape(metrics)
  assert.equal(series.filter(({ name }) => name === 'postern_requests_total').length, 0)
})

test('what clients make up is never a label', async () => {
  const metrics = createQuiet()
  assert.equal((await scrape(metrics)).series.some(({ labels }) => labels.upstream !== undefined), false)
  metrics.unrouted.start()
  metrics.unrouted.done(404, 0.1, 'MessageNotFound')
  const { series } = await scrape(metrics)
  assert.equal(value(series, 'postern_requests_total', { upstream: '', message: '', code: '4xx' }), 1)
  assert.equal(value(series, 'postern_rejections_total', { upstream: '', reason: 'MessageNotFound' }), 1)
})

test('series leave with what they are about, and exchanges still under way do not bring them back', async () => {
  const metrics = createQuiet()
  const call = (upstream: string, message: string, url: string) => {
    const route = metrics.routeMeter(upstream, message)
    route.start()
    metrics.endpointMeter(upstream, url).attempt('success', 1)
    return route
  }
  for (const [upstream, message, url] of [['A', 'Stays', 'http://a1'], ['A', 'Goes', 'http://a2'], ['B', 'AllGoes', 'http://b1'], ['C', 'Moved', 'http://c1']] as const) call(upstream, message, url).done(200, 1)
  const late = call('A', 'Goes', 'http://a2')
  metrics.removeMessage('A', 'Goes')
  metrics.removeEndpoint('A', 'http://a2')
  metrics.removeUpstream('B')
  metrics.removeMessage('C', 'Moved')
  late.done(200, 1)
  const { series } = await scrape(metrics)
  const values = (name: string, label: string) => series.filter(one => one.name === name).map(one => one.labels[label])
  assert.deepEqual(values('postern_requests_total', 'message'), ['Stays'])
  assert.deepEqual(values('postern_attempts_total', 'endpoint'), ['http://a1', 'http://c1'])
  assert.deepEqual(values('postern_in_flight', 'upstream'), ['A', 'C'])
  assert.equal(value(series, 'postern_in_flight', { upstream: 'A' }), 0)
})

test('odd names are escaped as the format wants it', async () => {
  const metrics = createQuiet()
  const route = metrics.routeMeter('a"b\\c\nd', 'M')
  route.start()
  route.done(200, 1)
  const { series } = await scrape(metrics)
  assert.equal(value(series, 'postern_requests_total', { upstream: 'a\\"b\\\\c\\nd', message: 'M', code: '2xx' }), 1)
})

test('reasons and registries are bounded even if somebody counts by something made up', async () => {
  const metrics = createQuiet()
  for (let i = 0; i < 1_000; i++) {
    metrics.unrouted.start()
    metrics.unrouted.done(500, 1, `Reason${i}`)
    metrics.registryErrors(`r${i}`, 1)
  }
  const { series } = await scrape(metrics)
  assert.ok(series.filter(({ name }) => name === 'postern_rejections_total').length <= 101)
  assert.ok(series.filter(({ name }) => name === 'postern_registry_errors_total').length <= 16)
})

test('two gateways in one process count apart', async () => {
  const one = createQuiet()
  const other = createQuiet()
  one.tableSwapped(3)
  assert.equal(value((await scrape(one)).series, 'postern_table_swaps_total'), 1)
  assert.equal(value((await scrape(other)).series, 'postern_table_swaps_total'), 0)
})

test('counting an exchange costs nanoseconds; a scrape of 20,000 messages holds nobody up', async t => {
  const metrics = createQuiet()
  const route = metrics.routeMeter('Orders', 'PlaceOrder')
  const endpoint = metrics.endpointMeter('Orders', 'http://10.0.0.1:80')
  const rounds: number[] = []
  for (let round = 0; round < 10; round++) {
    const before = process.threadCpuUsage()
    for (let i = 0; i < 100_000; i++) {
      route.start()
      endpoint.attempt('success', i % 100)
      route.done(200, i % 100)
    }
    const { user, system } = process.threadCpuUsage(before)
    rounds.push((user + system) / 100)
  }
  const nanoseconds = rounds.toSorted((a, b) => a - b)[5]!
  t.diagnostic(`start, attempt and done together: ${nanoseconds.toFixed(0)} ns`)
  assert.ok(nanoseconds < 1_000)

  for (let i = 0; i < 20_000; i++) {
    const meter = metrics.routeMeter(`Upstream${i % 2_000}`, `Message${i}`)
    meter.start()
    meter.done(200, 1)
  }
  await metrics.text()
  // In some round: another process may be given the core for as long as a scrape takes.
  await until('it is made in slices', async () => {
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    const startedAt = performance.now()
    const text = await metrics.text()
    const tookMs = performance.now() - startedAt
    delay.disable()
    t.diagnostic(`scrape of 20,000 messages of 2,000 upstreams: ${(text.length / 1e6).toFixed(1)} MB in ${tookMs.toFixed(0)} ms, longest turn ${(delay.max / 1e6).toFixed(1)} ms`)
    return delay.max / 1e6 < tookMs / 2
  })
})
