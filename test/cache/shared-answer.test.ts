// Who is asked when, and what each of those who wait for one answer is told. No I/O: fills are told what they end with.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Fill } from '../../src/cache/fill.ts'
import type { FillAnswer } from '../../src/cache/fill-result.ts'
import { Fills } from '../../src/cache/fills.ts'
import { SharedAnswer, type Asker, type Waited } from '../../src/cache/shared-answer.ts'
import { GatewayError } from '../../src/exchange/errors.ts'
import type { Exchange } from '../../src/exchange/exchange.ts'
import { ResponseBody } from '../../src/exchange/response-body.ts'
import { makeExchange } from '../support/exchange.ts'
import { until } from '../support/until.ts'
import { requestOf } from './support.ts'

/** Never by itself, in most of what follows: `overdue` is said by the test. */
const waitMs = 600_000
const failed = (code: 'BulkheadFull' | 'HeadersTimeout' | 'DeadlineExceeded' = 'BulkheadFull'): FillAnswer => ({ kind: 'failed', error: new GatewayError(code) })

/** What one who waits has been told so far. */
interface Told { readonly exchange: Exchange, told: string | undefined }

/** An answer of which nothing is here, with those who want it, and what was asked in whose name. */
function share (ofThem: Partial<Asker> = {}, { everyMs = waitMs }: { everyMs?: number } = {}) {
  let over = 0
  const answer: SharedAnswer = new SharedAnswer({ key: 'k', waitMs: everyMs, onOver: () => { over++ } })
  const fills: Array<Fill & { readonly client: Exchange }> = []
  const want = (own: Partial<Asker> = {}): Told => {
    const exchange = makeExchange()
    const one: Told = { exchange, told: undefined }
    const ask = (): Fill => {
      const fill = { client: exchange, own: ['Set-Cookie', 'a=1'], place: { upstream: 'orders' }, start () {}, joined () {}, sharedSince: () => 0, shownTo () {} } as unknown as Fill
      fills.push(fill)
      return fill
    }
    void answer.wait({ exchange, request: requestOf(), spentMs: 0, isAdmitted: () => true, ask, standsInFor: () => false, ...ofThem, ...own }).then(waited => { one.told = word(waited) })
    return one
  }
  return { answer, fills, want, get over () { return over }, [Symbol.dispose] () { for (const fill of fills) answer.over(fill) } }
}

const word = ({ result, collapsed }: Waited): string => `${result.kind}${result.kind === 'failed' ? ` ${result.error.code}` : ''}${collapsed ? ', collapsed' : ''}`
/** Whoever was told something has heard it. */
const heard = async (): Promise<void> => { await new Promise(resolve => setImmediate(resolve)) }
const notStored = (): FillAnswer => ({ kind: 'not-stored', plain: false, response: { status: 200, reason: 'OK', headers: [], body: ResponseBody.of(Buffer.from('x')) } })

describe('who is asked', () => {
  test('one for all; one more in the name of the next when that takes too long; never two for one client', () => {
    using shared = share()
    const { answer, fills, want } = shared
    const [first, second] = [want(), want(), want()]
    assert.deepEqual(fills.map(({ client }) => client), [first!.exchange])
    answer.overdue(fills[0]!)
    assert.deepEqual(fills.map(({ client }) => client), [first!.exchange, second!.exchange])
    answer.overdue(fills[0]!)
    assert.equal(fills.length, 2, 'the newest has its time')
    for (let n = 1; n < 4; n++) answer.overdue(fills.at(-1)!)
    assert.equal(fills.length, 3, 'each has asked')
    assert.equal(answer.running, 3)
  })

  test('whoever comes when that takes too long and nobody else waits asks at once', () => {
    using shared = share()
    const { answer, fills, want } = shared
    want()
    answer.overdue(fills[0]!)
    assert.equal(fills.length, 1)
    want()
    want()
    assert.equal(fills.length, 2)
  })

  test('after the time that is set, as long as somebody waits who has not asked', async () => {
    using shared = share({}, { everyMs: 1 })
    const { fills, want } = shared
    for (let n = 0; n < 3; n++) want()
    await until('all have asked', () => fills.length === 3)
  })

  test('nobody, where breakers let nobody through: who has not asked goes', async () => {
    using shared = share({ isAdmitted: () => false })
    const { answer, fills, want } = shared
    const all = [want(), want(), want()]
    answer.overdue(fills[0]!)
    await heard()
    assert.deepEqual(all.map(({ told }) => told), [undefined, 'refused, collapsed', 'refused, collapsed'])
    assert.equal(fills.length, 1)
  })
})

