// An attacker tries to shape what others get: by whatever of a request the key might leave out, through a real listener, before a service that reflects all it is told.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import { openConnection, targetOf, type RawResponse } from '../support/http-client.ts'
import { startOrigin, type Origin } from '../support/origin.ts'
import { head, write, type HeaderList } from '../support/raw-server.ts'

/** Each client's own, and nothing it can choose. */
const ofTheClient = /^(?:x-forwarded-for|via|traceparent|x-mac-requestid)$/i
/** In Forwarded too it is only where the client is. */
const addresses = /for=(?:"[^"]*"|[^;,]*)/gi

/** Reflects target, headers and body, and has everything kept for a minute. */
const startMirror = async (): Promise<Origin> => await startOrigin(async request => {
  const received = await request.body()
  const text = JSON.stringify({ target: request.target, headers: request.headers.filter(([name]) => !ofTheClient.test(name)).map(([name, value]) => [name, name === 'Forwarded' ? value.replaceAll(addresses, 'for=') : value]), body: received.toString('latin1') })
  await write(request.socket, head(200, 'OK', [['Cache-Control', 'max-age=60'], ['Content-Length', String(text.length)]]))
  if (request.method !== 'HEAD') await write(request.socket, text)
})

async function startBefore (origin: Origin, edge: PartialConfig['edge'] = {}): Promise<TestGateway> {
  const cache = { key: { ignoreQuery: ['utm_*'] } }
  const gateway = await startGateway({
    edge,
    upstreams: { Shop: { endpoints: [origin.url] } },
    messages: { Search: { upstream: 'Shop', policy: { cache } } },
    prefixes: { '/site/*': { upstream: 'Shop', policy: { cache } }, '/plain/*': { upstream: 'Shop', policy: { cache: { key: { ...cache.key, plainFills: 'always' } } } } }
  } as PartialConfig)
  await gateway.waitForEndpoint(origin.url)
  return gateway
}

const isHit = (answer: RawResponse) => /; hit;/.test(answer.header('cache-status') ?? '')

/** Whoever asks plainly gets the plain answer, and then from the store. `page`: another one each time. */
async function isPlain (gateway: TestGateway, path: string, attack: string): Promise<void> {
  const first = await gateway.get(path)
  assert.equal(first.status, 200, attack)
  assert.doesNotMatch(first.text(), /evil/i, attack)
  // A host takes a leading double slash for one.
  assert.equal((first.json() as { target: string }).target.replace(/^\/+/, '/'), path, attack)
  const again = await gateway.get(path)
  assert.equal(again.text(), first.text(), attack)
  assert.ok(isHit(again), `${attack}: ${again.header('cache-status')!}`)
}

