// What leaves says nothing that no purge could take back; and what the operator hears of it.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { fieldValues } from '../../src/cache/field-syntax.ts'
import { guarded, headersAt, type GuardRules } from '../../src/cache/guard.ts'
import { httpDate } from '../../src/cache/http-date.ts'
import { headerValue } from '../../src/exchange/headers.ts'
import { flat, now } from './support.ts'

const day = 86_400
const rules: GuardRules = { maxClientMs: day * 1_000, clientMs: undefined, tagHeaders: ['cache-tag', 'surrogate-key'], judgedBy: '' }
const inS = (seconds: number) => httpDate(now + seconds * 1_000)

/** Headers that leave `ageS` after the answer was made, and the alarms of when it came. */
function leave (headers: string[], options: { ageS?: number, own?: Partial<GuardRules>, stored?: boolean, status?: number, kept?: boolean } = {}): { alarms: string[], value: (name: string) => string | undefined, values: (name: string) => string[] } {
  const own = { ...rules, ...options.own }
  const bornAtMs = now - (options.ageS ?? 0) * 1_000
  const leaving = guarded({ status: options.status ?? 200, headers: flat(...headers) }, now, own, options.kept)
  const out = headersAt(leaving, bornAtMs, now, own, options.stored === true ? 'stored' : 'passing')
  return { alarms: leaving.alarms.map(({ kind }) => kind), value: name => headerValue(out, name), values: name => fieldValues(out, name) }
}

describe('Expires', () => {
  const rows: Array<[sent: string, left: string, alarms: string[]]> = [
    ['Never', '0', ['expires-no-date']],
    ['never expires', '0', ['expires-no-date']],
    ['Thu, 01-Jan-70', '0', ['expires-no-date']],
    ['2099-01-01', '0', ['expires-no-date']],
    ['4294967295', '0', ['expires-no-date']],
    ['0', '0', []],
    ['-1', '-1', []],
    ['', '', []],
    [inS(3_600), inS(3_600), []],
    [inS(-3_600), inS(-3_600), []],
    ['Fri, 31 Dec 9999 23:59:59 GMT', inS(day), ['lifetime-too-long']]
  ]
  for (const [sent, left, alarms] of rows) {
    test(JSON.stringify(sent), () => {
      const { value, ...found } = leave([`Expires: ${sent}`])
      assert.equal(value('expires'), left)
      assert.deepEqual(found.alarms, alarms)
    })
  }
})

