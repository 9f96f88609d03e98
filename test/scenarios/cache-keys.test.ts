// What tells one stored answer from another, and what does not: query keys, bodies, headers nobody named, codings.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { startFleet } from '../support/fleet.ts'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import { head, write, type HeaderList, type RawRequest } from '../support/raw-server.ts'
import { startOrigin, type Origin } from '../support/origin.ts'

/** Answers with a new number each time, to be kept for a minute, and with what `says` makes of the request. */
async function startNumbers (says: (request: RawRequest) => { body?: string, headers?: HeaderList } = () => ({})): Promise<Origin> {
  let number = 0
  return await startOrigin(async request => {
    await request.body()
    const { body = '', headers = [] } = says(request)
    const text = `${++number} ${body}`
    await write(request.socket, head(200, 'OK', [['Cache-Control', 'max-age=60'], ...headers, ['Content-Length', String(text.length)]]))
    if (request.method !== 'HEAD') await write(request.socket, text)
  })
}

async function startWith (origin: Origin, cache: object, effect: 'auto' | 'safe' = 'auto'): Promise<TestGateway> {
  const gateway = await startGateway({ upstreams: { Shop: { endpoints: [origin.url] } }, messages: { Search: { upstream: 'Shop', policy: { effect, cache: cache as never } } } })
  await gateway.waitForEndpoint(origin.url)
  return gateway
}
const isHit = ({ header }: { header: (name: string) => string | undefined }) => /; hit;/.test(header('cache-status') ?? '')
const json: HeaderList = [['Content-Type', 'application/json']]

