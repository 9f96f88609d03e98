// What holds for every strategy, and what each one is for.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { strategies } from '../../../src/upstream/balancing/strategies.ts'
import { balanced, candidate, type FakeCandidate } from './candidates.ts'

const names = Object.keys(strategies) as Array<keyof typeof strategies>
const near = (actual: number | undefined, expected: number, by = 0.03) => assert.ok(actual !== undefined && Math.abs(actual - expected) <= by, `${actual} is not ${expected} ± ${by}`)
const three = (like = {}): FakeCandidate[] => ['a', 'b', 'c'].map(url => candidate(url, like))

for (const strategy of names) {
  describe(strategy, () => {
    test('equal endpoints share equally', () => {
      const shares = balanced(three(), { strategy }).shares(6_000)
      for (const url of ['a', 'b', 'c']) near(shares[url], 1 / 3)
    })
    test('weights share, a weight of 0 gets nothing', () => {
      const shares = balanced([candidate('a', { weight: 5 }), candidate('b', { weight: 2 }), candidate('c', { weight: 1 }), candidate('d', { weight: 0 })], { strategy }).shares(8_000)
      near(shares['a'], 5 / 8)
      near(shares['b'], 2 / 8)
      near(shares['c'], 1 / 8)
      assert.equal(shares['d'], 0)
    })
    test('all of weight 0 share equally: somebody must answer', () => near(balanced([candidate('a', { weight: 0 }), candidate('b', { weight: 0 })], { strategy }).shares(4_000)['a'], 0.5))
    test('who is not available gets nothing; nobody available is undefined', () => {
      const endpoints = three()
      const { shares, pick } = balanced(endpoints, { strategy })
      endpoints[1]!.available = false
      assert.equal(shares(500)['b'], 0)
      for (const endpoint of endpoints) endpoint.available = false
      assert.equal(pick(), undefined)
    })
    test('the one that is left among thousands is found', () => {
      const endpoints = Array.from({ length: 2_000 }, (_, n) => candidate(`e${n}`, { available: n === 1_234 }))
      assert.equal(balanced(endpoints, { strategy }).pick(), 'e1234')
    })
    test('only endpoints that have the message', () => {
      const { pick } = balanced(three(), { strategy })
      const endpoints = new Set(['c'])
      for (let n = 0; n < 20; n++) assert.equal(pick({ endpoints }), 'c')
    })
    test('a further attempt goes to another node, else to another endpoint, else to the same one again', () => {
      const endpoints = [candidate('a', { node: 'n1' }), candidate('b', { node: 'n1' }), candidate('c', { node: 'n2' })]
      const { pick } = balanced(endpoints, { strategy })
      for (let n = 0; n < 20; n++) assert.equal(pick({ tried: ['a'] }), 'c')
      endpoints[2]!.available = false
      for (let n = 0; n < 20; n++) assert.equal(pick({ tried: ['a'] }), 'b')
      endpoints[1]!.available = false
      assert.equal(pick({ tried: ['a'] }), 'a')
    })
    // Sticky calls stay where they belong: their endpoint's breaker lets them in or does not.
    if (strategy !== 'hash') test('one that recovers gets its part', () => near(balanced([candidate('a', { rampFactor: 0.25 }), candidate('b')], { strategy }).shares(4_000)['a'], 0.2, 0.05))
  })
}

test('round robin is in turn, weighted is smooth', () => {
  const order = (strategy: 'round-robin' | 'weighted', weights: number[]) => {
    const { pick } = balanced(weights.map((weight, n) => candidate('abc'[n]!, { weight })), { strategy })
    return Array.from({ length: 16 }, () => pick()).join('')
  }
  assert.match(order('round-robin', [1, 1, 1]), /^.?.?(abc)+/)
  // Never more than 3 in a row although a has 5 of 7.
  const smooth = order('weighted', [5, 1, 1])
  assert.ok(!/b.?b|c.?c/.test(smooth), smooth)
  assert.ok(!smooth.includes('aaaaaa'), smooth)
})

test('a plan that differs in nothing that counts keeps whose turn it is', () => {
  const endpoints = three()
  const { pick, balancer } = balanced(endpoints, { strategy: 'round-robin' })
  const order = Array.from({ length: 12 }, () => {
    balancer.apply([...endpoints], [])
    return pick()
  }).join('')
  assert.match(order, /^.?.?(abc){3}/)
  endpoints[0]!.plan.weight = 3
  balancer.apply(endpoints, [])
  assert.match(Array.from({ length: 15 }, () => pick()).join(''), /^(?=(?:[bc]*a){7})/)
})

test('least requests prefers who has fewer calls', () => {
  const { shares } = balanced([candidate('a', { inFlight: 5 }), candidate('b')], { strategy: 'least-requests' })
  assert.deepEqual(shares(100), { a: 0, b: 1 })
})

test('shares hold for thousands with few available, and no pick looks at all of them', () => {
  const looks = { count: 0 }
  const endpoints = Array.from({ length: 2_000 }, (_, n) => Object.defineProperty(candidate(`e${n}`), 'available', { get: () => { looks.count++; return n % 2 === 0 } }))
  for (const strategy of ['peak-ewma', 'least-requests', 'round-robin', 'weighted'] as const) {
    const { pick } = balanced(endpoints, { strategy })
    looks.count = 0
    for (let n = 0; n < 1_000; n++) pick()
    assert.ok(looks.count < 10_000, `${strategy}: ${looks.count} looks for 1,000 picks`)
  }
})
