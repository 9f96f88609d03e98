// The embedded registry: what the plugin sends byte for byte, what the `consul` package calls, checks run for real, waits, bounds.
import assert from 'node:assert/strict'
import http from 'node:http'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import Consul from 'consul'
import { watchConsul } from '../../src/registry/consul-watch.ts'
import { startEmbeddedRegistry } from '../../src/registry/embedded.ts'
import type { EmbeddedOptions } from '../../src/registry/embedded.ts'
import { parseGoDuration } from '../../src/registry/go-duration.ts'
import type { Snapshot } from '../../src/registry/registration.ts'
import { onThisMachine } from '../support/networks.ts'
import { until } from '../support/until.ts'

interface Entry { Service: { ID: string, Tags: string[], Meta: object | null }, Checks: Array<{ CheckID: string, Status: string, Output: string, Type: string, Notes: string }> }

async function embedded (t: TestContext, options: Partial<EmbeddedOptions> = {}) {
  const registry = await startEmbeddedRegistry({ host: '127.0.0.1', port: 0, networks: onThisMachine, random: () => 0, ...options })
  t.after(() => registry.close())
  const { port } = new URL(registry.url)
  const call = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(registry.url + path, { method, ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }) })
    return { status: answer.status, text: await answer.text(), index: Number(answer.headers.get('x-consul-index')) }
  }
  const health = async (query = ''): Promise<Entry[]> => JSON.parse((await call('GET', `/v1/health/service/api${query}`)).text) as Entry[]
  const status = async (checkId: string) => (await health()).flatMap(({ Checks }) => Checks).find(({ CheckID }) => CheckID === checkId)
  return { ...registry, call, health, status, consul: new Consul({ host: '127.0.0.1', port: Number(port) }), port: Number(port) }
}
/** Sends bytes as they are, returns what came back. */
function raw (port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.on('data', (chunk: Buffer) => { answer += chunk.toString() }).on('end', () => resolve(answer)).on('error', reject)
  })
}
async function target (t: TestContext, handler: http.RequestListener): Promise<string> {
  const server = http.createServer(handler)
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  t.after(() => new Promise<void>((resolve) => { server.close(() => resolve()); server.closeAllConnections() }))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
const put = (path: string, body: string): string =>
  `PUT ${path} HTTP/1.1\r\nAccept: application/json\r\nUser-Agent: ServiceStack .NET Client 5,20\r\nAccept-Encoding: gzip,deflate\r\nHost: 127.0.0.1:8500\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`

test('what the discovery plugin sends, from start to stop', async (t) => {
  const { port, health, call } = await embedded(t, { random: () => 1 })
  const id = 'ss-Orders-d19a6542-cb02-4d81-9c9b-194c4e18dddb'
  const service = `{"ID":"${id}","Name":"api","Tags":["ss-version-1.0","PlaceOrder","team-orders"],"Address":"http://127.0.0.1:9201/","Port":9201}`
  assert.match(await raw(port, put('/v1/agent/service/register', service)), /^HTTP\/1\.1 200 OK\r\n/)
  // Recorded: the service shows before its checks, with the node's only.
  assert.deepEqual((await health()).map(({ Service, Checks }) => [Service.ID, Service.Meta, Checks.map(({ CheckID }) => CheckID)]), [[id, null, ['serfHealth']]])
  const check = `{"ID":"${id}:SS-Heartbeat","Name":"SS-Heartbeat","Notes":"A heartbeat service to check if the service is reachable, expects 200 response","ServiceID":"${id}","HTTP":"http://127.0.0.1:9201/json/reply/Heartbeat?","Interval":"30s","DeregisterCriticalServiceAfter":"90m"}`
  assert.match(await raw(port, put('/v1/agent/check/register', check)), /^HTTP\/1\.1 200 OK\r\n/)
  const heartbeat = (await health())[0]!.Checks[1]!
  assert.deepEqual([heartbeat.CheckID, heartbeat.Status, heartbeat.Output, heartbeat.Type], [`${id}:SS-Heartbeat`, 'critical', '', 'http'])
  // The plugin's own lookup: any letter case of the tag.
  assert.equal((await health('?near=_agent&tag=placeorder')).length, 1)
  assert.equal((await health('?near=_agent&passing&tag=PlaceOrder')).length, 0)
  assert.equal((await health('?tag=Other')).length, 0)
  assert.match(await raw(port, `GET /v1/agent/service/deregister/${id} HTTP/1.1\r\nHost: 127.0.0.1:8500\r\nConnection: close\r\n\r\n`), /^HTTP\/1\.1 200 OK\r\n/)
  assert.deepEqual(await health(), [])
  assert.equal((await call('GET', '/v1/agent/checks')).text, '{}\n')
})

test('the consul package: register, list, maintain, feed a TTL, deregister', async (t) => {
  const { consul, health, status } = await embedded(t)
  await consul.agent.service.register({ id: 'o1', name: 'api', tags: ['A', 'b'], address: '10.0.0.7', port: 8080, meta: { messages: 'PlaceOrder' }, check: { ttl: '30s', notes: 'fed' } } as never)
  assert.deepEqual(Object.keys(await consul.agent.service.list() as object), ['o1'])
  assert.deepEqual(Object.keys(await consul.agent.check.list() as object), ['service:o1'])
  assert.equal((await status('service:o1'))!.Status, 'critical')
  await consul.agent.check.pass({ id: 'service:o1', note: 'well' } as never)
  assert.deepEqual([(await status('service:o1'))!.Status, (await status('service:o1'))!.Output], ['passing', 'well'])
  await consul.agent.check.warn('service:o1')
  assert.equal((await status('service:o1'))!.Status, 'warning')
  await consul.agent.check.fail('service:o1')
  assert.equal((await status('service:o1'))!.Status, 'critical')
  await consul.agent.service.maintenance({ id: 'o1', enable: true, reason: 'db move' } as never)
  assert.equal((await status('_service_maintenance:o1'))!.Notes, 'db move')
  await consul.agent.service.maintenance({ id: 'o1', enable: false } as never)
  assert.equal(await status('_service_maintenance:o1'), undefined)
  await consul.agent.maintenance({ enable: true, reason: 'kernel' } as never)
  assert.equal((await status('_node_maintenance'))!.Notes, 'kernel')
  await consul.agent.maintenance({ enable: false } as never)
  assert.deepEqual(await consul.catalog.service.list(), { api: ['A', 'b'], consul: [] })
  assert.equal((await consul.catalog.service.nodes('api') as Array<{ ServiceAddress: string }>)[0]!.ServiceAddress, '10.0.0.7')
  assert.equal((await consul.health.service('api') as Entry[]).length, 1)
  assert.equal((await consul.health.checks('api') as object[]).length, 1)
  assert.equal((await consul.health.node('postern') as object[]).length, 2)
  assert.equal((await consul.health.state('critical') as object[]).length, 1)
  assert.equal((await consul.agent.self() as { Config: { NodeName: string } }).Config.NodeName, 'postern')
  assert.match(await consul.status.leader() as string, /^127\.0\.0\.1:/)
  assert.equal((await consul.status.peers() as string[]).length, 1)
  await consul.agent.check.register({ name: 'extra', serviceid: 'o1', ttl: '10s' } as never)
  await consul.agent.check.deregister('extra')
  await consul.agent.service.deregister('o1')
  assert.deepEqual(await health(), [])
})

test('the package\'s own watch is told of changes', async (t) => {
  const { consul, call } = await embedded(t)
  const watch = consul.watch({ method: consul.health.service, options: { service: 'api' } } as never) as NodeJS.EventEmitter & { end (): void }
  t.after(() => watch.end())
  const seen: number[] = []
  watch.on('change', (data: object[]) => seen.push(data.length))
  watch.on('error', (error) => { throw error })
  await until('the first list', () => seen.length === 1)
  await call('PUT', '/v1/agent/service/register', { ID: 'a', Name: 'api' })
  await until('the change', () => seen.at(-1) === 1)
})

test('a watch over HTTP, as of a gateway elsewhere, sees a registration at once and works through a restart', async (t) => {
  const { url, call, close, port } = await embedded(t)
  const snapshots: Snapshot[] = []
  const watch = watchConsul({ agents: [url], stale: false, services: ['api'], messageMetaKey: 'messages', ignoreTags: [], waitMs: 15_000, minIntervalMs: 100, maxBackoffMs: 200, datacenters: [], datacenterOrder: 'list', coordinatesMs: 0, maxAnswerBytes: 1_048_576 },
    { snapshot: (snapshot) => { snapshots.push(snapshot) }, state: () => {} })
  t.after(() => watch.close())
  const ids = (): string | undefined => snapshots.at(-1)?.registrations.map(({ id }) => id).join()
  await until('the first list', () => ids() === '')
  for (const id of ['a', 'b']) await call('PUT', '/v1/agent/service/register', { ID: id, Name: 'api', Address: 'http://127.0.0.1:9201/', Tags: ['ss-version-1.0', 'X'] })
  const at = performance.now()
  await until('both', () => ids() === 'a,b')
  // Long before its query would end by itself.
  assert.ok(performance.now() - at < 10_000)
  assert.equal(snapshots.at(-1)!.registrations[0]!.health, 'unchecked')
  await close()
  const again = await startEmbeddedRegistry({ host: '127.0.0.1', port, networks: onThisMachine })
  t.after(() => again.close())
  await until('the empty list of the new one', () => ids() === '')
  assert.equal(snapshots.at(-1)!.reset, true)
})

test('http checks run for real: 2xx passes, 429 warns, anything else is critical, redirects are followed', async (t) => {
  const seen: http.IncomingMessage[] = []
  const url = await target(t, (request, response) => {
    seen.push(request)
    if (request.url === '/moved') response.writeHead(302, { location: '/204' }).end()
    else if (request.url === '/loop') response.writeHead(302, { location: '/loop' }).end()
    else if (request.url === '/big') response.writeHead(200).end('x'.repeat(1_000_000))
    else response.writeHead(Number(request.url!.slice(1)), 'Said So').end('body')
  })
  const { call, status } = await embedded(t)
  await call('PUT', '/v1/agent/service/register', { ID: 'a', Name: 'api' })
  for (const path of ['200', '204', '299', '429', '404', '500', '503', 'moved', 'loop', 'big']) {
    await call('PUT', '/v1/agent/check/register', { ID: path, Name: path, ServiceID: 'a', HTTP: `${url}/${path}`, Interval: '1h', Method: 'POST', Header: { 'X-Probe': ['yes'] }, Body: 'hello' })
  }
  await call('PUT', '/v1/agent/check/register', { ID: 'gone', Name: 'gone', ServiceID: 'a', HTTP: 'http://127.0.0.1:1/', Interval: '1h' })
  const found: Record<string, string> = {}
  for (const [path, expected] of Object.entries({ 200: 'passing', 204: 'passing', 299: 'passing', 429: 'warning', 404: 'critical', 500: 'critical', 503: 'critical', moved: 'passing', loop: 'critical', big: 'passing', gone: 'critical' })) {
    const check = await until(`${path} to have run`, async () => { const now = await status(path); return now !== undefined && now.Output !== '' && now })
    assert.equal(check.Status, expected, path)
    found[path] = check.Output
  }
  assert.equal(found[200], `HTTP POST ${url}/200: 200 Said So Output: body`)
  assert.match(found['gone']!, /ECONNREFUSED/)
  assert.ok(found['big']!.length < 5_000)
  assert.equal(seen[0]!.headers['x-probe'], 'yes')
  assert.equal(seen[0]!.method, 'POST')
})

test('a check that hangs is critical after its timeout; tcp checks connect', async (t) => {
  const url = await target(t, () => {})
  const { call, status } = await embedded(t)
  await call('PUT', '/v1/agent/service/register', {
    Name: 'api',
    Checks: [{ HTTP: url, Interval: '1h', Timeout: '50ms' }, { TCP: new URL(url).host, Interval: '1h' }, { CheckID: 'mine', TCP: '127.0.0.1:1', Interval: '1h' }]
  })
  await until('the hang', async () => /within 50 ms/.test((await status('service:api:1'))!.Output))
  assert.equal((await until('tcp', async () => (await status('service:api:2'))!.Status === 'passing' && await status('service:api:2'))).Type, 'tcp')
  await until('tcp refused', async () => /ECONNREFUSED/.test((await status('mine'))!.Output))
})

test('checks run again and again, first within their interval, and end with their service', async (t) => {
  let runs = 0
  const url = await target(t, (_request, response) => { runs++; response.end() })
  const { call } = await embedded(t, { random: () => 0.5 })
  const startedAt = performance.now()
  await call('PUT', '/v1/agent/service/register', { Name: 'api', Check: { HTTP: url, Interval: '1s' } })
  await until('the first run', () => runs === 1)
  assert.ok(performance.now() - startedAt >= 450)
  await until('the second run', () => runs === 2)
  await call('PUT', '/v1/agent/service/deregister/api')
  assert.equal((await call('GET', '/v1/agent/checks')).text, '{}\n')
})

test('a TTL that is not fed expires', async (t) => {
  const { call, status } = await embedded(t)
  await call('PUT', '/v1/agent/service/register', { Name: 'api', Check: { TTL: '4s', Status: 'passing' } })
  assert.equal((await status('service:api'))!.Status, 'passing')
  await until('it to expire', async () => (await status('service:api'))!.Status === 'critical')
  assert.equal((await status('service:api'))!.Output, 'TTL expired')
  await call('PUT', '/v1/agent/check/update/service:api', { Status: 'passing', Output: 'alive' })
  assert.equal((await status('service:api'))!.Status, 'passing')
})

test('a service that stays critical is removed after DeregisterCriticalServiceAfter, a minute at least', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { Store } = await import('../../src/registry/embedded-store.ts')
  const { runChecks } = await import('../../src/registry/embedded-checks.ts')
  const { readService } = await import('../../src/registry/embedded-body.ts')
  const store = new Store({ services: 10, checks: 10 })
  const checks = runChecks(store, onThisMachine, () => 1)
  const { service, checks: own } = readService({ Name: 'api', Check: { TTL: '10m', DeregisterCriticalServiceAfter: '1s' } })
  store.register(service, own)
  t.mock.timers.tick(59_000)
  checks.feed('service:api', 'passing', '')
  t.mock.timers.tick(61_000)
  assert.equal(store.services.size, 1)
  checks.feed('service:api', 'critical', '')
  t.mock.timers.tick(59_999)
  assert.equal(store.services.size, 1)
  t.mock.timers.tick(1)
  assert.equal(store.services.size, 0)
  assert.equal(store.checks.size, 0)
  checks.close()
})

