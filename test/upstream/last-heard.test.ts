// When endpoints last answered a call, as the control thread is told it.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { lastHeard } from '../../src/upstream/last-heard.ts'

test('of the endpoints that are asked for and have ever answered, in ms since epoch', () => {
  const before = Date.now()
  const nowMs = performance.now()
  const upstreams = [{ endpoints: [{ url: 'http://a', heardAtMs: nowMs - 60_000 }, { url: 'http://b', heardAtMs: -Infinity }] }, { endpoints: [{ url: 'http://c', heardAtMs: nowMs }] }]
  const heard = lastHeard(upstreams, ['http://a', 'http://b', 'http://d'])
  assert.deepEqual(heard.map(([url]) => url), ['http://a'])
  const agoMs = before - heard[0]![1]
  assert.ok(agoMs > 30_000 && agoMs < 90_000, `${agoMs}`)
})
