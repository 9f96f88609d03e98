// The listener's pure parts, as tables.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../src/exchange/errors.ts'
import { addressOf, createTrust, originOf, plainAddress } from '../../src/listener/client-address.ts'
import { IdSource, isCorrelationId, parseTraceparent } from '../../src/listener/ids.ts'
import { rawLocalReply, renderLocalReply, replyFormat } from '../../src/listener/local-reply.ts'
import { MultipartScan } from '../../src/listener/multipart-scan.ts'
import { readParameters } from '../../src/listener/parameters.ts'
import { replyHeaders, rewriteLocation } from '../../src/listener/reply-headers.ts'
import { createFieldRules, overrideInQuery, stripFormFields, stripQueryKeys } from '../../src/listener/stranger-fields.ts'

const rules = createFieldRules({ methodOverride: 'remove', debugKeys: 'remove', sessionHeaders: 'remove' })

const queries: ReadonlyArray<readonly [query: string, rest: string]> = [
  ['', ''], ['?', '?'], ['?a=1', '?a=1'], ['?debug', ''], ['?debug=', ''], ['?a=1&debug=1&b=2', '?a=1&b=2'], ['?debug=1&debug=2', ''],
  ['?%64ebug=1&a=%2F+', '?a=%2F+'], ['?DeBuG=1&&a', '?&a'], ['?X-Http-Method-Override=PUT&a', '?a'], ['?+debug=1', ''], ['?debug%20=1', ''],
  ['?debugger=1&simulate2', '?debugger=1&simulate2'], ['?a=debug', '?a=debug'], ['?ss-id=1&x-ss-opt=perm&a', '?a'], ['?%zz=1&authsecret=x', '?%zz=1'], ['?%zzdebug', '?%zzdebug']
]
for (const [query, rest] of queries) {
  test(`query ${query || '(none)'} becomes ${rest || '(none)'}`, () => {
    assert.equal(stripQueryKeys(query, rules), rest)
    assert.equal(stripFormFields(query.slice(1), rules), rest.slice(1))
  })
}

test('refused instead of removed, or allowed, as the operator says', () => {
  const refuse = createFieldRules({ methodOverride: 'allow', debugKeys: 'refuse', sessionHeaders: 'allow' })
  assert.throws(() => stripQueryKeys('?Debug=1', refuse), (error: unknown) => error instanceof GatewayError && error.code === 'FieldNotAllowed')
  assert.equal(stripQueryKeys('?x-http-method-override=PUT', refuse), '?x-http-method-override=PUT')
  assert.equal(overrideInQuery('?a=1&X-HTTP-Method-Overrid%65=put'), 'put')
  assert.equal(overrideInQuery('?a=override'), undefined)
})

