// What may be stored, how long and on which terms. Each row names its clause (RFC 9111 unless another is named).
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { mayStore } from '../../src/cache/policy.ts'
import { currentAgeS } from '../../src/cache/freshness.ts'
import { httpDate } from '../../src/cache/http-date.ts'
import { headOf, lifetimeOf, now, requestOf, rulesOf, termsOf } from './support.ts'

const inS = (seconds: number) => httpDate(now + seconds * 1_000)
const prefix = requestOf({ routeKind: 'prefix' })

describe('freshness lifetime', () => {
  const rows: Array<[name: string, headers: string[], expected: number | string, request?: typeof prefix]> = [
    ['4.2.1: max-age', ['Cache-Control: max-age=60'], 60],
    ['4.2.1: s-maxage before max-age, longer or shorter, whatever the order', ['Cache-Control: max-age=3600, s-maxage=1'], 1],
    ['4.2.1: s-maxage on a line of its own', ['Cache-Control: s-maxage=3600', 'Cache-Control: max-age=1'], 3_600],
    ['5.3: Expires less Date', [`Expires: ${inS(90)}`, `Date: ${inS(-10)}`], 90],
    ['5.3: max-age before Expires', ['Cache-Control: max-age=60', `Expires: ${inS(-100)}`], 60],
    ['5.3: max-age=0 before a future Expires', ['Cache-Control: max-age=0', `Expires: ${inS(100)}`, 'ETag: "a"'], 0],
    ['5.3: an Expires that is no date is past', ['Expires: 0', 'ETag: "a"'], 0],
    ['5.3: "Never" as well', ['Expires: Never', 'ETag: "a"'], 0],
    ['5.3: of two lines the first', ['Expires: 0', `Expires: ${inS(100)}`, 'ETag: "a"'], 0],
    ['5.3: an Expires before Date', [`Expires: ${inS(-20)}`, `Date: ${inS(-10)}`, 'ETag: "a"'], -10],
    ['RFC 9110 6.6.1: without a Date, from when it came', ['Date: yesterday', `Expires: ${inS(50)}`], 50],
    ['4.2.1: what cannot be read is stale, though Expires is not', ['Cache-Control: max-age=x', `Expires: ${inS(100)}`, 'ETag: "a"'], 0],
    ['4.2.3: Age counts', ['Cache-Control: max-age=60', 'Age: 50'], 10],
    ['4.2.3: Expires less Date less Age, with a slow clock', [`Expires: ${inS(100)}`, `Date: ${inS(-100)}`, 'Age: 150'], 50],
    ['4.2.3: the same with a fast clock', [`Expires: ${inS(300)}`, `Date: ${inS(100)}`, 'Age: 150'], 50],
    ['4.2.3: Date counts', ['Cache-Control: max-age=60', `Date: ${inS(-50)}`], 10],
    ['5.1: an Age that is no number is passed over', ['Cache-Control: max-age=60', 'Age: abc'], 60],
    ['5.1: a negative one', ['Cache-Control: max-age=60', 'Age: -7200'], 60],
    ['5.1: a fraction', ['Cache-Control: max-age=60', 'Age: 7200.0'], 60],
    ['5.1: with a parameter', ['Cache-Control: max-age=60', 'Age: 7200;foo=1'], 60],
    ['5.1: of several members the first', ['Cache-Control: max-age=60', 'Age: 50, 0'], 10],
    ['5.1: of several lines the first', ['Cache-Control: max-age=60', 'Age: 0', 'Age: 7200'], 60],
    ['1.2.2: more than 2^31 is that', ['Cache-Control: max-age=60', 'Age: 99999999999', 'ETag: "a"'], 60 - 2_147_483_648],
    ['the cap on what is stored', ['Cache-Control: max-age=99999999999'], 86_400],
    ['the cap on Expires', ['Expires: Fri, 31 Dec 9999 23:59:59 GMT'], 86_400],
    ['4.2.2: no guess on message routes', [`Last-Modified: ${inS(-1_000)}`], 'no-lifetime'],
    ['4.2.2: on prefix routes a tenth of its age', [`Last-Modified: ${inS(-1_000)}`], 100, prefix],
    ['4.2.2: at most an hour', [`Last-Modified: ${inS(-10_000_000)}`], 3_600, prefix],
    ['4.2.2: never where a lifetime is said', [`Last-Modified: ${inS(-1_000)}`, 'Cache-Control: max-age=1'], 1, prefix],
    ['nothing is said', ['ETag: "a"'], 'no-lifetime'],
    ['nothing is said on a prefix route', ['ETag: "a"'], 'no-lifetime', prefix],
    ['RFC 9213 2.2: the targeted field alone counts, longer', ['CDN-Cache-Control: max-age=600', 'Cache-Control: max-age=1', 'Expires: 0'], 600],
    ['RFC 9213 2.2: shorter', ['CDN-Cache-Control: max-age=1', 'Cache-Control: max-age=600'], 1],
    ['RFC 9213 2.2: against no-store', ['CDN-Cache-Control: max-age=600', 'Cache-Control: no-store'], 600],
    ['RFC 9213 2.2: Expires has no say', ['CDN-Cache-Control: must-revalidate', `Expires: ${inS(100)}`], 'no-lifetime'],
    ['RFC 9213 2.1: with a mistake in it, it is not there', ['CDN-Cache-Control: max-age=600, &&&', 'Cache-Control: max-age=5'], 5],
    ['RFC 9213 2.1: empty, it is not there', ['CDN-Cache-Control: ', 'Cache-Control: max-age=5'], 5],
    ['RFC 9213 2.1: the same, but it says private', ['CDN-Cache-Control: Private', 'Cache-Control: max-age=5'], 'private'],
    ['RFC 9213 2.1: or no-store, with a space in place of a comma', ['CDN-Cache-Control: no-store max-age=60', 'Cache-Control: max-age=5'], 'private'],
    ['RFC 9213 2.1: or with a semicolon', ['CDN-Cache-Control: max-age=60; private', 'Cache-Control: max-age=5'], 'private'],
    ['RFC 9213 2.1: a parameter is none of its business', ['CDN-Cache-Control: max-age=60;x="private";y=1'], 60],
    ['RFC 9213 2.1: of another type, nothing readable is said', ['CDN-Cache-Control: max-age="600"', 'Cache-Control: max-age=60', 'ETag: "a"'], 0]
  ]
  for (const [name, headers, expected, request] of rows) test(name, () => assert.equal(lifetimeOf(headers, { request: request ?? requestOf() }), expected))

  test('4.2.3: the way here counts, and age grows with time', () => {
    const { bornAtMs } = termsOf(['Cache-Control: max-age=60', 'Age: 10'], { requestAtMs: now - 3_000 })
    assert.equal(currentAgeS(bornAtMs, now), 13)
    assert.equal(currentAgeS(bornAtMs, now + 5_500), 18)
  })

  test('4.2.2: statuses whose answers may be guessed about', () => {
    const guessed = Array.from({ length: 400 }, (_, i) => 200 + i).filter(status => typeof lifetimeOf([`Last-Modified: ${inS(-1_000)}`], { status, request: prefix }) === 'number')
    assert.deepEqual(guessed, [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501])
    assert.equal(lifetimeOf([`Last-Modified: ${inS(-1_000)}`, 'Cache-Control: public'], { status: 599, request: prefix }), 100)
  })
})

