// Of which messages the second level has answers: kept over a restart, bounded, and never trusted blindly.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseShared, serializeShared, SharedMessages } from '../../../src/cache/second-level/shared-messages.ts'

const nowMs = Date.UTC(2026, 10, 27, 12)
const one = { upstream: 'Shop', message: 'GetOrder', untilMs: nowMs + 1 }

describe('messages of which the second level has answers', () => {
  test('are written and read; those whose answers have ended are left out', () => {
    assert.deepEqual(parseShared(serializeShared([one, { ...one, message: 'GetShop', untilMs: nowMs }]), nowMs), [one])
  })

  for (const [what, text] of [
    ['another version', '{"version":2,"messages":[]}'], ['no list', '{"version":1}'], ['nothing', 'null'], ['no JSON', '{'],
    ['a time that is none', serializeShared([{ ...one, untilMs: 'soon' as never }])], ['an entry that is none', '{"version":1,"messages":[null]}']
  ] as const) test(`with ${what} it is no such file`, () => { assert.throws(() => parseShared(text, nowMs)) })

  test('outlive a restart, and a broken file is reported', async t => {
    const directory = await mkdtemp(join(tmpdir(), 'postern-shared-'))
    t.after(async () => { await rm(directory, { recursive: true, force: true }) })
    const problems: string[] = []
    const start = async () => {
      const messages = new SharedMessages(directory, problem => { problems.push(problem) })
      await messages.load()
      return messages
    }
    const before = await start()
    const untilMs = Date.now() + 3_600_000
    before.note('Shop', 'GetOrder', untilMs)
    before.note('Shop', 'GetOrder', untilMs - 1)
    before.note('Shop', 'GetShop', untilMs)
    before.note('Shop', '/shop/*', untilMs)
    before.note('Shop', 'GetOld', Date.now() - 1)
    before.forget({ kind: 'message', message: 'GETSHOP' })
    await before.close()
    const after = await start()
    assert.deepEqual([...after.all()], [{ upstream: 'Shop', message: 'GetOrder', untilMs }])
    assert.deepEqual([after.until('Shop', 'GetOrder'), after.until('Shop', 'GetShop')], [untilMs, 0])
    await after.close()
    assert.deepEqual(problems, [])
    await writeFile(join(directory, 'shared-messages.json'), (await readFile(join(directory, 'shared-messages.json'), 'utf8')).slice(0, -5))
    assert.deepEqual([...(await start()).all()], [])
    assert.equal(problems.length, 1)
  })

  test('are no more than 20,000', async () => {
    const messages = new SharedMessages(undefined, () => {})
    for (let n = 0; n < 30_000; n++) messages.note('Shop', `Get${n}`, Date.now() + 3_600_000)
    assert.equal([...messages.all()].length, 20_000)
    await messages.close()
  })

  test('one for which there is no room has it as soon as others have ended', async t => {
    t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: nowMs })
    const messages = new SharedMessages(undefined, () => {})
    for (let n = 0; n < 20_000; n++) messages.note('Shop', `Get${n}`, nowMs + 60_000)
    t.mock.timers.tick(50_000)
    messages.note('Shop', 'GetOrder', nowMs + 3_600_000)
    assert.equal(messages.until('Shop', 'GetOrder'), 0)
    t.mock.timers.tick(30_000)
    messages.note('Shop', 'GetOrder', nowMs + 3_600_000)
    assert.deepEqual([...messages.all()].map(({ message }) => message), ['GetOrder'])
    await messages.close()
  })

  for (const [selector, left] of [
    [{ kind: 'message', message: 'getorder' }, ['Shop GetShop', 'Other GetShop']],
    [{ kind: 'service', service: 'shop' }, ['Other GetOrder', 'Other GetShop']],
    [{ kind: 'all' }, []],
    [{ kind: 'tag', tag: 'GetOrder' }, ['Shop GetOrder', 'Shop GetShop', 'Other GetOrder', 'Other GetShop']]
  ] as const) {
    test(`a purge takes what it means: ${JSON.stringify(selector)}`, async () => {
      const messages = new SharedMessages(undefined, () => {})
      for (const upstream of ['Shop', 'Other']) for (const message of ['GetOrder', 'GetShop']) messages.note(upstream, message, Date.now() + 3_600_000)
      messages.forget(selector)
      assert.deepEqual([...messages.all()].map(({ upstream, message }) => `${upstream} ${message}`), left)
      messages.note('Shop', 'GetNew', Date.now() + 3_600_000)
      assert.equal(messages.until('shop', 'getnew') > 0, true)
      await messages.close()
    })
  }
})
