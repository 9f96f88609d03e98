// Nothing that Consul does takes a healthy route away: a proxy that lies, an agent without its data, a token without its rights, a node in maintenance.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { consulSkip, startConsul, type RealConsul } from '../support/consul.ts'
import { answerList, healthEntry, startFakeConsul } from '../support/fake-consul.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { misdirected, startLoad } from '../support/load.ts'
import { startLyingProxy, type Mood } from '../support/lying-proxy.ts'
import { checkBodies, serviceBody } from '../support/plugin-registration.ts'
import { startServiceStackHost, type ServiceStackHost } from '../support/servicestack-host.ts'
import { until } from '../support/until.ts'

const skip = await consulSkip()
const answer = () => ({ body: {} })
const targets = ['/json/reply/First', 'POST /json/reply/Second']

interface World extends AsyncDisposable {
  readonly consul: RealConsul
  readonly hosts: readonly ServiceStackHost[]
}

const services = [['One', 'First'], ['Two', 'Second']] as const

/** Services of one host each, registered with whatever token the agent was started with. */
async function startWorld (options: Parameters<typeof startConsul>[0] = {}, only: ReadonlyArray<readonly [service: string, message: string]> = services): Promise<World> {
  const stack = new AsyncDisposableStack()
  const consul = await startConsul(options)
  stack.defer(() => consul.stop())
  const hosts: ServiceStackHost[] = []
  for (const [service, message] of only) hosts.push(stack.use(await startServiceStackHost({ service, messages: { [message]: answer } })))
  for (const host of hosts) await register(consul, host)
  const owned = stack.move()
  return { consul, hosts, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

async function register (consul: RealConsul, host: ServiceStackHost): Promise<void> {
  await consul.put('/v1/agent/service/register', serviceBody(host))
  for (const check of checkBodies(host, { heartbeatIntervalS: 1 })) await consul.put('/v1/agent/check/register', check)
}

const behind = (agent: string, more: object = {}) => ({ registry: { consul: { agents: [agent], waitMs: 1_000, maxBackoffMs: 500, ...more } } })

async function startBehind (agent: string, token?: string, only: ReadonlyArray<readonly [service: string, message: string]> = services): Promise<TestGateway> {
  const gateway = await startGateway(behind(agent, token === undefined ? {} : { token }))
  for (const [, message] of only) await until(`${message} is routed`, async () => (await gateway.get(`/json/reply/${message}`)).status === 200)
  return gateway
}

const registrations = (gateway: TestGateway, state: string) => gateway.metric('postern_registrations', { state })
const stale = (gateway: TestGateway) => gateway.metric('postern_registry_stale', { registry: 'consul' })
const isUp = async (gateway: TestGateway) => await gateway.metric('postern_registry_up', { registry: 'consul' }) === 1

test('half-broken, slow and lying answers of a proxy before the agent', { timeout: 300_000, skip }, async () => {
  await using world = await startWorld({}, [...services, services[1]])
  await using proxy = await startLyingProxy(world.consul.url)
  await using gateway = await startBehind(proxy.url)
  await using load = startLoad(gateway.url, targets)
  await until('all are routed', async () => await registrations(gateway, 'routed') === 3)
  const endure = async (mood: Mood, shown: () => Promise<boolean>, atLeast = 2) => {
    const [{ calls }, answered] = [load, proxy.answered(mood)]
    proxy.mood = mood
    await until(`${mood} answers, shown`, async () => proxy.answered(mood) >= answered + atLeast && await shown(), { everyMs: 25 })
    await until('calls go on', () => load.calls > calls + 100)
    assert.deepEqual(load.failures, [], mood)
    proxy.mood = 'honest'
    await until(`it is believed again after ${mood}`, async () => await isUp(gateway) && await gateway.metric('postern_registry_dropped') === 0 && await registrations(gateway, 'unconfirmed') === 0 && await registrations(gateway, 'routed') === 3 && await stale(gateway) === 0, { everyMs: 25 })
  }
  const isDown = async () => !await isUp(gateway) && await stale(gateway) === 3
  for (const mood of ['error', 'half', 'html', 'refuse'] as const) await endure(mood, isDown)
  await endure('hang', isDown, 1)
  await endure('slow', () => isUp(gateway))
  // A calm answer that names nobody is not believed while the catalogue lists them on their node.
  for (const mood of ['empty', 'older'] as const) await endure(mood, isDown)
  // One healthy registration is forgotten, the only one of its service. Its index has not moved, so nobody has deregistered it.
  proxy.forgets = world.hosts[0]!.id
  await endure('forget-one', async () => await registrations(gateway, 'unconfirmed') === 1 && await stale(gateway) === 1)
  // Under a newer index that is what a deregistration looks like: it is believed, entry by entry, and its twin has all the calls.
  proxy.forgets = world.hosts[2]!.id
  await endure('drop-one', async () => await registrations(gateway, 'routed') === 2 && await registrations(gateway, 'unconfirmed') === 0)
  await endure('malformed', async () => await gateway.metric('postern_registry_dropped') > 0 && await registrations(gateway, 'refused') === 1)
  await load.stop()
  assert.deepEqual(load.failures, [])
  assert.deepEqual(misdirected(world.hosts), [])
  for (const message of ['registry does not answer; its last good list stays in force', 'registry answers', 'endpoint unconfirmed', 'entries of the registry cannot be read; the others are not affected']) {
    // Lines are written behind the calls.
    await until(`the log to say: ${message}`, async () => (await gateway.log()).some(line => line['msg'] === message))
  }
})

test('a proxy that loses the index, and the list with it: a single service is served on too', { timeout: 300_000 }, async t => {
  const agent = await startFakeConsul()
  t.after(() => agent.close())
  await using host = await startServiceStackHost({ service: 'One', messages: { First: answer } })
  agent.list([healthEntry(host.id, { service: { Address: host.address, Tags: ['ss-version-1.0', 'First'], Port: host.port } })])
  await using gateway = await startBehind(agent.url, undefined, [services[0]])
  const { length } = agent.queries
  agent.answer(({ response }) => answerList(response, [], undefined))
  agent.breakConnections()
  await until('it is unconfirmed', async () => await stale(gateway) === 1)
  await agent.queried(length + 5)
  assert.equal((await gateway.get('/json/reply/First')).status, 200)
  agent.answer(undefined)
  agent.breakConnections()
  await until('it is confirmed', async () => await stale(gateway) === 0)
})

describe('a fleet of one service', { timeout: 300_000, skip }, () => {
  const one = [services[0], services[0]]
  const start = async (stack: AsyncDisposableStack) => {
    const world = stack.use(await startWorld({}, one))
    const proxy = stack.use(await startLyingProxy(world.consul.url))
    const gateway = stack.use(await startBehind(proxy.url, undefined, one))
    await until('both are routed', async () => await registrations(gateway, 'routed') === 2)
    return { ...world, proxy, gateway }
  }

  test('a calm empty answer of a proxy takes nothing away, and the last deregistration of an operator does, at once, though its process lives on', async () => {
    await using stack = new AsyncDisposableStack()
    const { consul, hosts, proxy, gateway } = await start(stack)
    await using load = startLoad(gateway.url, targets[0]!)
    proxy.mood = 'empty'
    await until('it is not believed', async () => !await isUp(gateway) && await stale(gateway) === 2, { everyMs: 25 })
    const { calls } = load
    await until('calls go on', () => load.calls > calls + 100)
    proxy.mood = 'honest'
    await until('it is believed again', async () => await isUp(gateway) && await stale(gateway) === 0)
    await load.stop()
    assert.deepEqual(load.failures, [])
    for (const { id } of hosts) await consul.put(`/v1/agent/service/deregister/${id}`)
    await until('it is gone', async () => (await gateway.get('/json/reply/First')).status === 404)
    assert.deepEqual([await registrations(gateway, 'unconfirmed'), (await gateway.api('routes')).registrations], [0, []])
  })

  for (const again of [0, 1]) {
    test(`an agent that has lost its data and numbers higher by the time it is read, with ${again} of 2 registered again: not one call fails`, async () => {
      await using stack = new AsyncDisposableStack()
      const { consul, hosts, proxy, gateway } = await start(stack)
      await using load = startLoad(gateway.url, targets[0]!)
      proxy.mood = 'refuse'
      await consul.restart()
      for (const host of hosts.slice(0, again)) await register(consul, host)
      for (let n = 0; n < 100; n++) await consul.put('/v1/agent/service/register', { ID: `other-${n}`, Name: 'other', Port: 1 })
      proxy.mood = 'honest'
      await until('what is forgotten is unconfirmed', async () => await registrations(gateway, 'unconfirmed') === 2 - again, { everyMs: 25 })
      const { calls } = load
      await until('calls go on', () => load.calls > calls + 100)
      for (const host of hosts) await register(consul, host)
      await until('both are confirmed', async () => await registrations(gateway, 'routed') === 2 && await registrations(gateway, 'unconfirmed') === 0)
      await load.stop()
      assert.deepEqual(load.failures, [])
      assert.deepEqual(misdirected(hosts), [])
    })
  }

  test('in place of the agent stands one of another node, with nothing but another service: not one call fails', async () => {
    await using stack = new AsyncDisposableStack()
    const { hosts, proxy, gateway } = await start(stack)
    const other = await startConsul()
    stack.defer(() => other.stop())
    await using load = startLoad(gateway.url, targets[0]!)
    proxy.mood = 'refuse'
    for (let n = 0; n < 100; n++) await other.put('/v1/agent/service/register', { ID: `other-${n}`, Name: 'other', Port: 1 })
    await register(other, stack.use(await startServiceStackHost({ service: 'Two', messages: { Second: answer } })))
    proxy.agent = other.url
    proxy.mood = 'honest'
    await gateway.waitForRoute('Second')
    assert.equal(await registrations(gateway, 'unconfirmed'), 2)
    const { calls } = load
    await until('calls go on', () => load.calls > calls + 100)
    for (const host of hosts) await register(other, host)
    await until('both are listed again', async () => await registrations(gateway, 'routed') === 3)
    await load.stop()
    assert.deepEqual(load.failures, [])
    assert.deepEqual(misdirected(hosts), [])
  })

  test('a watch that begins anew, after a change of its settings or a start of Postern, judges no otherwise than one that runs', async () => {
    await using stack = new AsyncDisposableStack()
    const dataDirectory = await mkdtemp(join(tmpdir(), 'postern-outages-'))
    stack.defer(() => rm(dataDirectory, { recursive: true, force: true }))
    const world = stack.use(await startWorld({}, one))
    const proxy = stack.use(await startLyingProxy(world.consul.url))
    const begin = async () => await startGateway({ ...behind(proxy.url), dataDirectory })
    const refused = async (gateway: TestGateway) => {
      const answered = proxy.answered('empty')
      await until('more empty answers are not believed', async () => proxy.answered('empty') >= answered + 2 && !await isUp(gateway) && await stale(gateway) === 2, { everyMs: 25 })
    }
    {
      await using gateway = await begin()
      await until('both are routed', async () => await registrations(gateway, 'routed') === 2)
      await using load = startLoad(gateway.url, targets[0]!)
      proxy.mood = 'empty'
      await refused(gateway)
      await gateway.reload({ ...behind(proxy.url, { waitMs: 1_100 }), dataDirectory })
      await refused(gateway)
      await load.stop()
      assert.deepEqual(load.failures, [])
    }
    {
      await using gateway = await begin()
      await refused(gateway)
      assert.equal((await gateway.get('/json/reply/First')).status, 200)
    }
    await world.consul.restart()
    for (let n = 0; n < 100; n++) await world.consul.put('/v1/agent/service/register', { ID: `other-${n}`, Name: 'other', Port: 1 })
    proxy.mood = 'honest'
    await using gateway = await begin()
    await until('what is forgotten is unconfirmed', async () => await registrations(gateway, 'unconfirmed') === 2, { everyMs: 25 })
    assert.equal((await gateway.get('/json/reply/First')).status, 200)
  })
})

test('an agent that restarts without its data, whose services register again one by one', { timeout: 300_000, skip }, async () => {
  await using world = await startWorld()
  await using gateway = await startBehind(world.consul.url)
  await using load = startLoad(gateway.url, targets)
  await world.consul.restart()
  await until('what is forgotten is unconfirmed', async () => await registrations(gateway, 'unconfirmed') === 2, { everyMs: 50 })
  const { calls } = load
  await until('calls go on', () => load.calls > calls + 100)
  for (const host of world.hosts) await register(world.consul, host)
  await until('both are confirmed', async () => await registrations(gateway, 'routed') === 2 && await registrations(gateway, 'unconfirmed') === 0, { everyMs: 50 })
  await load.stop()
  assert.deepEqual(load.failures, [])
  assert.deepEqual(misdirected(world.hosts), [])
})

test('hosts that restart at their addresses while the agent is away: their calls go on, and when it is back its word counts again', { timeout: 300_000, skip }, async () => {
  const twice = [services[0], services[0]]
  await using world = await startWorld({ keepData: true }, twice)
  const { consul, hosts } = world
  await using gateway = await startBehind(consul.url, undefined, twice)
  for (const { url } of hosts) await gateway.waitForEndpoint(url)
  const rowOf = async (id: string) => (await gateway.api('routes')).registrations.find(({ registration }: { registration: string }) => registration === id) as { state: string, why: string, stale?: true } | undefined
  const before = hosts.map(({ id }) => id)
  await using load = startLoad(gateway.url, targets[0]!)
  await consul.kill()
  await until('it is missed', async () => !await isUp(gateway) && await stale(gateway) === 2, { everyMs: 25 })
  for (const host of hosts) {
    await host.kill()
    await until('the host is missed', async () => await gateway.metric('postern_endpoint_available', { endpoint: host.url }) === 0)
    // It registers at an agent of its own, from which nothing comes to ours.
    await host.restart()
    const { length } = host.executed
    await until('the new process gets calls', () => host.executed.length > length + 10)
  }
  const { calls } = load
  await until('calls go on', () => load.calls > calls + 100)
  await load.stop()
  assert.deepEqual(load.failures, [])
  assert.deepEqual(misdirected(hosts), [])
  const row = await rowOf(before[0]!)
  assert.deepEqual([row?.state, row?.stale], ['routed', true])
  assert.match(row!.why, new RegExp(`^Routed: the process at this address restarted as ${hosts[0]!.id}, which its registry cannot tell us, and it answers us; stale: consul does not answer`))
  await until('the log to say it', async () => (await gateway.log()).some(({ msg, registration, why }) => msg === 'endpoint routed' && registration === before[0] && String(why).includes('restarted as')))

  await consul.restart()
  await until('both are ghosts: the agent lists nothing of the new ones', async () => await registrations(gateway, 'ghost') === 2, { everyMs: 25 })
  assert.equal((await gateway.get('/json/reply/First')).status, 404)
  for (const host of hosts) await register(consul, host)
  await until('the new ones are routed', async () => await registrations(gateway, 'routed') === 2 && (await rowOf(hosts[1]!.id))?.state === 'routed', { everyMs: 25 })
  assert.equal((await gateway.get('/json/reply/First')).status, 200)
})

test('a token that loses its rights, and gets them back', { timeout: 300_000, skip }, async () => {
  const acl = { enabled: true, default_policy: 'deny', down_policy: 'deny', token_ttl: '0s', policy_ttl: '0s', tokens: { master: 'root' } }
  await using world = await startWorld({ token: 'root', config: { acl } })
  const { consul } = world
  const rules = 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" } agent_prefix "" { policy = "read" }'
  const policy = JSON.parse(await consul.put('/v1/acl/policy', { Name: 'reads', Rules: rules })) as { ID: string }
  const { SecretID: token, AccessorID: accessor } = JSON.parse(await consul.put('/v1/acl/token', { Policies: [{ ID: policy.ID }] })) as { SecretID: string, AccessorID: string }
  await using gateway = await startBehind(consul.url, token)
  await using load = startLoad(gateway.url, targets)
  await consul.put(`/v1/acl/token/${accessor}`, { AccessorID: accessor, SecretID: token, Policies: [] })
  // A blocking query is not ended by that: the next change of the catalog is answered `200 []`.
  await consul.put('/v1/agent/service/register', { ID: 'nudge', Name: 'api', Address: '10.1.2.3', Port: 1 })
  await until('what it may not read is unconfirmed, or refused to be read', async () => await registrations(gateway, 'unconfirmed') === 2 || !await isUp(gateway), { timeoutMs: 30_000, everyMs: 50 })
  const { calls } = load
  await until('calls go on', () => load.calls > calls + 100)
  await consul.put(`/v1/acl/token/${accessor}`, { AccessorID: accessor, SecretID: token, Policies: [{ ID: policy.ID }] })
  await consul.put('/v1/agent/service/deregister/nudge')
  await until('both are confirmed', async () => await registrations(gateway, 'unconfirmed') === 0 && await isUp(gateway) && await registrations(gateway, 'routed') === 2, { timeoutMs: 30_000, everyMs: 50 })
  await load.stop()
  assert.deepEqual(load.failures, [])
  assert.deepEqual(misdirected(world.hosts), [])
})

describe('a token that may read only one service loses that right', { timeout: 300_000, skip }, () => {
  const acl = { enabled: true, default_policy: 'deny', down_policy: 'deny', token_ttl: '0s', policy_ttl: '0s', tokens: { master: 'root' } }
  const one = services.slice(0, 1)
  const nodes = 'node_prefix "" { policy = "read" }'
  const rules = `service "api" { policy = "read" } ${nodes}`

  for (const [sentence, prepare, isKept] of [
    // Before anything ever vanished from the catalogue nothing tells the two apart: served while it answers us.
    ['served while it answers, where nothing tells it from being gone', async () => {}, async (gateway: TestGateway) => await registrations(gateway, 'unconfirmed') === 1],
    ['the last good list stays in force, where the index tells that it is still registered', async ({ consul }: World) => {
      await consul.put('/v1/agent/service/register', { ID: 'other', Name: 'other', Port: 1 })
      await consul.put('/v1/agent/service/deregister/other')
    }, async (gateway: TestGateway) => !await isUp(gateway) && /may not read it/.test(JSON.stringify(await gateway.api('upstreams')))]
  ] as const) {
    test(sentence, async () => {
      await using world = await startWorld({ token: 'root', config: { acl } }, one)
      const { consul } = world
      await prepare(world)
      const { ID: policy } = JSON.parse(await consul.put('/v1/acl/policy', { Name: 'reads', Rules: rules })) as { ID: string }
      const { SecretID: token } = JSON.parse(await consul.put('/v1/acl/token', { Policies: [{ ID: policy }] })) as { SecretID: string }
      await using gateway = await startBehind(consul.url, token, one)
      await using load = startLoad(gateway.url, targets.slice(0, 1))
      await consul.put(`/v1/acl/policy/${policy}`, { ID: policy, Name: 'reads', Rules: nodes })
      await consul.put('/v1/agent/service/register', { ID: 'nudge', Name: 'api', Address: '10.1.2.3', Port: 1 })
      await until('it is doubted', () => isKept(gateway), { timeoutMs: 30_000, everyMs: 50 })
      const { calls } = load
      await until('calls go on', () => load.calls > calls + 100)
      await consul.put(`/v1/acl/policy/${policy}`, { ID: policy, Name: 'reads', Rules: rules })
      await consul.put('/v1/agent/service/deregister/nudge')
      await until('it is confirmed', async () => await isUp(gateway) && await registrations(gateway, 'unconfirmed') === 0 && await registrations(gateway, 'routed') === 1, { timeoutMs: 30_000, everyMs: 50 })
      await load.stop()
      assert.deepEqual(load.failures, [])
      assert.deepEqual(misdirected(world.hosts), [])
    })
  }
})

describe('orders', { timeout: 300_000, skip }, () => {
  test('a node in maintenance loses its calls to those elsewhere, not one of them fails, and gets them back', async t => {
    await using world = await startWorld({}, services.slice(0, 1))
    // The same service, not on that node.
    await using elsewhere = await startServiceStackHost({ service: 'One', messages: { First: answer } })
    const directory = await mkdtemp(join(tmpdir(), 'postern-services-'))
    t.after(() => rm(directory, { recursive: true, force: true }))
    const file = join(directory, 'services.yaml')
    await writeFile(file, `- { service: One, url: "${elsewhere.url}", messages: [First], servicestack: true }\n`)
    await using gateway = await startGateway({ registry: { file, consul: { agents: [world.consul.url] } }, defaults: { policy: { balancer: { strategy: 'round-robin' } }, balancing: { slowStartMs: 0 } } } as never)
    const [host] = world.hosts as [ServiceStackHost]
    for (const { url } of [host, elsewhere]) await gateway.waitForEndpoint(url)
    await using load = startLoad(gateway.url, ['/json/reply/First', 'POST /json/reply/First'])
    const both = (why: string) => {
      const before = [host, elsewhere].map(({ executed }) => executed.length)
      return until(why, () => [host, elsewhere].every(({ executed }, n) => executed.length > before[n]! + 10))
    }
    await both('both get calls')
    await world.consul.put('/v1/agent/maintenance?enable=true&reason=kernel')
    await until('it drains', async () => await registrations(gateway, 'draining') === 1 && await gateway.metric('postern_endpoint_available', { endpoint: host.url }) === 0)
    // What was on its way has ended by the time that others have come and gone.
    const { calls } = load
    await until('calls go on', () => load.calls > calls + 20)
    const [asked, drained] = [load.calls, host.executed.length]
    await until('calls go on', () => load.calls > asked + 100)
    assert.equal(host.executed.length, drained, 'no new traffic')
    const row = (await gateway.api('routes')).registrations.find(({ registration }: { registration: string }) => registration === host.id) as { why: string, hint: string }
    assert.deepEqual([row.why, row.hint], ['Draining: an operator set it to maintenance: kernel.', 'It comes back when maintenance is taken off.'])
    await world.consul.put('/v1/agent/maintenance?enable=false')
    await both('both get calls again')
    await load.stop()
    assert.deepEqual(load.failures, [])
    assert.deepEqual(misdirected([host, elsewhere]), [])
  })

  test('a node in maintenance is drained whole, its services answer 503, and come back', async () => {
    await using world = await startWorld()
    await using gateway = await startBehind(world.consul.url)
    await world.consul.put('/v1/agent/maintenance?enable=true&reason=kernel')
    await until('both drain', async () => await registrations(gateway, 'draining') === 2)
    assert.deepEqual([(await gateway.get('/json/reply/First')).status, (await gateway.get('/json/reply/Second')).status], [503, 503])
    assert.match(JSON.stringify(await gateway.api('upstreams')), /an operator set it to maintenance: kernel/)
    await world.consul.put('/v1/agent/maintenance?enable=false')
    await until('both are back', async () => (await gateway.get('/json/reply/First')).status === 200 && (await gateway.get('/json/reply/Second')).status === 200)
  })
})
