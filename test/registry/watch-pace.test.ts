// When the watch asks again: rows are sentences.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answeredEarly, delayAfterAnswer, delayAfterFailure, stepIndex } from '../../src/registry/watch-pace.ts'

const rules = { minIntervalMs: 100, maxBackoffMs: 5_000, waitMs: 15_000 }

for (const [sentence, lastSeen, answered, next, reset] of [
  ['the first index is waited on', 0, 12, 12, false],
  ['a higher index is waited on', 12, 13, 13, false],
  ['the same index is waited on', 12, 12, 12, false],
  ['a lower index is a reset, and not waited on', 94, 12, 0, true],
  ['index 0 is not waited on', 94, 0, 0, false],
  ['a missing index is not waited on', 94, undefined, 0, false]
] as const) {
  test(`index: ${sentence}`, () => assert.deepEqual(stepIndex(lastSeen, answered), { next, reset }))
}
for (const [sentence, asked, answered, tookMs, early] of [
  ['an answer to a question that does not wait is not early', 0, 12, 1, false],
  ['something new is not early', 12, 13, 1, false],
  ['nothing new after the wait is not early', 12, 12, 15_400, false],
  ['nothing new at once is early', 12, 12, 1, true],
  ['no index is always early', 0, undefined, 1, true]
] as const) {
  test(`early: ${sentence}`, () => assert.equal(answeredEarly(asked, answered, tookMs, rules), early))
}
for (const [sentence, tookMs, handlingMs, early, delay] of [
  ['after a long wait it asks at once', 5_000, 0, 0, 0],
  ['in a storm it asks every 100 ms', 10, 0, 0, 90],
  ['time spent handling counts', 10, 20, 0, 70],
  ['a large answer leaves as much time idle as it took', 300, 200, 0, 200],
  ['idle time is bounded', 300, 60_000, 0, 1_000],
  ['first early answer: the plain interval', 0, 0, 1, 100],
  ['third early answer: four times', 0, 0, 3, 400],
  ['an agent that never blocks is polled every second', 0, 0, 1_000, 1_000]
] as const) {
  test(`after an answer: ${sentence}`, () => assert.equal(delayAfterAnswer(tookMs, handlingMs, early, rules), delay))
}
for (const [sentence, failures, agents, random, delay] of [
  ['the next agent is tried soon', 1, 3, 0.9, 100],
  ['then the third', 2, 3, 0.9, 100],
  ['when all have failed it backs off', 3, 3, 0.9, 180],
  ['further each round', 9, 3, 0.5, 400],
  ['jitter reaches down to the shortest interval', 60, 3, 0, 100],
  ['never above the limit', 3_000, 3, 0.999, 4_995],
  ['one agent backs off at once', 4, 1, 0.5, 800]
] as const) {
  test(`after a failure: ${sentence}`, () => assert.equal(delayAfterFailure(failures, agents, random, rules), delay))
}
