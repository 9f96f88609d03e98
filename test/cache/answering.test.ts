// What a client gets of a stored answer, how the origin is asked whether it still holds, and what a write makes wrong. Each row names its clause.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { cacheStatus, ttlS } from '../../src/cache/cache-status.ts'
import { answerFor, notModifiedHeaders, validatorHeaders, withoutConditions } from '../../src/cache/conditional.ts'
import { afterHead, freshened } from '../../src/cache/freshen.ts'
import { httpDate } from '../../src/cache/http-date.ts'
import { invalidates } from '../../src/cache/invalidation.ts'
import { contentRange, rangeOf, unsatisfiedRange } from '../../src/cache/range.ts'
import { headerValue } from '../../src/exchange/headers.ts'
import { flat, headOf, now, requestOf } from './support.ts'

const changed = httpDate(now - 1_000_000)

describe('conditions of a client (RFC 9111 section 4.3.2, RFC 9110 section 13)', () => {
  const etag = ['ETag: "a"']
  const rows: Array<[name: string, stored: string[], asked: string[], expected: string]> = [
    ['a client that sent no validator never sees a 304', etag, [], 'whole'],
    ['If-None-Match that matches', etag, ['If-None-Match: "a"'], 'not-modified'],
    ['that does not', etag, ['If-None-Match: "b"'], 'whole'],
    ['several, the last one', etag, ['If-None-Match: "b", W/"c" , "a"'], 'not-modified'],
    ['several lines', etag, ['If-None-Match: "b"', 'If-None-Match: "a"'], 'not-modified'],
    ['a tag with a comma in it', ['ETag: "a,b"'], ['If-None-Match: "a,b"'], 'not-modified'],
    ['weak comparison, weak there', etag, ['If-None-Match: W/"a"'], 'not-modified'],
    ['weak comparison, weak here', ['ETag: W/"a"'], ['If-None-Match: "a"'], 'not-modified'],
    ['*', [], ['If-None-Match: *'], 'not-modified'],
    ['without quotes it is no tag', etag, ['If-None-Match: a'], 'whole'],
    ['w/ in lower case is no mark of weakness', ['ETag: w/"a"'], ['If-None-Match: w/"a"'], 'whole'],
    ['If-Modified-Since at the same time', [`Last-Modified: ${changed}`], [`If-Modified-Since: ${changed}`], 'not-modified'],
    ['later', [`Last-Modified: ${changed}`], [`If-Modified-Since: ${httpDate(now)}`], 'not-modified'],
    ['earlier', [`Last-Modified: ${changed}`], [`If-Modified-Since: ${httpDate(now - 2_000_000)}`], 'whole'],
    ['an obsolete format', ['Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT'], ['If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT'], 'not-modified'],
    ['what is no date is not there', [`Last-Modified: ${changed}`], ['If-Modified-Since: yesterday'], 'whole'],
    ['without Last-Modified, Date stands in', [], [`If-Modified-Since: ${httpDate(now)}`], 'not-modified'],
    ['If-None-Match before If-Modified-Since', ['ETag: "a"', `Last-Modified: ${changed}`], ['If-None-Match: "b"', `If-Modified-Since: ${changed}`], 'whole']
  ]
  for (const [name, stored, asked, expected] of rows) test(name, () => assert.equal(answerFor(requestOf({ headers: asked }), headOf(stored), 10).kind, expected))

  test('HEAD as GET; POST never; other statuses never', () => {
    const headers = ['If-None-Match: "a"']
    assert.equal(answerFor(requestOf({ method: 'HEAD', headers }), headOf(etag), 10).kind, 'not-modified')
    assert.equal(answerFor(requestOf({ method: 'POST', headers }), headOf(etag), 10).kind, 'whole')
    assert.equal(answerFor(requestOf({ headers }), headOf(etag, { status: 404 }), 10).kind, 'whole')
  })
  test('15.4.5: a 304 says nothing of the content', () => {
    assert.deepEqual(notModifiedHeaders(flat('Content-Type: a/b', 'ETag: "a"', 'Content-Length: 3', 'Vary: Accept', 'content-encoding: gzip')), flat('ETag: "a"', 'Vary: Accept'))
  })
})

