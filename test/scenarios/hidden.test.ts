// A hidden message is reached by no spelling whatever, and answers exactly like one that does not exist.
import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { connect as connectHttp2 } from 'node:http2'
import { makeCertificate } from '../support/certificates.ts'
import { startFleet, type Fleet } from '../support/fleet.ts'
import { startGateway } from '../support/gateway.ts'
import * as behave from '../support/origin.ts'
import { startOrigin } from '../support/origin.ts'
import { registerAsPlugin } from '../support/plugin-registration.ts'
import { startServiceStackHost } from '../support/servicestack-host.ts'
import { until } from '../support/until.ts'
import { EndOfBytes } from '../support/byte-reader.ts'
import { openConnection, request, sendBytes, targetOf, type RawResponse } from '../support/http-client.ts'
import { spellings } from '../support/spellings.ts'
import type { Generation } from '../support/recordings.ts'

const internalOnly = ['AnySecurityMode, AnyHttpMethod, AnyCallStyle, AnyFormat, AnyEndpoint, InternalNetworkAccess']
const hidden = 'ReindexProducts'
/** As long, with escapes and special letters at the same places, and unknown to everybody. */
const missing = 'ReindexPr0ducts'

/** What a client can tell of an answer, its own name, ids and dates aside. */
function fingerprint (response: RawResponse | 'cut', name: string): unknown {
  if (response === 'cut') return response
  // The name in the spellings in which an answer may repeat it.
  const repeated = [name, `%${name.charCodeAt(0).toString(16)}${name.slice(1)}`, name.replaceAll('s', 'ſ'), name.replaceAll('i', 'ı')]
  const nameless = (text: string) => repeated.reduce((left, spelled) => left.replaceAll(new RegExp(spelled, 'gi'), 'NAME'), text)
  return {
    statusLine: response.statusLine,
    headers: response.headers.map(([key, value]) => /^(date|x-mac-requestid|traceparent)$/i.test(key) ? key : `${key}: ${value}`),
    body: nameless(response.text()).replaceAll(/[0-9a-f]{32}/g, 'ID'),
    whole: response.whole
  }
}

