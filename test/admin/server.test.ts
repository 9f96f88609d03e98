// The admin listener on real sockets, in front of a gateway that is made up.
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import assert from 'node:assert/strict'
import { request, type IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { once } from 'node:events'
import { ActionRefused } from '../../src/admin/actions.ts'
import { createAdmin, type AdminCore } from '../../src/admin/server.ts'

const core: AdminCore = {
  ready: () => ({ ready: true, reason: 'ready' }),
  metricsText: async () => 'postern_ready 1\n',
  metricsContentType: 'text/plain; version=0.0.4; charset=utf-8',
  describe: async what => JSON.stringify({ [what]: [{ name: 'Orders' }], registries: [] }),
  actions: [],
  cachedNames: () => [],
  upstreamStates: () => [{ name: 'Orders', inFlight: 2 }],
  configView: () => ({ registry: { consul: { agents: ['http://user:hunter2@10.0.0.1:8500'], token: 'hunter2', messageMetaKey: 'messages' } }, log: { level: 'info' } }),
  version: '1.2.3'
}

async function start (t: TestContext, more: Partial<AdminCore> = {}, config = { address: '127.0.0.1:0' } as { address: string, probesAddress?: string }) {
  const errors: object[] = []
  const admin = await createAdmin({ config, core: { ...core, ...more }, log: { error: fields => { errors.push(fields) } } })
  t.after(() => admin.close())
  const call = (path: string, options: { method?: string, headers?: Record<string, string>, port?: number, body?: string } = {}) =>
    new Promise<{ status: number, headers: IncomingHttpHeaders, text: string }>((resolve, reject) => {
      const { method = 'GET', headers = {}, port = admin.addresses[0]!.port, body } = options
      const outgoing = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, response => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => { text += chunk }).on('end', () => { resolve({ status: response.statusCode!, headers: response.headers, text }) })
      })
      outgoing.on('error', reject).end(body)
    })
  return { admin, call, errors }
}

test('liveness is always 200, readiness says why not', async t => {
  let state = { ready: false, reason: 'no route table yet' }
  const { call } = await start(t, { ready: () => state })
  assert.equal((await call('/livez')).status, 200)
  const notReady = await call('/readyz')
  assert.equal(notReady.status, 503)
  assert.deepEqual(JSON.parse(notReady.text), { status: 'not ready', reason: 'no route table yet' })
  state = { ready: true, reason: 'ready' }
  assert.equal((await call('/readyz')).status, 200)
  assert.equal((await call('/readyz/?verbose')).status, 200)
})

test('metrics come with their content type; callers at the same time share one scrape', async t => {
  let scrapes = 0
  const { promise: scraped, resolve: finish } = Promise.withResolvers<string>()
  const { admin, call } = await start(t, { metricsText: () => { scrapes++; return scraped } })
  const socket = connect(admin.addresses[0]!.port, '127.0.0.1')
  t.after(() => socket.destroy())
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => { text += chunk })
  // In one segment, so all three are taken before the first is answered.
  socket.write('GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(2) + 'GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')
  while (scrapes === 0) await new Promise(resolve => setImmediate(resolve))
  finish('postern_ready 1\n')
  await once(socket, 'close')
  assert.equal(text.split('postern_ready 1\n').length, 4)
  assert.equal(scrapes, 1)
  assert.equal((await call('/metrics')).headers['content-type'], core.metricsContentType)
  assert.equal(scrapes, 2)
})

test('routes pass as the control plane made them; upstreams get the live state beside them', async t => {
  const { call } = await start(t)
  assert.equal((await call('/api/routes')).text, '{"routes":[{"name":"Orders"}],"registries":[],"cached":[]}')
  assert.deepEqual(JSON.parse((await call('/api/upstreams')).text), { upstreams: [{ name: 'Orders' }], registries: [], live: [{ name: 'Orders', inFlight: 2 }] })
})

test('a control plane that does not answer is 503 after two seconds, and the live state is told all the same', { timeout: 120_000 }, async t => {
  const { call } = await start(t, { describe: () => new Promise(() => {}) })
  const [routes, upstreams] = await Promise.all([call('/api/routes'), call('/api/upstreams')])
  assert.equal(routes.status, 503)
  assert.equal((JSON.parse(routes.text) as { error: { code: string } }).error.code, 'ControlPlaneSilent')
  assert.equal(upstreams.status, 503)
  assert.deepEqual((JSON.parse(upstreams.text) as { live: unknown }).live, [{ name: 'Orders', inFlight: 2 }])
})

test('a control plane that died is said, not hidden behind a 500', async t => {
  const { call } = await start(t, { describe: async () => { throw new Error('the control thread has stopped') } })
  const answer = await call('/api/routes')
  assert.equal(answer.status, 503)
  assert.match(answer.text, /the control thread has stopped/)
})

test('the configuration is shown without its secrets', async t => {
  const { call } = await start(t)
  const { text } = await call('/api/config')
  assert.equal(text.includes('hunter2'), false)
  assert.deepEqual(JSON.parse(text), { registry: { consul: { agents: ['http://[redacted]@10.0.0.1:8500'], token: '[redacted]', messageMetaKey: 'messages' } }, log: { level: 'info' } })
})

test('version and index page', async t => {
  const { call } = await start(t, { ready: () => ({ ready: false, reason: 'a <b> reason' }) })
  assert.deepEqual(JSON.parse((await call('/api/version')).text), { version: '1.2.3', node: process.version })
  const page = await call('/')
  assert.match(page.headers['content-type']!, /^text\/html/)
  assert.ok(page.text.includes('href="/api/upstreams"'))
  assert.equal(page.text.includes('<b>'), false)
})

