// Every setting an operator can write: one declaration with type, default, limits and description.
// The validator, the TypeScript types, config/postern.schema.json and docs/CONFIG.md are all made from it.
import { Type, type Static } from 'typebox'
import { CacheMemory } from './schema/cache-work.ts'
import { closed, ms, path, section } from './schema/kit.ts'
import { Balancing, Locality } from './schema/balancing.ts'
import { Admin, Edge, Listener, Log } from './schema/listener.ts'
import { FaultsAllowed, Shedding } from './schema/operate.ts'
import { Breaker, Outliers } from './schema/breaker.ts'
import { Bulkhead, Policy } from './schema/policy.ts'
import { Registry } from './schema/registry.ts'
import { RetryBudget } from './schema/repeat.ts'
import { Exposure, Message, Prefix, Upstream } from './schema/routes.ts'

export const ConfigSchema = Type.Object({
  listener: Listener,
  admin: Admin,
  edge: Edge,
  registry: Registry,
  locality: Locality,
  exposure: Exposure,
  defaults: section({ policy: Policy, bulkhead: Bulkhead, breaker: Breaker, outliers: Outliers, retryBudget: RetryBudget, balancing: Balancing }, 'What holds unless said otherwise below.'),
  upstreams: Type.Record(Type.String(), Upstream, { default: {}, description: 'Settings per upstream, keyed by its name.' }),
  messages: Type.Record(Type.String(), Message, { default: {}, description: 'Settings per message, keyed by its name in any letter case.' }),
  prefixes: Type.Record(Type.String(), Prefix, { default: {}, description: 'Prefix routes, keyed by path pattern. Their order never matters.' }),
  cache: CacheMemory,
  shedding: Shedding,
  faults: FaultsAllowed,
  log: Log,
  dataDirectory: Type.Optional(path('Where the last good table, the services\' own lists, name ownership, breakers held by hand and the names of messages that the second level of the cache has answers of are kept, so that a restart needs neither Consul nor questions. Left out: systemd\'s $STATE_DIRECTORY, else postern/PORT below $XDG_STATE_HOME or ~/.local/state, PORT being that of listener.address (PORT-HOST, unless that is 127.0.0.1 or all addresses); with port 0 it has to be written. `none`: nothing is kept. One directory for each gateway: a second one does not start at it while the first runs.')),
  drainMs: ms('How long a stopping gateway waits for exchanges in flight.', 30_000, 0)
}, { ...closed, $id: 'postern.schema.json', title: 'postern.yaml', description: 'Configuration of the Postern API gateway.' })

/** The whole configuration, every default filled in. Optional means "feature off", nothing else. */
export type Config = Static<typeof ConfigSchema>
export type PolicyConfig = Config['defaults']['policy']
export type BulkheadConfig = Config['defaults']['bulkhead']
export type OutliersConfig = Config['defaults']['outliers']
export type BreakerConfig = Config['defaults']['breaker']
export type RetryBudgetConfig = Config['defaults']['retryBudget']
export type BalancerConfig = PolicyConfig['balancer']
export type BalancingConfig = Config['defaults']['balancing']
export type UpstreamConfig = Config['upstreams'][string]
export type MessageConfig = Config['messages'][string]
export type PrefixConfig = Config['prefixes'][string]
export type LocalityConfig = Config['locality']
export type RegistryConfig = Config['registry']
export type ConsulConfig = NonNullable<RegistryConfig['consul']>
export type CacheMemoryConfig = Config['cache']
export type ListenerConfig = Config['listener']
export type EdgeConfig = Config['edge']
