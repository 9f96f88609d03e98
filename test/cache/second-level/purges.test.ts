// What a purge means for answers of the second level: by the server's order, bounded, and never forgotten on its way.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { Circuit } from '../../../src/cache/second-level/circuit.ts'
import { purgeFromText, purgeToText, SharedPurges, type Outgoing } from '../../../src/cache/second-level/purges.ts'
import type { Selector } from '../../../src/cache/purge-log.ts'
import type { Place } from '../../../src/cache/stored.ts'

const place: Place = { key: 'k', target: '/json/reply/getorder?id=1', upstream: 'Shop', message: 'GetOrder', reached: [], ownTags: ['getorder?id=1'] }
const selectors: Selector[] = [
  { kind: 'all' }, { kind: 'target', target: '/json/reply/getorder?id=1' }, { kind: 'tag', tag: 'a' }, { kind: 'tag', tag: 'getorder?id=1' },
  { kind: 'message', message: 'getORDER' }, { kind: 'service', service: 'SHOP' }
]
const others: Selector[] = [{ kind: 'target', target: '/other' }, { kind: 'tag', tag: 'b' }, { kind: 'message', message: 'GetOrders' }, { kind: 'service', service: 'Shops' }]
const hard = (selector: Selector): Outgoing => ({ selector, soft: false })
const judge = (purges: SharedPurges, mark: string) => purges.judge(mark, place, ['a'])

describe('purges of all gateways', () => {
  for (const selector of selectors) {
    test(`${JSON.stringify(selector)} means what was asked for before it`, () => {
      const purges = new SharedPurges()
      purges.note(hard(selector), '10-5')
      assert.deepEqual(['0-0', '10-4', '10-5', '11-0'].map(mark => judge(purges, mark)), ['gone', 'gone', 'usable', 'usable'])
      purges.note({ selector, soft: true }, '20-0')
      assert.deepEqual(['10-4', '10-5', '20-0'].map(mark => judge(purges, mark)), ['gone', 'stale', 'usable'])
    })
  }

  test('of something else means nothing', () => {
    const purges = new SharedPurges()
    for (const selector of others) purges.note(hard(selector), '10-5')
    assert.equal(judge(purges, '0-0'), 'usable')
  })

  test('that wait for the server count as newer than anything there', () => {
    const purges = new SharedPurges()
    purges.add(hard({ kind: 'all' }))
    assert.equal(judge(purges, '99-0'), 'gone')
    const [under] = purges.outgoing()
    // Once more, while the first is on its way: that one does not confirm it.
    purges.add(hard({ kind: 'all' }))
    purges.confirmed(under!, '100-0')
    assert.equal(purges.waiting, 1)
    assert.equal(judge(purges, '100-0'), 'gone')
    purges.confirmed(purges.outgoing()[0]!, '101-0')
    assert.equal(purges.waiting, 0)
    assert.deepEqual([judge(purges, '100-0'), judge(purges, '101-0')], ['gone', 'usable'])
  })

  test('that are too many to wait become one of everything', () => {
    const purges = new SharedPurges()
    for (let n = 0; n < 5_000; n++) {
      purges.add(hard({ kind: 'tag', tag: `t${n}` }))
      assert.ok(purges.waiting <= 1_000)
    }
    assert.ok(purges.outgoing().some(({ selector }) => selector.kind === 'all'))
    assert.equal(judge(purges, '99-0'), 'gone')
  })

  test('that are too many to remember leave what is older untrusted', () => {
    const purges = new SharedPurges()
    for (let n = 1; n <= 30_000; n++) purges.note(hard({ kind: 'tag', tag: `t${n}` }), `${n}-0`)
    assert.deepEqual([judge(purges, '9999-0'), judge(purges, '10000-0')], ['gone', 'usable'])
  })

  test('are written and read; what is not known is nothing', () => {
    for (const selector of [...selectors, ...others]) for (const soft of [true, false]) assert.deepEqual(purgeFromText(purgeToText({ selector, soft })), { selector, soft })
    for (const text of ['', 'x', 'null', '1', '[]', '{}', '{"kind":"tag-hash"}', '{"kind":"tag-hash","tag":1}', '{"kind":"tag","tag":"as versions before wrote it"}', '{"kind":"target","target":"/json/reply/getorder?id=1"}', '{"kind":"planet","planet":"x"}']) assert.equal(purgeFromText(text), undefined, text)
  })
})

test('a purge that only writes made is told as such; an operator\'s of the same kind is not lost among them', () => {
  const message = { kind: 'message', message: 'GetOrder' } as const
  assert.deepEqual(purgeFromText(purgeToText({ selector: message, soft: false, write: true })), { selector: message, soft: false, write: true })
  for (const order of [[true, undefined], [undefined, true], [true, true]] as const) {
    const purges = new SharedPurges()
    for (const write of order) purges.add({ selector: message, soft: false, ...write ? { write } : {} })
    assert.deepEqual(purges.outgoing().map(({ write }) => write), [order.every(write => write === true) ? true : undefined])
  }
})

test('three failures in a row open the circuit; tries come further and further apart', () => {
  const circuit = new Circuit()
  assert.deepEqual([circuit.failed(), circuit.failed()], [false, false])
  circuit.succeeded()
  assert.deepEqual([circuit.failed(), circuit.failed(), circuit.failed(), circuit.failed()], [false, false, true, false])
  assert.equal(circuit.open, true)
  const waits = Array.from({ length: 6 }, () => {
    const { waitMs } = circuit
    circuit.waitLonger()
    return waitMs
  })
  assert.deepEqual(waits, [250, 500, 1_000, 2_000, 4_000, 4_000])
  circuit.close()
  assert.deepEqual([circuit.open, circuit.failed()], [false, false])
})
