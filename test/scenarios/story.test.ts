// One slow service among five, replayed: protected its neighbours do not notice and its own callers are told at once; with the protections off the site stalls.
// As the story is told (docs/STORY.md) but for the load: at most 200 calls a second and not 800, because clients, gateway and services share this
// process, and on a machine of two cores that other tests use too it would be the process that is slow. `npm run bench -- story` has all 800.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import type { RawResponse } from '../support/http-client.ts'
import * as behave from '../support/origin.ts'
import { startOrigin, type Behaviour, type Origin } from '../support/origin.ts'
import { watchSlowness } from '../support/slowness.ts'
import { until } from '../support/until.ts'

const messages = ['StoryA', 'StoryB', 'StoryC', 'StoryD', 'StoryE'] as const
/** The last one turns slow. Of all calls 5 % are its own. */
const slowMessage = messages.length - 1
const oneOfCalls = 20
const everyMs = 5
const [slowTakesMs, slowForMs, servedWithinMs, toldWithinMs] = [20_000, 25_000, 8_000, 50]
/** Trial calls are all that waits for it once its breaker is open: one at a time, two seconds or more after the one before. */
const mostTrials = 15

/**
 * What may wait for the slow service: its slots and its queue. All else is at its default; this is less than the default of 256 and 128, which so
 * few calls as one process sends itself (ten slow ones a second, 200 in 20 s) could never fill: the bound could not be missed.
 */
const bulkhead = { maxConcurrent: 48, maxQueue: 24 }
const slowBound = bulkhead.maxConcurrent + bulkhead.maxQueue
/** Most calls without an answer at one time: as many as the slow service alone would have waiting if each waited for its answer. */
const pendingBound = slowTakesMs / everyMs / oneOfCalls

/** What a busy machine does to this process is not the story: its timers may be late by more than a connect may take. */
const thisMachine = { shedding: { eventLoopDelayMs: 0, heapPercent: 0 }, policy: { connectTimeoutMs: 8_000 } }

const answerAfter = (ms: number): Behaviour => async request => {
  await request.body()
  // The caller left: nobody is answered.
  await sleep(ms, undefined, { signal: request.gone }).catch(() => {})
  await behave.ok('{}')(request)
}
const [healthy, slow] = [answerAfter(5), answerAfter(slowTakesMs)]

interface Call {
  readonly isSlow: boolean
  answeredAtMs: number | undefined
  answer: RawResponse | undefined
}

/**
 * Callers who come at a steady rate, whether or not those before them were answered. What a stalled process did not send is not made up for,
 * so that its pause is no rush of calls.
 */
function startCallers (gateway: TestGateway) {
  const calls: Call[] = []
  const state = { pending: 0, slowPending: 0, mostPending: 0, mostSlowPending: 0 }
  const send = async (call: Call, message: string) => {
    state.mostPending = Math.max(state.mostPending, ++state.pending)
    if (call.isSlow) state.mostSlowPending = Math.max(state.mostSlowPending, ++state.slowPending)
    // One that is never answered: the story ends before it does.
    call.answer = await gateway.post(`/json/reply/${message}`, {}, { timeoutMs: 120_000 }).catch(() => undefined)
    call.answeredAtMs = performance.now()
    state.pending--
    if (call.isSlow) state.slowPending--
  }
  const timer = setInterval(() => {
    const n = calls.length
    const isSlow = n % oneOfCalls === oneOfCalls - 1
    const call: Call = { isSlow, answeredAtMs: undefined, answer: undefined }
    calls.push(call)
    void send(call, messages[isSlow ? slowMessage : n % slowMessage]!)
  }, everyMs)
  return {
    calls,
    state: state as Readonly<typeof state>,
    [Symbol.dispose] () { clearInterval(timer) }
  }
}

const isOk = ({ answer }: Call) => answer?.status === 200
const isAnswered = ({ answeredAtMs }: Call) => answeredAtMs !== undefined
const isRefused = ({ answer }: Call) => answer?.reason === 'BreakerOpen'

async function startServices (stack: AsyncDisposableStack): Promise<Origin[]> {
  const origins: Origin[] = []
  while (origins.length < messages.length) origins.push(stack.use(await startOrigin(healthy)))
  return origins
}

async function startSite (stack: AsyncDisposableStack, services: readonly Origin[], config: PartialConfig): Promise<TestGateway> {
  const gateway = stack.use(await startGateway({ shedding: thisMachine.shedding, ...config }))
  for (const message of messages) await gateway.waitForRoute(message)
  for (const { url } of services) await gateway.waitForEndpoint(url)
  return gateway
}

/** Each service is an upstream of its own; nothing else is said of the other four. */
const defaults = (services: readonly Origin[]): PartialConfig => ({
  defaults: { policy: thisMachine.policy },
  upstreams: Object.fromEntries(services.map(({ url }, n) => [`service${n}`, { endpoints: [url], ...n === slowMessage ? { bulkhead } : {} }])),
  messages: Object.fromEntries(messages.map((message, n) => [message, { upstream: `service${n}` }]))
}) as PartialConfig

