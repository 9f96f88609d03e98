// The watch against agents that block, fail, lie, hang and come back: what it asks, how often, and what it reports.
import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import type { ConsulConfig } from '../../src/config/schema.ts'
import { watchConsul } from '../../src/registry/consul-watch.ts'
import type { WatchOptions } from '../../src/registry/consul-watch.ts'
import { OwnNodes } from '../../src/registry/own-nodes.ts'
import type { Snapshot, WatchState } from '../../src/registry/registration.ts'
import { makeCertificate } from '../support/certificates.ts'
import { answerList, healthEntry, startFakeConsul } from '../support/fake-consul.ts'
import type { FakeConsul, FakeQuery } from '../support/fake-consul.ts'
import { until } from '../support/until.ts'

const config = (agents: string[], over: Partial<ConsulConfig> = {}): ConsulConfig => ({
  agents, stale: true, services: ['api'], messageMetaKey: 'messages', ignoreTags: [], waitMs: 2_000, minIntervalMs: 20, maxBackoffMs: 100, datacenters: [], datacenterOrder: 'list', coordinatesMs: 0, maxAnswerBytes: 1_048_576, ...over
})

/** A watch that notes everything. Closed with the test. */
function watching (t: TestContext, settings: ConsulConfig, options: WatchOptions = { random: () => 0.5 }) {
  const snapshots: Snapshot[] = []
  const states: WatchState[] = []
  const watch = watchConsul(settings, { snapshot: (snapshot) => { snapshots.push(snapshot) }, state: (state) => { states.push(state) } }, options)
  t.after(() => watch.close())
  return {
    watch,
    snapshots,
    states,
    ids: () => snapshots.at(-1)?.registrations.map(({ id }) => id),
    snapshot: (what: string, check: (snapshot: Snapshot) => boolean) => until(what, () => snapshots.find(check)),
    listed: (...ids: string[]) => until(`a snapshot of [${ids}]`, () => JSON.stringify(snapshots.at(-1)?.registrations.map(({ id }) => id)) === JSON.stringify(ids)),
    failed: (reason: RegExp) => until(`the state to say ${reason}`, () => states.find(({ ok, error }) => !ok && reason.test(error ?? '')))
  }
}
async function fake (t: TestContext): Promise<FakeConsul> {
  const consul = await startFakeConsul()
  t.after(() => consul.close())
  return consul
}

test('the first list comes at once, then one query waits', async (t) => {
  const consul = await fake(t)
  consul.list([healthEntry('a')], 94)
  const watch = watching(t, config([consul.url], { waitMs: 60_000 }))
  await watch.listed('a')
  await consul.queried(2)
  assert.deepEqual(watch.snapshots.map(({ index, reset, registry, dropped }) => ({ index, reset, registry, dropped })), [{ index: 94, reset: false, registry: 'consul', dropped: undefined }])
  assert.equal(consul.queries[0]!.query.has('index'), false)
  assert.equal(consul.queries[1]!.index, 94)
  assert.equal(consul.queries[1]!.waitMs, 60_000)
  assert.equal(consul.queries.length, 2)
  assert.deepEqual(watch.states.at(-1), { registry: 'consul', ok: true, lastGoodAt: watch.states.at(-1)!.lastGoodAt, error: undefined, agent: consul.url, errors: 0 })
  assert.ok(Date.now() - watch.states.at(-1)!.lastGoodAt! < 60_000)
})

test('a change arrives at once, and passing, tag and near are not asked for', async (t) => {
  const consul = await fake(t)
  consul.list([])
  const watch = watching(t, config([consul.url], { minIntervalMs: 100, waitMs: 60_000 }))
  await watch.listed()
  await consul.queried(2)
  const changedAt = performance.now()
  consul.list([healthEntry('a')])
  await watch.listed('a')
  // Long before its query would end by itself; how soon is measured at a real agent.
  assert.ok(performance.now() - changedAt < 10_000)
  for (const { query } of consul.queries) assert.deepEqual([...query.keys()].filter((key) => !['index', 'wait', 'stale'].includes(key)), [])
})

