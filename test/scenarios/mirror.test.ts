// Mirroring on real sockets: the shadow gets copies, and nothing that it does is felt.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { startOrigins } from '../support/fleet.ts'
import { request, targetOf } from '../support/http-client.ts'
import * as behave from '../support/origin.ts'
import { until } from '../support/until.ts'

const path = '/json/reply/Echo?Id=1'

describe('mirroring', { timeout: 300_000 }, () => {
  for (const [what, behaviour] of [['answers', behave.ok('shadow')], ['answers 500', behave.ok('no', { status: 500, reason: 'Broken' })], ['hangs', behave.hang()], ['resets', behave.reset()]] as const) {
    test(`a shadow that ${what} is felt by nobody`, async () => {
      await using shadow = await behave.startOrigin(behaviour)
      await using fleet = await startOrigins([behave.ok('real')], {
        upstreams: { shadow: { endpoints: [shadow.url] }, origin: { policy: { deadlineMs: 4_000, mirror: { to: 'shadow' } } } }
      })
      const { gateway, origin } = fleet
      for (let i = 0; i < 5; i++) assert.equal((await gateway.get(path, { headers: [['Authorization', 'Bearer x']] })).text(), 'real')
      assert.equal((await gateway.post(path, {})).text(), 'real')
      await until('all copies are over', async () => await gateway.metric('postern_mirrored_total', { upstream: 'shadow' }) === 5)
      assert.ok(shadow.received.length >= 1 && shadow.received.length <= 5)
      for (const copy of shadow.received) assert.deepEqual([copy.method, copy.target, copy.header('x-postern-mirror'), copy.header('authorization')], ['GET', path, '1', undefined])
      assert.equal(origin.received.length, 6)
      assert.ok(origin.received.every(request => request.header('x-postern-mirror') === undefined))
      await gateway.metricBecomes('postern_requests_total', 6, { upstream: 'origin' })
      assert.equal(await gateway.metric('postern_requests_total', { upstream: 'shadow' }), 0, 'a copy is no client\'s call')
      if (what === 'hangs') {
        const lines = await until('every time-out is in the log', async () => {
          const late = (await gateway.log()).filter(({ msg }) => msg === 'a mirrored copy took too long')
          return late.length === 5 && late
        })
        for (const { service, message, detail } of lines) {
          const { limit, value, waitedFor } = detail as Record<string, unknown>
          assert.deepEqual([service, message, typeof limit, typeof value, typeof waitedFor], ['shadow', 'Echo', 'string', 'number', 'string'])
        }
      }
      await until('nothing is left', async () => await gateway.metric('postern_pool_connections', { state: 'busy' }) === 0)
    })
  }

  test('of a share only so many are copied', async () => {
    await using shadow = await behave.startOrigin()
    await using fleet = await startOrigins([behave.ok('real')], { upstreams: { shadow: { endpoints: [shadow.url] }, origin: { policy: { mirror: { to: 'shadow', percent: 30 } } } } })
    for (let n = 0; n < 200; n++) assert.equal((await fleet.gateway.get(path)).text(), 'real')
    const copies = await fleet.gateway.metric('postern_mirrored_total', { upstream: 'shadow' })
    // Six standard deviations around 60; the last may be under way.
    assert.ok(copies > 20 && copies < 100, `${copies}`)
  })

  for (const [what, held] of [['a shadow', {}], ['a message on the shadow', { message: 'echo' }]] as const) {
    test(`${what} that is held open gets no copies, and gets them again when it is released`, async () => {
      await using shadow = await behave.startOrigin()
      await using fleet = await startOrigins([behave.ok('real')], { upstreams: { shadow: { endpoints: [shadow.url] }, origin: { policy: { mirror: { to: 'shadow' } } } } })
      const { gateway } = fleet
      const tell = async (order: string, more: object = {}) => {
        const body = JSON.stringify({ upstream: 'shadow', ...held, ...more })
        assert.equal((await request(targetOf(gateway.admin), `/api/breakers/${order}`, { method: 'POST', headers: [['Content-Type', 'application/json']], body })).status, 200)
      }
      await tell('hold', { held: 'open', reason: 'it is being moved', by: 'ann' })
      for (let n = 0; n < 5; n++) assert.equal((await gateway.get(path)).text(), 'real')
      await gateway.metricBecomes('postern_mirrored_total', 5, { upstream: 'shadow', result: 'dropped' })
      assert.equal(shadow.received.length, 0)
      await tell('release')
      assert.equal((await gateway.get(path)).text(), 'real')
      await until('it was copied', () => shadow.received.length === 1)
    })
  }

  test('what becomes of copies closes nothing for those who call the shadow themselves', async () => {
    const one = behave.byPath({ '/json/reply/Echo': behave.ok('', { status: 503, reason: 'Broken', headers: [['Retry-After', '60']] }) }, behave.ok('own'))
    await using first = await behave.startOrigin(one)
    await using second = await behave.startOrigin(one)
    await using fleet = await startOrigins([behave.ok('real')], {
      upstreams: { shadow: { endpoints: [first.url, second.url] }, origin: { policy: { mirror: { to: 'shadow' } } } },
      messages: { Own: { upstream: 'shadow', policy: { cache: { mode: 'off' } } } }
    })
    const { gateway } = fleet
    const copies = 30
    for (let n = 0; n < copies; n++) {
      assert.equal((await gateway.get(path)).text(), 'real')
      await until('the copy is over', async () => await gateway.metric('postern_mirrored_total', { upstream: 'shadow', result: 'failure' }) === n + 1)
    }
    await gateway.metricBecomes('postern_attempts_total', copies, { upstream: 'shadow', outcome: 'ignored' })
    for (let n = 0; n < 4; n++) assert.equal((await gateway.post('/json/reply/Own', {})).text(), 'own')
  })
})
