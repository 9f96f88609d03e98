import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RepeatedList } from '../../src/lib/repeated-list.ts'

interface Item { readonly id?: string, readonly is?: unknown }

const idOf = (value: unknown): string | undefined => (value as Item).id
const item = (id: string, is: unknown = 'as it was'): Item => ({ id, is })
const open = () => {
  const list = new RepeatedList(idOf)
  return (items: unknown, space?: number) => list.read(Buffer.from(JSON.stringify(items, undefined, space))) as Item[]
}
const shared = (before: readonly Item[], after: readonly Item[]): string => after.map(one => before.includes(one) ? one.id : '-').join('')

test('what stays as it was is the same object; what changed, came or went is as it is now', () => {
  const cases: Array<[before: string, after: Item[], shared: string]> = [
    ['abcde', [item('a'), item('b'), item('c'), item('d'), item('e')], 'abcde'],
    ['abcde', [item('a'), item('b', 'changed'), item('c'), item('d'), item('e')], 'a-cde'],
    ['abcde', [item('a'), item('x'), item('y'), item('z'), item('e')], 'a----'],
    ['abcde', [item('a'), item('c'), item('d'), item('e')], 'acde'],
    ['abcde', [item('a'), item('e')], 'a-'],
    ['abcdef', [item('a'), item('e'), item('f')], 'a-f'],
    ['abcde', [item('new'), item('a'), item('b'), item('c'), item('d'), item('e')], '-abcde'],
    ['abcde', [item('e'), item('d'), item('c'), item('b'), item('a')], '-----'],
    ['abcde', [], ''],
    ['', [item('a')], '-']
  ]
  for (const [before, after, expected] of cases) {
    const read = open()
    const first = read([...before].map(id => item(id)))
    const second = read(after)
    assert.deepEqual(second, after, before)
    assert.equal(shared(first, second), expected, JSON.stringify(after))
  }
})

test('a hundred random changes in a row give what JSON.parse gives', () => {
  const read = open()
  let seed = 7
  const random = (below: number): number => { seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648; return seed % below }
  const texts = ['as it was', 'a "quote" and a \\', '}{][,', 'ünïcödé 🙂', '', { deep: [{ list: ['"}', '\\"'] }] }]
  let items: Item[] = []
  let reused = 0
  let before: Item[] = []
  for (let turn = 0; turn < 100; turn++) {
    for (let change = 0; change < 5; change++) {
      const at = random(items.length + 1)
      const one = item(String(random(60)), texts[random(texts.length)])
      items = random(3) === 0 ? items.toSpliced(at, 1 + random(3)) : random(2) === 0 ? items.toSpliced(at, 0, one) : items.toSpliced(at, 1, one)
    }
    const now = read(items, random(4) === 0 ? 2 : undefined)
    assert.deepEqual(now, items)
    reused += now.filter(one => before.includes(one)).length
    before = now
  }
  assert.ok(reused > 500, `${reused} of some thousands were shared`)
})

test('whatever else comes is what JSON.parse makes of it, errors included', () => {
  const list = new RepeatedList(idOf)
  const read = (text: string) => list.read(Buffer.from(text))
  const [first] = read('[{"id":"a"}]') as Item[]
  for (const text of ['null', '{"id":"a"}', '[1,2]', '[{"id":"a"},1]', '[[{"id":"a"}]]', '"[{"', ' [ ] ', '[{"id":"a"}, {"id":"b"} ]\n']) assert.deepEqual(read(text), JSON.parse(text), text)
  assert.equal((read('[{"id":"a"}]') as Item[])[0], (read('[{"id":"a"}]') as Item[])[0])
  assert.deepEqual(first, { id: 'a' })
  for (const text of ['', '[', '[{"id":"a"}', '[{"id":"a"},]', '[{"id":"a"} {"id":"b"}]', '[{"id":"a"}]]', '[{"id":"a"}] x', '[{"id":"a]', '[{"id":"a"},{id:1}]', '[{"id":"a\\', '[{]}']) {
    const broken = () => JSON.parse(text) as unknown
    let expected: unknown
    try {
      broken()
    } catch (error) {
      expected = error
    }
    assert.ok(expected instanceof SyntaxError, text)
    assert.throws(() => read(text), { name: 'SyntaxError', message: expected.message })
  }
})
