import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ErrorCode } from '../../src/exchange/errors.ts'
import { GatewayError } from '../../src/exchange/errors.ts'
import type { Exchange, Policy, UpstreamHandle } from '../../src/exchange/exchange.ts'
import { ResponseBody } from '../../src/exchange/response-body.ts'
import { mirror } from '../../src/filters/mirror.ts'
import { fakeEndpoint, makeExchange, policy, type ExchangeOptions } from '../support/exchange.ts'
import { until } from '../support/until.ts'

interface Options extends ExchangeOptions {
  readonly mirror?: Partial<Policy['mirror']>
  readonly deadlineMs?: number
  /** What the shadow answers; `hang`: never. */
  readonly shadow?: number | ErrorCode | 'hang' | 'endless'
  readonly slot?: boolean
  readonly known?: boolean
  /** Each draw, or what they are all. */
  readonly random?: number | (() => number)
  /** cache.identity.headers. */
  readonly ownIdentity?: readonly string[]
}

function start (options: Options = {}) {
  const { shadow = 200, slot = true, known = true, random = 0, deadlineMs = 1_000, ownIdentity = [], ...request } = options
  const state = { slots: 0, copies: [] as Exchange[], results: [] as string[], late: [] as string[], cancelled: 0 }
  const upstream: UpstreamHandle = {
    ...makeExchange().upstream,
    name: 'shadow',
    tryAcquire: () => { if (slot) state.slots++; return slot },
    releaseExtra: () => { state.slots-- },
    pick: () => fakeEndpoint('http://shadow', (copy, attempt) => {
      state.copies.push(copy)
      if (shadow === 'hang') return new Promise((resolve, reject) => copy.waiting({ waitsFor: 'response head', cancel: error => { attempt.failed(error); reject(error) } }))
      if (typeof shadow === 'string' && shadow !== 'endless') {
        const error = new GatewayError(shadow)
        attempt.failed(error)
        return Promise.reject(error)
      }
      attempt.answered(200)
      const body = shadow === 'endless' ? new ResponseBody({ pause () {}, resume () {}, watch () {}, unwatch () {}, cancel: () => { state.cancelled++ } }) : ResponseBody.of(Buffer.from('dropped'))
      return Promise.resolve({ status: shadow === 'endless' ? 200 : shadow, reason: '', headers: [], body })
    })
  }
  const mine: Policy = { ...policy, deadlineMs, cache: { ...policy.cache, identity: { ...policy.cache.identity, headers: [...ownIdentity] } }, mirror: { to: 'shadow', percent: 50, maxConcurrent: 2, identity: 'remove', ...options.mirror } }
  const filter = mirror(mine, { upstreamNamed: () => known ? upstream : undefined, count: (name, result) => state.results.push(`${name} ${result}`), timedOut: (name, message, { code, detail }) => state.late.push(`${name} ${message} ${code} ${String(detail?.['limit'])} ${String(detail?.['value'])} ${String(detail?.['waitedFor'])}`), random: typeof random === 'number' ? () => random : random })!
  const call = async (more: ExchangeOptions = {}) => {
    const exchange = makeExchange({ ...request, ...more, policy: mine })
    return (await filter(exchange, async () => ({ status: 200, reason: '', headers: [], body: ResponseBody.of(Buffer.from('real')) }))).status
  }
  return { state, call, filter, upstream }
}

test('off: no filter', () => {
  const options = { upstreamNamed: () => undefined, count () {}, timedOut () {} }
  assert.equal(mirror(policy, options), undefined)
  assert.equal(mirror({ ...policy, mirror: { ...policy.mirror, to: 'shadow', percent: 0 } }, options), undefined)
})

test('a safe request is copied, told apart by a header, and its answer dropped', async () => {
  const { state, call } = start({ headers: ['Accept', '*/*', 'Authorization', 'Bearer x', 'Cookie', 'ss-id=1', 'X-Api-Key', 'k', 'X-ss-id', '1'] })
  assert.equal(await call(), 200)
  await until('the copy is over', () => state.results.length === 1)
  assert.deepEqual(state.results, ['shadow success'])
  assert.deepEqual(state.copies[0]!.upstreamRequest.headers, ['Accept', '*/*', 'X-Postern-Mirror', '1'])
  assert.equal(state.slots, 0)
})