describe('what may be stored (section 3)', () => {
  const fresh = 'Cache-Control: max-age=60'
  const withAuthorization = requestOf({ headers: ['Authorization: Bearer x'] })
  const rows: Array<[name: string, headers: string[], options: Parameters<typeof lifetimeOf>[1], expected: number | string]> = [
    ['3: a method that is understood', [fresh], { request: requestOf({ method: 'PUT' }) }, 'method'],
    ['3: POST is not, unless the operator says so', [fresh], { request: requestOf({ method: 'POST', safe: true }) }, 'method'],
    ['3: HEAD has no body to store', [fresh], { request: requestOf({ method: 'HEAD' }) }, 'method'],
    ['decisions 3.2: a GET that is something else by its effective method', [fresh], { request: requestOf({ safe: false }) }, 'unsafe'],
    ['3: a final status', [fresh], { status: 103 }, 'status'],
    ['3.3: parts are not stored', [fresh], { status: 206 }, 'partial'],
    ['3: nor is a 304', [fresh], { status: 304 }, 'status'],
    ['3: unknown statuses are, where a lifetime is said', [fresh], { status: 599 }, 60],
    ['5.2.2.3: must-understand: not then', ['Cache-Control: max-age=60, must-understand'], { status: 599 }, 'status'],
    ['5.2.2.3: must-understand puts no-store aside', ['Cache-Control: max-age=60, no-store, must-understand'], {}, 60],
    ['5.2.2.3: but not for a status that is not understood', ['Cache-Control: max-age=60, no-store, must-understand'], { status: 299 }, 'status'],
    ['5.2.2.5: no-store', ['Cache-Control: max-age=60, no-store'], {}, 'no-store'],
    ['5.2.2.5: in any letter case', ['Cache-Control: No-Store, max-age=60'], {}, 'no-store'],
    ['5.2.2.5: on another line', [fresh, 'Cache-Control: no-store'], {}, 'no-store'],
    ['5.2.2.7: private', ['Cache-Control: private, max-age=60'], {}, 'private'],
    ['5.2.2.7: private before public', ['Cache-Control: public, private, s-maxage=60'], {}, 'private'],
    ['5.2.2.7: private of fields is stored without them', ['Cache-Control: private="X-Who", max-age=60'], {}, 60],
    ['5.2.1.5: the request says no-store', [fresh], { request: requestOf({ headers: ['Cache-Control: no-store'] }) }, 'request-no-store'],
    ['3.5: Authorization', [fresh], { request: withAuthorization }, 'identity'],
    ['3.5: Authorization and public', ['Cache-Control: public, max-age=60'], { request: withAuthorization }, 60],
    ['3.5: Authorization and s-maxage', ['Cache-Control: s-maxage=60'], { request: withAuthorization }, 60],
    ['decisions 5.1: must-revalidate is not enough', ['Cache-Control: max-age=60, must-revalidate'], { request: withAuthorization }, 'identity'],
    ['3.5: an s-maxage that cannot be read permits nothing', ['Cache-Control: s-maxage=x, max-age=60'], { request: withAuthorization }, 'identity'],
    ['3.5: public in the targeted field counts', ['CDN-Cache-Control: public, max-age=60', 'Cache-Control: max-age=1'], { request: withAuthorization }, 60],
    ['4.1: Vary: *', [fresh, 'Vary: *'], {}, 'vary-any'],
    ['4.1: * among others, on another line', [fresh, 'Vary: Accept', 'Vary: , *'], {}, 'vary-any'],
    ['7.3: Set-Cookie', [fresh, 'Set-Cookie: ss-id=1'], {}, 'set-cookie'],
    ['7.3: with public too: a framework sets sessions without looking', ['Cache-Control: public, max-age=60', 'set-cookie: ss-id=1'], {}, 'set-cookie'],
    ['5.2.2.4: a cookie that the origin keeps out of caches', ['Cache-Control: max-age=60, no-cache="Set-Cookie"', 'Set-Cookie: a=1'], {}, 60],
    ['7.3: cookies stripped', [fresh, 'Set-Cookie: a=1'], { rules: rulesOf({ setCookie: 'strip' }) }, 60],
    ['7.3: cookies stored', [fresh, 'Set-Cookie: a=1'], { rules: rulesOf({ setCookie: 'store' }) }, 60],
    ['an event stream never ends', [fresh, 'Content-Type: text/event-stream'], {}, 'event-stream'],
    ['5.2.2.4: no-cache is kept to be validated', ['Cache-Control: no-cache', 'ETag: "a"'], {}, 0],
    ['5.2.2.4: no-cache with a lifetime too', ['Cache-Control: no-cache, max-age=60', `Last-Modified: ${inS(-100)}`], {}, 60],
    ['stale from the start and nothing to validate by', ['Cache-Control: max-age=0'], {}, 'stale'],
    ['RFC 5861 4: but usable when the origin fails', ['Cache-Control: max-age=0, stale-if-error=60'], {}, 0],
    ['an ETag that nobody could send back is no validator', ['Cache-Control: max-age=0', 'ETag: abc'], {}, 'stale']
  ]
  for (const [name, headers, options, expected] of rows) test(name, () => assert.equal(lifetimeOf(headers, options), expected))

  test('3.1, 5.2.2.4, 5.2.2.7: fields that are not stored', () => {
    const { omit } = termsOf(['Cache-Control: max-age=60, private="X-Who", no-cache="X-When"'])
    for (const name of ['x-who', 'x-when', 'proxy-authenticate', 'proxy-authentication-info', 'proxy-authorization', 'set-cookie']) assert.ok(omit.includes(name), name)
    assert.ok(!termsOf(['Cache-Control: max-age=60'], { rules: rulesOf({ setCookie: 'store' }) }).omit.includes('set-cookie'))
  })

  test('which refusals are worth remembering', () => {
    const memory = (headers: string[], request = requestOf()) => {
      const decision = mayStore(request, headOf(headers), rulesOf())
      return decision.store ? 'stored' : decision.hitForMiss
    }
    assert.equal(memory(['Cache-Control: no-store']), true)
    assert.equal(memory(['Cache-Control: private']), true)
    assert.equal(memory([]), true)
    assert.equal(memory(['Cache-Control: max-age=60'], requestOf({ headers: ['Cache-Control: no-store'] })), false, 'the next one may not say so')
  })
})

