import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { compose } from '../../src/exchange/compose.ts'
import { GatewayError, type ErrorCode } from '../../src/exchange/errors.ts'
import type { Effect } from '../../src/exchange/effect.ts'
import type { EndpointHandle, Exchange, Policy, RequestBody, UpstreamResponse } from '../../src/exchange/exchange.ts'
import { ResponseBody } from '../../src/exchange/response-body.ts'
import { pickEndpoint } from '../../src/filters/pick-endpoint.ts'
import { retry } from '../../src/filters/retry.ts'
import { send } from '../../src/filters/send.ts'
import { fakeEndpoint, makeExchange, policy } from '../support/exchange.ts'

/** An answer by its status, with Retry-After where given; or the code of an error. */
type Result = ErrorCode | number | { status: number, retryAfter: string }

interface Options {
  readonly method?: string
  readonly body?: RequestBody
  readonly effect?: Effect
  readonly attempts?: number
  readonly statuses?: number[]
  /** Attempts that the budget allows. */
  readonly budget?: number
  /** Others are answered during each attempt. */
  readonly isAnswering?: boolean
}

const answer = (status: number, headers: string[] = []): UpstreamResponse => ({ status, reason: '', headers, body: ResponseBody.of(Buffer.from('x')) })

/** Endpoints e0, e1, …: each gives its result. A refused endpoint is not available afterwards, as in life. Pauses are as long as they can be. */
async function run (results: readonly Result[], options: Options = {}) {
  const out = new Set<string>()
  const endpoints: EndpointHandle[] = results.map((result, i) => fakeEndpoint(`e${i}`, async (exchange, attempt) => {
    if (typeof result !== 'string') {
      const { status, retryAfter } = typeof result === 'number' ? { status: result, retryAfter: undefined } : result
      attempt.answered(status)
      return answer(status, retryAfter === undefined ? [] : ['Retry-After', retryAfter])
    }
    if (result === 'ConnectFailed') out.add(`e${i}`)
    if (exchange.upstreamRequest.body.kind === 'stream') exchange.upstreamRequest.body.stream.read()
    const error = new GatewayError(result)
    attempt.failed(error)
    throw error
  }))
  const { attempts = 2, statuses = [502, 503, 504], budget = 100, isAnswering = false, ...request } = options
  let left = budget
  const mine: Policy = { ...policy, attempts, retry: { ...policy.retry, statuses, backoffMs: 2, maxBackoffMs: 4, maxRetryAfterMs: 1_000 } }
  const untried = (exchange: Exchange) => endpoints.find(({ url }) => !out.has(url) && !exchange.attempts.some(attempt => attempt.endpoint === url))
  const exchange = makeExchange({
    ...request,
    policy: mine,
    upstream: {
      pick: exchange => untried(exchange) ?? endpoints.find(({ url }) => !out.has(url)),
      reach: exchange => untried(exchange) !== undefined ? 'another' : endpoints.some(({ url }) => !out.has(url)) ? 'same' : 'none',
      retryBudget: { exchange () {}, answered () {}, get answers () { return isAnswering ? exchange.attempts.length : 0 }, take: () => left-- > 0 }
    }
  })
  const path = compose([retry(mine, { random: () => 0.999 }), pickEndpoint], send)
  let result: string
  try {
    result = String((await path(exchange)).status)
  } catch (error) {
    result = error instanceof GatewayError ? error.code : String(error)
  }
  return { result, tried: exchange.attempts.map(attempt => attempt.endpoint).join(' '), refused: exchange.retryRefused }
}

