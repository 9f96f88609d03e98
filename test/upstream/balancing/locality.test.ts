// Zones and datacenters: the nearest carry what they can, the next get the rest in proportion.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { shareLevels } from '../../../src/upstream/balancing/overflow.ts'
import { balanced, candidate } from './candidates.ts'

describe('shares of levels, as Envoy computes them', () => {
  const rows: Array<{ name: string, health: number[], expected: number[] }> = [
    { name: 'all healthy: the nearest carries everything', health: [1, 1], expected: [100, 0] },
    { name: 'at 72 % it still does', health: [0.72, 1], expected: [100, 0] },
    { name: 'at half, 140 % of it', health: [0.5, 1], expected: [70, 30] },
    { name: 'at a quarter', health: [0.25, 1], expected: [35, 65] },
    { name: 'gone: the next one', health: [0, 1], expected: [0, 100] },
    { name: 'three levels', health: [0.25, 0.25, 1], expected: [35, 35, 30] },
    { name: 'not enough altogether: in proportion', health: [0.25, 0.25], expected: [50, 50] },
    { name: 'nobody', health: [0, 0], expected: [0, 0] }
  ]
  for (const { name, health, expected } of rows) {
    test(name, () => {
      const limits = new Float64Array(health.length)
      shareLevels(health, 140, limits)
      assert.deepEqual([...limits].map((limit, i) => Math.round((limit - (limits[i - 1] ?? 0)) * 100)), expected)
    })
  }
})

const zones = () => [candidate('a1'), candidate('a2'), candidate('b1', { level: 1 }), candidate('b2', { level: 1 })]

test('the own zone gets everything; half of it gone, 30 % overflow; all of it gone, the next gets everything; and back', () => {
  const endpoints = zones()
  const { shares, clock } = balanced(endpoints)
  const near = () => { clock.nowMs += 200; const got = shares(2_000); return got['a1']! + got['a2']! }
  assert.equal(near(), 1)
  endpoints[0]!.available = false
  assert.ok(Math.abs(near() - 0.7) < 0.04)
  endpoints[1]!.available = false
  assert.equal(near(), 0)
  for (const endpoint of endpoints) endpoint.available = true
  assert.equal(near(), 1)
})

test('what is registered and gets no traffic is missing capacity too', () => {
  const { shares } = balanced([candidate('a'), candidate('b', { level: 2 })], {}, { registered: [{ level: 0, weight: 2 }, { level: 2, weight: 1 }] })
  const got = shares(2_000)
  assert.ok(Math.abs(got['a']! - 0.7) < 0.04, String(got['a']))
})

test('a level that fails between two looks at it is passed over at once', () => {
  const endpoints = zones()
  const { pick } = balanced(endpoints)
  assert.match(pick()!, /^a/)
  endpoints[0]!.available = endpoints[1]!.available = false
  for (let n = 0; n < 50; n++) assert.match(pick()!, /^b/)
})

describe('a level is full with 140 % of its part of the upstream\'s limit', () => {
  /** Places calls one after the other that never end: where each went, by zone. */
  const place = (made: ReturnType<typeof balanced>, endpoints: ReturnType<typeof zones>, calls: number) => Array.from({ length: calls }, () => {
    const url = made.pick()!
    endpoints.find(endpoint => endpoint.url === url)!.inFlight++
    return url[0]
  }).join('')

  test('what is beyond goes to the next one; with all of them full, to the nearest', () => {
    const endpoints = zones()
    const made = balanced(endpoints)
    made.limit = 10
    assert.equal(place(made, endpoints, 16), 'aaaaaaabbbbbbbaa')
  })

  test('its part is by what is available, and the limit is that of now', () => {
    const endpoints = zones()
    const made = balanced(endpoints)
    endpoints[2]!.available = endpoints[3]!.available = false
    made.limit = 4
    assert.equal(place(made, endpoints, 4), 'aaaa')
    endpoints[2]!.available = endpoints[3]!.available = true
    made.clock.nowMs += 200
    assert.equal(place(made, endpoints, 2), 'bb')
    made.limit = 20
    assert.equal(place(made, endpoints, 2), 'aa')
  })
})

test('a further attempt prefers another node to the own zone', () => {
  const endpoints = [candidate('a1', { node: 'n1' }), candidate('a2', { node: 'n1' }), candidate('b1', { node: 'n2', level: 1 })]
  const { pick } = balanced(endpoints)
  for (let n = 0; n < 20; n++) assert.equal(pick({ tried: ['a1'] }), 'b1')
})
