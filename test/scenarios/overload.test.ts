// What gives way when there is more to do than can be done, and what operators break on purpose: through a whole gateway.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { runHere } from '../command/run-command.ts'
import { startOrigins } from '../support/fleet.ts'
import { request, requestBytes, targetOf } from '../support/http-client.ts'
import * as behave from '../support/origin.ts'
import { until } from '../support/until.ts'

const path = '/json/reply/Echo'
const code = (response: { json (): { responseStatus: { errorCode: string } } }) => response.json().responseStatus.errorCode

describe('priorities', { timeout: 60_000 }, () => {
  test('a full queue lets a critical message in for a sheddable one, and says so everywhere', async () => {
    await using fleet = await startOrigins([behave.hang()], {
      upstreams: { origin: { bulkhead: { maxConcurrent: 1, maxQueue: 1 }, policy: { queueTimeoutMs: 20_000, deadlineMs: 30_000, headersTimeoutMs: 30_000 } } },
      messages: { Report: { upstream: 'origin', policy: { priority: 'sheddable' } }, Pay: { upstream: 'origin', policy: { priority: 'critical' } } }
    })
    using holder = await fleet.gateway.connect()
    holder.send(requestBytes('x', path))
    await until('the slot is taken', () => fleet.origin.received.length === 1)
    const report = fleet.gateway.get('/json/reply/Report')
    await until('it waits', async () => await fleet.gateway.metric('postern_queue', { upstream: 'origin' }) === 1)
    const pay = fleet.gateway.get('/json/reply/Pay')
    const refused = await report
    assert.equal(code(refused), 'BulkheadFull')
    assert.match(refused.header('proxy-status')!, /error=connection_limit_reached; details="BulkheadFull limit=maxQueue value=1 waitedFor=bulkhead slot full=maxConcurrent fullAt=1 inFlight=1 queued=1 priority=sheddable displacedBy=critical"$/)
    fleet.origin.behave(behave.ok('paid'))
    holder.close()
    assert.equal((await pay).text(), 'paid')
    assert.equal(await fleet.gateway.metric('postern_bulkhead_rejections_total', { upstream: 'origin', limit: 'displaced', priority: 'sheddable' }), 1)
    assert.equal(await fleet.gateway.metric('postern_bulkhead_limit', { upstream: 'origin' }), 1)
  })

  test('an endpoint at its limit gets nothing while another has room; with all full, exchanges wait', async () => {
    await using fleet = await startOrigins([behave.hang(), behave.hang()], { upstreams: { origin: { bulkhead: { maxPerEndpoint: 1, maxQueue: 1 }, policy: { queueTimeoutMs: 20_000, deadlineMs: 30_000, headersTimeoutMs: 30_000 } } } })
    const connections = await Promise.all([1, 2, 3].map(async () => await fleet.gateway.connect()))
    try {
      for (const connection of connections) connection.send(requestBytes('x', path))
      await until('one each, one waits', async () => fleet.origins.every(({ received }) => received.length === 1) && await fleet.gateway.metric('postern_queue', { upstream: 'origin' }) === 1)
      const refused = await fleet.gateway.get(path)
      assert.match(refused.header('proxy-status')!, /full=maxPerEndpoint fullAt=1 inFlight=2 queued=1/)
      for (const origin of fleet.origins) origin.behave(behave.ok())
      connections[0]!.close()
      assert.equal((await connections[2]!.response()).status, 200, 'the place that came free')
    } finally {
      for (const connection of connections) connection.close()
    }
    await until('all places are free', async () => (await fleet.gateway.api('upstreams')).live.every((upstream: { endpoints: Array<{ seats: number }> }) => upstream.endpoints.every(({ seats }) => seats === 0)))
  })
})

