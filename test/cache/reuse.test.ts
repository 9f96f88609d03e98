// Whether a stored answer may be given to a request, fresh or stale, and to whom. Each row names its clause (RFC 9111 unless another is named).
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import type { Entry } from '../../src/cache/entry.ts'
import { mayStandIn, passesBy, reuse, type Reuse } from '../../src/cache/policy.ts'
import { countsAsError } from '../../src/cache/stand-in.ts'
import { variantOf, varyNames } from '../../src/cache/vary.ts'
import { byDefault, flat, headOf, now, requestOf, rulesOf, termsOf } from './support.ts'

type Rules = ReturnType<typeof rulesOf>
const entryOf = (headers: string[], rules: Rules = byDefault, request = requestOf({ rules })): Entry => ({ head: headOf(headers), terms: termsOf(headers, { rules, request }) })
const word = (decided: Reuse) => decided.use === 'stored' ? decided.refresh ? 'refreshing' : decided.stale ? 'stale' : 'fresh' : decided.use === 'nothing' ? '504' : `${decided.why}${decided.validate ? ', validate' : ''}`

describe('fresh or not', () => {
  /** A stored answer, a request so many seconds later, what is done. */
  const rows: Array<[name: string, stored: string, afterS: number, asked: string | undefined, expected: string]> = [
    ['4.2: fresh', 'max-age=60', 59, undefined, 'fresh'],
    ['4.2: stale at its last second', 'max-age=60', 60, undefined, 'stale, validate'],
    ['4: no-cache is validated always', 'max-age=60, no-cache', 0, undefined, 'stale, validate'],
    ['5.2.1.4: the client says no-cache', 'max-age=60', 1, 'no-cache', 'request, validate'],
    ['5.2.1.1: max-age above its age', 'max-age=60', 10, 'max-age=10', 'fresh'],
    ['5.2.1.1: max-age below its age', 'max-age=60', 10, 'max-age=9', 'request, validate'],
    ['5.2.1.1: max-age=0 and an answer of this second', 'max-age=60', 0.5, 'max-age=0', 'fresh'],
    ['5.2.1.3: min-fresh that is met', 'max-age=60', 10, 'min-fresh=50', 'fresh'],
    ['5.2.1.3: min-fresh that is not', 'max-age=60', 10, 'min-fresh=51', 'request, validate'],
    ['5.2.1.2: max-stale', 'max-age=60', 70, 'max-stale=10', 'stale'],
    ['5.2.1.2: beyond max-stale', 'max-age=60', 71, 'max-stale=10', 'stale, validate'],
    ['5.2.1.2: max-stale without a value', 'max-age=60', 80_000, 'max-stale', 'stale'],
    ['5.2.1.2: as long as the operator believes it', 'max-age=60', 86_460, 'max-stale', 'stale'],
    ['5.2.1.2: and no longer', 'max-age=60', 86_461, 'max-stale', 'stale, validate'],
    ['5.2.1.2: with a time just so', 'max-age=60', 86_461, 'max-stale=999999', 'stale, validate'],
    ['5.2.2.2: must-revalidate before max-stale', 'max-age=60, must-revalidate', 70, 'max-stale', 'stale, validate'],
    ['5.2.2.8: proxy-revalidate before max-stale', 'max-age=60, proxy-revalidate', 70, 'max-stale', 'stale, validate'],
    ['5.2.2.10: s-maxage before max-stale', 's-maxage=60', 70, 'max-stale', 'stale, validate'],
    ['5.2.1.7: only-if-cached and fresh', 'max-age=60', 1, 'only-if-cached', 'fresh'],
    ['5.2.1.7: only-if-cached and stale', 'max-age=60', 70, 'only-if-cached', '504'],
    ['5.2.1.7: only-if-cached and max-stale', 'max-age=60', 70, 'only-if-cached, max-stale=60', 'stale'],
    ['RFC 5861 3: within stale-while-revalidate', 'max-age=60, stale-while-revalidate=10', 69, undefined, 'refreshing'],
    ['RFC 5861 3: beyond it', 'max-age=60, stale-while-revalidate=10', 70, undefined, 'stale, validate'],
    ['RFC 5861 3: not for a client that says how old it may be', 'max-age=60, stale-while-revalidate=10', 65, 'max-age=100', 'stale, validate'],
    ['RFC 5861 3: not for no-cache', 'max-age=60, stale-while-revalidate=10', 65, 'no-cache', 'request, validate'],
    ['RFC 8246 2: a reload of what is immutable', 'max-age=60, immutable', 10, 'max-age=0', 'fresh'],
    ['RFC 8246 2: no-cache asks for it all the same', 'max-age=60, immutable', 10, 'no-cache', 'request, validate'],
    ['RFC 8246 2: immutable and stale', 'max-age=60, immutable', 70, undefined, 'stale, validate']
  ]
  for (const [name, stored, afterS, asked, expected] of rows) {
    test(name, () => {
      const request = requestOf({ headers: asked === undefined ? [] : [`Cache-Control: ${asked}`] })
      assert.equal(word(reuse(request, entryOf([`Cache-Control: ${stored}`, 'ETag: "a"']), now + afterS * 1_000, byDefault)), expected)
    })
  }

  test('nothing stored: why, and 504 for only-if-cached', () => {
    assert.equal(word(reuse(requestOf(), undefined, now, byDefault)), 'uri-miss')
    assert.equal(word(reuse(requestOf(), undefined, now, byDefault, 'vary-miss')), 'vary-miss')
    assert.equal(word(reuse(requestOf({ headers: ['Cache-Control: only-if-cached'] }), undefined, now, byDefault)), '504')
  })

  test('5.4: Pragma', () => assert.equal(word(reuse(requestOf({ headers: ['Pragma: no-cache'] }), entryOf(['Cache-Control: max-age=60']), now, byDefault)), 'request, validate'))

  test('clientDirectives: whose words count', () => {
    const stored = entryOf(['Cache-Control: max-age=60'])
    const asked = (clientDirectives: 'everybody' | 'trusted' | 'nobody', trusted: boolean) => {
      const rules = rulesOf({ clientDirectives })
      return word(reuse(requestOf({ rules, trusted, headers: ['Cache-Control: no-cache'] }), stored, now, rules))
    }
    assert.equal(asked('everybody', false), 'request, validate')
    assert.equal(asked('trusted', false), 'fresh')
    assert.equal(asked('trusted', true), 'request, validate')
    assert.equal(asked('nobody', true), 'fresh')
  })
})

