import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ShardedMap } from '../../src/lib/sharded-map.ts'

const keys = Array.from({ length: 5_000 }, (_, i) => `message${i}`)
const contents = (map: ShardedMap<number>) => new Map(keys.map(key => [key, map.get(key)]))

test('it holds what a Map holds', () => {
  const map = ShardedMap.of(keys.map((key, i) => [key, i] as const))
  assert.equal(map.size, keys.length)
  assert.deepEqual(contents(map), new Map(keys.map((key, i) => [key, i])))
  assert.equal(map.get('message'), undefined)
  assert.deepEqual([...map.values()].sort((a, b) => a - b), keys.map((_, i) => i))
})

test('an edit leaves the map as it was, and counts', () => {
  const before = ShardedMap.of(keys.map((key, i) => [key, i] as const))
  const edit = before.edit()
  edit.set('message1', -1)
  edit.set('new', 7)
  edit.delete('message2')
  edit.delete('message2')
  edit.delete('unknown')
  const after = edit.done()
  assert.deepEqual([after.size, after.get('message1'), after.get('new'), after.get('message2'), after.get('message3')], [keys.length, -1, 7, undefined, 3])
  assert.deepEqual([before.size, before.get('message1'), before.get('new'), before.get('message2')], [keys.length, 1, undefined, 2])
  assert.deepEqual([ShardedMap.empty<number>().size, ShardedMap.empty<number>().get('new')], [0, undefined])
})

test('what is written after the end of an edit does not reach its map', () => {
  const edit = ShardedMap.empty<number>().edit()
  edit.set('a', 1)
  const done = edit.done()
  edit.set('a', 2)
  edit.set('b', 3)
  assert.deepEqual([done.get('a'), done.get('b'), done.size], [1, undefined, 1])
})
