// Rules for balancing: what the hash strategy needs, and which datacenters are watched.
import { policyFor } from './resolve.ts'
import { found, refuse, type Rule } from './rule.ts'
import type { BalancerConfig, Config } from './schema.ts'

export const balancingRules: readonly Rule[] = [
  refuse('balancer-name', function * ({ config, isWritten }) {
    for (const { segments, balancer } of balancers(config)) {
      const { stickTo, name } = balancer
      if ((stickTo !== 'header' && stickTo !== 'cookie') || name !== undefined || !isWritten([...segments, 'stickTo'])) continue
      yield found([...segments, 'stickTo'], `needs the name of the ${stickTo}`, `Write name beside it, for example name: ${stickTo === 'header' ? 'X-Tenant' : 'basket'}.`, [[...segments, 'name']])
    }
  }),
  refuse('one-or-several-datacenters', function * ({ config: { registry: { consul } } }) {
    if (consul?.datacenter !== undefined && consul.datacenters.length > 0) yield found(['registry', 'consul', 'datacenter'], 'cannot stand beside datacenters', 'Name it first in datacenters.', [['registry', 'consul', 'datacenters']])
    for (const [index, name] of (consul?.datacenters ?? []).entries()) {
      if (consul!.datacenters.indexOf(name) !== index) yield found(['registry', 'consul', 'datacenters', String(index)], 'stands in the list twice')
    }
  })
]

/** Every place that may say how calls are shared, with what holds there. */
function * balancers (config: Config): Generator<{ segments: readonly string[], balancer: BalancerConfig }> {
  yield { segments: ['defaults', 'policy', 'balancer'], balancer: config.defaults.policy.balancer }
  for (const name of Object.keys(config.upstreams)) yield { segments: ['upstreams', name, 'policy', 'balancer'], balancer: policyFor(config, name, undefined).balancer }
  for (const [name, { upstream }] of Object.entries(config.messages)) yield { segments: ['messages', name, 'policy', 'balancer'], balancer: policyFor(config, upstream ?? '', name.toLowerCase()).balancer }
  for (const [pattern, { upstream }] of Object.entries(config.prefixes)) yield { segments: ['prefixes', pattern, 'policy', 'balancer'], balancer: policyFor(config, upstream, pattern).balancer }
}
