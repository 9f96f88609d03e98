// What a client sees when a service misbehaves: every fault against every kind of call, on real sockets; each call counted at the origins.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { makeCertificate } from '../support/certificates.ts'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import type { RawResponse, RequestOptions } from '../support/http-client.ts'
import * as behave from '../support/origin.ts'
import { startOrigin, type Behaviour, type Origin } from '../support/origin.ts'
import { registerAsPlugin } from '../support/plugin-registration.ts'
import { startFleet } from '../support/fleet.ts'
import { startServiceStackHost, type MessageHandler } from '../support/servicestack-host.ts'
import { until } from '../support/until.ts'

/** Longer than what is read before an endpoint is chosen, so its body streams. */
const upload = Buffer.alloc(200_000, 'x')
const json: RequestOptions['headers'] = [['Content-Type', 'application/json']]

const kinds = {
  GET: ['/json/reply/Echo', { method: 'GET' }],
  POST: ['/json/reply/Echo', { method: 'POST', headers: json, body: '{"id":1}' }],
  'one-way': ['/json/oneway/Echo', { method: 'POST', headers: json, body: '{"id":1}' }],
  batch: ['/json/reply/Echo[]', { method: 'POST', headers: json, body: '[{"id":1},{"id":2}]' }],
  streaming: ['/json/reply/Echo', { method: 'POST', headers: [['Content-Type', 'application/octet-stream']], body: upload }]
} as const satisfies Record<string, readonly [path: string, options: RequestOptions]>
type Kind = keyof typeof kinds

/** A status with the gateway's error code, a status of the service, or `cut`: the head came, the body did not come whole. */
type Outcome = '200' | '429' | '500' | '502 ConnectFailed' | '502 ConnectionClosed' | '502 BadAnswer' | '504 HeadersTimeout' | 'cut'

interface Fault {
  readonly name: string
  /** How the endpoint that is asked first behaves; undefined: nothing listens there. The other one is well. */
  readonly behaviour: Behaviour | undefined
  /** What every kind of call comes to, and GET if it comes to something else: nothing but a GET may be sent a second time. */
  readonly expected: Outcome
  readonly get?: Outcome
  /** Only a time-out ends it. */
  readonly hangs?: true
}

const wrongLength: Behaviour = behave.raw('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nlonger than three')
const closedLate: Behaviour = behave.raw('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nhalf of it', { close: true })
const twoLengths: Behaviour = behave.raw('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc')
const resetInBody: Behaviour = async request => {
  await request.body()
  request.socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nhalf of it', () => request.socket.resetAndDestroy())
}

const faults: readonly Fault[] = [
  { name: 'refused', behaviour: undefined, expected: '200' },
  { name: 'reset before the head', behaviour: behave.reset(), expected: '502 ConnectionClosed', get: '200' },
  { name: 'reset in the middle of the head', behaviour: behave.cutHead({ reset: true }), expected: '502 ConnectionClosed', get: '200' },
  { name: 'closed in the middle of the head', behaviour: behave.cutHead(), expected: '502 ConnectionClosed', get: '200' },
  { name: 'reset in the body', behaviour: resetInBody, expected: 'cut' },
  { name: 'closed in the body', behaviour: behave.cutBody(), expected: 'cut' },
  { name: 'closed in a chunked body', behaviour: behave.cutBody('chunked'), expected: 'cut' },
  { name: 'hangs before the head', behaviour: behave.hang(), expected: '504 HeadersTimeout', get: '200', hangs: true },
  { name: 'hangs in the body', behaviour: behave.stall(), expected: 'cut', hangs: true },
  { name: 'drips', behaviour: behave.drip(10, 15), expected: '200' },
  { name: 'garbage', behaviour: behave.raw('SSH-2.0-OpenSSH_9.2\r\n\r\n', { close: true }), expected: '502 BadAnswer', get: '200' },
  { name: 'more bytes than Content-Length', behaviour: wrongLength, expected: '200' },
  { name: 'fewer bytes than Content-Length', behaviour: closedLate, expected: 'cut' },
  { name: 'two different Content-Lengths', behaviour: twoLengths, expected: '502 BadAnswer', get: '200' },
  { name: '429', behaviour: behave.ok('{}', { status: 429, reason: 'Too Many Requests', headers: [['Retry-After', '1']] }), expected: '429' },
  { name: '500', behaviour: behave.ok('{}', { status: 500, reason: 'InvalidOperationException' }), expected: '500' }
]

