// Who gets the calls, through the listener: slow, failing, weighted, new, near and far endpoints.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, test } from 'node:test'
import { consulSkip, startConsul } from '../support/consul.ts'
import { startFakeConsul } from '../support/fake-consul.ts'
import { startOrigins } from '../support/fleet.ts'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import { requestBytes } from '../support/http-client.ts'
import { hang, ok, reset, startOrigin, type Behaviour, type Origin } from '../support/origin.ts'
import { balanceOf, entryOf, outside, shareIs, startRegistered, strategy } from '../support/registered-origins.ts'
import { until } from '../support/until.ts'

const skip = await consulSkip()
const path = '/json/reply/Echo'
const slow = (ms: number): Behaviour => async request => { await sleep(ms); await ok()(request) }

/** So many calls, a few at a time. Answers the part of them that each origin got. */
async function shares (gateway: TestGateway, origins: readonly Origin[], calls: number, headers: (n: number) => Array<[string, string]> = () => []): Promise<number[]> {
  const before = origins.map(({ received }) => received.length)
  let next = 0
  await Promise.all(Array.from({ length: 4 }, async () => { while (next < calls) await gateway.get(path, { headers: headers(next++) }) }))
  return origins.map(({ received }, n) => (received.length - before[n]!) / calls)
}

describe('peak-ewma', { timeout: 900_000 }, () => {
  test('a slow endpoint gets less than its share', async () => {
    await using fleet = await startOrigins([slow(1_000), slow(2), slow(2)])
    // In some round: what holds up the machine in one of them makes the others look as slow for a while.
    await until('it gets little', async () => (await shares(fleet.gateway, fleet.origins, 200))[0]! < 0.2, { timeoutMs: 120_000 })
  })

  test('an endpoint that fails at once does not attract', async () => {
    await using fleet = await startOrigins([ok('down', { status: 500 }), slow(10), slow(10)])
    await until('it gets little', async () => (await shares(fleet.gateway, fleet.origins, 200))[0]! < 0.2, { timeoutMs: 120_000 })
  })
})

test('weights of the registry share the calls', { timeout: 900_000 }, async () => {
  await using world = await startRegistered([{ weights: { Passing: 3, Warning: 1 } }, {}], strategy({ strategy: 'weighted' }))
  await shareIs(world.gateway, world.origins[0]!, 0.75)
  assert.deepEqual((await shares(world.gateway, world.origins, 80)).map(share => Math.round(share * 20) / 20), [0.75, 0.25])
})

test('warning endpoints stand by, or get calls by Weights.Warning where that is set', { timeout: 900_000 }, async () => {
  const registered = [{ weights: { Passing: 3, Warning: 1 } }, { weights: { Passing: 3, Warning: 1 }, status: 'warning' }]
  {
    await using world = await startRegistered(registered)
    await shareIs(world.gateway, world.origins[0]!, 1)
    assert.deepEqual(await shares(world.gateway, world.origins, 20), [1, 0])
  }
  await using world = await startRegistered(registered, strategy({ strategy: 'weighted' }, { balancing: { warning: 'weighted' } }))
  await shareIs(world.gateway, world.origins[0]!, 0.75)
  assert.deepEqual((await shares(world.gateway, world.origins, 80)).map(share => Math.round(share * 20) / 20), [0.75, 0.25])
})

test('a newcomer starts slowly, and says so', { timeout: 900_000 }, async () => {
  const slowStartMs = 12_000
  await using world = await startRegistered([{}, {}], strategy({ strategy: 'least-requests' }, { balancing: { slowStartMs } }))
  const { consul, gateway, origins } = world
  consul.list([entryOf(origins[0]!, 0, {})])
  await shareIs(gateway, origins[0]!, 1)
  const started = performance.now()
  await until('the old one to be whole', () => performance.now() - started > slowStartMs)
  consul.list(origins.map((origin, n) => entryOf(origin, n, {})))
  const early = await until('the newcomer', async () => { const balance = await balanceOf(gateway, origins[1]!.url); return balance?.why.startsWith('New') === true && balance }, { everyMs: 2 })
  assert.ok(early.share < 0.35, `${early.share}`)
  // As long as a fifth is its due, two fifths of up to a hundred calls are beyond chance (one in a million).
  for (let calls = 0; calls < 100 && (await balanceOf(gateway, origins[1]!.url))!.share < 0.2; calls++) await gateway.get(path)
  assert.ok(origins[1]!.received.length <= 40, `${origins[1]!.received.length}`)
  await shareIs(gateway, origins[1]!, 0.5)
})

