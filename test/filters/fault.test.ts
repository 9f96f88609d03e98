import assert from 'node:assert/strict'
import { test } from 'node:test'
import { applies, describeFault, toFaultRule, type FaultRule, type FaultSettings } from '../../src/filters/fault-rule.ts'
import { fault as faultFilter } from '../../src/filters/fault.ts'
import { Faults } from '../../src/filters/faults.ts'
import { GatewayError } from '../../src/exchange/errors.ts'
import { send } from '../../src/filters/send.ts'
import type { Exchange, UpstreamResponse } from '../../src/exchange/exchange.ts'
import { fakeEndpoint, makeExchange, policy } from '../support/exchange.ts'

const sendWithFaults = (faults: Faults, own: FaultRule) => (exchange: Exchange) => faultFilter(faults, own)(exchange, send)
const tomorrow = Date.now() + 86_400_000
const rule = (settings: Partial<FaultSettings>): FaultRule => toFaultRule({ ...policy.fault, until: new Date(tomorrow).toISOString(), ...settings })!

test('settings that ask for nothing make no rule', () => {
  assert.equal(toFaultRule(policy.fault), undefined)
  assert.equal(toFaultRule({ ...policy.fault, delayMs: 5, percent: 0 }), undefined)
})

test('who gets it: by time, header and share', () => {
  const rows: ReadonlyArray<readonly [Partial<FaultSettings>, string[], number, boolean]> = [
    [{ delayMs: 1 }, [], 0.99, true],
    [{ delayMs: 1, percent: 10 }, [], 0.099, true],
    [{ delayMs: 1, percent: 10 }, [], 0.1, false],
    [{ delayMs: 1, header: 'X-Game-Day' }, ['x-game-day', 'anything'], 0, true],
    [{ delayMs: 1, header: 'X-Game-Day: 1' }, ['X-Game-Day', '1'], 0, true],
    [{ delayMs: 1, header: 'X-Game-Day: 1' }, ['X-Game-Day', '2'], 0, false],
    [{ delayMs: 1, header: 'X-Game-Day' }, [], 0, false]
  ]
  for (const [settings, headers, random, expected] of rows) assert.equal(applies(rule(settings), makeExchange({ headers }), Date.now(), () => random), expected, JSON.stringify([settings, headers, random]))
  assert.equal(applies(rule({ delayMs: 1 }), makeExchange(), tomorrow + 1, () => 0), false, 'it is over')
})

function exchangeAt (answers: { count: number }) {
  const exchange = makeExchange({ policy: { headersTimeoutMs: 1_000 } })
  exchange.endpoint = fakeEndpoint('http://a', () => { answers.count++; return Promise.resolve({ status: 200 } as UpstreamResponse) })
  return exchange
}

test('an abort and a reset are the attempt\'s own, and nothing is sent', async () => {
  const answers = { count: 0 }
  const aborted = exchangeAt(answers)
  const response = await sendWithFaults(new Faults(), rule({ abortStatus: 503 }))(aborted)
  assert.deepEqual([response.status, aborted.attempts[0]!.outcome, aborted.attempts[0]!.result, aborted.attempts[0]!.fault], [503, 'failure', '503', 'abort 503'])
  const broken = exchangeAt(answers)
  await assert.rejects(sendWithFaults(new Faults(), rule({ reset: true }))(broken), (error: unknown) => error instanceof GatewayError && error.code === 'ConnectionClosed')
  assert.equal(broken.attempts[0]!.outcome, 'failure')
  assert.equal(answers.count, 0)
})

test('a delay longer than the head is waited for is a HeadersTimeout; the exchange ending ends it', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const answers = { count: 0 }
  const late = assert.rejects(sendWithFaults(new Faults(), rule({ delayMs: 5_000 }))(exchangeAt(answers)), (error: unknown) => error instanceof GatewayError && error.code === 'HeadersTimeout')
  t.mock.timers.tick(1_000)
  await late
  const left = exchangeAt(answers)
  const cancelled = assert.rejects(sendWithFaults(new Faults(), rule({ delayMs: 500 }))(left), (error: unknown) => error instanceof GatewayError && error.code === 'ClientClosed')
  left.end(new GatewayError('ClientClosed'))
  await cancelled
  assert.equal(left.attempts[0]!.outcome, 'ignored')
  const slow = sendWithFaults(new Faults(), rule({ delayMs: 500 }))(exchangeAt(answers))
  t.mock.timers.tick(500)
  assert.equal((await slow).status, 200)
  assert.equal(answers.count, 1)
})

test('what was set while running wins, in any letter case, until it is cleared or over; there is room for a hundred', async () => {
  const faults = new Faults()
  const fault = (message: string, untilMs = tomorrow) => ({ message, rule: { ...rule({ abortStatus: 500 }), untilMs }, by: 'anna', reason: '' })
  assert.ok(faults.set(fault('GETORDER'), Date.now()))
  assert.equal((await sendWithFaults(faults, rule({ abortStatus: 503 }))(exchangeAt({ count: 0 }))).status, 500)
  assert.deepEqual([...faults.injected], [['orders', { delay: 0, abort: 1, reset: 0 }]])
  assert.ok(faults.clear('GetOrder'))
  assert.equal((await sendWithFaults(faults, rule({ abortStatus: 503 }))(exchangeAt({ count: 0 }))).status, 503)
  for (let n = 0; n < 100; n++) assert.ok(faults.set(fault(`M${n}`, n === 0 ? Date.now() + 1_000 : tomorrow), Date.now()))
  assert.equal(faults.set(fault('M100'), Date.now()), false)
  assert.ok(faults.set(fault('M100'), Date.now() + 2_000), 'what is over makes room')
  assert.equal(describeFault(rule({ delayMs: 5, reset: true, abortStatus: 503 })), 'delay 5 ms, reset')
})