describe('ranges (RFC 9110 section 14)', () => {
  const rows: Array<[value: string, expected: ReturnType<typeof rangeOf>]> = [
    ['bytes=0-4', { first: 0, last: 4, length: 10 }],
    ['bytes=5-', { first: 5, last: 9, length: 10 }],
    ['bytes=-3', { first: 7, last: 9, length: 10 }],
    ['bytes=-30', { first: 0, last: 9, length: 10 }],
    ['bytes=8-100', { first: 8, last: 9, length: 10 }],
    ['BYTES=0-0', { first: 0, last: 0, length: 10 }],
    ['bytes=10-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=4-3', undefined],
    ['bytes=0-1,3-4', undefined],
    ['lines=0-1', undefined],
    ['bytes=a-b', undefined],
    ['bytes=', undefined],
    ['bytes=-', undefined],
    ['bytes=99999999999999999999-', undefined]
  ]
  for (const [value, expected] of rows) test(value, () => assert.deepEqual(rangeOf(value, 10), expected))

  test('Content-Range', () => {
    assert.equal(contentRange({ first: 0, last: 4, length: 10 }), 'bytes 0-4/10')
    assert.equal(unsatisfiedRange(10), 'bytes */10')
  })
  test('for GET with a known length only, and where If-Range holds', () => {
    const kind = (stored: string[], headers: string[], length: number | 'unknown' = 10, method = 'GET') => answerFor(requestOf({ method, headers: ['Range: bytes=0-1', ...headers] }), headOf(stored), length === 'unknown' ? undefined : length).kind
    assert.equal(kind([], []), 'part')
    assert.equal(kind([], [], 'unknown'), 'whole')
    assert.equal(kind([], [], 10, 'HEAD'), 'whole')
    assert.equal(kind(['ETag: "a"'], ['If-Range: "a"']), 'part')
    assert.equal(kind(['ETag: "a"'], ['If-Range: "b"']), 'whole')
    assert.equal(kind(['ETag: W/"a"'], ['If-Range: W/"a"']), 'whole', 'weak tags do not say that bytes are the same')
    assert.equal(kind([`Last-Modified: ${changed}`], [`If-Range: ${changed}`]), 'part')
    assert.equal(kind([`Last-Modified: ${httpDate(now - 1_000)}`], [`If-Range: ${httpDate(now - 1_000)}`]), 'whole', 'it could have changed twice within that second')
    assert.equal(kind(['ETag: "a"'], ['If-None-Match: "a"']), 'not-modified', '13.2.2: If-None-Match first')
  })
  test('what goes up for a fill carries no conditions of the client', () => {
    assert.deepEqual(withoutConditions(flat('Range: bytes=0-1', 'If-Range: "a"', 'if-none-match: "a"', 'If-Modified-Since: x', 'Accept: a/b')), flat('Accept: a/b'))
  })
})

describe('asking whether it still holds (RFC 9111 sections 4.3.1, 4.3.4)', () => {
  test('both validators, as they came', () => {
    assert.deepEqual(validatorHeaders(headOf(['ETag: W/"a"', `Last-Modified: ${changed}`])), ['If-None-Match', 'W/"a"', 'If-Modified-Since', changed])
    assert.deepEqual(validatorHeaders(headOf(['ETag: a', 'Last-Modified: yesterday'])), [])
  })

  const stored = headOf(['ETag: "a"', 'Content-Type: a/b', 'Content-Length: 3', 'X-One: 1', 'X-Two: 1', 'X-Two: 2', 'Cache-Control: max-age=1', 'Age: 50'])
  const update = (...headers: string[]) => headOf(headers, { status: 304, requestAtMs: now + 5_000, responseAtMs: now + 6_000 })
  test('3.2: every field of a 304 replaces all of that name, the rest stays', () => {
    const head = freshened(stored, update('ETag: "a"', 'X-Two: 3', 'x-new: 4', 'Cache-Control: max-age=9'))!
    assert.equal(head.status, 200)
    assert.deepEqual([head.requestAtMs, head.responseAtMs], [now + 5_000, now + 6_000])
    const value = (name: string) => headerValue(head.headers, name)
    assert.deepEqual(['x-one', 'x-two', 'x-new', 'cache-control', 'content-type'].map(value), ['1', '3', '4', 'max-age=9', 'a/b'])
    assert.equal(head.headers.filter(text => text.toLowerCase() === 'x-two').length, 1)
    assert.equal(value('age'), undefined, 'an Age belongs to the answer it came with')
  })
  test('3.2: but those by which the stored bytes are read', () => {
    const head = freshened(stored, update('Content-Length: 0', 'Content-Encoding: gzip', 'Content-Range: x', 'Content-Type: c/d'))!
    assert.equal(headerValue(head.headers, 'content-length'), '3')
    assert.equal(headerValue(head.headers, 'content-encoding'), undefined)
    assert.equal(headerValue(head.headers, 'content-range'), undefined)
    assert.equal(headerValue(head.headers, 'content-type'), 'c/d')
  })
  test('what is stored stays as it is', () => assert.equal(headerValue(stored.headers, 'cache-control'), 'max-age=1'))
  test('4.3.4: a 304 about another answer changes nothing', () => {
    assert.equal(freshened(stored, update('ETag: "b"')), undefined)
    assert.equal(freshened(headOf([]), update('ETag: "b"')), undefined)
    assert.equal(freshened(headOf([`Last-Modified: ${changed}`]), update(`Last-Modified: ${httpDate(now)}`)), undefined)
    assert.notEqual(freshened(stored, update('ETag: W/"a"')), undefined)
    assert.equal(freshened(headOf(['ETag: W/"a"']), update('ETag: "a"')), undefined, 'a strong one is not the weak one')
    assert.notEqual(freshened(stored, update()), undefined)
  })
  test('4.3.5: what an answer to HEAD tells of the stored one', () => {
    const head = (headers: string[], status = 200) => headOf(headers, { status, responseAtMs: now + 1_000 })
    assert.equal(afterHead(stored, head(['ETag: "b"'])), 'changed')
    assert.equal(afterHead(stored, head(['Content-Length: 4'])), 'changed')
    assert.equal(afterHead(stored, head(['ETag: "a"'], 404)), 'nothing')
    const same = afterHead(stored, head(['ETag: "a"', 'Content-Length: 3', 'X-One: 2']))
    assert.ok(typeof same === 'object')
    assert.equal(headerValue(same.headers, 'x-one'), '2')
    assert.equal(headerValue(same.headers, 'x-two'), '1')
  })
})

