// What is purged once more a while from now.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { LatePurges } from '../../src/cache/late-purges.ts'
import type { Selector } from '../../src/cache/purge-log.ts'
import { until } from '../support/until.ts'

const tag = (name: string): Selector => ({ kind: 'tag', tag: name })

test('each comes when it is due, whatever waits beside it; one that is put off not before', async t => {
  const purged: Selector[] = []
  const late = new LatePurges(selector => { purged.push(selector) })
  t.after(() => { late.close() })
  const hour = 3_600_000
  late.add(tag('in an hour'), hour)
  late.add(tag('put off'), 1)
  late.add(tag('put off'), hour)
  late.add(tag('put off'), 1)
  late.add(tag('soon'), 20)
  await until('the first', () => purged.length > 0)
  late.add(tag('next'), 1)
  await until('the next', () => purged.length > 1)
  assert.deepEqual(purged, [tag('soon'), tag('next')])
})

test('of more than may wait, those that wait longest come at once; by their number, and by their letters', t => {
  const purged: Selector[] = []
  const late = new LatePurges(selector => { purged.push(selector) })
  t.after(() => { late.close() })
  for (let n = 0; n < 1_002; n++) late.add(tag(String(n)), 3_600_000)
  assert.deepEqual(purged.splice(0), [tag('0'), tag('1')])
  late.add(tag('x'.repeat(1_048_000)), 3_600_000)
  assert.ok(purged.length > 500)
  late.add(tag('x'.repeat(2_000_000)), 3_600_000)
  assert.equal(purged.length, 1_002, 'one that is too long by itself comes at once, too')
})

test('what is closed purges nothing any more', async () => {
  const purged: Selector[] = []
  const [closed, open] = [new LatePurges(selector => { purged.push(selector) }), new LatePurges(selector => { purged.push(selector) })]
  closed.add(tag('closed'), 1)
  closed.close()
  open.add(tag('open'), 5)
  await until('the other', () => purged.length > 0)
  open.close()
  assert.deepEqual(purged, [tag('open')])
})
