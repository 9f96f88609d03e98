// HEAD of a message, which ServiceStack hosts answer with 405: known from GET wherever its answer may be stored, else the host's own word.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { ok, startOrigin, type Origin } from '../support/origin.ts'
import { head, write, type HeaderList } from '../support/raw-server.ts'

const path = '/json/reply/GetOrder?Id=1'

/** A host that knows no HEAD; its answers to GET say `headers`, and that nothing has changed where they are asked so. */
const startHost = async (headers: HeaderList): Promise<Origin> => await startOrigin(async ({ method, socket, header }) => {
  if (method === 'HEAD') await write(socket, head(405, 'Method Not Allowed', [['Content-Length', '0']]))
  else if (header('if-none-match') !== undefined) await write(socket, head(304, 'Not Modified', headers))
  else await write(socket, head(200, 'OK', [...headers, ['Content-Type', 'application/json'], ['Content-Length', '2']]) + '{}')
})
const startWith = async (origin: Origin): Promise<TestGateway> => {
  const gateway = await startGateway({ upstreams: { Shop: { endpoints: [origin.url] } }, messages: { GetOrder: { upstream: 'Shop' } }, prefixes: { '/shop/*': { upstream: 'Shop' } } })
  await gateway.waitForEndpoint(origin.url)
  return gateway
}
const asked = ({ received }: Origin) => received.map(({ method }) => method)

describe('HEAD of a message', { timeout: 300_000 }, () => {
  test('of which nothing is stored yet: a GET is, and both are answered from it', async () => {
    await using origin = await startHost([['Cache-Control', 'max-age=60'], ['ETag', '"1"']])
    await using gateway = await startWith(origin)
    const first = await gateway.request(path, { method: 'HEAD' })
    assert.deepEqual([first.status, first.text(), first.header('content-length'), first.header('etag')], [200, '', '2', '"1"'])
    assert.match(first.header('cache-status')!, /^Postern; fwd=uri-miss; fwd-status=200; stored; ttl=\d+$/)
    assert.match((await gateway.get(path)).header('cache-status')!, /; hit;/)
    assert.equal((await gateway.request(path, { method: 'HEAD', headers: [['If-None-Match', '"1"']] })).status, 304)
    assert.deepEqual(asked(origin), ['GET'])
  })

  test('of a stale one: its validator is asked by GET', async () => {
    await using origin = await startHost([['Cache-Control', 'max-age=0'], ['ETag', '"1"']])
    await using gateway = await startWith(origin)
    assert.equal((await gateway.get(path)).status, 200)
    for (let n = 0; n < 2; n++) {
      const again = await gateway.request(path, { method: 'HEAD' })
      assert.deepEqual([again.status, again.text(), again.header('content-length')], [200, '', '2'])
      assert.match(again.header('cache-status')!, /^Postern; fwd=stale; fwd-status=304; stored;/)
    }
    assert.deepEqual(asked(origin), ['GET', 'GET', 'GET'])
    assert.ok(origin.received.slice(1).every(({ header }) => header('if-none-match') === '"1"'))
  })

  test('that may not be stored: what its host says to HEAD, each time', async () => {
    await using origin = await startHost([['Cache-Control', 'no-store']])
    await using gateway = await startWith(origin)
    for (let n = 0; n < 3; n++) assert.equal((await gateway.request(path, { method: 'HEAD' })).status, 405)
    assert.deepEqual(asked(origin), ['GET', 'HEAD', 'HEAD', 'HEAD'])
  })

  test('below a prefix nothing is known of the service: HEAD goes to it', async () => {
    await using origin = await startHost([['Cache-Control', 'max-age=60']])
    await using gateway = await startWith(origin)
    assert.equal((await gateway.request('/shop/thing', { method: 'HEAD' })).status, 405)
    assert.deepEqual(asked(origin), ['HEAD'])
  })

  test('below a prefix, by one who could not have what is stored, or wants nothing kept: others keep what they have', async () => {
    await using origin = await startOrigin(ok('v1', { headers: [['Cache-Control', 'max-age=60'], ['ETag', '"1"']] }))
    await using gateway = await startWith(origin)
    const thing = '/shop/thing'
    assert.equal((await gateway.get(thing)).text(), 'v1')
    origin.behave(ok('v2', { headers: [['Cache-Control', 'max-age=60'], ['ETag', '"2"']] }))
    assert.equal((await gateway.request(thing, { method: 'HEAD', headers: [['Cookie', 'sid=1']] })).header('etag'), '"2"')
    origin.behave(ok('v1', { headers: [['Cache-Control', 'max-age=60'], ['ETag', '"1"']] }))
    for (const headers of [[['Cookie', 'sid=1']], [['Authorization', 'Bearer x']], [['Cache-Control', 'no-cache, no-store']]] as HeaderList[]) {
      const before = origin.received.length
      assert.equal((await gateway.request(thing, { method: 'HEAD', headers })).status, 200)
      assert.equal(origin.received.length, before + 1, 'its service was asked')
      assert.match((await gateway.get(thing)).header('cache-status')!, /; hit;/)
    }
    // What its service takes back is taken back by HEAD, too.
    origin.behave(ok('v1', { headers: [['Cache-Control', 'no-store'], ['ETag', '"1"']] }))
    assert.equal((await gateway.request(thing, { method: 'HEAD', headers: [['Cache-Control', 'no-cache']] })).status, 200)
    assert.match((await gateway.get(thing)).header('cache-status')!, /fwd=uri-miss/)
  })
})
