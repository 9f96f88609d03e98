// The gateway's own watch of its embedded registry: every service under whatever name, at once, and no more often than it need be.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { watchEmbedded } from '../../src/registry/embedded-watch.ts'
import { startEmbeddedRegistry } from '../../src/registry/embedded.ts'
import type { Snapshot, WatchState } from '../../src/registry/registration.ts'
import { onThisMachine } from '../support/networks.ts'
import { until } from '../support/until.ts'

async function watched (t: TestContext, rules: Partial<Parameters<typeof watchEmbedded>[1]> = {}) {
  const registry = await startEmbeddedRegistry({ host: '127.0.0.1', port: 0, networks: onThisMachine, random: () => 0 })
  const snapshots: Snapshot[] = []
  const states: WatchState[] = []
  const watch = watchEmbedded(registry, { messageMetaKey: 'messages', ignoreTags: [], ...rules }, { snapshot: (snapshot) => snapshots.push(snapshot), state: (state) => states.push(state) })
  t.after(async () => {
    await watch.close()
    await registry.close()
  })
  const put = async (path: string, body?: object) => {
    const answer = await fetch(registry.url + path, { method: 'PUT', ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
    assert.equal(answer.status, 200, await answer.text())
  }
  const ids = () => snapshots.at(-1)!.registrations.map(({ id }) => id).sort().join()
  return { registry, watch, snapshots, states, put, ids }
}

test('the first snapshot is there at once, and says that the registry is well', async (t) => {
  const { snapshots, states, registry } = await watched(t)
  assert.deepEqual(snapshots.map(({ registrations }) => registrations), [[]])
  assert.deepEqual([states[0]!.ok, states[0]!.agent], [true, registry.url])
})

test('services under any name are seen, whenever they register, and go when they deregister', async (t) => {
  const { put, ids, snapshots } = await watched(t, { messageTagPrefix: 'msg-' })
  await put('/v1/agent/service/register', { ID: 'ss-Catalog-6ad1cf5c-5d7c-4e3e-9a0f-0f3f6d6f4b11', Name: 'api', Address: 'http://127.0.0.1:9101/', Port: 9101, Tags: ['ss-version-1.0', 'GetProduct'] })
  await until('the plugin', () => ids() === 'ss-Catalog-6ad1cf5c-5d7c-4e3e-9a0f-0f3f6d6f4b11')
  await put('/v1/agent/service/register', { ID: 'billing-1', Name: 'billing', Address: '127.0.0.1', Port: 9301, Meta: { messages: 'PayInvoice, CancelInvoice' } })
  await put('/v1/agent/service/register', { Name: 'stock', Address: '127.0.0.1', Port: 9302, Tags: ['msg-CountStock', 'blue'] })
  await until('all three', () => ids() === 'billing-1,ss-Catalog-6ad1cf5c-5d7c-4e3e-9a0f-0f3f6d6f4b11,stock')
  const of = (id: string) => snapshots.at(-1)!.registrations.find((registration) => registration.id === id)!
  assert.deepEqual([of('billing-1').registry, of('billing-1').service, of('billing-1').kind, of('billing-1').health], ['embedded', 'billing', 'plain', 'unchecked'])
  assert.deepEqual([of('billing-1').names, of('stock').names], [['PayInvoice', 'CancelInvoice'], ['CountStock']])
  assert.equal(of('billing-1').ownNode, true, 'its loopback is ours')
  await put('/v1/agent/service/deregister/billing-1')
  await until('it has gone', () => !ids().includes('billing-1'))
})

test('checks and maintenance are told; a storm is a few snapshots', async (t) => {
  const { put, snapshots, ids } = await watched(t)
  await put('/v1/agent/service/register', { ID: 'a', Name: 'billing', Address: '127.0.0.1', Port: 9301, Check: { TTL: '30s' } })
  await until('critical', () => snapshots.at(-1)!.registrations[0]?.health === 'critical')
  await put('/v1/agent/check/pass/service:a')
  await until('passing', () => snapshots.at(-1)!.registrations[0]?.health === 'passing')
  await put('/v1/agent/service/maintenance/a?enable=true&reason=moving')
  await until('maintenance', () => snapshots.at(-1)!.registrations[0]?.health === 'maintenance' && snapshots.at(-1)!.registrations[0]?.notes === 'moving')
  const [before, startedAt] = [snapshots.length, performance.now()]
  await Promise.all(Array.from({ length: 200 }, async (_, n) => await put('/v1/agent/service/register', { ID: `s${n}`, Name: `service-${n}`, Port: 9000 + n })))
  await until('all of them', () => ids().split(',').length === 201)
  assert.ok(snapshots.length - before < Math.max(100, (performance.now() - startedAt) / 20), `${snapshots.length - before} snapshots`)
})

test('after it is closed nothing is told any more', async (t) => {
  const { watch, put, snapshots, states } = await watched(t)
  await watch.close()
  const told = [snapshots.length, states.length]
  await put('/v1/agent/service/register', { ID: 'late', Name: 'late' })
  // Longer than the interval of a storm.
  await new Promise(resolve => setTimeout(resolve, 60))
  assert.deepEqual([snapshots.length, states.length], told)
})
