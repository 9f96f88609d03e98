import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AdaptiveLimit } from '../../src/upstream/bulkhead-gradient.ts'

/** A service that answers `capacity` requests at once in `baseMs`, and is slower in proportion beyond that. One step is one window. */
function simulate (limit: AdaptiveLimit, clock: { nowMs: number }, { windows, baseMs, capacity, demand }: { windows: number, baseMs: number, capacity: number, demand: number }): number[] {
  const limits: number[] = []
  for (let window = 0; window < windows; window++) {
    const inFlight = Math.min(demand, limit.limit)
    const latencyMs = baseMs * Math.max(1, inFlight / capacity)
    for (let sample = 0; sample < 10; sample++) {
      clock.nowMs += 26
      limit.sample(latencyMs, inFlight, clock.nowMs)
    }
    limits.push(limit.limit)
  }
  return limits
}

const limits = { minConcurrent: 8, maxConcurrent: 256, tolerance: 2 }

test('it begins at its maximum, and stays there while latency does', () => {
  const limit = new AdaptiveLimit(limits)
  const seen = simulate(limit, { nowMs: 0 }, { windows: 200, baseMs: 10, capacity: 500, demand: 200 })
  assert.ok(seen.every(value => value === 256), `lowest ${Math.min(...seen)}`)
  assert.equal(limit.baselineMs, 10)
})

test('nothing is held back in order to measure: with little traffic the limit never moves', () => {
  const limit = new AdaptiveLimit(limits)
  const clock = { nowMs: 0 }
  simulate(limit, clock, { windows: 50, baseMs: 10, capacity: 500, demand: 5 })
  const seen = simulate(limit, clock, { windows: 200, baseMs: 80, capacity: 500, demand: 5 })
  assert.ok(seen.every(value => value === 256))
})

test('a service that can take 20 at once is not sent 256: the limit falls to what it answers in time, and demand decides nothing', () => {
  const limit = new AdaptiveLimit(limits)
  const clock = { nowMs: 0 }
  simulate(limit, clock, { windows: 20, baseMs: 10, capacity: 20, demand: 10 })
  const seen = simulate(limit, clock, { windows: 100, baseMs: 10, capacity: 20, demand: 1_000 })
  const settled = seen.slice(40)
  assert.ok(Math.max(...settled) < 80, `highest ${Math.max(...settled)}`)
  assert.ok(Math.min(...settled) >= 40, `lowest ${Math.min(...settled)}: twice the latency is fine`)
  assert.ok(seen[24]! < 100, `after 25 windows ${seen[24]}`)
})

test('it comes back when the service does', () => {
  const limit = new AdaptiveLimit(limits)
  const clock = { nowMs: 0 }
  simulate(limit, clock, { windows: 20, baseMs: 10, capacity: 20, demand: 10 })
  simulate(limit, clock, { windows: 60, baseMs: 200, capacity: 20, demand: 1_000 })
  assert.equal(limit.limit, 8)
  const seen = simulate(limit, clock, { windows: 120, baseMs: 10, capacity: 400, demand: 1_000 })
  assert.ok(seen.at(-1)! > 200, `${seen.at(-1)}`)
})

test('a service that became slower for good is not held at the floor', () => {
  const limit = new AdaptiveLimit(limits)
  const clock = { nowMs: 0 }
  simulate(limit, clock, { windows: 20, baseMs: 10, capacity: 400, demand: 200 })
  simulate(limit, clock, { windows: 60, baseMs: 50, capacity: 400, demand: 1_000 })
  assert.equal(limit.limit, 8)
  const seen = simulate(limit, clock, { windows: 600, baseMs: 50, capacity: 400, demand: 1_000 })
  assert.ok(seen.at(-1)! > 200, `${seen.at(-1)} with a baseline of ${limit.baselineMs} ms`)
})

test('new limits hold at once', () => {
  const limit = new AdaptiveLimit(limits)
  limit.configure({ ...limits, maxConcurrent: 16 })
  assert.equal(limit.limit, 16)
  limit.configure({ minConcurrent: 32, maxConcurrent: 16, tolerance: 2 })
  assert.equal(limit.limit, 16, 'a floor above the maximum does not lift it')
})
