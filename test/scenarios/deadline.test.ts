// One budget for everything an exchange waits for, told to the service, and taken from callers that may say so.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { startOrigins } from '../support/fleet.ts'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import { requestBytes } from '../support/http-client.ts'
import * as behave from '../support/origin.ts'
import { until } from '../support/until.ts'

const path = '/json/reply/Echo'
const header = 'x-request-timeout-ms'
const code = (response: { json (): { responseStatus: { errorCode: string } } }) => response.json().responseStatus.errorCode
const trusted = { edge: { trustedProxies: ['127.0.0.1'] } }
const policy = (settings: object) => ({ upstreams: { origin: { policy: settings } } })

describe('the time that is left', { timeout: 300_000 }, () => {
  test('is sent upstream, less with every attempt, and never a stranger\'s', async () => {
    const late: behave.Behaviour = async request => {
      await sleep(100)
      await behave.reset()(request)
    }
    await using fleet = await startOrigins([late, late], policy({ deadlineMs: 60_000, headersTimeoutMs: 60_000, attempts: 3 }))
    await fleet.gateway.get(path, { headers: [['X-Request-Timeout-Ms', '999999']] })
    const told = fleet.origins.flatMap(({ received }) => received).map(request => Number(request.header(header))).sort((a, b) => b - a)
    assert.equal(told.length, 3)
    assert.ok(told[0]! <= 60_000 && told[1]! <= told[0]! - 90 && told[2]! <= told[1]! - 90 && told[2]! >= 1, `what the deadline leaves: ${told.join()}`)
  })

  test('of a trusted caller counts when it is less than ours, and is over when it is over', async () => {
    await using fleet = await startOrigins([behave.hang()], { ...trusted, ...policy({ deadlineMs: 10_000 }) })
    const response = await fleet.gateway.get(path, { headers: [['X-Request-Timeout-Ms', '3000']] })
    assert.equal(code(response), 'DeadlineExceeded')
    assert.match(response.header('proxy-status')!, /^postern-[0-9a-f]{8}; error=http_response_timeout; details="DeadlineExceeded limit=caller's timeout value=3000 waitedFor=response head"$/)
    assert.ok(Number(fleet.origin.received[0]!.header(header)) <= 3_000)
    const expired = await fleet.gateway.get(path, { headers: [['X-Request-Timeout-Ms', '0']] })
    assert.equal(code(expired), 'DeadlineExceeded')
    assert.equal(fleet.origin.received.length, 1, 'what nobody waits for is not started')
  })

  test('of callers who give up early opens no breaker for those who wait', async () => {
    await using fleet = await startOrigins([behave.hang()], { ...trusted, ...policy({ deadlineMs: 60_000, headersTimeoutMs: 60_000 }) })
    const { gateway, origin } = fleet
    for (let n = 0; n < 25; n++) assert.equal(code(await gateway.get(path, { headers: [['X-Request-Timeout-Ms', '50']] })), 'DeadlineExceeded')
    origin.behave(behave.ok('patient'))
    assert.equal((await gateway.get(path)).text(), 'patient')
  })

  test('is told under another name, or not at all where a message wants none', async () => {
    await using fleet = await startOrigins([behave.ok()], { edge: { timeoutHeader: 'grpc-timeout' }, messages: { Other: { upstream: 'origin', policy: { tellTimeout: false } } }, ...policy({ deadlineMs: 60_000, headersTimeoutMs: 60_000 }) })
    await fleet.gateway.get(path)
    await fleet.gateway.get('/json/reply/Other')
    assert.match(fleet.origin.received[0]!.header('grpc-timeout')!, /^(?:60000|5\d{4})m$/)
    assert.equal(fleet.origin.received[1]!.header('grpc-timeout'), undefined)
  })

  test('ends the wait in the queue, and the log says what was waited for', async () => {
    await using fleet = await startOrigins([behave.hang()], { upstreams: { origin: { bulkhead: { maxConcurrent: 1 } } }, messages: { Echo: { upstream: 'origin', policy: { queueTimeoutMs: 400, deadlineMs: 400 } } } })
    using holder = await fleet.gateway.connect()
    holder.send(requestBytes('x', '/json/reply/Other'))
    await until('the slot is taken', () => fleet.origin.received.length === 1)
    const response = await fleet.gateway.get(path)
    assert.match(code(response), /^(?:QueueTimeout|DeadlineExceeded)$/)
    const line = await until('the line is written', async () => (await fleet.gateway.log()).find(entry => entry['error'] === code(response) && (entry['detail'] as { waitedFor: string }).waitedFor === 'bulkhead slot'))
    assert.equal((line['detail'] as { value: number }).value, 400)
  })
})

