// Outage copies: what was fetched beforehand answers when the service is dead, deregistered and the gateway restarted, and only whom it may.
import { afterEach, beforeEach, describe, mock, test } from 'node:test'
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { request, targetOf, type RawResponse } from '../support/http-client.ts'
import { head, write, type HeaderList } from '../support/raw-server.ts'
import { ok, startOrigin, type Origin } from '../support/origin.ts'
import { until } from '../support/until.ts'

const path = '/json/reply/GetOrder?Id=1&Lang=de'
const detailOf = (answer: RawResponse) => /detail=(\S+)/.exec(answer.header('cache-status') ?? '')?.[1]
const json: HeaderList = [['Content-Type', 'application/json']]

let directory = ''
beforeEach(async () => { directory = await mkdtemp(join(tmpdir(), 'postern-copies-')) })
afterEach(async () => { await rm(directory, { recursive: true, force: true }) })

async function startWith (origin: Origin, outage: object, more: object = {}): Promise<TestGateway> {
  const gateway = await startGateway({
    dataDirectory: directory,
    upstreams: { Shop: { endpoints: [origin.url] } },
    messages: { GetOrder: { upstream: 'Shop', policy: { cache: { outage, ...more } as never } } }
  })
  await gateway.waitForEndpoint(origin.url)
  return gateway
}

const held = async (gateway: TestGateway, count: number) => await until(`${count} copies`, async () => await gateway.metric('postern_outage_copies', { state: 'held' }) === count)
const copies = async (gateway: TestGateway) => (await request(targetOf(gateway.admin), '/api/cache/copies')).json()
const files = async () => (await readdir(join(directory, 'outage-copies')).catch(() => [])).filter(name => name.endsWith('.copy'))
const purge = async (gateway: TestGateway, body: object) => (await gateway.tell('/api/cache/purge', body)).json()