test('the own zone first; half of it gone, 30 % go to the next; all of it gone, everything; and back', { timeout: 900_000 }, async () => {
  const zones = ['a', 'a', 'b', 'b']
  await using world = await startRegistered(zones.map(zone => ({ zone })), { locality: { zone: 'a' } } as PartialConfig)
  const { consul, gateway, origins } = world
  const failing = async (share: number, ...critical: number[]) => {
    consul.list(origins.map((origin, n) => entryOf(origin, n, { zone: zones[n]!, status: critical.includes(n) ? 'critical' : 'passing' })))
    await shareIs(gateway, origins[2]!, share / 2)
    const [, , b1, b2] = await shares(gateway, origins, 120)
    return b1! + b2!
  }
  assert.equal(await failing(0), 0)
  assert.match((await balanceOf(gateway, origins[2]!.url))!.why, /nearer ones carry all/)
  const overflow = await failing(0.3, 0)
  assert.ok(overflow > 0.08 && overflow < 0.55, `${overflow}`)
  assert.equal(await failing(1, 0, 1), 1)
  assert.equal(await failing(0), 0)
  assert.ok(await gateway.metric('postern_overflow_total') > 0)
})

test('a zone whose endpoints are at their limits overflows to the next, and back', { timeout: 900_000 }, async () => {
  const zones = ['a', 'a', 'b', 'b']
  const policy = { deadlineMs: 280_000, headersTimeoutMs: 280_000, cache: { mode: 'off' }, messageBreaker: { slowCallFactor: 0 } }
  await using world = await startRegistered(zones.map(zone => ({ zone })), { locality: { zone: 'a' }, defaults: { bulkhead: { maxPerEndpoint: 1 }, policy } } as PartialConfig)
  const { gateway, origins } = world
  const own = origins.slice(0, 2)
  await shareIs(gateway, origins[0]!, 0.5)
  for (const origin of own) origin.behave(hang())
  using one = await gateway.connect({ timeoutMs: 280_000 })
  one.send(requestBytes('x', path))
  await until('one of the zone is full', () => own.some(({ received }) => received.length === 1))
  // Half of the zone is left, which carries 70 %: the next one is in use before the own one is full.
  await shareIs(gateway, origins[2]!, 0.15)
  const connections: Array<Awaited<ReturnType<TestGateway['connect']>>> = []
  const received = () => origins.reduce((sum, origin) => sum + origin.received.length, 0)
  try {
    while (own.some(({ received }) => received.length === 0)) {
      const before = received()
      const connection = await gateway.connect({ timeoutMs: 280_000 })
      connections.push(connection)
      connection.send(requestBytes('x', path))
      await until('it is somewhere', () => received() > before)
    }
    await shareIs(gateway, origins[2]!, 0.5)
    assert.equal((await gateway.get(path)).status, 200)
  } finally {
    for (const connection of connections) connection.close()
  }
  one.close()
  for (const origin of own) origin.behave(ok())
  await shareIs(gateway, origins[0]!, 0.5)
})