for (const generation of ['10.1.5', '5.2.0'] as Generation[]) {
  describe(`hidden messages of a ${generation} host`, { timeout: 300_000 }, () => {
    let fleet: Fleet
    before(async () => {
      fleet = await startFleet([{
        generation,
        messages: { Purge: { actions: ['ANY'], routes: ['/admin/purge/{Id}', '/purge'], restrictTo: internalOnly, handler: () => undefined } }
      }], {
        // Two answers are compared: a stored one would differ from the first by its age.
        defaults: { policy: { cache: { mode: 'off' } } },
        upstreams: { Catalog: { customRoutes: true } },
        prefixes: { '/direct/*': { upstream: 'Catalog' }, '/rewritten/*': { upstream: 'Catalog', rewrite: '/' }, '/*': { upstream: 'Catalog' } }
      })
    })
    after(async () => { await fleet[Symbol.asyncDispose]() })
    const host = () => fleet.hosts[0]!
    const send = async (method: string, target: string, extra = '', body = ''): Promise<RawResponse | 'cut'> => {
      const length = body === '' && method === 'GET' ? '' : `Content-Length: ${Buffer.byteLength(body)}\r\n`
      try {
        return await sendBytes(fleet.gateway.url, `${method} ${target} HTTP/1.1\r\nHost: catalog.test\r\n${extra}${length}Connection: close\r\n\r\n${body}`, { method, timeoutMs: 60_000 })
      } catch (error) {
        if (error instanceof EndOfBytes) return 'cut'
        throw error
      }
    }

    test('it is restricted in the list, present in the catalog, and executed by the host when asked directly', async () => {
      assert.ok(host().tags.includes(hidden))
      const direct = await sendBytes(host().url, `POST /json/reply/${hidden} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`)
      assert.equal(direct.status, 204)
      host().executed.length = 0
    })

    test('no spelling reaches it, and each answers as for a name that does not exist', async () => {
      const targets = spellings(hidden)
      const others = spellings(missing)
      assert.equal(targets.length, others.length)
      assert.ok(targets.length > 1_500, `${targets.length} spellings`)
      const differing: string[] = []
      const statuses = new Map<string, number>()
      for (const [index, target] of targets.entries()) {
        const [method, extra, body] = index % 2 === 0 ? ['POST', 'Content-Type: application/json\r\n', '{}'] as const : ['GET', '', ''] as const
        const answer = await send(method, target, extra, body)
        const expected = await send(method, others[index]!, extra, body)
        if (JSON.stringify(fingerprint(answer, hidden)) !== JSON.stringify(fingerprint(expected, missing))) {
          differing.push(`${target}: ${answer === 'cut' ? answer : `${answer.statusLine} ${answer.text().slice(0, 150)}`} | ${expected === 'cut' ? expected : `${expected.statusLine} ${expected.text().slice(0, 150)}`}`)
        }
        const status = answer === 'cut' ? 'cut' : String(answer.status)
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
        if (host().executed.some(name => name !== 'GetProduct' && name !== 'SearchProducts')) assert.fail(`${method} ${target} executed ${host().executed.join()}`)
      }
      assert.deepEqual(differing, [])
      assert.deepEqual(host().complaints, [])
      assert.ok((statuses.get('404') ?? 0) > 100 && (statuses.get('400') ?? 0) > 100, JSON.stringify([...statuses]))
    })

    test('nor does any other way to name it: overrides, batches, RESTful paths, headers', async () => {
      const json = 'Content-Type: application/json\r\n'
      const ways: Array<[string, string, string, string]> = [
        ['POST', `/json/reply/${hidden}[]`, json, '[{},{}]'],
        ['POST', `/json/oneway/${hidden}[]`, json, '[{}]'],
        ['GET', `/json/reply/${hidden}?X-HTTP-Method-Override=POST`, '', ''],
        ['GET', `/json/reply/${hidden}`, 'X-HTTP-Method-Override: POST\r\n', ''],
        ['POST', '/json/reply/GetProduct', `X-Original-URL: /json/reply/${hidden}\r\nX-Rewrite-URL: /json/reply/${hidden}\r\nX-Forwarded-Prefix: /json/reply/${hidden}\r\n${json}`, '{}'],
        ['POST', '/json/reply/GetProduct', `SOAPAction: ${hidden}\r\n${json}`, '{}'],
        ['POST', '/soap12', `SOAPAction: ${hidden}\r\nContent-Type: application/soap+xml\r\n`, `<${hidden}/>`],
        ['POST', '/soap11', `SOAPAction: ${hidden}\r\nContent-Type: text/xml\r\n`, `<${hidden}/>`],
        ['GET', '/admin/purge/1', '', ''],
        ['GET', '/Admin/Purge/1', '', ''],
        ['GET', '/admin/purge/1/', '', ''],
        ['GET', '/admin//purge/1', '', ''],
        ['GET', '/%61dmin/purge/1', '', ''],
        ['POST', '/purge', json, '{}'],
        ['POST', '/purge.json', json, '{}'],
        ['POST', '/Purge.XML/', json, '{}'],
        ['GET', '/purge%2ejson', '', ''],
        ['GET', '/admin/purge/1.json', '', ''],
        ['GET', '/direct/../purge.json', '', ''],
        ['GET', '/rewritten/purge.csv', '', ''],
        ['GET', '/rewritten/soap11/purge', '', ''],
        ['GET', '/direct/../purge', '', ''],
        ['GET', '/rewritten/purge', '', ''],
        ['GET', '/rewritten/admin/purge/1', '', ''],
        ['POST', `/rewritten/json/reply/${hidden}`, json, '{}'],
        ['POST', `/rewritten/api/${hidden}`, json, '{}']
      ]
      for (const [method, target, extra, body] of ways) {
        await send(method, target, extra, body)
        const bad = host().executed.filter(name => name === hidden || name === 'Purge')
        assert.deepEqual(bad, [], `${method} ${target}`)
      }
      // Hosts of the .NET Framework run there whatever message the body names; this double does not, so it must not be asked.
      assert.deepEqual(host().received.filter(({ target }) => /soap/i.test(target)), [])
      using connection = await openConnection(fleet.gateway.url)
      // Smuggling: a body that looks like a request is a body.
      const inner = `POST /json/reply/${hidden} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}`
      connection.send(`POST /json/reply/GetProduct HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`)
      await connection.reader.rest().catch(() => {}) // Whatever it answers, the hidden message must not run.
      assert.ok(!host().executed.includes(hidden))
    })

    test('nor do the paths of the discovery plugin reach it, wherever a prefix route leads', async () => {
      const asked = () => host().received.filter(({ target }) => /discovery/i.test(target)).map(({ target }) => target)
      const before = asked()
      for (const prefix of ['', '/direct', '/rewritten', '/direct/sub', '/sub/api', '//rewritten/']) {
        for (const path of ['/discovery/registration', '/discovery/services', '/discovery/services/GetProduct', '/Discovery/Registration.json', '/%64iscovery//services/', '/discovery/registration?format=json']) {
          const answer = await send('GET', prefix + path, 'Accept: application/json\r\n')
          assert.equal(answer === 'cut' ? answer : answer.status, 404, prefix + path)
        }
      }
      assert.deepEqual(asked(), before)
    })

    test('what may be called still may, in every accepted spelling', async () => {
      for (const target of ['/json/reply/GetProduct?Id=1', '/json/reply/getproduct?Id=1', '//json/reply/GetProduct?Id=1', '/JSON/Reply/Get%50roduct/?Id=1', '/api/GetProduct?Id=1', '/api/GetProduct.json?Id=1', '/products/1', '/direct/../nothing']) {
        const response = await send('GET', target)
        assert.ok(response !== 'cut')
        assert.equal(response.status, target.startsWith('/direct') ? 400 : 200, target)
      }
    })
  })
}

