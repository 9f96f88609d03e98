// Consistent hash: sticks, moves as little as can be, bounds the load; and what a call sticks by.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { stickyKey } from '../../../src/upstream/balancing/sticky-key.ts'
import { makeExchange, policy } from '../../support/exchange.ts'
import { balanced, candidate, type FakeCandidate } from './candidates.ts'

const hash = { strategy: 'hash', stickTo: 'header', name: 'X-Tenant' } as const
const keys = Array.from({ length: 2_000 }, (_, n) => `tenant-${n}`)
const owners = (endpoints: readonly FakeCandidate[]) => {
  const { pick } = balanced(endpoints, hash)
  return keys.map(key => pick({ headers: ['x-tenant', key] })!)
}
const fleet = (count: number, like = {}) => Array.from({ length: count }, (_, n) => candidate(`http://10.0.0.${n}:80`, like))

test('the same key goes to the same endpoint, in whatever order endpoints are listed', () => {
  const endpoints = fleet(10)
  assert.deepEqual(owners(endpoints), owners([...endpoints].reverse()))
})

test('keys are spread evenly, and by weight', () => {
  const counts = (endpoints: readonly FakeCandidate[]) => endpoints.map(({ url }) => owners(endpoints).filter(owner => owner === url).length / keys.length)
  for (const share of counts(fleet(10))) assert.ok(share > 0.06 && share < 0.15, String(share))
  const [heavy] = counts([candidate('http://heavy', { weight: 3 }), ...fleet(3)])
  assert.ok(heavy! > 0.4 && heavy! < 0.6, String(heavy))
})

test('one that leaves, or may not get calls, moves its own keys only; one that comes takes only its part', () => {
  const ten = fleet(10)
  const before = owners(ten)
  const moved = (after: string[]) => keys.filter((_, n) => before[n] !== after[n])
  const gone = ten[3]!
  const own = keys.filter((_, n) => before[n] === gone.url)
  assert.deepEqual(moved(owners(ten.filter(endpoint => endpoint !== gone))), own)
  gone.available = false
  assert.deepEqual(moved(owners(ten)), own)
  gone.available = true
  const taken = moved(owners([...ten, candidate('http://new')]))
  assert.ok(taken.length > 0 && taken.length < keys.length / 6, `${taken.length} of ${keys.length}`)
})

test('one that is new takes its keys over one after the other: each moves once, none goes anywhere else', () => {
  const old = fleet(4)
  const fresh = candidate('http://new')
  const { balancer, clock, pick } = balanced(old, hash)
  const ownersNow = () => keys.map(key => pick({ headers: ['x-tenant', key] })!)
  clock.nowMs += 60_000
  const before = ownersNow()
  balancer.apply([...old, fresh], [])
  const parts: number[] = []
  let last = before
  for (let age = 0; age <= 30_000; age += 3_000, clock.nowMs += 3_000) {
    const now = ownersNow()
    for (const [n, owner] of now.entries()) if (owner !== last[n]) assert.deepEqual([last[n], owner], [before[n], fresh.url])
    parts.push(now.filter(owner => owner === fresh.url).length / keys.length)
    last = now
  }
  const whole = parts.at(-1)!
  assert.deepEqual(last, owners([...old, candidate('http://new')]))
  assert.ok(parts[0]! < whole * 0.2 && parts[0]! > 0, `${parts}`)
  assert.ok(Math.abs(parts[5]! - whole / 2) < whole * 0.15, `${parts}`)
})

test('one that recovers gets its keys back one after the other, and what it does not take yet is spread', () => {
  const endpoints = fleet(5)
  const { pick } = balanced(endpoints, hash)
  const ownersNow = () => keys.map(key => pick({ headers: ['x-tenant', key] })!)
  const before = ownersNow()
  const back = endpoints[2]!
  back.available = false
  const without = ownersNow()
  back.available = true
  for (const rampFactor of [0.1, 0.5, 0.9]) {
    back.rampFactor = rampFactor
    const now = ownersNow()
    for (const [n, owner] of now.entries()) if (owner !== before[n]) assert.equal(owner, without[n])
    const own = before.filter(owner => owner === back.url).length
    assert.ok(Math.abs(now.filter(owner => owner === back.url).length / own - rampFactor) < 0.1, String(rampFactor))
  }
  back.rampFactor = 1
  assert.deepEqual(ownersNow(), before)
})

test('when only newcomers may get a call, they get it', () => {
  const [old, fresh] = [candidate('http://old'), candidate('http://new')]
  const { balancer, clock, pick } = balanced([old], hash)
  clock.nowMs += 60_000
  balancer.apply([old, fresh], [])
  old.available = false
  for (const key of keys.slice(0, 200)) assert.equal(pick({ headers: ['x-tenant', key] }), fresh.url)
})

test('an endpoint with more than its bound of calls hands further ones to the next, which are still the same for a key', () => {
  const endpoints = fleet(4)
  const { pick } = balanced(endpoints, hash)
  const options = { headers: ['X-Tenant', 'hot'] }
  const first = pick(options)
  const owner = endpoints.find(({ url }) => url === first)!
  owner.inFlight = 10
  const second = pick(options)
  assert.notEqual(second, first)
  assert.equal(pick(options), second)
  for (const endpoint of endpoints) endpoint.inFlight = 10
  assert.equal(pick(options), first)
})

test('without a key the call is balanced as by peak-ewma', () => {
  const { pick } = balanced(fleet(5), hash)
  assert.equal(new Set(Array.from({ length: 100 }, () => pick())).size, 5)
})

describe('what a call sticks by', () => {
  const key = (balancer: object, headers: string[]) => stickyKey(makeExchange({ headers }), { ...policy.balancer, ...balancer })
  const rows = [
    { name: 'the permanent session before the other', balancer: {}, a: ['Cookie', 'ss-id=1; ss-pid=9'], b: ['cookie', 'ss-pid=9; ss-id=2'], same: true },
    { name: 'the session alone', balancer: {}, a: ['Cookie', 'ss-id=1'], b: ['X-ss-id', '1'], same: true },
    { name: 'another session', balancer: {}, a: ['Cookie', 'ss-id=1'], b: ['Cookie', 'ss-id=2'], same: false },
    { name: 'a cookie', balancer: { stickTo: 'cookie', name: 'basket' }, a: ['Cookie', 'basket=1'], b: ['Cookie', 'x=2; basket=1'], same: true },
    { name: 'a header in any letter case', balancer: { stickTo: 'header', name: 'X-Tenant' }, a: ['X-TENANT', 'a'], b: ['x-tenant', 'a'], same: true },
    { name: 'the client\'s address', balancer: { stickTo: 'client' }, a: [], b: ['X-Other', '1'], same: true }
  ]
  for (const { name, balancer, a, b, same } of rows) {
    test(name, () => {
      assert.notEqual(key(balancer, a), undefined)
      assert.equal(key(balancer, a) === key(balancer, b), same)
    })
  }
  test('nothing', () => assert.equal(key({}, ['Cookie', 'a=b']), undefined))
})