describe('every timeout is logged with its name, its value and what was waited for', { timeout: 300_000 }, () => {
  const rows: ReadonlyArray<readonly [name: string, behaviour: behave.Behaviour, settings: object, detail: object]> = [
    ['headersTimeoutMs', behave.hang(), { headersTimeoutMs: 200 }, { limit: 'headersTimeoutMs', value: 200, waitedFor: 'response head' }],
    ['bodyIdleTimeoutMs', behave.stall(), { bodyIdleTimeoutMs: 200 }, { limit: 'bodyIdleTimeoutMs', value: 200, waitedFor: 'endpoint' }],
    ['deadlineMs', behave.hang(), { deadlineMs: 2_000, queueTimeoutMs: 1_000, connectTimeoutMs: 1_000 }, { limit: 'deadlineMs', value: 2_000, waitedFor: 'response head' }]
  ]
  const lineOf = async (gateway: TestGateway) => await until('the line is written', async () => (await gateway.log()).find(entry => entry['msg'] === 'exchange' && entry['error'] !== undefined))
  const factsOf = (line: Record<string, unknown>) => {
    const { limit, value, waitedFor } = line['detail'] as Record<string, unknown>
    return { error: line['error'], limit, value, waitedFor }
  }

  test('connectTimeoutMs', async () => {
    // Takes the connection and never answers its TLS handshake.
    await using origin = await behave.startOrigin(behave.hang())
    const url = origin.url.replace('http:', 'https:')
    await using gateway = await startGateway({ upstreams: { origin: { endpoints: [url], servicestack: false, policy: { connectTimeoutMs: 200 } } }, messages: { Echo: { upstream: 'origin' } } } as PartialConfig)
    await until('it has a table', () => gateway.gateway.ready)
    await gateway.post(path, {})
    assert.deepEqual(factsOf(await lineOf(gateway)), { error: 'ConnectTimeout', limit: 'connectTimeoutMs', value: 200, waitedFor: 'connection' })
  })

  test('of an attempt, although the next one brought a good answer', async () => {
    await using fleet = await startOrigins([behave.hang(), behave.ok()], policy({ headersTimeoutMs: 3_000, balancer: { strategy: 'round-robin' } }))
    // Of two in turn one meets the endpoint that hangs.
    for (let n = 0; n < 2; n++) assert.equal((await fleet.gateway.get(path)).status, 200)
    const attempts = await until('the line is written', async () => (await fleet.gateway.log()).map(line => line['attempts'] as Array<Record<string, unknown>> | undefined).find(list => list?.length === 2))
    const { result, limit, value, waitedFor } = attempts[0]!
    assert.deepEqual({ result, limit, value, waitedFor }, { result: 'HeadersTimeout', limit: 'headersTimeoutMs', value: 3_000, waitedFor: 'response head' })
    assert.equal(attempts[1]!['limit'], undefined)
  })

  test('queueTimeoutMs', async () => {
    await using fleet = await startOrigins([behave.hang()], { upstreams: { origin: { bulkhead: { maxConcurrent: 1 }, policy: { queueTimeoutMs: 200, headersTimeoutMs: 60_000, deadlineMs: 60_000 } } } })
    using holder = await fleet.gateway.connect()
    holder.send(requestBytes('x', '/json/reply/Other'))
    await until('the slot is taken', () => fleet.origin.received.length === 1)
    await fleet.gateway.post(path, {})
    assert.deepEqual(factsOf(await lineOf(fleet.gateway)), { error: 'QueueTimeout', limit: 'queueTimeoutMs', value: 200, waitedFor: 'bulkhead slot' })
  })

  for (const [name, behaviour, settings, expected] of rows) {
    test(name, async () => {
      await using fleet = await startOrigins([behaviour], policy(settings))
      await fleet.gateway.post(path, {})
      const { error: _, ...facts } = factsOf(await lineOf(fleet.gateway))
      assert.deepEqual(facts, expected)
    })
  }
})
