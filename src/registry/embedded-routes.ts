// The part of Consul's HTTP API that the embedded registry speaks: path and method -> what is done and answered. No sockets.
import { Refusal, parseJson, readCheck, readService, readUpdate } from './embedded-body.ts'
import type { Status } from './embedded-body.ts'
import type { CheckRunner } from './embedded-checks.ts'
import type { Store } from './embedded-store.ts'
import { agentChecks, agentSelf, agentServices, catalogService, catalogServices, checksView, healthOfService } from './embedded-views.ts'
import type { NodeFacts } from './embedded-views.ts'

export interface Call {
  /** What followed the route's prefix, decoded: an id or a name. */
  readonly rest: string
  readonly query: URLSearchParams
  readonly body: string
}

export interface Registry {
  readonly store: Store
  readonly checks: CheckRunner
  readonly node: NodeFacts
}

/** `read`: a query that may block; answers JSON with the index. `act`: changes something; answers 200 and nothing. `tell`: JSON, no index. */
export type ApiRoute =
  | { readonly kind: 'act', readonly methods: readonly string[], readonly run: (registry: Registry, call: Call) => void }
  | { readonly kind: 'tell', readonly methods: readonly string[], readonly run: (registry: Registry, call: Call) => unknown }
  | { readonly kind: 'read', readonly methods: readonly string[], readonly index: (registry: Registry, call: Call) => number, readonly run: (registry: Registry, call: Call) => unknown }

const put = ['PUT']
const get = ['GET']
const everything = ({ store }: Registry): number => store.index
const ofName = ({ store }: Registry, { rest }: Call): number => store.indexOf(rest)

/** Routes whose path is the key. */
const exact: Record<string, ApiRoute> = {
  '/v1/agent/service/register': {
    kind: 'act',
    methods: put,
    run ({ store }, { body }) {
      const { service, checks } = readService(parseJson(body))
      store.register(service, checks)
    }
  },
  '/v1/agent/check/register': { kind: 'act', methods: put, run: ({ store }, { body }) => store.registerCheck(readCheck(parseJson(body))) },
  '/v1/agent/maintenance': { kind: 'act', methods: put, run: ({ store }, { query }) => maintain(store, '', query) },
  '/v1/agent/services': { kind: 'tell', methods: get, run: ({ store }) => agentServices(store) },
  '/v1/agent/checks': { kind: 'tell', methods: get, run: ({ store, node }) => agentChecks(store, node) },
  '/v1/agent/self': { kind: 'tell', methods: get, run: ({ node }) => agentSelf(node) },
  '/v1/catalog/services': { kind: 'read', methods: get, index: everything, run: ({ store }) => catalogServices(store) },
  '/v1/status/leader': { kind: 'tell', methods: get, run: ({ node }) => `${node.address}:8300` },
  '/v1/status/peers': { kind: 'tell', methods: get, run: ({ node }) => [`${node.address}:8300`] }
}

