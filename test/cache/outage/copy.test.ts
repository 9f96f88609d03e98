// When an answer becomes an outage copy, how it is written down, and who may have it.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { copyOf, copyRules, frameOf, mayHave, originOf, plainRequest, type Copy } from '../../../src/cache/outage/copy.ts'
import { decodeValue, encodeFrame } from '../../../src/cache/second-level/frame.ts'
import { validate } from '../../../src/config/validator.ts'

const nowMs = Date.UTC(2026, 10, 27)
const origin = { id: 'getorder  /json/reply/GetOrder?Id=1', upstream: 'Shop', message: 'GetOrder', sent: '/json/reply/GetOrder?Id=1' }
const rulesWith = (cache: object = {}) => copyRules(validate({ defaults: { policy: { cache } } }).config.defaults.policy.cache, 'x-mac-requestId')
const rules = rulesWith()

function make (headers: readonly string[], { sent = [], by = rules, status = 200 }: { sent?: string[], by?: typeof rules, status?: number } = {}): ReturnType<typeof copyOf> {
  return copyOf(origin, plainRequest(by, origin.sent, 'message', sent), { head: { status, reason: 'OK', headers, requestAtMs: nowMs, responseAtMs: nowMs }, body: Buffer.from('{}'), endpointUrl: 'http://10.0.0.1' }, by)
}
function made (headers: readonly string[], options: Parameters<typeof make>[1] = {}): Copy {
  const copy = make(headers, options)
  assert.ok(!('refused' in copy), JSON.stringify(copy))
  return copy
}
const asks = (headers: string[], by = rules) => by.reader.read({ method: 'GET', target: origin.sent, headers, safe: true, routeKind: 'message', trusted: false })

describe('an outage copy', () => {
  const refused: ReadonlyArray<readonly [string, readonly string[], string]> = [
    ['private', ['Cache-Control', 'private'], 'private'],
    ['no-store', ['Cache-Control', 'No-Store, max-age=60'], 'no-store'],
    ['a cookie', ['Set-Cookie', 'a=b'], 'set-cookie'],
    ['Vary: *', ['Vary', '*'], 'vary-any']
  ]
  for (const [what, headers, reason] of refused) test(`is not made of ${what}`, () => assert.deepEqual(make(headers), { refused: reason }))
  test('is not made of an error', () => assert.deepEqual(make([], { status: 404 }), { refused: 'no-lifetime' }))

  test('is made also of what its service wants nobody to get stale', () => {
    for (const control of ['max-age=0, must-revalidate', 'no-cache', 'max-age=60']) assert.ok(!('refused' in make(['Cache-Control', control])), control)
    assert.ok(!('refused' in make([])))
  })

  test('tells nobody further out to keep it, in no field', () => {
    const { stored } = made(['Cache-Control', 'max-age=60', 'Expires', 'Never', 'CDN-Cache-Control', 'max-age=9', 'Surrogate-Control', 'max-age=9', 'Pragma', 'x', 'Warning', '110', 'ETag', '"1"'])
    assert.deepEqual(stored.leaving.headers, ['ETag', '"1"', 'Cache-Control', 'no-store'])
  })

  test('is written and read back as it was', () => {
    const copy = made(['Content-Type', 'application/json', 'Vary', 'Accept-Language, Accept-Encoding'], { sent: ['Accept-Language', 'de'] })
    const value = decodeValue(encodeFrame(frameOf(copy, nowMs)))
    assert.ok(value !== undefined && 'answer' in value)
    assert.deepEqual(originOf(value.answer), origin)
    const { status, reason, headers, requestAtMs, responseAtMs, body, endpointUrl } = value.answer
    const again = copyOf(origin, plainRequest(rules, origin.sent, 'message', []), { head: { status, reason, headers, requestAtMs, responseAtMs }, body, endpointUrl }, rules, value.answer)
    assert.ok(!('refused' in again))
    assert.deepEqual([again.stored.body, again.stored.variant, again.stored.terms.vary, again.stored.bytes], [copy.stored.body, copy.stored.variant, ['accept-language'], copy.stored.bytes])
    assert.equal(originOf({ ...value.answer, key: 'something else' }), undefined)
  })
})

describe('who may have it', () => {
  const has = (copy: Copy, headers: string[], by = rules, atMs = nowMs) => mayHave(asks(headers, by), copy, atMs, by)
  const plain = made([])

  test('anybody, whatever coding he takes', () => {
    assert.ok(has(plain, []))
    assert.ok(has(made(['Vary', 'Accept-Encoding']), ['Accept-Encoding', 'br']))
    assert.ok(!has(made(['Content-Encoding', 'gzip']), ['Accept-Encoding', 'br']), 'but for a copy that is in one')
  })

  test('not beyond its age', () => {
    assert.ok(has(plain, [], rules, nowMs + 86_400_000))
    assert.ok(!has(plain, [], rules, nowMs + 86_400_001))
    assert.ok(!has(made(['Age', '86399']), [], rules, nowMs + 2_000), 'what it had when it came counts')
  })

  test('nobody with an identity, but where the service or the operator says so', () => {
    const identified = ['Authorization', 'Bearer x']
    assert.ok(!has(plain, identified))
    assert.ok(has(made(['Cache-Control', 'public']), identified))
    assert.ok(has(made(['Cache-Control', 's-maxage=5']), identified))
    const shared = rulesWith({ identity: { mode: 'shared' } })
    assert.ok(has(made([], { by: shared }), identified, shared))
    const apart = rulesWith({ identity: { mode: 'perIdentity' } })
    assert.ok(!has(made(['Cache-Control', 'public'], { by: apart }), identified, apart), 'each has answers of his own')
  })

  test('nobody who says what the operator names, may have a session, or wants the service itself', () => {
    const named = rulesWith({ key: { headers: ['X-Tenant'], cookies: ['_ga'] } })
    for (const headers of [['X-Tenant', 'b'], ['Cookie', '_ga=1'], ['Cookie', 'theme=dark'], ['Cache-Control', 'no-cache'], ['If-Match', '"1"'], ['Remote-User', 'ann']]) assert.ok(!has(plain, headers, named), headers.join(': '))
    for (const headers of [['X-Tenant', 'b'], ['Cookie', '_ga=1'], ['Accept-Language', 'de'], ['Origin', 'https://shop.example'], ['X-Forwarded-Prefix', '/x']]) assert.ok(has(plain, headers), headers.join(': '))
    for (const key of [{ inertCookies: ['*'] }, { unkeyedHeaders: 'never' }]) assert.ok(has(plain, ['Cookie', 'theme=dark'], rulesWith({ key })))
    assert.ok(!has(plain, ['Cookie', 'theme=dark; ss-id=x'], rulesWith({ key: { inertCookies: ['*'] } })))
    assert.ok(!has(made(['Vary', 'Accept-Language']), ['Accept-Language', 'de']))
  })
})
