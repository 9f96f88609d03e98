// Bodies: never cut without notice, never whole when they were not, streamed with backpressure, and let go when the client leaves.
import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { connect as connectHttp2, constants } from 'node:http2'
import { connect } from 'node:net'
import { makeCertificate } from '../support/certificates.ts'
import { startOrigins, type OriginFleet } from '../support/fleet.ts'
import { requestBytes, targetOf } from '../support/http-client.ts'
import * as behave from '../support/origin.ts'
import { until, within } from '../support/until.ts'
import { seen } from '../support/echoed.ts'

const path = '/json/reply/Echo'

describe('bodies', { timeout: 300_000 }, () => {
  let fleet: OriginFleet
  before(async () => { fleet = await startOrigins([behave.echo()]) })
  after(async () => { await fleet[Symbol.asyncDispose]() })
  const behaving = (behaviour: behave.Behaviour) => { fleet.origin.behave(behaviour) }

  test('a chunked body arrives with its Content-Length', async () => {
    behaving(behave.echo())
    for (const body of ['{"a":1}', 'x'.repeat(100_000)]) {
      using connection = await fleet.gateway.connect()
      connection.send(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`)
      for (let at = 0; at < body.length; at += 30_000) {
        const piece = body.slice(at, at + 30_000)
        connection.send(`${piece.length.toString(16)}\r\n${piece}\r\n`)
      }
      connection.send('0\r\nX-Trailer: dropped\r\n\r\n')
      const request = seen(await connection.response('POST'))
      assert.equal(request.chunked, false)
      assert.deepEqual(request.all('content-length'), [String(body.length)])
      assert.equal(request.body.length, body.length)
    }
  })

  test('a body that ends short never reaches the service as whole', async () => {
    let whole = 0
    behaving(async request => {
      await request.body()
      whole++
      await behave.ok()(request)
    })
    const cut = [
      `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf`,
      `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n${'x'.repeat(200_000)}`,
      `POST ${path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n`,
      `POST ${path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhal`
    ]
    for (const bytes of cut) {
      using connection = await fleet.gateway.connect()
      connection.socket.end(bytes)
      // An answer, if any, says 400; usually the connection just ends.
      const answer = await within('the connection ends', 30_000, connection.reader.rest())
      if (answer.length > 0) assert.match(answer.toString(), /^HTTP\/1\.1 400 /)
    }
    // What was streamed was cut on the upstream side too: the origin saw the end of its connection, not of the body.
    await until('nothing of it is in flight', async () => await fleet.gateway.metric('postern_in_flight') === 0)
    assert.equal(whole, 0)
  })

  test('a cut answer is cut for the client too', async () => {
    for (const framing of ['length', 'chunked'] as const) {
      behaving(behave.cutBody(framing))
      using connection = await fleet.gateway.connect()
      connection.send(requestBytes('x', path))
      const response = await connection.response()
      assert.equal(response.status, 200)
      assert.equal(response.whole, false, framing)
      await within('the connection ends', 30_000, connection.reader.rest())
    }
  })

  test('a client that leaves cancels the work upstream, and is nobody\'s failure', async () => {
    behaving(behave.hang())
    const before = fleet.origin.received.length
    using connection = await fleet.gateway.connect()
    connection.send(requestBytes('x', path))
    await until('the call is upstream', () => fleet.origin.received.length > before)
    connection.close()
    await until('the origin is told', () => fleet.origin.received.at(-1)!.gone)
    await until('it is counted', async () => await fleet.gateway.metric('postern_rejections_total', { reason: 'ClientClosed' }) > 0)
    assert.equal(await fleet.gateway.metric('postern_attempts_total', { outcome: 'failure', endpoint: fleet.origin.url }), (await fleet.gateway.metric('postern_attempts_total', { outcome: 'failure' })))
    behaving(behave.drip(1_000, 10))
    using reading = await fleet.gateway.connect()
    reading.send(requestBytes('x', path))
    await reading.head()
    reading.close()
    await until('the origin is told in the middle of the body', () => fleet.origin.received.at(-1)!.gone)
  })

  test('Expect: 100-continue is answered here after admission and not forwarded', async () => {
    behaving(behave.echo())
    using connection = await fleet.gateway.connect()
    connection.send(`POST ${path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`)
    assert.equal((await connection.head()).status, 100)
    connection.send('body')
    const request = seen(await connection.response('POST'))
    assert.equal(request.body, 'body')
    assert.deepEqual(request.all('expect'), [])
    using refused = await fleet.gateway.connect()
    refused.send('POST /json/reply/NoSuchMessage HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n')
    assert.equal((await refused.head()).status, 404, 'no 100 for what will not be read')
  })

  test('a slow reader holds the service back: memory stays bounded with 200 MB under way', async () => {
    const total = 200 * 1_048_576
    let written = 0
    behaving(behave.flood(total, { onWritten: bytes => { written = bytes } }))
    const { host, port } = targetOf(fleet.gateway.url)
    const socket = connect({ host, port })
    try {
      socket.write(requestBytes('x', path))
      socket.pause()
      let last = -1
      await until('the service is held back', () => {
        const same = written === last && written > 0
        last = written
        return same
      }, { everyMs: 200 })
      assert.ok(written < 48 * 1_048_576, `${written} bytes were taken from the service while nobody read`)
      let read = 0
      await new Promise<void>((resolve, reject) => {
        socket.on('data', bytes => {
          read += bytes.length
          if (read >= total) resolve()
        })
        socket.on('close', () => { reject(new Error(`closed after ${read} bytes`)) })
        socket.resume()
      })
    } finally {
      socket.destroy()
    }
  })

  test('a slow service holds the client back', async () => {
    const total = 64 * 1_048_576
    const gate = Promise.withResolvers<void>()
    let received = 0
    behaving(async request => {
      await gate.promise
      for await (const piece of request.pieces()) received += piece.length
      await behave.ok(String(received))(request)
    })
    using connection = await fleet.gateway.connect({ timeoutMs: 120_000 })
    const { socket } = connection
    socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: ${total}\r\n\r\n`)
    socket.write(Buffer.alloc(total, 'y'))
    const sent = () => socket.bytesWritten - socket.writableLength
    let last = -1
    await until('the client is held back', () => {
      const same = sent() === last && last > 0
      last = sent()
      return same
    }, { everyMs: 200 })
    assert.ok(sent() < 32 * 1_048_576, `${sent()} bytes were taken from the client while the service read nothing`)
    gate.resolve()
    const response = await connection.response('POST')
    assert.equal(response.text(), String(total))
  })
})

test('over HTTP/2 too a client that leaves gives back its slot and its place in the queue, and cancels the work upstream', { timeout: 300_000 }, async t => {
  const certificate = await makeCertificate(['localhost'])
  t.after(() => certificate.remove())
  await using fleet = await startOrigins([behave.hang()], {
    listener: { tls: { certificates: [{ certFile: certificate.certFile, keyFile: certificate.keyFile }] } },
    upstreams: { origin: { bulkhead: { maxConcurrent: 1, maxQueue: 1 } } },
    // Nothing but the client's leaving ends a call here.
    defaults: { policy: { deadlineMs: 50_000, headersTimeoutMs: 50_000, queueTimeoutMs: 50_000 } }
  } as never)
  const { gateway, origin } = fleet
  const session = connectHttp2(gateway.url.replace('127.0.0.1', 'localhost'), { ca: certificate.pem })
  session.on('error', () => {}) // The test closes it.
  t.after(() => session.destroy())
  const call = () => session.request({ ':path': path }).on('error', () => {})
  const held = async () => [await gateway.metric('postern_bulkhead_in_flight', { upstream: 'origin' }), await gateway.metric('postern_queue', { upstream: 'origin' })]
  const hold = async (inFlight: number, queued: number) => await until(`${inFlight} in flight, ${queued} in the queue`, async () => (await held()).join() === [inFlight, queued].join())
  call()
  await until('the first call is upstream', () => origin.received.length === 1)
  const second = call()
  await hold(1, 1)
  second.close(constants.NGHTTP2_CANCEL)
  await hold(1, 0)
  session.destroy()
  await until('the origin is told', () => origin.received[0]!.gone)
  await hold(0, 0)
  assert.equal(origin.received.length, 1)
})