describe('what a write makes wrong (RFC 9111 section 4.4)', () => {
  const written = (method: string, status: number, headers: string[] = [], safe = false) =>
    invalidates({ method, safe, target: '/orders/1?a=b', authorities: ['gateway.test', '10.0.0.1:8080'], basePath: '' }, status, flat(...headers))
  const own = '/orders/1?a=b'
  const rows: Array<[name: string, actual: readonly string[], expected: string[]]> = [
    ['POST', written('POST', 200), [own]],
    ['PUT, DELETE, PATCH', [...written('PUT', 204), ...written('DELETE', 200), ...written('PATCH', 200)], [own, own, own]],
    ['a method whose safety is not known', written('M-SEARCH', 200), [own]],
    ['redirects are no errors', written('POST', 303), [own]],
    ['errors write nothing', [...written('POST', 400), ...written('POST', 500)], []],
    ['safe methods', [...['GET', 'HEAD'].flatMap(method => written(method, 200, [], true)), ...['OPTIONS', 'QUERY', 'PROPFIND'].flatMap(method => written(method, 200))], []],
    ['a GET that does more than read', written('GET', 200), [own]],
    ['a POST that only reads', written('POST', 200, [], true), []],
    ['Location and Content-Location, absolute and relative', written('POST', 201, ['Location: http://gateway.test/orders/2', 'Content-Location: 3?x=1']), [own, '/orders/2', '/orders/3?x=1']],
    ['at the endpoint\'s own address', written('POST', 201, ['Location: http://10.0.0.1:8080/orders/2']), [own, '/orders/2']],
    ['of another origin nothing', written('POST', 201, ['Location: http://other.test/orders/2', 'Content-Location: //other.test/x']), [own]],
    ['nothing that is no URL', written('POST', 201, ['Location: http://[', 'Content-Location: mailto:a@b']), [own]]
  ]
  for (const [name, actual, expected] of rows) test(name, () => assert.deepEqual(actual, expected))
})

test('Cache-Status in the words of RFC 9211', () => {
  assert.equal(cacheStatus('postern', { hit: true, ttlS: 30 }), 'postern; hit; ttl=30')
  assert.equal(cacheStatus('postern', { hit: true, ttlS: -5, detail: 'breaker-open' }), 'postern; hit; ttl=-5; detail=breaker-open')
  assert.equal(cacheStatus('postern', { hit: false, fwd: 'uri-miss', fwdStatus: 200, stored: true, collapsed: true, ttlS: 60 }), 'postern; fwd=uri-miss; fwd-status=200; stored; collapsed; ttl=60')
  assert.equal(cacheStatus('postern', { hit: false, fwd: 'bypass' }), 'postern; fwd=bypass')
  assert.equal(ttlS(now + 1_500, now), 1)
  assert.equal(ttlS(now - 500, now), -1)
})
