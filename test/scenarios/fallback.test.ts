// The strangler: messages nobody knows go to an old system, and never one that anybody has ever claimed.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deregister, registerAsPlugin } from '../support/plugin-registration.ts'
import { startFleet } from '../support/fleet.ts'
import { request, targetOf } from '../support/http-client.ts'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import { closedPort, startOrigin } from '../support/origin.ts'
import * as behave from '../support/origin.ts'
import { until } from '../support/until.ts'

const answered = { handler: () => ({ status: 200, body: '{}' }) }

describe('fallback for unknown messages', { timeout: 300_000 }, () => {
  test('unknown names go there, path and body as they came; hidden, restricted, internal and vanished ones are 404 as before', async () => {
    await using old = await startOrigin(behave.echo())
    const config: PartialConfig = { exposure: { fallback: 'legacy', hide: ['Secret*'] }, upstreams: { legacy: { endpoints: [old.url] } } } as PartialConfig
    await using fleet = await startFleet([{ service: 'Orders', messages: { GetOrder: answered, SecretOrder: answered, Inner: { ...answered, restrictTo: ['InternalNetworkAccess'] } } }], config)
    const { gateway, hosts: [host] } = fleet

    const unknown = await gateway.post('/json/reply/OldReport?x=1', { a: 1 })
    assert.equal(unknown.status, 200)
    const seen = unknown.json() as { method: string, target: string, body: string }
    assert.deepEqual([seen.method, seen.target, seen.body], ['POST', '/json/reply/OldReport?x=1', '{"a":1}'])
    assert.equal((await gateway.get('/json/reply/AnotherOne')).status, 200)
    await gateway.metricBecomes('postern_requests_total', 2, { upstream: 'legacy', message: '(fallback)' })

    const before = old.received.length
    for (const name of ['SecretOrder', 'Inner', 'Heartbeat', 'GetServices', 'inner']) assert.equal((await gateway.get(`/json/reply/${name}`)).status, 404, name)
    assert.equal((await gateway.get('/json/reply/GetOrder')).status, 200)
    await deregister(gateway.embedded!, host!.id)
    await until('the service has vanished', async () => (await gateway.get('/json/reply/GetOrder')).status === 404)
    assert.equal(old.received.length, before)
  })

  test('what expose and hide keep from outside callers is answered there as what does not exist, whatever the form', async () => {
    await using old = await startOrigin(behave.echo())
    const config = {
      exposure: { fallback: 'Old', expose: ['Get*', 'Secret*'], hide: ['Secret*'] },
      upstreams: { Old: { endpoints: [old.url], servicestack: false, hide: ['*Stuff', 'Secret*'] } },
      prefixes: { '/legacy/*': { upstream: 'Old', rewrite: '/' } },
      messages: { DropTable: { upstream: 'Old' } }
    } as PartialConfig
    await using gateway = await startGateway(config)
    await until('it is known what the old system is', async () => (await gateway.get('/json/reply/GetReport')).status === 200)
    const before = old.received.length
    assert.deepEqual((await gateway.api('routes')).fallback, { upstream: 'Old', endpoints: 1 })

    const bodyOf = ({ status, body }: { status: number, body: Buffer }, name: string) => `${status} ${String(body).replaceAll(name, 'NAME')}`
    const never = bodyOf(await gateway.post('/json/reply/Heartbeat', {}), 'Heartbeat')
    for (const name of ['DeleteEverything', 'SecretReport', 'GetStuff', 'getSTUFF', 'DropTable']) {
      assert.equal(bodyOf(await gateway.post(`/json/reply/${name}`, {}), name), never, name)
      for (const path of [`/json/oneway/${name}`, `/json/reply/${name}[]`, `/json/oneway/${name}[]`, `/xml/reply/${name}`, `/api/${name}`, `/api/${name}.csv`, `/api/${name}[]`, `/legacy/json/reply/${name}`, `/legacy/x/oneway/${name}[]`, `/legacy/api/${name}.json`]) {
        assert.equal((await gateway.post(path, {})).status, 404, path)
      }
    }
    assert.equal(old.received.length, before)
    for (const path of ['/json/oneway/GetOther', '/json/reply/GetOther[]', '/api/GetOther', '/legacy/json/reply/GetOther', '/legacy/pages/Stuff']) assert.equal((await gateway.post(path, {})).status, 200, path)

    await gateway.reload({ ...config, exposure: { fallback: 'Old' }, upstreams: { Old: { endpoints: [old.url], servicestack: false } } } as PartialConfig)
    for (const name of ['DeleteEverything', 'GetStuff', 'DropTable']) assert.equal((await gateway.post(`/json/reply/${name}`, {})).status, 200, name)
  })

  test('its breaker is held and released by the name it is shown with', async () => {
    await using old = await startOrigin(behave.ok('', { status: 500, reason: 'Broken' }))
    const config: PartialConfig = { exposure: { fallback: 'legacy' }, upstreams: { legacy: { endpoints: [old.url], breaker: { consecutiveFailures: 3, resetTimeoutMs: 600_000 } } } } as PartialConfig
    await using gateway = await startGateway(config)
    const call = async () => (await gateway.post('/json/reply/OldReport', {})).reason
    await until('its breaker is open', async () => await call() === 'BreakerOpen')
    const { breakers } = (await request(targetOf(gateway.admin), '/api/breakers')).json() as { breakers: Array<{ message?: string, state: string }> }
    const { message } = breakers.find(({ message }) => message !== undefined)!
    const tell = async (what: string, more: object = {}) => (await gateway.tell(`/api/breakers/${what}`, { upstream: 'legacy', message, ...more })).status
    old.behave(behave.ok())
    assert.deepEqual([await tell('release'), await call()], [200, 'OK'])
    assert.deepEqual([await tell('hold', { held: 'open', reason: 'test', by: 'ann' }), await call()], [200, 'BreakerOpen'])
    assert.deepEqual([await tell('release'), await call()], [200, 'OK'])
  })

  test('a quarantined name never goes there, not even when nobody has it', async () => {
    await using old = await startOrigin()
    const config: PartialConfig = { exposure: { fallback: 'legacy' }, upstreams: { legacy: { endpoints: [old.url] } } } as PartialConfig
    const name = '/json/reply/PlaceOrder'
    await using fleet = await startFleet([{ service: 'Sales', messages: { PlaceOrder: answered } }, { service: 'Billing', messages: { Invoice: answered, PlaceOrder: answered } }, { service: 'Shop', messages: { Browse: answered, PlaceOrder: answered } }], config)
    const { gateway, hosts: [owner] } = fleet
    await until('the newcomers are quarantined', async () => await gateway.metric('postern_routes', { state: 'quarantined' }) === 2)
    assert.equal((await gateway.get(name)).status, 200)
    await deregister(gateway.embedded!, owner!.id)
    // Two newcomers, and nobody to say which: neither gets it.
    await until('nobody has it', async () => (await gateway.get(name)).status === 404)
    assert.deepEqual(old.received, [])
    assert.equal((await gateway.get('/json/reply/OldReport')).status, 200)
    assert.equal(old.received.length, 1)
  })

  test('what was ever claimed stays so over a restart: hidden, restricted, quarantined, vanished, and what a registration only said', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'postern-data-'))
    await using old = await startOrigin()
    const config = { exposure: { fallback: 'legacy', hide: ['Secret*'] }, upstreams: { legacy: { endpoints: [old.url] } }, dataDirectory: directory, registry: { embedded: { address: '127.0.0.1:0' } } } as PartialConfig
    const placeOrder = { PlaceOrder: answered }
    const claimed = ['SecretOrder', 'Inner', 'PlaceOrder', 'GetOrder', 'OnlySaid']
    const refused = async ({ get }: TestGateway) => {
      for (const name of claimed) assert.match(String((await get(`/json/reply/${name}`)).status), /^(?:404|503)$/, name)
      assert.deepEqual(old.received.map(({ target }) => target).filter(target => target !== '/json/reply/OldReport'), [])
    }
    try {
      {
        await using fleet = await startFleet([
          { service: 'Sales', messages: { ...placeOrder, GetOrder: answered } },
          { service: 'Billing', messages: { ...placeOrder, SecretOrder: answered, Invoice: answered } },
          { service: 'Shop', messages: { ...placeOrder, Inner: { ...answered, restrictTo: ['InternalNetworkAccess'] }, Browse: answered } }
        ], config)
        const { gateway, hosts: [owner] } = fleet
        await until('the newcomers are quarantined', async () => await gateway.metric('postern_routes', { state: 'quarantined' }) === 2)
        await registerAsPlugin(gateway.embedded!, { id: 'ss-Mute-00000000-0000-4000-8000-000000000001', address: `http://127.0.0.1:${await closedPort()}/`, tags: ['ss-version-1.0', 'OnlySaid'] })
        await until('it is known', async () => (await gateway.api('routes')).routes.some(({ message }: { message: string }) => message === 'OnlySaid'))
        await deregister(gateway.embedded!, owner!.id)
        await until('the service has vanished, and nobody has what it left', async () => (await gateway.get('/json/reply/GetOrder')).status === 404 && (await gateway.get('/json/reply/PlaceOrder')).status === 404)
        await refused(gateway)
      }
      await using second = await startGateway(config)
      await until('unknown names go to the old system', async () => (await second.get('/json/reply/OldReport')).status === 200)
      await refused(second)
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })
})
