import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError, type ErrorCode } from '../../src/exchange/errors.ts'
import type { Policy, RequestBody, UpstreamResponse } from '../../src/exchange/exchange.ts'
import { ResponseBody } from '../../src/exchange/response-body.ts'
import { compose } from '../../src/exchange/compose.ts'
import { hedge } from '../../src/filters/hedge.ts'
import { pickEndpoint } from '../../src/filters/pick-endpoint.ts'
import { send } from '../../src/filters/send.ts'
import { fakeEndpoint, makeExchange, policy } from '../support/exchange.ts'
import { until } from '../support/until.ts'

const on: Policy = { ...policy, hedge: { enabled: true, percentile: 95, minDelayMs: 1 } }

interface Options {
  readonly method?: string
  readonly body?: RequestBody
  readonly observations?: number
  readonly reach?: 'another' | 'same'
  readonly slot?: boolean
  readonly budget?: boolean
}

/** Endpoints e0 and e1 that answer when they are told to. Counts slots, cancelled attempts, and observed times. */
function start (options: Options = {}) {
  const { observations = 100, reach = 'another', slot = true, budget = true, ...request } = options
  const state = { slots: 1, observed: 0, bodies: [] as ResponseBody[], cancelled: [] as string[] }
  const asked: Array<{ url: string, answer: (status: number) => void, fail: (code: ErrorCode) => void }> = []
  const endpoints = ['e0', 'e1'].map(url => fakeEndpoint(url, (exchange, attempt) => {
    const { promise, resolve, reject } = Promise.withResolvers<UpstreamResponse>()
    const body = new ResponseBody({ pause () {}, resume () {}, watch () {}, unwatch () {}, cancel () { state.cancelled.push(`${url} body`) } })
    state.bodies.push(body)
    const fail = (error: GatewayError) => {
      exchange.waiting(undefined)
      attempt.failed(error)
      reject(error)
    }
    exchange.waiting({
      cancel (error) {
        state.cancelled.push(url)
        fail(error)
      }
    })
    asked.push({
      url,
      fail: code => fail(new GatewayError(code)),
      answer (status) {
        exchange.waiting(undefined)
        attempt.answered(status)
        resolve({ status, reason: url, headers: [], body })
      }
    })
    return promise
  }))
  const exchange = makeExchange({
    ...request,
    policy: on,
    times: { count: observations, percentile: () => 5, observe: () => { state.observed++ } },
    upstream: {
      pick: ({ attempts }) => endpoints.find(({ url }) => !attempts.some(({ endpoint }) => endpoint === url)),
      reach: () => reach,
      tryAcquire: () => { if (slot) state.slots++; return slot },
      releaseExtra: () => { state.slots-- },
      retryBudget: { exchange () {}, answered () {}, answers: 0, take: () => budget }
    }
  })
  const result = compose([hedge(on), pickEndpoint], send)(exchange).then(({ status, reason }) => `${status} ${reason}`, (error: unknown) => error instanceof GatewayError ? error.code : String(error))
  const attempts = () => exchange.attempts.map(({ endpoint, outcome, result, hedge }) => `${endpoint}${hedge ? ' hedge' : ''} ${outcome} ${result}`)
  const second = () => until('a second attempt', () => asked.length === 2)
  return { exchange, state, asked, result, attempts, second }
}

test('off: no filter', () => assert.equal(hedge(policy), undefined))

test('a fast answer is not hedged', async () => {
  const { asked, result, state, attempts } = start()
  asked[0]!.answer(200)
  assert.equal(await result, '200 e0')
  assert.deepEqual(attempts(), ['e0 success 200'])
  assert.deepEqual([state.slots, state.observed], [1, 1])
})

test('a slow one is: the second wins, the first is cancelled and nobody\'s failure', async () => {
  const { asked, result, state, attempts, second, exchange } = start()
  await second()
  assert.equal(state.slots, 2)
  asked[1]!.answer(200)
  assert.equal(await result, '200 e1')
  assert.equal(exchange.endpoint?.url, 'e1')
  assert.deepEqual(state.cancelled, ['e0'])
  assert.deepEqual(attempts(), ['e0 ignored Superseded', 'e1 hedge success 200'])
  assert.deepEqual([state.slots, state.observed], [1, 1])
})

test('or the first does, and the second is cancelled', async () => {
  const { asked, result, state, attempts, second, exchange } = start()
  await second()
  asked[0]!.answer(200)
  assert.equal(await result, '200 e0')
  assert.equal(exchange.endpoint?.url, 'e0')
  assert.deepEqual(attempts(), ['e0 success 200', 'e1 hedge ignored Superseded'])
  assert.equal(state.slots, 1)
})

