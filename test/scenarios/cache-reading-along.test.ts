// Clients of different pace read one answer that proves too large to be stored: none of them is cut for the others, and none holds them up for ever.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { requestBytes, type RawConnection } from '../support/http-client.ts'
import { startOrigin, type Behaviour } from '../support/origin.ts'
import { chunk, head, write } from '../support/raw-server.ts'
import { until } from '../support/until.ts'

const path = '/json/reply/GetOrder?Id=large'
const piece = Buffer.alloc(65_536, 'a')
/** More than the sockets between take: 24 MB, of which the first 8 are kept. */
const pieces = 384
const kept = 8_388_608

const large: Behaviour = async request => {
  await request.body()
  await write(request.socket, head(200, 'OK', [['Cache-Control', 'max-age=60'], ['Transfer-Encoding', 'chunked']]))
  for (let n = 0; n < pieces && !request.gone.aborted; n++) await write(request.socket, chunk(piece))
  await write(request.socket, '0\r\n\r\n')
}

const end = '\r\n0\r\n\r\n'

/** Reads the rest of a chunked body; how much of it came, and whether all did. */
function readAll (client: RawConnection) {
  const state = { bytes: 0, whole: false, done: false }
  const read = async () => {
    let last = Buffer.alloc(0)
    while (!state.whole) {
      const some = await client.reader.some()
      if (some === undefined) break
      state.bytes += some.length
      last = Buffer.concat([last, some]).subarray(-end.length)
      state.whole = last.toString('latin1') === end
    }
    state.done = true
  }
  void read()
  return state
}

async function ask (gateway: TestGateway): Promise<RawConnection> {
  const client = await gateway.connect({ timeoutMs: 120_000 })
  client.send(requestBytes(gateway.url.slice(7), path))
  await client.head()
  return client
}

describe('an answer that proves too large to be stored', { timeout: 300_000 }, () => {
  test('reaches all who read it, the slow one whose request it was among them', async () => {
    await using origin = await startOrigin(large)
    await using gateway = await startGateway({ upstreams: { Shop: { endpoints: [origin.url] } }, messages: { GetOrder: { upstream: 'Shop' } } })
    await gateway.waitForEndpoint(origin.url)
    using slow = await ask(gateway)
    using fast = await ask(gateway)
    const fastRead = readAll(fast)
    await until('the fast one has all that was kept', () => fastRead.bytes > kept, { timeoutMs: 60_000 })
    assert.equal(origin.received.length, 1, 'one for both')
    const slowRead = readAll(slow)
    await until('both are done', () => slowRead.done && fastRead.done, { timeoutMs: 120_000 })
    assert.deepEqual([slowRead.whole, fastRead.whole], [true, true])
    assert.ok(slowRead.bytes >= pieces * piece.length)
    await gateway.metricBecomes('postern_cache_arriving_bytes', 0)
  })

  test('is not held up for ever by one who reads nothing: he is cut, and nobody else', async () => {
    await using origin = await startOrigin(large)
    await using gateway = await startGateway({ upstreams: { Shop: { endpoints: [origin.url] } }, messages: { GetOrder: { upstream: 'Shop', policy: { bodyIdleTimeoutMs: 15_000 } } } })
    await gateway.waitForEndpoint(origin.url)
    using silent = await ask(gateway)
    using reading = await ask(gateway)
    const read = readAll(reading)
    await until('who reads has it all', () => read.done, { timeoutMs: 120_000 })
    assert.equal(read.whole, true)
    assert.equal(origin.received.length, 1, 'one for both')
    const cut = readAll(silent)
    await until('who did not read is cut', () => cut.done, { timeoutMs: 60_000 })
    assert.equal(cut.whole, false)
    await until('nothing of it is under way', async () => await gateway.metric('postern_cache_arriving_bytes') + await gateway.metric('postern_cache_fills') === 0)
  })

  test('leaves nothing behind when its readers leave: who comes then is answered', async () => {
    await using origin = await startOrigin(large)
    await using gateway = await startGateway({ upstreams: { Shop: { endpoints: [origin.url] } }, messages: { GetOrder: { upstream: 'Shop', policy: { cache: { hitForMissMs: 0 } } } } })
    await gateway.waitForEndpoint(origin.url)
    const left = await ask(gateway)
    await until('it is known to be too large', async () => await gateway.metric('postern_cache_not_stored_total', { reason: 'too-large' }) === 1, { timeoutMs: 60_000 })
    left.close()
    await until('nothing of it is under way', async () => await gateway.metric('postern_cache_arriving_bytes') + await gateway.metric('postern_cache_fills') === 0)
    origin.behave(async request => {
      await request.body()
      await write(request.socket, head(200, 'OK', [['Cache-Control', 'max-age=60'], ['Content-Length', '5']]) + 'small')
    })
    assert.match((await gateway.get(path)).header('cache-status')!, /; stored/)
  })
})
