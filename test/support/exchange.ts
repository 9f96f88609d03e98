// An Exchange for tests of filters and upstreams: everything has a default, nothing touches a socket.
import { policyFor } from '../../src/config/resolve.ts'
import { validate } from '../../src/config/validator.ts'
import type { Effect } from '../../src/exchange/effect.ts'
import { GatewayError } from '../../src/exchange/errors.ts'
import { Exchange, type EndpointHandle, type Policy, type RequestBody, type ResponseTimes, type Route, type UpstreamHandle } from '../../src/exchange/exchange.ts'

/** Every default. */
export const policy: Policy = policyFor(validate({}).config, 'orders', undefined)

export interface ExchangeOptions {
  readonly method?: string
  /** Name of the route. Default: GetOrder. */
  readonly message?: string
  readonly path?: string
  readonly headers?: string[]
  readonly body?: RequestBody
  readonly effect?: Effect
  /** Messages that the path of a prefix route leads to. */
  readonly reached?: readonly Route[]
  readonly times?: ResponseTimes
  readonly policy?: Partial<Policy>
  readonly upstream?: Partial<UpstreamHandle>
  readonly endpoints?: ReadonlySet<string>
}

export function makeExchange (options: ExchangeOptions = {}): Exchange {
  const method = options.method ?? 'GET'
  const upstream: UpstreamHandle = {
    name: 'orders',
    acquire: () => undefined,
    release: () => {},
    tryAcquire: () => true,
    releaseExtra: () => {},
    reach: () => 'another',
    asked: () => undefined,
    lost: () => undefined,
    apiForm: true,
    preserveHost: false,
    takesUnlisted: true,
    retryBudget: { exchange () {}, answered () {}, answers: 0, take: () => true },
    breakers: { enter: () => ({ answered () {}, failed () {}, left () {} }), share: () => 1, defers: () => false },
    pick: () => undefined,
    whyNone: () => new GatewayError('NoEndpoint'),
    select: () => new Set(),
    selectRest: () => new Set(),
    isUsable: () => true,
    ...options.upstream
  }
  const route: Route = { kind: 'message', name: options.message ?? 'GetOrder', upstream, endpoints: options.endpoints, policy: { ...policy, ...options.policy }, effect: undefined, times: options.times, meter: { start () {}, done () {}, retry () {}, hedge () {}, degraded () {} }, handle: () => Promise.reject(new Error('not used')) }
  const path = options.path ?? '/json/reply/GetOrder'
  return new Exchange(
    { method, target: path, httpVersion: '1.1', scheme: 'http', authority: 'gateway.test', clientAddress: '192.0.2.1', trusted: false, correlationId: 'c1', traceId: '0'.repeat(32) },
    { method, path, canonicalPath: path.split('?')[0]!, headers: options.headers ?? [], body: options.body ?? { kind: 'none' }, effect: options.effect ?? (method === 'GET' || method === 'HEAD' ? 'safe' : 'unsafe'), reached: options.reached ?? [] },
    route, performance.now())
}

/** An endpoint that answers by script. */
export function fakeEndpoint (url: string, request: EndpointHandle['request']): EndpointHandle {
  return { url, begin: () => false, leave () {}, request, report () {}, overdue () {}, singledOut () {} }
}
