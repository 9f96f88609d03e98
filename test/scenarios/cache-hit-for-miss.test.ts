// Answers that cannot be stored are not waited for, and nobody makes others pay for that: one caller's own answers and errors say nothing of the next.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { startOrigins } from '../support/fleet.ts'
import * as behave from '../support/origin.ts'
import { until } from '../support/until.ts'

const kept = behave.ok('kept', { headers: [['Cache-Control', 'max-age=60']] })
const errors = [500, 404, 503] as const
const cached = { messages: { Echo: { upstream: 'origin' } }, prefixes: { '/legacy/*': { upstream: 'origin' } } }

describe('after what could not be stored', { timeout: 300_000 }, () => {
  const before = {
    'another caller\'s own answers': { behaviour: kept, headers: [['Authorization', 'Bearer x']] as Array<[string, string]> },
    'errors for other ids': { behaviour: behave.ok('no', { status: 404, reason: 'NotFound' }), headers: [] }
  }
  for (const [what, { behaviour, headers }] of Object.entries(before)) {
    test(`${what}: misses of one key still ask the message's origin once`, async () => {
      await using fleet = await startOrigins([behaviour], cached)
      const { gateway, origin } = fleet
      for (let id = 0; id < 40; id++) await gateway.get(`/json/reply/Echo?Id=${id}`, { headers })
      const asked = origin.received.length
      const open = Promise.withResolvers<void>()
      origin.behave(async request => {
        await open.promise
        await kept(request)
      })
      const answers = Array.from({ length: 30 }, async () => await gateway.get('/json/reply/Echo?Id=new'))
      await until('all are under way', async () => await gateway.metric('postern_in_flight', { upstream: 'origin' }) === 30)
      open.resolve()
      assert.deepEqual((await Promise.all(answers)).map(answer => answer.text()), Array.from({ length: 30 }, () => 'kept'))
      assert.equal(origin.received.length, asked + 1)
    })
  }

  for (const status of errors) {
    for (const path of ['/json/reply/Echo?Id=1', '/legacy/thing']) {
      test(`one ${status} of ${path}: the next answer that may be stored is, at the latest after one more`, async () => {
        await using fleet = await startOrigins([behave.ok('no', { status, reason: 'Broken' })], cached)
        const { gateway, origin } = fleet
        assert.equal((await gateway.get(path)).status, status)
        origin.behave(kept)
        for (let n = 0; n < 2; n++) assert.equal((await gateway.get(path)).text(), 'kept')
        assert.match((await gateway.get(path)).header('cache-status')!, /hit/)
      })
    }
  }

  test('what is stale as it comes, with nothing to validate it by, is asked for by everybody at once', async () => {
    const stale = behave.ok('stale', { headers: [['Cache-Control', 'max-age=0']] })
    await using fleet = await startOrigins([stale], cached)
    const { gateway, origin } = fleet
    assert.equal((await gateway.get('/legacy/thing')).text(), 'stale')
    const open = Promise.withResolvers<void>()
    origin.behave(async request => {
      await open.promise
      await stale(request)
    })
    const answers = Array.from({ length: 10 }, async () => await gateway.get('/legacy/thing'))
    await until('all of them are at the origin', () => origin.received.length === 11)
    open.resolve()
    await Promise.all(answers)
  })
})
