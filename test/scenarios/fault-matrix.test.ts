// What a client sees when a service misbehaves: every fault against every kind of call, on real sockets; each call counted at the origins.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { makeCertificate } from '../support/certificates.ts'
import { allKinds, assertOnly, call, callRepeatedly, executions, hangMs, limitsOf, neverMs, outcomeOf, startAll, startBehind } from '../support/fault-calls.ts'
import * as behave from '../support/origin.ts'
import { startOrigin, type Behaviour } from '../support/origin.ts'
import { registerAsPlugin } from '../support/plugin-registration.ts'
import { startFleet } from '../support/fleet.ts'
import { startServiceStackHost, type MessageHandler } from '../support/servicestack-host.ts'
import { until } from '../support/until.ts'

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

const failing: Behaviour = behave.ok('{}', { status: 500, reason: 'InvalidOperationException' })
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
  { name: '500', behaviour: failing, expected: '500' }
]

describe('one of two endpoints misbehaves', { timeout: 900_000, concurrency: 4 }, () => {
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

interface Common { readonly name: string, readonly behaviour: Behaviour | undefined, readonly outcome: Outcome, readonly waitMs: number }
const half: readonly Common[] = [
  { name: 'hang', behaviour: behave.hang(), outcome: '504 HeadersTimeout', waitMs: hangMs },
  { name: 'answer 500', behaviour: failing, outcome: '500', waitMs: neverMs },
  { name: 'refuse', behaviour: undefined, outcome: '200', waitMs: neverMs }
]
const all: ReadonlyArray<Common & { readonly behaviour: Behaviour }> = [
  { name: 'hang', behaviour: behave.hang(), outcome: '504 HeadersTimeout', waitMs: hangMs },
  { name: 'reset', behaviour: behave.reset(), outcome: '502 ConnectionClosed', waitMs: neverMs }
]

describe('several misbehave', { timeout: 900_000, concurrency: 4 }, () => {
  for (const kind of allKinds) {
    test(`a storm of 500 x ${kind}: passed on, or a pause is asked for; never executed twice`, async () => {
      await using stack = new AsyncDisposableStack()
      const origins = await startAll(stack, [failing, failing])
      const gateway = stack.use(await startBehind(origins.map(({ url }) => url)))
      const outcomes = await callRepeatedly(gateway, kind, 30)
      assertOnly(outcomes, ['500', '503 BreakerOpen'])
      assert.equal(executions(...origins), outcomes.get('500'))
    })

    for (const { name, behaviour, outcome, waitMs } of half) {
      test(`half of four ${name} x ${kind}`, async () => {
        await using stack = new AsyncDisposableStack()
        const origins = await startAll(stack, [behaviour, undefined, behaviour, undefined].map(bad => bad ?? behave.ok()))
        if (behaviour === undefined) for (const refusing of [origins[0], origins[2]]) await refusing!.close()
        const gateway = stack.use(await startBehind(origins.map(({ url }) => url), waitMs))
        const outcomes = await callRepeatedly(gateway, kind, 8)
        assertOnly(outcomes, ['200', outcome])
        // Who is next depends on what failed before; those that are well go on answering.
        assert.ok((outcomes.get('200') ?? 0) >= 2, JSON.stringify([...outcomes]))
        // A GET that met one that hangs is sent to one more, which may hang as well; all else is sent once.
        if (kind !== 'GET' || outcome !== '504 HeadersTimeout') assert.equal(executions(...origins), 8)
      })
    }

    test(`all refuse x ${kind}: said at once, and served again when they listen`, async () => {
      await using stack = new AsyncDisposableStack()
      const origins = await startAll(stack, [behave.ok(), behave.ok()])
      for (const origin of origins) await origin.close()
      const gateway = stack.use(await startBehind(origins.map(({ url }) => url)))
      // Neither is a time-out: nothing was waited for.
      assertOnly(await callRepeatedly(gateway, kind, 10), ['502 ConnectFailed', '503 NoEndpoint'])
      await origins[0]!.server.listen()
      await until('it is served again', async () => outcomeOf(await call(gateway, kind)) === '200')
      assert.equal(executions(...origins), 1)
    })

    for (const { name, behaviour, outcome, waitMs } of all) {
      test(`all ${name} x ${kind}: none is executed twice, and served again when they are well`, async () => {
        await using stack = new AsyncDisposableStack()
        const origins = await startAll(stack, [behaviour, behaviour])
        const gateway = stack.use(await startBehind(origins.map(({ url }) => url), waitMs))
        const outcomes = await callRepeatedly(gateway, kind, 4)
        assertOnly(outcomes, [outcome])
        // A GET is sent once to each.
        const perCall = kind === 'GET' ? 2 : 1
        assert.equal(executions(...origins), 4 * perCall)
        for (const origin of origins) origin.behave(behave.ok())
        let calls = 4
        await until('it is served again', async () => {
          calls++
          return outcomeOf(await call(gateway, kind)) === '200'
        })
        assert.ok(executions(...origins) <= calls * perCall)
      })
    }

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
      await until('both have the message', async () => ((await gateway.api('routes')).routes as Array<{ message: string, endpoints: number }>).find(({ message }) => message === 'Echo')?.endpoints === 2)
      await callAll(4)
      await first!.kill()
      await callAll(4)
      await first!.restart()
      await registerAsPlugin(gateway.embedded!, first!, { heartbeatIntervalS: 1 })
      const before = first!.executed.length
      await until('the restarted one is called', async () => {
        await callAll(2)
        return first!.executed.length > before
      })
      assert.ok(second!.executed.length > 0)
      // Between two calls nothing is under way: each is executed once, and a batch once for each item.
      assert.equal([...first!.executed, ...second!.executed].filter(name => name === 'Echo').length, calls * (kind === 'batch' ? 2 : 1))
    })
  }
})

const answer: MessageHandler = () => ({ status: 200, body: '{"result":"ok"}' })
