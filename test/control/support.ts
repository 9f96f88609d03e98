// Small makers for tables: registrations, answers and configurations with everything said that a row does not say.
import { validate } from '../../src/config/validator.ts'
import { toOperationList, type Operation } from '../../src/contracts/operations.ts'
import type { Answer } from '../../src/contracts/ask.ts'
import type { CatalogEntry } from '../../src/control/catalog.ts'
import { decide, type DecideConfig, type DecideInput } from '../../src/control/decide.ts'
import { learn, type Knowledge } from '../../src/control/knowledge.ts'
import { emptyMemory, type Decision, type Memory } from '../../src/control/plan.ts'
import { toAskKey } from '../../src/control/endpoints.ts'
import { toFixedRegistrations } from '../../src/control/fixed.ts'
import { unknownDistances } from '../../src/registry/coordinates.ts'
import type { Registration } from '../../src/registry/registration.ts'
import type { LeftOut } from '../../src/upstream/left-out.ts'

export type RegistrationLike = Partial<Omit<Registration, 'address'>> & { id: string, port?: number, unconfirmedSince?: number, firstSeenAt?: number }

export function registration (like: RegistrationLike): Registration {
  const url = `http://10.0.0.1:${like.port ?? 9101}`
  const { port: _, unconfirmedSince: __, firstSeenAt: ___, ...rest } = like
  return {
    registry: 'consul',
    registeredAs: 'api',
    service: 'Catalog',
    kind: 'plugin',
    address: { url, origin: url, basePath: '' },
    refused: undefined,
    names: ['GetProduct'],
    version: '1.0',
    tags: [],
    meta: {},
    weights: { passing: 1, warning: 1 },
    health: 'passing',
    notes: undefined,
    createIndex: 10,
    node: 'vm',
    datacenter: 'dc1',
    ...rest
  }
}

export const operation = (name: string, more: Partial<Operation> = {}): Operation => ({ name, restricted: false, visible: true, actions: ['ANY'], routes: [], ...more })

/** `version`: '' of what is no ServiceStack host. */
type Said = 'silent' | 'slow' | 'sick' | 'has nothing' | { id?: string, lists?: ReadonlyArray<string | Operation>, none?: true, unread?: true, cut?: true, version?: string, sick?: string, warns?: string, strange?: true }

export function toAnswer (said: Said): Answer {
  if (said === 'silent') return { kind: 'silent', reached: false, reason: 'ECONNREFUSED' }
  if (said === 'slow') return { kind: 'silent', reached: false, reason: 'no whole answer within 2000 ms', listens: true }
  if (said === 'has nothing') return { kind: 'silent', reached: true, reason: 'its heartbeat answered 404', listed: { state: 'none', reason: 'its list answered 404' } }
  if (said === 'sick') return { kind: 'silent', reached: true, reason: 'its heartbeat answered 503' }
  const listed = said.none ? { state: 'none' as const, reason: 'its list answered 404' } : said.unread ? { state: 'unread' as const, reason: 'its list answered 503' } : { state: 'read' as const, list: toOperationList((said.lists ?? []).map(item => typeof item === 'string' ? operation(item) : item), said.cut) }
  const version = said.version ?? '10.15'
  return { kind: 'answered', ...(said.strange === true ? { strange: true } : {}), ownId: said.id, listed, sick: said.sick, warns: said.warns, servicestackVersion: version === '' ? undefined : version, apiForm: Number.parseInt(version, 10) >= 6 }
}

export type ConfigLike = { [K in keyof DecideConfig]?: K extends 'upstreams' | 'messages' | 'prefixes' ? Record<string, object> : Partial<DecideConfig[K]> }

export function decideConfig (like: ConfigLike = {}): DecideConfig {
  return {
    defaults: validate({}).config.defaults,
    locality: { ...validate({}).config.locality, ...like.locality },
    exposure: { expose: ['*'], hide: [], exposeRestricted: [], suggest: false, ...like.exposure },
    upstreams: Object.fromEntries(Object.entries(like.upstreams ?? {}).map(([name, settings]) => [name, { trustTags: false, customRoutes: false, preserveHost: false, ...settings }])),
    messages: like.messages ?? {},
    prefixes: like.prefixes as DecideConfig['prefixes'] ?? {},
    registry: { ownerGoneMs: 30_000, unconfirmedMs: 600_000, panic: true, ...like.registry }
  }
}

export interface World {
  registrations?: readonly RegistrationLike[]
  /** By port. Said for the registrations as they stand, unless under `before`. */
  says?: Record<number, Said>
  /** Said by the endpoint for what was registered before. */
  before?: Record<number, Said>
  config?: ConfigLike
  memory?: Memory
  complete?: boolean
  now?: number
  leftOut?: readonly LeftOut[]
  /** Ids of registrations of which nobody can be asked what has become of them: their registry fell silent between `before` and `says`. Those that are unconfirmed are among them anyway. */
  unheard?: readonly string[]
}

export function inputOf (world: World): DecideInput {
  const now = world.now ?? 1_000_000
  const config = decideConfig(world.config)
  const entries: CatalogEntry[] = [
    ...(world.registrations ?? []).map(like => ({ registration: registration(like), firstSeenAt: like.firstSeenAt ?? now, unconfirmedSince: like.unconfirmedSince, stale: false })),
    ...toFixedRegistrations(config.upstreams).map(fixed => ({ registration: fixed, firstSeenAt: now, unconfirmedSince: undefined, stale: false }))
  ]
  const knowledge = new Map<string, Knowledge>()
  for (const [port, said] of Object.entries(world.before ?? {})) knowledge.set(`http://10.0.0.1:${port}`, learn(undefined, toAnswer(said), 'earlier', now - 1_000))
  for (const [port, said] of Object.entries(world.says ?? {})) {
    const url = `http://10.0.0.1:${port}`
    knowledge.set(url, learn(knowledge.get(url), toAnswer(said), toAskKey(entries.filter(entry => entry.registration.address?.url === url)), now))
  }
  return { entries, knowledge, distances: unknownDistances, leftOut: world.leftOut ?? [], isUnheard: (entry, since) => since > now - 500 && (entry.unconfirmedSince !== undefined || world.unheard?.includes(entry.registration.id) === true), config, memory: world.memory ?? emptyMemory, complete: world.complete ?? true, now }
}

export const decideWorld = (world: World): Decision => decide(inputOf(world))

/** The table in short: 'GetProduct→Catalog 9101,9102', 'SlowReport hidden', 'X unread'. */
export function tableOf ({ plan }: Decision): string[] {
  return [...plan.messages.values()].map(({ name, state, upstream, endpoints }) => {
    if (state !== 'routed') return `${name} ${state}`
    const urls = endpoints ?? plan.upstreams.get(upstream)?.endpoints.map(({ url }) => url) ?? []
    return `${name}→${upstream} ${urls.map(url => url.split(':').at(-1)).join(',')}`
  }).sort()
}

/** State of each registration, by id. */
export const statesOf = (decision: Decision): Record<string, string> => Object.fromEntries(decision.endpoints.map(({ verdict, state }) => [verdict.registration.id, state]))
/** State of a name, by upstream. */
export const namesOf = (decision: Decision, name: string): Record<string, string> => Object.fromEntries(decision.names.filter(item => item.name === name).map(({ upstream, state }) => [upstream, state]))
