import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EstimateBook, QuantileEstimate } from '../../src/lib/quantile.ts'

const near = (value: number | undefined, expected: number) => assert.ok(value !== undefined && value >= expected && value <= expected * 1.09, `${value} for ${expected}`)

test('percentiles of what was seen, at most a bucket above', () => {
  const estimate = new QuantileEstimate()
  assert.equal(estimate.percentile(95), undefined)
  for (let ms = 1; ms <= 1_000; ms++) estimate.observe(ms)
  near(estimate.percentile(50), 500)
  near(estimate.percentile(95), 950)
  near(estimate.percentile(99.9), 999)
})

test('a percentile that is asked for time and again follows what was seen, and is that of the percentage asked for', () => {
  const estimate = new QuantileEstimate()
  for (let n = 0; n < 500; n++) estimate.observe(10)
  near(estimate.percentile(90), 10)
  for (let n = 0; n < 100; n++) {
    estimate.observe(100)
    estimate.percentile(90)
  }
  near(estimate.percentile(90), 100)
  near(estimate.percentile(50), 10)
})

test('the ends: nothing is below the first bucket or beyond the last', () => {
  const estimate = new QuantileEstimate()
  estimate.observe(0)
  assert.equal(estimate.percentile(95), 0.1)
  estimate.observe(10 ** 9)
  assert.ok(estimate.percentile(100)! > 50_000)
})

test('what was long ago is forgotten', () => {
  const estimate = new QuantileEstimate()
  for (let i = 0; i < 2_000; i++) estimate.observe(1_000)
  for (let i = 0; i < 12_000; i++) estimate.observe(10)
  near(estimate.percentile(99), 10)
  assert.ok(estimate.count <= 2_000)
})

test('a book keeps one estimate for the same names until they are forgotten', () => {
  const book = new EstimateBook()
  const first = book.of('Orders', 'GetOrder')
  assert.equal(book.of('Orders', 'getorder'), first)
  assert.notEqual(book.of('Catalog', 'GetOrder'), first)
  book.forget('Orders', 'GetOrder')
  assert.notEqual(book.of('Orders', 'GetOrder'), first)
})
