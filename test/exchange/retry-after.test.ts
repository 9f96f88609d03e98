import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRetryAfter } from '../../src/exchange/retry-after.ts'

const now = Date.parse('Fri, 27 Nov 2026 08:00:00 GMT')
const rows: ReadonlyArray<readonly [value: string, ms: number | undefined]> = [
  ['0', 0],
  ['1', 1_000],
  [' 120 ', 120_000],
  ['Fri, 27 Nov 2026 08:00:30 GMT', 30_000],
  ['Friday, 27-Nov-26 08:00:30 GMT', 30_000],
  ['Fri Nov 27 08:00:30 2026 GMT', 30_000],
  ['Thu, 26 Nov 2026 08:00:00 GMT', 0],
  ['-1', undefined],
  ['1.5', undefined],
  ['soon', undefined],
  ['2026', 2_026_000],
  ['', undefined],
  ['99999999999999', undefined]
]
for (const [value, ms] of rows) test(`"${value}" is ${ms} ms`, () => assert.equal(parseRetryAfter(value, now), ms))
