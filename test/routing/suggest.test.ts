import assert from 'node:assert/strict'
import { test } from 'node:test'
import { suggest } from '../../src/routing/suggest.ts'

const names = ['GetProduct', 'GetProducts', 'PlaceOrder', 'CancelOrder', 'A']
const rows = [
  { name: 'a missing letter', key: 'getprodct', expected: ['GetProduct', 'GetProducts'] },
  { name: 'two letters swapped', key: 'palceorder', expected: ['PlaceOrder', 'CancelOrder'] },
  { name: 'nothing near', key: 'shipment', expected: [] },
  { name: 'absurdly long names are not compared', key: 'getproduct'.repeat(20), expected: [] }
]
for (const { name, key, expected } of rows) {
  test(name, () => assert.deepEqual(suggest(key, names), expected))
}

test('a large table costs little, whatever is asked', () => {
  const many = Array.from({ length: 20_000 }, (_, i) => `GetProductNumber${i}`)
  const startedAtMs = performance.now()
  for (let i = 0; i < 10; i++) suggest('getproductnumbrr9', many)
  assert.ok(performance.now() - startedAtMs < 200)
})
