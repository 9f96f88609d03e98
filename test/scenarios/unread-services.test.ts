// One of several watched services that cannot be read takes nothing from the others: at a cold start, at a reload, at a start from what is kept.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { consulSkip, startConsul, type RealConsul } from '../support/consul.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { request, targetOf } from '../support/http-client.ts'
import { startLyingProxy } from '../support/lying-proxy.ts'
import { serviceBody } from '../support/plugin-registration.ts'
import { startServiceStackHost, type ServiceStackHost } from '../support/servicestack-host.ts'
import { until } from '../support/until.ts'

const skip = await consulSkip()
const answer = () => ({ body: {} })
const hostOf = (service: string, message: string) => startServiceStackHost({ service, messages: { [message]: answer } })
const register = (consul: RealConsul, host: ServiceStackHost, Name = 'api') => consul.put('/v1/agent/service/register', { ...serviceBody(host), Name, Check: { TTL: '1h', Status: 'passing' } })
const maintain = (consul: RealConsul, { id }: ServiceStackHost, enable: boolean) => consul.put(`/v1/agent/service/maintenance/${id}?enable=${enable}`)
const settings = (agent: string, services: string[]) => ({ registry: { consul: { agents: [agent], services, waitMs: 1_000, maxBackoffMs: 500 } } })

interface Row { readonly registration: string, readonly state: string, readonly why: string, readonly stale?: true }
const rowOf = async (gateway: TestGateway, { id }: ServiceStackHost) => (await gateway.api('routes')).registrations.find(({ registration }: Row) => registration === id) as Row | undefined
const becomes = (gateway: TestGateway, message: string, status: number) => until(`${message} is answered ${status}`, async () => (await gateway.get(`/json/reply/${message}`)).status === status)
const isReady = async (gateway: TestGateway) => (await request(targetOf(gateway.admin), '/readyz')).status === 200
const stale = (gateway: TestGateway) => gateway.metric('postern_registry_stale', { registry: 'consul' })

/** What the service that can be read has to say is heard. */
async function follows (gateway: TestGateway, consul: RealConsul, host: ServiceStackHost, message: string): Promise<void> {
  await becomes(gateway, message, 200)
  await maintain(consul, host, true)
  await becomes(gateway, message, 503)
  assert.equal((await rowOf(gateway, host))?.state, 'draining')
  await maintain(consul, host, false)
  await becomes(gateway, message, 200)
}

test('a service that cannot be read', { timeout: 300_000, skip }, async t => {
  const consul = await startConsul()
  t.after(() => consul.stop())
  await using proxy = await startLyingProxy(consul.url)
  await using alpha = await hostOf('Alpha', 'GetAlpha')
  await using beta = await hostOf('Beta', 'GetBeta')
  await using web = await hostOf('Web', 'GetWeb')
  await register(consul, alpha)
  await register(consul, web, 'web')
  const dataDirectory = await mkdtemp(join(tmpdir(), 'postern-unread-'))
  t.after(() => rm(dataDirectory, { recursive: true, force: true }))

  await t.test('at a cold start: the other one is served, and what may be its messages is answered 503', async () => {
    proxy.only = 'web'
    proxy.mood = 'error'
    await using gateway = await startGateway(settings(proxy.url, ['api', 'web']))
    await follows(gateway, consul, alpha, 'GetAlpha')
    assert.ok(await isReady(gateway))
    const unknown = await gateway.get('/json/reply/GetWeb')
    assert.deepEqual([unknown.status, unknown.reason], [503, 'RoutesNotReady'])
    await until('the log to name it', async () => (await gateway.log()).some(({ msg, registries }) => msg === 'route table without all registries: those named have not answered yet' && String(registries) === 'consul (web)'))
    proxy.mood = 'honest'
    await becomes(gateway, 'GetWeb', 200)
    await becomes(gateway, 'GetNothing', 404)
  })

  await t.test('added while it runs: what is known is served on, and followed', async () => {
    proxy.only = 'web'
    proxy.mood = 'error'
    await using gateway = await startGateway(settings(proxy.url, ['api']))
    await becomes(gateway, 'GetAlpha', 200)
    await gateway.reload(settings(proxy.url, ['api', 'web']))
    await follows(gateway, consul, alpha, 'GetAlpha')
    await register(consul, beta)
    await becomes(gateway, 'GetBeta', 200)
    assert.deepEqual([(await rowOf(gateway, alpha))?.stale, await stale(gateway)], [undefined, 0])
    await consul.put(`/v1/agent/service/deregister/${beta.id}`)
    // Somebody may list it who cannot be read.
    await becomes(gateway, 'GetBeta', 503)
  })

  await t.test('at a start from what is kept: its last list stays in force, shown as stale, and the other one is followed', async () => {
    proxy.mood = 'honest'
    const config = { ...settings(proxy.url, ['api', 'web']), dataDirectory }
    const first = await startGateway(config)
    for (const message of ['GetAlpha', 'GetWeb']) await becomes(first, message, 200)
    await first.close()
    proxy.only = 'web'
    proxy.mood = 'error'
    await using gateway = await startGateway(config)
    await follows(gateway, consul, alpha, 'GetAlpha')
    await becomes(gateway, 'GetWeb', 200)
    const [known, lost] = [await rowOf(gateway, alpha), await rowOf(gateway, web)]
    assert.deepEqual([known?.why, known?.stale], ['Routed: its checks pass.', undefined])
    assert.match(lost!.why, /^Routed: its checks pass; stale: known from before, and consul has not answered for web since it is watched \(web: http:.*HTTP 500/)
    assert.equal(await stale(gateway), 1)
    await register(consul, beta)
    await becomes(gateway, 'GetBeta', 200)
    await consul.put(`/v1/agent/service/deregister/${beta.id}`)
    await becomes(gateway, 'GetBeta', 404)
    proxy.mood = 'honest'
    await until('it is fresh', async () => await stale(gateway) === 0 && (await rowOf(gateway, web))?.why === 'Routed: its checks pass.')
  })
})