describe('whose answer it is (section 3.5, decisions 5.1)', () => {
  const identified = ['Authorization: Bearer x', 'X-Api-Key: k', 'X-ss-id: 1', 'X-SS-pid: 1', 'Cookie: a=1; ss-id=x', 'Cookie: ss-pid=x', 'Cookie: ss-tok=x', 'Cookie: .AspNetCore.Session=x', 'Cookie: JSESSIONID=x']
  for (const header of identified) {
    test(`${header} gets nothing that is not for all`, () => {
      const request = requestOf({ headers: [header], routeKind: 'prefix' })
      assert.notEqual(request.identity, '')
      assert.equal(word(reuse(request, entryOf(['Cache-Control: max-age=60']), now, byDefault)), 'request')
      assert.equal(word(reuse(request, entryOf(['Cache-Control: max-age=60, public']), now, byDefault)), 'fresh')
      assert.equal(word(reuse(request, entryOf(['Cache-Control: s-maxage=60']), now, byDefault)), 'fresh')
    })
  }
  test('a key in the query, and identities that the operator names', () => {
    assert.notEqual(requestOf({ target: '/json/reply/A?b=1&ApiKey=x' }).identity, '')
    const rules = rulesOf({ identity: { headers: ['X-Who'], cookies: ['me*'] } })
    for (const header of ['x-who: 1', 'Cookie: me2=1']) assert.notEqual(requestOf({ rules, headers: [header] }).identity, '', header)
    assert.equal(requestOf({ headers: ['Cookie: _ga=1; theme=dark'], routeKind: 'prefix' }).identity, '')
  })
  test('identities differ by every value, and not by order', () => {
    const of = (...headers: string[]) => requestOf({ headers }).identity
    assert.notEqual(of('Authorization: a'), of('Authorization: b'))
    assert.notEqual(of('Cookie: ss-id=1; ss-pid=1'), of('Cookie: ss-id=1; ss-pid=2'))
    assert.equal(of('Authorization: a', 'Cookie: ss-id=1'), of('Cookie: ss-id=1', 'authorization: a'))
  })
  test('perIdentity: the key keeps them apart, so each gets its own; shared: all get one', () => {
    for (const mode of ['perIdentity', 'shared'] as const) {
      const rules = rulesOf({ identity: { mode } })
      const request = requestOf({ rules, headers: ['Authorization: a'] })
      assert.equal(word(reuse(request, entryOf(['Cache-Control: max-age=60'], rules, request), now, rules)), 'fresh')
    }
  })
})