test('a RESTful path that is routed by a place is no way to a hidden one, which its host takes first', { timeout: 300_000 }, async () => {
  const any = { actions: ['ANY'], handler: () => ({ body: {} }) }
  await using fleet = await startFleet([{
    messages: {
      Thing: { ...any, routes: ['/things/{Name}'] },
      File: { ...any, routes: ['/files/{Path*}'] },
      PurgeThings: { ...any, routes: ['/things/purge'], restrictTo: internalOnly },
      WipeFiles: { ...any, routes: ['/files/wipe'], restrictTo: internalOnly },
      ListFiles: { ...any, routes: ['/files/list'] }
    }
  }], { upstreams: { Catalog: { customRoutes: true, hide: ['ListFiles'] } } })
  const { gateway } = fleet
  const { executed } = fleet.hosts[0]!
  for (const path of ['/things/1', '/things/1.json', '/files/a/b', '/files/wiped']) assert.equal((await gateway.get(path)).status, 200, path)
  assert.deepEqual(executed, ['Thing', 'Thing', 'File', 'File'])
  for (const path of ['/things/purge', '/Things/Purge/', '/things//purge', '/things/%70urge', '/things/purge.json', '/things/purge.xml/', '/files/wipe', '/files/wipe.csv', '/files/list', '/files/list.json']) {
    for (const method of ['GET', 'POST']) assert.equal((await (method === 'GET' ? gateway.get(path) : gateway.post(path, {}))).status, 404, `${method} ${path}`)
  }
  assert.equal(executed.length, 4, executed.join())
})

test('over HTTP/2 too', { timeout: 300_000 }, async () => {
  const certificate = await makeCertificate(['localhost'])
  await using fleet = await startFleet([{}], { listener: { tls: { certificates: [{ certFile: certificate.certFile, keyFile: certificate.keyFile }] } } as never })
  const session = connectHttp2(fleet.gateway.url.replace('127.0.0.1', 'localhost'), { ca: certificate.pem })
  try {
    const call = async (path: string, method = 'POST') => await new Promise<{ status: number, text: string }>((resolve, reject) => {
      const stream = session.request({ ':method': method, ':path': path, 'content-type': 'application/json' })
      let text = ''
      let status = 0
      stream.on('response', headers => { status = Number(headers[':status']) })
      stream.on('data', chunk => { text += String(chunk) })
      stream.on('end', () => { resolve({ status, text }) })
      stream.on('error', reject)
      stream.end(method === 'POST' ? '{}' : undefined)
    })
    assert.equal((await call('/json/reply/GetProduct?Id=1', 'GET')).status, 200)
    const executed = () => fleet.hosts[0]!.executed.filter(name => name === hidden)
    for (const target of spellings(hidden, 'GetProduct', []).filter(target => target.startsWith('/')).filter((_, index) => index % 7 === 0)) {
      const { status } = await call(target)
      assert.ok(status >= 400 || !target.includes(hidden), `${target}: ${status}`)
      assert.deepEqual(executed(), [], target)
    }
  } finally {
    session.destroy()
    await certificate.remove()
  }
})

