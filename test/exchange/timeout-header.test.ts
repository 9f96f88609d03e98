import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatTimeout, parseTimeout, tellTimeout } from '../../src/exchange/timeout-header.ts'
import { makeExchange } from '../support/exchange.ts'

test('digits are milliseconds, gRPC has units, anything else limits nothing', () => {
  const rows: ReadonlyArray<readonly [string, number | undefined]> = [
    ['1500', 1_500], [' 20 ', 20], ['0', 0], ['2S', 2_000], ['150m', 150], ['1M', 60_000], ['1H', 3_600_000], ['2000u', 2], ['3000000n', 3],
    ['', undefined], ['-1', undefined], ['1.5', undefined], ['10s', undefined], ['99999999999', undefined], ['1e3', undefined], ['5 m', undefined]
  ]
  for (const [value, expected] of rows) assert.equal(parseTimeout(value), expected, value)
})

test('written as whole milliseconds, never 0; for gRPC with the unit', () => {
  assert.deepEqual([formatTimeout('X-Timeout', 1_499.7), formatTimeout('X-Timeout', 0.2), formatTimeout('grpc-timeout', 150), formatTimeout('Grpc-Timeout', 1e9)], ['1499', '1', '150m', '99999999m'])
})

test('the rest of the deadline, anew for each attempt and in place; never longer than the head is waited for', () => {
  const exchange = makeExchange({ headers: ['Accept', '*/*'], policy: { headersTimeoutMs: 3_000 } })
  exchange.timeoutHeader = 'X-Timeout'
  exchange.deadlineAtMs = 10_000
  tellTimeout(exchange, 1_000)
  assert.deepEqual(exchange.upstreamRequest.headers, ['Accept', '*/*', 'X-Timeout', '3000'])
  exchange.upstreamRequest.headers.push('Content-Length', '2')
  tellTimeout(exchange, 9_500)
  assert.deepEqual(exchange.upstreamRequest.headers, ['Accept', '*/*', 'X-Timeout', '500', 'Content-Length', '2'])
})