describe('what has nothing to do with the cache', () => {
  test('4: methods that are not stored, requests that write', () => {
    assert.equal(word(passesBy(requestOf({ method: 'DELETE' }), byDefault)!), 'method')
    assert.equal(word(passesBy(requestOf({ safe: false }), byDefault)!), 'method')
    assert.equal(passesBy(requestOf({ method: 'HEAD' }), byDefault), undefined)
    assert.equal(passesBy(requestOf(), byDefault), undefined)
  })
  test('4.3.2: If-Match and If-Unmodified-Since are for the origin', () => {
    for (const header of ['If-Match: "a"', 'If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT']) assert.equal(word(passesBy(requestOf({ headers: [header] }), byDefault)!), 'bypass')
  })
})

describe('standing in for an origin that failed (RFC 5861 section 4)', () => {
  const rows: Array<[name: string, stored: string, afterS: number, asked: string | undefined, expected: boolean]> = [
    ['not unasked', 'max-age=60', 61, undefined, false],
    ['as the origin says', 'max-age=60, stale-if-error=10', 69, undefined, true],
    ['no longer', 'max-age=60, stale-if-error=10', 70, undefined, false],
    ['as the client says', 'max-age=60', 69, 'stale-if-error=10', true],
    ['but not against must-revalidate', 'max-age=60, must-revalidate', 61, 'stale-if-error=10', false],
    ['nor against no-cache', 'no-cache, stale-if-error=10', 1, 'stale-if-error=10', false],
    ['nor where the client wants it validated', 'max-age=60, stale-if-error=10', 61, 'no-cache', false],
    ['what is fresh, where the client wanted it younger', 'max-age=60', 50, 'max-age=1', true]
  ]
  for (const [name, stored, afterS, asked, expected] of rows) {
    test(name, () => {
      const request = requestOf({ headers: asked === undefined ? [] : [`Cache-Control: ${asked}`] })
      assert.equal(mayStandIn(request, entryOf([`Cache-Control: ${stored}`, 'ETag: "a"']), now + afterS * 1_000, byDefault), expected)
    })
  }
  test('not for an identity whose answer it is not', () => {
    assert.equal(mayStandIn(requestOf({ headers: ['Authorization: a'] }), entryOf(['Cache-Control: max-age=60, stale-if-error=10']), now, byDefault), false)
  })
  test('which answers are failures', () => assert.deepEqual([200, 404, 500, 501, 502, 503, 504, 505].filter(countsAsError), [500, 502, 503, 504]))
})

describe('Vary (section 4.1)', () => {
  const names: Array<[name: string, headers: string[], withoutAccept: boolean, expected: readonly string[] | undefined]> = [
    ['none', [], false, []],
    ['in any letter case, each once, sorted, over several lines', ['Vary: B, a', 'vary: A,,c'], false, ['a', 'b', 'c']],
    ['*', ['Vary: *'], false, undefined],
    ['*, *', ['Vary: *, *'], false, undefined],
    ['* after an empty member', ['Vary: , *'], false, undefined],
    ['* among names, first or last', ['Vary: Foo, *'], false, undefined],
    ['* on another line', ['Vary: Foo', 'Vary: *'], false, undefined],
    ['what is no name matches nothing', ['Vary: "Foo"'], false, undefined],
    ['nor what may be several', ['Vary: Foo|Bar'], false, undefined],
    ['with a semicolon', ['Vary: Foo; Bar'], false, undefined],
    ['with a space', ['Vary: Foo Bar'], false, undefined],
    ['Accept on message routes', ['Vary: Accept'], true, []],
    ['a coding varies although it does not say so', ['Content-Encoding: gzip'], false, ['accept-encoding']]
  ]
  for (const [name, headers, withoutAccept, expected] of names) test(name, () => assert.deepEqual(varyNames(flat(...headers), withoutAccept), expected))

  const same: Array<[name: string, field: string, a: string[], b: string[], equal: boolean]> = [
    ['the same', 'foo', ['Foo: 1'], ['foo: 1'], true],
    ['another value', 'foo', ['Foo: 1'], ['Foo: 2'], false],
    ['absent is not empty', 'foo', ['Foo: '], [], false],
    ['absent on both sides', 'foo', [], ['Bar: 1'], true],
    ['lines are one list', 'foo', ['Foo: 1', 'Foo: 2'], ['Foo: 1, 2'], true],
    ['space between members', 'foo', ['Foo: 1,2'], ['Foo: 1 ,  2'], true],
    ['order says something in a field that is not known', 'foo', ['Foo: 1,2'], ['Foo: 2,1'], false],
    ['letter case too', 'foo', ['Foo: a'], ['Foo: A'], false],
    ['not in Accept-Language', 'accept-language', ['Accept-Language: en-GB, de;q=0.5'], ['Accept-Language: EN-gb,DE; q=0.5'], true],
    ['its order may say something', 'accept-language', ['Accept-Language: en, de'], ['Accept-Language: de, en'], false],
    ['so may that of Accept', 'accept', ['Accept: text/html, application/json'], ['Accept: application/json, text/html'], false],
    ['a weight of 1 is none', 'accept-encoding', ['Accept-Encoding: gzip;q=1.0, br'], ['Accept-Encoding: br, gzip'], true],
    ['other weights say something', 'accept-encoding', ['Accept-Encoding: gzip;q=0.1, br'], ['Accept-Encoding: br, gzip'], false]
  ]
  for (const [name, field, a, b, equal] of same) test(name, () => assert.equal(variantOf([field], flat(...a)) === variantOf([field], flat(...b)), equal))

  test('what a value holds cannot look like another field', () => {
    assert.notEqual(variantOf(['a', 'b'], flat('A: x\nb: y')), variantOf(['a', 'b'], flat('A: x', 'B: y')))
  })
})

