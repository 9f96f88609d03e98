// The double against the recordings it is built on: every recorded request is sent to it and the answer compared byte for byte.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { openConnection, request, sendBytes } from './http-client.ts'
import { recordedAddress, recordedCases, recordedPaths, type Generation } from './recordings.ts'
import { startServiceStackHost } from './servicestack-host.ts'
import { until } from './until.ts'

const generations: Generation[] = ['10.1.5', '5.2.0']
const withoutDate = (headers: Array<readonly [string, string]>) => headers.map(([name, value]) => name === 'Date' ? 'Date' : `${name}: ${value}`)

for (const generation of generations) {
  for (const service of ['Catalog', 'Orders']) {
    test(`every recorded request to ${service} ${generation} gets the recorded bytes`, async () => {
      const name = service.toLowerCase() as 'catalog' | 'orders'
      await using host = await startServiceStackHost({ generation, service, address: recordedAddress[name][generation] })
      const cases = recordedCases(generation).filter(recorded => recorded.host === name)
      assert.ok(cases.length > 20)
      for (const recorded of cases) {
        using connection = await openConnection({ host: '127.0.0.1', port: host.port })
        connection.send(recorded.request)
        const head = await connection.head()
        assert.equal(head.statusLine, recorded.status, recorded.name)
        assert.deepEqual(withoutDate(head.headers), withoutDate(recorded.headers), recorded.name)
        if (recorded.body === undefined) assert.equal((await connection.reader.rest()).length, recorded.htmlBytes, recorded.name)
        else {
          const body = recorded.ended === 'timer' ? await connection.reader.take(recorded.body.length) : await connection.reader.rest()
          assert.equal(body.toString('latin1'), recorded.body.toString('latin1'), recorded.name)
        }
      }
      assert.deepEqual(host.complaints, [])
      assert.deepEqual(host.received.map(({ target }) => target), cases.map(({ target }) => target))
    })
  }

  test(`every recorded spelling of a path is read as ${generation} reads it`, async () => {
    for (const recorded of recordedPaths(generation)) {
      await using host = await startServiceStackHost({ generation, replay: false })
      const answer = await sendBytes({ host: '127.0.0.1', port: host.port }, `GET ${recorded.target} HTTP/1.1\r\nHost: catalog.test\r\nConnection: close\r\n\r\n`)
      assert.equal(answer.status, Number(recorded.status.split(' ')[1]), recorded.target)
      // Own ports, ids and page sizes aside, what came starts as recorded.
      const norm = (text: string) => text.replace(/^[0-9a-f]+\r\n/, '').replaceAll(/127\.0\.0\.1:\d+/g, 'HOST').replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'GUID')
      const [got, wanted] = [norm(answer.rawBody.toString()), norm(recorded.opening)]
      if (wanted.startsWith('<!doctype html>')) assert.match(got, /^<!doctype html>/, recorded.target)
      else if (wanted.startsWith('{"other":')) assert.match(got, /^{"other":\[{"name":"[^"]+","returns":/, recorded.target)
      else assert.ok(got.startsWith(wanted.slice(0, 100)), `${recorded.target}: ${got.slice(0, 160)}`)
      const reached = recorded.opening.includes('{"results":[]}') || recorded.target.includes('SlowReport[]')
      if (reached && !recorded.target.includes('[]')) assert.deepEqual(host.executed, ['SlowReport'], recorded.target)
    }
  })
}

test('recorded addresses are replaced by the own one, framing included', async () => {
  await using host = await startServiceStackHost({ service: 'Orders' })
  const answer = await request(host.url, '/json/reply/PlaceOrder', { method: 'POST', headers: [['Content-Type', 'application/json']], body: '{"Customer":"ann","Lines":[{"ProductId":1,"Count":2}]}' })
  assert.deepEqual(answer.json(), { orderId: 'o-ann', lines: 1, instance: host.address })
  assert.equal(answer.header('connection'), undefined, 'Kestrel says nothing about a connection that stays')
})

test('a base path: everything works below it and nothing above', async () => {
  await using host = await startServiceStackHost({ basePath: '/sub/api' })
  assert.equal(host.address, `http://127.0.0.1:${host.port}/sub/api`)
  assert.equal((await request(host.url, '/sub/api/json/reply/GetProduct?Id=3')).json().id, 3)
  const above = await request(host.url, '/json/reply/GetProduct?Id=3')
  assert.equal(above.status, 404)
  assert.equal(above.body.length, 0)
})

test('the list is JSON only when asked for JSON, and what it says can be switched', async () => {
  await using host = await startServiceStackHost({ messages: { Extra: () => undefined } })
  const json = { headers: [['Accept', 'application/json']] as const }
  assert.match((await request(host.url, '/operations/metadata')).header('content-type')!, /html/)
  const names = (await request(host.url, '/operations/metadata', json)).json().map((operation: { name: string }) => operation.name)
  assert.ok(names.includes('Extra') && names.includes('ReindexProducts') && names.includes('Heartbeat'))
  host.publishes = 404
  assert.equal((await request(host.url, '/operations/metadata', json)).status, 404)
})

test('the own id is that of the running process', async () => {
  await using host = await startServiceStackHost()
  const id = async () => (await request(host.url, '/json/reply/ServiceRegistration')).json().id
  const first = await id()
  assert.equal(first, host.id)
  assert.match(first, /^ss-Catalog-[0-9a-f-]{36}$/)
  await host.kill()
  await assert.rejects(request(host.url, '/json/reply/Heartbeat'))
  await host.restart()
  assert.notEqual(await id(), first)
})

test('off the recordings: chunked is empty, overrides are obeyed, HEAD needs its verb, keep-alive holds', async () => {
  for (const generation of generations) {
    await using host = await startServiceStackHost({ generation, messages: { Echo: ({ dto, verb }) => ({ body: { dto, verb } }), OnlyPost: { actions: ['POST'], handler: () => undefined } } })
    using connection = await openConnection(host.url)
    connection.send('POST /json/reply/Echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{"a":1}\r\n0\r\n\r\n')
    const chunked = await connection.response()
    if (generation === '5.2.0') assert.equal(chunked.status, 400)
    else assert.deepEqual(chunked.json(), { dto: {}, verb: 'POST' })
    connection.send('GET /json/reply/Echo?B=2&x-http-method-override=DELETE HTTP/1.1\r\nHost: x\r\n\r\n')
    assert.equal((await connection.response()).json().verb, 'DELETE')
    connection.send('HEAD /json/reply/OnlyPost HTTP/1.1\r\nHost: x\r\n\r\n')
    assert.equal((await connection.response('HEAD')).status, 405)
    connection.send('POST /json/reply/Echo[] HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n[{"a":1},{"a":2}]')
    const batch = await connection.response()
    assert.equal(batch.header('x-autobatch-completed'), '2')
    assert.equal(batch.json().length, 2)
    assert.equal(host.server.accepted, 1)
  }
})

test('a caller that leaves is noticed while a message runs', async () => {
  await using host = await startServiceStackHost()
  using connection = await openConnection(host.url)
  connection.send('GET /json/reply/SlowReport?Milliseconds=60000 HTTP/1.1\r\nHost: x\r\n\r\n')
  await until('the message runs', () => host.executed.length === 1)
  connection.close()
  await until('the host noticed', () => host.received[0]!.gone)
})
