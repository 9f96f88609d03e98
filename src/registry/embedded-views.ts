// What the embedded registry holds, in the shapes of Consul 1.8's answers. Pure.
import type { Store, StoredCheck, StoredService } from './embedded-store.ts'

export interface NodeFacts {
  readonly id: string
  readonly name: string
  readonly address: string
  readonly datacenter: string
}

const noProxy = { MeshGateway: {}, Expose: {} }

/** GET /v1/health/service/:name. Tags are compared without regard to case; all of them must be there. */
export function healthOfService (store: Store, node: NodeFacts, name: string, filter: { tags: readonly string[], passing: boolean }): object[] {
  const wanted = filter.tags.map((tag) => tag.toLowerCase())
  const checks = checksByService(store)
  const ofNode = [serfHealth(node), ...(checks.get('') ?? []).map((check) => checkView(store, node, check))]
  const entries: object[] = []
  for (const service of store.instancesOf(name)) {
    const tags = new Set(service.definition.tags.map((tag) => tag.toLowerCase()))
    if (!wanted.every((tag) => tags.has(tag))) continue
    const own = checks.get(service.definition.id) ?? []
    if (filter.passing && (own.some(({ status }) => status !== 'passing') || (checks.get('') ?? []).some(({ status }) => status !== 'passing'))) continue
    entries.push({ Node: nodeView(node), Service: serviceView(service), Checks: [...ofNode, ...own.map((check) => checkView(store, node, check))] })
  }
  return entries
}

/** The entries of GET /v1/health/service/:name for every name. */
export function healthOfAll (store: Store, node: NodeFacts): object[] {
  const checks = checksByService(store)
  const ofNode = [serfHealth(node), ...(checks.get('') ?? []).map((check) => checkView(store, node, check))]
  return [...store.services.values()].map((service) =>
    ({ Node: nodeView(node), Service: serviceView(service), Checks: [...ofNode, ...(checks.get(service.definition.id) ?? []).map((check) => checkView(store, node, check))] }))
}

/** GET /v1/health/node/:node and, with a filter, /v1/health/checks/:service and /v1/health/state/:state. */
export function checksView (store: Store, node: NodeFacts, keep: (check: StoredCheck) => boolean, withNode: boolean): object[] {
  const checks = [...store.checks.values()].filter(keep).sort((a, b) => a.definition.id < b.definition.id ? -1 : 1).map((check) => checkView(store, node, check))
  return withNode ? [serfHealth(node), ...checks] : checks
}

/** GET /v1/agent/services */
export function agentServices (store: Store): Record<string, object> {
  return Object.fromEntries([...store.services.values()].map(({ definition }) => [definition.id, {
    ID: definition.id,
    Service: definition.name,
    Tags: definition.tags,
    Meta: definition.meta,
    Port: definition.port,
    Address: definition.address,
    Weights: definition.weights,
    EnableTagOverride: definition.enableTagOverride
  }]))
}

/** GET /v1/agent/checks */
export function agentChecks (store: Store, node: NodeFacts): Record<string, object> {
  return Object.fromEntries([...store.checks.values()].map((check) => [check.definition.id, checkView(store, node, check)]))
}

/** GET /v1/agent/self, as far as clients read it. */
export function agentSelf (node: NodeFacts): object {
  return {
    Config: { Datacenter: node.datacenter, NodeName: node.name, NodeID: node.id, Revision: 'postern', Server: true, Version: '1.8.7' },
    Member: { Name: node.name, Addr: node.address, Port: 0, Tags: { dc: node.datacenter, role: 'consul' }, Status: 1 },
    Meta: {}
  }
}

/** GET /v1/catalog/services: every name with the tags of all its instances. */
export function catalogServices (store: Store): Record<string, string[]> {
  const names = new Map<string, Set<string>>([['consul', new Set()]])
  for (const { definition } of store.services.values()) {
    const tags = names.get(definition.name) ?? new Set()
    names.set(definition.name, tags)
    for (const tag of definition.tags) tags.add(tag)
  }
  return Object.fromEntries([...names].sort(([a], [b]) => a < b ? -1 : 1).map(([name, tags]) => [name, [...tags]]))
}

/** GET /v1/catalog/service/:name */
export function catalogService (store: Store, node: NodeFacts, name: string): object[] {
  return store.instancesOf(name).map(({ definition, createIndex, modifyIndex }) => ({
    ID: node.id,
    Node: node.name,
    Address: node.address,
    Datacenter: node.datacenter,
    TaggedAddresses: { lan: node.address, wan: node.address },
    NodeMeta: {},
    ServiceKind: '',
    ServiceID: definition.id,
    ServiceName: definition.name,
    ServiceTags: definition.tags,
    ServiceAddress: definition.address,
    ServiceWeights: definition.weights,
    ServiceMeta: definition.meta,
    ServicePort: definition.port,
    ServiceEnableTagOverride: definition.enableTagOverride,
    ServiceProxy: noProxy,
    ServiceConnect: {},
    CreateIndex: createIndex,
    ModifyIndex: modifyIndex
  }))
}

function checksByService (store: Store): Map<string, StoredCheck[]> {
  const groups = new Map<string, StoredCheck[]>()
  for (const check of store.checks.values()) {
    const group = groups.get(check.definition.serviceId)
    if (group === undefined) groups.set(check.definition.serviceId, [check])
    else group.push(check)
  }
  return groups
}

function nodeView (node: NodeFacts): object {
  return {
    ID: node.id,
    Node: node.name,
    Address: node.address,
    Datacenter: node.datacenter,
    TaggedAddresses: { lan: node.address, wan: node.address },
    Meta: {},
    CreateIndex: 1,
    ModifyIndex: 1
  }
}

function serviceView ({ definition, createIndex, modifyIndex }: StoredService): object {
  return {
    ID: definition.id,
    Service: definition.name,
    Tags: definition.tags,
    Address: definition.address,
    // Recorded: null, not {}, when nothing was registered.
    Meta: Object.keys(definition.meta).length === 0 ? null : definition.meta,
    Port: definition.port,
    Weights: definition.weights,
    EnableTagOverride: definition.enableTagOverride,
    Proxy: noProxy,
    Connect: {},
    CreateIndex: createIndex,
    ModifyIndex: modifyIndex
  }
}

function checkView (store: Store, node: NodeFacts, { definition, status, output, createIndex, modifyIndex }: StoredCheck): object {
  const service = store.services.get(definition.serviceId)?.definition
  return {
    Node: node.name,
    CheckID: definition.id,
    Name: definition.name,
    Status: status,
    Notes: definition.notes,
    Output: output,
    ServiceID: definition.serviceId,
    ServiceName: service?.name ?? '',
    ServiceTags: service?.tags ?? [],
    Type: definition.type,
    Definition: {},
    CreateIndex: createIndex,
    ModifyIndex: modifyIndex
  }
}

/** The check that Consul's own membership protocol makes of every node. */
function serfHealth (node: NodeFacts): object {
  return {
    Node: node.name,
    CheckID: 'serfHealth',
    Name: 'Serf Health Status',
    Status: 'passing',
    Notes: '',
    Output: 'Agent alive and reachable',
    ServiceID: '',
    ServiceName: '',
    ServiceTags: [],
    Type: '',
    Definition: {},
    CreateIndex: 1,
    ModifyIndex: 1
  }
}