describe('what they are told', () => {
  test('a failure, when nobody is asked any more', async () => {
    using shared = share()
    const { answer, fills, want } = shared
    const all = [want(), want(), want()]
    answer.overdue(fills[0]!)
    answer.settle(fills[1]!, failed())
    await heard()
    assert.deepEqual(all.map(({ told }) => told), [undefined, undefined, undefined])
    answer.settle(fills[0]!, failed('HeadersTimeout'))
    await heard()
    assert.deepEqual(all.map(({ told }) => told), ['failed HeadersTimeout', 'failed HeadersTimeout, collapsed', 'failed HeadersTimeout, collapsed'])
    assert.equal(shared.over, 1)
  })

  test('or at once, where something stored stands in for it', async () => {
    using shared = share()
    const { answer, fills, want } = shared
    const all = [want(), want({ standsInFor: ({ code }) => code === 'BulkheadFull' }), want()]
    answer.overdue(fills[0]!)
    answer.settle(fills[1]!, failed())
    await heard()
    assert.deepEqual(all.map(({ told }) => told), [undefined, 'failed BulkheadFull', undefined])
  })

  test('who asked and failed asks again in his turn', () => {
    using shared = share()
    const { answer, fills, want } = shared
    const [, second] = [want(), want()]
    answer.overdue(fills[0]!)
    answer.settle(fills[1]!, failed())
    assert.equal(fills.length, 2)
    answer.overdue(fills[1]!)
    assert.equal(fills[2]!.client, second!.exchange)
  })

  test('that it is not stored: whose request it was has it, who has another under way waits for that, the others go on by themselves', async () => {
    using shared = share()
    const { answer, fills, want } = shared
    const all = [want(), want(), want()]
    answer.overdue(fills[0]!)
    answer.settle(fills[1]!, notStored())
    await heard()
    assert.deepEqual(all.map(({ told }) => told), [undefined, 'own', 'alone, collapsed'])
    answer.settle(fills[0]!, notStored())
    await heard()
    assert.equal(all[0]!.told, 'own')
  })

  test('the first that is found, all of them', async () => {
    using shared = share()
    const { answer, fills, want } = shared
    const all = [want(), want(), want()]
    answer.overdue(fills[0]!)
    answer.settle(fills[1]!, { kind: 'found' })
    await heard()
    assert.deepEqual(all.map(({ told }) => told), ['found, collapsed', 'found', 'found, collapsed'])
    assert.equal(answer.running, 1, 'the first is still under way')
  })

  test('why he is not waited for any longer, who leaves or whose deadline comes; the others wait on', async () => {
    using shared = share()
    const { answer, fills, want } = shared
    const all = [want(), want(), want()]
    all[1]!.exchange.end(new GatewayError('DeadlineExceeded'))
    all[0]!.exchange.end(new GatewayError('ClientClosed'))
    await heard()
    assert.deepEqual(all.map(({ told }) => told), ['failed ClientClosed', 'failed DeadlineExceeded, collapsed', undefined])
    answer.settle(fills[0]!, failed('HeadersTimeout'))
    await heard()
    assert.equal(all[2]!.told, 'failed HeadersTimeout, collapsed')
  })
})

test('a purge that may mean it keeps those out who come after it', () => {
  const fills = new Fills()
  const answer = fills.open('k', waitMs)
  const fill = { place: { upstream: 'orders' }, start () {} } as unknown as Fill
  answer.begin(fill)
  fills.purge({ kind: 'service', service: 'Others' })
  assert.equal(fills.find('k'), answer)
  fills.purge({ kind: 'tag', tag: 'its tags are not known yet' })
  assert.equal(fills.find('k'), undefined)
  const next = fills.open('k', waitMs)
  answer.over(fill)
  assert.equal(fills.find('k'), next, 'what is over was let go before')
})