const held: RequestBody = { kind: 'held', bytes: Buffer.from('{}') }
interface Row extends Options { readonly name: string, readonly results: readonly Result[], readonly expected: { result: string, tried: string, refused?: boolean } }
const late: Result = { status: 503, retryAfter: '3600' }
const rows: readonly Row[] = [
  { name: 'a refused connection is answered elsewhere', results: ['ConnectFailed', 200], expected: { result: '200', tried: 'e0 e1' } },
  { name: 'several refused connections too: nothing was sent', results: ['ConnectFailed', 'ConnectFailed', 'ConnectFailed', 200], expected: { result: '200', tried: 'e0 e1 e2 e3' } },
  { name: 'a refused POST is answered elsewhere', results: ['ConnectFailed', 200], method: 'POST', body: held, expected: { result: '200', tried: 'e0 e1' } },
  { name: 'with nobody left the client learns what failed', results: ['ConnectFailed'], expected: { result: 'ConnectFailed', tried: 'e0' } },
  { name: 'a fleet that refuses is left at eight', results: Array(12).fill('ConnectFailed'), expected: { result: 'ConnectFailed', tried: 'e0 e1 e2 e3 e4 e5 e6 e7' } },
  { name: 'a GET without a response byte is repeated once', results: ['ConnectionClosed', 200], expected: { result: '200', tried: 'e0 e1' } },
  { name: 'but not twice', results: ['ConnectionClosed', 'ConnectionClosed', 200], expected: { result: 'ConnectionClosed', tried: 'e0 e1' } },
  { name: 'attempts: 1 repeats no GET', results: ['ConnectionClosed', 200], attempts: 1, expected: { result: 'ConnectionClosed', tried: 'e0' } },
  { name: 'a POST that may have been sent is never repeated', results: ['ConnectionClosed', 200], method: 'POST', body: held, expected: { result: 'ConnectionClosed', tried: 'e0' } },
  { name: 'unless its message is idempotent', results: ['ConnectionClosed', 200], method: 'POST', body: held, effect: 'idempotent', expected: { result: '200', tried: 'e0 e1' } },
  { name: 'or safe', results: ['HeadersTimeout', 200], method: 'POST', body: held, effect: 'safe', expected: { result: '200', tried: 'e0 e1' } },
  { name: 'a GET of an unsafe message is not repeated', results: ['ConnectionClosed', 200], effect: 'unsafe', expected: { result: 'ConnectionClosed', tried: 'e0' } },
  { name: 'a body beyond replayBytes is not sent again', results: ['ConnectionClosed', 200], method: 'POST', body: { kind: 'held', bytes: Buffer.alloc(65_537) }, effect: 'safe', expected: { result: 'ConnectionClosed', tried: 'e0' } },
  { name: 'unless it was not sent at all', results: ['ConnectFailed', 200], method: 'POST', body: { kind: 'held', bytes: Buffer.alloc(65_537) }, expected: { result: '200', tried: 'e0 e1' } },
  { name: 'a GET after a timeout is repeated', results: ['HeadersTimeout', 200], expected: { result: '200', tried: 'e0 e1' } },
  { name: 'a refused connect and a broken one are two different limits', results: ['ConnectFailed', 'ConnectionClosed', 200], expected: { result: '200', tried: 'e0 e1 e2' } },
  { name: 'an answer of the listed statuses is tried again', results: [503, 200], expected: { result: '200', tried: 'e0 e1' } },
  { name: 'the last of them is the client\'s', results: [502, 504, 200], expected: { result: '504', tried: 'e0 e1' } },
  { name: 'no other answer is', results: [500, 200], expected: { result: '500', tried: 'e0' } },
  { name: 'nor that of an unsafe message', results: [503, 200], method: 'POST', body: held, expected: { result: '503', tried: 'e0' } },
  { name: 'the only endpoint is asked twice', results: [503], expected: { result: '503', tried: 'e0 e0' } },
  { name: 'but not before its Retry-After', results: [late], expected: { result: '503', tried: 'e0' } },
  { name: 'which another endpoint does not care for', results: [late, 200], expected: { result: '200', tried: 'e0 e1' } },
  { name: 'a short Retry-After is waited for', results: [{ status: 503, retryAfter: '0' }], expected: { result: '503', tried: 'e0 e0' } },
  { name: '429 is the word of the service', results: [{ status: 429, retryAfter: '3600' }, 200], statuses: [429], expected: { result: '429', tried: 'e0' } },
  { name: '429 is not tried again unless listed', results: [429, 200], expected: { result: '429', tried: 'e0' } },
  { name: 'without budget a failure is final', results: ['ConnectionClosed', 200], budget: 0, expected: { result: 'ConnectionClosed', tried: 'e0', refused: true } },
  { name: 'and so is an answer', results: [503, 200], budget: 0, expected: { result: '503', tried: 'e0', refused: true } },
  { name: 'what was not sent is paid for too', results: ['ConnectFailed', 'ConnectFailed', 200], budget: 1, expected: { result: 'ConnectFailed', tried: 'e0 e1', refused: true } },
  { name: 'but for nothing while others are answered', results: ['ConnectFailed', 'ConnectTimeout', 200], budget: 0, isAnswering: true, method: 'POST', body: held, expected: { result: '200', tried: 'e0 e1 e2' } },
  { name: 'not where only tried endpoints are left', results: ['ConnectTimeout', 'ConnectTimeout'], budget: 0, isAnswering: true, expected: { result: 'ConnectTimeout', tried: 'e0 e1', refused: true } },
  { name: 'nor what may have been sent', results: ['ConnectionClosed', 200], budget: 0, isAnswering: true, expected: { result: 'ConnectionClosed', tried: 'e0', refused: true } }
]
for (const { name, results, expected, ...options } of rows) {
  test(name, async () => assert.deepEqual(await run(results, options), { refused: false, ...expected }))
}