describe('Cache-Control', () => {
  const rows: Array<[name: string, sent: string, left: string, alarms: string[]]> = [
    ['as it came', 'max-age=60, foo="a, b"', 'max-age=60, foo="a, b"', []],
    ['too long', 'public, max-age=31536000, immutable', `public, max-age=${day}, immutable`, ['lifetime-too-long']],
    ['beyond every number', 'max-age=99999999999999999999', `max-age=${day}`, ['lifetime-too-long']],
    ['quoted, in another letter case', 'Max-Age="31536000"', `Max-Age=${day}`, ['lifetime-too-long']],
    ['s-maxage too', 's-maxage=31536000, max-age=1', `s-maxage=${day}, max-age=1`, ['lifetime-too-long']],
    ['and the periods past the end', 'max-age=1, stale-while-revalidate=31536000, stale-if-error=31536000', `max-age=1, stale-while-revalidate=${day}, stale-if-error=${day}`, ['lifetime-too-long']],
    ['twice', 'max-age=31536000, max-age=31536001', `max-age=${day}, max-age=${day}`, ['lifetime-too-long']],
    ['a word', 'max-age=never', 'max-age=0', ['lifetime-unreadable']],
    ['a fraction', 'max-age=3600.5', 'max-age=0', ['lifetime-unreadable']],
    ['negative: everybody takes it for 0', 'max-age=-1', 'max-age=-1', []],
    ['in a quoted string nginx reads it all the same', 'max-age=60, foo="a, max-age=31536000, b"', 'max-age=60, no-store', ['lifetime-unreadable']],
    ['a short one may stay there', 'foo="a, max-age=60", private="x-a"', 'foo="a, max-age=60", private="x-a"', []],
    ['nginx looks for the end of a name only', 'x-max-age=31536000, public|s-maxage=31536000', `x-max-age=${day}, public|s-maxage=${day}`, ['lifetime-too-long']],
    ['a quoted string that does not end', 'max-age=60, foo="bar, max-age=31536000', 'max-age=60, no-store', ['lifetime-unreadable']],
    ['space around the equals sign, which some readers put up with', 'max-age = 31536000, s-maxage= "31536000"', `max-age=${day}, s-maxage=${day}`, ['lifetime-too-long']],
    ['the same within the limit', 'max-age = 60', 'max-age = 60', []],
    ['no-store stays', 'no-store, max-age=31536000', `no-store, max-age=${day}`, ['lifetime-too-long']]
  ]
  for (const [name, sent, left, alarms] of rows) {
    test(name, () => {
      const { value, ...found } = leave([`Cache-Control: ${sent}`])
      assert.equal(value('cache-control'), left)
      assert.deepEqual(found.alarms, alarms)
    })
  }
  describe('a member that is no directive: somebody reads a lifetime in it, so nobody keeps it', () => {
    for (const separator of [';', '; ', ' ', '\t', ' ; ', '/', ':', '\u00a0', '\u3000', '\0', '\u000b', '"', '\\', '(', ')', '@', '{']) {
      for (const line of [`public${separator}max-age=31536000`, `public${separator}s-maxage=31536000${separator}x`, `max-age=60${separator}max-age=31536000`]) {
        test(JSON.stringify(line), () => {
          const { value, alarms } = leave([`Cache-Control: no-transform, ${line}`])
          assert.equal(value('cache-control'), 'no-transform, no-store')
          assert.deepEqual(alarms, ['lifetime-unreadable'])
        })
      }
    }
    for (const clientMs of [undefined, 30_000]) {
      test(`and no other lifetime is told beside it: clientMs ${clientMs}`, () => {
        const { values } = leave(['Cache-Control: public; max-age=31536000', 'Last-Modified: Mon, 01 Jan 1990 00:00:00 GMT'], { own: { clientMs }, stored: true })
        assert.deepEqual(values('cache-control'), ['no-store'])
      })
    }
  })
  test('space about the equals sign: who does not read it is told the limit where he would guess', () => {
    const { values } = leave(['Cache-Control: max-age = 60', 'Last-Modified: Mon, 01 Jan 1990 00:00:00 GMT'])
    assert.deepEqual(values('cache-control'), ['max-age = 60', `max-age=${day}`])
  })
  test('for caches further out', () => {
    assert.equal(leave(['CDN-Cache-Control: max-age=31536000']).value('cdn-cache-control'), `max-age=${day}`)
    assert.equal(leave(['Surrogate-Control: max-age=31536000']).value('surrogate-control'), `max-age=${day}`)
    assert.equal(leave(['cloudflare-cdn-cache-CONTROL: max-age=31536000']).value('cloudflare-cdn-cache-control'), `max-age=${day}`)
    assert.equal(leave(['Access-Control: max-age=31536000']).value('access-control'), 'max-age=31536000')
  })
})

describe('Expires and a Date that is far off: who takes their difference is told no more than the limit', () => {
  const rows: Array<[date: string, expires: string, left: string, alarms: string[]]> = [
    ['Thu, 01 Jan 1970 00:00:00 GMT', inS(3_600), httpDate(day * 1_000), ['lifetime-too-long']],
    [inS(10 * 365 * day), inS(20 * 365 * day), inS(day), ['lifetime-too-long']],
    [inS(-day / 2), inS(day / 4), inS(day / 4), []],
    ['yesterday', inS(3_600), inS(3_600), []]
  ]
  for (const [date, sent, left, alarms] of rows) {
    test(`${date}, ${sent}`, () => {
      const { value, ...found } = leave([`Date: ${date}`, `Expires: ${sent}`])
      assert.equal(value('expires'), left)
      assert.deepEqual(found.alarms, alarms)
    })
  }
})

