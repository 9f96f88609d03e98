// What a DTO says of itself (IGet, IPost, …) decides for retry, hedging, mirroring and cache alike, whatever the method of the call.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startFleet, type Fleet } from '../support/fleet.ts'
import type { PartialConfig } from '../support/gateway.ts'
import type { MessageDefinition } from '../support/servicestack-messages.ts'
import * as behave from '../support/origin.ts'
import { until } from '../support/until.ts'

/** A question that is asked by POST, and a change that is made by GET: the methods alone would say the opposite. */
const question = { actions: ['POST'], marker: 'IGet' } as const
const change = { actions: ['GET'], marker: 'IPost' } as const

interface Asked { readonly question: number, readonly change: number }

/** Two hosts with both messages, and a shadow that everything safe is copied to. Ready when the markers are known. */
async function startShop (handler: MessageDefinition['handler'], policy: object): Promise<{ fleet: Fleet, shadow: behave.Origin, ask: (calls: number) => Promise<Asked> } & AsyncDisposable> {
  const stack = new AsyncDisposableStack()
  try {
    const shadow = stack.use(await behave.startOrigin())
    const messages = { AskStock: { ...question, handler }, TakeStock: { ...change, handler } }
    const fleet = stack.use(await startFleet([{ service: 'Shop', replay: false, messages }, { service: 'Shop', replay: false, messages }], {
      defaults: { policy: { balancer: { strategy: 'round-robin' }, messageBreaker: { enabled: false }, ...policy } },
      upstreams: { shadow: { endpoints: [shadow.url] }, Shop: { breaker: { enabled: false }, retryBudget: { percent: 100 }, policy: { mirror: { to: 'shadow' } } } }
    } as PartialConfig))
    const { gateway, hosts } = fleet
    const executed = (name: string) => hosts.reduce((sum, host) => sum + host.executed.filter(one => one === name).length, 0)
    const post = async () => await gateway.post('/json/reply/AskStock', { id: 1 })
    await until('the markers are known', async () => {
      await post()
      return shadow.received.length > 0
    }, { everyMs: 50 })
    const ask = async (calls: number) => {
      const before = [executed('AskStock'), executed('TakeStock')] as const
      for (let n = 0; n < calls; n++) {
        await post()
        await gateway.get('/json/reply/TakeStock?id=1')
      }
      return { question: executed('AskStock') - before[0], change: executed('TakeStock') - before[1] }
    }
    const owned = stack.move()
    return { fleet, shadow, ask, [Symbol.asyncDispose]: async () => { await owned.disposeAsync() } }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

test('retry and mirror: the question is repeated and copied, the change neither', { timeout: 300_000 }, async () => {
  await using shop = await startShop(() => ({ status: 503, body: {} }), { cache: { mode: 'off' }, retry: { backoffMs: 1, maxBackoffMs: 1 } })
  assert.deepEqual(await shop.ask(5), { question: 10, change: 5 })
  await until('copies are made', () => shop.shadow.received.length > 1)
  assert.ok(shop.shadow.received.every(({ target }) => target.includes('AskStock')))
})

test('cache: the answer to the question is kept, that of the change is not', { timeout: 300_000 }, async () => {
  await using shop = await startShop(() => ({ headers: [['Cache-Control', 'max-age=600']], body: {} }), { cache: { methods: ['POST'] } })
  await shop.ask(1)
  assert.deepEqual(await shop.ask(5), { question: 0, change: 5 })
})

test('hedging: the question is asked twice where an answer is late, the change is made once', { timeout: 300_000 }, async () => {
  let isSlow = false
  const handler = async () => {
    if (isSlow) await sleep(600)
    return { body: {} }
  }
  await using shop = await startShop(handler, { cache: { mode: 'off' }, hedge: { enabled: true, minDelayMs: 20 } })
  await shop.ask(60)
  isSlow = true
  const { question, change } = await shop.ask(5)
  assert.ok(question > 5, `${question} for 5 calls`)
  assert.equal(change, 5)
})