test('of a large list only what changed is read again, and all of it when it is known otherwise which nodes are ours', async (t) => {
  const consul = await fake(t)
  const ids = Array.from({ length: 300 }, (_, n) => `id-${n}`)
  const node = { Node: 'elsewhere', Address: '10.9.8.7' }
  const all = ids.map((id) => healthEntry(id, { node }))
  consul.list(all)
  const ownNodes = new OwnNodes()
  const watch = watching(t, config([consul.url], { waitMs: 60_000 }), { ownNodes })
  await watch.listed(...ids)
  const first = watch.snapshots.at(-1)!.registrations
  const changed = healthEntry('id-7', { node, service: { Tags: ['Other'] } })
  consul.list(all.with(7, changed).toSpliced(100, 1))
  await watch.listed(...ids.toSpliced(100, 1))
  const second = watch.snapshots.at(-1)!.registrations
  assert.deepEqual(second.filter((registration) => !first.includes(registration)).map(({ id }) => id), ['id-7'])
  assert.deepEqual(second[7]!.tags, ['Other'])
  assert.ok(second.every(({ ownNode }) => !ownNode))
  ownNodes.told('http://127.0.0.1:1', { node: 'elsewhere', datacenter: undefined }, [consul.url, 'http://127.0.0.1:1'])
  consul.list(all)
  await watch.listed(...ids)
  assert.ok(watch.snapshots.at(-1)!.registrations.every(({ ownNode }) => ownNode))
})

test('token, datacenter and stale go with every query', async (t) => {
  const consul = await fake(t)
  const watch = watching(t, config([consul.url], { token: 'sesame', datacenter: 'dc7' }))
  await watch.listed()
  const { headers, query } = consul.queries[0]!
  assert.equal(headers['x-consul-token'], 'sesame')
  assert.equal(query.get('dc'), 'dc7')
  assert.equal(query.get('stale'), '1')
  const strict = watching(t, config([consul.url], { stale: false }))
  await strict.listed()
  assert.ok(consul.queries.some(({ query: other }) => !other.has('stale')))
})

test('a storm of changes is coalesced into one read per interval', async (t) => {
  const consul = await fake(t)
  consul.list([], 10)
  const watch = watching(t, config([consul.url], { minIntervalMs: 100 }))
  await watch.listed()
  await consul.queried(2)
  const before = consul.queries.length
  const startedAt = performance.now()
  let changes = 0
  await until('half a second of storm', () => {
    consul.list([healthEntry(`a${++changes}`)])
    return performance.now() - startedAt > 500 && changes > 40
  }, { everyMs: 2 })
  await watch.listed(`a${changes}`)
  const reads = consul.queries.length - before
  assert.ok(reads <= (performance.now() - startedAt) / 100 + 2, `${reads} reads`)
})

test('several services are followed each on its own, and merged once each has answered', async (t) => {
  const consul = await fake(t)
  const held: Array<() => void> = []
  consul.list([], 10)
  consul.answer(({ service, index, response }) => {
    if (index > 0) return false
    const answer = (): void => answerList(response, [healthEntry(`${service}-1`, { service: { Service: service } })], service === 'api' ? 30 : 20)
    if (service === 'orders') held.push(answer)
    else answer()
    return undefined
  })
  const watch = watching(t, config([consul.url], { services: ['api', 'orders', 'api'] }), { patienceMs: 60_000 })
  await until('orders to be asked', () => held.length === 1 && consul.queries.length >= 3)
  assert.equal(watch.snapshots.length, 0)
  assert.equal(watch.states.some(({ ok }) => ok), false)
  held[0]!()
  await watch.listed('api-1', 'orders-1')
  assert.equal(watch.snapshots.at(-1)!.index, 30)
  assert.equal(watch.states.at(-1)!.ok, true)
})

const refuseWeb = ({ service, query, response }: FakeQuery): void | false => {
  if (service !== 'web' && query.get('dc') !== 'near') return false
  response.writeHead(500).end('rpc error')
}