/** Long enough for a healthy answer of a busy machine, short enough to be waited for. */
const hangMs = 1_000
/** Where nothing hangs, no time-out may have a say. */
const neverMs = 10_000
/** In turn, so that every fault is met. */
const limitsOf = (waitMs: number): NonNullable<PartialConfig['defaults']> => ({ policy: { balancer: { strategy: 'round-robin' }, headersTimeoutMs: waitMs, bodyIdleTimeoutMs: waitMs, connectTimeoutMs: 8_000 } })

async function startBehind (urls: readonly string[], waitMs = neverMs): Promise<TestGateway> {
  const gateway = await startGateway({ defaults: limitsOf(waitMs), messages: { Echo: { upstream: 'several' } }, upstreams: { several: { endpoints: [...urls] } } } as PartialConfig)
  await until('the gateway has its table', () => gateway.gateway.ready, { timeoutMs: 20_000 })
  return gateway
}

async function call (gateway: TestGateway, kind: Kind): Promise<RawResponse> {
  const [path, options] = kinds[kind]
  return await gateway.request(path, options)
}

function outcomeOf (response: RawResponse): string {
  if (!response.whole) return 'cut'
  const own = /"errorCode":"(\w+)"/.exec(response.text())?.[1]
  return own === undefined ? String(response.status) : `${response.status} ${own}`
}

const allKinds = Object.keys(kinds) as Kind[]
const executions = (...origins: readonly Origin[]) => origins.reduce((sum, { received }) => sum + received.length, 0)

describe('one of two endpoints misbehaves', { timeout: 300_000, concurrency: 4 }, () => {
  for (const { name, behaviour, expected, get = expected, hangs } of faults) {
    for (const kind of allKinds) {
      test(`${name} x ${kind}`, async () => {
        await using bad = await startOrigin(behaviour)
        await using good = await startOrigin()
        if (behaviour === undefined) await bad.close()
        await using gateway = await startBehind([bad.url, good.url], hangs ? hangMs : neverMs)
        // Whichever is asked first, one of two calls in turn meets the fault: both are well, or one comes to what is expected.
        const outcomes = [outcomeOf(await call(gateway, kind)), outcomeOf(await call(gateway, kind))]
        const wanted = kind === 'GET' ? get : expected
        assert.deepEqual(outcomes.toSorted(), ['200', wanted].toSorted())
        if (behaviour !== undefined) assert.ok(bad.received.length > 0, 'the fault was met')
        // A GET may have been sent twice, once to each; nothing else ever is.
        if (kind !== 'GET') assert.equal(executions(bad, good), 2)
        await until('nothing is under way any more', async () => await gateway.metric('postern_in_flight') === 0)
      })
    }
  }
})

/** Calls one after the other; how often each outcome came. */
async function callRepeatedly (gateway: TestGateway, kind: Kind, times: number): Promise<Map<string, number>> {
  const outcomes = new Map<string, number>()
  for (let n = 0; n < times; n++) {
    const outcome = outcomeOf(await call(gateway, kind))
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  }
  return outcomes
}

function assertOnly (outcomes: ReadonlyMap<string, number>, allowed: readonly string[]): void {
  assert.deepEqual([...outcomes.keys()].filter(outcome => !allowed.includes(outcome)), [], JSON.stringify([...outcomes]))
}

async function startAll (stack: AsyncDisposableStack, behaviours: readonly Behaviour[]): Promise<Origin[]> {
  const origins: Origin[] = []
  for (const behaviour of behaviours) origins.push(stack.use(await startOrigin(behaviour)))
  return origins
}

