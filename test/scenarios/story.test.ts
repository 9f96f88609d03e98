// One slow service among five, replayed: with the defaults its neighbours do not notice and its own callers are told at once; with the protections off the site stalls.
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
import { until } from '../support/until.ts'

const messages = ['StoryA', 'StoryB', 'StoryC', 'StoryD', 'StoryE'] as const
/** The last one turns slow. */
const slowMessage = messages.length - 1
const everyMs = 10

/** What may wait for the slow service: its slots and its queue. */
const bulkhead = { maxConcurrent: 48, maxQueue: 24 }
/** Most calls without an answer at one time: those, and what healthy services have under way. */
const pendingBound = 100

/** What a busy machine does to this process is not the story: its timers may be late by more than a connect may take. */
const thisMachine = { shedding: { eventLoopDelayMs: 0, heapPercent: 0 }, policy: { connectTimeoutMs: 8_000 } }

const healthy: Behaviour = async request => {
  await request.body()
  await sleep(5)
  await behave.ok('{}')(request)
}

interface Call {
  readonly isSlow: boolean
  durationMs: number | undefined
  answer: RawResponse | undefined
}

/**
 * Callers who come at a steady rate, whether or not those before them were answered: one every 10 ms, to each service in turn. What a
 * stalled process did not send is not made up for, so that its pause is no rush of calls.
 */
function startCallers (gateway: TestGateway) {
  const calls: Call[] = []
  const state = { pending: 0, mostPending: 0 }
  const send = async (call: Call, message: string) => {
    const sentAtMs = performance.now()
    state.mostPending = Math.max(state.mostPending, ++state.pending)
    // One that is never answered: the story ends before it does.
    call.answer = await gateway.post(`/json/reply/${message}`, {}, { timeoutMs: 120_000 }).catch(() => undefined)
    call.durationMs = performance.now() - sentAtMs
    state.pending--
  }
  const timer = setInterval(() => {
    const service = calls.length % messages.length
    const call: Call = { isSlow: service === slowMessage, durationMs: undefined, answer: undefined }
    calls.push(call)
    void send(call, messages[service]!)
  }, everyMs)
  return {
    calls,
    get mostPending () { return state.mostPending },
    get pending () { return state.pending },
    [Symbol.dispose] () { clearInterval(timer) }
  }
}

const isOk = ({ answer }: Call) => answer?.status === 200
const isAnswered = ({ durationMs }: Call) => durationMs !== undefined

async function startServices (stack: AsyncDisposableStack): Promise<Origin[]> {
  const origins: Origin[] = []
  while (origins.length < messages.length) origins.push(stack.use(await startOrigin(healthy)))
  return origins
}

async function startSite (stack: AsyncDisposableStack, config: PartialConfig): Promise<TestGateway> {
  const gateway = stack.use(await startGateway({ shedding: thisMachine.shedding, ...config }))
  for (const message of messages) await gateway.waitForRoute(message)
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

describe('one of five services turns slow', { timeout: 300_000, concurrency: 2 }, () => {
  test('with the defaults no healthy call is lost, few wait, callers of the slow one are told at once, and it is served again when it recovers', async t => {
    await using stack = new AsyncDisposableStack()
    const services = await startServices(stack)
    const gateway = await startSite(stack, defaults(services))
    using callers = startCallers(gateway)
    const { calls } = callers
    const slowCalls = (from: number) => calls.slice(from).filter(({ isSlow }) => isSlow)

    await until('it is quiet', () => calls.filter(isOk).length >= 60, { timeoutMs: 20_000 })
    services[slowMessage]!.behave(behave.hang())
    await until('the breaker is open', () => calls.some(({ answer }) => answer?.reason === 'BreakerOpen'), { timeoutMs: 30_000 })
    const opened = calls.length
    await until('callers are told', () => slowCalls(opened).filter(isAnswered).length >= 24, { timeoutMs: 30_000 })

    // But for its trials, nobody waits for it any more.
    const told = slowCalls(opened).filter(isAnswered).slice(0, 24)
    assert.deepEqual(told.filter(({ answer }) => answer?.status !== 503 || !(Number(answer.header('retry-after')) >= 1)), [])
    const waiting = slowCalls(opened).length - slowCalls(opened).filter(isAnswered).length
    assert.ok(waiting <= 15, `${waiting} callers wait although the breaker is open`)
    const median = told.map(({ durationMs }) => durationMs!).sort((a, b) => a - b)[12]!
    t.diagnostic(`told after ${median.toFixed(1)} ms (median), at most ${callers.mostPending} pending`)
    assert.ok(median < 500, `${median} ms`)

    services[slowMessage]!.behave(healthy)
    const recovered = calls.length
    await until('it is served again', () => {
      const latest = slowCalls(recovered).filter(isAnswered).slice(-10)
      return latest.length === 10 && latest.every(isOk)
    }, { timeoutMs: 20_000 })

    assert.ok(callers.mostPending <= pendingBound, `${callers.mostPending} pending`)
    assert.deepEqual(calls.filter(call => !call.isSlow && isAnswered(call) && !isOk(call)).map(({ answer }) => answer?.statusLine), [])
    await until('every healthy call is answered', () => calls.slice(0, recovered).every(call => call.isSlow || isOk(call)), { timeoutMs: 20_000 })
  })

  test('with the protections off the site stalls: healthy callers wait behind the slow service\'s', async () => {
    await using stack = new AsyncDisposableStack()
    const services = await startServices(stack)
    const gateway = await startSite(stack, await unprotected(stack, services))
    using callers = startCallers(gateway)
    const { calls } = callers

    await until('it is quiet', () => calls.filter(isOk).length >= 60, { timeoutMs: 20_000 })
    services[slowMessage]!.behave(behave.hang())
    await until('far more wait than ever may with the defaults', () => callers.pending > 2 * pendingBound, { timeoutMs: 60_000 })
    assert.deepEqual(calls.slice(-pendingBound).filter(isAnswered), [], 'nobody is served, whomever he calls')
  })
})