test('a blocking query ends at a change of its own service, not of another, and at its wait', async (t) => {
  const { call } = await embedded(t)
  await call('PUT', '/v1/agent/service/register', { ID: 'a', Name: 'api' })
  const { index } = await call('GET', '/v1/health/service/api')
  const startedAt = performance.now()
  const waited = await call('GET', `/v1/health/service/api?index=${index}&wait=100ms`)
  assert.ok(performance.now() - startedAt >= 95)
  assert.equal(waited.index, index)
  let answered = false
  const waiting = call('GET', `/v1/health/service/api?index=${index}&wait=10s`).then((answer) => { answered = true; return answer })
  await call('PUT', '/v1/agent/service/register', { ID: 'o', Name: 'other' })
  await call('GET', '/v1/health/service/api')
  assert.equal(answered, false)
  await call('PUT', '/v1/agent/maintenance?enable=true')
  const woken = await waiting
  assert.ok(woken.index > index)
  assert.equal((JSON.parse(woken.text) as Entry[])[0]!.Checks.some(({ CheckID }) => CheckID === '_node_maintenance'), true)
})

test('indexes never go backwards, also when a name comes and goes', async (t) => {
  const { call } = await embedded(t)
  let last = 0
  const look = async (): Promise<void> => {
    const { index } = await call('GET', '/v1/health/service/api')
    assert.ok(index >= last && index > 0, `${index} after ${last}`)
    last = index
  }
  await look()
  for (const [method, path, body] of [
    ['PUT', '/v1/agent/service/register', { ID: 'x', Name: 'other' }], ['PUT', '/v1/agent/service/register', { ID: 'a', Name: 'api' }],
    ['PUT', '/v1/agent/service/deregister/a'], ['PUT', '/v1/agent/service/deregister/x'], ['PUT', '/v1/agent/service/register', { ID: 'a', Name: 'api' }],
    ['PUT', '/v1/agent/service/register', { ID: 'a', Name: 'renamed' }]
  ] as const) {
    await call(method, path, body)
    await look()
  }
})

