// Which limits hold for a route: message over upstream over defaults. Pure; asked when the table is built, never per request.
import type { BalancingConfig, BreakerConfig, BulkheadConfig, Config, OutliersConfig, PolicyConfig, RetryBudgetConfig, UpstreamConfig } from './schema.ts'

/** A policy in which nothing is left to look up elsewhere: what a message's breaker leaves out is that of its upstream's. */
export interface ResolvedPolicy extends PolicyConfig {
  readonly messageBreaker: PolicyConfig['messageBreaker'] & Omit<BreakerConfig, 'pauseStatuses' | 'maxPauseMs'>
}

/** `key` is a message's lower-cased name or a prefix pattern; undefined = the upstream's own. */
export function policyFor (config: Config, upstream: string, key: string | undefined): ResolvedPolicy {
  const own = key === undefined ? undefined : ownPolicy(config, key)
  const policy = overlay(overlay(config.defaults.policy, config.upstreams[upstream]?.policy), own)
  const { pauseStatuses: _, maxPauseMs: __, ...breaker } = breakerFor(config, upstream)
  return { ...policy, messageBreaker: { ...breaker, ...policy.messageBreaker, enabled: breaker.enabled && policy.messageBreaker.enabled } }
}

/** Whether a message or prefix has settings that its upstream has not. */
export const hasOwnPolicy = (config: Config, key: string): boolean => ownPolicy(config, key) !== undefined

const ownPolicy = (config: Config, key: string) => config.prefixes[key]?.policy ?? messageFor(config, key)?.policy

/** Any part of the settings, sections within too. */
export type Partly<T> = { readonly [K in keyof T]?: T[K] extends readonly unknown[] ? T[K] : T[K] extends object ? Partly<T[K]> : T[K] }

/** Field by field, sections within too; a list replaces the list below it. */
function overlay<T extends object> (below: T, above: Partly<T> | undefined): T {
  if (above === undefined) return below
  const merged = { ...below } as Record<string, unknown>
  for (const [name, value] of Object.entries(above)) {
    const under = merged[name]
    merged[name] = isSection(under) && isSection(value) ? overlay(under, value) : value
  }
  return merged as T
}

const isSection = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value)

function bulkheadFor (config: Config, upstream: string): BulkheadConfig {
  return overlay(config.defaults.bulkhead, config.upstreams[upstream]?.bulkhead)
}

function breakerFor (config: Config, upstream: string): BreakerConfig {
  return { ...config.defaults.breaker, ...config.upstreams[upstream]?.breaker }
}

function outliersFor (config: Config, upstream: string): OutliersConfig {
  return { ...config.defaults.outliers, ...config.upstreams[upstream]?.outliers }
}

function retryBudgetFor (config: Config, upstream: string): RetryBudgetConfig {
  return { ...config.defaults.retryBudget, ...config.upstreams[upstream]?.retryBudget }
}

function balancingFor (config: Config, upstream: string): BalancingConfig {
  return { ...config.defaults.balancing, ...config.upstreams[upstream]?.balancing }
}

/** What holds for an upstream as a whole. */
export interface UpstreamPolicy {
  readonly bulkhead: BulkheadConfig
  readonly maxSeats: number | undefined
  readonly breaker: BreakerConfig
  readonly outliers: OutliersConfig
  readonly retryBudget: RetryBudgetConfig
  readonly balancing: BalancingConfig
  readonly tls: UpstreamConfig['tls']
  readonly livenessPath: string
  readonly preserveHost: boolean
  readonly connectTimeoutMs: number
}

export function upstreamFor (config: Config, name: string): UpstreamPolicy {
  const own = config.upstreams[name]
  const bulkhead = bulkheadFor(config, name)
  return {
    bulkhead,
    maxSeats: bulkhead.maxPerEndpoint,
    breaker: breakerFor(config, name),
    outliers: outliersFor(config, name),
    retryBudget: retryBudgetFor(config, name),
    balancing: balancingFor(config, name),
    tls: own?.tls,
    livenessPath: own?.livenessPath ?? '/',
    preserveHost: own?.preserveHost ?? false,
    connectTimeoutMs: policyFor(config, name, undefined).connectTimeoutMs
  }
}

const indexes = new WeakMap<Config['messages'], ReadonlyMap<string, Config['messages'][string]>>()

/** Settings of a message; names in the file may be in any letter case. */
export function messageFor (config: Config, key: string): Config['messages'][string] | undefined {
  let index = indexes.get(config.messages)
  if (index === undefined) {
    index = new Map(Object.entries(config.messages).map(([name, message]) => [name.toLowerCase(), message]))
    indexes.set(config.messages, index)
  }
  return index.get(key)
}