const parts: ReadonlyArray<readonly [what: string, disposition: string, found: string | undefined]> = [
  ['another field', 'Content-Disposition: form-data; name="a"', undefined],
  ['a file whose own name looks like a parameter', 'Content-Disposition: form-data; name="a"; filename="rename=debug; name=debug"', undefined],
  ['but not where it comes first', 'Content-Disposition: form-data; filename="re name=debug"; name="a"', 'part headers'],
  ['nor without quotes', 'Content-Disposition: form-data; name="a"; filename=rename=debug', 'part headers'],
  ['a file of that name', 'Content-Disposition: form-data; name="a"; filename="debug"', undefined],
  ['the field', 'Content-Disposition: form-data; name="debug"', 'debug'],
  ['unquoted', 'content-disposition: form-data;name=AuthSecret', 'authsecret'],
  ['spaces', 'Content-Disposition : form-data ; name = "simulate"', 'simulate'],
  ['escaped', 'Content-Disposition: form-data; name="de\\bug"', 'debug'],
  ['encoded', 'Content-Disposition: form-data; name="d%65bug"', 'debug'],
  ['extended', 'Content-Disposition: form-data; name*=UTF-8\'\'d%65bug', 'debug'],
  ['folded', 'Content-Disposition: form-data;\r\n name="debug"', 'debug'],
  ['its name inside another parameter', 'Content-Disposition: form-data; x=" name="; name="debug"', 'part headers'],
  ['a name twice', 'Content-Disposition: form-data; name="a"; name="debug"', 'part headers'],
  ['a name in the first word', 'Content-Disposition: name="debug"', 'part headers'],
  ['a name in an encoded word', 'Content-Disposition: form-data; name="=?utf-8?B?ZGVidWc=?="', 'part headers'],
  ['behind a carriage return', 'X: y\rContent-Disposition: form-data; name="debug"', 'debug'],
  ['what is no form', 'Content-Type: application/xop+xml;\r\n charset=utf-8; type="text/xml"', undefined],
  ['second header', 'Content-Type: text/plain\r\nContent-Disposition: form-data; name="debug"', 'debug']
]
for (const [what, disposition, found] of parts) {
  for (const size of [1, 7, 10_000]) {
    test(`multipart, ${what}, in pieces of ${size}`, () => {
      const body = Buffer.from(`preamble\r\n--b42\r\nContent-Disposition: form-data; name="x"\r\n\r\nvalue with name="debug" in it\r\n--b42\r\n${disposition}\r\n\r\nv\r\n--b42--\r\n`)
      const scan = new MultipartScan('b42', rules)
      let seen: string | undefined
      for (let at = 0; at < body.length && seen === undefined; at += size) seen = scan.push(body.subarray(at, at + size))
      assert.equal(seen, found)
    })
  }
}
test('multipart: line feeds alone, and heads beyond the limit', () => {
  assert.equal(new MultipartScan('b', rules).push(Buffer.from('--b\nContent-Disposition: form-data; name="debug"\n\nv\n--b--')), 'debug')
  assert.equal(new MultipartScan('b', rules).push(Buffer.from(`--b\r\nX: ${'x'.repeat(20_000)}`)), 'part headers')
})
const parameters: ReadonlyArray<readonly [text: string, read: Record<string, string> | undefined]> = [
  ['', {}], [' ; ;', {}], ['; boundary=a-b', { boundary: 'a-b' }], ['; charset=x; Boundary="a b;c"', { charset: 'x', boundary: 'a b;c' }],
  [';boundary=----=_Part(1):2/?', { boundary: '----=_Part(1):2/?' }], ['; boundary="----=_Part(1):2/?"', { boundary: '----=_Part(1):2/?' }], ['; boundary = MIMEBoundary_1 ;start-info="a=1"; ', { boundary: 'MIMEBoundary_1', 'start-info': 'a=1' }],
  ['; name="a\\"b"; filename="C:\\x; y.txt"', { name: 'a"b', filename: 'C:x; y.txt' }],
  ['; boundary=a; boundary=b', undefined], ['; x="; boundary=a"; boundary=b', undefined], ['; xboundary=a', undefined], ['; boundary="a', undefined], ['; boundary', undefined], ['; boundary=', undefined], [', boundary=a', undefined],
  ['; x=" name="; name="a"', undefined], ['; xname="a"; name="b"', undefined], ['; filename="name=a"; name="b"', undefined], [' boundary=a', undefined], ['; boundary=a b', undefined]
]
for (const [text, read] of parameters) {
  test(`parameters of x${text}: ${read === undefined ? 'not to be read' : JSON.stringify(read)}`, () => {
    const found = readParameters(`x${text}`, 1)
    assert.deepEqual(found === undefined ? undefined : Object.fromEntries(found), read)
  })
}

const addresses: ReadonlyArray<readonly [string, string | undefined]> = [
  ['192.0.2.1', '192.0.2.1'], [' 192.0.2.1:80', '192.0.2.1'], ['2001:db8::1', '2001:db8::1'], ['[2001:db8::1]:80', '2001:db8::1'], ['"[2001:db8::1]"', '2001:db8::1'], ['::ffff:192.0.2.1', '192.0.2.1'], ['unknown', undefined], ['_hidden', undefined], ['', undefined]
]
for (const [entry, address] of addresses) test(`${JSON.stringify(entry)} names ${address ?? 'nobody'}`, () => assert.equal(addressOf(entry), address))