for (const [sentence, answer, error] of [
  ['fails', refuseWeb, /^web: http:.*HTTP 500: rpc error$/],
  ['is not answered at all', ({ service }: FakeQuery): void | false => service === 'web' ? undefined : false, /^web: it has not answered yet$/]
] as const) {
  test(`a service whose first question ${sentence} holds up no other, and is named until it can be read`, async (t) => {
    const consul = await fake(t)
    consul.list([healthEntry('a')], 94)
    consul.answer(answer)
    const watch = watching(t, config([consul.url], { services: ['api', 'web'] }), { random: () => 0.5, patienceMs: 200 })
    await watch.listed('a')
    assert.deepEqual(watch.snapshots.at(-1)!.unread, [{ service: 'web', datacenter: undefined, awaited: true }])
    const state = await until('the state to say it', () => watch.states.find((state) => error.test(state.error ?? '') && state.lastGoodAt !== undefined))
    assert.deepEqual([state.ok, typeof state.lastGoodAt, state.failing], [false, 'number', [{ service: 'web', datacenter: undefined, lastGoodAt: undefined }]])
    // What the others have to say goes on.
    consul.list([healthEntry('a'), healthEntry('b')], 95)
    await watch.listed('a', 'b')
    consul.answer(undefined)
    consul.breakConnections()
    const whole = await watch.snapshot('all of it', ({ unread }) => unread === undefined)
    assert.equal(whole.registrations.length, 4)
    await until('it to be well', () => watch.states.at(-1)?.ok)
  })
}

test('the nearest datacenter cannot be read: what the other lists is told', async (t) => {
  const consul = await fake(t)
  consul.list([healthEntry('a', { node: { Datacenter: 'far' } }), healthEntry('b', { node: { Datacenter: 'near' } })], 94)
  consul.answer(refuseWeb)
  const watch = watching(t, config([consul.url], { datacenters: ['near', 'far'] }))
  await watch.listed('a')
  assert.deepEqual(watch.snapshots.at(-1)!.unread, [{ service: 'api', datacenter: 'near', awaited: true }])
  consul.answer(undefined)
  await watch.listed('b', 'a')
})

test('what a listener throws at what is told in place of a service that fails is shown, and told again', async (t) => {
  const consul = await fake(t)
  consul.list([healthEntry('a')], 94)
  consul.answer(refuseWeb)
  let thrown = 0
  const seen: Snapshot[] = []
  const states: WatchState[] = []
  const watch = watchConsul(config([consul.url], { services: ['api', 'web'] }), { snapshot (snapshot) { if (thrown++ === 0) throw new Error('no room'); seen.push(snapshot) }, state: (state) => { states.push(state) } })
  t.after(() => watch.close())
  await until('the second try', () => seen.length > 0)
  assert.ok(states.some(({ error }) => error?.includes('no room')))
})

test('an index that goes backwards is told as a reset, and the watch goes on from there', async (t) => {
  const consul = await fake(t)
  consul.list([healthEntry('a')], 94)
  const watch = watching(t, config([consul.url]))
  await watch.listed('a')
  await consul.queried(2)
  consul.answer(({ index, response }) => { if (index === 94) { answerList(response, [], 12) } else return false; return undefined })
  consul.list([], 12)
  consul.breakConnections()
  await watch.snapshot('the reset', ({ reset }) => reset)
  assert.deepEqual(watch.ids(), [])
  consul.answer(undefined)
  consul.list([healthEntry('b')], 15)
  await watch.listed('b')
  assert.equal(watch.snapshots.at(-1)!.reset, false)
  assert.equal(watch.snapshots.filter(({ reset }) => reset).length, 1)
})

test('an answer that leaves one out although its index has not moved is doubted, and read anew until it names it again or the index moves', async (t) => {
  const consul = await fake(t)
  consul.list([healthEntry('a'), healthEntry('b')], 94)
  const watch = watching(t, config([consul.url], { waitMs: 200 }))
  await watch.listed('a', 'b')
  consul.list([healthEntry('a')], 94)
  consul.breakConnections()
  await watch.listed('a')
  assert.equal(watch.snapshots.at(-1)!.reset, true, 'what is missing is not gone')
  // No failure in between, and no newer index.
  consul.list([healthEntry('a'), healthEntry('b')], 94)
  await watch.listed('a', 'b')
  consul.list([healthEntry('a')], 95)
  await watch.listed('a')
  assert.equal(watch.snapshots.at(-1)!.reset, false, 'the index moved: it is gone')
})

