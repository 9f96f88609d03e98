// Faithful forwarding: what reaches the service and what reaches the client, byte for byte, and what is rightly taken out or put in.
import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { connect as connectHttp2 } from 'node:http2'
import { makeCertificate } from '../support/certificates.ts'
import { startOrigins, type OriginFleet } from '../support/fleet.ts'
import { requestBytes } from '../support/http-client.ts'
import { seen } from '../support/echoed.ts'
import * as behave from '../support/origin.ts'
import { head, write } from '../support/raw-server.ts'
import { until } from '../support/until.ts'

const path = '/json/reply/Echo'
const targetHost = (url: string) => new URL(url).host

describe('forwarding for strangers', { timeout: 300_000 }, () => {
  let fleet: OriginFleet
  before(async () => { fleet = await startOrigins([behave.echo()]) })
  after(async () => { await fleet[Symbol.asyncDispose]() })
  const authority = () => new URL(fleet.gateway.url).host
  const behaving = (behaviour: behave.Behaviour) => { fleet.origin.behave(behaviour) }

  test('hop-by-hop headers stay on their hop, those named in Connection too', async () => {
    behaving(behave.echo())
    const request = seen(await fleet.gateway.get(path, {
      headers: [['Connection', 'keep-alive, X-Secret, Te'], ['Keep-Alive', 'timeout=9'], ['TE', 'trailers'], ['Proxy-Connection', 'keep-alive'], ['Proxy-Authorization', 'Basic x'], ['X-Secret', 'of this hop'], ['X-Kept', 'yes']]
    }))
    for (const name of ['keep-alive', 'te', 'proxy-connection', 'proxy-authorization', 'x-secret']) assert.deepEqual(request.all(name), [], name)
    assert.ok(!/x-secret/i.test(request.one('connection') ?? ''))
    assert.equal(request.one('x-kept'), 'yes')
    behaving(behave.ok('x', { headers: [['Connection', 'X-Hop'], ['Keep-Alive', 'timeout=3'], ['X-Hop', '1'], ['X-End', '2']] }))
    const response = await fleet.gateway.get(path)
    assert.equal(response.header('x-hop'), undefined)
    assert.notEqual(response.header('keep-alive'), 'timeout=3')
    assert.equal(response.header('x-end'), '2')
  })

  test('what strangers say of themselves is not believed', async () => {
    behaving(behave.echo())
    const request = seen(await fleet.gateway.get(path, {
      headers: [['X-Forwarded-For', '203.0.113.9, 198.51.100.1'], ['X-Forwarded-Proto', 'https'], ['X-Forwarded-Host', 'evil.test'], ['X-Forwarded-Port', '444'], ['Forwarded', 'for=203.0.113.9;proto=https'], ['X-Real-IP', '203.0.113.9']]
    }))
    assert.deepEqual(request.all('x-forwarded-for'), ['127.0.0.1'], 'the one resolved client address')
    assert.deepEqual(request.all('x-forwarded-proto'), ['http'])
    assert.deepEqual(request.all('x-forwarded-host'), [authority()])
    assert.ok(!JSON.stringify(request.headers).includes('203.0.113.9'), JSON.stringify(request.headers))
    assert.ok(!JSON.stringify(request.headers).includes('evil.test'))
    assert.match(request.one('forwarded')!, /for="?127\.0\.0\.1/)
  })

  test('Host is the endpoint\'s own; X-Forwarded-Host carries the client\'s', async () => {
    behaving(behave.echo())
    const request = seen(await fleet.gateway.get(path, { headers: [['Host', 'shop.test']] }))
    assert.deepEqual(request.all('host'), [new URL(fleet.origin.url).host])
    assert.deepEqual(request.all('x-forwarded-host'), ['shop.test'])
  })

  test('Via is added, and a request that came through here already twice is refused with 508', async () => {
    behaving(behave.echo())
    const via = seen(await fleet.gateway.get(path)).one('via')!
    assert.match(via, /^1\.1 \S+/)
    assert.equal((await fleet.gateway.get(path, { headers: [['Via', '1.0 somebody, 1.1 else']] })).status, 200)
    const before = fleet.origin.received.length
    const loop = await fleet.gateway.get(path, { headers: [['Via', `${via}, 1.1 other, ${via}`]] })
    assert.equal(loop.status, 508)
    assert.equal(loop.reason, 'LoopDetected')
    assert.equal(loop.json().responseStatus.errorCode, 'LoopDetected')
    assert.equal(fleet.origin.received.length, before)
  })

  test('correlation and trace ids are made here, forwarded, echoed and logged; strangers\' are not believed', async () => {
    behaving(behave.echo())
    const response = await fleet.gateway.get(path, { headers: [['x-mac-requestId', 'mine'], ['traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01']] })
    const request = seen(response)
    const id = request.one('x-mac-requestid')!
    assert.ok(id.length > 8 && id !== 'mine')
    assert.equal(request.all('x-mac-requestid').length, 1)
    assert.deepEqual(response.all('x-mac-requestid'), [id])
    const trace = request.one('traceparent')!
    assert.match(trace, /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/)
    assert.ok(!trace.includes('0af7651916cd43dd8448eb211c80319c'))
    const line = await until('the log line', async () => (await fleet.gateway.log()).find(line => JSON.stringify(line).includes(id)))
    assert.ok(JSON.stringify(line).includes(trace.split('-')[1]!), 'the log line has the trace id')
    const refused = await fleet.gateway.get('/json/reply/NoSuchMessage')
    assert.ok(refused.header('x-mac-requestid'), 'local replies carry the id too')
  })

  test('Location and Content-Location that point at an upstream point at the gateway, others stay', async () => {
    const locations: Array<[string, string]> = [
      [`${fleet.origin.url}/things/1?x=%2f#y`, `http://${authority()}/things/1?x=%2f#y`],
      ['https://elsewhere.test/a', 'https://elsewhere.test/a'],
      ['/relative/b', '/relative/b'],
      [`${fleet.origin.url}.evil.test/c`, `${fleet.origin.url}.evil.test/c`]
    ]
    for (const [sent, wanted] of locations) {
      behaving(behave.ok('', { status: 201, reason: 'Created', headers: [['Location', sent], ['Content-Location', sent]] }))
      const response = await fleet.gateway.get(path)
      assert.equal(response.header('location'), wanted)
      assert.equal(response.header('content-location'), wanted)
    }
  })

  test('so do those that name another endpoint, of this upstream or of another', async () => {
    await using other = await startOrigins([behave.ok(), behave.ok()], { upstreams: { Beside: { endpoints: ['http://127.0.0.1:9/api/v2', 'http://127.0.0.1:9/api'] } } } as never)
    const [one, two] = other.origins
    const host = targetHost(other.gateway.url)
    for (const [sent, wanted] of ([
      [`${one!.url}/things/1`, '/things/1'],
      [`${two!.url}/things/1?x=%2f`, '/things/1?x=%2f'],
      ['http://127.0.0.1:9/api/v2/things', '/things'],
      ['http://127.0.0.1:9/api/things', '/things'],
      [`//${targetHost(two!.url)}/x`, '/x']
    ] as Array<[string, string]>)) {
      for (const origin of [one!, two!]) origin.behave(behave.ok('', { status: 302, reason: 'Found', headers: [['Location', sent]] }))
      assert.equal((await other.gateway.get('/json/reply/Echo')).header('location'), `http://${host}${wanted}`, sent)
    }
    for (const origin of [one!, two!]) origin.behave(behave.ok('', { status: 302, reason: 'Found', headers: [['Location', 'http://127.0.0.1:10/x']] }))
    assert.equal((await other.gateway.get('/json/reply/Echo')).header('location'), 'http://127.0.0.1:10/x')
  })

  test('status, reason phrase, header order and letter case, and every cookie stay', async () => {
    behaving(behave.ok('{}', { status: 404, reason: 'NotFound', headers: [['X-B', '1'], ['Set-Cookie', 'a=1; expires=Wed, 01 Jan 2031 00:00:00 GMT'], ['x-a', 'two, three'], ['set-cookie', 'b=2'], ['ETAG', '"e"'], ['X-B', '4']] }))
    const response = await fleet.gateway.get(path, { headers: [['Cookie', 'ss-id=x; 01 Jan 2031 00:00:00 GMT=null; =;;']] })
    assert.equal(response.statusLine, 'HTTP/1.1 404 NotFound')
    const own = new Set(['x-b', 'set-cookie', 'x-a', 'etag'])
    assert.deepEqual(response.headers.filter(([name]) => own.has(name.toLowerCase())), [
      ['X-B', '1'], ['Set-Cookie', 'a=1; expires=Wed, 01 Jan 2031 00:00:00 GMT'], ['x-a', 'two, three'], ['set-cookie', 'b=2'], ['ETAG', '"e"'], ['X-B', '4']
    ])
    assert.equal(fleet.origin.received.at(-1)!.header('cookie'), 'ss-id=x; 01 Jan 2031 00:00:00 GMT=null; =;;')
  })

  test('request headers keep order, letter case and repetition; path and query go up byte for byte', async () => {
    behaving(behave.echo())
    const target = `${path}?a=%7B%22x%22:1%7D&b=a+b&c=%C3%BC&&d&=e`
    const request = seen(await fleet.gateway.get(target, { headers: [['X-One', '1'], ['accept', 'a'], ['X-ONE', '2'], ['Accept', 'b']] }))
    assert.equal(request.target, target)
    assert.deepEqual(request.headers.filter(([name]) => /^(x-one|accept)$/i.test(name)), [['X-One', '1'], ['accept', 'a'], ['X-ONE', '2'], ['Accept', 'b']])
  })

  test('HEAD, 204 and 304 have no body and leave the connection usable', async () => {
    behaving(async request => {
      await request.body()
      const status = Number(new URLSearchParams(request.target.split('?')[1]).get('s'))
      await write(request.socket, head(status, 'R', [['ETag', '"x"'], ...status === 200 ? [['Content-Length', '1234'] as const] : []]))
    })
    using connection = await fleet.gateway.connect()
    for (const [method, status] of [['HEAD', 200], ['GET', 204], ['GET', 304], ['HEAD', 304]] as const) {
      connection.send(requestBytes('x', `${path}?s=${status}`, { method, headers: status === 304 ? [['If-None-Match', '"x"']] : [] }))
      const response = await connection.response(method)
      assert.equal(response.status, status)
      assert.equal(response.header('etag'), '"x"')
      assert.equal(response.header('transfer-encoding'), undefined)
      if (status === 200) assert.equal(response.header('content-length'), '1234')
    }
    behaving(behave.ok('after'))
    connection.send(requestBytes('x', path))
    assert.equal((await connection.response()).text(), 'after')
  })

  const contentless: ReadonlyArray<readonly [what: string, bytes: string, status: number, length: string | undefined]> = [
    ['204 with a length', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nX-End: 1\r\n\r\n', 204, undefined],
    ['204 with a length of nothing', 'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nX-End: 1\r\n\r\n', 204, undefined],
    ['204 with the body that it announces', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nX-End: 1\r\n\r\nwhole', 204, undefined],
    ['205 with a body', 'HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\nX-End: 1\r\n\r\nwhole', 205, '0'],
    ['205 with a body in chunks', 'HTTP/1.1 205 Reset Content\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nX-End: 1\r\n\r\n5\r\nwhole\r\n0\r\nX-Sum: 5\r\n\r\n', 205, '0'],
    ['205 without one', 'HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\nX-End: 1\r\n\r\n', 205, '0']
  ]
  for (const [what, bytes, status, length] of contentless) {
    test(`${what}: its client gets no content, and the next answer is the next`, async () => {
      behaving(behave.raw(bytes))
      using connection = await fleet.gateway.connect()
      connection.send(requestBytes('x', path))
      const response = await connection.response()
      assert.deepEqual([response.status, response.header('content-length'), response.header('transfer-encoding'), response.header('trailer'), response.header('x-end'), response.text()], [status, length, undefined, undefined, '1', ''])
      behaving(behave.ok('after'))
      connection.send(requestBytes('x', path))
      assert.equal((await connection.response()).text(), 'after')
    })
  }

  test('a 1xx answer has no length either', async () => {
    behaving(behave.raw('HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole'))
    const { informational, text } = await fleet.gateway.get(path)
    assert.deepEqual([informational.map(({ headers }) => headers), text()], [[[['Link', '</a>']]], 'whole'])
  })

  test('1xx answers and trailers pass', async () => {
    behaving(behave.informational())
    const response = await fleet.gateway.get(path, { headers: [['TE', 'trailers'], ['Connection', 'TE']] })
    assert.deepEqual(response.informational.map(({ status, headers }) => [status, headers.find(([name]) => name.toLowerCase() === 'link')?.[1]]), [[103, '</style.css>; rel=preload']])
    assert.equal(response.text(), 'with trailers')
    assert.deepEqual(response.trailers.map(([name, value]) => [name.toLowerCase(), value]), [['x-checksum', 'abc']])
  })

  test('DELETE with a JSON content type and no body is accepted', async () => {
    behaving(behave.echo())
    const request = seen(await fleet.gateway.request(`${path}?Id=1`, { method: 'DELETE', headers: [['Content-Type', 'application/json']] }))
    assert.equal(request.method, 'DELETE')
    assert.equal(request.one('content-type'), 'application/json')
    assert.equal(request.body, '')
    assert.equal(request.chunked, false)
  })

  test('every method passes but CONNECT and TRACE', async () => {
    behaving(behave.echo())
    for (const method of ['PROPFIND', 'QUERY', 'OPTIONS', 'PATCH', 'PURGE', 'M-SEARCH']) {
      assert.equal(seen(await fleet.gateway.request(path, { method })).method, method)
    }
    const trace = await fleet.gateway.request(path, { method: 'TRACE' })
    assert.equal(trace.status, 405)
    assert.ok(trace.header('allow'))
    assert.equal(trace.json().responseStatus.errorCode, 'MethodNotAllowed')
  })

  test('method overrides, session headers and debug keys of strangers are removed, and nothing else', async () => {
    behaving(behave.echo())
    const body = 'a=1&X-HTTP-Method-Override=DELETE&b=%26&authsecret=z&debug=1'
    const request = seen(await fleet.gateway.request(`${path}?x=1&X-Http-Method-Override=PUT&y=%20&debug=true&simulate=1&AuthSecret=q&z=a+b&debugger=1`, {
      method: 'POST',
      headers: [['X-HTTP-Method-Override', 'GET'], ['X-ss-id', 's'], ['x-SS-pid', 'p'], ['X-ss-opt', 'perm'], ['authsecret', 'k'], ['X-ss-idle', 'stays'], ['X-Param-Override-AuthSecret', 'k'], ['Cookie', 'a=1; authsecret=k; ss-id=2'], ['Content-Type', 'application/x-www-form-urlencoded']],
      body
    }))
    assert.equal(request.target, `${path}?x=1&y=%20&z=a+b&debugger=1`)
    for (const name of ['x-http-method-override', 'x-ss-id', 'x-ss-pid', 'x-ss-opt', 'authsecret', 'x-param-override-authsecret']) assert.deepEqual(request.all(name), [], name)
    assert.deepEqual(request.all('cookie'), ['a=1; ss-id=2'])
    assert.equal(request.one('x-ss-idle'), 'stays')
    assert.equal(request.body, 'a=1&b=%26')
    assert.deepEqual(request.all('content-length'), ['9'])
    const escaped = seen(await fleet.gateway.get(`${path}?a=1&X-HTTP-Method%2DOverride=PUT&%64ebug=1`))
    assert.equal(escaped.target, `${path}?a=1`, 'escaped keys are the same keys')
  })
})

describe('forwarding behind a trusted proxy, to a base path', { timeout: 300_000 }, () => {
  let fleet: OriginFleet
  before(async () => { fleet = await startOrigins([behave.echo()], { edge: { trustedProxies: ['127.0.0.1', '10.0.0.0/8'] } }, { basePath: '/sub/api' }) })
  after(async () => { await fleet[Symbol.asyncDispose]() })

  test('its word is believed: client address, scheme, host, correlation and trace id', async () => {
    const response = await fleet.gateway.get(path, {
      headers: [['X-Forwarded-For', '6.6.6.6, 203.0.113.9, 10.1.1.1'], ['X-Forwarded-Proto', 'https'], ['X-Forwarded-Host', 'api.shop.test'], ['x-mac-requestId', 'abc-1'], ['traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01']]
    })
    const request = seen(response)
    assert.deepEqual(request.all('x-forwarded-for'), ['203.0.113.9'], 'the last address that is no proxy of ours')
    assert.deepEqual(request.all('x-forwarded-proto'), ['https'])
    assert.deepEqual(request.all('x-forwarded-host'), ['api.shop.test'])
    assert.match(request.one('forwarded')!, /203\.0\.113\.9/)
    assert.deepEqual(request.all('x-mac-requestid'), ['abc-1'])
    assert.deepEqual(response.all('x-mac-requestid'), ['abc-1'])
    assert.match(request.one('traceparent')!, /^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/)
  })

  for (const [what, headers] of [
    ['in Forwarded alone', [['Forwarded', 'for=203.0.113.9;proto=https;host=api.shop.test']]],
    ['in lists and capital letters', [['X-Forwarded-For', '203.0.113.9'], ['X-Forwarded-Proto', 'HTTPS, http'], ['X-Forwarded-Host', 'api.shop.test, inner.test']]]
  ] as const) {
    test(`${what} too`, async () => {
      fleet.origin.behave(behave.echo())
      const request = seen(await fleet.gateway.get(path, { headers }))
      assert.deepEqual(['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host'].map(name => request.all(name)), [['203.0.113.9'], ['https'], ['api.shop.test']])
    })
  }

  test('what clients may not send comes through no proxy either, and no other address of theirs', async () => {
    fleet.origin.behave(behave.echo())
    const form = 'a=1&X-HTTP-Method-Override=DELETE&authsecret=z'
    const request = seen(await fleet.gateway.request(`${path}?authsecret=z&debug=1&X-ss-id=q&x=1&X-HTTP-Method-Override=PUT`, {
      method: 'POST',
      headers: [['X-Forwarded-For', '203.0.113.9'], ['X-Real-IP', '6.6.6.6'], ['X-ss-id', 's'], ['authsecret', 'k'], ['X-HTTP-Method-Override', 'DELETE'], ['Cookie', 'authsecret=k; a=1'], ['Content-Type', 'application/x-www-form-urlencoded']],
      body: form
    }))
    assert.deepEqual([request.target, request.body], [`/sub/api${path}?x=1`, 'a=1'])
    for (const name of ['x-ss-id', 'authsecret', 'x-http-method-override']) assert.deepEqual(request.all(name), [], name)
    assert.deepEqual([request.all('cookie'), request.all('x-real-ip')], [['a=1'], ['203.0.113.9']])
    assert.deepEqual(seen(await fleet.gateway.get(path)).all('x-real-ip'), [], 'not where no proxy says it')
  })

  test('the base path is put before the path and taken out of Location', async () => {
    fleet.origin.behave(behave.echo())
    assert.equal(seen(await fleet.gateway.get(`${path}?a=1`)).target, `/sub/api${path}?a=1`)
    fleet.origin.behave(behave.ok('', { status: 302, reason: 'Found', headers: [['Location', `${fleet.origin.url}/sub/api/x/1`]] }))
    const response = await fleet.gateway.get(path, { headers: [['X-Forwarded-Proto', 'https'], ['X-Forwarded-Host', 'api.shop.test']] })
    assert.equal(response.header('location'), 'https://api.shop.test/x/1')
  })
})

describe('an edge that refuses instead of removing', { timeout: 300_000 }, () => {
  for (const trustedProxies of [[], ['127.0.0.1']]) {
    test(`what it does not want is answered with 400 and never sent, from ${trustedProxies.length === 0 ? 'strangers' : 'trusted proxies'}`, async () => {
      await using fleet = await startOrigins([behave.echo()], { edge: { trustedProxies, methodOverride: 'refuse', sessionHeaders: 'refuse', debugKeys: 'refuse' } })
      const refused = [
        await fleet.gateway.get(path, { headers: [['X-HTTP-Method-Override', 'DELETE']] }),
        await fleet.gateway.get(`${path}?x-http-method-override=DELETE`),
        await fleet.gateway.get(path, { headers: [['X-ss-id', 'a']] }),
        await fleet.gateway.get(`${path}?authsecret=1`),
        await fleet.gateway.post(path, 'X-HTTP-Method-Override=GET', { headers: [['Content-Type', 'application/x-www-form-urlencoded']] })
      ]
      for (const response of refused) {
        assert.equal(response.status, 400)
        assert.equal(response.json().responseStatus.errorCode, 'FieldNotAllowed')
      }
      assert.equal(fleet.origin.received.length, 0)
    })
  }
})

test('two Content-Type headers are refused: the service might read a form that nobody has looked at', { timeout: 300_000 }, async () => {
  await using fleet = await startOrigins([behave.echo()])
  const types = ['application/x-www-form-urlencoded', 'text/plain']
  for (const order of [types, types.toReversed()]) {
    const answer = await fleet.gateway.post(path, 'a=1&X-HTTP-Method-Override=DELETE', { headers: order.map(type => ['Content-Type', type]) })
    assert.equal(answer.status, 400)
    assert.equal(answer.json().responseStatus.errorCode, 'BadRequest')
  }
  assert.equal(fleet.origin.received.length, 0)
})

test('a reason phrase of any bytes, and a status of none, take no answer away from the client', { timeout: 300_000 }, async () => {
  await using fleet = await startOrigins([behave.ok()])
  const answering = async (bytes: string) => {
    fleet.origin.behave(behave.raw(bytes, { close: true }))
    const response = await fleet.gateway.post(path, '{}')
    return [response.statusLine, response.text()]
  }
  assert.deepEqual(await answering('HTTP/1.1 404 Ungültig\r\nContent-Length: 2\r\n\r\nok'), [Buffer.from('HTTP/1.1 404 Ungültig').toString('latin1'), 'ok'])
  assert.deepEqual(await answering('HTTP/1.1 404 a\u0001b\r\nContent-Length: 2\r\n\r\nok'), ['HTTP/1.1 404 a b', 'ok'])
  const [statusLine] = await answering('HTTP/1.1 99 Odd\r\nContent-Length: 2\r\n\r\nok')
  assert.equal(statusLine, 'HTTP/1.1 502 BadAnswer')
})

test('an answer that HTTP/2 does not allow is BadAnswer, and logged with its endpoint', { timeout: 300_000 }, async t => {
  const certificate = await makeCertificate(['localhost'])
  t.after(() => certificate.remove())
  await using fleet = await startOrigins([behave.ok('{}', { headers: [['ETag', '"a"'], ['ETag', '"b"']] })], { listener: { tls: { certificates: [{ certFile: certificate.certFile, keyFile: certificate.keyFile }] } } as never })
  const session = connectHttp2(fleet.gateway.url.replace('127.0.0.1', 'localhost'), { ca: certificate.pem })
  try {
    const answer = await new Promise<{ status: number, text: string }>((resolve, reject) => {
      const stream = session.request({ ':path': path })
      let text = ''
      let status = 0
      stream.on('response', headers => { status = Number(headers[':status']) })
      stream.on('data', chunk => { text += String(chunk) })
      stream.on('end', () => { resolve({ status, text }) })
      stream.on('error', reject)
      stream.end()
    })
    assert.deepEqual([answer.status, (JSON.parse(answer.text) as { responseStatus: { errorCode: string } }).responseStatus.errorCode], [502, 'BadAnswer'])
    await until('the log', async () => (await fleet.gateway.log()).some(({ msg, endpoint }) => String(msg).startsWith('an answer of a service cannot be written') && endpoint === fleet.origin.url))
  } finally {
    session.close()
  }
})
