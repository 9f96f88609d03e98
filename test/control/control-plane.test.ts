import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { Value } from 'typebox/value'
import { ConfigSchema, type Config } from '../../src/config/schema.ts'
import { createControlPlane, type ControlPlaneOptions } from '../../src/control/control-plane.ts'
import type { ChangeBatch, MessagePlan, UpstreamPlan } from '../../src/routing/plan.ts'
import { startFakeConsul } from '../support/fake-consul.ts'

const toConfig = (like: object) => Value.Default(ConfigSchema, like) as Config

/** A ServiceStack host as far as the control plane asks it. */
async function host (t: TestContext, id: string, names: readonly string[]): Promise<string> {
  const server = createServer((request, response) => {
    response.setHeader('x-powered-by', 'ServiceStack/10.15 NET10/Linux')
    response.setHeader('content-type', 'application/json')
    if (request.url === '/json/reply/ServiceRegistration') response.end(JSON.stringify({ name: 'api', id }))
    else if (request.url === '/operations/metadata') response.end(JSON.stringify(names.map(name => ({ name, actions: ['ANY'], routes: [], ...(name.startsWith('Internal') ? { restrictTo: ['Localhost'] } : {}) }))))
    else response.writeHead(404).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => { server.closeAllConnections(); server.close() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** What a data plane makes of the batches. */
async function setUp (t: TestContext, config: Config, more: Partial<ControlPlaneOptions> = {}) {
  const messages = new Map<string, MessagePlan>()
  const upstreams = new Map<string, UpstreamPlan>()
  const batches: ChangeBatch[] = []
  const lines: Array<{ level: string, message: string, fields: object }> = []
  const waiting = new Set<() => void>()
  const changed = () => { for (const look of waiting) look() }
  const log = (level: string) => (fields: object, message: string) => { lines.push({ level, message, fields }); changed() }
  const control = createControlPlane({
    config,
    log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
    restartMs: 20,
    onChanges (batch) {
      batches.push(batch)
      for (const change of batch.changes) {
        if (change.kind === 'message') messages.set(change.plan.key, change.plan)
        else if (change.kind === 'message-gone') messages.delete(change.key)
        else if (change.kind === 'upstream') upstreams.set(change.plan.name, change.plan)
        else if (change.kind === 'upstream-gone') upstreams.delete(change.name)
      }
      setImmediate(changed)
    },
    ...more
  })
  t.after(() => control.close())
  const until = (what: string, holds: () => boolean) => new Promise<void>((resolve, reject) => {
    const limit = setTimeout(() => { waiting.delete(look); reject(new Error(`not within 30 s: ${what}; log: ${JSON.stringify(lines.slice(-5))}`)) }, 30_000)
    const poll = setInterval(() => look(), 20)
    const look = () => {
      if (!holds()) return
      clearTimeout(limit)
      clearInterval(poll)
      waiting.delete(look)
      resolve()
    }
    waiting.add(look)
    look()
  })
  const state = (key: string) => messages.get(key)?.state
  return { control, messages, upstreams, batches, lines, until, state }
}

async function folder (t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'postern-control-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

const entry = (service: string, url: string, names: readonly string[]) => `- { service: ${service}, url: "${url}", messages: [${names.join(', ')}], servicestack: true }\n`

test('fixed upstreams alone are a table at once', async t => {
  const { control, upstreams, batches, until } = await setUp(t, toConfig({ upstreams: { Legacy: { endpoints: ['http://127.0.0.1:9/'] } }, prefixes: { '/old/*': { upstream: 'Legacy' } } }))
  await control.start()
  await until('the first commit', () => batches.at(-1)?.last === true)
  assert.deepEqual(upstreams.get('Legacy')?.endpoints.map(({ url }) => url), ['http://127.0.0.1:9'])
  await until('status', () => control.status().hasTable)
  assert.deepEqual(JSON.parse(await control.describe('routes')).prefixes, [{ path: '/old/*', upstream: 'Legacy', endpoints: 1, effect: 'by method' }])
})

test('a service in a file is asked, routed, described, changed and removed', async t => {
  const file = join(await folder(t), 'services.yaml')
  const url = await host(t, 'ss-Catalog-1', ['GetProduct', 'InternalReport'])
  await writeFile(file, entry('Catalog', url, ['GetProduct', 'InternalReport', 'team-tag']))
  const config = toConfig({ registry: { file } })
  const { control, until, state, lines, batches, messages } = await setUp(t, config)
  await control.start()
  await until('the message', () => state('getproduct') === 'routed')
  assert.equal(state('internalreport'), 'hidden')
  assert.equal(messages.get('team-tag'), undefined)
  const described = JSON.parse(await control.describe('upstreams'))
  assert.equal(described.upstreams[0].endpoints[0].why, 'Routed: nobody checks it but Postern, and it answered our own question.')
  assert.equal(described.registries[0].registry, 'file')
  await until('counts', () => control.status().counts.routes['routed'] === 1)

  // A new configuration is answered by a batch of its generation, also when nothing changes.
  control.configure(config, 2)
  await until('generation 2', () => batches.at(-1)?.configGeneration === 2 && batches.at(-1)?.last === true)
  control.configure({ ...config, exposure: { ...config.exposure, hide: ['GetProduct'] } }, 3)
  await until('hidden by the new configuration', () => state('getproduct') === 'hidden')
  assert.ok(lines.some(({ message }) => message === 'message hidden'))

  await writeFile(file, '[]\n')
  await until('gone', () => messages.size === 0)
})

test('a thread that dies is started again; the table stays, and what went meanwhile goes', async t => {
  const file = join(await folder(t), 'services.yaml')
  const url = await host(t, 'ss-Catalog-1', ['GetProduct', 'Search'])
  await writeFile(file, entry('Catalog', url, ['GetProduct', 'Search']))
  const { control, until, messages, lines, state, batches } = await setUp(t, toConfig({ registry: { file } }), { thread: new URL('./dying-thread.ts', import.meta.url), restartMs: 3_000 })
  await control.start()
  await until('the messages', () => state('getproduct') === 'routed' && state('search') === 'routed')
  void control.recheck('die', 'doubted')
  await until('its death is told', () => lines.some(({ level, message }) => level === 'error' && message.startsWith('control thread died')))
  assert.equal(state('search'), 'routed')
  assert.equal(control.status().hasTable, true)
  await assert.rejects(control.describe('routes'), /being started/)
  const from = batches.length
  await writeFile(file, entry('Catalog', url, ['GetProduct']))
  await until('the new thread has taken over', () => messages.get('search') === undefined)
  const taken = batches.slice(from).flatMap(({ changes }) => changes).map(change => change.kind === 'message' && change.plan.key === 'getproduct' ? change.plan.state : change.kind === 'message-gone' && change.key === 'getproduct' ? 'gone' : 'routed')
  assert.deepEqual(taken.filter(state => state !== 'routed'), [], 'no route was taken away in between')
  assert.match(await control.describe('routes'), /GetProduct/)
})

test('a batch that is not applied is sent again, whole', async t => {
  let refused = 0
  const seen: ChangeBatch[] = []
  const { control, until, lines } = await setUp(t, toConfig({ upstreams: { Legacy: { endpoints: ['http://127.0.0.1:9/'] } } }), {
    onChanges (batch) {
      if (refused++ === 0) throw new Error('not now')
      seen.push(batch)
    }
  })
  await control.start()
  await until('the refusal is told', () => lines.some(({ message }) => message === 'a change of the route table was not applied'))
  await until('sent again', () => seen.length > 0)
  assert.deepEqual(seen[0]?.changes.map(change => change.kind), ['upstream'])
})

test('with a data directory a start serves from disk while the registry is away, and says so', async t => {
  const directory = await folder(t)
  const file = join(directory, 'services.yaml')
  const url = await host(t, 'ss-Catalog-1', ['GetProduct'])
  await writeFile(file, entry('Catalog', url, ['GetProduct']))
  const config = toConfig({ registry: { file }, dataDirectory: join(directory, 'data') })
  const first = await setUp(t, config)
  await first.control.start()
  await first.until('the message', () => first.state('getproduct') === 'routed')
  await first.control.close()
  assert.match(await readFile(join(directory, 'data', 'control-state.json'), 'utf8'), /"version":1/)

  await rm(file)
  const second = await setUp(t, config)
  await second.control.start()
  await second.until('the message from disk', () => second.state('getproduct') === 'routed')
  assert.match(JSON.parse(await second.control.describe('upstreams')).upstreams[0].endpoints[0].why, /; stale: read from disk, and the services file could not be read since the start\.$/)
  await second.control.close()

  await writeFile(join(directory, 'data', 'control-state.json'), '{"version":1,"regi')
  await writeFile(file, entry('Catalog', url, ['GetProduct']))
  const third = await setUp(t, config)
  await third.control.start()
  await third.until('the file registry', () => third.state('getproduct') === 'routed')
  assert.ok(third.lines.some(({ level, message }) => level === 'error' && message.startsWith('the kept state cannot be read and is ignored: set aside as ')))
})

test('an embedded registry has an address when start resolves', async t => {
  const { control, until } = await setUp(t, toConfig({ registry: { embedded: { address: '127.0.0.1:0' } } }))
  await control.start()
  await until('its address', () => /^http:\/\/127\.0\.0\.1:\d+$/.test(control.status().embeddedUrl ?? ''))
})

test('a registry that does not answer is said once with its reason, each of its errors is counted, and its return is said', async t => {
  const consul = await startFakeConsul()
  t.after(() => consul.close())
  let errors = 0
  const plane = await setUp(t, toConfig({ registry: { consul: { agents: [consul.url] } } }), { onRegistryErrors: (_registry, more) => { errors += more } })
  const about = () => plane.lines.filter(({ message }) => message.startsWith('registry ')).map(({ level, message }) => `${level}: ${message.split(';')[0]}`)
  let refused = 0
  consul.answer(({ response }) => {
    refused++
    response.writeHead(500).end('No cluster leader')
  })
  await plane.control.start()
  await plane.until('the failure', () => about().includes('warn: registry does not answer'))
  assert.match((plane.lines.find(({ message }) => message.startsWith('registry '))!.fields as { error: string }).error, /500/)
  await plane.until('more of them', () => errors >= 3)
  consul.answer(undefined)
  await plane.until('the answer', () => about().includes('info: registry answers'))
  await plane.until('the state', () => plane.control.status().registries[0]?.ok === true)
  assert.deepEqual([about(), errors], [['warn: registry does not answer', 'info: registry answers'], refused])
})

test('a registry that answers from the first has not failed: it was only awaited', async t => {
  const consul = await startFakeConsul()
  t.after(() => consul.close())
  let errors = 0
  const plane = await setUp(t, toConfig({ registry: { consul: { agents: [consul.url] } } }), { onRegistryErrors: (_registry, more) => { errors += more } })
  await plane.control.start()
  await plane.until('the state', () => plane.control.status().registries[0]?.ok === true)
  assert.equal(errors, 0)
})

test('with a large fleet, and only then, the control thread stands behind the one that serves requests', { skip: process.platform !== 'linux' }, async t => {
  const told = (thread: string | number, file: string) => existsSync(`/proc/self/task/${thread}`) ? readFileSync(`/proc/self/task/${thread}/${file}`, 'latin1') : ''
  const niceOf = (thread: string | number) => Number(told(thread, 'stat').split(') ').at(-1)!.split(' ')[16])
  const before = niceOf(process.pid)
  const fleet = (size: number) => toConfig({ upstreams: { Legacy: { endpoints: Array.from({ length: size }, (_, n) => `http://127.0.0.1:9/e${n}/`) } } })
  const { control, until } = await setUp(t, fleet(10))
  await control.start()
  const threads = readdirSync('/proc/self/task').filter(thread => /postern-control|V8Worker/.test(told(thread, 'comm')))
  assert.ok(threads.length > 1)
  assert.deepEqual(threads.map(niceOf).filter(nice => nice !== before), [])
  control.configure(fleet(501), 2)
  await until('they stand behind', () => threads.map(niceOf).every(nice => nice >= 10))
  assert.equal(niceOf(process.pid), before)
})