test('a restarted agent with a lower index is not waited on: what registers there shows at once', async (t) => {
  const consul = await fake(t)
  consul.list([healthEntry('a')], 94)
  const watch = watching(t, config([consul.url], { waitMs: 15_000 }))
  await watch.listed('a')
  await consul.queried(2)
  consul.list([healthEntry('b')], 13)
  // Consul would let index=94 wait the whole time, as 13 is not above it.
  consul.answer(({ index }) => index <= 13 ? false : undefined)
  consul.breakConnections()
  await watch.listed('b')
  assert.equal(watch.snapshots.at(-1)!.reset, true)
})

test('an agent that restarts between two queries, unseen, is asked anew in place of waited on', async (t) => {
  const first = await startFakeConsul()
  first.list([healthEntry('a')], 94)
  const watch = watching(t, config([first.url], { waitMs: 15_000, minIntervalMs: 6_000 }))
  await watch.listed('a')
  await first.close()
  const second = await startFakeConsul({ port: Number(new URL(first.url).port) })
  t.after(() => second.close())
  second.list([healthEntry('b')], 12)
  await watch.listed('b')
  assert.equal(watch.states.every(({ ok }) => ok), true)
  assert.equal(watch.snapshots.at(-1)!.reset, true)
})

describe('an agent that answers at once is polled ever more slowly, not hammered', { concurrency: true }, () => {
  for (const [name, index, most, closes] of [['the same index, closing each time', 7, 12, true], ['no index', undefined, 8], ['index 0', 0, 8], ['the same index', 7, 9]] as const) {
    test(`with ${name}`, async (t) => {
      const consul = await fake(t)
      consul.answer(({ response }) => {
        if (closes === true) response.once('finish', () => response.socket?.end())
        answerList(response, [healthEntry('a')], index)
      })
      const startedAt = performance.now()
      const watch = watching(t, config([consul.url], { minIntervalMs: 20 }))
      await watch.listed('a')
      await until('a second, and some queries', () => performance.now() - startedAt > 1_000 && consul.queries.length >= 4)
      const tookMs = performance.now() - startedAt
      assert.ok(consul.queries.length <= most + (tookMs - 1_000) / 400, `${consul.queries.length} queries in ${tookMs} ms`)
      assert.equal(watch.states.at(-1)!.ok, true)
    })
  }
})

const wrong: Array<[sentence: string, reason: RegExp, answer: (response: ServerResponse) => void]> = [
  ['500', /HTTP 500: rpc error/, (response) => response.writeHead(500).end('rpc error making call: No cluster leader')],
  ['400, at which the package\'s own watch stops for ever', /HTTP 400/, (response) => response.writeHead(400).end('Invalid index')],
  ['401', /HTTP 401/, (response) => response.writeHead(401).end()],
  ['403 is an error, not an empty list', /HTTP 403: Permission denied/, (response) => response.writeHead(403, { 'content-type': 'text/plain' }).end('Permission denied')],
  ['200 with something that is no list', /no list/, (response) => answerList(response, { errors: [] }, 99)],
  ['200 with an HTML page', /no list/, (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')],
  ['200 with nothing', /no list/, (response) => response.writeHead(200, { 'content-type': 'application/json', 'x-consul-index': '99' }).end()],
  ['half an answer', /no valid JSON/, (response) => response.writeHead(200, { 'content-type': 'application/json', 'x-consul-index': '99' }).end('[{"Node":')],
  ['an answer that is cut', /ended before it was whole|aborted|hang up/, (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'x-consul-index': '99', 'content-length': '1000' }).write('[')
    response.socket!.setTimeout(10, () => response.socket?.destroy())
  }],
  ['an answer that is announced too large', /larger than 1048576 bytes/, (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'x-consul-index': '99', 'content-length': '1048577' }).write('[')
  }],
  ['an answer that grows too large', /larger than 1048576 bytes/, (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'x-consul-index': '99' })
    const blanks = Buffer.alloc(65_536, 32)
    const more = (): void => { while (!response.destroyed && response.write(blanks)); if (!response.destroyed) response.once('drain', more) }
    more()
  }],
  ['an empty list without a leader', /no leader/, (response) => answerList(response, [], 99, { 'x-consul-knownleader': 'false' })],
  ['an empty list filtered by ACLs', /token may not read/, (response) => answerList(response, [], 99, { 'x-consul-results-filtered-by-acls': 'true' })]
]
describe('the last good list outlives an agent that answers', { concurrency: true }, () => {
  for (const [sentence, reason, answer] of wrong) {
    test(sentence, async (t) => {
      const consul = await fake(t)
      consul.list([healthEntry('a')], 94)
      const watch = watching(t, config([consul.url]))
      await watch.listed('a')
      await consul.queried(2)
      consul.answer(({ response }) => answer(response))
      consul.breakConnections()
      const bad = await watch.failed(reason)
      assert.equal(typeof bad.lastGoodAt, 'number')
      assert.match(bad.error!, /^http:\/\/127\.0\.0\.1:/)
      const before = consul.queries.length
      const startedAt = performance.now()
      await until('300 ms of it', () => performance.now() - startedAt > 300)
      const tookMs = performance.now() - startedAt
      assert.ok(consul.queries.length - before <= 15 * tookMs / 300, `${consul.queries.length - before} queries in ${tookMs} ms, back-off at most 100 ms`)
      assert.equal(watch.snapshots.length, 1)
      consul.answer(undefined)
      consul.list([healthEntry('b')], 95)
      await watch.listed('b')
      assert.equal(watch.states.at(-1)!.ok, true)
    })
  }
})

