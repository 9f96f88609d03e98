// What is asked for everybody says nothing of the client that came first; services that look at such headers, and say so or refuse without, are told them.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import type { RawResponse } from '../support/http-client.ts'
import { startOrigin, type Origin } from '../support/origin.ts'
import { head, write, type HeaderList } from '../support/raw-server.ts'

const isHit = (answer: RawResponse): boolean => /; hit/.test(answer.header('cache-status') ?? '')

/** Answers with the User-Agent it was asked with. */
async function startTeller (asked: string[], answer: (agent: string) => { status: number, headers: HeaderList }): Promise<Origin> {
  return await startOrigin(async request => {
    const agent = request.header('user-agent') ?? 'nobody'
    asked.push(agent)
    const { status, headers } = answer(agent)
    await write(request.socket, head(status, 'Told', [...headers, ['Content-Length', String(agent.length)]]) + agent)
  })
}

async function startBefore (origin: Origin): Promise<TestGateway> {
  const gateway = await startGateway({ upstreams: { Shop: { endpoints: [origin.url] } }, messages: { Search: { upstream: 'Shop' } } } as PartialConfig)
  await gateway.waitForEndpoint(origin.url)
  return gateway
}

const by = (agent: string) => ({ headers: [['User-Agent', agent]] as HeaderList })

test('a service that varies by User-Agent is asked once more the first time, and told it from then on', { timeout: 60_000 }, async () => {
  const asked: string[] = []
  await using origin = await startTeller(asked, () => ({ status: 200, headers: [['Vary', 'User-Agent'], ['Cache-Control', 'max-age=60']] }))
  await using gateway = await startBefore(origin)
  for (const [path, agent, hit] of [['?Id=1', 'phone', false], ['?Id=1', 'phone', true], ['?Id=1', 'desk', false], ['?Id=2', 'desk', false], ['?Id=1', 'desk', true]] as const) {
    const answer = await gateway.get(`/json/reply/Search${path}`, by(agent))
    assert.equal(answer.text(), agent)
    assert.equal(isHit(answer), hit, `${path} ${agent}`)
  }
  assert.deepEqual(asked, ['postern (cache)', 'phone', 'desk', 'desk'])
})

test('several that are asked for at once teach each other nothing too late', { timeout: 60_000 }, async () => {
  const asked: string[] = []
  const both = Promise.withResolvers<void>()
  await using origin = await startOrigin(async request => {
    const agent = request.header('user-agent') ?? 'nobody'
    asked.push(agent)
    if (asked.length === 2) both.resolve()
    await both.promise
    await write(request.socket, head(200, 'OK', [['Vary', 'User-Agent'], ['Cache-Control', 'max-age=60'], ['Content-Length', String(agent.length)]]) + agent)
  })
  await using gateway = await startBefore(origin)
  const answers = await Promise.all([1, 2].map(async id => await gateway.get(`/json/reply/Search?Id=${id}`, by('phone'))))
  assert.deepEqual(answers.map(answer => answer.text()), ['phone', 'phone'])
  assert.deepEqual(asked, ['postern (cache)', 'postern (cache)', 'phone', 'phone'])
})

test('so is one whose answers cannot be stored', { timeout: 60_000 }, async () => {
  const asked: string[] = []
  await using origin = await startTeller(asked, () => ({ status: 200, headers: [['Vary', 'User-Agent'], ['Cache-Control', 'no-store']] }))
  await using gateway = await startBefore(origin)
  for (const [id, agent] of ['phone', 'desk'].entries()) assert.equal((await gateway.get(`/json/reply/Search?Id=${id}`, by(agent))).text(), agent)
  assert.deepEqual(asked, ['postern (cache)', 'phone', 'desk'])
})

test('a service that refuses whoever says nothing of himself gets the request as it was sent', { timeout: 60_000 }, async () => {
  const asked: string[] = []
  await using origin = await startTeller(asked, agent => agent === 'postern (cache)' ? { status: 403, headers: [] } : { status: 200, headers: [['Cache-Control', 'no-store']] })
  await using gateway = await startBefore(origin)
  for (let i = 0; i < 2; i++) {
    const answer = await gateway.get('/json/reply/Search', by('phone'))
    assert.deepEqual([answer.status, answer.text()], [200, 'phone'])
  }
  assert.deepEqual(asked, ['postern (cache)', 'phone', 'phone'])
})

test('whoever is refused all the same is told so', { timeout: 60_000 }, async () => {
  const asked: string[] = []
  await using origin = await startTeller(asked, () => ({ status: 403, headers: [] }))
  await using gateway = await startBefore(origin)
  assert.equal((await gateway.get('/json/reply/Search', by('phone'))).status, 403)
  assert.deepEqual(asked, ['postern (cache)', 'phone'])
})
