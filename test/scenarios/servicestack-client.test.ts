// ServiceStack's own JavaScript client, unmodified, through the gateway: every verb, both base paths, and errors of both sides.
import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { JsonServiceClient } from '@servicestack/client'
import { startFleet, type Fleet } from '../support/fleet.ts'
import type { Generation } from '../support/recordings.ts'

/** A request DTO as `x typescript` generates it: the client asks it for its name, verb and response. */
function dto<R> (name: string, verb: string, members: object, createResponse: () => R) {
  return Object.assign(Object.create({ getTypeName: () => name, getMethod: () => verb, createResponse }) as { createResponse (): R, getTypeName (): string, getMethod (): string }, members)
}
interface Echoed { dto: Record<string, unknown>, verb: string }
const echo = (members: object, verb = 'POST') => dto<Echoed>('Echo', verb, members, () => ({} as Echoed))
const nothing = (members: object, verb = 'POST') => dto<void>('Nothing', verb, members, () => {})
interface Failed { responseStatus: { errorCode: string, message: string, errors?: Array<{ errorCode: string, fieldName: string }> } }

const basePaths: Array<[string, (client: JsonServiceClient) => JsonServiceClient]> = [
  ['/api (the 2.x default)', client => client],
  ['/json/reply', client => client.useBasePath()]
]

