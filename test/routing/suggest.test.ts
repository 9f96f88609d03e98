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

test('a large table costs little, whatever is asked: no more than 500 names are compared', () => {
  const compared = (others: number) => suggest('getproductnumbrr9', [...Array.from({ length: others }, (_, i) => `GetProductXumbxr${i % 10}`), 'GetProductNumber9', ...Array.from({ length: 20_000 }, (_, i) => `GetProductNumber${i}`)])
  assert.equal(compared(499)[0], 'GetProductNumber9')
  assert.ok(!compared(500).includes('GetProductNumber9'))
})
