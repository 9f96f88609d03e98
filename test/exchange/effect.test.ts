import assert from 'node:assert/strict'
import { test } from 'node:test'
import { effectOfCall, stricter, type Effect } from '../../src/exchange/effect.ts'

const byMethod: ReadonlyArray<readonly [method: string, override: string | undefined, effect: Effect]> = [
  ['GET', undefined, 'safe'],
  ['HEAD', undefined, 'safe'],
  ['POST', undefined, 'unsafe'],
  ['POST', 'get', 'safe'],
  ['GET', 'DELETE', 'unsafe'],
  ['GET', '', 'safe'],
  ['PUT', undefined, 'unsafe'],
  ['DELETE', undefined, 'unsafe'],
  ['OPTIONS', undefined, 'unsafe'],
  // A form that may override its method: nobody knows it.
  ['', undefined, 'unsafe']
]
for (const [method, override, effect] of byMethod) {
  test(`nothing declared, ${method} overridden by ${override}: ${effect}`, () => assert.equal(effectOfCall(undefined, method, override, true), effect))
}

test('what the message declares holds for every method', () => {
  assert.equal(effectOfCall('safe', 'POST', undefined, true), 'safe')
  assert.equal(effectOfCall('idempotent', 'POST', undefined, true), 'idempotent')
  assert.equal(effectOfCall('unsafe', 'GET', undefined, true), 'unsafe')
})

test('one-way calls and batches are unsafe whatever is declared', () => {
  assert.equal(effectOfCall('safe', 'GET', undefined, false), 'unsafe')
  assert.equal(effectOfCall(undefined, 'GET', undefined, false), 'unsafe')
})

test('of two words the stricter holds; none is no word', () => {
  assert.equal(stricter('safe', 'idempotent'), 'idempotent')
  assert.equal(stricter('unsafe', 'safe'), 'unsafe')
  assert.equal(stricter(undefined, 'safe'), 'safe')
  assert.equal(stricter(undefined, undefined), undefined)
})
