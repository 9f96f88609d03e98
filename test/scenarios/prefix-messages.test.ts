// What holds for a message holds by a prefix route too: what repeating it does, and that its breaker is open.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { startFleet, type Fleet } from '../support/fleet.ts'
import { startGateway, type PartialConfig } from '../support/gateway.ts'
import * as behave from '../support/origin.ts'
import type { MessageDefinition } from '../support/servicestack-messages.ts'
import { until } from '../support/until.ts'

/** By the methods alone, all of them would be safe, but for AskStock. */
const definitions = {
  TakeStock: { actions: ['GET'], marker: 'IPost' },
  AskStock: { actions: ['POST'], marker: 'IGet' },
  LookStock: { actions: ['GET'], routes: ['/stock/{Id}'] },
  CloseStock: { actions: ['GET'], marker: 'IPost', routes: ['/stores/close'] },
  DropStock: { actions: ['GET'] }
} as const

interface Shop extends Fleet {
  /** How often a call of the gateway's reached a host. */
  calls (method: string, path: string): Promise<number>
}

/** Two hosts behind `/shop`. Ready when the markers are known. */
async function startShop (handler: MessageDefinition['handler'], policy: object = {}): Promise<Shop> {
  await using stack = new AsyncDisposableStack()
  const messages = Object.fromEntries(Object.entries(definitions).map(([name, definition]) => [name, { ...definition, handler }]))
  const fleet = stack.use(await startFleet([{ service: 'Shop', replay: false, messages }, { service: 'Shop', replay: false, messages }], {
    defaults: { policy: { messageBreaker: { enabled: false }, retry: { backoffMs: 1, maxBackoffMs: 1 }, ...policy } },
    messages: { DropStock: { policy: { effect: 'unsafe' } } },
    prefixes: { '/shop/*': { upstream: 'Shop', rewrite: '/' } },
    upstreams: { Shop: { breaker: { enabled: false }, retryBudget: { percent: 100, perSecond: 1_000 } } }
  } as PartialConfig))
  const { gateway, hosts } = fleet
  await until('the markers are known', async () => {
    const { routes } = await gateway.api('routes') as { routes: Array<{ message: string, effect: string }> }
    return ['TakeStock unsafe', 'AskStock safe', 'CloseStock unsafe'].every(known => routes.some(({ message, effect }) => `${message} ${effect}` === known))
  })
  const received = () => hosts.reduce((sum, { calls }) => sum + calls.length, 0)
  const calls = async (method: string, path: string) => {
    const before = received()
    await gateway.request(path, { method, ...method === 'POST' ? { headers: [['Content-Type', 'application/json']], body: '{}' } : {} })
    return received() - before
  }
  await until('they are in the table', async () => await calls('GET', '/json/reply/TakeStock') === 1 && await calls('GET', '/json/reply/TakeStock') === 1)
  const owned = stack.move()
  return { ...fleet, calls, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

describe('what repeating a message does', { timeout: 300_000 }, () => {
  test('of a service that fails, a prefix route repeats what its messages allow', async () => {
    await using shop = await startShop(() => ({ status: 503, body: {} }), { cache: { mode: 'off' } })
    const expected: ReadonlyArray<readonly [method: string, path: string, calls: number]> = [
      ['GET', '/json/reply/TakeStock', 1],
      ['GET', '/shop/json/reply/TakeStock', 1],
      ['GET', '/shop/api/TakeStock', 1],
      ['GET', '/shop/json/reply/DropStock', 1],
      ['GET', '/shop/json/oneway/LookStock', 1],
      ['GET', '/shop/json/reply/LookStock[]', 1],
      ['GET', '/shop/stores/close', 1],
      ['HEAD', '/shop/stores/close', 1],
      ['GET', '/shop/json/reply/LookStock', 2],
      ['GET', '/shop/stock/5', 2],
      ['POST', '/shop/json/reply/LookStock', 1],
      ['POST', '/shop/json/reply/AskStock', 2]
    ]
    for (const [method, path, count] of expected) assert.equal(await shop.calls(method, path), count, `${method} ${path}`)
  })

  test('only answers to what is safe are kept', async () => {
    await using shop = await startShop(() => ({ headers: [['Cache-Control', 'public, max-age=600']], body: {} }))
    for (const [path, again] of [['/shop/json/reply/TakeStock', 1], ['/shop/json/reply/LookStock', 0]] as const) {
      await shop.calls('GET', path)
      assert.equal(await shop.calls('GET', path), again, path)
    }
  })

  test('of services that are no ServiceStack hosts too', async () => {
    await using first = await behave.startOrigin(behave.reset())
    await using second = await behave.startOrigin(behave.reset())
    await using gateway = await startGateway({
      defaults: { policy: { cache: { mode: 'off' } } },
      upstreams: { legacy: { endpoints: [first.url, second.url], breaker: { enabled: false }, retryBudget: { percent: 100, perSecond: 1_000 } } },
      prefixes: { '/old/*': { upstream: 'legacy', rewrite: '/' } }
    } as PartialConfig)
    await gateway.waitForEndpoint(first.url)
    await gateway.waitForEndpoint(second.url)
    await until('it is known that they are none', async () => (await gateway.get('/old/json/reply/Known')).status !== 503)
    for (const [path, count] of [['/old/json/oneway/X', 1], ['/old/json/reply/Echo[]', 1], ['/old/json/reply/Echo', 2], ['/old/search/x[]', 2]] as const) {
      const before = first.received.length + second.received.length
      await gateway.get(path)
      assert.equal(first.received.length + second.received.length - before, count, path)
    }
  })
})

test('a message that an operator holds open is not reached by a prefix either; the rest is', { timeout: 300_000 }, async () => {
  await using shop = await startShop(() => ({ body: {} }), { cache: { mode: 'off' } })
  const { gateway } = shop
  const target = { upstream: 'Shop', message: 'CloseStock' }
  assert.equal((await gateway.tell('/api/breakers/hold', { ...target, held: 'open', reason: 'stocktaking', by: 'ann' })).status, 200)
  for (const path of ['/json/reply/CloseStock', '/shop/json/reply/CloseStock', '/shop/stores/close']) {
    const answer = await gateway.get(path)
    assert.equal(answer.status, 503, path)
    assert.match(answer.text(), /BreakerOpen/)
  }
  assert.equal(await shop.calls('GET', '/shop/json/reply/CloseStock'), 0)
  assert.equal(await shop.calls('GET', '/shop/json/reply/TakeStock'), 1)
  await gateway.tell('/api/breakers/release', target)
  assert.equal((await gateway.get('/shop/stores/close')).status, 200)
})
