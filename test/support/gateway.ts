// A gateway for scenarios: the real one, in this process, on free ports, quiet, with short ways to ask it.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openConnection, request, targetOf, type RawConnection, type RawResponse, type RequestOptions } from './http-client.ts'
import { until } from './until.ts'
import type { Config } from '../../src/config/schema.ts'
import type { Gateway } from '../../src/gateway.ts'

/** A config with anything left out. */
export type PartialConfig = { readonly [K in keyof Config]?: Config[K] extends object | undefined ? DeepPartial<NonNullable<Config[K]>> : Config[K] }
type DeepPartial<T> = T extends readonly unknown[] ? T : T extends object ? { readonly [K in keyof T]?: DeepPartial<NonNullable<T[K]>> } : T

export interface TestGateway {
  readonly url: string
  readonly admin: string
  readonly embedded: string | undefined
  readonly gateway: Gateway
  /** The log so far, one object a line. */
  log (): Promise<Array<Record<string, unknown>>>
  get (path: string, options?: RequestOptions): Promise<RawResponse>
  post (path: string, body: string | Buffer | object, options?: RequestOptions): Promise<RawResponse>
  request (path: string, options?: RequestOptions): Promise<RawResponse>
  connect (options?: { timeoutMs?: number }): Promise<RawConnection>
  /** POST of an object to the admin listener. */
  tell (path: string, body: object): Promise<RawResponse>
  /** Sum of the samples of a metric that have these labels; 0 where there is none. */
  metric (name: string, labels?: Readonly<Record<string, string>>): Promise<number>
  /** Resolves when that sum is so much: what is counted at the end of an exchange may come after its answer. */
  metricBecomes (name: string, value: number, labels?: Readonly<Record<string, string>>): Promise<void>

  api (what: 'routes' | 'upstreams'): Promise<any>
  /** Resolves with the milliseconds it took until a message is routed. */
  waitForRoute (name: string, options?: { timeoutMs?: number }): Promise<number>
  /** Resolves when an endpoint gets traffic. */
  waitForEndpoint (url: string, options?: { timeoutMs?: number }): Promise<void>
  reload (config: PartialConfig): Promise<void>
  close (): Promise<void>
  [Symbol.asyncDispose] (): Promise<void>
}

/** What a busy machine does to this process is not tested, unless a test says so: no overload is seen in it, and every listener is waited for. */
function patient ({ defaults, shedding }: PartialConfig): PartialConfig {
  const deadlineMs = (defaults?.policy as { deadlineMs?: number } | undefined)?.deadlineMs ?? 15_000
  return {
    shedding: { eventLoopDelayMs: 0, heapPercent: 0, ...shedding },
    defaults: { ...defaults, policy: { connectTimeoutMs: Math.min(8_000, deadlineMs), ...defaults?.policy } }
  } as PartialConfig
}

/** The whole config from parts: ports 0, log to a file, a patient gateway, everything else the defaults. */
export async function configOf (partial: PartialConfig, directory: string): Promise<Config> {
  const { loadConfig } = await import('../../src/config/load.ts')
  const whole = {
    // Not even with a port of its own does a test write where users keep theirs.
    dataDirectory: 'none',
    ...partial,
    ...patient(partial),
    listener: { address: '127.0.0.1:0', ...partial.listener },
    admin: { address: '127.0.0.1:0', ...partial.admin },
    log: { destination: join(directory, 'postern.log'), ...partial.log }
  }
  const file = join(directory, 'postern.yaml')
  await writeFile(file, JSON.stringify(whole, undefined, 2)) // JSON is YAML.
  return await loadConfig(file, {}) as Config
}