const trusts = createTrust(['10.0.0.0/8', 'fc00::/7', '192.0.2.7'])
const chains: ReadonlyArray<readonly [peer: string, chain: string | undefined, client: string]> = [
  ['203.0.113.1', '1.1.1.1', '203.0.113.1'],
  ['10.0.0.1', undefined, '10.0.0.1'],
  ['10.0.0.1', '1.1.1.1', '1.1.1.1'],
  ['10.0.0.1', '6.6.6.6, 1.1.1.1, 10.9.9.9', '1.1.1.1'],
  ['10.0.0.1', '6.6.6.6, 1.1.1.1:8080, 192.0.2.7', '1.1.1.1'],
  ['10.0.0.1', '10.0.0.5, 10.0.0.6', '10.0.0.5'],
  ['10.0.0.1', '6.6.6.6, unknown, 10.0.0.6', '10.0.0.6'],
  ['fd00::1', '[2001:db8::5]:443', '2001:db8::5']
]
const said = { forwardedFor: undefined, forwardedProto: undefined, forwardedHost: undefined, forwarded: undefined }
for (const [peer, forwardedFor, client] of chains) test(`${peer} with ${forwardedFor ?? 'no chain'} speaks for ${client}`, () => assert.equal(originOf(peer, { ...said, forwardedFor }, trusts).address, client))

const origins: ReadonlyArray<readonly [what: string, head: Partial<Record<keyof typeof said, string>>, origin: ReadonlyArray<string | undefined>]> = [
  ['nothing', {}, ['10.0.0.1', undefined, undefined]],
  ['all of it in Forwarded', { forwarded: 'for=1.1.1.1;proto=https;host=shop.test' }, ['1.1.1.1', 'https', 'shop.test']],
  ['other letters, quotes and spaces', { forwarded: ' Host="shop.test:81" ; PROTO=HTTPS; For="[2001:db8::1]:4711"' }, ['2001:db8::1', 'HTTPS', 'shop.test:81']],
  ['the client\'s element, not those of the proxies', { forwarded: 'for=6.6.6.6;proto=http;host=evil.test, for=1.1.1.1;proto=https;host=shop.test, for=10.9.9.9;proto=http;host=inner.test' }, ['1.1.1.1', 'https', 'shop.test']],
  ['who will not name the client says how it came', { forwarded: 'for=6.6.6.6;host=evil.test, for=_hidden;proto=https, for=10.9.9.9' }, ['10.9.9.9', 'https', undefined]],
  ['a proto alone', { forwarded: 'proto=https' }, ['10.0.0.1', 'https', undefined]],
  ['separators within quotes', { forwarded: 'for=1.1.1.1;host="a,b;proto=ftp";proto=https' }, ['1.1.1.1', 'https', 'a,b;proto=ftp']],
  ['a quotation left open by a stranger takes nothing of what the proxies say', { forwarded: 'for=6.6.6.6;proto=https;host="evil.test, for=1.1.1.1;host="shop.test"' }, ['10.0.0.1', undefined, undefined]],
  ['lists of proxies in a row', { forwardedProto: 'HTTPS, http', forwardedHost: 'shop.test , inner.test' }, ['10.0.0.1', 'HTTPS', 'shop.test']],
  ['X-Forwarded-* and what a stranger wrote of it', { forwardedFor: '1.1.1.1', forwarded: 'for=6.6.6.6;proto=https;host=evil.test' }, ['1.1.1.1', undefined, undefined]],
  ['the same, with a scheme', { forwardedProto: 'http', forwarded: 'for=1.1.1.1;proto=https;host=evil.test' }, ['1.1.1.1', 'http', undefined]]
]
for (const [what, head, expected] of origins) {
  test(`what a trusted proxy says: ${what}`, () => {
    const { address, proto, host } = originOf('10.0.0.1', { ...said, ...head }, trusts)
    assert.deepEqual([address, proto, host], expected)
  })
}
test('client addresses: mapped ones, ranges that are none', () => {
  assert.equal(plainAddress('::ffff:127.0.0.1'), '127.0.0.1')
  assert.throws(() => createTrust(['proxy.test']), /neither an address nor a range/)
})