describe('several misbehave', { timeout: 300_000, concurrency: 4 }, () => {
  const failing = behave.ok('{}', { status: 500, reason: 'InvalidOperationException' })

  for (const kind of allKinds) {
    test(`a storm of 500 x ${kind}: passed on, or a pause is asked for; never executed twice`, async () => {
      await using stack = new AsyncDisposableStack()
      const origins = await startAll(stack, [failing, failing])
      const gateway = stack.use(await startBehind(origins.map(({ url }) => url)))
      const outcomes = await callRepeatedly(gateway, kind, 30)
      assertOnly(outcomes, ['500', '503 BreakerOpen'])
      assert.equal(executions(...origins), outcomes.get('500'))
    })

    test(`half of four hang x ${kind}`, async () => {
      await using stack = new AsyncDisposableStack()
      const origins = await startAll(stack, [behave.hang(), behave.ok(), behave.hang(), behave.ok()])
      const gateway = stack.use(await startBehind(origins.map(({ url }) => url), hangMs))
      const outcomes = await callRepeatedly(gateway, kind, 8)
      assertOnly(outcomes, ['200', '504 HeadersTimeout'])
      // Who is next depends on what hung before; those that are well go on answering.
      assert.ok((outcomes.get('200') ?? 0) >= 2, JSON.stringify([...outcomes]))
      // A GET that met one that hangs is sent to one more, which may hang as well; the others are sent once.
      if (kind !== 'GET') assert.equal(executions(...origins), 8)
    })

    test(`all refuse x ${kind}: said at once, and served again when they listen`, async () => {
      await using stack = new AsyncDisposableStack()
      const origins = await startAll(stack, [behave.ok(), behave.ok()])
      for (const origin of origins) await origin.close()
      const gateway = stack.use(await startBehind(origins.map(({ url }) => url)))
      // Neither is a time-out: nothing was waited for.
      assertOnly(await callRepeatedly(gateway, kind, 10), ['502 ConnectFailed', '503 NoEndpoint'])
      await origins[0]!.server.listen()
      await until('it is served again', async () => outcomeOf(await call(gateway, kind)) === '200', { timeoutMs: 20_000 })
      assert.equal(executions(...origins), 1)
    })

    test(`one of two flaps every second x ${kind}`, async () => {
      await using stack = new AsyncDisposableStack()
      const origins = await startAll(stack, [behave.ok(), behave.ok()])
      const gateway = stack.use(await startBehind(origins.map(({ url }) => url)))
      const { server } = origins[0]!
      let calls = 0
      const outcomes = new Set<string>()
      for (const up of [false, true, false]) {
        await (up ? server.listen() : server.kill())
        const endAtMs = performance.now() + 1_000
        for (let n = 0; n < 10 || performance.now() < endAtMs; n++, calls++) outcomes.add(outcomeOf(await call(gateway, kind)))
      }
      // Between two calls nothing is under way, so every one can be saved.
      assert.deepEqual([...outcomes], ['200'])
      assert.equal(executions(...origins), calls)
    })

    test(`a certificate nobody vouches for x ${kind}: not sent there, answered by the other`, async () => {
      await using stack = new AsyncDisposableStack()
      const certificate = await makeCertificate(['somebody.example'])
      stack.defer(() => certificate.remove())
      const bad = stack.use(await startServiceStackHost({ tls: { cert: certificate.pem, key: certificate.key } }))
      const [good] = await startAll(stack, [behave.ok()])
      const gateway = stack.use(await startBehind([bad.url, good!.url]))
      assertOnly(await callRepeatedly(gateway, kind, 4), ['200'])
      assert.deepEqual(bad.executed, [])
      assert.equal(good!.received.length, 4)
    })

    test(`stopped and restarted as real hosts are x ${kind}: dies registered, comes back beside its ghost`, async () => {
      await using fleet = await startFleet([{ messages: { Echo: { handler: answer } } }, { messages: { Echo: { handler: answer } } }], { defaults: limitsOf(neverMs) })
      const { gateway, hosts: [first, second] } = fleet
      let calls = 0
      const callAll = async (times: number) => {
        assertOnly(await callRepeatedly(gateway, kind, times), ['200'])
        calls += times
      }
      await callAll(4)
      await first!.kill()
      await callAll(4)
      await first!.restart()
      await registerAsPlugin(gateway.embedded!, first!, { heartbeatIntervalS: 1 })
      const before = first!.executed.length
      await until('the restarted one is called', async () => {
        await callAll(2)
        return first!.executed.length > before
      }, { timeoutMs: 20_000 })
      assert.ok(second!.executed.length > 0)
      // Between two calls nothing is under way: each is executed once, and a batch once for each item.
      assert.equal([...first!.executed, ...second!.executed].filter(name => name === 'Echo').length, calls * (kind === 'batch' ? 2 : 1))
    })
  }
})

const answer: MessageHandler = () => ({ status: 200, body: '{"result":"ok"}' })