describe('outage copies', { timeout: 300_000 }, () => {
  test('answer for a service that is dead, then deregistered, then after a restart of the gateway', async () => {
    await using origin = await startOrigin(async request => {
      const body = JSON.stringify({ target: request.target })
      await write(request.socket, head(200, 'OK', [...json, ['Content-Length', String(body.length)], ['ETag', '"1"'], ['Vary', 'Accept']]) + body)
    })
    const config = { dataDirectory: directory, registry: { embedded: { address: '127.0.0.1:0' } }, messages: { GetOrder: { policy: { cache: { outage: { requests: [{ Id: 1, Lang: 'de' }, 'Id=2'] } } } } } }
    const check = async (gateway: TestGateway) => {
      const answer = await until('a copy', async () => {
        const got = await gateway.get(path)
        return got.status === 200 && got
      })
      assert.equal(detailOf(answer), 'outage-copy')
      assert.match(answer.header('cache-status')!, /^Postern; hit; ttl=-?\d+; detail=outage-copy$/)
      assert.ok(Number(answer.header('age')) >= 0)
      assert.equal(answer.header('warning'), undefined)
      assert.equal(answer.header('cache-control'), 'no-store')
      assert.deepEqual(answer.json(), { target: path })
      // The same request, as somebody else writes it.
      assert.equal(detailOf(await gateway.get('/JSON/reply/getorder?lang=d%65&id=1')), 'outage-copy')
      assert.equal((await gateway.get(path, { headers: [['If-None-Match', '"1"']] })).status, 304)
      assert.equal((await gateway.request(path, { method: 'HEAD' })).status, 200)
      assert.equal((await gateway.get('/json/reply/GetOrder?Id=3')).status >= 502, true, 'nobody asked for a copy of that')
    }
    {
      await using gateway = await startGateway(config)
      const agent = (what: string, body?: object) => fetch(`${gateway.embedded!}/v1/agent/service/${what}`, { method: 'PUT', ...body === undefined ? {} : { body: JSON.stringify(body) } })
      await agent('register', { ID: 'shop-1', Name: 'shop', Address: '127.0.0.1', Port: origin.port, Meta: { messages: 'GetOrder,GetOther' } })
      await gateway.waitForRoute('GetOrder')
      await held(gateway, 2)
      assert.equal(detailOf(await gateway.get(path)), undefined, 'while the service answers, its answers are given')
      await origin.server.kill()
      await check(gateway)
      await agent('deregister/shop-1')
      await until('the other message has gone', async () => (await gateway.get('/json/reply/GetOther')).status === 404)
      await check(gateway)
      const line = await until('its log line', async () => (await gateway.log()).find(({ cache }) => cache === 'copy'))
      assert.equal(line['status'], 200)
      assert.ok(await gateway.metric('postern_outage_answers_total', { message: 'GetOrder' }) > 0)
    }
    await using restarted = await startGateway(config)
    await check(restarted)
    assert.equal((await restarted.get('/json/reply/GetOther')).status, 404)
    const { copies: listed } = await copies(restarted)
    assert.equal(listed.length, 2)
    assert.ok(listed.every(({ ageS }: { ageS: number }) => ageS >= 0))
    // What the operator hides is hidden, whatever is left of it.
    await restarted.reload({ ...config, messages: { GetOrder: { expose: false, policy: config.messages.GetOrder.policy } } })
    assert.equal((await restarted.get(path)).status, 404)
  })

  test('tell how old they are, by their service\'s own count, also after a restart', async t => {
    mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 10, 27, 12) })
    t.after(() => { mock.timers.reset() })
    await using origin = await startOrigin(ok('{}', { headers: [...json, ['Age', '100'], ['Cache-Control', 'max-age=600']] }))
    const check = async (gateway: TestGateway, ageS: number) => {
      const answer = await until('a copy', async () => {
        const got = await gateway.get('/json/reply/GetOrder?Id=1')
        return got.status === 200 && got
      })
      assert.deepEqual([answer.header('age'), answer.header('cache-status')], [String(ageS), `Postern; hit; ttl=${600 - ageS}; detail=outage-copy`])
      assert.equal((await copies(gateway)).copies[0].ageS, ageS)
    }
    {
      await using gateway = await startWith(origin, { requests: ['Id=1'] }, { mode: 'off' })
      await held(gateway, 1)
      await origin.server.kill()
      mock.timers.setTime(Date.now() + 3_600_000)
      await check(gateway, 3_700)
    }
    mock.timers.setTime(Date.now() + 3_600_000)
    await using restarted = await startGateway({ dataDirectory: directory, upstreams: { Shop: { endpoints: [origin.url] } }, messages: { GetOrder: { upstream: 'Shop', policy: { cache: { mode: 'off', outage: { requests: ['Id=1'] } } } } } })
    await check(restarted, 7_300)
  })

  test('stand behind a stale and a degraded answer, and before the error, a 500 of the service included', async () => {
    await using origin = await startOrigin(ok('{"from":"service"}', { headers: [...json, ['Cache-Control', 'max-age=0, stale-if-error=3600']] }))
    await using gateway = await startWith(origin, { requests: ['Id=1', 'Id=2'] })
    await held(gateway, 2)
    assert.equal((await gateway.get('/json/reply/GetOrder?Id=1')).status, 200)
    origin.behave(ok('broken', { status: 500, reason: 'InternalServerError' }))
    assert.equal(detailOf(await gateway.get('/json/reply/GetOrder?Id=1')), 'stale-if-error')
    const answer = await gateway.get('/json/reply/GetOrder?Id=2')
    assert.equal(detailOf(answer), 'outage-copy')
    assert.equal(answer.text(), '{"from":"service"}')
    await origin.server.kill()
    assert.equal(detailOf(await gateway.get('/json/reply/GetOrder?Id=2')), 'outage-copy')
    const config = { dataDirectory: directory, upstreams: { Shop: { endpoints: [origin.url] } } }
    await gateway.reload({ ...config, messages: { GetOrder: { upstream: 'Shop', policy: { degraded: { body: 'degraded', on: ['NoEndpoint', 'BreakerOpen'] }, cache: { outage: { requests: ['Id=1', 'Id=2'] } } } } } })
    await until('the degraded answer', async () => (await gateway.get('/json/reply/GetOrder?Id=2')).text() === 'degraded')
  })

  test('are kept where caching is off, and stand in for an answer that a hidden origin has not given yet', async () => {
    await using origin = await startOrigin(ok('{}'))
    await using gateway = await startWith(origin, { requests: ['Id=1'] }, { mode: 'off' })
    await held(gateway, 1)
    await origin.server.kill()
    assert.equal(detailOf(await gateway.get('/json/reply/GetOrder?Id=1')), 'outage-copy')
    await gateway.reload({ dataDirectory: directory, upstreams: { Shop: { endpoints: [origin.url] } }, messages: { GetOrder: { upstream: 'Shop', policy: { cache: { hideOrigin: 'busy', outage: { requests: ['Id=1'] } } } } } })
    assert.equal(detailOf(await gateway.get('/json/reply/GetOrder?Id=1')), 'outage-copy')
  })

  test('are for a browser, whatever it says of itself; what may be a session or the operator names keeps them back', async () => {
    await using origin = await startOrigin(ok('{}', { headers: json }))
    await using gateway = await startWith(origin, { requests: ['Id=1'] }, { key: { headers: ['X-Tenant'], inertCookies: ['theme'] } })
    await held(gateway, 1)
    await origin.server.kill()
    const browser: HeaderList = [
      ['sec-ch-ua', '"Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99"'], ['sec-ch-ua-mobile', '?0'], ['sec-ch-ua-platform', '"Linux"'], ['User-Agent', 'Mozilla/5.0 (X11; Linux x86_64) Chrome/142.0.0.0 Safari/537.36'],
      ['Accept', 'application/json, text/javascript, */*; q=0.01'], ['X-Requested-With', 'XMLHttpRequest'], ['Origin', 'https://shop.example'], ['Sec-Fetch-Site', 'same-site'], ['Sec-Fetch-Mode', 'cors'], ['Sec-Fetch-Dest', 'empty'],
      ['Referer', 'https://shop.example/orders'], ['Accept-Encoding', 'gzip, deflate, br, zstd'], ['Accept-Language', 'de-DE,de;q=0.9,en;q=0.8'], ['X-Forwarded-Port', '443'], ['CF-IPCountry', 'DE']
    ]
    const analytics = '_ga=GA1.1.1234567890.1700000000; _gid=GA1.1.987654321.1700000000; AWSALB=x'
    const get = async (...more: HeaderList) => detailOf(await gateway.get('/json/reply/GetOrder?Id=1', { headers: [...browser, ...more] }))
    assert.equal(await get(), 'outage-copy')
    assert.equal(await get(['Cookie', `${analytics}; theme=dark`]), 'outage-copy')
    assert.equal(await get(['Cookie', `${analytics}; shopsession=x`]), undefined, 'nobody knows whether that is a session')
    assert.equal(await get(['Cookie', `${analytics}; ss-id=x`]), undefined)
    assert.equal(await get(['Authorization', 'Bearer x']), undefined)
    assert.equal(await get(['X-Tenant', 'b']), undefined)
    assert.equal(origin.received.at(-1)!.header('accept'), 'application/json', 'as it is asked for anybody')
  })

  test('are for nobody with an identity, nor for a request that says more, unless the service says public', async () => {
    await using origin = await startOrigin(async request => {
      const isPublic = request.target.includes('Id=2')
      await ok('{}', { headers: isPublic ? [...json, ['Cache-Control', 'public']] : json })(request)
    })
    await using gateway = await startWith(origin, { requests: ['Id=1', 'Id=2'] })
    await held(gateway, 2)
    await origin.server.kill()
    const get = async (id: number, ...headers: Array<readonly [string, string]>) => detailOf(await gateway.get(`/json/reply/GetOrder?Id=${id}`, { headers }))
    assert.equal(await get(1), 'outage-copy')
    assert.equal(await get(1, ['Accept-Encoding', 'gzip'], ['User-Agent', 'somebody']), 'outage-copy')
    assert.equal(await get(1, ['Authorization', 'Bearer x']), undefined)
    assert.equal(await get(1, ['Cookie', 'ss-id=x']), undefined)
    assert.equal(await get(2, ['Authorization', 'Bearer x']), 'outage-copy')
    assert.equal(await get(1, ['Cache-Control', 'no-cache']), undefined)
    assert.ok((await gateway.post('/json/reply/GetOrder?Id=1', {})).status >= 502)
  })

  test('are never made of what is private, sets a cookie, or is an error; and the reason is shown', async () => {
    const answers: Record<string, ReturnType<typeof ok>> = {
      1: ok('{}', { headers: [['Cache-Control', 'private']] }),
      2: ok('{}', { headers: [['Set-Cookie', 'ss-id=x']] }),
      3: ok('{}', { status: 404, reason: 'NotFound' }),
      4: ok('{}', { headers: [['Cache-Control', 'no-store']] }),
      5: ok('{}')
    }
    await using origin = await startOrigin(async request => { await answers[/Id=(\d)/.exec(request.target)![1]!]!(request) })
    await using gateway = await startWith(origin, { requests: [1, 2, 3, 4, 5].map(id => ({ Id: id })) })
    await held(gateway, 1)
    await until('all were asked for', () => origin.received.length >= 5)
    const { copies: listed } = await until('all reasons', async () => {
      const answer = await copies(gateway)
      return answer.copies.filter(({ lastFailure }: any) => lastFailure !== null).length === 4 && answer
    })
    assert.deepEqual(listed.map(({ url, lastFailure }: any) => [url.at(-1), lastFailure?.reason]), [
      ['1', 'it may not be kept: private'], ['2', 'it may not be kept: set-cookie'], ['3', 'it is answered 404 NotFound'], ['4', 'it may not be kept: no-store'], ['5', undefined]
    ])
    await gateway.metricBecomes('postern_outage_copies', 4, { state: 'missing' })
    await gateway.metricBecomes('postern_outage_fetches_total', 4, { result: 'refused' })
    await until('one file', async () => (await files()).length === 1)
  })

  test('a purge removes them, and they are fetched anew; a soft one and a write leave them', async () => {
    let round = 0
    await using origin = await startOrigin(async request => { await ok(String(++round))(request) })
    await using gateway = await startWith(origin, { requests: ['Id=1'] })
    await held(gateway, 1)
    assert.equal((await purge(gateway, { message: 'GetOrder', soft: true })).copies, 0)
    assert.ok((await gateway.post('/json/reply/GetOrder?Id=1', {})).status === 200)
    assert.equal(await gateway.metric('postern_outage_copies', { state: 'held' }), 1)
    const before = await gateway.metric('postern_outage_fetches_total', { result: 'kept' })
    assert.equal((await purge(gateway, { url: '/json/reply/GetOrder?Id=1' })).copies, 1)
    await until('it is fetched anew', async () => await gateway.metric('postern_outage_fetches_total', { result: 'kept' }) === before + 1)
    await origin.server.kill()
    assert.equal((await gateway.get('/json/reply/GetOrder?Id=1')).text(), String(round))
    assert.equal((await purge(gateway, { all: true })).copies, 1)
    assert.ok((await gateway.get('/json/reply/GetOrder?Id=1')).status >= 502)
    await until('the file has gone', async () => (await files()).length === 0)
  })

  test('a reload adds and removes them, files included', async () => {
    await using origin = await startOrigin(ok('{}'))
    const config = (requests: string[]) => ({ dataDirectory: directory, upstreams: { Shop: { endpoints: [origin.url] } }, messages: { GetOrder: { upstream: 'Shop', policy: { cache: { outage: { requests } } } } } })
    await using gateway = await startGateway(config(['Id=1']))
    await held(gateway, 1)
    await gateway.reload(config(['Id=1', 'Id=2', 'Id=3']))
    await held(gateway, 3)
    await until('three files', async () => (await files()).length === 3)
    await gateway.reload(config(['Id=2']))
    await held(gateway, 1)
    await until('one file', async () => (await files()).length === 1)
    await origin.server.kill()
    assert.equal(detailOf(await gateway.get('/json/reply/GetOrder?Id=2')), 'outage-copy')
    assert.ok((await gateway.get('/json/reply/GetOrder?Id=1')).status >= 502)
  })

  test('a file that is damaged is said and ignored; one that is not wanted any more goes', async () => {
    await using origin = await startOrigin(ok('{"a":1}'))
    {
      await using gateway = await startWith(origin, { requests: ['Id=1', 'Id=2', 'Id=3'] })
      await held(gateway, 3)
      await until('three files', async () => (await files()).length === 3)
    }
    await origin.server.kill()
    const folder = join(directory, 'outage-copies')
    for (const name of (await files())) {
      const bytes = await readFile(join(folder, name))
      if (!bytes.includes('?Id=1\n') && !bytes.includes('?Id=1\\n')) continue
      bytes[bytes.length - 1]! ^= 1
      await writeFile(join(folder, name), bytes)
    }
    await writeFile(join(folder, 'something else'), 'stays')
    await using gateway = await startGateway({ dataDirectory: directory, upstreams: { Shop: { endpoints: [origin.url] } }, messages: { GetOrder: { upstream: 'Shop', policy: { cache: { outage: { requests: ['Id=1', 'Id=2'] } } } } } })
    await until('a copy', async () => detailOf(await gateway.get('/json/reply/GetOrder?Id=2')) === 'outage-copy')
    assert.ok((await gateway.get('/json/reply/GetOrder?Id=1')).status >= 502)
    await until('it is logged', async () => (await gateway.log()).some(({ msg }) => /an outage copy cannot be read/.test(String(msg))))
    await until('what is not wanted has gone', async () => (await files()).length === 2)
    assert.ok((await readdir(folder)).includes('something else'))
  })

  test('a disk that takes nothing is said once; copies are in memory all the same', async () => {
    await using origin = await startOrigin(ok('{}'))
    // A file where the folder should be: nothing can be written, whoever runs this.
    await mkdir(directory, { recursive: true })
    await writeFile(join(directory, 'outage-copies'), '')
    await using gateway = await startWith(origin, { requests: ['Id=1', 'Id=2'] })
    await held(gateway, 2)
    const said = async () => (await gateway.log()).filter(({ msg }) => /cannot be brought up to date/.test(String(msg))).length
    await until('it is said', async () => await said() > 0)
    await until('it is shown', async () => (await copies(gateway)).onDisk === false)
    assert.equal(await said(), 1)
    await origin.server.kill()
    assert.equal(detailOf(await gateway.get('/json/reply/GetOrder?Id=2')), 'outage-copy')
  })

  test('are fetched again on their schedule, and for each host that is named', async () => {
    let round = 0
    await using origin = await startOrigin(async request => { await ok(`${++round} ${request.header('x-forwarded-host') ?? ''}`)(request) })
    await using gateway = await startWith(origin, { requests: ['Id=1'], everyMs: 1_000, hosts: ['https://a.example', 'http://b.example'] })
    await held(gateway, 2)
    await until('more rounds', () => round >= 6)
    await origin.server.kill()
    const get = async (host: string) => await gateway.get('/json/reply/GetOrder?Id=1', { headers: [['Host', host]] })
    assert.match((await get('b.example')).text(), /^\d+ b\.example$/)
    assert.ok((await get('c.example')).status >= 502, 'another host may mean another answer')
  })
})