test('a bad answer waits for the other attempt', async () => {
  const { asked, result, state, second } = start()
  await second()
  asked[0]!.answer(503)
  asked[1]!.answer(200)
  assert.equal(await result, '200 e1')
  assert.deepEqual(state.cancelled, ['e0 body'])
})

test('two bad answers: the first is passed on', async () => {
  const { asked, result, state, second } = start()
  await second()
  asked[1]!.answer(503)
  asked[0]!.answer(502)
  assert.equal(await result, '503 e1')
  assert.deepEqual(state.cancelled, ['e0 body'])
  assert.deepEqual([state.slots, state.observed], [1, 0])
})

test('a bad answer and a failure: the answer is passed on', async () => {
  const { asked, result, second } = start()
  await second()
  asked[0]!.answer(503)
  asked[1]!.fail('ConnectionClosed')
  assert.equal(await result, '503 e0')
})

test('one that fails leaves it to the other', async () => {
  const { asked, result, state, second } = start()
  await second()
  asked[0]!.fail('ConnectionClosed')
  asked[1]!.answer(200)
  assert.equal(await result, '200 e1')
  assert.equal(state.slots, 1)
})

test('both fail: the last failure is told', async () => {
  const { asked, result, state, second } = start()
  await second()
  asked[1]!.fail('ConnectionClosed')
  asked[0]!.fail('HeadersTimeout')
  assert.equal(await result, 'HeadersTimeout')
  assert.equal(state.slots, 1)
})

test('a failure before the second attempt is told at once', async () => {
  const { asked, result, attempts } = start()
  asked[0]!.fail('ConnectionClosed')
  assert.equal(await result, 'ConnectionClosed')
  assert.equal(attempts().length, 1)
})

test('the client leaving ends both', async () => {
  const { exchange, result, state, second, attempts } = start()
  await second()
  exchange.end(new GatewayError('ClientClosed'))
  assert.equal(await result, 'ClientClosed')
  assert.deepEqual(state.cancelled, ['e0', 'e1'])
  assert.deepEqual(attempts(), ['e0 ignored ClientClosed', 'e1 hedge ignored ClientClosed'])
  assert.equal(state.slots, 1)
})

for (const [n, whose, cancelled] of [[0, 'the first', ['e0 body', 'e1']], [1, 'the second', ['e0', 'e1 body']]] as const) {
  test(`an end of the exchange while a bad answer of ${whose} is held back lets go of its body, and of the other`, async () => {
    const { exchange, asked, result, state, second } = start()
    await second()
    asked[n]!.answer(503)
    await new Promise(resolve => setImmediate(resolve))
    exchange.end(new GatewayError('DeadlineExceeded'))
    assert.equal(await result, 'DeadlineExceeded')
    assert.deepEqual([state.cancelled.sort(), state.slots], [cancelled, 1])
  })
}

test('an end of the exchange when the first has failed ends the second', async () => {
  const { exchange, asked, result, state, second } = start()
  await second()
  asked[0]!.fail('ConnectionClosed')
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(exchange.waitsFor, 'response head')
  exchange.end(new GatewayError('ClientClosed'))
  assert.equal(await result, 'ClientClosed')
  assert.deepEqual([state.cancelled, state.slots], [['e1'], 1])
})

const never: ReadonlyArray<readonly [string, Options]> = [
  ['what is not safe', { method: 'POST' }],
  ['a body that is read as it is sent', { body: { kind: 'stream', stream: {} as never, contentLength: 1 } }],
  ['a message of which too little is known', { observations: 10 }],
  ['without a second endpoint', { reach: 'same' }],
  ['without a free slot', { slot: false }],
  ['without budget', { budget: false }]
]
for (const [what, options] of never) {
  test(`never hedged: ${what}`, async () => {
    const { asked, result, state, attempts, exchange } = start(options)
    await new Promise(resolve => setTimeout(resolve, 30))
    asked[0]!.answer(200)
    assert.equal(await result, '200 e0')
    assert.equal(attempts().length, 1)
    assert.equal(state.slots, 1)
    assert.equal(exchange.retryRefused, options.budget === false)
  })
}

test('what a filter below holds for an attempt is given back with the exchange', () => {
  const exchange = makeExchange()
  const ended: unknown[] = []
  exchange.branch().atEnd(one => ended.push(one))
  exchange.over(undefined, new GatewayError('ConnectionClosed'))
  assert.deepEqual(ended, [exchange])
})