const error = new GatewayError('NoEndpoint', { message: 'a "quoted" <tag> & {brace},\u0001 line\nend' })
const body = (format: Parameters<typeof renderLocalReply>[1]) => renderLocalReply(error, format, ['x-id', 'c1']).body.toString()
test('local replies, escaped in every format', () => {
  assert.deepEqual(JSON.parse(body('json')), { responseStatus: { errorCode: 'NoEndpoint', message: error.message, errors: [] } })
  assert.match(body('xml'), /<ErrorCode>NoEndpoint<\/ErrorCode><Message>a &quot;quoted&quot; &lt;tag&gt; &amp; \{brace\},\ufffd line\nend<\/Message><StackTrace i:nil="true" \/><Errors \/>/)
  assert.equal(body('jsv'), '{responseStatus:{errorCode:NoEndpoint,message:"a ""quoted"" <tag> & {brace},\u0001 line\nend",errors:[]}}')
  assert.match(body('csv'), /^ResponseStatus\r\n"\{errorCode:NoEndpoint,message:""a """"quoted""""/)
  assert.match(body('html'), /<b>NoEndpoint<\/b>: a &quot;quoted&quot; &lt;tag&gt;/)
})
test('local replies carry status, reason, Retry-After, Allow and the correlation id', () => {
  const { status, reason, headers } = renderLocalReply(new GatewayError('NoEndpoint', { headers: ['Allow', 'GET'] }), 'json', ['x-id', 'c1'])
  assert.deepEqual([status, reason], [503, 'NoEndpoint'])
  assert.deepEqual(headers.slice(2), ['Content-Length', '110', 'Cache-Control', 'no-store', 'x-id', 'c1', 'Allow', 'GET', 'Retry-After', '1'])
  assert.match(rawLocalReply(renderLocalReply(error, 'json', ['x-id', 'c1'])).toString(), /^HTTP\/1\.1 503 NoEndpoint\r\nContent-Type: application\/json; charset=utf-8\r\n.*\r\nConnection: close\r\n\r\n\{/s)
})
const asked: ReadonlyArray<readonly [target: string, format: string]> = [
  ['/xml/reply/../x', 'xml'], ['/json/reply/X?format=xml', 'json→xml'], ['/x?Format=CSV&a', 'csv'], ['/x?format=nonsense', 'json'], ['/products/1.html', 'html'], ['/x', 'json'], ['-', 'json']
]
for (const [target, format] of asked) test(`${target} is answered in ${format}`, () => assert.equal(replyFormat(undefined, target), format.replace('json→', '')))

const locations: ReadonlyArray<readonly [location: string, rewritten: string]> = [
  ['http://10.0.0.1:91/base/a?b=%2f#c', 'https://shop.test/a?b=%2f#c'],
  ['HTTP://10.0.0.1:91/base', 'https://shop.test/'],
  ['http://10.0.0.1:91/base?x', 'https://shop.test/?x'],
  ['https://10.0.0.1:91/base/a', 'https://shop.test/a'],
  ['http://10.0.0.1:91/baseline', 'https://shop.test/baseline'],
  ['http://10.0.0.1:92/base/a', 'http://10.0.0.1:92/base/a'],
  ['http://elsewhere.test/base/a', 'http://elsewhere.test/base/a'],
  ['/base//elsewhere.test/a', '/.//elsewhere.test/a'], ['/base/a', '/a'], ['/other', '/other'], ['a/b', 'a/b'], ['//10.0.0.1:91/base/x', 'https://shop.test/x'], ['//elsewhere.test/x', '//elsewhere.test/x'], ['mailto:x', 'mailto:x'],
  ['http://10.0.0.2:92/two/a/%2F?b', 'https://shop.test/a/%2F?b'],
  ['http://10.0.0.2:92/Two', 'https://shop.test/'],
  ['http://10.0.0.2:92/elsewhere', 'https://shop.test/elsewhere'],
  ['http://10.0.0.1:91/three/a', 'https://shop.test/a']
]
/** Other endpoints: one elsewhere, one beside the answering one. */
const endpointAt = (host: string, path: string) => host === '10.0.0.2:92' ? 'http://10.0.0.2:92/two' : host === '10.0.0.1:91' && path.startsWith('/three/') ? 'http://10.0.0.1:91/three' : undefined
const withPrefix: ReadonlyArray<readonly [location: string, to: string, rewritten: string]> = [
  ['/base/n/login?a=/n', '/n', '/old/login?a=/n'], ['/base/n', '/n', '/old'], ['/base/n?x', '/n', '/old?x'], ['/base/nearby', '/n', '/nearby'], ['/n/login', '/n', '/n/login'],
  ['http://10.0.0.1:91/base/n/login', '/n', 'https://shop.test/old/login'], ['http://10.0.0.1:91/base/n', '/n', 'https://shop.test/old'], ['http://10.0.0.1:91/other', '/n', 'https://shop.test/other'],
  ['/base/login', '/', '/old/login'], ['/base', '/', '/old/'], ['/base/?x', '/', '/old/?x'], ['http://10.0.0.1:91/base/login', '/', 'https://shop.test/old/login'],
  ['http://elsewhere.test/base/n', '/n', 'http://elsewhere.test/base/n'], ['next', '/n', 'next']
]
for (const [location, to, rewritten] of withPrefix) {
  test(`Location ${location} behind /old/*, which is sent as ${to}, becomes ${rewritten}`, () => assert.equal(rewriteLocation(location, { endpointUrl: 'http://10.0.0.1:91/base', endpointAt: () => undefined, scheme: 'https', authority: 'shop.test', rewrite: { prefix: '/old', to } }), rewritten))
}
for (const [location, rewritten] of locations) {
  test(`Location ${location} becomes ${rewritten}`, () => assert.equal(rewriteLocation(location, { endpointUrl: 'http://10.0.0.1:91/base', endpointAt, scheme: 'https', authority: 'shop.test' }), rewritten))
}
test('response headers: order and case kept, Via appended, the correlation id once', () => {
  const { headers, hasLength, trailerAt } = replyHeaders({ status: 200, headers: ['ETag', '"a"', 'via', '1.1 inner', 'X-MAC-RequestId', 'theirs', 'Trailer', 'X', 'content-length', '5', 'X-a', '1', 'x-A', '2'] }, { endpointUrl: undefined, endpointAt, scheme: 'http', authority: 'a', correlationHeader: 'x-mac-requestId', correlationId: 'c1', pseudonym: 'postern-1', added: [] })
  assert.deepEqual(headers, ['ETag', '"a"', 'Trailer', 'X', 'content-length', '5', 'X-a', '1', 'x-A', '2', 'Via', '1.1 inner, 1.1 postern-1', 'x-mac-requestId', 'c1'])
  assert.deepEqual([hasLength, trailerAt], [true, 2])
})

test('ids: unguessable, of the right shape, and traceparents are checked', () => {
  const ids = new IdSource()
  const many = new Set(Array.from({ length: 2_000 }, () => ids.traceId()))
  assert.equal(many.size, 2_000)
  for (const id of many) assert.match(id, /^[0-9a-f]{32}$/)
  assert.match(ids.spanId(), /^[0-9a-f]{16}$/)
  assert.deepEqual(parseTraceparent('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00'), { traceId: '0af7651916cd43dd8448eb211c80319c', flags: '00' })
  for (const bad of ['', '00-00000000000000000000000000000000-b7ad6b7169203331-00', '00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00', 'ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00']) assert.equal(parseTraceparent(bad), undefined)
  assert.deepEqual([isCorrelationId('a-1'), isCorrelationId(''), isCorrelationId('a b'), isCorrelationId('x'.repeat(129))], [true, false, false, false])
})
