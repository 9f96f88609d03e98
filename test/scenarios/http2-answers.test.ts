// What a service may say over HTTP/1.1 that HTTP/2 does not know: its client gets an answer, and nobody else notices.
import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { connect as connectHttp2, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import { makeCertificate, type TestCertificate } from '../support/certificates.ts'
import { startOrigins, type OriginFleet } from '../support/fleet.ts'
import * as behave from '../support/origin.ts'

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly informational: IncomingHttpHeaders[]
  readonly trailers: IncomingHttpHeaders
  readonly text: string
}

const chunked = (trailers: string) => `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n${trailers}\r\n`
const plain = (fields: string) => `HTTP/1.1 200 OK\r\n${fields}Content-Length: 5\r\n\r\nwhole`

describe('over HTTP/2', { timeout: 300_000 }, () => {
  let fleet: OriginFleet
  let certificate: TestCertificate
  let session: ClientHttp2Session
  before(async () => {
    certificate = await makeCertificate(['localhost'])
    fleet = await startOrigins([behave.ok('other')], { listener: { tls: { certificates: [{ certFile: certificate.certFile, keyFile: certificate.keyFile }] } } } as never)
    session = connectHttp2(fleet.gateway.url.replace('127.0.0.1', 'localhost'), { ca: certificate.pem })
  })
  after(async () => {
    session.destroy()
    await fleet[Symbol.asyncDispose]()
    await certificate.remove()
  })

  const call = async () => await new Promise<Answer>((resolve, reject) => {
    const stream = session.request({ ':path': '/json/reply/Echo' })
    const informational: IncomingHttpHeaders[] = []
    let headers: IncomingHttpHeaders = {}
    let trailers: IncomingHttpHeaders = {}
    let text = ''
    stream.on('headers', head => { informational.push(head) })
    stream.on('response', head => { headers = head })
    stream.on('trailers', fields => { trailers = Object.fromEntries(Object.entries(fields)) })
    stream.on('data', chunk => { text += String(chunk) })
    stream.on('close', () => { resolve({ status: Number(headers[':status']), headers, informational, trailers, text }) })
    stream.on('error', reject)
  })

  const answers: ReadonlyArray<readonly [what: string, bytes: string, expected: Partial<Answer>]> = [
    ['a trailer that HTTP/2 forbids', chunked('HTTP2-Settings: x\r\nX-Sum: 5\r\n'), { status: 200, text: 'whole', trailers: { 'x-sum': '5' } }],
    ['nothing but such trailers', chunked('HTTP2-Settings: x\r\nTE: gzip\r\nKeep-Alive: 1\r\nProxy-Connection: x\r\n'), { status: 200, text: 'whole', trailers: {} }],
    ['trailers twice', chunked('X-Sum: 1\r\nETag: "a"\r\nx-sum: 2\r\netag: "b"\r\n'), { status: 200, text: 'whole', trailers: { 'x-sum': '1, 2', etag: '"a", "b"' } }],
    ['a trailer of every character', chunked('x!#$%&\'*+-.^_`|~: \xff\tb\r\n'), { status: 200, text: 'whole' }],
    ['a field that HTTP/2 forbids', plain('HTTP2-Settings: x\r\nX-End: 1\r\n'), { status: 200, text: 'whole' }],
    ['a field twice that HTTP/2 knows once only', plain('ETag: "a"\r\nETag: "b"\r\n'), { status: 502 }],
    ['an early answer with such a field, and one twice', `HTTP/1.1 103 Early Hints\r\nHTTP2-Settings: x\r\nTE: gzip\r\nContent-Length: 9\r\nETag: "a"\r\nETag: "b"\r\nLink: </a>\r\n\r\n${plain('')}`, { status: 200, text: 'whole' }],
    ['205 with a body', 'HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\nwhole', { status: 205, text: '' }],
    ['205 with a body in chunks, and trailers', `${chunked('X-Sum: 5\r\n').replace('200 OK', '205 Reset Content')}`, { status: 205, text: '' }],
    ['204 with a length', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n', { status: 204, text: '' }],
    ['a status beyond 599', 'HTTP/1.1 999 Odd\r\nContent-Length: 5\r\n\r\nwhole', { status: 502 }]
  ]
  for (const [what, bytes, expected] of answers) {
    test(what, async () => {
      fleet.origin.behave(behave.raw(bytes))
      const answer = await call()
      assert.deepEqual({ ...answer, ...expected }, answer)
      assert.equal(answer.headers['http2-settings'], undefined)
      if (answer.status === 204 || answer.status === 205) assert.equal(answer.headers['content-length'], undefined)
      for (const early of answer.informational) assert.deepEqual([early['link'], early['etag'], early['http2-settings'], early['content-length']], ['</a>', '"a", "b"', undefined, undefined])
      fleet.origin.behave(behave.ok('other'))
      assert.equal((await call()).text, 'other', 'on the same connection')
    })
  }
})
