// Reading what the cache decides by: Cache-Control, dates, targeted fields. Each row names its clause.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { parseDirectives, requestDirectives, responseDirectives, type ResponseDirectives } from '../../src/cache/directives.ts'
import { deltaSeconds, listMembers, unquote } from '../../src/cache/field-syntax.ts'
import { httpDate, parseHttpDate } from '../../src/cache/http-date.ts'
import { parseTargeted } from '../../src/cache/structured-fields.ts'
import { now } from './support.ts'

describe('Cache-Control on answers (RFC 9111 section 5.2)', () => {
  const said = (value: string) => {
    const { maxAgeS, sMaxAgeS, staleWhileRevalidateS, staleIfErrorS, ...rest } = responseDirectives(parseDirectives(value))
    const whole = { maxAgeS, sMaxAgeS, staleWhileRevalidateS, staleIfErrorS, ...rest }
    return Object.fromEntries(Object.entries(whole).filter(([, value]) => value !== undefined && value !== false))
  }
  const keeps = (value: string) => {
    const { private: ofOne, noStore, noCache } = responseDirectives(parseDirectives(value))
    return ofOne === true || noStore || noCache === true
  }
  const rows: Array<[name: string, value: string, expected: Partial<ResponseDirectives>]> = [
    ['5.2: names in any letter case', 'No-Store, MAX-AGE=60, PuBlIc', { noStore: true, maxAgeS: 60, public: true }],
    ['5.2: the quoted form of an argument is the same', 'max-age="60"', { maxAgeS: 60 }],
    ['5.2: quoted pairs are resolved', 'max-age="6\\0"', { maxAgeS: 60 }],
    ['5.2: no space around "="; what breaks that rule says nothing that can be read', 'max-age =60, s-maxage= 60, stale-if-error\t=\t60', { maxAgeS: 'unreadable', sMaxAgeS: 'unreadable', staleIfErrorS: 'unreadable' }],
    ['5.2: the same of a restriction: the whole', 'private = "x-a", no-cache= x-b', { private: true, noCache: true }],
    ['5.2.3: unknown directives are passed over, with their arguments', 'foo, bar="max-age=60, no-store", baz=max-age, max-age=5', { maxAgeS: 5 }],
    ['RFC 9110 5.6.1.2: empty members', ', ,max-age=5,, ,', { maxAgeS: 5 }],
    ['RFC 9110 5.6.4: a comma in quotes does not split', 'private="a, no-store", max-age=5', { private: ['a', 'no-store'], maxAgeS: 5 }],
    ['a quote that does not end may hide anything', 'foo="max-age=60, no-store', { private: true }],
    ['an escaped quote does not end one', 'max-age=60, foo="\\", no-store', { private: true, maxAgeS: 60 }],
    ['single quotes are no quotes', 'max-age=\'60\'', { maxAgeS: 'unreadable' }],
    ['4.2.1: of two the first counts', 'max-age=1, max-age=3600', { maxAgeS: 1 }],
    ['4.2.1: also when the second is no number', 'max-age=7, max-age=x', { maxAgeS: 7 }],
    ['4.2.1: what is no number is said all the same', 'max-age=-1', { maxAgeS: 'unreadable' }],
    ['4.2.1: a fraction', 'max-age=3600.5', { maxAgeS: 'unreadable' }],
    ['4.2.1: letters', 'max-age=3600a, s-maxage=a3600', { maxAgeS: 'unreadable', sMaxAgeS: 'unreadable' }],
    ['4.2.1: nothing', 'max-age, s-maxage=', { maxAgeS: 'unreadable', sMaxAgeS: 'unreadable' }],
    ['1.2.2: leading zeros', 'max-age=003600', { maxAgeS: 3_600 }],
    ['1.2.2: 2^31 and more is 2^31', 'max-age=2147483649, s-maxage=99999999999999999999999999', { maxAgeS: 2_147_483_648, sMaxAgeS: 2_147_483_648 }],
    ['5.2.2.7: private of fields', 'private="X-A, x-b"', { private: ['x-a', 'x-b'] }],
    ['5.2.2.7: a token in place of the quoted form', 'private=x-a', { private: ['x-a'] }],
    ['5.2.2.4: no-cache of fields, and of everything: the widest counts', 'no-cache="a", no-cache', { noCache: true }],
    ['what is no name of a field means everything', 'private=x-a|x-b, no-cache="a;b"', { private: true, noCache: true }],
    ['5.2.2.4: fields of two', 'no-cache="a", no-cache="b"', { noCache: ['a', 'b'] }],
    ['5.2.2.4: what cannot be read as fields means everything', 'no-cache="a b", private=""', { noCache: true, private: true }],
    ['RFC 5861, RFC 8246 and the rest', 'stale-while-revalidate=1, stale-if-error=2, immutable, must-revalidate, proxy-revalidate, must-understand', { staleWhileRevalidateS: 1, staleIfErrorS: 2, immutable: true, mustRevalidate: true, proxyRevalidate: true, mustUnderstand: true }]
  ]
  for (const [name, value, expected] of rows) test(name, () => assert.deepEqual(said(value), expected))

  describe('a member that is no directive may hide any: it is for one client, whatever stands around it', () => {
    /** An argument that is a list of fields is one, whatever these are called. */
    const isField = (line: string) => /^[\t ]*private=(?:max-age=60|"x-who")?[\t ]*$/.test(line)
    const separators = [';', '; ', ' ', '\t', ' ; ', '/', ':', '|', '||', '&', '\u00a0', '\u3000', '\0', '\u000b', '\u0085', '"', '""', '\\', '(', '=', '='.repeat(2), '.']
    for (const word of ['private', 'no-store', 'No-Store', 'no-cache', 'private="x-who"']) {
      test(`${word} among separators`, () => {
        for (const separator of separators) {
          const lines = [`${word}${separator}max-age=60`, `max-age=60${separator}${word}`, `public${separator}${word}${separator}max-age=60, s-maxage=60`, `${word}${separator}`, `${separator}${word}`]
          for (const line of lines) if (!isField(line)) assert.ok(keeps(line), `${JSON.stringify(line)}: ${JSON.stringify(said(line))}`)
        }
      })
    }
    for (const line of ['no_store', 'nostore, max-age=60', 'no store', 'no\u2013store', 'NoCache', '\uff50\uff52\uff49\uff56\uff41\uff54\uff45', 'private.', "'private'", '"private"', '!private', 'x-private=1', 'x=private', 'public=private', 'bar=baz|no-store, max-age=60', 'max-age:60', 'public; max-age=60', 'public max-age=60', 'must revalidate']) {
      test(JSON.stringify(line), () => assert.ok(keeps(line), JSON.stringify(said(line))))
    }
    for (const line of ['public, max-age=60', 'foo="private; no-store", bar=public', 'foo = bar', 'foo=, stale-while-revalidate=5, no-transform', 'pre-check=0, post-check=0', '__proto__=1', 'privy, nose']) {
      test(`all are directives: ${line}`, () => assert.ok(!keeps(line), JSON.stringify(said(line))))
    }
  })

  test('the name of a directive may be one of Object.prototype', () => assert.deepEqual(said('__proto__=1, constructor, max-age=5'), { maxAgeS: 5 }))
  test('a hostile length costs its length', () => {
    const started = performance.now()
    said(`${'a="\\"",'.repeat(20_000)}max-age=1`)
    said(`a${' '.repeat(200_000)}b=${' '.repeat(200_000)}c, ${'no-'.repeat(60_000)}`)
    assert.ok(performance.now() - started < 10_000)
  })
})

