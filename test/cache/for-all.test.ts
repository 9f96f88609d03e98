// What a service is told when it is asked on everybody's behalf.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { ForAll } from '../../src/cache/for-all.ts'
import { makeExchange } from '../support/exchange.ts'
import { defaults } from './support.ts'

const sent = ['accept', 'text/html', 'X-Own', '1', 'Accept', 'evil/*']
const asked = (canonicalPath: string, kind: 'message' | 'custom' | 'prefix' = 'message', normalizeAccept = true): readonly string[] => {
  const { route, upstreamRequest } = makeExchange()
  const config = { ...defaults, normalizeAccept, key: { ...defaults.key, plainFills: 'never' as const } }
  return new ForAll(config, 'x-mac-requestId').headers(sent, { route: { ...route, kind }, upstreamRequest: { ...upstreamRequest, canonicalPath } }, new Set())
}

for (const [path, accept] of [
  ['/json/reply/GetOrder', 'application/json'], ['/xml/reply/GetOrder', 'application/xml'], ['/csv/reply/GetOrder', 'text/csv'], ['/html/reply/GetOrder', 'text/html'], ['/jsv/reply/Outer.xml', 'application/jsv'],
  ['/api/GetOrder', 'application/json'], ['/api/GetOrder.csv', 'text/csv'], ['/api/Outer.GetOrder', 'application/json'], ['/x-msgpack/reply/GetOrder', 'application/x-msgpack']
] as const) {
  test(`${path} is asked for as ${accept}`, () => {
    assert.deepEqual(asked(path), ['X-Own', '1', 'Accept', accept])
  })
}

test('a path that says no format, and a message that is told so, keep what the client sent', () => {
  assert.deepEqual(asked('/orders/1', 'custom'), sent)
  assert.deepEqual(asked('/shop/json/reply/GetOrder', 'prefix'), sent)
  assert.deepEqual(asked('/json/reply/GetOrder', 'message', false), sent)
})

const ofAClient = [
  'User-Agent', 'curl', 'Referer', 'https://shop.test/', 'Sec-Fetch-User', '?1', 'Baggage', 'tier=gold', 'X-Request-Id', 'r1', 'Sec-CH-UA-Mobile', '?1', 'Accept-Charset', 'latin1',
  'X-Tenant', 'a', 'traceparent', '00-1-2-01', 'x-mac-requestid', 'c1', 'Cookie', '_ga=1; lang=de; ss-opt=perm', 'Cookie', '_fbp=2'
]
const kept = ['X-Tenant', 'a', 'traceparent', '00-1-2-01', 'x-mac-requestid', 'c1', 'Cookie', 'lang=de']
type Key = typeof defaults.key
const plainly = (kind: 'message' | 'custom' | 'prefix', key: Partial<Key> = {}, told: readonly string[] = []): readonly string[] => {
  const { route, upstreamRequest } = makeExchange()
  return new ForAll({ ...defaults, normalizeAccept: false, key: { ...defaults.key, ...key } }, 'x-mac-requestId').headers([...ofAClient], { route: { ...route, kind }, upstreamRequest }, new Set(told))
}

for (const [what, sent, asked] of [
  ['a message is asked for without what its client says of himself', plainly('message'), ['User-Agent', 'postern (cache)', ...kept]],
  ['so is a RESTful path', plainly('custom'), ['User-Agent', 'postern (cache)', ...kept]],
  ['below a prefix it is, but for what concerns that request alone', plainly('prefix'), ['User-Agent', 'curl', 'Referer', 'https://shop.test/', ...kept.slice(0, -1), '_ga=1; lang=de; ss-opt=perm', 'Cookie', '_fbp=2']],
  ['but where the operator says so', plainly('prefix', { plainFills: 'always' }), ['User-Agent', 'postern (cache)', ...kept]],
  ['and never, if he says that', plainly('message', { plainFills: 'never' }), ofAClient],
  ['what is part of the key by the operator\'s word is sent', plainly('message', { headers: ['USER-AGENT', 'Referer'], cookies: ['_GA'] }), ['User-Agent', 'curl', 'Referer', 'https://shop.test/', ...kept.slice(0, -1), '_ga=1; lang=de']],
  ['and what the service says it varies by', plainly('message', {}, ['user-agent', 'cookie', 'sec-ch-ua-mobile']), ['User-Agent', 'curl', 'Sec-CH-UA-Mobile', '?1', ...kept.slice(0, -1), '_ga=1; lang=de; ss-opt=perm', 'Cookie', '_fbp=2']]
] as const) {
  test(what, () => { assert.deepEqual(sent, asked) })
}

test('a session, and whatever the operator calls an identity, is told', () => {
  const { route, upstreamRequest } = makeExchange()
  const forAll = new ForAll({ ...defaults, identity: { ...defaults.identity, headers: ['Sec-CH-Badge'], cookies: ['_pk_user*'] } }, 'x-mac-requestId')
  const session = ['Cookie', 'ss-id=a; ss-pid=b; ss-opt=perm; _ga=1', 'Cookie', '_pk_user1=ann; _pk_id=2', 'Cookie', 'ss-opt=perm; _ga=1', 'Sec-CH-Badge', 'ann']
  assert.deepEqual(forAll.headers(session, { route: { ...route, kind: 'custom' }, upstreamRequest }, new Set()), ['User-Agent', 'postern (cache)', 'Cookie', 'ss-id=a; ss-pid=b; ss-opt=perm', 'Cookie', '_pk_user1=ann', 'Sec-CH-Badge', 'ann'])
  assert.equal(forAll.headers(session, { route: { ...route, kind: 'custom' }, upstreamRequest }, undefined), session, 'all of it where the answer is for him alone')
})

test('what an answer varies by is told from the next question on, and names have an end', () => {
  const forAll = new ForAll(defaults, 'x-mac-requestId')
  const message = { route: { ...makeExchange().route, kind: 'message' as const } }
  const told = new Set<string>()
  assert.equal(forAll.tell(['Vary', 'Accept, X-Tenant'], message, told, told), false)
  assert.equal(forAll.tell(['vary', 'Accept, User-Agent'], message, told, told), true)
  assert.equal(forAll.tell(['Vary', 'user-agent'], message, told, told), false)
  assert.equal(forAll.tell(['Vary', '*'], message, told, told), false)
  assert.equal(forAll.tell(['Vary', 'Referer'], { route: { ...message.route, kind: 'prefix' } }, told, told), false)
  assert.deepEqual([...told], ['user-agent'])
  assert.equal(forAll.tell(['Vary', 'user-agent'], message, told, new Set()), true, 'what another answer taught was not told to this one')
  assert.equal(forAll.tell(['Vary', 'referer'], message, told, undefined), false)
  for (let i = 0; i < 100; i++) assert.equal(forAll.tell(['Vary', `Sec-CH-Evil-${i}`], message, told, told), true)
  assert.equal(told.size, 32)
})