test('an agent over TLS: its certificate is verified by the CA given, and ours is shown to it', async (t) => {
  const own = await makeCertificate(['127.0.0.1'])
  const mine = await makeCertificate(['postern'])
  t.after(() => Promise.all([own.remove(), mine.remove()]))
  const consul = await startFakeConsul({ tls: { cert: own.pem, key: own.key, ca: mine.pem, requestCert: true, rejectUnauthorized: true } })
  t.after(() => consul.close())
  consul.list([healthEntry('a')])
  const clientCertificate = { certFile: mine.certFile, keyFile: mine.keyFile }
  await watching(t, config([consul.url], { tls: { caFile: own.certFile, ...clientCertificate } })).listed('a')
  const asked = consul.queries.length
  await watching(t, config([consul.url], { tls: clientCertificate })).failed(/self-signed certificate/)
  await watching(t, config([consul.url], { tls: { caFile: own.certFile } })).failed(/certificate required|ECONNRESET|hang up|EPIPE/i)
  await watching(t, config([consul.url], { tls: { caFile: own.certFile, serverName: 'other', ...clientCertificate } })).failed(/altnames|does not match/)
  await watching(t, config([consul.url], { tls: { caFile: '/nowhere/ca.pem' } })).failed(/ENOENT.*ca\.pem/)
  assert.ok(consul.queries.length <= asked + 1, 'no query came through without both certificates')
})

test('an agent that hangs is given up after the wait and its margin, and its late answer is not used', async (t) => {
  const consul = await fake(t)
  consul.list([healthEntry('a')], 94)
  const watch = watching(t, config([consul.url], { waitMs: 100 }))
  await watch.listed('a')
  await consul.queried(2)
  const hungAt = performance.now()
  consul.answer(({ index }) => index > 0 ? undefined : false)
  consul.list([healthEntry('b')], 95)
  await watch.listed('b')
  await until('the hang to be noticed', () => watch.states.find(({ ok, error }) => !ok && /timed out/.test(error ?? '')))
  assert.ok(performance.now() - hungAt < 20_000)
})

test('agents are tried in turn: the next one answers at once when one is gone', async (t) => {
  const first = await startFakeConsul()
  const second = await fake(t)
  first.list([healthEntry('a')], 94)
  second.list([healthEntry('a')], 94)
  const watch = watching(t, config([first.url, second.url], { waitMs: 60_000 }))
  await watch.listed('a')
  await first.queried(2)
  assert.equal(second.queries.length, 0)
  const goneAt = performance.now()
  await first.close()
  await second.queried(1)
  assert.ok(performance.now() - goneAt < 10_000)
  await until('the state to name the second', () => watch.states.at(-1)?.agent === second.url && watch.states.at(-1)?.ok)
  second.list([healthEntry('b')], 95)
  await watch.listed('b')
})

