// A service that fails and works by turns: its breakers follow it down and up again, whether calls are many or rare, and let calls in slowly.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import { startOrigins } from '../support/fleet.ts'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import * as behave from '../support/origin.ts'
import { until } from '../support/until.ts'

const echo = '/json/reply/Echo'
const other = '/json/reply/Other'
const resetTimeoutMs = 300
const flapping = { consecutiveFailures: 4, resetTimeoutMs, trials: 2, rampMs: 200 }

/** Calls both messages in turn, one after the other. Answers by status and reason. */
async function callBoth (gateway: TestGateway, calls: number): Promise<string[]> {
  const found: string[] = []
  for (let n = 0; n < calls; n++) {
    const { status, reason } = await gateway.post(n % 2 === 0 ? echo : other, {})
    found.push(`${status} ${reason}`)
  }
  return found
}

describe('a service that flaps', { timeout: 300_000 }, () => {
  for (const { name, broken, breaker } of [
    { name: 'one of its messages', broken: behave.byPath({ [echo]: behave.ok('', { status: 500, reason: 'Broken' }) }), breaker: 'postern_message_breaker_state' },
    { name: 'all of it', broken: behave.ok('', { status: 502, reason: 'Broken' }), breaker: 'postern_breaker_state' }
  ]) {
    test(`${name}: closed off each time it fails, with few trials, and served each time it works`, async () => {
      await using fleet = await startOrigins([behave.ok('fine')], { upstreams: { origin: { breaker: flapping } } })
      const { gateway, origin } = fleet
      const isOpen = async () => await gateway.metric(breaker) >= 2
      for (let round = 0; round < 3; round++) {
        const answers: string[] = []
        origin.behave(broken)
        await until(`round ${round}: it is open`, async () => {
          answers.push(...await callBoth(gateway, 2))
          return await isOpen()
        })
        const failed = () => origin.received.filter(({ target }) => target === echo).length
        const before = failed()
        const startedAt = performance.now()
        answers.push(...await callBoth(gateway, 40))
        const trials = failed() - before
        assert.ok(trials <= 1 + (performance.now() - startedAt) / resetTimeoutMs, `${trials} calls to what is open`)
        origin.behave(behave.ok('fine'))
        await until(`round ${round}: it is served again, every call`, async () => {
          const now = await callBoth(gateway, 6)
          answers.push(...now)
          return now.every(answer => answer === '200 OK')
        })
        assert.deepEqual(answers.filter(answer => !['200 OK', '500 Broken', '502 Broken', '503 BreakerOpen'].includes(answer)), [])
        if (name !== 'all of it') assert.ok(answers.filter(answer => answer === '200 OK').length >= answers.length / 2, 'the other message works all the time')
      }
    })
  }
})

test('after it closed the share of calls that pass grows, until all do', { timeout: 300_000 }, async () => {
  await using fleet = await startOrigins([behave.ok('', { status: 500, reason: 'Broken' })], { messages: { Echo: { upstream: 'origin', policy: { messageBreaker: { consecutiveFailures: 3, resetTimeoutMs: 100, trials: 1, rampMs: 8_000 } } } } })
  const { gateway, origin } = fleet
  const state = async () => await gateway.metric('postern_message_breaker_state', { message: 'Echo' })
  await until('it is open', async () => {
    await gateway.post(echo, {})
    return await state() === 2
  })
  origin.behave(behave.ok('mended'))
  await until('a trial succeeds', async () => (await gateway.post(echo, {})).status === 200)
  // How many are refused before one passes, each time.
  const gaps: number[] = []
  let gap = 0
  await until('ten pass in a row', async () => {
    const answer = await gateway.post(echo, {})
    if (answer.status === 200) {
      gaps.push(gap)
      gap = 0
    } else {
      assert.equal(answer.reason, 'BreakerOpen')
      gap++
    }
    return gaps.length >= 10 && gaps.slice(-10).every(refused => refused === 0)
  }, { everyMs: 5 })
  const sum = (part: readonly number[]) => part.reduce((total, refused) => total + refused, 0)
  const half = Math.floor(gaps.length / 2)
  assert.ok(sum(gaps.slice(0, half)) > sum(gaps.slice(half)), gaps.join())
})

test('where calls are rare the endpoint is asked itself: it stays out while it says no, and is back without a call', { timeout: 300_000 }, async () => {
  let isWell = false
  let asked = 0
  let called = 0
  const server = createServer((request, response) => {
    if (request.headers['user-agent'] === 'postern') {
      if (request.url === '/alive') asked++
      response.writeHead(isWell || request.url !== '/alive' ? 200 : 503).end()
      return
    }
    called++
    response.writeHead(isWell ? 200 : 502).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  try {
    await using gateway = await startGateway({
      upstreams: { origin: { endpoints: [url], livenessPath: '/alive', breaker: { consecutiveFailures: 3, resetTimeoutMs: 100, askIdleMs: 100, trials: 2, rampMs: 0, windowMs: 2_000 }, policy: { messageBreaker: { enabled: false } } } },
      messages: { Echo: { upstream: 'origin' }, Other: { upstream: 'origin' } }
    } as PartialConfig)
    await gateway.waitForEndpoint(url)
    const state = async () => await gateway.metric('postern_breaker_state', { endpoint: url })
    for (let round = 0; round < 2; round++) {
      isWell = false
      await until('it is open', async () => {
        await callBoth(gateway, 2)
        return await state() === 2
      })
      const before = { asked, called }
      await until('it was asked, and said no', async () => asked > before.asked + 1)
      assert.notEqual(await state(), 0)
      isWell = true
      await until('it is back', async () => await state() === 0)
      assert.equal(called, before.called, 'nobody called')
      await until('it is served', async () => (await callBoth(gateway, 4)).every(answer => answer === '200 OK'))
    }
  } finally {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
})
