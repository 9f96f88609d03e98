// Collapsing where the origin is slow, with nothing set: one more is asked each time that takes too long, and the first answer is for all who wait.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import * as behave from '../support/origin.ts'
import { startOrigin, type Behaviour, type Origin } from '../support/origin.ts'
import type { HeaderList } from '../support/raw-server.ts'
import { until } from '../support/until.ts'

const order = (id: string) => `/json/reply/GetOrder?Id=${id}`
const slow = order('slow')
const keep: HeaderList = [['Cache-Control', 'max-age=60'], ['Content-Type', 'application/json']]
const quick = behave.ok('quick', { headers: keep })
/** Answers after which its normal time is known, and its breaker counts what takes much longer. */
const known = 60
/** Longer than any test waits: whoever is answered was not answered by a time-out. */
const patient = { deadlineMs: 120_000, headersTimeoutMs: 120_000 }

const configFor = (origins: readonly Origin[], policy: object = {}, more: PartialConfig = {}): PartialConfig => ({
  upstreams: { Shop: { endpoints: origins.map(({ url }) => url) } },
  messages: { GetOrder: { upstream: 'Shop', policy } },
  ...more
})

async function learn (gateway: TestGateway): Promise<void> {
  for (let n = 0; n < known; n++) assert.equal((await gateway.get(order(String(n)))).status, 200)
}

const asked = (...origins: readonly Origin[]) => origins.reduce((sum, { received }) => sum + received.filter(({ target }) => target === slow).length, 0)

/** All quick but one key: the `nth` request for it is answered when the test says so, the others never. */
function slowly (nth: number, more: Behaviour = quick) {
  const { promise, resolve } = Promise.withResolvers<void>()
  let count = 0
  const behaviour: Behaviour = async request => {
    if (request.target !== slow) return await more(request)
    const n = ++count
    if (n !== nth) return await behave.hang()(request)
    await promise
    await behave.ok(`answer ${n}`, { headers: keep })(request)
  }
  return { behaviour, open: resolve, [Symbol.dispose]: resolve }
}

const together = async (gateway: TestGateway, count: number) => await Promise.all(Array.from({ length: count }, async () => await gateway.get(slow, { timeoutMs: 120_000 })))

describe('an origin that is slow', { timeout: 300_000 }, () => {
  test('with every default of the cache and of breakers: however many wait, one more is asked in each round, and the first answer is for all', async () => {
    using answers = slowly(1)
    await using origin = await startOrigin(answers.behaviour)
    await using gateway = await startGateway(configFor([origin], patient))
    await gateway.waitForEndpoint(origin.url)
    await learn(gateway)
    const all = together(gateway, 300)
    await until('the third is asked', () => asked(origin) >= 3, { timeoutMs: 60_000 })
    answers.open()
    const got = await all
    assert.deepEqual([...new Set(got.map(answer => `${answer.status} ${answer.reason} ${answer.text()}`))], ['200 OK answer 1'])
    assert.ok(asked(origin) < 10, `${asked(origin)} requests`)
    assert.equal(got.filter(answer => !answer.header('cache-status')!.includes('; collapsed')).length, 1)
    assert.match((await gateway.get(slow)).header('cache-status')!, /^Postern; hit/)
  })

  test('by the time that is set: a full bulkhead refuses nobody who waits for an answer that is on its way', async () => {
    using answers = slowly(1)
    await using origin = await startOrigin(answers.behaviour)
    const policy = { ...patient, queueTimeoutMs: 100, messageBreaker: { slowCallFactor: 0 }, cache: { collapseWaitMs: 100 } }
    await using gateway = await startGateway(configFor([origin], policy, { defaults: { bulkhead: { maxConcurrent: 4, maxQueue: 4 }, breaker: { enabled: false } } }))
    await gateway.waitForEndpoint(origin.url)
    const all = together(gateway, 100)
    await until('no slot is left', () => asked(origin) === 4)
    await until('one more was refused', async () => await gateway.metric('postern_bulkhead_rejections_total') > 0)
    answers.open()
    assert.deepEqual([...new Set((await all).map(answer => `${answer.status} ${answer.text()}`))], ['200 answer 1'])
    assert.ok(asked(origin) <= 4 + 4, `${asked(origin)} requests`)
  })

  test('whose instance hangs beside one that does not: nobody waits for it, whose request it was neither', async () => {
    await using one = await startOrigin(quick)
    await using other = await startOrigin(quick)
    await using gateway = await startGateway(configFor([one, other], { ...patient, balancer: { strategy: 'round-robin' } }))
    for (const { url } of [one, other]) await gateway.waitForEndpoint(url)
    await learn(gateway)
    // In turn: whichever is asked first hangs from then on.
    let hung: Origin | undefined
    for (const origin of [one, other]) origin.behave(async request => { await ((hung ??= origin) === origin ? behave.hang() : quick)(request) })
    const got = await together(gateway, 100)
    assert.deepEqual([...new Set(got.map(answer => `${answer.status} ${answer.text()}`))], ['200 quick'])
    const requests = asked(one, other)
    assert.ok(requests >= 2 && requests < 10, `${requests} requests`)
  })

  test('and whose answers prove uncacheable: each whose request is under way has his own, the others go on by themselves', async () => {
    const mine = behave.ok('mine', { headers: [['Cache-Control', 'no-store']] })
    const { promise, resolve } = Promise.withResolvers<void>()
    await using origin = await startOrigin(async request => {
      if (request.target !== slow || asked(origin) > 2) return await (request.target === slow ? mine : quick)(request)
      await promise
      await mine(request)
    })
    await using gateway = await startGateway(configFor([origin], patient))
    await gateway.waitForEndpoint(origin.url)
    await learn(gateway)
    const all = together(gateway, 20)
    await until('the second is asked', () => asked(origin) >= 2, { timeoutMs: 60_000 })
    resolve()
    const got = await all
    assert.ok(got.every(answer => answer.text() === 'mine'))
    assert.equal(asked(origin), 20, 'one each')
  })
})