test('a zone that holds its part of the upstream\'s limit, and 40 % more, overflows to the next, and back', { timeout: 900_000 }, async () => {
  const zones = ['a', 'a', 'b', 'b']
  const policy = { cache: { mode: 'off' }, headersTimeoutMs: 280_000, deadlineMs: 280_000, messageBreaker: { slowCallFactor: 0 } }
  await using world = await startRegistered(zones.map(zone => ({ zone })), { locality: { zone: 'a' }, defaults: { bulkhead: { maxConcurrent: 10 }, policy } } as PartialConfig)
  const { gateway, origins } = world
  const own = origins.slice(0, 2)
  const receivedBy = (some: readonly Origin[]) => some.reduce((sum, { received }) => sum + received.length, 0)
  await shareIs(gateway, origins[0]!, 0.5)
  for (const origin of own) origin.behave(hang())
  const connections: Array<Awaited<ReturnType<TestGateway['connect']>>> = []
  try {
    for (let n = 1; n <= 7; n++) {
      const connection = await gateway.connect({ timeoutMs: 280_000 })
      connections.push(connection)
      connection.send(requestBytes('x', path))
      await until(`${n} are in the own zone`, () => receivedBy(own) === n)
    }
    for (let n = 0; n < 20; n++) assert.equal((await gateway.get(path)).status, 200)
    assert.deepEqual([receivedBy(own), receivedBy(origins)], [7, 27])
    await gateway.metricBecomes('postern_overflow_total', 20)
  } finally {
    for (const connection of connections) connection.close()
  }
  for (const origin of own) origin.behave(ok())
  await until('the own zone is free', async () => await gateway.metric('postern_bulkhead_in_flight') === 0)
  for (let n = 0; n < 10; n++) assert.equal((await gateway.get(path)).status, 200)
  assert.equal(receivedBy(origins.slice(2)), 20)
})

test('a second attempt, repeated or hedged, goes to another node', { timeout: 900_000, skip: outside === undefined ? 'no address beside loopback' : false }, async () => {
  const nodes = ['rack-1', 'rack-1', 'rack-1', 'rack-2']
  const run = async (bad: Behaviour, policy: object) => {
    await using world = await startRegistered(nodes.map(node => ({ node })), { defaults: { policy: { balancer: { strategy: 'round-robin' }, cache: { mode: 'off' }, ...policy }, retryBudget: { perSecond: 1_000 } } } as PartialConfig, { host: outside! })
    const { gateway, origins } = world
    await shareIs(gateway, origins[3]!, 0.25)
    // Hedging waits for what the message normally takes.
    for (let n = 0; n < 60; n++) assert.equal((await gateway.get(path)).status, 200)
    for (const origin of origins.slice(0, 3)) origin.behave(bad)
    const before = origins[3]!.received.length
    // With two attempts, none of which comes to its end on the bad node, a second one there would be no answer.
    for (let n = 0; n < 8; n++) assert.equal((await gateway.get(path)).status, 200)
    assert.equal(origins[3]!.received.length - before, 8)
  }
  await run(reset(), { attempts: 2 })
  await run(hang(), { attempts: 2, hedge: { enabled: true, minDelayMs: 10 } })
})

test('two datacenters: the own one first, the other when it fails, and back', { timeout: 900_000, skip: outside === undefined ? 'no address beside loopback' : false }, async () => {
  const datacenters = ['dc1', 'dc2']
  await using world = await startRegistered(datacenters.map(datacenter => ({ datacenter })), {}, { host: outside!, consul: { datacenters } })
  const { consul, gateway, origins } = world
  const list = async (share: number, ...critical: number[]) => {
    consul.list(origins.map((origin, n) => entryOf(origin, n, { datacenter: datacenters[n]!, status: critical.includes(n) ? 'critical' : 'passing' })))
    await shareIs(gateway, origins[1]!, share)
    return await shares(gateway, origins, 20)
  }
  assert.deepEqual(await list(0), [1, 0])
  assert.deepEqual(await list(1, 0), [0, 1])
  assert.deepEqual(await list(0), [1, 0])
  assert.equal((await balanceOf(gateway, origins[1]!.url))!.datacenter, 'dc2')
  // Dead although Consul does not know it yet: the call itself goes over.
  await origins[0]!.server.kill()
  for (let n = 0; n < 5; n++) assert.equal((await gateway.get(path)).status, 200)
})

