// Host names are asked off the request path: TTL, limits, and the last good answer.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createNameResolver, mostQuestions } from '../../src/registry/resolve.ts'
import type { Answer } from '../../src/registry/name-servers.ts'
import type { ResolverOptions } from '../../src/registry/resolve.ts'

const options = { timeoutMs: 1_000, maxNames: 3, minTtlMs: 1_000, maxTtlMs: 60_000, retryMs: 1_000 }
function scripted (answers: Array<Answer | Error | 'hang'>, over: Partial<ResolverOptions> = {}) {
  const clock = { ms: 0, asked: [] as string[] }
  const resolver = createNameResolver({
    ...options,
    ...over,
    now: () => clock.ms,
    ask: async (name) => {
      clock.asked.push(name)
      const answer = answers.length > 1 ? answers.shift()! : answers[0]!
      if (answer === 'hang') return await new Promise(() => {})
      if (answer instanceof Error) throw answer
      return answer
    }
  })
  return { resolver, clock }
}

test('a name is asked once per TTL, whatever its letter case and however many wait', async () => {
  const { resolver, clock } = scripted([{ ips: ['10.0.0.1'], ttlMs: 5_000 }])
  await Promise.all([resolver.resolve('a'), resolver.resolve('A'), resolver.resolve('a')])
  clock.ms = 4_999
  await resolver.resolve('a')
  assert.equal(clock.asked.length, 1)
  clock.ms = 5_000
  await resolver.resolve('a')
  assert.equal(clock.asked.length, 2)
})
test('a TTL is bounded both ways', async () => {
  const { resolver, clock } = scripted([{ ips: ['10.0.0.1'], ttlMs: 0 }, { ips: ['10.0.0.1'], ttlMs: 1e9 }, { ips: ['10.0.0.1'], ttlMs: 1 }])
  await resolver.resolve('a')
  clock.ms = 999
  await resolver.resolve('a')
  assert.equal(clock.asked.length, 1)
  clock.ms = 1_000
  await resolver.resolve('a')
  clock.ms = 61_000
  await resolver.resolve('a')
  assert.equal(clock.asked.length, 3)
})
test('the last good answer is kept when a name stops resolving, and says why', async () => {
  const { resolver, clock } = scripted([{ ips: ['10.0.0.1'], ttlMs: 1_000 }, new Error('SERVFAIL')])
  await resolver.resolve('a')
  clock.ms = 2_000
  assert.deepEqual(await resolver.resolve('a'), { ips: ['10.0.0.1'], forMs: 1_000 })
})
test('an empty answer is no good answer', async () => {
  const { resolver, clock } = scripted([{ ips: ['10.0.0.1'], ttlMs: 1_000 }, { ips: [], ttlMs: 1_000 }])
  await resolver.resolve('a')
  clock.ms = 2_000
  assert.deepEqual((await resolver.resolve('a')).ips, ['10.0.0.1'])
})
test('a doubted name is asked before its TTL is over, and not within the shortest one', async () => {
  const { resolver, clock } = scripted([{ ips: ['10.0.0.1'], ttlMs: 60_000 }, { ips: ['10.0.0.2'], ttlMs: 60_000 }])
  await resolver.resolve('a')
  clock.ms = 999
  assert.deepEqual((await resolver.resolve('a', true)).ips, ['10.0.0.1'])
  clock.ms = 1_000
  assert.deepEqual(await resolver.resolve('a', true), { ips: ['10.0.0.2'], forMs: 60_000 })
  await resolver.resolve('a', true)
  assert.equal(clock.asked.length, 2)
})
test('a name that never resolved is an error, and is not asked again at once', async () => {
  const { resolver, clock } = scripted([new Error('ENOTFOUND')])
  await assert.rejects(resolver.resolve('a'), /ENOTFOUND/)
  await assert.rejects(resolver.resolve('a'), /ENOTFOUND/)
  assert.equal(clock.asked.length, 1)
})
test('a question that hangs ends by the limit', async () => {
  const { resolver } = scripted(['hang'], { timeoutMs: 20 })
  await assert.rejects(resolver.resolve('a'), /no answer within 20 ms/)
})
test('closing ends questions in flight', async () => {
  const { resolver } = scripted(['hang'])
  const pending = resolver.resolve('a')
  resolver.close()
  await assert.rejects(pending, /given up/)
})
test('names kept are bounded, the longest unused goes first', async () => {
  const { resolver, clock } = scripted([{ ips: ['10.0.0.1'], ttlMs: 60_000 }])
  for (const name of ['a', 'b', 'c', 'a', 'd']) await resolver.resolve(name)
  assert.deepEqual(clock.asked, ['a', 'b', 'c', 'd'])
  await resolver.resolve('a')
  assert.equal(clock.asked.length, 4)
  await resolver.resolve('b')
  assert.equal(clock.asked.length, 5)
})
test('the system\'s own resolver answers what DNS does not know', async () => {
  const resolver = createNameResolver({ ...options, timeoutMs: 5_000 })
  const { ips } = await resolver.resolve('localhost')
  assert.ok(ips.includes('127.0.0.1') || ips.includes('::1'))
})

test('however many names are new, only so many are asked at one time, and all get their turn', async () => {
  let [now, most] = [0, 0]
  const resolver = createNameResolver({
    ...options,
    maxNames: 1_000,
    ask: async () => {
      most = Math.max(most, ++now)
      await new Promise(resolve => setImmediate(resolve))
      now--
      return { ips: ['10.0.0.1'], ttlMs: 5_000 }
    }
  })
  const all = await Promise.all(Array.from({ length: mostQuestions * 4 }, (_, n) => resolver.resolve(`host-${n}`)))
  assert.equal(all.length, mostQuestions * 4)
  assert.equal(most, mostQuestions)
})
test('other servers are asked for every name anew', async () => {
  const asked: Array<readonly string[]> = []
  const resolver = createNameResolver({ ...options, ask: async (_name, servers) => { asked.push(servers); return { ips: ['10.0.0.1'], ttlMs: 60_000 } } })
  for (const servers of [[], ['10.0.0.53'], ['10.0.0.53']]) {
    resolver.configure(servers)
    await resolver.resolve('a')
  }
  assert.deepEqual(asked, [[], ['10.0.0.53']])
})
