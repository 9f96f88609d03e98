// One instance that hangs beside one that does not: it goes soon, by what the other answers meanwhile, and takes nobody with it.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { startOrigins } from '../support/fleet.ts'
import * as behave from '../support/origin.ts'
import { until } from '../support/until.ts'

const echo = '/json/reply/Echo'
const other = '/json/reply/Other'
const patient = { headersTimeoutMs: 120_000, deadlineMs: 120_000, cache: { mode: 'off' as const } }

describe('of two instances, taken in turn, one hangs', { timeout: 300_000 }, () => {
  for (const [what, hanging] of [['with one of two messages', behave.byPath({ [echo]: behave.hang() }, behave.ok('other'))], ['with everything', behave.hang()]] as const) {
    test(`${what}: it is out long before any time-out, and neither the message nor the upstream is`, async () => {
      const config = { bulkhead: { maxConcurrent: 2_000 }, breaker: { resetTimeoutMs: 600_000, errorThresholdPercent: 20 }, balancing: { slowStartMs: 0 }, policy: { ...patient, balancer: { strategy: 'round-robin' as const } } }
      await using fleet = await startOrigins([behave.ok('well'), behave.ok('well')], { upstreams: { origin: config } })
      const { gateway, origin } = fleet
      // Twice each, so that both messages go to both.
      const paths = [echo, echo, echo, echo, other, other]
      for (let n = 0; n < 10; n++) for (const path of paths) assert.equal((await gateway.post(path, {})).status, 200)
      origin.behave(hanging)
      const calls: Array<Promise<unknown>> = []
      await until('it is out', async () => {
        for (const path of paths) calls.push(gateway.post(path, {}, { timeoutMs: 120_000 }))
        return await gateway.metric('postern_breaker_state', { endpoint: origin.url }) === 2
      })
      assert.equal(await gateway.metric('postern_message_breaker_state'), 0, 'messages and upstream')
      for (let n = 0; n < 10; n++) for (const path of paths) assert.equal((await gateway.post(path, {})).text(), 'well')
      await origin.server.kill()
      await Promise.allSettled(calls)
    })
  }
})
