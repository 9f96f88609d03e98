// A round of trials at one place and at several: how many beside each other, and when it is over.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Attempt } from '../../src/exchange/attempt.ts'
import { Trials } from '../../src/upstream/trials.ts'
import { fakeEndpoint, makeExchange } from '../support/exchange.ts'

const most = 3
const attempts = new Map(['a', 'b', 'c', 'd'].map(url => [url, new Attempt(fakeEndpoint(url, () => Promise.reject(new Error('not used'))), makeExchange())]))

/** How many trials begin at once. */
function beginAll (trials: Trials, places: number): number {
  let begun = 0
  for (; trials.hasRoom(most, places); begun++) trials.begin()
  return begun
}

/** `a+`: the trial at a succeeds; `a-`: it fails. After each, how many more begin; then what the round came to. */
const rounds: ReadonlyArray<readonly [places: number, first: number, events: string, begun: readonly number[], result: 'won' | 'lost' | undefined]> = [
  [1, 1, 'a+ a+ a+', [2, 0, 0], 'won'],
  [1, 1, 'a-', [], 'lost'],
  [1, 1, 'a+ a-', [2], 'lost'],
  [2, 2, 'a+ a+ a+', [2, 0, 0], 'won'],
  [2, 2, 'a-', [0], undefined],
  [2, 2, 'a- b-', [0], 'lost'],
  [2, 2, 'a- b+ b+ b+', [0, 2, 0, 0], 'won'],
  [2, 2, 'a- a-', [0], 'lost'],
  [9, 3, 'a- b- c-', [0, 0], 'lost'],
  [9, 3, 'a- b- c+ c+ c+', [0, 0, 2, 0, 0], 'won']
]
for (const [places, first, events, begun, result] of rounds) {
  test(`${places} places, ${events}: ${result ?? 'goes on'}`, () => {
    const trials = new Trials()
    assert.equal(beginAll(trials, places), first)
    const more: number[] = []
    let came: 'won' | 'lost' | undefined
    for (const event of events.split(' ')) {
      assert.equal(came, undefined)
      trials.end()
      came = trials.judge(event[1] === '+' ? 'success' : 'failure', most, places, attempts.get(event[0]!))
      if (came !== 'lost') more.push(beginAll(trials, places))
    }
    assert.deepEqual([more, came], [begun, result])
  })
}

test('where one has failed is known, until that was long ago', () => {
  const trials = new Trials()
  trials.judge('success', most, 2, attempts.get('a'))
  trials.judge('failure', most, 2, attempts.get('b'))
  assert.deepEqual(['a', 'b'].map(place => [trials.hasPassedAt(place), trials.hasFailedAt(place)]), [[true, false], [false, true]])
  assert.deepEqual(trials.failures, [attempts.get('b')])
  trials.forget(performance.now() + 1)
  assert.equal(trials.hasFailedAt('b'), false)
  assert.equal(trials.judge('failure', most, 2, attempts.get('b')), undefined)
})

test('without a place a failure ends the round', () => {
  assert.equal(new Trials().judge('failure', most, 2, undefined), 'lost')
})
