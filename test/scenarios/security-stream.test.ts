// The security stream of a real gateway: a line for every request that is refused because of how it was made, none for what is merely wrong.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { startOrigins } from '../support/fleet.ts'
import { sendBytes } from '../support/http-client.ts'
import { seen } from '../support/echoed.ts'
import * as behave from '../support/origin.ts'
import { until } from '../support/until.ts'

const path = '/json/reply/Echo'
const call = (method: string, target: string, headers: readonly string[] = [], body = '') =>
  `${[`${method} ${target} HTTP/1.1`, 'Host: a', 'Connection: close', ...headers, ...body === '' ? [] : [`Content-Length: ${body.length}`]].join('\r\n')}\r\n\r\n${body}`
const part = (name: string, value: string) => `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
const multipart = (length: number) => call('POST', path, ['Content-Type: multipart/form-data; boundary=b'], `${part('a', 'x'.repeat(length))}${part('debug', '1')}--b--\r\n`)

test('who is refused for how a request was made is in the security stream, once and under the ids of the answer; nobody else is', { timeout: 300_000 }, async () => {
  await using fleet = await startOrigins([behave.echo()], { edge: { debugKeys: 'refuse' }, listener: { limits: { heldBodyBytes: 1_000, requestTargetBytes: 512, bodyBytes: 300_000 } } })
  const { gateway } = fleet
  const via = seen(await gateway.get(path)).one('via')!
  const form = ['Content-Type: application/x-www-form-urlencoded']
  const requests: Array<[what: string, bytes: string, status: number, event: string | undefined]> = [
    ['a good one', call('GET', path), 200, undefined],
    ['a dot segment', call('GET', '/json/reply/Echo/../Other'), 400, 'BadRequestTarget'],
    ['a name that nobody has', call('GET', '/json/reply/Nobody'), 404, undefined],
    ['a header', call('GET', path, ['AuthSecret: x']), 400, 'FieldNotAllowed'],
    ['a key of the query', call('GET', `${path}?debug=1`), 400, 'FieldNotAllowed'],
    ['a field of a form', call('POST', path, form, 'a=1&debug=1'), 400, 'FieldNotAllowed'],
    ['a part of a body that is read whole', multipart(10), 400, 'FieldNotAllowed'],
    ['a part of a body that streams', multipart(100_000), 400, 'FieldNotAllowed'],
    ['a long target', call('GET', `${path}?${'x'.repeat(600)}`), 414, undefined],
    ['a large body', call('POST', path, ['Content-Type: text/plain', 'Expect: 100-continue', 'Content-Length: 300001']), 413, undefined],
    ['a length and chunks', `${call('POST', path, ['Transfer-Encoding: chunked', 'Content-Length: 5'])}0\r\n\r\n`, 400, 'BadRequest'],
    ['two lengths', call('POST', path, ['Content-Length: 1', 'Content-Length: 2']), 400, 'BadRequest'],
    ['two hosts', call('GET', path, ['Host: b']), 400, 'BadRequest'],
    ['two content types', call('POST', path, [...form, 'Content-Type: text/plain'], 'debug=1'), 400, 'BadRequest'],
    ['HTTP/2 in the words of HTTP/1.1', call('GET', path).replace('HTTP/1.1', 'HTTP/2.0'), 400, 'BadRequest'],
    ['the same, to upgrade', call('GET', path, ['Upgrade: websocket', 'Connection: Upgrade']).replace('HTTP/1.1', 'HTTP/2.0'), 400, 'BadRequest'],
    ['HTTP/0.9 with headers', call('GET', path).replace('HTTP/1.1', 'HTTP/0.9'), 400, 'BadRequest'],
    ['no HTTP', 'EHLO mail.test\r\n\r\n', 400, 'BadRequest'],
    ['TRACE', call('TRACE', path), 405, 'MethodNotAllowed'],
    ['CONNECT', call('CONNECT', 'example.com:443'), 405, 'MethodNotAllowed'],
    ['a loop', call('GET', path, [`Via: ${via}, ${via}`]), 508, 'LoopDetected']
  ]
  const expected: unknown[] = []
  for (const [what, bytes, status, event] of requests) {
    const response = await sendBytes(gateway.url, bytes)
    assert.equal(response.status, status, what)
    if (event !== undefined) expected.push([event, status, response.header('x-mac-requestid')])
  }
  const lines = await until('the lines are written', async () => {
    const written = (await gateway.log()).filter(line => line['stream'] === 'security')
    return written.length >= expected.length ? written : undefined
  })
  assert.deepEqual(lines.map(({ event, status, correlationId }) => [event, status, correlationId]), expected)
  assert.deepEqual((await gateway.log()).filter(({ level }) => level === 'error'), [])
  assert.equal(fleet.origin.received.filter(({ method }) => method === 'GET').length, 2, 'nothing of it was sent')
})
