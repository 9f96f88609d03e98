// The scripted origin and the raw client against each other: what a scenario relies on them to do, they do.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { EndOfBytes } from './byte-reader.ts'
import { openConnection, request, sendBytes } from './http-client.ts'
import * as behave from './origin.ts'
import { startOrigin } from './origin.ts'
import { until } from './until.ts'

test('answers, cuts and resets look as scripted', async () => {
  await using origin = await startOrigin()
  const call = async (behaviour: behave.Behaviour) => {
    origin.behave(behaviour)
    return await request(origin.url, '/x', { headers: [['X-A', '1'], ['x-a', '2']] })
  }
  assert.equal((await call(behave.ok('fine', { status: 404, reason: 'Not Here' }))).statusLine, 'HTTP/1.1 404 Not Here')
  assert.deepEqual((await call(behave.echo())).json().headers.slice(1), [['X-A', '1'], ['x-a', '2']])
  assert.deepEqual([(await call(behave.cutBody('length'))).whole, (await call(behave.cutBody('chunked'))).whole], [false, false])
  const informed = await call(behave.informational())
  assert.deepEqual([informed.informational.length, informed.whole, informed.trailers], [1, true, [['X-Checksum', 'abc']]])
  assert.equal((await call(behave.drip(3, 1))).text(), '0\n1\n2\n')
  assert.equal((await call(behave.flood(1_000_000))).body.length, 1_000_000)
  await assert.rejects(call(behave.reset()), EndOfBytes)
  await assert.rejects(call(behave.cutHead()), EndOfBytes)
  assert.deepEqual(origin.complaints, [])
})

test('a body that ends short is never whole, and what is not HTTP is complained about', async () => {
  let whole = 0
  await using origin = await startOrigin(async request => {
    await request.body()
    whole++
  })
  for (const bytes of ['POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf', 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n']) {
    using connection = await openConnection(origin.url)
    connection.socket.end(bytes)
    assert.equal((await connection.reader.rest()).length, 0)
  }
  assert.equal(whole, 0)
  assert.deepEqual(origin.complaints, [])
  for (const bytes of ['GET / HTTP/1.1\r\nBad Header : x\r\n\r\n', 'GET  / HTTP/1.1\r\n\r\n', 'POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n']) {
    await assert.rejects(sendBytes(origin.url, bytes), EndOfBytes)
  }
  assert.equal(origin.complaints.length, 3)
})

test('leaving is noticed; a killed origin refuses, and listens again on the same port', async () => {
  await using origin = await startOrigin(behave.hang())
  using connection = await openConnection(origin.url)
  connection.send('GET / HTTP/1.1\r\n\r\n')
  await until('it arrived', () => origin.received.length === 1)
  connection.close()
  await until('it is noticed', () => origin.received[0]!.gone)
  const { url } = origin
  await origin.server.kill()
  await assert.rejects(request(url, '/'), { code: 'ECONNREFUSED' })
  await origin.server.listen()
  origin.behave(behave.ok())
  assert.equal((await request(url, '/')).text(), 'ok')
})
