// Bodies that are still arriving have a bound of their own: what does not fit reaches its client all the same, and is not stored.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { startGateway } from '../support/gateway.ts'
import { requestBytes } from '../support/http-client.ts'
import { startOrigin } from '../support/origin.ts'
import { chunk, head, write, type RawRequest } from '../support/raw-server.ts'
import { until } from '../support/until.ts'

const order = (id: string) => `/json/reply/GetOrder?Id=${id}`
const half = Buffer.alloc(20_000, 'a')
const keep = ['Cache-Control', 'max-age=60'] as const

/** Answers in two halves; the second when it is told to, or when the test is over. Small ones at once. */
function halves () {
  const more = Promise.withResolvers<void>()
  const headWanted = Promise.withResolvers<void>()
  const behaviour = async (request: RawRequest): Promise<void> => {
    await request.body()
    const { target, socket } = request
    if (target.includes('small')) {
      await write(socket, head(200, 'OK', [keep, ['Content-Length', '5']]) + 'small')
      return
    }
    if (target.includes('late')) await headWanted.promise
    const chunked = target.includes('chunked')
    await write(socket, head(200, 'OK', [keep, chunked ? ['Transfer-Encoding', 'chunked'] : ['Content-Length', String(2 * half.length)]]))
    await write(socket, chunked ? chunk(half) : half)
    await more.promise
    await write(socket, chunked ? Buffer.concat([chunk(half), Buffer.from('0\r\n\r\n')]) : half)
  }
  const end = () => { headWanted.resolve(); more.resolve() }
  return { behaviour, sendHeads: headWanted.resolve, sendRest: more.resolve, [Symbol.dispose]: end }
}

describe('bodies that are still arriving', { timeout: 300_000 }, () => {
  test('take their length from the bound; what does not fit is not stored, and nobody else waits for it', async () => {
    using service = halves()
    await using origin = await startOrigin(service.behaviour)
    await using gateway = await startGateway({ upstreams: { Shop: { endpoints: [origin.url] } }, messages: { GetOrder: { upstream: 'Shop', policy: { cache: { collapseWaitMs: 60_000 } } } }, cache: { maxArrivingBytes: 60_000 } })
    await gateway.waitForEndpoint(origin.url)
    const arriving = async () => await gateway.metric('postern_cache_arriving_bytes')
    const first = gateway.get(order('1'))
    await until('its length is taken', async () => await arriving() === 2 * half.length)
    assert.match((await gateway.get(order('small'))).header('cache-status')!, /stored/, 'what is here whole needs no room')
    const late = [gateway.get(order('late')), gateway.get(order('late'))]
    await until('both wait', async () => await gateway.metric('postern_in_flight', { upstream: 'Shop' }) === 3)
    await until('the origin is asked', () => origin.received.some(({ target }) => target === order('late')))
    assert.equal(origin.received.filter(({ target }) => target === order('late')).length, 1, 'for one answer')
    service.sendHeads()
    await until('both ask', () => origin.received.filter(({ target }) => target === order('late')).length === 2)
    assert.equal(await arriving(), 2 * half.length)
    service.sendRest()
    for (const answer of await Promise.all(late)) {
      assert.equal(answer.body.length, 2 * half.length)
      assert.doesNotMatch(answer.header('cache-status')!, /stored/)
    }
    assert.equal((await first).body.length, 2 * half.length)
    assert.equal(await gateway.metric('postern_cache_not_stored_total', { reason: 'no-room' }), 1)
    await until('it is given back', async () => await arriving() === 0)
    assert.match((await gateway.get(order('1'))).header('cache-status')!, /; hit;/)
    assert.match((await gateway.get(order('late'))).header('cache-status')!, /; stored;/)
  })

  test('of no known length go on as they came, once they have grown beyond it', async () => {
    using service = halves()
    await using origin = await startOrigin(service.behaviour)
    await using gateway = await startGateway({ upstreams: { Shop: { endpoints: [origin.url] } }, messages: { GetOrder: { upstream: 'Shop' } }, cache: { maxArrivingBytes: 30_000 } })
    await gateway.waitForEndpoint(origin.url)
    using client = await gateway.connect()
    client.send(requestBytes(gateway.url.slice(7), order('chunked')))
    await until('half of it is here', async () => await gateway.metric('postern_cache_arriving_bytes') === half.length)
    service.sendRest()
    assert.equal((await client.response()).body.length, 2 * half.length)
    assert.equal(await gateway.metric('postern_cache_arriving_bytes'), 0)
    assert.equal(await gateway.metric('postern_cache_not_stored_total', { reason: 'no-room' }), 1)
    assert.equal(await gateway.metric('postern_cache_entries'), 0)
  })

  test('whose first byte is gone are not joined: who comes then asks by himself', async () => {
    const rest = Promise.withResolvers<void>()
    await using origin = await startOrigin(async request => {
      await request.body()
      await write(request.socket, head(200, 'OK', [keep, ['Transfer-Encoding', 'chunked']]))
      await write(request.socket, Buffer.concat([chunk(half), chunk(half)]))
      await rest.promise
      await write(request.socket, Buffer.concat([chunk(half), Buffer.from('0\r\n\r\n')]))
    })
    await using gateway = await startGateway({ upstreams: { Shop: { endpoints: [origin.url] } }, messages: { GetOrder: { upstream: 'Shop' } }, cache: { maxArrivingBytes: 30_000 } })
    await gateway.waitForEndpoint(origin.url)
    try {
      using client = await gateway.connect()
      client.send(requestBytes(gateway.url.slice(7), order('1')))
      await until('it is too large to be kept, and on its way', () => client.socket.bytesRead > 2 * half.length)
      const late = gateway.get(order('1'))
      await until('the late one asks', () => origin.received.length === 2)
      rest.resolve()
      assert.equal((await late).body.length, 3 * half.length)
      assert.equal((await client.response()).body.length, 3 * half.length)
    } finally {
      rest.resolve()
    }
  })
})
