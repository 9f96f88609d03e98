import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LargeMap } from '../../src/lib/large-map.ts'

test('it holds what a Map holds, small and large', () => {
  for (const count of [0, 10, 4_096, 4_097, 30_000]) {
    const expected = new Map<string, number>(Array.from({ length: count }, (_, n) => [`name${n}`, n] as const))
    const map = new LargeMap(expected)
    assert.equal(map.size, count)
    assert.deepEqual(new Map(map), expected)
    assert.deepEqual([...map.keys()].sort(), [...expected.keys()].sort())
    assert.equal(map.values().reduce((sum, value) => sum + value, 0), expected.values().reduce((sum, value) => sum + value, 0))
    let visited = 0
    map.forEach((value, key) => { if (expected.get(key) === value) visited++ })
    assert.equal(visited, count)
    assert.equal(map.get('other'), undefined)
    assert.equal(map.has('other'), false)
    map.set('name3', -1).set('other', -2)
    assert.deepEqual([map.get('name3'), map.has('name3'), map.get('other'), map.size], [-1, true, -2, count + (count > 3 ? 1 : 2)])
  }
})

test('a small one is in order of insertion', () => {
  assert.deepEqual([...new LargeMap([['b', 1], ['a', 2], ['b', 3]])], [['b', 3], ['a', 2]])
})
