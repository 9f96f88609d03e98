// Runs one case: a sequence of requests through a whole gateway to an origin that answers by script, on real sockets, with a clock that is set.
import { mock } from 'node:test'
import assert from 'node:assert/strict'
import { startGateway, type PartialConfig, type TestGateway } from '../support/gateway.ts'
import type { RawResponse } from '../support/http-client.ts'
import { startOrigin, type Origin } from '../support/origin.ts'
import { head, write, type HeaderList, type RawRequest } from '../support/raw-server.ts'
import { until } from '../support/until.ts'

/** One request and what must become of it. Header lines are `Name: value`; `{+10}` in a value is the date in 10 seconds, `{base}` the path of the case. */
export interface Step {
  readonly method?: string
  readonly headers?: readonly string[]
  readonly body?: string
  /** Appended to the path of the case. */
  readonly suffix?: string
  /** Seconds that pass before it. */
  readonly after?: number
  /** What the origin answers if it is asked. `close`: it closes the connection. Default: 200 without a lifetime. 304 only to conditions, else 200. */
  readonly answer?: Answer | 'close'
  /** `stored`: the origin is not asked. `origin`: it is, and its answer is the client's. `validated`: it is asked by conditions, says 304, and the stored answer is the client's. */
  readonly from: 'stored' | 'origin' | 'validated'
  readonly status?: number
  /** Lines the client gets. `Name` alone: a field of any value. */
  readonly sees?: readonly string[]
  /** Fields the client does not get, by name or by line. */
  readonly misses?: readonly string[]
  /** `{first}`: what the first answer said. Default: what the origin said last. */
  readonly bodyIs?: string
  /** Lines the origin gets. */
  readonly asks?: readonly string[]
  readonly asksNot?: readonly string[]
  /** How often it is asked; default 1 where it is. */
  readonly times?: number
  /** That many requests more reach the origin in the background. */
  readonly refreshes?: number
}

export interface Answer {
  readonly status?: number
  readonly headers?: readonly string[]
  readonly body?: string
  /** Without the Date that every other answer has. */
  readonly dateless?: true
  /** Interim answers before it. */
  readonly interim?: ReadonlyArray<{ readonly status: number, readonly headers: readonly string[] }>
}

export interface Case {
  /** Clause and what it says: the test's name, by which docs/CACHE-CONFORMANCE.md finds it. */
  readonly name: string
  readonly steps: readonly Step[]
  /** Which gateway: by its settings' name. */
  readonly under?: string
}

/** By which kind of route: each of them has the path of every case. */
export const routes = { prefix: (id: number) => `/c/${id}`, message: (id: number) => `/json/reply/Case?Id=${id}` } as const
export type RouteKind = keyof typeof routes

export interface Bench extends AsyncDisposable {
  run (each: Case, kind: RouteKind): Promise<void>
}

const started = Date.UTC(2026, 10, 27, 12)