test('an agent that is not there is asked with back-off, and found when it comes', async (t) => {
  const placeholder = net.createServer((socket) => { connects++; socket.destroy() })
  let connects = 0
  await new Promise<void>((resolve) => { placeholder.listen(0, '127.0.0.1', resolve) })
  const { port } = placeholder.address() as AddressInfo
  const watch = watching(t, config([`http://127.0.0.1:${port}`]), { random: () => 0.999 })
  const startedAt = performance.now()
  await until('a second', () => performance.now() - startedAt > 1_000)
  // Two connections a try: health and self.
  assert.ok(connects <= 30 * (performance.now() - startedAt) / 1_000, `${connects} connections in a second`)
  assert.equal(watch.snapshots.length, 0)
  assert.equal(watch.states.at(-1)!.ok, false)
  assert.equal(watch.states.at(-1)!.lastGoodAt, undefined)
  await new Promise<void>((resolve) => { placeholder.close(() => resolve()) })
  const consul = await startFakeConsul({ port })
  t.after(() => consul.close())
  consul.list([healthEntry('a')])
  await watch.listed('a')
})

test('5,000 instances in 16 MB are one list like another, and more than is allowed is none', async (t) => {
  const consul = await fake(t)
  const ids = Array.from({ length: 5_000 }, (_, n) => `host-${n}`)
  const entries = ids.map(id => healthEntry(id, { node: { Meta: { padding: 'x'.repeat(2_800) } } }))
  const bytes = Buffer.byteLength(JSON.stringify(entries))
  assert.ok(bytes > 16_000_000, `${bytes} bytes`)
  consul.list(entries)
  const [whole, bounded] = [bytes, bytes - 1].map(maxAnswerBytes => watching(t, config([consul.url], { waitMs: 15_000, maxAnswerBytes })))
  await whole!.listed(...ids)
  await bounded!.failed(new RegExp(`larger than ${bytes - 1} bytes`))
  assert.deepEqual(bounded!.snapshots, [])
})

describe('an empty answer of an agent with access rules', () => {
  const lists = async (t: TestContext, indexOfNobody: number, over: Partial<ConsulConfig> = {}) => {
    const consul = await fake(t)
    consul.acl = true
    consul.list([healthEntry('a')], 20)
    const watch = watching(t, config([consul.url], over))
    await watch.listed('a')
    consul.answer(({ service, index, response }) => {
      if (index === 30) return // Waits for what does not come.
      answerList(response, [], service === 'api' ? 30 : indexOfNobody)
    })
    consul.breakConnections()
    return watch
  }

  test('it is not believed where the index says that the service exists', async (t) => {
    const watch = await lists(t, 31)
    await watch.failed(/the token may not read it/)
    assert.deepEqual(watch.ids(), ['a'])
  })

  test('it is not believed with a token either', async (t) => {
    const watch = await lists(t, 31, { token: 'ours' })
    await watch.failed(/the token may not read it/)
  })

  test('it is doubted where nothing tells', async (t) => {
    const watch = await lists(t, 30)
    const snapshot = await watch.snapshot('an empty one', ({ registrations }) => registrations.length === 0)
    assert.equal(snapshot.reset, true)
  })

  test('something withheld that was not before makes what is missing doubtful, and is nothing new afterwards', async (t) => {
    const consul = await fake(t)
    consul.list([healthEntry('a'), healthEntry('b')], 20)
    const watch = watching(t, config([consul.url]))
    await watch.listed('a', 'b')
    const filter = (ids: string[], at: number) => {
      consul.answer(({ index, response }) => { if (index < at) answerList(response, ids.map(id => healthEntry(id)), at, { 'x-consul-results-filtered-by-acls': 'true' }) })
      consul.breakConnections()
    }
    filter(['a'], 21)
    await watch.listed('a')
    filter(['a', 'c'], 22)
    await watch.listed('a', 'c')
    assert.deepEqual(watch.snapshots.map(({ reset }) => reset), [false, true, false])
  })
})