/** Starts a gateway. It has a table, or at least tried: what a scenario needs it waits for itself. */
export async function startGateway (partial: PartialConfig = {}): Promise<TestGateway> {
  const { createGateway } = await import('../../src/gateway.ts')
  const directory = await mkdtemp(join(tmpdir(), 'postern-test-'))
  const gateway = await createGateway(await configOf(partial, directory))
  await gateway.start()
  const url = gateway.addresses.listener
  const close = async () => {
    await gateway.close()
    await rm(directory, { recursive: true, force: true })
  }
  const send = async (path: string, options: RequestOptions = {}) => await request(targetOf(url), path, options)
  // A control thread that a busy machine keeps from answering for two seconds is said to be silent.
  const api = async (what: 'routes' | 'upstreams') => await until('the control plane to answer', async () => {
    const response = await request(targetOf(gateway.addresses.admin), `/api/${what}`)
    return response.status === 200 && response.json()
  })
  const metric = async (name: string, labels: Readonly<Record<string, string>> = {}) => sumOf((await request(targetOf(gateway.addresses.admin), '/metrics')).text(), name, labels)
  return {
    url,
    admin: gateway.addresses.admin,
    embedded: gateway.addresses.embedded,
    gateway,
    log: async () => await readLog(join(directory, 'postern.log')),
    get: send,
    request: send,
    post: async (path, body, options = {}) => await send(path, {
      method: 'POST',
      body: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
      ...options,
      headers: options.headers ?? [['Content-Type', 'application/json']]
    }),
    tell: async (path, body) => await request(targetOf(gateway.addresses.admin), path, { method: 'POST', headers: [['Content-Type', 'application/json']], body: JSON.stringify(body) }),
    connect: async options => await openConnection(targetOf(url), options),
    metric,
    metricBecomes: async (name, value, labels = {}) => { await until(`${name} to be ${value}`, async () => await metric(name, labels) === value) },
    api,
    waitForRoute: async (name, options = {}) => {
      const started = performance.now()
      await until(`a route for ${name}`, async () => isRouted(await api('routes'), name), options)
      return performance.now() - started
    },
    waitForEndpoint: async (endpoint, options = {}) => {
      await until(`traffic for ${endpoint}`, async () => isAvailable(sumText(await request(targetOf(gateway.addresses.admin), '/metrics')), endpoint), options)
    },
    reload: async config => { await gateway.reload(await configOf(config, directory)) },
    close,
    [Symbol.asyncDispose]: close
  }
}

/** Whether /api/routes lists a message as routed. */
export function isRouted (routes: unknown, name: string): boolean {
  if (Array.isArray(routes)) return routes.some(entry => isRouted(entry, name))
  if (typeof routes !== 'object' || routes === null) return false
  const entry = routes as Record<string, unknown>
  const named = [entry['name'], entry['message'], entry['key']].some(value => String(value).toLowerCase() === name.toLowerCase())
  if (named && (entry['state'] === undefined || entry['state'] === 'routed')) return true
  return Object.values(entry).some(value => typeof value === 'object' && isRouted(value, name))
}

const sumText = (response: RawResponse) => response.text()
const isAvailable = (exposition: string, endpoint: string) => sumOf(exposition, 'postern_endpoint_available', { endpoint }) > 0

/** Adds up the samples of a Prometheus text that carry all of these labels. */
export function sumOf (exposition: string, name: string, labels: Readonly<Record<string, string>>): number {
  let sum = 0
  for (const line of exposition.split('\n')) {
    const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)/.exec(line)
    if (match === null || match[1] !== name) continue
    const has = Object.fromEntries(Array.from((match[2] ?? '').matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g), found => [found[1], found[2]]))
    if (Object.entries(labels).every(([label, value]) => has[label] === value)) sum += Number(match[3])
  }
  return sum
}

async function readLog (file: string): Promise<Array<Record<string, unknown>>> {
  const { readFile } = await import('node:fs/promises')
  const text = await readFile(file, 'utf8').catch(() => '') // Not written to yet.
  // The last line may not be whole yet.
  return text.slice(0, text.lastIndexOf('\n') + 1).split('\n').filter(line => line.startsWith('{')).map(line => JSON.parse(line) as Record<string, unknown>)
}