/** Starts an origin and one gateway per name of settings; `default` has none. Freezes the clock of this process. */
export async function startBench (settings: Readonly<Record<string, object>>): Promise<Bench> {
  const stack = new AsyncDisposableStack()
  try {
    mock.timers.enable({ apis: ['Date'], now: started })
    stack.defer(() => { mock.timers.reset() })
    const script: Script = { base: '/c/ready', answer: undefined, asked: [] }
    const origin = stack.use(await startOrigin(async request => { await play(request, script) }))
    const gateways = new Map<string, TestGateway>()
    for (const [name, cache] of Object.entries({ default: {}, ...settings })) gateways.set(name, stack.use(await startFor(origin, cache)))
    let count = 0
    const owned = stack.move()
    return {
      run: async (each, kind) => { await runCase(each, routes[kind](++count), gateways.get(each.under ?? 'default')!, script) },
      [Symbol.asyncDispose]: async () => { await owned.disposeAsync() }
    }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

async function startFor (origin: Origin, cache: object): Promise<TestGateway> {
  const gateway = await startGateway({
    upstreams: { origin: { endpoints: [origin.url] } },
    prefixes: { '/c/*': { upstream: 'origin' } },
    messages: { Case: { upstream: 'origin' } },
    // A closed connection is one failure here, not the begin of a breaker's life.
    // Where nothing but Vary says what shapes an answer, as HTTP has it.
    defaults: { policy: { cache: { key: { unkeyedHeaders: 'messages' }, ...cache }, attempts: 1 }, breaker: { volumeThreshold: 1_000_000 } }
  } as unknown as PartialConfig)
  await until('a table', async () => (await gateway.get('/c/ready')).status === 200)
  return gateway
}

interface Script {
  /** Path of the case under way. */
  base: string
  answer: Answer | 'close' | undefined
  asked: RawRequest[]
}

async function play (request: RawRequest, script: Script): Promise<void> {
  await request.body()
  script.asked.push(request)
  const answer = script.answer ?? {}
  if (answer === 'close') {
    request.socket.destroySoon()
    return
  }
  for (const interim of answer.interim ?? []) await write(request.socket, head(interim.status, 'Interim', lines(interim.headers, script.base)))
  const body = Buffer.from(answer.body ?? '')
  const headers = lines(answer.headers ?? [], script.base)
  const isConditional = (request.header('if-none-match') ?? request.header('if-modified-since')) !== undefined
  const status = answer.status === 304 && !isConditional ? 200 : answer.status ?? 200
  if (answer.dateless !== true && !headers.some(([name]) => name.toLowerCase() === 'date')) headers.unshift(['Date', new Date().toUTCString()])
  const bodiless = status === 204 || status === 304
  if (!bodiless && !headers.some(([name]) => /^(?:content-length|transfer-encoding)$/i.test(name))) headers.push(['Content-Length', String(body.length)])
  await write(request.socket, head(status, 'Said So', headers))
  if (!bodiless && request.method !== 'HEAD') await write(request.socket, body)
}

function lines (texts: readonly string[], base: string): Array<[string, string]> {
  return texts.map(text => {
    const colon = text.indexOf(':')
    const value = text.slice(colon + 1).trim()
      .replaceAll(/\{([+-]\d+)\}/g, (_, seconds: string) => new Date(Date.now() + Number(seconds) * 1_000).toUTCString())
      .replaceAll('{base}', base)
    return [text.slice(0, colon), value]
  })
}

async function runCase ({ name, steps }: Case, path: string, gateway: TestGateway, script: Script): Promise<void> {
  script.base = path
  let stored = ''
  let first: string | undefined
  for (const [index, step] of steps.entries()) {
    const where = `${name}, request ${index + 1}`
    if (step.after !== undefined) mock.timers.setTime(Date.now() + step.after * 1_000)
    const ownBody = `${path} answer ${index + 1}`
    const answer = step.from === 'validated' && step.answer === undefined ? { status: 304 } : step.answer
    script.answer = answer === 'close' ? answer : { body: ownBody, ...answer }
    script.asked = []
    const suffix = path.includes('?') ? step.suffix?.replace('?', '&') : step.suffix
    const response = await gateway.request(path + (suffix ?? ''), {
      method: step.method ?? 'GET',
      headers: lines(step.headers ?? [], path),
      ...step.body === undefined ? {} : { body: step.body }
    })
    if (step.refreshes !== undefined) await until(`${where}: asked in the background`, () => script.asked.length >= step.refreshes!)
    const asked = script.asked.length - (step.refreshes ?? 0)
    assert.equal(asked, step.from === 'stored' ? 0 : step.times ?? 1, `${where}: times the origin was asked; ${response.header('cache-status') ?? 'no Cache-Status'}`)
    if (step.from !== 'stored') checkAsked(where, step, script.asked[0]!)
    checkSeen(where, step, response, path)
    if (step.from === 'origin' && answer !== 'close') stored = answer?.body ?? ownBody
    first ??= stored
    if (response.status === 200 && step.method !== 'HEAD') assert.equal(response.text(), step.bodyIs === '{first}' ? first : step.bodyIs ?? stored, `${where}: the body`)
  }
}

function checkAsked (where: string, step: Step, request: RawRequest): void {
  const conditional = request.header('if-none-match') ?? request.header('if-modified-since')
  if (step.from === 'validated') assert.notEqual(conditional, undefined, `${where}: asked without conditions`)
  for (const line of step.asks ?? []) assert.ok(has(request.headers, line), `${where}: the origin was not told ${line}`)
  for (const line of step.asksNot ?? []) assert.ok(!has(request.headers, line), `${where}: the origin was told ${line}`)
}

function checkSeen (where: string, step: Step, response: RawResponse, path: string): void {
  assert.equal(response.status, step.status ?? 200, `${where}: the status`)
  for (const line of step.sees ?? []) {
    const [field] = line.includes(':') ? lines([line], path).map(([name, value]) => `${name}: ${value}`) : [line]
    assert.ok(has(response.headers, field!), `${where}: the client did not get ${field}, but ${JSON.stringify(response.headers)}`)
  }
  for (const line of step.misses ?? []) assert.ok(!has(response.headers, line), `${where}: the client got ${line}`)
  assert.notEqual(response.header('cache-status'), undefined, `${where}: RFC 9211: Cache-Status on every answer`)
}

function has (headers: HeaderList, line: string): boolean {
  const colon = line.indexOf(':')
  const name = (colon === -1 ? line : line.slice(0, colon)).toLowerCase()
  return headers.some(([key, value]) => key.toLowerCase() === name && (colon === -1 || value === line.slice(colon + 1).trim()))
}