test('nor does it say whom a proxy found out to be asking, nor what the operator says is an identity', async () => {
  const named = ['Cf-Access-Jwt-Assertion', 'X-Amzn-Oidc-Data', 'X-Amzn-Oidc-Identity', 'X-Forwarded-User', 'X-Forwarded-Client-Cert', 'Client-Cert', 'X-MS-Client-Principal', 'X-Goog-IAP-JWT-Assertion', 'X-Auth-Token', 'Api-Key', 'X-ss-opt', 'authsecret', 'X-Tenant']
  const { state, call } = start({ headers: [...named.flatMap(name => [name, 'ann']), 'X-Request-Id', '1'], ownIdentity: ['X-Tenant'] })
  await call()
  assert.deepEqual(state.copies[0]!.upstreamRequest.headers, ['X-Request-Id', '1', 'X-Postern-Mirror', '1'])
})

test('with the identity of the caller only where the policy says so', async () => {
  const { state, call } = start({ headers: ['Cookie', 'ss-id=1'], mirror: { identity: 'send' } })
  await call()
  assert.deepEqual(state.copies[0]!.upstreamRequest.headers, ['Cookie', 'ss-id=1', 'X-Postern-Mirror', '1'])
})

for (const [shadow, result] of [[503, 'failure'], [404, 'success'], ['ConnectFailed', 'failure'], ['hang', 'failure'], ['endless', 'failure']] as const) {
  test(`what the shadow does touches nobody: ${shadow}`, async () => {
    const { state, call } = start({ shadow, deadlineMs: shadow === 'hang' || shadow === 'endless' ? 30 : 60_000 })
    assert.equal(await call(), 200)
    await until('the copy is over', () => state.results.length === 1)
    assert.deepEqual(state.results, [`shadow ${result}`])
    assert.equal(state.slots, 0)
    assert.equal(state.cancelled, shadow === 'endless' ? 1 : 0)
    assert.deepEqual(state.late, shadow === 'hang' || shadow === 'endless' ? [`shadow GetOrder DeadlineExceeded deadlineMs 30 ${shadow === 'hang' ? 'response head' : 'response body'}`] : [])
  })
}

const never: ReadonlyArray<readonly [string, Options]> = [
  ['what is not safe', { method: 'POST' }],
  ['a body that is read as it is sent', { body: { kind: 'stream', stream: {} as never, contentLength: 1 } }],
  ['beyond the share', { random: 0.5 }],
  ['a copy', { headers: ['x-postern-mirror', '1'] }],
  ['who says who they are in the query', { path: '/json/reply/X?a=1&ApiKey=k' }],
  ['who says so in the query, by a name that is escaped', { path: '/json/reply/X?ss%2Did=1' }]
]
for (const [what, options] of never) {
  test(`never copied: ${what}`, async () => {
    const { state, call } = start(options)
    assert.equal(await call(), 200)
    assert.deepEqual([state.copies.length, state.results.length], [0, 0])
  })
}

test('a shadow that recovers gets the share of its copies that its breakers let in', async () => {
  const draws = [0, 0.3, 0, 0.2]
  const { state, call, upstream } = start({ random: () => draws.shift()! })
  Object.assign(upstream.breakers, { share: () => 0.25 })
  for (const sofar of [['shadow dropped'], ['shadow dropped', 'shadow success']]) {
    await call()
    await until('it is counted', () => state.results.length === sofar.length)
    assert.deepEqual(state.results, sofar)
  }
})

test('without a slot, or without the upstream, the copy is dropped and counted', async () => {
  for (const options of [{ slot: false }, { known: false }]) {
    const { state, call } = start(options)
    assert.equal(await call(), 200)
    assert.deepEqual(state.results, ['shadow dropped'])
    assert.equal(state.copies.length, 0)
  }
})

test('so many at one time, no more', async () => {
  const { state, call } = start({ shadow: 'hang', deadlineMs: 2_000 })
  for (let i = 0; i < 5; i++) await call()
  assert.equal(state.copies.length, 2)
  await until('those under way end with their deadline', () => state.results.length === 5)
  await call()
  assert.equal(state.copies.length, 3)
  await until('and the last', () => state.results.length === 6)
})

test('a request that goes to the other upstream anyway is not copied', async () => {
  const { state, filter, upstream } = start()
  const exchange = makeExchange()
  exchange.upstream = upstream
  await filter(exchange, async () => ({ status: 200, reason: '', headers: [], body: ResponseBody.of(Buffer.from('real')) }))
  assert.equal(state.copies.length, 0)
})