describe('Cache-Control on requests (RFC 9111 section 5.2.1)', () => {
  const asked = (cacheControl: string | undefined, pragma?: string) => Object.fromEntries(Object.entries(requestDirectives(cacheControl, pragma)).filter(([, value]) => value !== undefined && value !== false))
  const rows: Array<[name: string, cacheControl: string | undefined, pragma: string | undefined, expected: object]> = [
    ['all of them, in any letter case', 'No-Cache, NO-STORE, Only-If-Cached, Max-Age=1, MIN-FRESH=2, max-stale=3, stale-if-error=4', undefined, { noCache: true, noStore: true, onlyIfCached: true, maxAgeS: 1, minFreshS: 2, maxStaleS: 3, staleIfErrorS: 4 }],
    ['5.2.1.2: max-stale without a value is any staleness', 'max-stale', undefined, { maxStaleS: Infinity }],
    ['5.2.1.2: with one that cannot be read it is none', 'max-stale=x', undefined, {}],
    ['5.4: Pragma stands in', undefined, 'No-Cache', { noCache: true }],
    ['5.4: but not beside Cache-Control', 'max-age=10', 'no-cache', { maxAgeS: 10 }],
    ['5.4: other pragmas say nothing', undefined, 'foo="no-cache"', {}]
  ]
  for (const [name, cacheControl, pragma, expected] of rows) test(name, () => assert.deepEqual(asked(cacheControl, pragma), expected))
})