describe('what the operator says', () => {
  const own = (config: Parameters<typeof rulesOf>[0], headers: string[], options: Parameters<typeof lifetimeOf>[1] = {}) => lifetimeOf(headers, { ...options, rules: rulesOf(config) })

  test('own lifetimes hold where the origin says none', () => {
    const config = { lifetimes: { successMs: 5_000, redirectMs: 6_000, negativeMs: 7_000 } }
    assert.equal(own(config, []), 5)
    assert.equal(own(config, [], { status: 302 }), 6)
    assert.equal(own(config, [], { status: 404 }), 7)
    assert.equal(own(config, [], { status: 500 }), 'no-lifetime')
    assert.equal(own(config, ['Cache-Control: max-age=60']), 60)
    assert.equal(own(config, ['Cache-Control: no-store']), 'no-store')
    assert.equal(own({ ...config, negativeStatuses: [500] }, [], { status: 500 }), 7)
  })

  test('override: in place of what it says, but never of private and no-store', () => {
    const config = { mode: 'override', lifetimes: { successMs: 5_000 } } as const
    assert.equal(own(config, ['Cache-Control: max-age=60, must-revalidate']), 5)
    assert.equal(own(config, ['Cache-Control: no-cache']), 5)
    assert.equal(termsOf(['Cache-Control: no-cache'], { rules: rulesOf(config) }).validateAlways, false)
    assert.equal(own(config, ['Cache-Control: private']), 'private')
    assert.equal(own(config, ['Cache-Control: no-store']), 'no-store')
    assert.equal(own(config, [], { status: 404 }), 'no-lifetime')
    assert.equal(own(config, [], { request: requestOf({ headers: ['X-Api-Key: k'] }) }), 'identity')
  })

  test('heuristic: always and never', () => {
    const headers = [`Last-Modified: ${inS(-1_000)}`]
    assert.equal(own({ heuristic: 'always' }, headers), 100)
    assert.equal(own({ heuristic: 'never' }, headers, { request: prefix }), 'no-lifetime')
    assert.equal(own({ heuristic: 'always', heuristicMaxMs: 5_000 }, headers), 5)
  })

  test('RFC 9110 9.3.3: POST of a message that only reads, with a lifetime that is said', () => {
    const config = { methods: ['POST' as const] }
    const read = requestOf({ method: 'POST', safe: true })
    assert.equal(own(config, ['Cache-Control: max-age=60'], { request: read }), 60)
    assert.equal(own(config, ['Cache-Control: max-age=60'], { request: requestOf({ method: 'POST', safe: false }) }), 'unsafe')
    assert.equal(own({ ...config, heuristic: 'always' }, [`Last-Modified: ${inS(-1_000)}`], { request: read }), 'no-lifetime')
  })

  test('decisions 5.1: shared and perIdentity', () => {
    const request = requestOf({ headers: ['X-Api-Key: k'] })
    assert.equal(own({ identity: { mode: 'shared' } }, ['Cache-Control: max-age=60'], { request }), 60)
    assert.equal(own({ identity: { mode: 'perIdentity' } }, ['Cache-Control: max-age=60'], { request }), 60)
    assert.equal(termsOf(['Cache-Control: max-age=60'], { request, rules: rulesOf({ identity: { mode: 'perIdentity' } }) }).forIdentified, false)
    assert.equal(own({ identity: { mode: 'shared' } }, ['Cache-Control: private, max-age=60'], { request }), 'private')
  })
})