test('registering again keeps the status of its checks, as Consul does', async (t) => {
  const { call, status } = await embedded(t)
  const body = { Name: 'api', Tags: ['A'], Check: { TTL: '1m' } }
  await call('PUT', '/v1/agent/service/register', body)
  await call('PUT', '/v1/agent/check/pass/service:api')
  await call('PUT', '/v1/agent/service/register', { ...body, Tags: ['B'] })
  assert.equal((await status('service:api'))!.Status, 'passing')
})

test('everything is bounded', async (t) => {
  const { call, port } = await embedded(t, { limits: { services: 2, checks: 2, bodyBytes: 1_000, waiting: 1 } })
  assert.equal((await call('PUT', '/v1/agent/service/register', { Name: 'a', Tags: ['x'.repeat(2_000)] })).status, 413)
  for (const name of ['a', 'b']) assert.equal((await call('PUT', '/v1/agent/service/register', { Name: name })).status, 200)
  assert.deepEqual(await call('PUT', '/v1/agent/service/register', { Name: 'c' }), { status: 429, text: 'more than 2 services', index: 0 })
  assert.equal((await call('PUT', '/v1/agent/service/register', { Name: 'b', Tags: ['again'] })).status, 200)
  for (const name of ['1', '2']) assert.equal((await call('PUT', '/v1/agent/check/register', { Name: name, ServiceID: 'a', TTL: '1h' })).status, 200)
  assert.equal((await call('PUT', '/v1/agent/check/register', { Name: '3', ServiceID: 'a', TTL: '1h' })).status, 429)
  assert.equal((await call('PUT', '/v1/agent/service/register', { Name: 'a', Check: { TTL: '1h' } })).status, 429)
  // A second query that would wait is answered at once.
  await until('the one place to be taken', async () => {
    const held = http.get(`http://127.0.0.1:${port}/v1/health/service/a?index=1000&wait=60s`).on('error', () => {})
    const startedAt = performance.now()
    await call('GET', '/v1/health/service/a?index=1000&wait=3s')
    held.destroy()
    return performance.now() - startedAt < 1_500
  })
})

for (const [text, ms] of [['30s', 30_000], ['90m', 5_400_000], ['1h30m', 5_400_000], ['250ms', 250], ['1.5s', 1_500], ['', 0], ['0', 0], [15e9, 15_000], ['10', undefined], ['abc', undefined], ['-5s', undefined], ['5s x', undefined], [{}, undefined]] as const) {
  test(`a Go duration: ${JSON.stringify(text)} is ${ms}`, () => assert.equal(parseGoDuration(text), ms))
}