test('a streamed body is repeated only while nothing was read from it', async () => {
  const body: RequestBody = { kind: 'stream', stream: Readable.from([Buffer.from('x')]), contentLength: 1 }
  await new Promise(resolve => body.stream.once('readable', resolve))
  assert.deepEqual(await run(['ConnectFailed', 200], { method: 'POST', body }), { result: 'ConnectFailed', tried: 'e0', refused: false })
})

test('nothing is repeated once the exchange has ended', async () => {
  const exchange = makeExchange({ upstream: { pick: () => fakeEndpoint('e0', async ending => { ending.end(new GatewayError('ClientClosed')); throw new GatewayError('ConnectFailed') }) } })
  const path = compose([retry(policy), pickEndpoint], send)
  await assert.rejects(path(exchange), (error: unknown) => error instanceof GatewayError)
  assert.equal(exchange.attempts.length, 1)
})

test('a client that leaves ends the pause before the next attempt', async () => {
  const patient: Policy = { ...policy, retry: { ...policy.retry, backoffMs: 60_000, maxBackoffMs: 60_000 }, deadlineMs: 600_000 }
  const exchange = makeExchange({
    policy: patient,
    upstream: { pick: () => fakeEndpoint('e0', async (_exchange, attempt) => { attempt.answered(503); setImmediate(() => exchange.end(new GatewayError('ClientClosed'))); return answer(503) }) }
  })
  await assert.rejects(compose([retry(patient, { random: () => 0.999 }), pickEndpoint], send)(exchange), { code: 'ClientClosed' })
  assert.equal(exchange.attempts.length, 1)
})

test('a pause beyond the deadline is no pause: the failure is told at once', async () => {
  const late: Policy = { ...policy, retry: { ...policy.retry, backoffMs: 60_000, maxBackoffMs: 60_000 } }
  const exchange = makeExchange({ policy: late, upstream: { pick: () => fakeEndpoint('e0', async (_exchange, attempt) => { attempt.answered(503); return answer(503) }) } })
  assert.equal((await compose([retry(late, { random: () => 0.999 }), pickEndpoint], send)(exchange)).status, 503)
})

for (const part of [0, 0.25, 0.75]) {
  test(`full jitter: the pause before a repeat is a random part (here ${part}) of a time that doubles up to its most`, async t => {
    const pauses: number[] = []
    t.mock.method(globalThis, 'setTimeout', (then: () => void, ms: number) => {
      pauses.push(ms)
      setImmediate(then)
    })
    const spread: Policy = { ...policy, attempts: 5, retry: { ...policy.retry, backoffMs: 10, maxBackoffMs: 35 } }
    const exchange = makeExchange({ policy: spread, upstream: { pick: () => fakeEndpoint('e0', async (_exchange, attempt) => { attempt.answered(503); return answer(503) }) } })
    await compose([retry(spread, { random: () => part }), pickEndpoint], send)(exchange)
    assert.equal(exchange.attempts.length, 5)
    assert.deepEqual(pauses, part === 0 ? [] : [10, 20, 35, 35].map(ms => ms * part))
  })
}
