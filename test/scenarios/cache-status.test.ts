// Cache-Status on every answer, whoever made it: the service, the store, or the gateway before there was anything to look for.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { startOrigins } from '../support/fleet.ts'
import { startGateway } from '../support/gateway.ts'
import { openConnection, targetOf } from '../support/http-client.ts'
import * as behave from '../support/origin.ts'

describe('Cache-Status', { timeout: 300_000 }, () => {
  test('of what a service answers', async () => {
    await using fleet = await startOrigins([behave.ok('{}', { headers: [['Cache-Control', 'max-age=60']] })], { messages: { Kept: { upstream: 'origin' } } })
    const { gateway } = fleet
    const status = async (method: string, path: string) => (await gateway.request(path, { method, ...method === 'POST' ? { body: '{}' } : {} })).header('cache-status')
    assert.match((await status('GET', '/json/reply/Kept'))!, /^Postern; fwd=uri-miss; fwd-status=200; stored; ttl=\d+$/)
    assert.match((await status('GET', '/json/reply/Kept'))!, /^Postern; hit; ttl=\d+$/)
    assert.match((await status('HEAD', '/json/reply/Kept'))!, /^Postern; hit; ttl=\d+$/)
    assert.equal(await status('POST', '/json/reply/Kept'), 'Postern; fwd=method; fwd-status=200')
    assert.equal(await status('GET', '/json/reply/Echo'), 'Postern; fwd=bypass; fwd-status=200', 'mode off')
    await fleet.origin.server.kill()
    assert.equal(await status('POST', '/json/reply/Kept'), 'Postern; fwd=method')
  })

  test('of what the gateway answers before the cache comes in', async () => {
    await using fleet = await startOrigins([behave.ok('{}')], { listener: { limits: { headerBytes: 1_024 } } })
    const ask = async (head: string) => {
      const connection = await openConnection(targetOf(fleet.gateway.url))
      try {
        connection.send(`${head}\r\n\r\n`)
        return await connection.response()
      } finally {
        connection.close()
      }
    }
    for (const [head, status] of [
      ['GET /json/reply/Nobody HTTP/1.1\r\nHost: a', 404],
      ['GET / HTTP/1.1\r\nHost: a', 404],
      ['GET /json/reply/Echo/../Echo HTTP/1.1\r\nHost: a', 400],
      ['GET /json/reply/Echo HTTP/1.1', 400],
      ['GET /json/reply/Echo HTTP/1.1\r\nHost: a b', 400],
      ['TRACE /json/reply/Echo HTTP/1.1\r\nHost: a', 405],
      ['CONNECT a:443 HTTP/1.1\r\nHost: a:443', 405],
      ['no request at all', 400],
      [`GET /json/reply/Echo HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(2_000)}`, 431],
      ['GET /json/reply/Echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-version: 13', 400]
    ] as const) {
      const answer = await ask(head)
      assert.equal(answer.status, status, head.slice(0, 60))
      assert.equal(answer.header('cache-status'), 'Postern; detail=local-reply', head.slice(0, 60))
    }
  })

  test('of calls before the first table', async () => {
    await using gateway = await startGateway({ registry: { consul: { agents: ['http://127.0.0.1:9'] } } })
    const answer = await gateway.get('/json/reply/Echo')
    assert.deepEqual([answer.status, answer.header('cache-status')], [503, 'Postern; detail=local-reply'])
  })
})
