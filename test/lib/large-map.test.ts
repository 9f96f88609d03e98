import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LargeMap } from '../../src/lib/large-map.ts'

test('it holds what a Map holds, in the same order, small and large', () => {
  for (const count of [0, 10, 4_096, 4_097, 30_000]) {
    const expected = new Map<string, number>(Array.from({ length: count }, (_, n) => [`name${n}`, n] as const))
    const map = new LargeMap(expected)
    assert.equal(map.size, count)
    assert.deepEqual([...map], [...expected])
    assert.deepEqual([...map.keys()], [...expected.keys()])
    assert.deepEqual([...map.values()], [...expected.values()])
    let visited = 0
    map.forEach((value, key) => { if (expected.get(key) === value) visited++ })
    assert.equal(visited, count)
    assert.equal(map.get('other'), undefined)
    assert.equal(map.has('other'), false)
    map.set('name3', -1).set('other', -2)
    assert.deepEqual([...map], [...expected.set('name3', -1).set('other', -2)])
    assert.equal(map.size, expected.size)
  }
})
