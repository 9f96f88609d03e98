// The store's bounds: bytes, entries, one message's share, variants of one key, whatever is put in.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import type { Terms } from '../../src/cache/entry.ts'
import { CacheStore, type StoreLimits } from '../../src/cache/store.ts'
import { Stored, type Draft } from '../../src/cache/stored.ts'
import { variantOf } from '../../src/cache/vary.ts'

const limits: StoreLimits = { maxBytes: 1_048_576, maxEntries: 200, maxEntryBytes: 65_536, maxArrivingBytes: 65_536, messageSharePercent: 50 }
const nowMs = 1_700_000_000_000
const terms: Terms = { bornAtMs: nowMs, freshUntilMs: nowMs + 60_000, staleWhileRevalidateMs: 0, staleIfErrorMs: 0, mustRevalidate: false, validateAlways: false, immutable: false, forIdentified: false, vary: [], omit: [], tags: [] }

interface Options { readonly message?: string, readonly bytes?: number, readonly vary?: readonly string[], readonly headers?: readonly string[], readonly tags?: readonly string[] }

function stored (key: string, { message = 'GetOrder', bytes = 100, vary = [], headers = [], tags = [] }: Options = {}): Stored {
  const guard = { maxClientMs: 1, clientMs: undefined, tagHeaders: [], judgedBy: '' }
  const draft: Draft = {
    head: { status: 200, reason: 'OK', headers: [], requestAtMs: nowMs, responseAtMs: nowMs },
    terms: { ...terms, vary, tags },
    place: { key, target: key.toLowerCase(), upstream: 'Shop', message, reached: [], ownTags: [] },
    variant: variantOf(vary, headers),
    leaving: { headers: [], aged: false, cut: false, unsaid: false, alarms: [] },
    guard,
    endpointUrl: undefined,
    again: undefined
  }
  return new Stored(draft, 'x'.repeat(bytes))
}