const headers: HeaderList = [
  ['X-Forwarded-Host', 'evil.test'], ['X-Forwarded-Proto', 'evil'], ['X-Forwarded-Scheme', 'evil'], ['X-Forwarded-Port', '666evil'], ['X-Forwarded-Server', 'evil.test'], ['X-Forwarded-Prefix', '/evil'],
  ['Forwarded', 'host=evil.test;proto=evil'], ['X-Host', 'evil.test'], ['X-Original-Host', 'evil.test'], ['X-HTTP-Host-Override', 'evil.test'], ['X-Original-URL', '/evil'], ['X-Rewrite-URL', '/evil'],
  ['X-HTTP-Method-Override', 'EVIL'], ['X-HTTP-Method', 'EVIL'], ['X-Method-Override', 'EVIL'], ['Front-End-Https', 'evil'], ['X-Url-Scheme', 'evil'], ['Cookie', 'session=evil'], ['Authorization', 'Bearer evil'], ['X-Api-Key', 'evil'],
  ['X-ss-id', 'evil'], ['Range', 'bytes=0-3, 7-evil'], ['If-Range', '"evil"'], ['If-Match', '"evil"'], ['Connection', 'X-Evil'], ['CF-Connecting-IP', 'evil'], ['True-Client-IP', 'evil'], ['Trailer', 'evil'], ['TE', 'evil']
]
/** What nobody knows to shape answers, but a host may look at: part of the key unless `unkeyedHeaders` says less. */
const unknown: HeaderList = [['X-Tenant', 'evil'], ['Sec-Fetch-Site', 'evil'], ['Sec-Evil', 'evil'], ['Accept-Language', 'evil'], ['Origin', 'https://evil.test'], ['Cookie', 'lang=evil'], ['X-Evil', 'evil'], ['Content-Encoding', 'evil']]
/** A message's format is in its URL; a path below a prefix may be one of those whose hosts look at it. */
const unknownBelow: HeaderList = [['Content-Type', 'application/evil']]
/** No part of the key, because a message's format is in its URL: so its service is not told what a client says. Below a prefix it is for Vary to name. */
const ofTheFormat: HeaderList = [['Accept', 'application/evil'], ['Accept', 'text/html, evil;q=0.9']]
/** What a client says of himself is no part of the key either. Below a prefix his service is told, unless the operator says otherwise. */
const ofHimself: HeaderList = [['User-Agent', 'evil'], ['Referer', 'https://evil.test'], ['Cookie', '_ga=evil'], ['Cookie', 'ss-opt=evil; _gid=evil']]
const ofHisRequest: HeaderList = [
  ['Baggage', 'a=evil'], ['X-Request-Id', 'evil'], ['X-Correlation-Id', 'evil'], ['Sec-CH-UA-Mobile', 'evil'], ['Sec-Fetch-User', 'evil'], ['Accept-Charset', 'evil'], ['Save-Data', 'evil'], ['Early-Data', 'evil'], ['Max-Forwards', 'evil'],
  ['Upgrade-Insecure-Requests', 'evil'], ['Priority', 'evil'], ['DNT', 'evil'], ['Date', 'evil'], ['uberctx-a', 'evil']
]
const shaping: Readonly<Record<string, HeaderList>> = { 'a message': [...ofTheFormat, ...ofHimself], 'a prefix': unknownBelow, 'a prefix with plain fills': [...unknownBelow, ...ofHimself] }
for (const [route, base] of [['a message', '/json/reply/Search'], ['a prefix', '/site/search'], ['a prefix with plain fills', '/plain/search']] as const) {
  describe(route, { timeout: 300_000 }, () => {
    test('by a header', async () => {
      await using origin = await startMirror()
      await using gateway = await startBefore(origin)
      for (const [at, [name, value]] of [...headers, ...unknown, ...ofHisRequest, ...shaping[route]!].entries()) {
        const path = `${base}?Id=${at}`
        await gateway.get(path, { headers: [[name, value]] })
        await isPlain(gateway, path, `${name}: ${value}`)
      }
    })

    test('by a body of a GET, or of a HEAD', async () => {
      await using origin = await startMirror()
      await using gateway = await startBefore(origin)
      for (const [at, method] of ['GET', 'HEAD'].entries()) {
        const path = `${base}?Id=${at}`
        await gateway.request(path, { method, body: '{"Id":"evil"}', headers: [['Content-Type', 'application/json']] })
        await isPlain(gateway, path, method)
      }
    })

    test('by the host: another port, another name, an absolute target', async () => {
      await using origin = await startMirror()
      await using gateway = await startBefore(origin)
      const { host, port } = targetOf(gateway.url)
      for (const [at, own] of [`${host}:1`, 'evil.test', `evil.test:${port}`, `${host}:${port}.evil.test`].entries()) {
        const path = `${base}?Id=${at}`
        await gateway.get(path, { headers: [['Host', own]] })
        await isPlain(gateway, path, own)
      }
      const path = `${base}?Id=absolute`
      using connection = await openConnection(targetOf(gateway.url))
      connection.send(`GET http://evil.test${path} HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`)
      await connection.response()
      await isPlain(gateway, path, 'absolute target')
    })

    test('by the query: cloaked, doubled, in another letter case, escaped', async () => {
      await using origin = await startMirror()
      await using gateway = await startBefore(origin)
      for (const [at, evil] of ['&Id=evil', '&id=evil', '&%49d=evil', ';Id=evil', '&utm_a=1;Id=evil', '&utm_a=1;id=evil', '&%75tm_a=evil', '&utm%5fa=evil', '&format=evil', '&X-HTTP-Method-Override=evil', '&_method=evil', '&', '&&', '&callback=evil', '%00evil', '%26Id=evil', '%2526Id=evil'].entries()) {
        const path = `${base}?Id=${at}`
        await gateway.get(path + evil)
        await isPlain(gateway, path, evil)
      }
      // What is ignored is ignored, and shapes nothing in the service's eyes: that is the operator's word.
      const path = `${base}?Id=ignored`
      await isPlain(gateway, path, 'plain')
      assert.ok(isHit(await gateway.get(`${path}&utm_a=b%26Id=evil`)))
    })

    test('by the path: other spellings are refused, or mean the same to the service', async () => {
      await using origin = await startMirror()
      await using gateway = await startBefore(origin)
      for (const [at, spelt] of [`${base}/../evil`, `${base}/%2e%2e/evil`, `${base}%2fevil`, `${base}%5cevil`, `${base}%00evil`, `${base};evil`, `${base}/evil`, `/${base}`, `${base}%3fId=evil`].entries()) {
        const query = `?Id=${at}`
        await gateway.get(`${spelt}${query}`)
        await isPlain(gateway, `${base}${query}`, spelt)
      }
    })
  })
}

