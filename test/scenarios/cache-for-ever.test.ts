// The story of `Expires: Never`: a framework stamps it on its answers, and they stick in browsers and caches that no purge reaches. Replayed
// to a client that obeys whatever it is told for as long as it is told.
import { describe, mock, test } from 'node:test'
import assert from 'node:assert/strict'
import { startOrigins } from '../support/fleet.ts'
import { request, targetOf, type RawResponse } from '../support/http-client.ts'
import type { PartialConfig } from '../support/gateway.ts'
import * as behave from '../support/origin.ts'
import { startOrigin } from '../support/origin.ts'
import type { HeaderList } from '../support/raw-server.ts'
import { until } from '../support/until.ts'

const hour = 3_600_000
const day = 24 * hour
const path = '/json/reply/Echo'

/** A browser, or a provider's cache: it has no purge, and takes words at their face. */
class FarClient {
  readonly #kept = new Map<string, { readonly body: string, readonly untilMs: number }>()

  async get (url: string): Promise<string> {
    const kept = this.#kept.get(url)
    if (kept !== undefined && Date.now() < kept.untilMs) return kept.body
    const response = await request(targetOf(url), new URL(url).pathname)
    this.#kept.set(url, { body: response.text(), untilMs: keptUntil(response) })
    return response.text()
  }
}

/** An nginx obeys its own field. `Never` is for ever, and so is a max-age that is no number; where nothing is said, a guess, or for ever. */
function keptUntil ({ status, header }: RawResponse): number {
  const ageS = Number(header('age') ?? 0)
  const maxAge = header('x-accel-expires') ?? /max-age="?([^",]*)/i.exec(header('cache-control') ?? '')?.[1]
  if (maxAge !== undefined) return /^-?\d+$/.test(maxAge) ? Date.now() + (Number(maxAge) - ageS) * 1_000 : Infinity
  if (/no-store/i.test(header('cache-control') ?? '')) return 0
  const expires = header('expires')
  // The lifetime, from when it came: this one takes no notice of an answer's age.
  const dateMs = Date.parse(header('date') ?? '') || Date.now()
  if (expires !== undefined) return /^(?:0|-1|)$/.test(expires) ? 0 : Number.isNaN(Date.parse(expires)) ? Infinity : Date.now() + Date.parse(expires) - dateMs
  if (status === 301) return Infinity
  return Date.now() + (Date.now() - (Date.parse(header('last-modified') ?? '') || Date.now())) / 10
}

const dated = (stamp: HeaderList): HeaderList => stamp.some(([name]) => name === 'Date') ? stamp : [['Date', new Date().toUTCString()], ...stamp]

/** `stored`: the gateway, where it may store, still has it at 23 hours. */
const stamps: Array<[stamp: HeaderList, kind: string, stored?: true]> = [
  [[['Expires', 'Never']], 'expires-no-date'],
  [[['Expires', 'Fri, 31 Dec 9999 23:59:59 GMT']], 'lifetime-too-long', true],
  [[['Cache-Control', 'public, max-age=315360000']], 'lifetime-too-long', true],
  [[['Cache-Control', 'max-age=99999999999999999999']], 'lifetime-too-long', true],
  [[['Cache-Control', 'max-age=forever']], 'lifetime-unreadable'],
  [[['Cache-Control', 'public; max-age=315360000']], 'lifetime-unreadable'],
  [[['Cache-Control', 'public max-age=315360000'], ['Last-Modified', 'Mon, 01 Jan 1990 00:00:00 GMT']], 'lifetime-unreadable'],
  [[['X-Accel-Expires', '315360000']], 'lifetime-too-long'],
  [[['X-Accel-Expires', 'max']], 'lifetime-unreadable'],
  [[['Date', 'Fri, 02 Jan 1970 00:00:00 GMT'], ['Expires', 'Fri, 27 Nov 2026 13:00:00 GMT']], 'lifetime-too-long']
]

