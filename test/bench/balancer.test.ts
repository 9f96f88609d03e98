// What docs/BALANCING.md concludes from the simulation holds, and the page shows what is measured.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { simulateNewcomer, simulateStrategies, simulateZone } from '../../bench/balancer/fleet.ts'
import { balancerMarkdown } from '../../bench/balancer/report.ts'

const strategies = simulateStrategies()
const newcomer = simulateNewcomer()
const zone = simulateZone()
const of = (title: string) => strategies.find(one => one.title === title)!
const ewma = of('peak-ewma')

describe('ten endpoints, one slow, one failing, one far', () => {
  test('peak-ewma: p99 below a third of round robin and of least requests', () => {
    for (const other of ['round-robin', 'least-requests', 'weighted', 'hash']) assert.ok(ewma.p99Ms * 3 < of(other).p99Ms, `${ewma.p99Ms} ${other} ${of(other).p99Ms}`)
  })
  test('peak-ewma: the slow one gets less than a fiftieth of an equal share, the failing one hardly a call', () => {
    assert.ok(ewma.shares['slow']! < 0.002)
    assert.ok(ewma.shares['failing']! < 0.001)
    assert.ok(ewma.failed < 0.001)
  })
  test('least requests floods the one that fails fast', () => assert.ok(of('least-requests').shares['failing']! > 0.15))
  test('peak-ewma: the good ones share alike, within a sixth', () => {
    const good = Object.entries(ewma.shares).filter(([name]) => name.startsWith('normal')).map(([, share]) => share)
    assert.ok(Math.max(...good) / Math.min(...good) < 1.17)
  })
  test('farther away is a little less, and nothing once the own zone is known', () => {
    assert.ok(ewma.shares['other zone']! > 0.04 && ewma.shares['other zone']! < Math.min(...Object.entries(ewma.shares).filter(([name]) => name.startsWith('normal')).map(([, share]) => share)))
    assert.equal(of('peak-ewma, own zone known').shares['other zone'], 0)
  })
})

test('a newcomer gets a growing share and never more than an equal one', () => {
  assert.ok(newcomer[0]!.share < 0.05)
  assert.ok(newcomer.every(({ share }, n) => share < 0.125 && (n === 0 || share >= newcomer[n - 1]!.share - 0.005)), JSON.stringify(newcomer))
})

test('a zone keeps 140 % of what is left of it', () => {
  for (const { gone, elsewhere } of zone) assert.ok(Math.abs(elsewhere - Math.max(0, 1 - 1.4 * (4 - gone) / 4)) < 0.02, `${gone}: ${elsewhere}`)
})

test('docs/BALANCING.md has these figures (npm run bench -- balancer --write)', () => {
  const page = readFileSync(new URL('../../docs/BALANCING.md', import.meta.url), 'utf8')
  assert.ok(page.includes(balancerMarkdown({ strategies, newcomer, zone })))
})
