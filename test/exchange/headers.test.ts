// The client's headers as an endpoint gets them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../src/exchange/errors.ts'
import { addForwarding, type Forwarding } from '../../src/exchange/forwarded.ts'
import { cookieValue, HeaderReader, headerValue, type HeaderRules } from '../../src/exchange/headers.ts'

const rules: HeaderRules = { methodOverride: 'remove', sessionHeaders: 'remove', debugKeys: 'remove', correlationHeader: 'x-mac-requestId', timeoutHeader: 'X-Request-Timeout-Ms', pseudonym: 'postern-1' }
const read = (raw: string[], { trusted = false, ...changed }: Partial<HeaderRules> & { trusted?: boolean } = {}) => new HeaderReader({ ...rules, ...changed }).read(raw, trusted)
const codeOf = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    return error instanceof GatewayError ? error.code : String(error)
  }
  return 'none'
}

test('end-to-end headers keep order, letter case and repetition', () => {
  const headers = ['ACCEPT', '*/*', 'Cookie', 'a=1', 'X-Many', '1', 'x-many', '2', 'Authorization', 'Bearer x', 'User-Agent', 'ä', 'X-Api-Key', 'k', 'If-None-Match', '"a"']
  assert.deepEqual(read([...headers]).headers, headers)
})

test('hop-by-hop headers go, those that Connection names too, but not what is put in afterwards', () => {
  const head = read(['Connection', 'keep-alive, X-Mine', 'connection', 'x-forwarded-for', 'X-Mine', '1', 'Keep-Alive', 'timeout=5', 'Proxy-Connection', 'x', 'TE', 'trailers', 'Trailer', 'X', 'Transfer-Encoding', 'chunked', 'Upgrade', 'h2c', 'HTTP2-Settings', 'x', 'Expect', '100-continue', 'Content-Length', '5', 'Host', 'a', 'X-Stays', '1'])
  assert.deepEqual(head.headers, ['X-Stays', '1'])
  addForwarding(head, forwarding, rules)
  assert.ok(head.headers.includes('X-Forwarded-For'))
})

test('a cookie in pieces becomes one line', () => {
  assert.deepEqual(read(['cookie', 'a=1', 'accept', '*/*', 'cookie', 'b=2']).headers, ['cookie', 'a=1; b=2', 'accept', '*/*'])
})

const cookies: ReadonlyArray<readonly [sent: string, kept: string]> = [
  ['a=1; authsecret=z; b=2', 'a=1; b=2'], ['AuthSecret=z', ''], ['debug; a=1', 'a=1'], ['a=1,simulate=2', 'a=1'], ['auth%73ecret=z;a=%20b=', 'a=%20b='], [' debug =1; a', 'a'],
  ['ss-id=1; debugger=1; a=debug', 'ss-id=1; debugger=1; a=debug'], ['a=1; b=%3D%3d; c', 'a=1; b=%3D%3d; c']
]
for (const [sent, kept] of cookies) {
  test(`of a Cookie, whoever passes it on: ${sent} ${kept === '' ? 'nothing' : kept} is left`, () => {
    for (const trusted of [false, true]) assert.deepEqual(read(['cookie', sent], { trusted }).headers, kept === '' ? [] : ['cookie', kept])
    assert.deepEqual(read(['cookie', sent], { debugKeys: 'allow' }).headers, ['cookie', sent])
    assert.equal(codeOf(() => read(['cookie', sent], { debugKeys: 'refuse' })), kept === sent ? 'none' : 'FieldNotAllowed')
  })
}

test('an X-Param-Override of what is no secret passes', () => {
  assert.deepEqual(read(['X-Param-Override-Id', '1']).headers, ['X-Param-Override-Id', '1'])
})

test('pseudo headers of HTTP/2 are no headers', () => {
  assert.deepEqual(read([':method', 'GET', ':path', '/', ':authority', 'a', ':scheme', 'https', 'x', '1']).headers, ['x', '1'])
})

const obeyed = ['X-HTTP-Method-Override', 'x-ss-id', 'X-ss-pid', 'X-SS-Opt', 'AuthSecret', 'debug', 'Simulate', 'X-Param-Override-AuthSecret', 'x-param-override-debug', 'X-Param-Override-ss-id', 'X-Param-Override-X-ss-pid']
for (const name of obeyed) {
  test(`${name}: removed, refused or allowed as the operator says, whoever passes it on`, () => {
    const all = (treat: 'remove' | 'refuse' | 'allow') => ({ methodOverride: treat, sessionHeaders: treat, debugKeys: treat })
    for (const trusted of [false, true]) {
      assert.deepEqual(read([name, 'x'], { trusted }).headers, [])
      assert.equal(codeOf(() => read([name, 'x'], { ...all('refuse'), trusted })), 'FieldNotAllowed')
      assert.deepEqual(read([name, 'x'], { ...all('allow'), trusted }).headers, [name, 'x'])
    }
  })
}