describe('an answer that names nothing of what was registered', () => {
  const node = (name: string, ID: string) => ({ Node: name, ID, Datacenter: 'dc1', CreateIndex: 7 })
  const sayNode = (ID: string, ...ids: string[]) => ({ Node: node('vm', ID), Services: Object.fromEntries(ids.map(id => [id, { Service: 'api' }])) })
  const before = [healthEntry('a', { node: node('vm', 'first') }), healthEntry('b', { node: node('vm', 'first') })]
  const others = [healthEntry('c', { node: node('elsewhere', 'another') })]
  for (const [moment, isAnew] of [['while a watch runs', false], ['as the first one of a watch that knows from before', true]] as const) {
    for (const [kind, entries] of [['an empty one', []], ['one with others on another node', others]] as const) {
      const given = async (t: TestContext, vm: object | number | null) => {
        const consul = await fake(t)
        consul.list(before, 10)
        const watch = watching(t, config([consul.url]))
        await watch.listed('a', 'b')
        if (isAnew) await watch.watch.close()
        consul.nodes['vm'] = vm
        consul.list([...entries], 30)
        return isAnew ? watching(t, config([consul.url]), { known: watch.snapshots.at(-1)! }) : watch
      }
      const answered = async (t: TestContext, vm: object | number | null) => (await (await given(t, vm)).snapshot('what is left', ({ index }) => index === 30)).reset

      for (const [why, vm, error] of [['while their node has them', sayNode('first', 'b'), /although the catalogue lists it/], ['while their node cannot be asked', 500, /500/]] as const) {
        if (entries.length > 0) {
          test(`${kind}, ${moment}: what it names counts, and the rest is doubted, ${why}`, async (t) => assert.equal(await answered(t, vm), true))
          continue
        }
        test(`${kind}, ${moment}: it is not believed ${why}`, async (t) => {
          const watch = await given(t, vm)
          await watch.failed(error)
          assert.deepEqual(watch.snapshots.filter(({ index }) => index === 30), [])
        })
      }

      test(`${kind}, ${moment}: they are gone where their node is there without them`, async (t) => assert.equal(await answered(t, sayNode('first')), false))
      test(`${kind}, ${moment}: it is doubted where their node is gone`, async (t) => assert.equal(await answered(t, null), true))
      test(`${kind}, ${moment}: it is doubted where their node is another one`, async (t) => assert.equal(await answered(t, sayNode('second')), true))
    }
  }
})

test('a watch that knows from before doubts a first answer that leaves one out under the same index, and only that', async (t) => {
  const consul = await fake(t)
  consul.list([healthEntry('a'), healthEntry('b')], 94)
  const first = watching(t, config([consul.url]))
  await first.listed('a', 'b')
  for (const [index, reset] of [[94, true], [95, false]] as const) {
    consul.list([healthEntry('a')], index)
    const watch = watching(t, config([consul.url]), { known: first.snapshots.at(-1)! })
    await watch.listed('a')
    assert.equal(watch.snapshots.at(-1)!.reset, reset)
  }
})

for (const [sentence, registeredAs, reset] of [
  ['a first answer that is doubted is told as such, although another service answers later', 'api', true],
  ['what was known of a service that is not watched doubts no answer', 'other', false]
] as const) {
  test(sentence, async (t) => {
    const consul = await fake(t)
    consul.list([healthEntry('a', { node: { ID: 'first', CreateIndex: 7 }, service: { Service: registeredAs } })], 10)
    const first = watching(t, config([consul.url]))
    await first.listed('a')
    consul.nodes['vm'] = null
    let answerWeb: (() => void) | undefined
    consul.answer(({ service, index, response }) => {
      if (index > 0) return // Waits for what does not come.
      if (service === 'web') answerWeb = () => answerList(response, [healthEntry('w')], 20)
      else answerList(response, [], 20)
    })
    const watch = watching(t, config([consul.url], { services: ['api', 'web'] }), { known: first.snapshots.at(-1)!, patienceMs: 60_000 })
    await until('the empty answer to be read', () => answerWeb !== undefined && consul.queries.some(({ service, index }) => service === 'api' && index === 20))
    answerWeb!()
    await watch.listed('w')
    assert.deepEqual(watch.snapshots.map((snapshot) => snapshot.reset), [reset])
  })
}

