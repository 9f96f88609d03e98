// Strategy hash, through the listener: one endpoint for one caller, whoever comes and goes, and no more of a hot one than its bound.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, test } from 'node:test'
import { startOrigins } from '../support/fleet.ts'
import type { PartialConfig, TestGateway } from '../support/gateway.ts'
import { requestBytes } from '../support/http-client.ts'
import { hang, ok } from '../support/origin.ts'
import { entryOf, shareIs, startRegistered, strategy } from '../support/registered-origins.ts'
import { until } from '../support/until.ts'

const path = '/json/reply/Echo'

test('a deploy moves the callers of the endpoint that left, and hardly any other', { timeout: 300_000 }, async () => {
  const all = [{}, {}, {}, {}, {}]
  await using world = await startRegistered(all, strategy({ strategy: 'hash', stickTo: 'header', name: 'X-Tenant' }, { balancing: { slowStartMs: 0 } }))
  const { consul, gateway, origins } = world
  const list = async (...present: number[]) => {
    consul.list(present.map(n => entryOf(origins[n]!, n, {})))
    for (const [n, origin] of origins.entries()) await shareIs(gateway, origin, present.includes(n) ? 1 / present.length : 0)
  }
  const owners = async () => {
    const found: number[] = []
    for (let n = 0; n < 80; n++) {
      const before = origins.map(({ received }) => received.length)
      await gateway.get(path, { headers: [['X-Tenant', `tenant-${n}`]] })
      found.push(origins.findIndex(({ received }, at) => received.length > before[at]!))
    }
    return found
  }
  await list(0, 1, 2, 3)
  const before = await owners()
  assert.ok(new Set(before).size >= 3)
  assert.deepEqual(await owners(), before)
  await list(0, 1, 2)
  const after = await owners()
  assert.deepEqual(after.filter((_, n) => before[n] !== 3), before.filter(owner => owner !== 3))
  await list(0, 1, 2, 4)
  const moved = (await owners()).filter((owner, n) => owner !== after[n])
  assert.deepEqual(moved.filter(owner => owner !== 4), [])
  // A quarter of the 80, give or take five standard deviations.
  assert.ok(moved.length > 0 && moved.length < 40, `${moved.length}`)
})

test('a hot key overflows its endpoint at the bound, and others keep theirs', { timeout: 300_000 }, async () => {
  await using fleet = await startOrigins([hang(), hang(), hang()], { defaults: { policy: { deadlineMs: 60_000, headersTimeoutMs: 60_000, balancer: { strategy: 'hash', stickTo: 'header', name: 'X-Tenant', boundPercent: 150 } } } } as PartialConfig)
  const { gateway, origins } = fleet
  const connections: Array<Awaited<ReturnType<TestGateway['connect']>>> = []
  const loads = () => origins.map(({ received }) => received.length)
  try {
    for (let n = 1; n <= 12; n++) {
      const connection = await gateway.connect({ timeoutMs: 60_000 })
      connections.push(connection)
      connection.send(requestBytes('x', path, { headers: [['X-Tenant', 'hot']] }))
      await until('it is somewhere', () => loads().reduce((sum, load) => sum + load) === n)
      // One and a half times the average of those in flight.
      assert.ok(Math.max(...loads()) <= Math.ceil(1.5 * n / 3), `${loads()}`)
    }
    assert.equal(Math.max(...loads()), 6, 'as much of it as may stays together')
  } finally {
    for (const connection of connections) connection.close()
  }
})

describe('the same endpoint for the same caller, by whatever it is told by', { timeout: 300_000 }, () => {
  const rows: ReadonlyArray<readonly [what: string, balancer: object, headers: (caller: number) => Array<[string, string]>]> = [
    ['header', { stickTo: 'header', name: 'X-Tenant' }, caller => [['X-Tenant', `t${caller}`]]],
    ['cookie', { stickTo: 'cookie', name: 'basket' }, caller => [['Cookie', `other=1; basket=b${caller}`]]],
    ['session id', { stickTo: 'session' }, caller => [['Cookie', `ss-id=s${caller}`]]],
    ['permanent session id, in one browser session after the other', { stickTo: 'session' }, caller => [['Cookie', `ss-id=${randomUUID()}; ss-opt=perm; ss-pid=p${caller}`]]],
    ['client address', { stickTo: 'client' }, caller => [['X-Forwarded-For', `192.0.2.${caller + 1}`]]]
  ]
  for (const [what, balancer, headers] of rows) {
    test(what, async () => {
      await using fleet = await startOrigins([ok(), ok(), ok()], { edge: { trustedProxies: ['127.0.0.1'] }, ...strategy({ strategy: 'hash', ...balancer }) } as PartialConfig)
      const { gateway, origins } = fleet
      const ownerOf = async (caller: number) => {
        const before = origins.map(({ received }) => received.length)
        assert.equal((await gateway.get(path, { headers: headers(caller) })).status, 200)
        return origins.findIndex(({ received }, n) => received.length > before[n]!)
      }
      // 40 callers of one mind about three endpoints would be no hash: (1/3)^39.
      const owners: number[] = []
      for (let caller = 0; caller < 40; caller++) owners.push(await ownerOf(caller))
      assert.ok(new Set(owners).size > 1)
      for (let caller = 0; caller < 40; caller++) assert.equal(await ownerOf(caller), owners[caller])
    })
  }
})
