// RFC 9111 section 3 (what is stored, and of whom), section 4 (methods, whole answers), and what is told to whom.
import { answered, fresh, notReused, reused } from '../kinds.ts'
import type { Case } from '../run-case.ts'

const kept = [
  'Test-Header: v', 'X-Test-Header: v', 'Content-Foo: v', 'X-Content-Foo: v', 'Content-Encoding: x-own', 'Content-Location: /foo', 'Content-MD5: rL0Y20zC+Fzt72VPzMSk2A==', 'Content-Range: bytes 0-1/2',
  'Content-Security-Policy: default-src \'self\'', 'Content-Type: text/x-own', 'Clear-Site-Data: "cache"', 'ETag: "abcdef"', 'Public-Key-Pins: v', 'X-Frame-Options: deny', 'X-XSS-Protection: 1', 'Link: </a>; rel=b'
]
const dropped = ['Keep-Alive: timeout=5', 'Proxy-Authenticate: Basic', 'Proxy-Authentication-Info: v', 'Proxy-Authorization: v', 'Proxy-Connection: close', 'TE: trailers', 'Upgrade: h3']
const bearer = ['Authorization: Bearer x']

export const cases: Case[] = [
  ...kept.map(line => reused(`3.1: ${line.split(':')[0]} is stored`, [fresh, line], { then: { sees: [line] } })),
  ...dropped.map(line => reused(`3.1: ${line.split(':')[0]} is not`, [fresh, line], { then: { misses: [line] } })),
  reused('3.1: nor what Connection names', [fresh, 'Connection: a, b', 'A: 1', 'B: 2', 'C: 3'], { then: { sees: ['C: 3'], misses: ['A', 'B'] } }),
  reused('3.1: lines of the same name stay apart', [fresh, 'X-Two: 1', 'X-Two: 2'], { then: { sees: ['X-Two: 1', 'X-Two: 2'] } }),
  {
    name: '3.1: trailer fields are none of the header',
    steps: [{ answer: { headers: [fresh, 'Transfer-Encoding: chunked', 'Trailer: X-Late'], body: '2\r\nhi\r\n0\r\nX-Late: 1\r\n\r\n' }, from: 'origin', bodyIs: 'hi', misses: ['X-Late'] }, { from: 'stored', bodyIs: 'hi', misses: ['X-Late', 'Trailer'] }]
  },
  reused('3.1: Expires is stored', ['Expires: Mon, 30 Nov 2026 12:00:00 GMT'], { under: 'long', then: { sees: ['Expires: Mon, 30 Nov 2026 12:00:00 GMT'] } }),
  notReused('7.3: Set-Cookie: not stored unless told', [fresh, 'Set-Cookie: a=b']),
  reused('7.3: Set-Cookie: stored where told', [fresh, 'Set-Cookie: a=b'], { under: 'cookies', then: { sees: ['Set-Cookie: a=b'] } }),
  reused('7.3: Set-Cookie: stripped where told', [fresh, 'Set-Cookie: a=b'], { under: 'without cookies', sees: ['Set-Cookie: a=b'], then: { misses: ['Set-Cookie'] } }),
  reused('5.2.2.4: no-cache="Set-Cookie": stored without it', ['Cache-Control: max-age=3600, no-cache="Set-Cookie"', 'Set-Cookie: a=b'], { sees: ['Set-Cookie: a=b'], then: { misses: ['Set-Cookie'] } }),
  reused('3: a cookie of analytics makes nobody somebody', [fresh], { request: ['Cookie: _ga=1'] }),
  // Of whom.
  notReused('3.5: Authorization', [fresh], { request: bearer }),
  { name: '3.5: an answer to Authorization is for nobody else', steps: [{ headers: bearer, ...answered([fresh]) }, { from: 'origin' }] },
  { name: '3.5: nor is another\'s for Authorization', steps: [answered([fresh]), { headers: bearer, from: 'origin' }] },
  reused('3.5: Authorization with public', ['Cache-Control: public, max-age=3600'], { request: bearer }),
  reused('3.5: Authorization with s-maxage', ['Cache-Control: s-maxage=3600'], { request: bearer }),
  notReused('decisions 5.1: Authorization with must-revalidate', ['Cache-Control: max-age=3600, must-revalidate'], { request: bearer }),
  ...['X-Api-Key: k', 'Cookie: ss-id=1', 'Cookie: a=1; ss-pid=1', 'Cookie: ss-tok=1'].map(line => notReused(`decisions 5.1: ${line}`, [fresh], { request: [line] })),
  reused('decisions 5.1: perIdentity: the same one', [fresh], { request: bearer, under: 'each their own' }),
  { name: 'decisions 5.1: perIdentity: another one', under: 'each their own', steps: [{ headers: bearer, ...answered([fresh]) }, { headers: ['Authorization: Bearer y'], from: 'origin' }, { from: 'origin' }] },
  { name: 'decisions 5.1: shared: everybody', under: 'shared', steps: [{ headers: bearer, ...answered([fresh]) }, { headers: ['Authorization: Bearer y'], from: 'stored' }, { from: 'stored' }] },
  // Methods.
  { name: '4: a query is part of the URL', steps: [{ suffix: '?a=1', ...answered([fresh]) }, { suffix: '?a=2', from: 'origin' }] },
  { name: '4: the same query', steps: [{ suffix: '?a=1', ...answered([fresh]) }, { suffix: '?a=1', from: 'stored' }] },
  { name: '4: another host', steps: [{ headers: ['Host: a.test'], ...answered([fresh]) }, { headers: ['Host: b.test'], from: 'origin' }] },
  { name: 'RFC 9110 9.3.2: HEAD from a stored GET', steps: [answered([fresh, 'X-One: 1']), { method: 'HEAD', after: 3, from: 'stored', sees: ['X-One: 1', 'Age: 3'] }] },
  { name: '4: GET not from HEAD', steps: [{ method: 'HEAD', answer: { headers: [fresh] }, from: 'origin' }, { from: 'origin' }] },
  { name: '3: POST is not stored', steps: [{ method: 'POST', body: 'x', ...answered([fresh]) }, { method: 'POST', body: 'x', from: 'origin' }] },
  ...['POST', 'PUT', 'DELETE', 'PATCH'].map((method): Case => ({ name: `4: ${method} is written through`, steps: [answered([fresh]), { method, body: 'x', answer: { status: 500 }, from: 'origin', status: 500 }] })),
  { name: 'RFC 9110 9.3.1: the answer to a GET with a body is for nobody else', steps: [{ body: 'x', ...answered([fresh]) }, { body: 'y', from: 'origin' }, { from: 'origin' }] },
  { name: 'RFC 9110 9.3.1: nor is another\'s for a GET with a body', steps: [answered([fresh]), { body: 'x', from: 'origin' }, { from: 'stored', bodyIs: '{first}' }] },
  // Interim answers.
  { name: 'RFC 9110 15.2: the answer after an interim one is stored, without its fields', steps: [{ answer: { headers: [fresh], interim: [{ status: 103, headers: ['X-Mine: 1'] }] }, from: 'origin', misses: ['X-Mine'] }, { from: 'stored', misses: ['X-Mine'] }] },
  // Tags.
  { name: 'tags end here', steps: [{ ...answered([fresh, 'Cache-Tag: a', 'Surrogate-Key: b']), misses: ['Cache-Tag', 'Surrogate-Key'] }, { from: 'stored', misses: ['Cache-Tag', 'Surrogate-Key'] }] },
  // Whole answers (section 3.3); those that break off in the middle are in test/scenarios/cache-collapse.test.ts.
  { name: '3.3: where the origin closes without an answer nothing is stored', steps: [{ answer: 'close', from: 'origin', status: 502 }, answered([fresh]), { from: 'stored' }] }
]
