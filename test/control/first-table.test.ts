// How long the first table of a control thread waits for what cannot be read: a whole registry, or a service of one.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FirstTable } from '../../src/control/first-table.ts'
import { emptyPlan, type Decision, type Plan } from '../../src/control/plan.ts'

const next = { endpoints: [] } as unknown as Decision
const [whole, part, registry] = [{ missing: 0, unread: false }, { missing: 0, unread: true }, { missing: 1, unread: true }]
const before: Plan = { ...emptyPlan, upstreams: new Map([['orders', {} as never]]), messages: new Map([['placeorder', {} as never]]) }

for (const [sentence, applied, standing, goesAtMs] of [
  ['a start that knows all waits for nothing', emptyPlan, whole, 0],
  ['a start waits for a service for a while', emptyPlan, part, 2_000],
  ['and as long for a registry', emptyPlan, registry, 2_000],
  ['a thread that takes over asks the endpoints, no more', before, whole, 0],
  ['it waits longer for a service, but not for all time: it may never be read', before, part, 10_000],
  ['and for all time for a registry', before, registry, undefined]
] as const) {
  test(sentence, () => {
    let now = 0
    const first = new FirstTable(applied, 2_000, () => now)
    const goesAt = [0, 1_999, 2_000, 9_999, 10_000, 9_000_000].find(at => {
      now = at
      // Every endpoint has answered: nothing else is waited for.
      return first.mayGo(next, { ...standing, hasAny: true, knows: () => true })
    })
    assert.equal(goesAt, goesAtMs)
  })
}

test('what only time lets go is woken for', () => {
  for (const [applied, wakeMs] of [[emptyPlan, 2_000], [before, 10_000]] as const) {
    const first = new FirstTable(applied, 2_000, () => 0)
    assert.equal(first.mayGo(next, { ...part, hasAny: true, knows: () => true }), false)
    assert.equal(first.wakeMs, wakeMs)
  }
})
