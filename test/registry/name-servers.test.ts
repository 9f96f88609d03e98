// Several name servers, on real UDP sockets: a silent one costs a part of the limit, a dropped record type nothing but a short wait.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAsk, graceMs, turnMs, turnsOf } from '../../src/registry/name-servers.ts'
import { createNameResolver } from '../../src/registry/resolve.ts'
import { startNameServer } from '../support/name-server.ts'

const name = 'shop.test'
const resolverFor = (addresses: readonly string[], timeoutMs = 4_000) => {
  const resolver = createNameResolver({ timeoutMs, maxNames: 100, minTtlMs: 0, maxTtlMs: 60_000, retryMs: 0 })
  resolver.configure(addresses)
  return resolver
}

test('each server has two turns, the silent ones after the others, in the order given', () => {
  const silent = new Set(['a', 'c'])
  assert.deepEqual(turnsOf(['a', 'b'], () => false), ['a', 'b', 'a', 'b'])
  assert.deepEqual(turnsOf(['a', 'b', 'c', 'd'], server => silent.has(server)), ['b', 'd', 'a', 'c', 'b', 'd', 'a', 'c'])
  assert.deepEqual(turnsOf(['a'], () => true), ['a', 'a'])
})
test('however many servers there are, all have their turns within the limit, and the last one more than half of it from its first', () => {
  for (const servers of [1, 2, 3, 10, 50]) {
    assert.ok(turnMs(2_000, 2 * servers) * 2 * servers < 2_000, `${servers}`)
    assert.ok(turnMs(2_000, 2 * servers) * (servers - 1) < 1_000, `${servers}`)
  }
  assert.ok(graceMs(2_000, 10) > turnMs(2_000, 2), 'a lost packet does not cost a record type')
  assert.deepEqual([0, 1_000, 1_500, 1_900].map(spentMs => graceMs(2_000, spentMs)), [500, 500, 300, 0], 'a late answer counts too')
})

for (const count of [1, 2]) {
  test(`of ${count + 1} servers only the last answers: it is heard within the limit, and asked first from then on`, async t => {
    const silent = await Promise.all(Array.from({ length: count }, startNameServer))
    for (const server of silent) {
      server.silent = true
      t.after(() => server[Symbol.asyncDispose]())
    }
    await using alive = await startNameServer()
    alive.point(name, '10.0.0.1')
    alive.point('next.test', '10.0.0.2')
    const resolver = resolverFor([...silent, alive].map(({ address }) => address))
    assert.deepEqual((await resolver.resolve(name)).ips, ['10.0.0.1'])
    const asked = silent.map(server => server.asked.length)
    assert.deepEqual((await resolver.resolve('next.test')).ips, ['10.0.0.2'])
    assert.deepEqual(silent.map(server => server.asked.length), asked)
  })
}

test('a silent server is asked first again after a while, and stays first when it answers', async () => {
  await using first = await startNameServer()
  await using second = await startNameServer()
  for (const server of [first, second]) server.point(name, '10.0.0.1')
  let now = 0
  const ask = createAsk(4_000, () => now)
  const both = async () => {
    const before = [first.asked.length, second.asked.length]
    await ask(name, [first.address, second.address], AbortSignal.timeout(4_000))
    return [first.asked.length - before[0]!, second.asked.length - before[1]!]
  }
  // Each time for A and AAAA.
  assert.deepEqual(await both(), [2, 0])
  first.silent = true
  now += 1
  assert.deepEqual(await both(), [2, 2])
  first.silent = false
  now += 29_999
  assert.deepEqual(await both(), [0, 2])
  now += 1
  assert.deepEqual(await both(), [2, 0])
})

for (const [dropped, ips] of [['AAAA', ['10.0.0.1']], ['A', ['fd00::1']]] as const) {
  test(`${dropped} questions are dropped: what the other type says counts, and that is no failure`, async () => {
    await using names = await startNameServer()
    names.dropped = dropped
    names.point(name, ...ips)
    names.ttlS[name] = 30
    const { ips: found, forMs } = await resolverFor([names.address]).resolve(name)
    assert.deepEqual(found, ips)
    assert.ok(forMs > 25_000, 'its TTL')
  })
}

test('both types count where both are answered', async () => {
  await using names = await startNameServer()
  names.point(name, '10.0.0.1', 'fd00::1')
  assert.deepEqual((await resolverFor([names.address]).resolve(name)).ips.toSorted(), ['10.0.0.1', 'fd00::1'])
})

test('a name that one type says does not exist is looked up as the system does it, although the other type is dropped', async () => {
  await using names = await startNameServer()
  names.dropped = 'AAAA'
  const { ips } = await resolverFor([names.address]).resolve('localhost')
  assert.ok(ips.includes('127.0.0.1') || ips.includes('::1'))
})

test('the first server to answer is believed, also that there is no such name', async () => {
  await using first = await startNameServer()
  await using second = await startNameServer()
  second.point(name, '10.0.0.1')
  await assert.rejects(resolverFor([first.address, second.address]).resolve(name), /ENOTFOUND|EAI_AGAIN/)
  assert.deepEqual(second.asked, [])
})

test('a server that refuses is left at once; all silent: the limit says so, and the last good answer is kept', async () => {
  const gone = await startNameServer()
  await gone[Symbol.asyncDispose]()
  await using alive = await startNameServer()
  alive.point(name, '10.0.0.1')
  const resolver = resolverFor([gone.address, alive.address], 500)
  assert.deepEqual((await resolver.resolve(name)).ips, ['10.0.0.1'])
  alive.silent = true
  assert.deepEqual((await resolver.resolve(name, true)).ips, ['10.0.0.1'])
  await assert.rejects(resolver.resolve('next.test'), /no answer within 500 ms/)
})
