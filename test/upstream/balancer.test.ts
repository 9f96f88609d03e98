import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RoundRobin, type Candidate } from '../../src/upstream/balancer.ts'

const candidate = (url: string, { weight = 1, available = true } = {}): Candidate => ({ url, available, plan: { weight }, currentWeight: 0 })
const none = { only: undefined, tried: [] }

function picks (candidates: Candidate[], times: number, equal = true): string {
  const balancer = new RoundRobin()
  return Array.from({ length: times }, () => balancer.pick(candidates, equal, none)?.url ?? '-').join('')
}

const rows = [
  { name: 'each endpoint in turn', candidates: [candidate('a'), candidate('b'), candidate('c')], times: 6, expected: 'abcabc' },
  { name: 'one that is not available is passed over', candidates: [candidate('a'), candidate('b', { available: false }), candidate('c')], times: 4, expected: 'acac' },
  { name: 'none available gives none', candidates: [candidate('a', { available: false })], times: 2, expected: '--' },
  { name: 'weights share smoothly, not in bursts', candidates: [candidate('a', { weight: 5 }), candidate('b'), candidate('c')], times: 7, equal: false, expected: 'aabacaa' }
]
for (const { name, candidates, times, equal, expected } of rows) {
  test(name, () => assert.equal(picks(candidates, times, equal), expected))
}

test('what was tried in this exchange is not picked again', () => {
  const balancer = new RoundRobin()
  const both = [candidate('a'), candidate('b')]
  assert.equal(balancer.pick(both, true, { only: undefined, tried: [{ endpoint: 'a' }] })?.url, 'b')
  assert.equal(balancer.pick(both, true, { only: undefined, tried: [{ endpoint: 'a' }, { endpoint: 'b' }] }), undefined)
})

test('only endpoints that have the message are picked', () => {
  const balancer = new RoundRobin()
  const both = [candidate('a'), candidate('b')]
  for (let i = 0; i < 3; i++) assert.equal(balancer.pick(both, true, { only: new Set(['b']), tried: [] })?.url, 'b')
})
