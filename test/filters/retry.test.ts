import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { compose } from '../../src/exchange/compose.ts'
import { GatewayError, type ErrorCode } from '../../src/exchange/errors.ts'
import type { EndpointHandle, RequestBody } from '../../src/exchange/exchange.ts'
import { ResponseBody } from '../../src/exchange/response-body.ts'
import { pickEndpoint } from '../../src/filters/pick-endpoint.ts'
import { retry } from '../../src/filters/retry.ts'
import { send } from '../../src/filters/send.ts'
import { fakeEndpoint, makeExchange } from '../support/exchange.ts'

const path = compose([retry, pickEndpoint], send)

/** Endpoints e0, e1, …: each fails with its code, or answers 200. A refused endpoint is not available afterwards, as in life. */
async function run (results: Array<ErrorCode | 200>, options: { method?: string, body?: RequestBody, attempts?: number } = {}) {
  const out = new Set<string>()
  const endpoints: EndpointHandle[] = results.map((result, i) => fakeEndpoint(`e${i}`, async exchange => {
    if (result === 200) return { status: 200, reason: 'OK', headers: [], body: ResponseBody.of(Buffer.from('x')) }
    if (result === 'ConnectFailed') out.add(`e${i}`)
    if (exchange.upstreamRequest.body.kind === 'stream') exchange.upstreamRequest.body.stream.read()
    throw new GatewayError(result)
  }))
  const { attempts = 2, ...request } = options
  const exchange = makeExchange({
    ...request,
    policy: { attempts },
    upstream: { pick: ({ attempts }) => endpoints.find(({ url }) => !out.has(url) && !attempts.some(attempt => attempt.endpoint === url)) }
  })
  let result: string
  try {
    result = String((await path(exchange)).status)
  } catch (error) {
    result = error instanceof GatewayError ? error.code : String(error)
  }
  return { result, tried: exchange.attempts.map(attempt => attempt.endpoint).join(' ') }
}

const held: RequestBody = { kind: 'held', bytes: Buffer.from('{}') }
const rows = [
  { name: 'a refused connection is answered elsewhere', results: ['ConnectFailed', 200] as const, expected: { result: '200', tried: 'e0 e1' } },
  { name: 'several refused connections too: nothing was sent', results: ['ConnectFailed', 'ConnectFailed', 'ConnectFailed', 200] as const, expected: { result: '200', tried: 'e0 e1 e2 e3' } },
  { name: 'a refused POST is answered elsewhere', results: ['ConnectFailed', 200] as const, method: 'POST', body: held, expected: { result: '200', tried: 'e0 e1' } },
  { name: 'with nobody left the client learns what failed', results: ['ConnectFailed'] as const, expected: { result: 'ConnectFailed', tried: 'e0' } },
  { name: 'a GET without a response byte is repeated once', results: ['ConnectionClosed', 200] as const, expected: { result: '200', tried: 'e0 e1' } },
  { name: 'but not twice', results: ['ConnectionClosed', 'ConnectionClosed', 200] as const, expected: { result: 'ConnectionClosed', tried: 'e0 e1' } },
  { name: 'attempts: 1 repeats no GET', results: ['ConnectionClosed', 200] as const, attempts: 1, expected: { result: 'ConnectionClosed', tried: 'e0' } },
  { name: 'a POST that may have been sent is never repeated', results: ['ConnectionClosed', 200] as const, method: 'POST', body: held, expected: { result: 'ConnectionClosed', tried: 'e0' } },
  { name: 'a GET after a timeout is repeated', results: ['HeadersTimeout', 200] as const, expected: { result: '200', tried: 'e0 e1' } },
  { name: 'a refused connect and a broken one are two different budgets', results: ['ConnectFailed', 'ConnectionClosed', 200] as const, expected: { result: '200', tried: 'e0 e1 e2' } }
]
for (const { name, results, expected, ...options } of rows) {
  test(name, async () => assert.deepEqual(await run([...results], options), expected))
}

test('a streamed body is repeated only while nothing was read from it', async () => {
  const body: RequestBody = { kind: 'stream', stream: Readable.from([Buffer.from('x')]), contentLength: 1 }
  await new Promise(resolve => body.stream.once('readable', resolve))
  assert.deepEqual(await run(['ConnectFailed', 200], { method: 'POST', body }), { result: 'ConnectFailed', tried: 'e0' })
})

test('nothing is repeated once the exchange has ended', async () => {
  const exchange = makeExchange({ upstream: { pick: () => fakeEndpoint('e0', async ending => { ending.end(new GatewayError('ClientClosed')); throw new GatewayError('ConnectFailed') }) } })
  await assert.rejects(path(exchange), (error: unknown) => error instanceof GatewayError)
  assert.equal(exchange.attempts.length, 1)
})