describe('periods past the end (RFC 5861, RFC 9111 section 4.2.4)', () => {
  const yaml = { stale: { whileRevalidateMs: 5_000, ifErrorMs: 7_000 } }
  const rows: Array<[name: string, cacheControl: string, config: Parameters<typeof rulesOf>[0], expected: [number, number]]> = [
    ['none by default', 'max-age=60', {}, [0, 0]],
    ['as the origin says', 'max-age=60, stale-while-revalidate=3, stale-if-error=4', {}, [3_000, 4_000]],
    ['at most so long', 'max-age=60, stale-while-revalidate=99999999999, stale-if-error=99999999999', {}, [86_400_000, 86_400_000]],
    ['the operator\'s where it says none', 'max-age=60', yaml, [5_000, 7_000]],
    ['not where it does', 'max-age=60, stale-while-revalidate=0, stale-if-error=1', yaml, [0, 1_000]],
    ['what cannot be read is none', 'max-age=60, stale-if-error=x', yaml, [5_000, 0]],
    ['must-revalidate forbids', 'max-age=60, must-revalidate, stale-while-revalidate=3, stale-if-error=4', yaml, [0, 0]],
    ['proxy-revalidate forbids', 'max-age=60, proxy-revalidate', yaml, [0, 0]],
    ['s-maxage forbids what only the operator says', 's-maxage=60', yaml, [0, 0]],
    ['beside s-maxage the origin\'s own periods hold', 's-maxage=60, stale-while-revalidate=3, stale-if-error=4', yaml, [3_000, 4_000]],
    ['no-cache forbids', 'no-cache, max-age=60, stale-while-revalidate=3, stale-if-error=4', yaml, [0, 0]],
    ['override: the operator\'s alone', 'must-revalidate, stale-if-error=4', { ...yaml, mode: 'override', lifetimes: { successMs: 1_000 } }, [5_000, 7_000]]
  ]
  for (const [name, cacheControl, config, [whileRevalidate, ifError]] of rows) {
    test(name, () => {
      const terms = termsOf([`Cache-Control: ${cacheControl}`, 'ETag: "a"'], { rules: rulesOf(config) })
      assert.deepEqual([terms.staleWhileRevalidateMs, terms.staleIfErrorMs], [whileRevalidate, ifError])
    })
  }
})

test('tags: by commas or spaces, each once; with one that could not be purged by nothing is stored', () => {
  assert.deepEqual(termsOf(['Cache-Control: max-age=1', 'Cache-Tag: a,b , c', 'Surrogate-Key: c d  e']).tags, ['a', 'b', 'c', 'd', 'e'])
  const many = (count: number) => ['Cache-Control: max-age=1', `Cache-Tag: ${Array.from({ length: count }, (_, i) => `t${i}`).join()}`]
  assert.equal(termsOf(many(128)).tags.length, 128)
  assert.equal(lifetimeOf(many(129)), 'too-many-tags')
  assert.equal(lifetimeOf(['Cache-Control: max-age=1', `Cache-Tag: ${'x'.repeat(257)},y`]), 'too-many-tags')
  assert.deepEqual(termsOf(['Cache-Control: max-age=1', 'X-Keys: q'], { rules: rulesOf({ tagHeaders: ['X-Keys'] }) }).tags, ['q'])
})
