// What the tests of the fault matrix share: the kinds of calls, a gateway before several endpoints, and what a call came to.
import assert from 'node:assert/strict'
import { startGateway, type PartialConfig, type TestGateway } from './gateway.ts'
import type { RawResponse, RequestOptions } from './http-client.ts'
import { startOrigin, type Behaviour, type Origin } from './origin.ts'
import { until } from './until.ts'

/** Longer than what is read before an endpoint is chosen, so its body streams. */
const upload = Buffer.alloc(200_000, 'x')
const json: RequestOptions['headers'] = [['Content-Type', 'application/json']]

export const kinds = {
  GET: ['/json/reply/Echo', { method: 'GET' }],
  POST: ['/json/reply/Echo', { method: 'POST', headers: json, body: '{"id":1}' }],
  'one-way': ['/json/oneway/Echo', { method: 'POST', headers: json, body: '{"id":1}' }],
  batch: ['/json/reply/Echo[]', { method: 'POST', headers: json, body: '[{"id":1},{"id":2}]' }],
  streaming: ['/json/reply/Echo', { method: 'POST', headers: [['Content-Type', 'application/octet-stream']], body: upload }]
} as const satisfies Record<string, readonly [path: string, options: RequestOptions]>
export type Kind = keyof typeof kinds

/** Long enough for a healthy answer of a busy machine, short enough to be waited for. */
export const hangMs = 2_500
/** Where nothing hangs, no time-out may have a say. */
export const neverMs = 10_000
/** In turn, so that every fault is met. */
export const limitsOf = (waitMs: number): NonNullable<PartialConfig['defaults']> => ({ policy: { balancer: { strategy: 'round-robin' }, headersTimeoutMs: waitMs, bodyIdleTimeoutMs: waitMs, connectTimeoutMs: 8_000 } })

export async function startBehind (urls: readonly string[], waitMs = neverMs): Promise<TestGateway> {
  const gateway = await startGateway({ defaults: limitsOf(waitMs), messages: { Echo: { upstream: 'several' } }, upstreams: { several: { endpoints: [...urls], servicestack: false } } } as PartialConfig)
  await until('the gateway has its table', () => gateway.gateway.ready, { timeoutMs: 20_000 })
  return gateway
}

export async function call (gateway: TestGateway, kind: Kind): Promise<RawResponse> {
  const [path, options] = kinds[kind]
  return await gateway.request(path, options)
}

export function outcomeOf (response: RawResponse): string {
  if (!response.whole) return 'cut'
  const own = /"errorCode":"(\w+)"/.exec(response.text())?.[1]
  return own === undefined ? String(response.status) : `${response.status} ${own}`
}

export const allKinds = Object.keys(kinds) as Kind[]
export const executions = (...origins: readonly Origin[]) => origins.reduce((sum, { received }) => sum + received.length, 0)

/** Calls one after the other; how often each outcome came. */
export async function callRepeatedly (gateway: TestGateway, kind: Kind, times: number): Promise<Map<string, number>> {
  const outcomes = new Map<string, number>()
  for (let n = 0; n < times; n++) {
    const outcome = outcomeOf(await call(gateway, kind))
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  }
  return outcomes
}

export function assertOnly (outcomes: ReadonlyMap<string, number>, allowed: readonly string[]): void {
  assert.deepEqual([...outcomes.keys()].filter(outcome => !allowed.includes(outcome)), [], JSON.stringify([...outcomes]))
}

export async function startAll (stack: AsyncDisposableStack, behaviours: readonly Behaviour[]): Promise<Origin[]> {
  const origins: Origin[] = []
  for (const behaviour of behaviours) origins.push(stack.use(await startOrigin(behaviour)))
  return origins
}
