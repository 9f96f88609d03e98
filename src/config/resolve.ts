// Which limits hold for a route: message over upstream over defaults. Pure; asked when the table is built, never per request.
import type { BreakerConfig, BulkheadConfig, Config, PolicyConfig } from './schema.ts'

/** `key` is a message's lower-cased name or a prefix pattern; undefined = the upstream's own. */
export function policyFor (config: Config, upstream: string, key: string | undefined): PolicyConfig {
  const own = key === undefined ? undefined : config.prefixes[key]?.policy ?? messageFor(config, key)?.policy
  return { ...config.defaults.policy, ...config.upstreams[upstream]?.policy, ...own }
}

export function bulkheadFor (config: Config, upstream: string): BulkheadConfig {
  return { ...config.defaults.bulkhead, ...config.upstreams[upstream]?.bulkhead }
}

export function breakerFor (config: Config, upstream: string): BreakerConfig {
  return { ...config.defaults.breaker, ...config.upstreams[upstream]?.breaker }
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
