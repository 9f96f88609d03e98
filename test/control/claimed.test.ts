// What was ever claimed.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { toOperationList } from '../../src/contracts/operations.ts'
import { ClaimedNames } from '../../src/control/claimed.ts'
import { operation } from './support.ts'

test('names of registrations and lists are claimed, restricted and nested ones too, in lower case', () => {
  const claimed = new ClaimedNames(['old'])
  claimed.readRegistration({ names: ['GetProduct', 'custom-tag'] } as unknown as Parameters<ClaimedNames['readRegistration']>[0])
  claimed.readList(toOperationList([operation('Outer.Inner', { restricted: true })]))
  assert.deepEqual([...claimed.keys].toSorted(), ['custom-tag', 'getproduct', 'inner', 'old', 'outer.inner'])
})

test('beyond the bound it says so', () => {
  const claimed = new ClaimedNames(['a', 'b'], 2)
  assert.equal(claimed.overflown, false)
  claimed.add('a')
  assert.equal(claimed.overflown, false)
  claimed.add('c')
  assert.equal(claimed.overflown, true)
  assert.equal(claimed.keys.size, 2)
})
