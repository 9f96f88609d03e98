// What operators break on purpose on game days: through a whole gateway.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { runHere } from '../command/run-command.ts'
import { startOrigins } from '../support/fleet.ts'
import { request, targetOf } from '../support/http-client.ts'
import * as behave from '../support/origin.ts'
import { until } from '../support/until.ts'

const path = '/json/reply/Echo'
/** What a timer and the time of day may differ by. */
const clockMs = 100
const code = (response: { json (): { responseStatus: { errorCode: string } } }) => response.json().responseStatus.errorCode

describe('faults', { timeout: 300_000 }, () => {
  test('set while running for callers with a header, seen by log, metric and API, and over when cleared', async () => {
    await using fleet = await startOrigins([behave.ok()], { faults: { allow: true } })
    const { gateway } = fleet
    const set = await gateway.tell('/api/faults', { message: 'echo', abortStatus: 503, header: 'X-Game-Day: 1', forS: 60, by: 'anna' })
    assert.equal(set.status, 200, set.text())
    const aborted = await gateway.post(path, {}, { headers: [['Content-Type', 'application/json'], ['X-Game-Day', '1']] })
    assert.deepEqual([aborted.status, code(aborted)], [503, 'FaultInjected'])
    assert.equal((await gateway.post(path, {})).status, 200)
    assert.equal(fleet.origin.received.length, 1)
    await until('it is in the log', async () => (await gateway.log()).some(line => line['fault'] === 'abort 503'))
    assert.equal(await gateway.metric('postern_faults_injected_total', { upstream: 'origin', fault: 'abort' }), 1)
    const listed = (await request(targetOf(gateway.admin), '/api/faults')).json() as { faults: Array<{ message: string, by: string }> }
    assert.deepEqual(listed.faults.map(({ message, by }) => [message, by]), [['echo', 'anna']])
    assert.equal((await gateway.tell('/api/faults/clear', {})).text().includes('"cleared": 1'), true)
    assert.equal((await gateway.post(path, {}, { headers: [['Content-Type', 'application/json'], ['X-Game-Day', '1']] })).status, 200)
  })

  test('a delay lasts as long as it says, and then the endpoint answers', async () => {
    await using fleet = await startOrigins([behave.ok('late')], { faults: { allow: true } })
    await fleet.gateway.tell('/api/faults', { message: 'Echo', delayMs: 400, forS: 600, by: 'anna' })
    const startedMs = performance.now()
    assert.equal((await fleet.gateway.post(path, {})).text(), 'late')
    assert.ok(performance.now() - startedMs >= 395)
    assert.equal(fleet.origin.received.length, 1)
  })

  test('of a share only so many, and the endpoint gets the others', async () => {
    await using fleet = await startOrigins([behave.ok()], { faults: { allow: true } })
    const { gateway, origin } = fleet
    await gateway.tell('/api/faults', { message: 'Echo', abortStatus: 418, percent: 30, forS: 600, by: 'anna' })
    let aborted = 0
    for (let n = 0; n < 200; n++) if ((await gateway.post(path, {})).status === 418) aborted++
    // Six standard deviations around 60.
    assert.ok(aborted > 20 && aborted < 100, `${aborted}`)
    assert.equal(origin.received.length, 200 - aborted)
  })

  test('a reset is to its callers what a connection is that the endpoint itself resets', async () => {
    await using fleet = await startOrigins([behave.reset()], { faults: { allow: true } })
    const { gateway, origin } = fleet
    const answer = async () => {
      const response = await gateway.post(path, {})
      return [response.statusLine, code(response), response.header('retry-after'), response.header('proxy-status')]
    }
    const own = await answer()
    assert.equal(own[1], 'ConnectionClosed')
    await gateway.tell('/api/faults', { message: 'Echo', reset: true, forS: 600, by: 'anna' })
    assert.deepEqual(await answer(), own)
    assert.equal(origin.received.length, 1)
    await gateway.metricBecomes('postern_attempts_total', 2, { endpoint: origin.url, outcome: 'failure' })
  })

  test('one that was set while running stays over a reload with its end, and goes with the permission for good', async () => {
    await using fleet = await startOrigins([behave.ok()], { faults: { allow: true } })
    const { gateway, origin } = fleet
    const config = (allow: boolean) => ({ faults: { allow }, upstreams: { origin: { endpoints: [origin.url] } }, messages: { Echo: { upstream: 'origin' } } })
    const listed = async () => ((await request(targetOf(gateway.admin), '/api/faults')).json() as { faults: unknown[] }).faults
    await gateway.tell('/api/faults', { message: 'Echo', abortStatus: 418, forS: 600, by: 'anna' })
    const before = await listed()
    await gateway.reload(config(true))
    assert.equal((await gateway.post(path, {})).status, 418)
    assert.deepEqual(await listed(), before)
    for (const allow of [false, true]) {
      await gateway.reload(config(allow))
      assert.equal((await gateway.post(path, {})).status, 200)
    }
  })

  test('one that was set while running ends by itself, and leaves that of postern.yaml as it was', async () => {
    await using fleet = await startOrigins([behave.ok()], { faults: { allow: true }, messages: { Echo: { upstream: 'origin', policy: { fault: { abortStatus: 451, until: '2999-01-01T00:00:00Z' } } } } })
    const { gateway } = fleet
    const set = await gateway.tell('/api/faults', { message: 'Echo', abortStatus: 418, forS: 8, by: 'anna' })
    const { until: end } = set.json() as { until: string }
    assert.equal((await gateway.post(path, {})).status, 418)
    await until('it is over', async () => (await gateway.post(path, {})).status === 451, { timeoutMs: 60_000 })
    assert.ok(Date.now() >= Date.parse(end) - clockMs, 'not before its time')
    assert.deepEqual(((await request(targetOf(gateway.admin), '/api/faults')).json() as { faults: unknown[] }).faults, [])
  })

  test('one in postern.yaml ends at its time', async () => {
    const end = Date.now() + 14_000
    await using fleet = await startOrigins([behave.ok()], { faults: { allow: true }, messages: { Echo: { upstream: 'origin', policy: { fault: { abortStatus: 418, until: new Date(end).toISOString() } } } } })
    await until('it is over', async () => (await fleet.gateway.post(path, {})).status === 200, { timeoutMs: 90_000 })
    assert.ok(Date.now() >= end - clockMs, 'not before its time')
    assert.ok(await fleet.gateway.metric('postern_faults_injected_total', { fault: 'abort' }) > 0)
  })

  test('one in postern.yaml is a failure like the endpoint\'s own: a GET is tried again, the deadline ends a delay', async () => {
    const until = new Date(Date.now() + 600_000).toISOString()
    await using fleet = await startOrigins([behave.ok(), behave.ok()], { faults: { allow: true }, messages: { Echo: { upstream: 'origin', policy: { attempts: 2, fault: { reset: true, until } } }, Other: { upstream: 'origin', policy: { deadlineMs: 4_000, queueTimeoutMs: 4_000, connectTimeoutMs: 4_000, fault: { delayMs: 60_000, until } } } } })
    assert.equal(code(await fleet.gateway.get(path)), 'ConnectionClosed')
    assert.equal(await fleet.gateway.metric('postern_faults_injected_total', { upstream: 'origin', fault: 'reset' }), 2)
    const late = await fleet.gateway.post('/json/reply/Other', {})
    assert.equal(code(late), 'DeadlineExceeded')
    assert.match(late.header('proxy-status')!, /waitedFor=injected delay/)
  })

  test('by the command: set, shown, ended; and what is wrong is said', async () => {
    await using fleet = await startOrigins([behave.ok()], { faults: { allow: true } })
    const admin = ['--admin', fleet.gateway.admin]
    const set = await runHere(['fault', 'set', 'Echo', '--abort', '500', '--percent', '50', '--header', 'X-Game-Day: 1', '--for', '60s', '--by', 'anna', '--reason', 'game day', ...admin])
    assert.deepEqual([set.code, set.err], [0, ''])
    assert.match(set.out, /^Echo: abort 500, 50 % for callers with x-game-day: 1, until \d{4}-\S+Z \(anna: game day\)\n$/)
    assert.equal((await runHere(['fault', ...admin])).out, set.out)
    assert.equal((await runHere(['fault', 'clear', 'ECHO', ...admin])).out, '1 fault ended.\n')
    assert.equal((await runHere(['fault', ...admin])).out, 'No fault was set while running.\n')
    for (const [flags, said] of [
      [['--abort', '503'], /until when\? --for TIME \(10m, 2h\), or --until TIME/],
      [['--abort', '503', '--for', '600'], /--for: "600" is no time\. For example 90s, 10m/],
      [['--abort', '503', '--for', '2d'], /--for: a fault ends within a day/],
      [['--abort', '503', '--until', 'tonight'], /--until: "tonight" is no date and time/],
      [['--abort', '503', '--until', '2020-01-01T00:00:00Z'], /--until: a fault ends within a day/],
      [['--for', '10m'], /what is to go wrong\? --delay MS, --abort STATUS or --reset/],
      [['--abort', '200', '--for', '10m'], /--abort takes a number from 400 to 599/],
      [['--delay', 'long', '--for', '10m'], /--delay takes a number from 1 to 600000/],
      [['--reset', '--percent', '0', '--for', '10m'], /--percent 0 is no fault/]
    ] as const) {
      const { code, err } = await runHere(['fault', 'set', 'Echo', ...flags, ...admin])
      assert.equal(code, 2, err)
      assert.match(err, said)
      assert.doesNotMatch(err, /forS|abortStatus|delayMs/)
    }
    assert.equal((await runHere(['fault', 'clear', ...admin])).code, 2)
  })

  test('nothing is injected where postern.yaml does not allow it, and a wish without an end is refused', async () => {
    await using forbidden = await startOrigins([behave.ok()])
    assert.equal((await forbidden.gateway.tell('/api/faults', { message: 'Echo', reset: true, forS: 5 })).status, 409)
    await using allowed = await startOrigins([behave.ok()], { faults: { allow: true } })
    for (const [body, status] of [[{ message: 'Echo', reset: true }, 400], [{ message: 'Echo', forS: 5 }, 400], [{ message: 'Nobody', reset: true, forS: 5 }, 404], [{ message: 'Echo', abortStatus: 200, forS: 5 }, 400]] as const) {
      assert.equal((await allowed.gateway.tell('/api/faults', body)).status, status, JSON.stringify(body))
    }
  })
})
