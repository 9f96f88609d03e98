import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UnwritableRequest } from '../../../src/upstream/http1/errors.ts'
import { requestHead, type RequestHead } from '../../../src/upstream/http1/request-head.ts'

const write = (request: Partial<RequestHead>): string => requestHead({ method: 'GET', target: '/a', host: 'host:1', headers: [], length: undefined, ...request })
const start = (method: string): string => `${method} /a HTTP/1.1\r\nHost: host:1\r\nConnection: keep-alive\r\n`

test('order, letter case and repetition of headers are kept', () => {
  assert.equal(write({ headers: ['x-B', '1', 'X-a', '', 'x-B', '\xe4 2'] }), `${start('GET')}x-B: 1\r\nX-a: \r\nx-B: \xe4 2\r\n\r\n`)
})

test('the body says how the message is framed, and nothing else does', () => {
  assert.equal(write({ method: 'POST', length: 5 }), `${start('POST')}Content-Length: 5\r\n\r\n`)
  assert.equal(write({ method: 'POST', length: 'chunked' }), `${start('POST')}Transfer-Encoding: chunked\r\n\r\n`)
  assert.equal(write({ method: 'POST' }), `${start('POST')}Content-Length: 0\r\n\r\n`)
  assert.equal(write({ method: 'DELETE' }), `${start('DELETE')}\r\n`)
  const foreign = ['Content-Length', '9', 'transfer-encoding', 'chunked', 'HOST', 'other', 'Connection', 'close', 'Expect', '100-continue', 'Upgrade', 'h2c', 'Keep-Alive', 'x']
  assert.equal(write({ method: 'PUT', length: 5, headers: foreign }), `${start('PUT')}Content-Length: 5\r\n\r\n`)
})

const stray = ['\r', '\n', '\r\nEvil: 1', '\0', '\x7f', '\u010a', '\u{1f600}']
const refused: ReadonlyArray<readonly [name: string, with_: (text: string) => Partial<RequestHead>]> = [
  ['method', text => ({ method: `GET${text}` })],
  ['target', text => ({ target: `/a${text}` })],
  ['host', text => ({ host: `host${text}` })],
  ['header name', text => ({ headers: [`X${text}`, '1'] })],
  ['header value', text => ({ headers: ['X', `1${text}`] })]
]
for (const [name, request] of refused) {
  test(`a ${name} cannot write a line of its own`, () => {
    for (const text of stray) assert.throws(() => write(request(text)), UnwritableRequest, JSON.stringify(text))
  })
}

test('what is empty, or has a space that would end it, is refused too', () => {
  for (const request of [{ method: '' }, { method: 'GET /x' }, { target: '' }, { target: '/a b' }, { headers: ['', '1'] }, { headers: ['X ', '1'] }, { headers: ['X:', '1'] }]) assert.throws(() => write(request), UnwritableRequest)
})
