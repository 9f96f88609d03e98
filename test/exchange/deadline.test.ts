// Whose failure it is when the time is up.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Attempt } from '../../src/exchange/attempt.ts'
import { deadlineExceeded } from '../../src/exchange/deadline.ts'
import type { Exchange } from '../../src/exchange/exchange.ts'
import { judgeError, type Outcome } from '../../src/exchange/outcome.ts'
import { fakeEndpoint, makeExchange, policy } from '../support/exchange.ts'

const rows: ReadonlyArray<readonly [what: string, set: (exchange: Exchange, attempt: Attempt) => void, verdict: Outcome]> = [
  ['ours, while the service has it', () => {}, 'failure'],
  ['that of a caller who waits longer than we do', exchange => { exchange.callerTimeoutMs = policy.deadlineMs + 1 }, 'failure'],
  ['that of a caller who waits less', exchange => { exchange.callerTimeoutMs = policy.deadlineMs - 1 }, 'ignored'],
  ['ours, while the client is still sending', (_exchange, attempt) => { attempt.dueFromMs = Infinity }, 'ignored']
]
for (const [what, set, verdict] of rows) {
  test(`the deadline is ${what}: ${verdict}`, () => {
    const exchange = makeExchange()
    const attempt = new Attempt(fakeEndpoint('http://a', () => Promise.reject(new Error('not used'))), exchange)
    exchange.attempts.push(attempt)
    set(exchange, attempt)
    assert.deepEqual(judgeError(deadlineExceeded(exchange, 'response head')), { endpoint: verdict, upstream: verdict, message: verdict })
  })
}