describe('what tells one answer from another', { timeout: 300_000 }, () => {
  test('query keys that are ignored do not, in any letter case; nor do they hide an answer from a write', async () => {
    await using origin = await startNumbers()
    await using gateway = await startWith(origin, { key: { ignoreQuery: ['utm_*', 'fbclid'] } })
    const text = async (query: string) => (await gateway.get(`/json/reply/Search?${query}`)).text()
    const first = await text('Id=1&utm_source=a')
    for (const same of ['Id=1', 'utm_source=b&Id=1', 'Id=1&UTM_Campaign=c&fbclid=d']) assert.equal(await text(same), first, same)
    for (const other of ['Id=2', 'Id=1&page=2', 'Id=1&utm_source=a;Id=2', 'Id=1&_utm_source=a']) assert.notEqual(await text(other), first, other)
    assert.match(origin.received[0]!.target, /utm_source=a/, 'the origin is told all the same')
    assert.equal((await gateway.post('/json/reply/Search?Id=1&utm_source=z', {})).status, 200)
    assert.notEqual(await text('Id=1&utm_source=a'), first)
  })

  test('the bodies of POST and QUERY do, but for space between the parts of JSON and the order of members, where the message is said to be safe', async () => {
    await using origin = await startNumbers()
    await using gateway = await startWith(origin, { methods: ['POST', 'QUERY'] }, 'safe')
    for (const method of ['POST', 'QUERY']) {
      const text = async (body: string, headers = json) => (await gateway.request('/json/reply/Search', { method, body, headers })).text()
      const first = await text('{"Id":1,"Text":"a b"}')
      assert.equal(await text('{"Id":1,"Text":"a b"}'), first)
      assert.equal(await text('{ "Id": 1,\n\t"Text": "a b" }'), first)
      assert.equal(await text('{"Text":"a b", "Id":1}'), first)
      for (const other of ['{"Id":1,"Text":"ab"}', '{"Id":2,"Text":"a b"}', '{"Id":1,"Id":1,"Text":"a b"}', '{"Id":1.0,"Text":"a b"}']) assert.notEqual(await text(other), first, other)
      assert.notEqual(await text('{"Id":1,"Text":"a b"}', [['Content-Type', 'text/plain']]), first, 'another content type is another request')
    }
    assert.notEqual((await gateway.request('/json/reply/Search', { method: 'QUERY', body: '{}', headers: json })).text(), (await gateway.request('/json/reply/Search', { method: 'POST', body: '{}', headers: json })).text())
    // A GET of the same message is another thing.
    assert.ok(!isHit(await gateway.get('/json/reply/Search')))
  })

  test('the body of a POST does not, where nobody said that the message is safe: nothing is stored', async () => {
    await using origin = await startNumbers()
    await using gateway = await startWith(origin, { methods: ['POST'] })
    const answers = [await gateway.post('/json/reply/Search', '{}'), await gateway.post('/json/reply/Search', '{}')]
    assert.ok(answers.every(answer => !isHit(answer)))
    assert.equal(origin.received.length, 2)
  })

  test('nobody shapes what others get: neither by a body of a GET, nor by a header that no answer names', async () => {
    const shaping = ['X-Forwarded-Scheme', 'X-Original-URL', 'X-Host', 'X-Forwarded-Server', 'X-Tenant', 'Origin', 'From', 'Idempotency-Key']
    await using origin = await startNumbers(({ header }) => ({ body: shaping.map(name => header(name.toLowerCase()) ?? '').join('') }))
    await using gateway = await startWith(origin, {})
    const evil = 'http://evil.test'
    for (const [at, name] of shaping.entries()) {
      const path = `/json/reply/Search?Id=${at}`
      await gateway.get(path, { headers: [[name, evil]] })
      assert.doesNotMatch((await gateway.get(path)).text(), /evil/, name)
      assert.ok(isHit(await gateway.get(path)), name)
    }
    const path = '/json/reply/Search?Id=100'
    const shaped = await gateway.request(path, { method: 'GET', body: '{"Id":666}', headers: json })
    const plain = await gateway.get(path)
    assert.notEqual(plain.text(), shaped.text())
    assert.equal((await gateway.get(path)).text(), plain.text())
    assert.notEqual((await gateway.request(path, { method: 'GET', body: '{"Id":7}', headers: json })).text(), plain.text())
  })

  test('what CDNs and balancers write does not, from a trusted proxy; from a stranger it does', async () => {
    await using origin = await startNumbers()
    const config = { upstreams: { Shop: { endpoints: [origin.url] } }, messages: { Search: { upstream: 'Shop' } } }
    await using behind = await startGateway({ ...config, edge: { trustedProxies: ['127.0.0.1'] } } as PartialConfig)
    await using open = await startGateway(config as PartialConfig)
    for (const gateway of [behind, open]) await gateway.waitForEndpoint(origin.url)
    const edge = (at: number): HeaderList => [['CF-Ray', `ray${at}`], ['CF-Connecting-IP', `192.0.2.${at}`], ['X-Forwarded-Port', '443'], ['X-Amz-Cf-Id', `id${at}`], ['X-Azure-Ref', `ref${at}`]]
    const answers = async (gateway: TestGateway) => [await gateway.get('/json/reply/Search', { headers: edge(1) }), await gateway.get('/json/reply/Search', { headers: edge(2) })]
    assert.deepEqual((await answers(behind)).map(isHit), [false, true])
    assert.deepEqual((await answers(open)).map(isHit), [false, false])
  })

  test('what a trusted proxy says of the caller, of the connection or of the country does: none gets the answer of another', async () => {
    await using origin = await startNumbers()
    await using gateway = await startGateway({ edge: { trustedProxies: ['127.0.0.1'] }, upstreams: { Shop: { endpoints: [origin.url] } }, messages: { Search: { upstream: 'Shop' } }, prefixes: { '/shop/*': { upstream: 'Shop' } } } as PartialConfig)
    await gateway.waitForEndpoint(origin.url)
    const names = [
      'X-Amzn-Oidc-Identity', 'X-Amzn-Oidc-Data', 'X-Amzn-Mtls-Clientcert-Subject', 'Cf-Access-Authenticated-User-Email', 'Cf-Access-Jwt-Assertion', 'X-Arr-Clientcert', 'X-Ms-Client-Principal-Id', 'X-Forwarded-Client-Cert', 'X-Forwarded-User',
      'X-Forwarded-Email', 'X-Forwarded-Access-Token', 'X-Auth-Request-User', 'X-SSL-Client-S-DN', 'CF-IPCountry', 'CloudFront-Viewer-Country', 'X-Forwarded-Scheme', 'X-Forwarded-Ssl', 'X-Forwarded-Port', 'Front-End-Https'
    ]
    for (const base of ['/json/reply/Search', '/shop/search']) {
      for (const [at, name] of names.entries()) {
        const path = `${base}?Id=${at}`
        const ann = await gateway.get(path, { headers: [[name, 'ann']] })
        const bob = await gateway.get(path, { headers: [[name, 'bob']] })
        assert.deepEqual([isHit(bob), bob.text() === ann.text()], [false, false], `${name}, ${base}`)
      }
    }
  })

  test('on RESTful paths a Content-Type does, by which hosts choose the format of an answer to */*', async () => {
    const handler = ({ request }: { request: RawRequest }) => ({ headers: [['Cache-Control', 'max-age=60']] as HeaderList, body: JSON.stringify(request.header('content-type') ?? 'none') })
    await using fleet = await startFleet([{ service: 'Shop', replay: false, messages: { GetOrder: { actions: ['GET'], marker: 'IGet', serviceName: 'ShopServices', routes: ['/orders/{Id}'], handler } } }], { upstreams: { Shop: { customRoutes: true } } } as PartialConfig)
    const get = async (path: string, headers: HeaderList = []) => await fleet.gateway.get(path, { headers: [['Accept', '*/*'], ...headers] })
    const xml: HeaderList = [['Content-Type', 'application/xml']]
    assert.match((await get('/orders/1', xml)).text(), /xml/)
    assert.match((await get('/orders/1')).text(), /none/)
    assert.deepEqual([isHit(await get('/orders/1', xml)), isHit(await get('/orders/1'))], [true, true])
    // Nor is it known which paths a prefix holds.
    await using origin = await startNumbers(({ header }) => ({ body: header('content-type') ?? 'none' }))
    await using before = await startGateway({ upstreams: { Shop: { endpoints: [origin.url] } }, prefixes: { '/shop/*': { upstream: 'Shop' } } } as PartialConfig)
    await before.waitForEndpoint(origin.url)
    assert.match((await before.get('/shop/orders/1', { headers: xml })).text(), /xml/)
    assert.match((await before.get('/shop/orders/1')).text(), /none/)
    // Where the URL names the format it does not.
    assert.match((await get('/json/reply/GetOrder?Id=1', xml)).text(), /xml/)
    assert.ok(isHit(await get('/json/reply/GetOrder?Id=1')))
  })

  test('and the order of Accept, by which hosts choose the first that they have', async () => {
    await using origin = await startNumbers(({ header }) => ({ body: header('accept')!.split(/[,;]/)[0]!, headers: [['Vary', 'Accept']] }))
    await using gateway = await startGateway({ upstreams: { Shop: { endpoints: [origin.url] } }, prefixes: { '/shop/*': { upstream: 'Shop' } } } as PartialConfig)
    await gateway.waitForEndpoint(origin.url)
    const get = async (accept: string) => await gateway.get('/shop/orders/1', { headers: [['Accept', accept]] })
    assert.match((await get('application/json, text/xml')).text(), /application\/json/)
    assert.match((await get('text/xml, application/json')).text(), /text\/xml/)
    const alike = await get('Application/JSON;q=1.0 ,text/xml')
    assert.deepEqual([isHit(alike), /application\/json/.test(alike.text())], [true, true])
  })

  test('where unknown headers count for messages only: below a prefix those that say another host, or where the client is', async () => {
    await using origin = await startNumbers()
    await using gateway = await startGateway({ edge: { trustedProxies: ['127.0.0.1'] }, upstreams: { Shop: { endpoints: [origin.url], policy: { cache: { key: { unkeyedHeaders: 'messages' } } } } }, prefixes: { '/shop/*': { upstream: 'Shop' } } } as PartialConfig)
    await gateway.waitForEndpoint(origin.url)
    const shaping = ['CF-IPCountry', 'CloudFront-Viewer-Country', 'CloudFront-Is-Mobile-Viewer', 'X-Country-Code', 'X-Original-URL', 'X-Forwarded-Port']
    for (const [at, name] of [...shaping, 'X-Tenant', 'CF-Ray'].entries()) {
      const path = `/shop/orders/${at}`
      await gateway.get(path, { headers: [[name, 'a']] })
      assert.equal(isHit(await gateway.get(path, { headers: [[name, 'b']] })), !shaping.includes(name), name)
    }
  })

  test('codings do, although the origin never says Vary', async () => {
    await using origin = await startNumbers(({ header }) => header('accept-encoding') === 'gzip' ? { body: 'packed', headers: [['Content-Encoding', 'gzip']] } : { body: 'plain' })
    await using gateway = await startWith(origin, {})
    const get = async (coding: string | undefined) => await gateway.get('/json/reply/Search', { headers: coding === undefined ? [] : [['Accept-Encoding', coding]] })
    assert.match((await get('gzip')).text(), /packed/)
    assert.match((await get(undefined)).text(), /plain/)
    for (const [coding, body] of [['gzip', /packed/], [undefined, /plain/]] as const) {
      const answer = await get(coding)
      assert.match(answer.text(), body)
      assert.ok(isHit(answer))
      assert.equal(answer.header('content-encoding'), coding)
    }
    assert.equal(origin.received.length, 2)
  })
})