test('two datacenters of a real Consul, asked through the agent of one', { timeout: 900_000, skip: outside === undefined ? 'no address beside loopback' : skip }, async () => {
  const near = await startConsul({ datacenter: 'dc1', wan: {} })
  const far = await startConsul({ datacenter: 'dc2', wan: { join: near.wanAddress } })
  try {
    await using one = await startOrigin(ok(), { host: outside! })
    await using other = await startOrigin(ok(), { host: outside! })
    const register = async (consul: typeof near, origin: Origin, status: string) => await consul.put('/v1/agent/service/register', {
      ID: 'orders-1', Name: 'api', Address: origin.url, Port: origin.port, Meta: { messages: 'Echo' }, Check: { TTL: '10m', Status: status }
    })
    await register(near, one, 'passing')
    await register(far, other, 'passing')
    await using gateway = await startGateway({ registry: { allowedNetworks: [`${outside}/32`], consul: { agents: [near.url], datacenters: ['dc1', 'dc2'] } } } as PartialConfig)
    // A real agent tells of a service and of its check one after the other.
    const allTo = async (index: number) => await until(`all calls to go to ${index}`, async () => (await shares(gateway, [one, other], 20))[index] === 1, { timeoutMs: 60_000 })
    await until('both to be known', async () => await balanceOf(gateway, one.url) !== undefined && await balanceOf(gateway, other.url) !== undefined, { timeoutMs: 40_000 })
    await allTo(0)
    await near.put('/v1/agent/service/deregister/orders-1')
    await allTo(1)
    await register(near, one, 'passing')
    await allTo(0)
    await far.kill()
    for (let n = 0; n < 5; n++) assert.equal((await gateway.get(path)).status, 200)
  } finally {
    await Promise.all([near.stop(), far.stop()])
  }
})

test('a datacenter that does not answer holds nobody up', { timeout: 900_000 }, async () => {
  const consul = await startFakeConsul()
  await using origin = await startOrigin()
  consul.answer(({ query, response }) => { if (query.get('dc') !== 'dc2') return false; response.writeHead(500).end('No path to datacenter'); return undefined })
  consul.list([entryOf(origin, 0, {})])
  await using gateway = await startGateway({ registry: { consul: { agents: [consul.url], datacenters: ['dc1', 'dc2'] } } } as PartialConfig)
  await gateway.waitForRoute('Echo')
  assert.equal((await gateway.get(path)).status, 200)
  // The table may be there before the other datacenter has been asked.
  await until('it is said', async () => /in dc2: .*No path to datacenter/.test((await gateway.api('upstreams')).registries[0].error))
  await consul.close()
})

describe('network coordinates of the registry', { timeout: 900_000, skip: outside === undefined ? 'no address beside loopback' : false }, () => {
  const at = (seconds: number) => ({ Vec: [seconds, 0], Height: 0, Adjustment: 0, Error: 0.1 })
  async function startFarAndNear (farS: number) {
    const nodes = [{ Node: 'vm', Coord: at(0) }, { Node: 'far', Coord: at(farS) }, { Node: 'near', Coord: at(0.001) }]
    const world = await startRegistered([{ node: 'far' }, { node: 'near' }], {}, { host: outside!, nodes })
    const { gateway, origins: [far, near] } = world
    await until('the distances', async () => (await balanceOf(gateway, far!.url))!.rttMs! > 100 && (await balanceOf(gateway, near!.url))!.rttMs! < 10)
    return {
      far: far!,
      near: near!,
      /** Of ten calls, the near one's part. */
      nearShare: async () => {
        const before = near!.received.length
        for (let n = 0; n < 10; n++) assert.equal((await gateway.get(path)).status, 200)
        return (near!.received.length - before) / 10
      },
      [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]()
    }
  }

  test('the near one gets the first calls', async () => {
    // So far that no hiccup of this machine looks like it.
    await using world = await startFarAndNear(60)
    assert.equal(await world.nearShare(), 1)
  })

  test('what was measured counts afterwards, and where that is alike the near one gets the calls again', async () => {
    await using world = await startFarAndNear(0.5)
    const { far, near, nearShare } = world
    near.behave(slow(400))
    await until('the far one to get most calls', async () => await nearShare() <= 0.3, { timeoutMs: 120_000 })
    // Answers that take long are alike whatever the machine does meanwhile.
    for (const origin of [far, near]) origin.behave(slow(200))
    await until('the near one to get most again', async () => await nearShare() >= 0.8, { timeoutMs: 120_000 })
  })
})
