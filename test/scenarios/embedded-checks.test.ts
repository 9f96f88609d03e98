// Whoever may register at the embedded registry says where Postern runs his checks: only where its endpoints may stand, and never at Postern itself.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { request, targetOf } from '../support/http-client.ts'
import { until } from '../support/until.ts'

interface Check { readonly ServiceID: string, readonly Status: string, readonly Output: string }

const config = (more: object = {}) => ({
  registry: { embedded: { address: '127.0.0.1:0' }, ...more },
  upstreams: { Legacy: { endpoints: ['http://127.0.0.1:1'] } },
  prefixes: { '/legacy/*': { upstream: 'Legacy' } }
}) as never

async function register (gateway: TestGateway, id: string, check: object): Promise<void> {
  const body = { ID: id, Name: 'api', Address: '127.0.0.1', Port: 9, Check: { Interval: '1s', Timeout: '5s', ...check } }
  const { status } = await request(targetOf(gateway.embedded!), '/v1/agent/service/register', { method: 'PUT', headers: [['Content-Type', 'application/json']], body: JSON.stringify(body) })
  assert.equal(status, 200)
}

const found = (gateway: TestGateway, id: string, status: string) => until(`the check of ${id} to be ${status}`, async () => {
  const checks = (await request(targetOf(gateway.embedded!), '/v1/agent/checks')).json() as Record<string, Check>
  return Object.values(checks).find(({ ServiceID, Status, Output }) => ServiceID === id && Status === status && Output !== '')?.Output
})

test('a check runs where endpoints may stand, and never at a listener of Postern, neither by a redirect', { timeout: 300_000 }, async t => {
  let admin = ''
  const asked: string[] = []
  const server = http.createServer((request, response) => {
    asked.push(request.url!)
    if (request.url === '/away') response.writeHead(307, { Location: `${admin}/api/breakers/hold` }).end()
    else response.end('well')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => { server.closeAllConnections(); server.close() })
  const own = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await using gateway = await startGateway(config())
  admin = gateway.admin
  const hold = { Method: 'POST', Header: { 'Content-Type': ['application/json'] }, Body: JSON.stringify({ upstream: 'Legacy', held: 'open', by: 'whoever registers', reason: 'he can' }) }
  const { port } = new URL(gateway.admin)
  const refused: ReadonlyArray<readonly [id: string, check: object, why: RegExp]> = [
    ['admin', { HTTP: `${gateway.admin}/api/breakers/hold`, ...hold }, /own listener/],
    ['admin-name', { HTTP: `http://localhost:${port}/api/breakers/hold`, ...hold }, /own listener/],
    ['admin-redirect', { HTTP: `${own}/away`, ...hold }, /own listener/],
    ['admin-tcp', { TCP: `127.0.0.1:${port}` }, /own listener/],
    ['listener', { HTTP: `${gateway.url}/` }, /own listener/],
    ['embedded', { HTTP: `${gateway.embedded}/v1/agent/checks` }, /own listener/],
    ['public', { TCP: '192.0.2.1:80' }, /allowedNetworks/],
    ['public-http', { HTTP: 'http://192.0.2.1/' }, /allowedNetworks/]
  ]
  for (const [id, check] of refused) await register(gateway, id, check)
  await register(gateway, 'well', { HTTP: `${own}/well` })
  await register(gateway, 'well-tcp', { TCP: own.slice('http://'.length) })
  for (const id of ['well', 'well-tcp']) await found(gateway, id, 'passing')
  for (const [id, , why] of refused) assert.match(await found(gateway, id, 'critical'), why, id)
  assert.ok(asked.includes('/away'))
  const { upstreams } = (await request(targetOf(gateway.admin), '/api/breakers')).json() as { upstreams?: unknown }
  assert.doesNotMatch(JSON.stringify(upstreams ?? {}), /whoever registers/)
})

test('other networks hold for checks that are there already, from the reload on', { timeout: 300_000 }, async t => {
  const server = http.createServer((_request, response) => { response.end('well') })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => { server.closeAllConnections(); server.close() })
  await using gateway = await startGateway(config())
  await register(gateway, 'one', { HTTP: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` })
  await found(gateway, 'one', 'passing')
  await gateway.reload(config({ allowedNetworks: ['10.0.0.0/8'] }))
  assert.match(await found(gateway, 'one', 'critical'), /allowedNetworks/)
  await gateway.reload(config())
  await found(gateway, 'one', 'passing')
})
