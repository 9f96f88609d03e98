// Under pressure: thousands of answers end at once while hits go on, a flood of keys that nobody asks for twice, a message that is hidden meanwhile.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { Agent, get } from 'node:http'
import { startGateway } from '../support/gateway.ts'
import { ok, startOrigin } from '../support/origin.ts'
import { until } from '../support/until.ts'

const order = (id: number) => `/json/reply/GetOrder?Id=${id}`
const shop = (url: string) => ({ upstreams: { Shop: { endpoints: [url] } }, messages: { GetOrder: { upstream: 'Shop' }, GetShop: { upstream: 'Shop' } } })

/** Asks for each path once, over a few kept connections. */
async function askAll (url: string, paths: readonly string[]): Promise<void> {
  using agent = Object.assign(new Agent({ keepAlive: true, maxSockets: 16 }), { [Symbol.dispose] () { agent.destroy() } })
  const left = [...paths]
  const one = async (path: string) => await new Promise<void>((resolve, reject) => {
    get(`${url}${path}`, { agent }, answer => { answer.resume().on('end', resolve) }).on('error', reject)
  })
  await Promise.all(Array.from({ length: 16 }, async () => { for (let path = left.pop(); path !== undefined; path = left.pop()) await one(path) }))
}

describe('the cache under pressure', { timeout: 240_000 }, () => {
  test('10,000 answers end at once, and hits go on', async () => {
    await using origin = await startOrigin(ok('{}', { headers: [['Cache-Control', 'max-age=600']] }))
    await using gateway = await startGateway(shop(origin.url))
    await gateway.waitForEndpoint(origin.url)
    assert.equal((await gateway.get('/json/reply/GetShop')).status, 200)
    await askAll(gateway.url, Array.from({ length: 10_000 }, (_, id) => order(id)))
    assert.equal(await gateway.metric('postern_cache_entries'), 10_001)
    // Softly: they end in this moment, and stay.
    const purging = gateway.tell('/api/cache/purge', { message: 'GetOrder', soft: true })
    const before = origin.received.length
    const asking = purging.then(async () => await askAll(gateway.url, Array.from({ length: 1_000 }, (_, id) => order(id))))
    const tookMs: number[] = []
    for (let n = 0; n < 50; n++) {
      const startedAtMs = performance.now()
      assert.match((await gateway.get('/json/reply/GetShop')).header('cache-status')!, /hit/)
      tookMs.push(performance.now() - startedAtMs)
    }
    await asking
    assert.equal((await purging).json().purged, 10_000)
    assert.equal(origin.received.length - before, 1_000)
    const median = tookMs.sort((a, b) => a - b)[25]!
    assert.ok(median < 2_000, `a hit took ${Math.round(median)} ms`)
  })

  test('a flood of unique keys stays within its bounds, and leaves the other messages\' answers', async () => {
    const maxBytes = 1_048_576
    await using origin = await startOrigin(ok('{}', { headers: [['Cache-Control', 'max-age=600']] }))
    await using gateway = await startGateway({ ...shop(origin.url), cache: { maxBytes, maxEntries: 200 } })
    await gateway.waitForEndpoint(origin.url)
    assert.equal((await gateway.get('/json/reply/GetShop')).status, 200)
    for (let round = 0; round < 4; round++) {
      await askAll(gateway.url, Array.from({ length: 500 }, (_, id) => order(round * 500 + id)))
      assert.ok(await gateway.metric('postern_cache_bytes') <= maxBytes)
      assert.ok(await gateway.metric('postern_cache_entries') <= 101, 'a message has half of the entries')
    }
    assert.ok(await gateway.metric('postern_cache_evictions_total') >= 1_800)
    assert.match((await gateway.get('/json/reply/GetShop')).header('cache-status')!, /hit/)
  })

  test('a message that is hidden is 404 from then on, although answers of it are stored', async () => {
    await using origin = await startOrigin(ok('{}', { headers: [['Cache-Control', 'max-age=600, stale-if-error=600']] }))
    await using gateway = await startGateway(shop(origin.url))
    await gateway.waitForEndpoint(origin.url)
    assert.equal((await gateway.get(order(1))).status, 200)
    assert.match((await gateway.get(order(1))).header('cache-status')!, /hit/)
    await gateway.reload({ ...shop(origin.url), messages: { GetOrder: { upstream: 'Shop', expose: false }, GetShop: { upstream: 'Shop' } } })
    await until('it is hidden', async () => (await gateway.get(order(1))).status === 404)
    assert.equal(await gateway.metric('postern_cache_entries'), 1)
    assert.equal((await gateway.get(order(1))).status, 404)
  })
})