test('an unknown path is told what there is; a wrong method, which works', async t => {
  const { call } = await start(t)
  const unknown = await call('/api/route')
  assert.equal(unknown.status, 404)
  assert.ok('/api/routes' in (JSON.parse(unknown.text) as { error: { endpoints: object } }).error.endpoints)
  const post = await call('/api/routes', { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } })
  assert.equal(post.status, 405)
  assert.equal(post.headers.allow, 'GET, HEAD')
})

test('HEAD is answered as GET without its body', async t => {
  const { call } = await start(t)
  for (const path of ['/livez', '/readyz', '/metrics', '/api/routes', '/api/upstreams', '/']) {
    const head = await call(path, { method: 'HEAD' })
    assert.equal(head.status, 200, path)
    assert.equal(head.text, '')
    assert.equal(Number(head.headers['content-length']), Buffer.byteLength((await call(path)).text), path)
  }
})

const hosts = [
  { host: '127.0.0.1:9901', status: 200 },
  { host: 'localhost', status: 200 },
  { host: 'LOCALHOST:1', status: 200 },
  { host: '[::1]:9901', status: 200 },
  { host: 'postern.localhost', status: 200 },
  { host: 'evil.example', status: 403 },
  { host: 'localhost.evil.example:9901', status: 403 },
  { host: '127.0.0.1.evil.example', status: 403 }
]
test('a name that was bound to this machine by somebody else is refused', async t => {
  const { call } = await start(t)
  for (const { host, status } of hosts) {
    for (const path of ['/api/config', '/nothing']) {
      const answer = await call(path, { headers: { host } })
      assert.equal(answer.status, path === '/nothing' && status === 200 ? 404 : status, `${host} ${path}`)
      assert.equal(answer.headers['access-control-allow-origin'], undefined)
    }
  }
})

test('elsewhere than on loopback any name is a name of this machine', async t => {
  const { call } = await start(t, {}, { address: '0.0.0.0:0' })
  assert.equal((await call('/api/version', { headers: { host: 'gateway-1.internal:9901' } })).status, 200)
})

test('the probes address serves the probes and nothing else', async t => {
  const { admin, call } = await start(t, {}, { address: '127.0.0.1:0', probesAddress: '127.0.0.1:0' })
  const port = admin.addresses[1]!.port
  assert.notEqual(port, admin.addresses[0]!.port)
  assert.equal((await call('/livez', { port, headers: { host: 'any.name' } })).status, 200)
  assert.equal((await call('/readyz', { port })).status, 200)
  for (const path of ['/', '/metrics', '/api/config', '/api/routes']) assert.equal((await call(path, { port })).status, 404, path)
})

test('what fails inside is logged, and told without its details', async t => {
  const { call, errors } = await start(t, { metricsText: async () => { throw new Error('hunter2') } })
  const answer = await call('/metrics')
  assert.equal(answer.status, 500)
  assert.equal(answer.text.includes('hunter2'), false)
  assert.equal(errors.length, 1)
})

test('an address in use is told, and nothing is left open', async t => {
  const { admin } = await start(t)
  const taken = `127.0.0.1:${admin.addresses[0]!.port}`
  await assert.rejects(createAdmin({ config: { address: '127.0.0.1:0', probesAddress: taken }, core, log: { error: () => {} } }), { code: 'EADDRINUSE' })
})

test('closing does not wait for a browser that keeps its connection', async t => {
  const { admin } = await start(t)
  const socket = connect(admin.addresses[0]!.port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write('GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n')
  await once(socket, 'data')
  const closed = once(socket, 'close')
  await admin.close()
  await closed
})

test('an action takes JSON only, answers JSON, and says what to do when it cannot be done', async t => {
  const asked: unknown[] = []
  const { call, errors } = await start(t, {
    actions: [{
      method: 'POST',
      path: '/api/holds/:name',
      says: 'Holds something.',
      run: input => {
        asked.push(input)
        if (input.parameters['name'] === 'nobody') throw new ActionRefused(404, 'NoSuchUpstream', 'There is no upstream nobody; /api/upstreams lists them.')
        return { held: input.parameters['name'] }
      }
    }]
  })
  const headers = { 'content-type': 'application/json' }
  const done = await call('/api/holds/Orders?for=5', { method: 'POST', headers, body: '{"reason":"test"}' })
  assert.equal(done.status, 200)
  assert.deepEqual(JSON.parse(done.text), { held: 'Orders' })
  assert.deepEqual(asked, [{ parameters: { for: '5', name: 'Orders' }, body: { reason: 'test' } }])
  const refused = await call('/api/holds/nobody', { method: 'POST', headers, body: '{}' })
  assert.equal(refused.status, 404)
  assert.match(refused.text, /NoSuchUpstream.*\/api\/upstreams lists them/)
  // What a form on another site could send.
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', undefined]) {
    const forged = await call('/api/holds/Orders', { method: 'POST', headers: type === undefined ? {} : { 'content-type': type }, ...type === undefined ? {} : { body: '{}' } })
    assert.equal(forged.status, 415, String(type))
  }
  assert.equal(asked.length, 2)
  assert.match((await call('/nothing')).text, /POST \/api\/holds\/:name/)
  assert.match((await call('/')).text, /Holds something/)
  assert.deepEqual(errors, [])
})