/** Routes whose path begins with the key and goes on with an id or a name. */
const prefixed: Record<string, ApiRoute> = {
  // The discovery plugin deregisters by GET, as Consul took it before 1.0.
  '/v1/agent/service/deregister/': { kind: 'act', methods: ['PUT', 'GET'], run: ({ store }, { rest }) => store.deregister(named(rest, 'Missing service ID')) },
  '/v1/agent/check/deregister/': { kind: 'act', methods: ['PUT', 'GET'], run: ({ store }, { rest }) => store.deregisterCheck(named(rest, 'Missing check ID')) },
  '/v1/agent/check/pass/': feeding('passing'),
  '/v1/agent/check/warn/': feeding('warning'),
  '/v1/agent/check/fail/': feeding('critical'),
  '/v1/agent/check/update/': {
    kind: 'act',
    methods: put,
    run ({ checks }, { rest, body }) {
      const { status, output } = readUpdate(parseJson(body))
      feed(checks, rest, status, output)
    }
  },
  '/v1/agent/service/maintenance/': {
    kind: 'act',
    methods: put,
    run ({ store }, { rest, query }) {
      const id = named(rest, 'Missing service ID')
      if (query.has('enable') && !store.services.has(id)) throw new Refusal(404, `No service registered with ID ${JSON.stringify(id)}`)
      maintain(store, id, query)
    }
  },
  '/v1/catalog/service/': { kind: 'read', methods: get, index: ofName, run: ({ store, node }, { rest }) => catalogService(store, node, named(rest, 'Missing service name')) },
  '/v1/health/service/': {
    kind: 'read',
    methods: get,
    index: ofName,
    run: ({ store, node }, { rest, query }) => healthOfService(store, node, named(rest, 'Missing service name'), { tags: query.getAll('tag').filter((tag) => tag !== ''), passing: passingOf(query) })
  },
  '/v1/health/node/': { kind: 'read', methods: get, index: everything, run: ({ store, node }, { rest }) => named(rest, 'Missing node name') === node.name ? checksView(store, node, () => true, true) : [] },
  '/v1/health/checks/': {
    kind: 'read',
    methods: get,
    index: ofName,
    run: ({ store, node }, { rest }) => checksView(store, node, ({ definition }) => store.services.get(definition.serviceId)?.definition.name === rest, false)
  },
  '/v1/health/state/': {
    kind: 'read',
    methods: get,
    index: everything,
    run: ({ store, node }, { rest }) => checksView(store, node, ({ status }) => rest === 'any' || status === rest, rest === 'any' || rest === 'passing')
  }
}

/** The route of a path and what follows its prefix (still encoded); undefined where Consul's API has none that we speak. */
export function findApiRoute (path: string): { route: ApiRoute, rest: string } | undefined {
  const whole = Object.hasOwn(exact, path) ? exact[path] : undefined
  if (whole !== undefined) return { route: whole, rest: '' }
  for (const [prefix, route] of Object.entries(prefixed)) {
    if (path.startsWith(prefix)) return { route, rest: path.slice(prefix.length) }
  }
  return undefined
}

function feeding (status: Status): ApiRoute {
  return { kind: 'act', methods: put, run: ({ checks }, { rest, query }) => feed(checks, rest, status, query.get('note') ?? '') }
}

function feed (checks: CheckRunner, id: string, status: Status, output: string): void {
  if (!checks.feed(id, status, output.slice(0, 4_096))) throw new Refusal(500, `CheckID ${JSON.stringify(id)} does not have associated TTL`)
}

/** Maintenance is a check like any other: critical, with the reason in its notes. `serviceId` '': of the node. */
function maintain (store: Store, serviceId: string, query: URLSearchParams): void {
  const enable = query.get('enable')
  if (enable === null || enable === '') throw new Refusal(400, 'Missing value for enable')
  const on = boolOf(enable)
  if (on === undefined) throw new Refusal(400, `Invalid value for enable: ${JSON.stringify(enable)}`)
  const id = serviceId === '' ? '_node_maintenance' : `_service_maintenance:${serviceId}`
  if (!on) {
    store.deregisterCheck(id)
    return
  }
  const what = serviceId === '' ? 'Node' : 'Service'
  store.registerCheck({
    id,
    name: `${what} Maintenance Mode`,
    serviceId,
    notes: (query.get('reason') ?? '').slice(0, 4_096) || `Maintenance mode is enabled for this ${what.toLowerCase()}, but no reason was provided. This is a default message.`,
    status: 'critical',
    type: 'maintenance',
    target: '',
    method: '',
    header: [],
    body: '',
    tlsSkipVerify: false,
    intervalMs: 0,
    timeoutMs: 0,
    deregisterAfterMs: 0
  })
}

function passingOf (query: URLSearchParams): boolean {
  const value = query.get('passing')
  if (value === null) return false
  if (value === '') return true
  const passing = boolOf(value)
  if (passing === undefined) throw new Refusal(400, 'Invalid value for ?passing')
  return passing
}

/** Go's strconv.ParseBool. */
function boolOf (value: string): boolean | undefined {
  if (/^(1|t|T|true|TRUE|True)$/.test(value)) return true
  return /^(0|f|F|false|FALSE|False)$/.test(value) ? false : undefined
}

function named (value: string, refusal: string): string {
  if (value === '') throw new Refusal(400, refusal)
  return value
}