test('by what a proxy that is trusted passes on of a stranger', { timeout: 300_000 }, async () => {
  await using origin = await startMirror()
  await using gateway = await startBefore(origin, { trustedProxies: ['127.0.0.1'] } as PartialConfig['edge'])
  const said: HeaderList = [['X-Forwarded-Host', 'shop.test'], ['X-Forwarded-Proto', 'https'], ['X-Forwarded-For', '203.0.113.9']]
  for (const base of ['/json/reply/Search', '/site/search']) {
    for (const [at, evil] of ['host=evil.test', 'for=203.0.113.9;host=evil.test;proto=evil', 'host=evil, for=203.0.113.9;host=shop.test;proto=https', 'host="evil', 'evil', 'HOST="e\\vil.test";proto="evil"', ',;host=evil'].entries()) {
      const path = `${base}?Id=${at}`
      await gateway.get(path, { headers: [...said, ['Forwarded', evil]] })
      const victim = await gateway.get(path, { headers: said })
      assert.ok(isHit(victim), `${evil}: one answer for both`)
      assert.doesNotMatch(victim.text(), /evil/i, evil)
    }
  }
})

test('by codings: nobody gets one that he cannot read, nor another body than the one he asked for', { timeout: 300_000 }, async () => {
  await using origin = await startOrigin(async request => {
    const coding = /\b(gzip|br|zstd)\b/.exec(request.header('accept-encoding') ?? '')?.[1]
    const text = coding ?? 'plain'
    await write(request.socket, head(200, 'OK', [['Cache-Control', 'max-age=60'], ...coding === undefined ? [] : [['Content-Encoding', coding] as [string, string]], ['Content-Length', String(text.length)]]) + text)
  })
  await using gateway = await startBefore(origin)
  for (const base of ['/json/reply/Search', '/site/search']) {
    for (const [at, coding] of ['gzip', 'br', 'zstd', 'gzip;q=0.1', 'x-evil, gzip', 'GZIP', '*'].entries()) {
      const path = `${base}?Id=${at}`
      await gateway.get(path, { headers: [['Accept-Encoding', coding]] })
      for (const accepts of [undefined, 'identity', 'br', 'gzip', undefined]) {
        const answer = await gateway.get(path, { headers: accepts === undefined ? [] : [['Accept-Encoding', accepts]] })
        const given = answer.header('content-encoding')
        const what = `${base}, ${coding} first, then ${accepts}: ${answer.header('cache-status')!}`
        assert.ok(given === undefined || given === accepts, what)
        assert.equal(answer.text(), given ?? 'plain', what)
      }
    }
  }
})
