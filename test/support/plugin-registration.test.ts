// What the stand-in for the plugin sends is what Consul was recorded to have got from the plugin itself.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { consulSkip, startConsul } from './consul.ts'
import { deregister, deregisterAsPlugin, registerAsPlugin, serviceBody } from './plugin-registration.ts'
import { startServiceStackHost } from './servicestack-host.ts'

interface Check { CheckID: string, Name: string, Status: string, Notes: string, Output: string, ServiceID: string, ServiceTags: string[], Type: string }
interface Entry { Service: { ID: string, Service: string, Tags: string[], Address: string, Port: number, Meta: unknown, EnableTagOverride: boolean }, Checks: Check[] }

const recorded = readFileSync(new URL('../fixtures/recordings/consul-lifecycle.jsonl', import.meta.url), 'utf8').trim().split('\n').map(line => JSON.parse(line) as { index?: number, body?: Entry[] })
/** The first state in which all three hosts have all their checks. */
const settled = recorded.find(({ index }) => index === 102)!.body!

test('the service\'s body has the plugin\'s five members', () => {
  for (const { Service } of settled) {
    const body = serviceBody({ id: Service.ID, address: Service.Address, tags: Service.Tags })
    assert.deepEqual(body, { ID: Service.ID, Name: Service.Service, Tags: Service.Tags, Address: Service.Address, Port: Service.Port })
  }
})

test('a real agent shows it as it showed the plugin\'s', { skip: await consulSkip(), timeout: 60_000 }, async () => {
  const consul = await startConsul()
  try {
    await using host = await startServiceStackHost({ service: 'Catalog' })
    await registerAsPlugin(consul.url, host, { healthCheckIntervalS: 20 })
    const [entry] = await consul.get('/v1/health/service/api') as Entry[]
    const model = settled.find(({ Service }) => Service.ID.startsWith('ss-Catalog-'))!
    // Own ids, ports and indices aside.
    const norm = (entry: Entry) => JSON.parse(JSON.stringify({ ...entry.Service, Checks: entry.Checks.filter(({ ServiceID }) => ServiceID !== ''), CreateIndex: 0, ModifyIndex: 0 }, (key, value) => /Index$|^Node$/.test(key) ? 0 : value)
      .replaceAll(entry.Service.ID, 'ID').replaceAll(String(entry.Service.Port), '1')) as object
    assert.deepEqual(norm(entry!), norm(model))
    assert.equal((await deregisterAsPlugin(consul.url, host.id)).status, 405)
    assert.equal((await consul.get('/v1/health/service/api') as Entry[]).length, 1)
    await deregister(consul.url, host.id)
    assert.equal((await consul.get('/v1/health/service/api') as Entry[]).length, 0)
  } finally {
    await consul.stop()
  }
})