describe('the store', () => {
  test('a flood of keys of one message pushes out its own, but what is asked for stays', () => {
    const store = new CacheStore(limits)
    for (let n = 0; n < 50; n++) store.put(stored(`other-${n}`, { message: 'Other' }))
    for (let n = 0; n < 20; n++) store.put(stored(`popular-${n}`))
    for (let n = 0; n < 5_000; n++) {
      store.put(stored(`flood-${n}`))
      for (let popular = 0; popular < 20; popular++) store.find(`popular-${popular}`, [])
      assert.ok(store.size <= 150 && store.bytes <= limits.maxBytes / 2 + 200_000)
    }
    for (let n = 0; n < 50; n++) assert.notEqual(typeof store.find(`other-${n}`, []), 'string', 'another message keeps its answers')
    const kept = Array.from({ length: 20 }, (_, n) => store.find(`popular-${n}`, [])).filter(found => typeof found !== 'string').length
    assert.ok(kept >= 18, `${kept} of 20 popular ones are left`)
    assert.ok(store.evicted >= 4_900)
  })

  test('variants count towards the share of a message, in number and in bytes', () => {
    const inLanguage = (n: number) => ({ vary: ['accept-language'], headers: ['Accept-Language', `x-${n}`] })
    const store = new CacheStore(limits)
    for (let n = 0; n < 50; n++) store.put(stored(`other-${n}`, { message: 'Other' }))
    for (let key = 0; key < 20; key++) for (let n = 0; n < 32; n++) store.put(stored(`flood-${key}`, inLanguage(n)))
    assert.ok([...store.of('Shop', 'GetOrder')].length <= 100)
    for (let n = 0; n < 32; n++) assert.equal(store.put(stored('large', { ...inLanguage(n), bytes: 60_000 })), true)
    const large = [...store.of('Shop', 'GetOrder')]
    assert.ok(large.reduce((sum, { bytes }) => sum + bytes, 0) <= limits.maxBytes / 2)
    assert.deepEqual([large.length, large[0]!.variant.includes('x-31'), large.at(-1)!.variant.includes('x-24')], [8, true, true], 'of one key the oldest go')
    assert.equal([...store.of('Shop', 'Other')].length, 50, 'another message keeps its answers')
  })

  test('never more bytes than allowed, large and small ones mixed; too large ones are refused', () => {
    const store = new CacheStore(limits)
    for (let n = 0; n < 2_000; n++) {
      store.put(stored(`a-${n}`, { message: `M${n % 7}`, bytes: (n * 7_919) % 60_000 }))
      assert.ok(store.bytes <= limits.maxBytes)
    }
    assert.equal(store.put(stored('huge', { bytes: 70_000 })), false)
    assert.equal(store.find('huge', []), 'uri-miss')
  })

  test('variants of one key stand apart, up to a number', () => {
    const store = new CacheStore(limits)
    const inLanguage = (language: string) => ['Accept-Language', language]
    store.put(stored('k', { vary: ['accept-language'], headers: inLanguage('de') }))
    store.put(stored('k', { vary: ['accept-language'], headers: inLanguage('en'), bytes: 7 }))
    assert.equal((store.find('k', inLanguage('en')) as Stored).body.length, 7)
    assert.equal((store.find('k', inLanguage('DE')) as Stored).body.length, 100)
    assert.equal(store.find('k', inLanguage('fr')), 'vary-miss')
    for (let n = 0; n < 100; n++) store.put(stored('k', { vary: ['accept-language'], headers: inLanguage(`x-${n}`) }))
    assert.equal(store.size, 32)
  })

  test('of too many variants the one that was given least goes, and never the newest', () => {
    const store = new CacheStore(limits)
    const put = (language: string) => store.put(stored('k', { vary: ['accept-language'], headers: ['Accept-Language', language] }))
    const find = (language: string) => store.find('k', ['Accept-Language', language])
    put('popular')
    ;(find('popular') as Stored).hits = 3
    for (let n = 0; n < 100; n++) {
      put(`strange-${n}`)
      assert.notEqual(typeof find(`strange-${n}`), 'string')
    }
    assert.notEqual(typeof find('popular'), 'string')
    assert.equal(store.size, 32)
  })

  test('in place of the same variant; nothing is left of what went', () => {
    const store = new CacheStore(limits)
    for (let n = 0; n < 10; n++) store.put(stored('k', { tags: ['t'], bytes: n }))
    assert.equal(store.size, 1)
    assert.equal((store.find('k', []) as Stored).body.length, 9)
    assert.equal(store.purge({ kind: 'tag', tag: 't' }, false, nowMs), 1)
    assert.equal(store.bytes, 0)
    assert.equal([...store.shelves].length, 0)
    assert.equal(store.purge({ kind: 'target', target: 'k' }, false, nowMs), 0)
  })

  test('what was purged while it came is not stored, unless the purge meant something else', () => {
    const store = new CacheStore(limits)
    const since = store.purges.count
    store.purge({ kind: 'tag', tag: 'other' }, false, nowMs)
    assert.equal(store.put(stored('k', { tags: ['t'] }), since), true)
    store.purge({ kind: 'tag', tag: 't' }, false, nowMs)
    assert.equal(store.put(stored('k', { tags: ['t'] }), since), false)
  })

  test('what was purged while it came is remembered by what it was, up to a number and a length', () => {
    for (const [name, count, length] of [['many', 10_001, 1], ['long', 1_000, 8_192]] as const) {
      const store = new CacheStore(limits)
      const since = store.purges.count
      store.purge({ kind: 'target', target: 'k' }, false, nowMs)
      for (let n = 0; n < 20_000; n++) store.purge({ kind: 'tag', tag: 'again' }, false, nowMs)
      assert.deepEqual([store.put(stored('k'), since), store.put(stored('k2'), since), store.put(stored('k3', { tags: ['again'] }), since)], [false, true, false], name)
      const later = store.purges.count
      for (let n = 0; n < count; n++) store.purge({ kind: 'tag', tag: `t${n}`.padEnd(length, '.') }, false, nowMs)
      assert.equal(store.put(stored('k2'), later - 1), false, 'nobody remembers that far back')
      assert.equal(store.put(stored('k2'), store.purges.count - 100), true)
    }
  })

  test('smaller limits push out what was asked for longest ago', () => {
    const store = new CacheStore(limits)
    for (let n = 0; n < 80; n++) store.put(stored(`k-${n}`))
    store.find('k-0', [])
    store.configure({ ...limits, maxEntries: 20 })
    assert.ok(store.size <= 20)
    assert.notEqual(typeof store.find('k-0', []), 'string')
  })
})