describe('a lifetime for ever', { timeout: 300_000 }, () => {
  const ways: Array<[way: string, config: PartialConfig]> = [['past the cache', {}], ['through the cache', { messages: { Echo: { upstream: 'origin', policy: { cache: {} } } } }]]
  for (const [stamp, kind, stored, way, config] of stamps.flatMap(([stamp, kind, stored]) => ways.map(([way, config]) => [stamp, kind, stored, way, config] as const))) {
    test(`${stamp.map(line => line.join(': ')).join(', ')}, ${way}`, async t => {
      mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 10, 27, 12) })
      t.after(() => { mock.timers.reset() })
      await using fleet = await startOrigins([behave.ok('wrong', { headers: dated(stamp) })], config)
      const { gateway, origin } = fleet
      const alone = new FarClient()
      const behind = new FarClient()
      const late = new FarClient()
      assert.equal(await alone.get(origin.url + path), 'wrong')
      assert.equal(await behind.get(gateway.url + path), 'wrong')

      // Who stamped it is told at once.
      const line = await until('an alarm', async () => (await gateway.log()).find(({ msg }) => typeof msg === 'string' && msg.includes('no purge could take back')))
      assert.deepEqual([line['service'], line['message'], line['kind']], ['origin', 'Echo', kind])
      assert.equal(await gateway.metric('postern_cache_alarms_total', { upstream: 'origin', kind }), 1)

      // Somebody else gets it 23 hours later: a hit, where it is stored.
      mock.timers.setTime(Date.now() + 23 * hour)
      const askedBefore = origin.received.length
      assert.equal(await late.get(gateway.url + path), 'wrong')
      assert.equal(origin.received.length - askedBefore, stored === true && way === 'through the cache' ? 0 : 1)

      // The service is mended; a day is over for the one, then for the other.
      origin.behave(behave.ok('right', { headers: [['Cache-Control', 'max-age=60']] }))
      mock.timers.setTime(Date.now() + hour + 1_000)
      assert.equal(await behind.get(gateway.url + path), 'right', 'behind the gateway nobody is told more than a day')
      mock.timers.setTime(Date.now() + 23 * hour)
      assert.equal(await late.get(gateway.url + path), 'right', 'nor is who got it late')
      mock.timers.setTime(Date.now() + 365 * day)
      assert.equal(await alone.get(origin.url + path), 'wrong', 'without it the client has the wrong answer a year later: the story is told right')
    })
  }

  const unsaid: Array<[name: string, status: number, stamp: HeaderList]> = [
    ['a redirect for good, of which nothing is said', 301, [['Location', '/json/reply/Other']]],
    ['an answer of 1990, of which nothing is said', 200, [['Last-Modified', 'Mon, 01 Jan 1990 00:00:00 GMT']]]
  ]
  for (const [name, status, stamp] of unsaid) {
    test(`${name}: kept no longer than what is said to be kept`, async t => {
      mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 10, 27, 12) })
      t.after(() => { mock.timers.reset() })
      await using fleet = await startOrigins([behave.ok('wrong', { status, headers: dated(stamp) })])
      const { gateway, origin } = fleet
      const alone = new FarClient()
      const behind = new FarClient()
      assert.equal(await alone.get(origin.url + path), 'wrong')
      assert.equal(await behind.get(gateway.url + path), 'wrong')
      origin.behave(behave.ok('right', { headers: [['Cache-Control', 'max-age=60']] }))
      mock.timers.setTime(Date.now() + day + 1_000)
      assert.equal(await behind.get(gateway.url + path), 'right')
      mock.timers.setTime(Date.now() + 365 * day)
      assert.equal(await alone.get(origin.url + path), 'wrong', 'without it the client has the wrong answer a year later')
      // Nobody is alarmed by what services say all the time.
      assert.equal(await gateway.metric('postern_cache_alarms_total'), 0)
    })
  }

  test('what stands in for a service that fails is kept by nobody, whatever its own service says', async () => {
    await using fallback = await startOrigin(behave.ok('instead', { headers: [['Cache-Control', 'max-age=31536000'], ['Expires', 'Never'], ['CDN-Cache-Control', 'max-age=31536000']] }))
    await using fleet = await startOrigins([behave.ok('{}')], {
      upstreams: { other: { endpoints: [fallback.url] } },
      messages: { Echo: { upstream: 'origin', policy: { degraded: { on: ['NoEndpoint', 'BreakerOpen'], upstream: 'other' } } } }
    } as PartialConfig)
    await fleet.gateway.waitForEndpoint(fallback.url)
    await fleet.origin.server.kill()
    const answer = await until('the other one answers', async () => {
      const given = await fleet.gateway.get(path)
      return given.status === 200 ? given : undefined
    })
    assert.deepEqual([answer.text(), answer.header('cache-control'), answer.header('expires'), answer.header('cdn-cache-control')], ['instead', 'no-store', undefined, undefined])
    assert.notEqual(answer.header('cache-status'), undefined)
  })

  test('nor is what a service says to an upgrade in place of 101', async () => {
    await using fleet = await startOrigins([behave.ok('{}', { headers: [['Expires', 'Never'], ['Cache-Control', 'max-age=31536000'], ['Purge-Tag', 'a'], ['Cache-Tag', 'b']] })], { prefixes: { '/live/*': { upstream: 'origin' } } })
    const headers: HeaderList = [['Connection', 'Upgrade'], ['Upgrade', 'websocket'], ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='], ['Sec-WebSocket-Version', '13']]
    const answer = await request(targetOf(fleet.gateway.url), '/live/ws', { headers })
    assert.deepEqual([answer.status, answer.text(), answer.header('expires'), answer.header('purge-tag'), answer.header('cache-tag')], [200, '{}', '0', undefined, undefined])
    assert.match(answer.header('cache-control')!, /^max-age=86400$/)
    assert.equal(answer.header('cache-status'), 'Postern; fwd=bypass; fwd-status=200')
    assert.ok(await fleet.gateway.metric('postern_cache_alarms_total') > 0)
  })

  test('what everybody writes for "already stale" raises no alarm', async () => {
    await using fleet = await startOrigins([behave.byPath({ '/json/reply/Echo': behave.ok('a', { headers: [['Expires', '0']] }), '/json/reply/Other': behave.ok('b', { headers: [['Expires', '-1']] }) })])
    assert.equal((await fleet.gateway.get('/json/reply/Echo')).header('expires'), '0')
    assert.equal((await fleet.gateway.get('/json/reply/Other')).header('expires'), '-1')
    assert.equal(await fleet.gateway.metric('postern_cache_alarms_total'), 0)
  })

  test('a lifetime for clients of its own, per message: the gateway, which a purge reaches, keeps it longer than they do', async t => {
    mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 10, 27, 12) })
    t.after(() => { mock.timers.reset() })
    await using fleet = await startOrigins([behave.ok('a', { headers: [['Cache-Control', 'max-age=3600']] })], { messages: { Echo: { upstream: 'origin', policy: { cache: { guard: { clientMs: 5_000 } } } } } })
    assert.equal((await fleet.gateway.get(path)).header('cache-control'), 'max-age=5')
    mock.timers.setTime(Date.now() + 100_000)
    const later = await fleet.gateway.get(path)
    assert.deepEqual([later.header('age'), later.header('cache-control')], ['100', 'max-age=105'])
    assert.equal(fleet.origin.received.length, 1)
    // Another message of the same service says what its origin says.
    assert.equal((await fleet.gateway.get('/json/reply/Other')).header('cache-control'), 'max-age=3600')
  })
})