test('what a stranger says of the way here is not believed, nor passed on', () => {
  const head = read(['X-Forwarded-For', '1.2.3.4', 'X-Forwarded-Proto', 'https', 'X-Forwarded-Host', 'h', 'X-Forwarded-Prefix', '/x', 'X-Real-IP', '1.2.3.4', 'Forwarded', 'for=1.2.3.4', 'x-mac-requestid', 'mine', 'traceparent', 't', 'tracestate', 's'])
  assert.deepEqual(head.headers, [])
  for (const value of [head.forwardedFor, head.forwardedProto, head.forwardedHost, head.forwarded, head.correlationId, head.traceparent, head.tracestate]) assert.equal(value, undefined)
})

const forwarding: Forwarding = { clientAddress: '203.0.113.9', peer: '10.0.0.1', scheme: 'https', authority: 'shop.test', receivedScheme: 'http', httpVersion: '1.1', correlationId: 'c1', traceparent: 't1' }
const forwarded = (raw: string[], trusted: boolean, changed: Partial<Forwarding> = {}) => {
  const head = read(raw, { trusted })
  addForwarding(head, { ...forwarding, ...changed }, rules)
  return Object.fromEntries(Array.from({ length: head.headers.length / 2 }, (_, i) => [head.headers[i * 2]!, head.headers[i * 2 + 1]!]))
}

test('the way of a request: one address in X-Forwarded-For, the chain in Forwarded, ids, Via', () => {
  assert.deepEqual(forwarded([], false), {
    'X-Forwarded-For': '203.0.113.9',
    'X-Forwarded-Proto': 'https',
    'X-Forwarded-Host': 'shop.test',
    Forwarded: 'for=10.0.0.1;host="shop.test";proto=https',
    Via: '1.1 postern-1',
    'x-mac-requestId': 'c1',
    traceparent: 't1'
  })
  assert.equal(forwarded(['Forwarded', 'for=1.2.3.4'], true)['Forwarded'], 'for=1.2.3.4;host="shop.test";proto=https, for=10.0.0.1;proto=http')
  assert.equal(forwarded(['Forwarded', 'host=evil.test, for="1.2.3.4:80";by=x;proto=evil;host="evil,\\"test", FOR=_a;x=y'], true)['Forwarded'], 'for=unknown;host="shop.test";proto=https, for="1.2.3.4:80", for=_a, for=10.0.0.1;proto=http', 'of what others said only whom it came by')
  assert.equal(forwarded(['Forwarded', 'host=evil.test;for="1.2.3.4'], true)['Forwarded'], 'for=10.0.0.1;host="shop.test";proto=https', 'nothing where a quotation is left open')
  assert.equal(forwarded(['X-Forwarded-For', '1.2.3.4, 2001:db8::1'], true, { authority: '' })['Forwarded'], 'for=1.2.3.4;proto=https, for="[2001:db8::1]", for=10.0.0.1;proto=http')
  assert.equal(forwarded(['X-Forwarded-For', 'a"b;proto=https\\, 1.2.3.4'], true, { authority: '' })['Forwarded'], 'for="ab;proto=https";proto=https, for=1.2.3.4, for=10.0.0.1;proto=http', 'what a stranger wrote before the proxy opens no quotation')
  assert.equal(forwarded([], false, { peer: '2001:db8::2', authority: '' })['Forwarded'], 'for="[2001:db8::2]";proto=https')
  assert.equal(forwarded(['X-Real-IP', '6.6.6.6'], true)['X-Real-IP'], '203.0.113.9', 'no other address than the one that is resolved')
  assert.equal(forwarded(['Via', '1.0 a', 'Via', '1.1 b'], false)['Via'], '1.0 a, 1.1 b, 1.1 postern-1')
})

test('the own name once in Via is a neighbour that calls back; twice is a loop', () => {
  assert.equal(codeOf(() => read(['Via', '1.1 postern-1'])), 'none')
  assert.equal(codeOf(() => read(['Via', '1.1 postern-1, 1.1 x', 'Via', '1.1 postern-1'])), 'LoopDetected')
})

test('two Host headers are refused', () => assert.equal(codeOf(() => read(['Host', 'a', 'host', 'a'])), 'BadRequest'))
test('two Content-Type headers too, from whomever', () => {
  for (const trusted of [false, true]) assert.equal(codeOf(() => read(['Content-Type', 'application/x-www-form-urlencoded', 'content-type', 'text/plain'], { trusted })), 'BadRequest')
})

test('values of headers and cookies are found in a flat list', () => {
  const headers = ['X-Other', 'x-canary', 'X-Canary', '1', 'x-canary', '2', 'Cookie', 'a=1; ss-id=abc=; SS-ID=other;b']
  assert.equal(headerValue(headers, 'x-canary'), '1')
  assert.equal(headerValue(headers, 'x-none'), undefined)
  assert.equal(cookieValue(headers, 'ss-id'), 'abc=')
  assert.equal(cookieValue(headers, 'a'), '1')
  assert.equal(cookieValue(headers, 'b'), undefined)
  assert.equal(cookieValue([], 'a'), undefined)
})