describe('faults', { timeout: 60_000 }, () => {
  const tell = async (admin: string, what: string, body: object) => await request(targetOf(admin), what, { method: 'POST', headers: [['Content-Type', 'application/json']], body: JSON.stringify(body) })

  test('set while running for callers with a header, seen by log, metric and API, and over when cleared', async () => {
    await using fleet = await startOrigins([behave.ok()], { faults: { allow: true } })
    const { gateway } = fleet
    const set = await tell(gateway.admin, '/api/faults', { message: 'echo', abortStatus: 503, header: 'X-Game-Day: 1', forS: 60, by: 'anna' })
    assert.equal(set.status, 200, set.text())
    const aborted = await gateway.post(path, {}, { headers: [['Content-Type', 'application/json'], ['X-Game-Day', '1']] })
    assert.deepEqual([aborted.status, code(aborted)], [503, 'FaultInjected'])
    assert.equal((await gateway.post(path, {})).status, 200)
    assert.equal(fleet.origin.received.length, 1)
    await until('it is in the log', async () => (await gateway.log()).some(line => line['fault'] === 'abort 503'), { timeoutMs: 10_000 })
    assert.equal(await gateway.metric('postern_faults_injected_total', { upstream: 'origin', fault: 'abort' }), 1)
    const listed = (await request(targetOf(gateway.admin), '/api/faults')).json() as { faults: Array<{ message: string, by: string }> }
    assert.deepEqual(listed.faults.map(({ message, by }) => [message, by]), [['echo', 'anna']])
    assert.equal((await tell(gateway.admin, '/api/faults/clear', {})).text().includes('"cleared": 1'), true)
    assert.equal((await gateway.post(path, {}, { headers: [['Content-Type', 'application/json'], ['X-Game-Day', '1']] })).status, 200)
  })

  test('one in postern.yaml is a failure like the endpoint\'s own: a GET is tried again, the deadline ends a delay', async () => {
    const until = new Date(Date.now() + 600_000).toISOString()
    await using fleet = await startOrigins([behave.ok(), behave.ok()], { faults: { allow: true }, messages: { Echo: { upstream: 'origin', policy: { attempts: 2, fault: { reset: true, until } } }, Other: { upstream: 'origin', policy: { deadlineMs: 300, queueTimeoutMs: 300, connectTimeoutMs: 300, fault: { delayMs: 9_000, until } } } } })
    assert.equal(code(await fleet.gateway.get(path)), 'ConnectionClosed')
    assert.equal(await fleet.gateway.metric('postern_faults_injected_total', { upstream: 'origin', fault: 'reset' }), 2)
    const late = await fleet.gateway.post('/json/reply/Other', {})
    assert.equal(code(late), 'DeadlineExceeded')
    assert.match(late.header('proxy-status')!, /waitedFor=injected delay/)
  })

  test('by the command: set, shown, ended; and what is wrong is said', async () => {
    await using fleet = await startOrigins([behave.ok()], { faults: { allow: true } })
    const admin = ['--admin', fleet.gateway.admin]
    const set = await runHere(['fault', 'set', 'Echo', '--abort', '500', '--percent', '50', '--header', 'X-Game-Day: 1', '--for', '60', '--by', 'anna', '--reason', 'game day', ...admin])
    assert.deepEqual([set.code, set.err], [0, ''])
    assert.match(set.out, /^Echo: abort 500, 50 % for callers with x-game-day: 1, until \d{4}-\S+Z \(anna: game day\)\n$/)
    assert.equal((await runHere(['fault', ...admin])).out, set.out)
    assert.equal((await runHere(['fault', 'clear', 'ECHO', ...admin])).out, '1 fault ended.\n')
    assert.equal((await runHere(['fault', ...admin])).out, 'No fault was set while running.\n')
    const endless = await runHere(['fault', 'set', 'Echo', '--reset', ...admin])
    assert.equal(endless.code, 1)
    assert.match(endless.err, /needs an end within a day/)
    assert.equal((await runHere(['fault', 'clear', ...admin])).code, 2)
  })

  test('nothing is injected where postern.yaml does not allow it, and a wish without an end is refused', async () => {
    await using forbidden = await startOrigins([behave.ok()])
    assert.equal((await tell(forbidden.gateway.admin, '/api/faults', { message: 'Echo', reset: true, forS: 5 })).status, 409)
    await using allowed = await startOrigins([behave.ok()], { faults: { allow: true } })
    for (const [body, status] of [[{ message: 'Echo', reset: true }, 400], [{ message: 'Echo', forS: 5 }, 400], [{ message: 'Nobody', reset: true, forS: 5 }, 404], [{ message: 'Echo', abortStatus: 200, forS: 5 }, 400]] as const) {
      assert.equal((await tell(allowed.gateway.admin, '/api/faults', body)).status, status, JSON.stringify(body))
    }
  })
})