describe('for caches further out, each by its own field', () => {
  const rows: Array<[name: string, sent: string, left: string, alarms: string[]]> = [
    ['X-Accel-Expires', '31536000', String(day), ['lifetime-too-long']],
    ['X-Accel-Expires', '3600', '3600', []],
    ['X-Accel-Expires', '0', '0', []],
    ['X-Accel-Expires', `@${now / 1_000 + 3_600}`, `@${now / 1_000 + 3_600}`, []],
    ['x-accel-expires', `@${now / 1_000 + 31_536_000}`, String(day), ['lifetime-too-long']],
    ['X-Accel-Expires', 'max', '0', ['lifetime-unreadable']],
    ['Surrogate-Control', 'max-age=3600+600, content="ESI/1.0"', 'max-age=3600+600, content="ESI/1.0"', []],
    ['Surrogate-Control', 'max-age=3600+31536000', `max-age=${day}`, ['lifetime-too-long']],
    ['Surrogate-Control', 'max-age=60;dca=akamai, content="ESI/1.0";abc', 'max-age=60;dca=akamai, content="ESI/1.0";abc', []],
    ['Surrogate-Control', 'max-age=31536000; dca="a;b"', `max-age=${day};dca="a;b"`, ['lifetime-too-long']],
    ['CDN-Cache-Control', 'public;max-age=31536000', `public;max-age=${day}`, ['lifetime-too-long']],
    ['CDN-Cache-Control', 'max-age=60;x, a=(1 "b;c";q);z, b=:aGk=:, c=?0, d=1.5, e=tok/en', 'max-age=60;x, a=(1 "b;c";q);z, b=:aGk=:, c=?0, d=1.5, e=tok/en', []],
    ['CDN-Cache-Control', 'a=(max-age=31536000 1), b=(1);max-age=31536000', 'no-store, no-store', ['lifetime-unreadable']],
    ['CDN-Cache-Control', 'public max-age=31536000', 'no-store', ['lifetime-unreadable']],
    ['Edge-Control', '!no-store, cache-maxage=12h, downstream-ttl=600', '!no-store, cache-maxage=12h, downstream-ttl=600', []],
    ['Edge-Control', 'cache-maxage=30d, downstream-ttl=1y', `cache-maxage=${day}, downstream-ttl=0`, ['lifetime-unreadable']]
  ]
  for (const [name, sent, left, alarms] of rows) {
    test(`${name}: ${sent}`, () => {
      const { value, ...found } = leave([`${name}: ${sent}`])
      assert.equal(value(name.toLowerCase()), left)
      assert.deepEqual(found.alarms, alarms)
    })
  }
  test('a lifetime of the operator\'s own holds for them too', () => assert.equal(leave(['X-Accel-Expires: 3600'], { own: { clientMs: 5_000 } }).value('x-accel-expires'), '5'))
})

describe('what clients would keep although nothing is said: a limit is said, and nobody is alarmed', () => {
  const old = 'Last-Modified: Mon, 01 Jan 1990 00:00:00 GMT'
  const limit = `max-age=${day}`
  const rows: Array<[name: string, status: number, headers: string[], left: string | undefined]> = [
    ['a tenth of 36 years', 200, [old], limit],
    ['a part of it', 206, [old], limit],
    ['an error of long ago', 404, [old], limit],
    ['changed ten days ago: a day at most', 200, [`Last-Modified: ${inS(-10 * day)}`], undefined],
    ['changed a little longer ago', 200, [`Last-Modified: ${inS(-10 * day - 1)}`], limit],
    ['counted from a Date ahead', 200, [`Date: ${inS(20 * day)}`, `Last-Modified: ${inS(0)}`], limit],
    ['a redirect for ever', 301, [], limit],
    ['the other one', 308, ['ETag: "a"'], limit],
    ['gone for ever', 410, [], limit],
    ['found: nobody keeps that', 302, [old], undefined],
    ['no date', 200, ['Last-Modified: long ago'], undefined],
    ['max-age', 200, [old, 'Cache-Control: max-age=60'], 'max-age=60'],
    ['no-store', 301, ['Cache-Control: no-store'], 'no-store'],
    ['no-cache', 200, [old, 'Cache-Control: no-cache'], 'no-cache'],
    ['Expires', 200, [old, 'Expires: 0'], undefined]
  ]
  for (const [name, status, headers, left] of rows) {
    test(`${status}, ${name}`, () => {
      const { value, alarms } = leave(headers, { status })
      assert.equal(value('cache-control'), left)
      assert.deepEqual(alarms, [])
    })
  }
  test('beside what says nothing of it', () => {
    const out = leave([old, 'Cache-Control: private, must-revalidate, s-maxage=60'])
    assert.equal(out.value('cache-control'), 'private, must-revalidate, s-maxage=60')
    assert.deepEqual(out.values('cache-control'), ['private, must-revalidate, s-maxage=60', limit])
  })
  test('not of what answers a POST', () => assert.equal(leave([], { status: 301, kept: false }).value('cache-control'), undefined))
  test('no longer than the operator\'s own lifetime', () => assert.equal(leave([old], { own: { clientMs: 5_000 } }).value('cache-control'), 'max-age=5'))
})