for (const generation of ['10.1.5', '5.2.0'] as Generation[]) {
  describe(`@servicestack/client through the gateway to ${generation}`, { timeout: 300_000 }, () => {
    let fleet: Fleet
    before(async () => {
      fleet = await startFleet([{
        generation,
        service: 'Orders',
        messages: {
          Echo: ({ dto, verb }) => ({ body: { dto, verb } }),
          Nothing: () => undefined,
          Boom: () => { throw new Error('database on fire') }
        }
      }])
    })
    after(async () => { await fleet[Symbol.asyncDispose]() })
    const host = () => fleet.hosts[0]!
    const failure = async (call: Promise<unknown>): Promise<Failed> => {
      try {
        await call
      } catch (error) {
        return error as Failed
      }
      throw new Error('it should have failed')
    }

    for (const [basePath, using] of basePaths) {
      const client = () => using(new JsonServiceClient(fleet.gateway.url))

      test(`verbs, ${basePath}`, async () => {
        const { get, post, put, patch } = { get: 'GET', post: 'POST', put: 'PUT', patch: 'PATCH' }
        assert.deepEqual(await client().get(echo({ Name: 'ann', Id: 1 }, get)), { dto: { name: 'ann', id: '1' }, verb: 'GET' })
        assert.deepEqual(await client().delete(echo({ Name: 'ann' }, 'DELETE')), { dto: { name: 'ann' }, verb: 'DELETE' })
        assert.deepEqual(await client().post(echo({ Name: 'ann' }, post)), { dto: { name: 'ann' }, verb: 'POST' })
        assert.deepEqual(await client().put(echo({ Name: 'ann' }, put)), { dto: { name: 'ann' }, verb: 'PUT' })
        assert.deepEqual(await client().patch(echo({ Name: 'ann' }, patch)), { dto: { name: 'ann' }, verb: 'PATCH' })
        assert.deepEqual(await client().send(echo({ Name: 'ünï & ☃' }, 'PUT')), { dto: { name: 'ünï & ☃' }, verb: 'PUT' })
        const api = await client().api(echo({ Name: 'ann' }))
        assert.equal(api.succeeded, true)
        assert.deepEqual(api.response, { dto: { name: 'ann' }, verb: 'POST' })
        assert.equal((await client().apiVoid(nothing({}) as never)).succeeded, true)
      })

      test(`many at once and one way, ${basePath}`, async () => {
        assert.deepEqual(await client().sendAll([echo({ Id: 1 }), echo({ Id: 2 })]), [{ dto: { id: 1 }, verb: 'POST' }, { dto: { id: 2 }, verb: 'POST' }])
        const before = host().executed.length
        await client().sendOneWay(nothing({ Id: 1 }))
        await client().publish(nothing({ Id: 2 }))
        await client().sendAllOneWay([nothing({ Id: 3 }), nothing({ Id: 4 })])
        assert.deepEqual(host().executed.slice(before), ['Nothing', 'Nothing', 'Nothing', 'Nothing'])
        assert.equal(host().calls.filter(({ target }) => /^\/json\/oneway\//.test(target)).length > 0, basePath.startsWith('/json'), 'one-way calls go to the form the client chose')
      })

      test(`errors of the service, ${basePath}`, async () => {
        const invalid = await failure(client().post(dto('PlaceOrder', 'POST', { Customer: '', Lines: [] }, () => ({}))))
        assert.equal(invalid.responseStatus.errorCode, 'NotEmpty')
        assert.deepEqual(invalid.responseStatus.errors!.map(({ fieldName }) => fieldName), ['Customer', 'Lines'])
        const boom = await failure(client().post(dto('Boom', 'POST', {}, () => ({}))))
        assert.equal(boom.responseStatus.errorCode, 'InvalidOperationException')
        assert.equal(boom.responseStatus.message, 'database on fire')
        const wrongVerb = await client().api(dto('PlaceOrder', 'PUT', { Customer: 'a' }, () => ({})))
        assert.equal(wrongVerb.error?.errorCode, 'NotImplementedException')
      })

      test(`errors of the gateway, ${basePath}`, async () => {
        const unknown = await failure(client().post(dto('NoSuchMessage', 'POST', {}, () => ({}))))
        assert.equal(unknown.responseStatus.errorCode, 'MessageNotFound')
        assert.ok(unknown.responseStatus.message.length > 0)
        const batch = await failure(client().sendAll([dto('NoSuchMessage', 'POST', {}, () => ({}))]))
        assert.equal(batch.responseStatus.errorCode, 'MessageNotFound')
        const builtIn = await client().api(dto('GetServices', 'GET', {}, () => ({})))
        assert.equal(builtIn.error?.errorCode, 'MessageNotFound')
      })
    }

    test('a service that is down is a typed error too, and works again when it is back', async () => {
      const client = new JsonServiceClient(fleet.gateway.url)
      await host().kill()
      const codes = new Set<string>()
      for (let n = 0; n < 3; n++) codes.add((await failure(client.post(echo({})))).responseStatus.errorCode)
      for (const code of codes) assert.match(code, /^(ConnectFailed|ConnectionClosed|NoEndpoint)$/)
      await host().server.listen()
      await fleet.gateway.waitForEndpoint(host().url)
      assert.deepEqual(await client.post(echo({ Id: 1 })), { dto: { id: 1 }, verb: 'POST' })
    })
  })
}

test('built-in messages that no registry lists are routed by YAML: signing in', { timeout: 300_000 }, async () => {
  await using fleet = await startFleet([{
    service: 'Auth',
    messages: {
      Authenticate: { actions: ['POST', 'GET'], handler: ({ dto }) => dto['username'] === 'ann' ? { headers: [['Set-Cookie', 'ss-id=abc; path=/; httponly'], ['Set-Cookie', 'ss-pid=def; expires=Wed, 21 Nov 2046 08:53:54 GMT; path=/; httponly']], body: { userName: 'ann', sessionId: 'abc' } } : { status: 401, reason: 'Unauthorized', body: { responseStatus: { errorCode: 'Unauthorized', message: 'Invalid Username or Password' } } } },
      WhoAmI: ({ request }) => ({ body: { cookie: request.header('cookie') ?? '' } })
    }
  }], { messages: { Authenticate: { upstream: 'Auth' } } })
  const client = new JsonServiceClient(fleet.gateway.url)
  const authenticated = await client.post(dto<{ userName: string }>('Authenticate', 'POST', { provider: 'credentials', userName: 'ann', password: 'x' }, () => ({ userName: '' })))
  assert.equal(authenticated.userName, 'ann')
  const who = await client.get(dto<{ cookie: string }>('WhoAmI', 'GET', {}, () => ({ cookie: '' })))
  assert.match(who.cookie, /ss-id=abc/)
  const refused = await client.api(dto('Authenticate', 'POST', { userName: 'bob' }, () => ({})))
  assert.equal(refused.error?.errorCode, 'Unauthorized')
})