test('of a registration that is listed twice the first word counts, and another one is counted with a reason', async (t) => {
  const consul = await fake(t)
  const elsewhere = (id: string) => healthEntry(id, { service: { Address: 'http://169.254.169.254/' } })
  consul.list([healthEntry('a'), healthEntry('b'), healthEntry('b'), elsewhere('a')])
  const watch = watching(t, config([consul.url]))
  await watch.listed('a', 'b')
  const [snapshot] = watch.snapshots
  assert.deepEqual(snapshot!.registrations.map(({ id, refused }) => [id, refused]), [['a', undefined], ['b', undefined]])
  assert.deepEqual(snapshot!.dropped!.map(({ id, reason }) => [id, reason]), [['a', 'it is listed twice, and not alike']])
})

test('one broken entry does not spoil the others, and is counted with a reason', async (t) => {
  const consul = await fake(t)
  consul.list([healthEntry('a'), null as unknown as object, { Service: {} }, healthEntry('b', { service: { Address: 'ftp://x' } })])
  const watch = watching(t, config([consul.url]))
  await watch.listed('a', 'b')
  const [snapshot] = watch.snapshots
  assert.deepEqual(snapshot!.dropped, [{ reason: 'an entry is not an object', id: undefined, registeredAs: 'api', node: undefined, datacenter: undefined }, { reason: 'an entry has no ID', id: undefined, registeredAs: 'api', node: undefined, datacenter: undefined }])
  assert.match(snapshot!.registrations[1]!.refused!, /ftp/)
})

test('the own node is the one the agent names, or else the one listed under an address of this machine', async (t) => {
  const consul = await fake(t)
  const entries = [healthEntry('a', { node: { Node: 'vm' } }), healthEntry('b', { node: { Node: 'other', Address: '10.99.0.1' } })]
  consul.list(entries)
  const told = watching(t, config([consul.url]))
  await told.listed('a', 'b')
  assert.deepEqual(told.snapshots[0]!.registrations.map(({ ownNode }) => ownNode), [true, false])
  consul.nodeName = undefined
  const guessed = watching(t, config([consul.url]))
  await guessed.listed('a', 'b')
  assert.deepEqual(guessed.snapshots[0]!.registrations.map(({ ownNode }) => ownNode), [true, false])
})

test('what the listener throws is shown, and the loop lives on', async (t) => {
  const consul = await fake(t)
  consul.list([healthEntry('a')])
  let thrown = 0
  const seen: Snapshot[] = []
  const states: WatchState[] = []
  const watch = watchConsul(config([consul.url]), {
    snapshot (snapshot) {
      if (thrown++ === 0) throw new Error('no room')
      seen.push(snapshot)
    },
    state (state) { states.push(state) }
  })
  t.after(() => watch.close())
  await until('the second try', () => seen.length > 0)
  assert.ok(states.some(({ error }) => error?.includes('no room')))
})

test('closing ends a waiting query at once, and nothing is reported afterwards', async (t) => {
  const consul = await fake(t)
  const watch = watching(t, config([consul.url], { waitMs: 60_000 }))
  await watch.listed()
  await consul.queried(2)
  const gone = new Promise<void>((resolve) => { consul.queries[1]!.response.once('close', resolve) })
  const closedAt = performance.now()
  await watch.watch.close()
  await gone
  assert.ok(performance.now() - closedAt < 8_000)
  const { length } = watch.states
  consul.list([healthEntry('late')])
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(watch.states.length, length)
  assert.deepEqual(watch.ids(), [])
})

test('closing during back-off and before the first answer ends at once', async (t) => {
  const consul = await fake(t)
  consul.answer(() => {})
  const watch = watching(t, config([consul.url, 'http://127.0.0.1:1']))
  await consul.queried(1)
  const closedAt = performance.now()
  await watch.watch.close()
  assert.ok(performance.now() - closedAt < 8_000)
})