describe('with age', () => {
  test('no number beyond the limit leaves, whatever Age says: not everybody subtracts it', () => {
    const { value } = leave(['Cache-Control: max-age=31536000', 'Expires: Fri, 31 Dec 9999 23:59:59 GMT'], { ageS: 100, stored: true })
    assert.equal(value('age'), '100')
    assert.equal(value('cache-control'), `max-age=${day}`)
    assert.equal(value('expires'), inS(day))
    assert.equal(leave([`Cache-Control: max-age=${day + 50}`, 'Age: 100'], { ageS: 100 }).value('cache-control'), `max-age=${day}`)
  })
  test('Age: of what is stored always, of what passes only when it came with one', () => {
    assert.equal(leave(['Age: 7'], { ageS: 9, stored: true }).value('age'), '9')
    assert.equal(leave([], { ageS: 9, stored: true }).value('age'), '9')
    assert.equal(leave(['age: 7'], { ageS: 9 }).value('age'), '9')
    assert.equal(leave([], { ageS: 9 }).value('age'), undefined)
  })
})

describe('a lifetime for clients of the operator\'s own', () => {
  const own = { clientMs: 10_000 }
  test('in place of the origin\'s', () => {
    const { value } = leave(['Cache-Control: public, max-age=3600', `Expires: ${inS(3_600)}`], { own })
    assert.equal(value('cache-control'), 'public, max-age=10')
    assert.equal(value('expires'), inS(10))
  })
  test('counted from when they get it: they subtract Age where they are told one', () => {
    assert.equal(leave(['Cache-Control: max-age=3600'], { ageS: 5, own, stored: true }).value('cache-control'), 'max-age=15')
    assert.equal(leave(['Cache-Control: max-age=3600'], { ageS: 5, own }).value('cache-control'), 'max-age=10')
  })
  test('of what is stored also where the origin says none', () => {
    assert.equal(leave(['ETag: "a"'], { own, stored: true }).value('cache-control'), 'max-age=10')
    assert.equal(leave(['ETag: "a"'], { own }).value('cache-control'), undefined)
  })
  test('zero', () => assert.equal(leave(['Cache-Control: max-age=3600'], { own: { clientMs: 0 } }).value('cache-control'), 'max-age=0'))
  test('no-store stays', () => assert.equal(leave(['Cache-Control: no-store'], { own, stored: true }).value('cache-control'), 'no-store'))
})

test('tags end here; the list is not copied where nothing changes; alarms are cut short', () => {
  const { value } = leave(['Cache-Tag: a', 'surrogate-key: b', 'X-Other: c'])
  assert.deepEqual([value('cache-tag'), value('surrogate-key'), value('x-other')], [undefined, undefined, 'c'])
  const headers = flat('Cache-Control: max-age=60', 'ETag: "a"')
  assert.equal(guarded({ status: 200, headers }, now, rules).headers, headers)
  const [alarm] = guarded({ status: 200, headers: flat(`Expires: ${'x'.repeat(500)}`) }, now, rules).alarms
  assert.deepEqual({ ...alarm, value: alarm!.value.length }, { kind: 'expires-no-date', header: 'Expires', value: 80 })
})
