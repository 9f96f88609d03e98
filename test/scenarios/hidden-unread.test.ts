// What a service keeps back runs by no way while its list is not read, fails, differs between its endpoints, or is longer than what is taken in.
import { describe, test, type TestContext } from 'node:test'
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startGateway, type PartialConfig } from '../support/gateway.ts'
import { registerAsPlugin } from '../support/plugin-registration.ts'
import { startServiceStackHost } from '../support/servicestack-host.ts'
import { until } from '../support/until.ts'

const any = { actions: ['ANY'], handler: () => ({ body: {} }) }
const inside = ['InternalNetworkAccess']
const thing = { ...any, routes: ['/things/{Name}'] }
const purge = { ...any, routes: ['/purge'], restrictTo: inside }
const uncached = { policy: { cache: { mode: 'off' as const }, balancer: { strategy: 'round-robin' as const } } }
const toCatalog = { prefixes: { '/direct/*': { upstream: 'Catalog', rewrite: '/' } } }

describe('what a service keeps back', { timeout: 300_000 }, () => {
  for (const publishes of [503, 404, 'html'] as const) {
    test(`is reached by no prefix at an endpoint whose list answers ${publishes}, while another has told one without it`, async () => {
      await using told = await startServiceStackHost({ messages: { Thing: thing } })
      await using other = await startServiceStackHost({ messages: { Thing: thing, Purge: purge }, publishes })
      await using gateway = await startGateway({ registry: { embedded: { address: '127.0.0.1:0' } }, defaults: uncached, ...toCatalog } as PartialConfig)
      for (const host of [told, other]) await registerAsPlugin(gateway.embedded!, host, { heartbeatIntervalS: 1 })
      await gateway.waitForEndpoint(told.url)
      await gateway.waitForRoute('Thing')
      await until('the other has said what it has to say', async () => ((await gateway.api('upstreams')).upstreams as Array<{ endpoints: Array<{ url: string, state: string }> }>).some(({ endpoints }) => endpoints.some(({ url, state }) => url === other.url && state === (publishes === 503 ? 'waiting' : 'standby'))))
      for (let i = 0; i < 10; i++) {
        assert.deepEqual([(await gateway.get('/direct/purge')).status, other.executed], [404, []])
        assert.equal((await gateway.get('/direct/things/1')).status, 200)
      }
      other.publishes = 'list'
      if (publishes !== 503) return
      await until('it gets its share when its list is read', async () => (await gateway.get('/direct/things/1')).status === 200 && other.executed.includes('Thing'))
      assert.equal((await gateway.get('/direct/purge')).status, 404)
      assert.ok(!other.executed.includes('Purge'))
    })
  }

  for (const [way, config] of [
    ['messages.X.upstream', { messages: { Purge: { upstream: 'fixed' }, Thing: { upstream: 'fixed' } } }],
    ['exposure.fallback', { exposure: { fallback: 'fixed' } }],
    ['a prefix', { prefixes: { '/direct/*': { upstream: 'fixed', rewrite: '/' } } }]
  ] as const) {
    for (const publishes of ['list', 503] as const) {
      test(`is not called by ${way} before the list of a fixed host is read, which answers ${publishes} at first`, async () => {
        await using host = await startServiceStackHost({ messages: { Thing: thing, Purge: purge }, publishes })
        await using gateway = await startGateway({ defaults: uncached, upstreams: { fixed: { endpoints: [host.url] } }, ...config } as PartialConfig)
        const call = async (name = 'Purge') => (await gateway.get(way === 'a prefix' ? `/direct/${name}` : `/json/reply/${name}`)).status
        const early = new Set<number>()
        await until('there is a table', async () => {
          early.add(await call())
          return gateway.gateway.ready
        })
        for (let i = 0; i < 5; i++) early.add(await call())
        if (publishes === 503) assert.deepEqual([...early], [503])
        host.publishes = 'list'
        await until('its list is read', async () => await call() === 404)
        assert.deepEqual(host.executed, [])
        if (way === 'messages.X.upstream') assert.equal(await call('Thing'), 200)
      })
    }
  }

  test('and is not in the hands of a host that publishes none, whatever nobody knows is sent there, unless its operator says so', async () => {
    await using host = await startServiceStackHost({ messages: { Purge: purge }, publishes: 404 })
    const config = (more: object) => ({ exposure: { fallback: 'fixed' }, upstreams: { fixed: { endpoints: [host.url], servicestack: true, ...more } } }) as PartialConfig
    await using gateway = await startGateway(config({}))
    await until('its list is refused', async () => (await gateway.get('/json/reply/Purge')).status === 404)
    assert.deepEqual(host.executed, [])
    await gateway.reload(config({ trustTags: true }))
    await until('it is believed', async () => (await gateway.get('/json/reply/Purge')).status === 200)
  })

  test('is hidden as soon as the list is read of a plain registration, which is routed by its name alone', async t => {
    await using host = await startServiceStackHost({ messages: { Thing: thing, Purge: purge }, publishes: 503 })
    await using gateway = await startGateway({ defaults: uncached, registry: { file: await servicesFile(t, `- { service: Catalog, url: "${host.url}", messages: [Thing, Purge] }\n`) } } as PartialConfig)
    await gateway.waitForRoute('Thing')
    host.publishes = 'list'
    await until('it is asked again', async () => (await gateway.get('/json/reply/Purge')).status === 404)
    assert.equal((await gateway.get('/json/reply/Thing')).status, 200)
  })

  for (const [what, messages] of [
    ['more paths of a message', { Purge: { ...purge, routes: [...Array.from({ length: 64 }, (_, i) => `/purge/${i}`), '/purge'] } }],
    ['a longer path', { Purge: { ...purge, routes: ['/purge', `/purge/${'x'.repeat(1_100)}`] } }],
    ['a name that is none', { 'Purge all': purge }]
  ] as const) {
    test(`is reached by no prefix where the list has more than is taken in: ${what}`, async () => {
      await using host = await startServiceStackHost({ messages: { Thing: thing, ...messages } })
      await using gateway = await startGateway({ registry: { embedded: { address: '127.0.0.1:0' } }, defaults: uncached, ...toCatalog } as PartialConfig)
      await registerAsPlugin(gateway.embedded!, host, { heartbeatIntervalS: 1 })
      await gateway.waitForRoute('Thing')
      assert.equal((await gateway.get('/json/reply/Thing')).status, 200)
      for (const path of ['/purge', `/purge/${'x'.repeat(1_100)}`, '/things/1']) assert.equal((await gateway.get(`/direct${path}`)).status, 404, path)
      assert.deepEqual(host.executed, ['Thing'])
    })
  }
})

async function servicesFile (t: TestContext, text: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-services-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const file = join(directory, 'services.yaml')
  await writeFile(file, text)
  return file
}