/** The site of the story: five systems behind one pool of connections, whose queue has neither a bound nor a time-out, and no breaker. */
async function unprotected (stack: AsyncDisposableStack, services: readonly Origin[]): Promise<PartialConfig> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-story-'))
  stack.defer(async () => { await rm(directory, { recursive: true, force: true }) })
  const file = join(directory, 'services.yaml')
  await writeFile(file, services.map(({ url }, n) => `- { service: site, url: "${url}", messages: [${messages[n]}] }\n`).join(''))
  return {
    registry: { file },
    defaults: {
      policy: { ...thisMachine.policy, attempts: 1, queueTimeoutMs: 600_000, headersTimeoutMs: 600_000, deadlineMs: 600_000, messageBreaker: { enabled: false } },
      bulkhead: { maxConcurrent: 48, maxQueue: 1_000_000 },
      breaker: { enabled: false },
      outliers: { enabled: false }
    }
  } as PartialConfig
}

describe('one of five services turns slow', { timeout: 900_000 }, () => {
  test('with the defaults, but for a bulkhead that so few calls can fill, no healthy call is lost, few wait, callers of the slow one are told at once, and it is served again when it recovers', async t => {
    await using stack = new AsyncDisposableStack()
    const machine = stack.use(await watchSlowness())
    const services = await startServices(stack)
    const gateway = await startSite(stack, services, defaults(services))
    using callers = startCallers(gateway)
    const { calls, state } = callers
    const slowCalls = (from: number) => calls.slice(from).filter(({ isSlow }) => isSlow)

    await until('it is quiet', () => calls.filter(isOk).length >= 400, { timeoutMs: 60_000 })
    const slowFromMs = performance.now()
    services[slowMessage]!.behave(slow)
    await until('the breaker is open', () => calls.some(isRefused), { timeoutMs: slowForMs })
    const [opened, isSlower] = [calls.length, machine.measure()]
    await until('it has been slow for long', () => performance.now() - slowFromMs >= slowForMs, { timeoutMs: 2 * slowForMs })
    const [told, times] = [slowCalls(opened), isSlower()]
    const recovered = calls.length
    const [recoveredAtMs, slowness] = [performance.now(), machine.measure()]
    services[slowMessage]!.behave(healthy)
    const served = await until('it is served again', () => slowCalls(recovered).find(isOk), { timeoutMs: 60_000 })
    const [servedMs, allowed] = [served.answeredAtMs! - recoveredAtMs, slowness()]
    await until('it is served for good', () => {
      const latest = slowCalls(recovered).filter(isAnswered).slice(-10)
      return latest.length === 10 && latest.every(isOk)
    }, { timeoutMs: 60_000 })
    const last = calls.length
    await until('every call is answered', () => calls.slice(0, last).every(isAnswered), { timeoutMs: 60_000 })

    assert.deepEqual(calls.filter(call => !call.isSlow && isAnswered(call) && !isOk(call)).map(({ answer }) => answer?.statusLine), [], 'no healthy call is lost')
    assert.ok(state.mostPending <= pendingBound && state.mostSlowPending <= slowBound, `${state.mostPending} pending, ${state.mostSlowPending} of them for the slow one`)
    const refused = told.filter(isRefused)
    assert.ok(told.length - refused.length <= mostTrials, `${told.length - refused.length} of ${told.length} waited although the breaker was open`)
    assert.deepEqual(refused.filter(({ answer }) => answer!.status !== 503 || !(Number(answer!.header('retry-after')) >= 1)), [])
    // By the gateway's own clock: how long this process took to send and to read is not its answer's time.
    const ids = new Set(refused.map(({ answer }) => answer!.header('x-mac-requestid')))
    const lines = await until('all of them are in the log', async () => {
      const found = (await gateway.log()).filter(line => line['msg'] === 'exchange' && ids.has(String(line['correlationId'])))
      return found.length === refused.length && found
    })
    const inTime = lines.filter(line => Number(line['ms']) < toldWithinMs * times)
    assert.ok(lines.length > 0 && inTime.length >= 0.95 * lines.length, `${inTime.length} of ${lines.length} told within ${toldWithinMs} ms`)
    t.diagnostic(`${calls.length} calls, at most ${state.mostPending} pending (${state.mostSlowPending} for the slow one), ${told.length - refused.length} of ${told.length} waited, ${inTime.length} of ${lines.length} told in time, served again after ${servedMs.toFixed(0)} ms, the machine ${allowed.toFixed(1)} times as slow as an idle one`)
    assert.ok(servedMs <= servedWithinMs * allowed, `${servedMs} ms`)
  })

  test('with the protections off the site stalls: healthy callers wait behind the slow service\'s', async () => {
    await using stack = new AsyncDisposableStack()
    const services = await startServices(stack)
    const gateway = await startSite(stack, services, await unprotected(stack, services))
    using callers = startCallers(gateway)
    const { calls, state } = callers

    await until('it is quiet', () => calls.filter(isOk).length >= 400, { timeoutMs: 60_000 })
    services[slowMessage]!.behave(behave.hang())
    await until('far more wait than ever may with the defaults', () => state.pending > 2 * pendingBound, { timeoutMs: 60_000 })
    assert.deepEqual(calls.slice(-pendingBound).filter(isAnswered), [], 'nobody is served, whomever he calls')
  })
})
