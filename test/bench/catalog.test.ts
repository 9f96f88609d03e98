import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeCatalog, growthOf, isMet, type CatalogResult } from '../../bench/catalog.ts'

const result = (p999: number, megabytes: readonly number[], liveMb = 130, namesGone = 0): CatalogResult =>
  ({ liveBefore: 129.5 * 1_048_576, liveAfter: liveMb * 1_048_576, p999, own999: 1.5, idle: { p999: 1.3, longest: 3 }, swaps: 9, namesGone, propagationsMs: [100, 200, 300], samples: megabytes.map(rss => ({ p50: 1, p99: 2, p999, longest: 9, own999: 1.5, ownLongest: 4, busy: 0.07, rss: rss * 1_048_576 })) })

test('met: the delay is short and memory is flat', () => {
  assert.equal(isMet(result(9.9, [400, 410, 405, 400, 412, 407, 401, 409])), true)
  assert.equal(isMet(result(10.1, [400, 400])), false)
  assert.equal(isMet(result(5, [400, 430, 460, 490, 520, 550])), false)
  assert.equal(isMet(result(5, [400, 400], 140)), false, 'what is live has grown')
  assert.equal(isMet(result(5, [400, 400], 140, 50_000)), true, 'by what is remembered of names that went')
  assert.equal(isMet(result(5, [400, 400], 160, 1_000_000)), false, 'of so many only')
  assert.equal(growthOf(result(5, [100, 100, 100, 100, 150, 150, 150, 150]).samples), 50 * 1_048_576)
  assert.match(describeCatalog(result(5, [400])), /^\| 10 \| 1\.0 \| 2\.0 \| 5\.0 \| 9\.0 \| 1\.5 \| 4\.0 \| 7 \| 400 \|$[^]*^Live heap .*129\.5 MB before, 130\.0 MB after \(at most 8 more, and 0\.0 for what is remembered of 0 names that went\)[^]*^Met\.$/m)
})
