// A service puts answers into the cache by itself, through the admin listener: clients get them, and never reach the service.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { request, targetOf, type RawResponse } from '../support/http-client.ts'
import { ok, startOrigin, type Origin } from '../support/origin.ts'

const path = '/json/reply/GetOrder?Id=5'

async function startWith (origin: Origin): Promise<TestGateway> {
  const gateway = await startGateway({
    upstreams: { Shop: { endpoints: [origin.url] } },
    messages: {
      GetOrder: { upstream: 'Shop', policy: { cache: { hideOrigin: 'busy' } } },
      Plain: { upstream: 'Shop', policy: { cache: { mode: 'off' } } },
      Canary: { upstream: 'Shop', policy: { split: { parts: [{ name: 'new', to: { tag: 'new' }, percent: 10 }] } } }
    }
  })
  await gateway.waitForEndpoint(origin.url)
  return gateway
}

async function put (gateway: TestGateway, body: unknown): Promise<RawResponse> {
  return await request(targetOf(gateway.admin), '/api/cache/entries', { method: 'PUT', headers: [['Content-Type', 'application/json']], body: JSON.stringify(body) })
}
const lasting = { 'Cache-Control': 'max-age=60', 'Content-Type': 'application/json' }

describe('an answer that is put into the cache', { timeout: 300_000 }, () => {
  test('is what a client of a hidden origin gets, whole, by HEAD and by its validator', async () => {
    await using origin = await startOrigin(ok('not to be stored', { headers: [['Cache-Control', 'no-store']] }))
    await using gateway = await startWith(origin)
    assert.equal((await gateway.get(path)).status, 503)
    const told = await put(gateway, { url: path, status: 200, headers: { ...lasting, ETag: '"v1"' }, body: '{"Id":5,"Name":"ü"}' })
    assert.equal(told.status, 200, told.text())
    const { url, message, service, ttlS } = told.json()
    assert.deepEqual({ url, message, service }, { url: `${gateway.url}${path}`, message: 'GetOrder', service: 'Shop' })
    assert.ok(ttlS > 50 && ttlS <= 60)
    const answer = await gateway.get('/JSON/reply/getorder?Id=5', { headers: [['User-Agent', 'somebody'], ['Accept', '*/*']] })
    assert.equal(answer.status, 200)
    assert.equal(answer.text(), '{"Id":5,"Name":"ü"}')
    assert.match(answer.header('cache-status')!, /^Postern; hit; ttl=\d+$/)
    assert.equal(answer.header('content-length'), '20')
    assert.equal((await gateway.request(path, { method: 'HEAD' })).status, 200)
    assert.equal((await gateway.get(path, { headers: [['If-None-Match', '"v1"']] })).status, 304)
    const again = await put(gateway, { url: path, headers: lasting, bodyBase64: Buffer.from([0, 255, 128]).toString('base64') })
    assert.equal(again.status, 200)
    assert.deepEqual((await gateway.get(path)).body, Buffer.from([0, 255, 128]))
  })

  test('is for the host it names, and for the variant', async () => {
    await using origin = await startOrigin(ok('{}'))
    await using gateway = await startWith(origin)
    const url = `http://api.example.com${path}`
    const headers = { ...lasting, Vary: 'Accept-Language' }
    assert.equal((await put(gateway, { url, headers, body: 'deutsch', requestHeaders: { 'Accept-Language': 'de' } })).status, 200)
    assert.equal((await put(gateway, { url, headers, body: 'english', requestHeaders: { 'Accept-Language': 'en' } })).status, 200)
    const get = async (host: string, language: string) => await gateway.get(path, { headers: [['Host', host], ['Accept-Language', language]] })
    assert.equal((await get('api.example.com', 'de')).text(), 'deutsch')
    assert.equal((await get('api.example.com', 'en')).text(), 'english')
    assert.equal((await get('api.example.com', 'fr')).status, 503)
    assert.equal((await get('other.example.com', 'de')).status, 503)
  })

  test('is refused with the reason', async () => {
    await using origin = await startOrigin(ok('{}'))
    await using gateway = await startWith(origin)
    const cases: Array<readonly [object, number, string, RegExp]> = [
      [{ body: '{}' }, 400, 'AnswerUnclear', /"url" is needed/],
      [{ url: 'GetOrder', body: '{}' }, 400, 'AnswerUnclear', /no URL/],
      [{ url: path }, 400, 'AnswerUnclear', /"body" or "bodyBase64"/],
      [{ url: path, body: '{}', status: 99 }, 400, 'AnswerUnclear', /"status"/],
      [{ url: path, body: '{}', headers: { 'Content-Length': '5' } }, 400, 'AnswerUnclear', /Content-Length/],
      [{ url: path, body: '{}', headers: { 'X-A': 'b\r\nc: d' } }, 400, 'AnswerUnclear', /X-A/],
      [{ url: '/json/reply/Nobody', body: '{}', headers: lasting }, 404, 'MessageNotFound', /no answer of a service/],
      [{ url: path, body: '{}' }, 409, 'NotStorable', /no lifetime/],
      [{ url: path, body: '{}', headers: { 'Cache-Control': 'no-store' } }, 409, 'NotStorable', /no-store/],
      [{ url: path, body: '{}', headers: { ...lasting, 'Set-Cookie': 'a=b' } }, 409, 'NotStorable', /cookie/],
      [{ url: path, body: '{}', headers: lasting, requestHeaders: { Authorization: 'Bearer x' } }, 409, 'NotStorable', /identity/],
      [{ url: '/json/reply/Plain', body: '{}', headers: lasting }, 409, 'NotStorable', /mode/],
      [{ url: '/json/reply/Canary', body: '{}', headers: lasting }, 409, 'NotStorable', /split/],
      [{ url: path, body: 'x'.repeat(8_388_609), headers: lasting }, 409, 'NotStorable', /maxEntryBytes/]
    ]
    for (const [body, status, code, says] of cases) {
      const answer = await put(gateway, body)
      assert.equal(answer.status, status, JSON.stringify(body).slice(0, 200))
      const { error } = answer.json()
      assert.equal(error.code, code)
      assert.match(error.message, says)
    }
    assert.equal(origin.received.length, 0)
    assert.equal(await gateway.metric('postern_cache_entries'), 0)
  })
})