test('a wildcard is read as its host reads it, wherever it stands', { timeout: 300_000 }, async () => {
  const restricted = { actions: ['ANY'], restrictTo: internalOnly, handler: () => ({ body: {} }) }
  const routes = { Wipe: '/wipe/{*Path}', Drop: '/drop/{Kind}/{Path*}', Erase: '/erase/{Kind}/{Part}/{*Path}', Clear: '/clear/{Path*}/now', Export: '/export/{Path*}.{Format}', Mixed: '/mixed/{Name}.{Kind}' }
  await using fleet = await startFleet([{ messages: Object.fromEntries(Object.entries(routes).map(([name, route]) => [name, { ...restricted, routes: [route] }])) }], {
    upstreams: { Catalog: { customRoutes: true } },
    prefixes: { '/direct/*': { upstream: 'Catalog', rewrite: '/' } }
  })
  const { gateway, hosts: [host] } = fleet
  const paths = ['/wipe', '/wipe/a', '/wipe/a/b/', '/wipe.json', '/drop', '/drop/', '/drop.json', '/drop/a', '/drop/a/b/c', '/erase', '/erase/a', '/erase/a/b', '/erase/a/b/c', '/clear/now', '/clear/a/b/now', '/export/a.csv', '/mixed/a.b', '/mixed/a.b.json']
  const direct = new Set<string>()
  for (const path of paths) {
    host!.executed.length = 0
    await request(targetOf(host!.url), path)
    if (host!.executed.length > 0) direct.add(path)
  }
  assert.ok(['/wipe/a/b/', '/drop', '/erase', '/clear/a/b/now', '/mixed/a.b'].every(path => direct.has(path)), `the host takes ${[...direct].join()}`)
  host!.executed.length = 0
  for (const path of paths) {
    for (const prefix of ['', '/direct']) {
      const answer = await gateway.get(prefix + path)
      assert.deepEqual([answer.status, host!.executed], [404, []], prefix + path)
    }
  }
})

describe('a prefix route is no way to what its service keeps back', { timeout: 300_000 }, () => {
  const any = { actions: ['ANY'], handler: () => ({ body: {} }) }
  const restricted = { ...any, routes: ['/purge'], restrictTo: internalOnly }
  const uncached = { policy: { cache: { mode: 'off' as const } } }
  const toCatalog = { upstream: 'Catalog', rewrite: '/' }

  test('though another service has a message of that name; and its paths shut no other prefix', async () => {
    await using origin = await startOrigin(behave.echo())
    await using fleet = await startFleet([{ service: 'Other', messages: { Purge: any, Mine: any, Page: { ...any, routes: ['/{Section}/page'], restrictTo: internalOnly } } }, { messages: { Purge: restricted, Thing: { ...any, routes: ['/things/{Name}'] }, Mine: { ...any, routes: ['/things/mine'] } } }], {
      defaults: uncached,
      upstreams: { Catalog: { customRoutes: true }, plain: { endpoints: [origin.url] } },
      messages: { Purge: { upstream: 'Other' }, Mine: { upstream: 'Other' } },
      prefixes: { '/direct/*': toCatalog, '/plain/*': { upstream: 'plain' } }
    } as never)
    const [other, catalog] = fleet.hosts
    const statusOf = async (path: string) => (await fleet.gateway.get(path)).status
    for (const path of ['/direct/json/reply/Purge', '/direct/api/Purge', '/direct/purge', '/direct/purge.json', '/direct/things/mine', '/things/mine', '/things/mine.json']) assert.equal(await statusOf(path), 404, path)
    assert.deepEqual(catalog!.executed, [])
    for (const path of ['/json/reply/Purge', '/json/reply/Mine', '/things/1', '/direct/things/1', '/plain/page', '/plain/json/x']) assert.equal(await statusOf(path), 200, path)
    assert.deepEqual([other!.executed, catalog!.executed], [['Purge', 'Mine'], ['Thing', 'Thing']])
  })

  for (const [publishes, trustTags, status] of [[503, false, 503], [503, true, 503], [404, false, 404], [404, true, 200]] as const) {
    test(`whose list answers ${publishes}, trustTags ${trustTags}`, async () => {
      await using host = await startServiceStackHost({ messages: { Purge: restricted }, publishes })
      await using gateway = await startGateway({ registry: { embedded: { address: '127.0.0.1:0' } }, defaults: uncached, upstreams: { Catalog: { trustTags } }, prefixes: { '/direct/*': toCatalog } } as never)
      await registerAsPlugin(gateway.embedded!, host, { heartbeatIntervalS: 1 })
      const paths = status === 200 ? ['/direct/purge'] : ['/direct/purge', '/direct/page', '/direct/json/reply/Purge']
      // Before it is known, some of them are answered so too.
      await until(`all are answered ${status}`, async () => (await Promise.all(paths.map(async path => (await gateway.get(path)).status))).every(one => one === status))
      if (status === 200) return
      assert.deepEqual(host.executed, [])
      host.publishes = 'list'
      if (publishes !== 503) return
      await until('its list is read', async () => (await gateway.get('/direct/purge')).status === 404)
      host.publishes = 503
      await registerAsPlugin(gateway.embedded!, { id: host.id, address: host.address, tags: [...host.tags, 'asks-again'] }, { heartbeatIntervalS: 1 })
      for (const path of ['/direct/purge', '/direct/json/reply/Purge']) assert.equal((await gateway.get(path)).status, 404, path)
      assert.deepEqual(host.executed, [])
    })
  }
})
