import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMarkerReader, type MarkerTarget } from '../../src/contracts/marker-reader.ts'
import { noMarkers, type Markers } from '../../src/contracts/markers.ts'

const target = (url: string, process = 'p1'): MarkerTarget => ({ process, question: { url, kind: 'plugin', livenessPath: '/' } })
const turn = () => new Promise(resolve => setImmediate(resolve))

function make () {
  const asked: string[] = []
  const pending = new Map<string, { resolve: (markers: Markers | 'later') => void, signal: AbortSignal }>()
  const told: Array<[string, Markers]> = []
  const timers = new Map<number, { callback: () => void, ms: number }>()
  let timerId = 0
  const reader = createMarkerReader({
    read: ({ url }, signal) => new Promise(resolve => {
      asked.push(url)
      pending.set(url, { resolve, signal })
    }),
    onMarkers: (url, markers) => told.push([url, markers]),
    setTimeout: (callback, ms) => { timers.set(++timerId, { callback, ms }); return timerId },
    clearTimeout: id => { timers.delete(id as number) }
  })
  const answer = async (url: string, markers: Markers | 'later') => { pending.get(url)!.resolve(markers); await turn() }
  const fire = () => { for (const [id, { callback }] of [...timers]) { timers.delete(id); callback() } }
  return { reader, asked, pending, told, timers, answer, fire }
}
const markers: Markers = new Map([['a', 'safe']])

test('two at a time, each once, while they are wanted', async () => {
  const { reader, asked, answer, told } = make()
  reader.want([target('a'), target('b'), target('c')])
  assert.deepEqual(asked, ['a', 'b'])
  reader.want([target('a'), target('b'), target('c')])
  await answer('a', markers)
  assert.deepEqual(asked, ['a', 'b', 'c'])
  assert.deepEqual(told, [['a', markers]])
})

test('not now: asked again later and later, then it counts as having none', async () => {
  const { reader, asked, timers, told, answer, fire } = make()
  reader.want([target('a')])
  const delays: number[] = []
  for (let i = 0; i < 5; i++) {
    await answer('a', 'later')
    delays.push(...[...timers.values()].map(({ ms }) => ms))
    fire()
  }
  await answer('a', 'later')
  assert.deepEqual(delays, [5_000, 10_000, 20_000, 40_000, 80_000])
  assert.equal(asked.length, 6)
  assert.deepEqual(told, [['a', noMarkers]])
  assert.equal(timers.size, 0)
})

test('a new process is read anew, and what the old one said does not count', async () => {
  const { reader, asked, pending, told, answer } = make()
  reader.want([target('a')])
  const old = pending.get('a')!
  reader.want([target('a', 'p2')])
  assert.equal(old.signal.aborted, true)
  old.resolve(noMarkers)
  await turn()
  assert.deepEqual(told, [])
  assert.deepEqual(asked, ['a', 'a'])
  await answer('a', markers)
  assert.deepEqual(told, [['a', markers]])
})

test('who is not wanted any more is let go, and so is everybody at the end', async () => {
  const { reader, pending, timers, told, answer } = make()
  reader.want([target('a'), target('b')])
  await answer('b', 'later')
  reader.want([target('b')])
  assert.equal(pending.get('a')!.signal.aborted, true)
  assert.equal(timers.size, 1)
  reader.close()
  assert.equal(timers.size, 0)
  assert.deepEqual(told, [])
})