test('lists, quoted strings and delta-seconds (RFC 9110 section 5.6, RFC 9111 section 1.2.2)', () => {
  assert.deepEqual(listMembers(' a ,"b,\\",c" ,, d\t'), ['a', '"b,\\",c"', 'd'])
  assert.equal(unquote('"a\\"b"'), 'a"b')
  for (const broken of ['"', '"a', 'a"', '"a"b"', '"a\\"', 'a']) assert.equal(unquote(broken), undefined, broken)
  assert.equal(deltaSeconds('0'), 0)
  for (const none of ['', '-1', '+1', '1.0', '1e3', ' 1', '0x1', '١']) assert.equal(deltaSeconds(none), undefined, none)
  assert.equal(deltaSeconds('9'.repeat(10_000)), 2_147_483_648)
})

describe('dates (RFC 9110 section 5.6.7, RFC 9111 section 4.2)', () => {
  const at = Date.UTC(1994, 10, 6, 8, 49, 37)
  for (const text of ['Sun, 06 Nov 1994 08:49:37 GMT', 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994', 'sun, 06 NOV 1994 08:49:37 gmt', 'SUNDAY, 06-nov-94 08:49:37 Gmt']) {
    test(`understood: ${text}`, () => assert.equal(parseHttpDate(text, now), at))
  }
  const noDates = [
    '0', '-1', '', 'Never', 'now', '1', 'Thu, 32 Jan 2027 00:00:00 GMT', 'Mon, 31 Feb 2027 00:00:00 GMT', 'Sun, 06 Nov 1994 24:00:00 GMT', 'Sun, 06 Nov 1994 08:60:37 GMT', 'Sun, 06 Nov 1994 8:49:37 GMT',
    'Sun, 06 Nov 1994 08:49:37 UTC', 'Sun, 06 Nov 1994 08:49:37 AEST', 'Sun, 06 Nov 94 08:49:37 GMT', 'Sun 06 Nov 1994 08:49:37 GMT', 'Sun,  06 Nov 1994 08:49:37 GMT', 'Sun, 06-Nov-1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 08.49.37 GMT', 'Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT', '2027-01-01T00:00:00Z', ' Sun, 06 Nov 1994 08:49:37 GMT'
  ]
  for (const text of noDates) test(`none: ${JSON.stringify(text)}`, () => assert.equal(parseHttpDate(text, now), undefined))
  test('two digits: more than 50 years ahead is the century before', () => {
    assert.equal(new Date(parseHttpDate('Monday, 01-Jan-76 00:00:00 GMT', now)!).getUTCFullYear(), 2076)
    assert.equal(new Date(parseHttpDate('Monday, 01-Jan-77 00:00:00 GMT', now)!).getUTCFullYear(), 1977)
  })
  test('a leap second, and the year 9999', () => {
    assert.equal(parseHttpDate('Sat, 31 Dec 2016 23:59:60 GMT', now), Date.UTC(2017, 0, 1))
    assert.ok(parseHttpDate('Fri, 31 Dec 9999 23:59:59 GMT', now)! > now)
  })
  test('written as it is read', () => assert.equal(parseHttpDate(httpDate(at), now), at))
})

describe('targeted fields are dictionaries (RFC 9213 section 2.1, RFC 8941 section 3.2)', () => {
  const rows: Array<[value: string, expected: object | undefined]> = [
    ['max-age=60, no-store', [{ name: 'max-age', argument: '60' }, { name: 'no-store', argument: undefined }]],
    ['max-age=60;x=1;y, must-revalidate', [{ name: 'max-age', argument: '60' }, { name: 'must-revalidate', argument: undefined }]],
    ['max-age=1, max-age=2', [{ name: 'max-age', argument: '2' }]],
    ['no-store=?0, public=?1', [{ name: 'public', argument: undefined }]],
    ['max-age="60"', [{ name: 'max-age', argument: null }]],
    ['max-age=60.5', [{ name: 'max-age', argument: null }]],
    ['a=:aGk=:, b=(1 "x";q);z, c=tok/en:x', [{ name: 'a', argument: null }, { name: 'b', argument: null }, { name: 'c', argument: 'tok/en:x' }]],
    ['', []],
    ['MaX-aGe=60', undefined],
    ['max-age=60, &&&&&', undefined],
    ['max-age =60', undefined],
    ['max-age= 60', undefined],
    ['max-age=60,', undefined],
    ['max-age=', undefined],
    ['a="unfinished', undefined],
    ['a=(1 2', undefined],
    ['max-age=1234567890123456', undefined]
  ]
  for (const [value, expected] of rows) test(JSON.stringify(value), () => assert.deepEqual(parseTargeted(value), expected))
})