describe('headers that Vary does not name (poisoning)', () => {
  const key = (headers: string[], options: Parameters<typeof requestOf>[0] = {}) => requestOf({ headers, ...options }).keyParts
  test('on message routes what the cache knows nothing of is part of the key', () => {
    assert.equal(key(['X-Tenant: 5']), 'x-tenant: 5')
    assert.equal(key(['X-Original-URL: /admin', 'Origin: https://evil.example']), 'origin: https://evil.example\nx-original-url: /admin')
    assert.equal(key(['Cookie: theme=dark; _ga=1']), 'cookie theme=dark')
    assert.notEqual(key(['Accept-Language: de']), '')
  })
  test('what shapes nothing is not', () => {
    const inert = ['User-Agent: x', 'Accept: */*', 'Accept-Encoding: gzip', 'Referer: y', 'Via: 1.1 p', 'X-Forwarded-For: 1.2.3.4', 'traceparent: 00-1', 'X-MAC-RequestId: 1', 'Sec-CH-UA: x', 'DNT: 1', 'If-None-Match: "a"', 'Range: bytes=0-1', 'Content-Type: application/json']
    assert.equal(key(inert), '')
  })
  test('on prefix routes only Vary counts where so told', () => {
    assert.equal(key(['X-Tenant: 5'], { routeKind: 'prefix' }), 'x-tenant: 5')
    assert.equal(key(['X-Tenant: 5'], { routeKind: 'prefix', rules: rulesOf({ key: { unkeyedHeaders: 'messages' } }) }), '')
    assert.equal(key(['X-Tenant: 5'], { rules: rulesOf({ key: { unkeyedHeaders: 'messages' } }) }), 'x-tenant: 5')
    assert.equal(key(['X-Tenant: 5'], { rules: rulesOf({ key: { unkeyedHeaders: 'never' } }) }), '')
  })
  test('whom a proxy found out to be asking is an identity; from a stranger it shapes as well', () => {
    const line = 'X-Forwarded-User: ann'
    assert.deepEqual([true, false].map(trusted => requestOf({ headers: [line], trusted })).map(({ identity, keyParts }) => [identity, keyParts]), [['x-forwarded-user: ann', ''], ['x-forwarded-user: ann', 'x-forwarded-user: ann']])
  })
  test('what the operator names', () => {
    const rules = rulesOf({ key: { unkeyedHeaders: 'never', headers: ['X-Tenant'], cookies: ['theme'] } })
    assert.equal(key(['x-tenant: 5', 'Cookie: theme=dark; other=1'], { rules, routeKind: 'prefix' }), 'cookie theme=dark\nx-tenant: 5')
    assert.equal(key(['X-Noise: 1', 'Cookie: noise2=1'], { rules: rulesOf({ key: { inertHeaders: ['X-Noi*'], inertCookies: ['noise*'] } }) }), '')
  })
  test('the order of headers says nothing', () => assert.equal(key(['X-A: 1', 'X-B: 2']), key(['x-b: 2', 'x-a: 1'])))
})
