// One element of Consul's `GET /v1/health/service/:name` -> one registration in our words. Pure.
import { parseAddress } from './address.ts'
import { judgeHealth } from './health.ts'
import type { ConsulCheck } from './health.ts'
import { carriesTag, readNames } from './names.ts'
import type { Kind, NameRules } from './names.ts'
import type { Dropped, Registration } from './registration.ts'

/** How entries of this catalog are to be read. */
export interface EntryRules extends NameRules {
  readonly registry: 'consul' | 'embedded'
  /** Whether a node's loopback is also ours (decided by the watch). A node of the same name in another datacenter is another machine. */
  readonly isOurs: (node: string, datacenter: string | undefined) => boolean
}

/**
 * `dropped`: too broken to be shown under any id. `elsewhere`: sound, but of another environment. What has an id but cannot be called comes as a
 * registration with `refused`, what cannot be read whole with `malformed`.
 */
export type ReadEntry = { readonly registration: Registration } | { readonly dropped: Dropped } | { readonly elsewhere: true }

const guid = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
/** ss-{ServiceName}-{guid}; the service's name may contain dashes itself. */
const pluginId = new RegExp(`^ss-(.+)-${guid}$`, 'i')

/** The service that the plugin's id names; undefined of any other id. */
export const serviceOfId = (id: string): string | undefined => pluginId.exec(id)?.[1]

/** Reads one entry. Never throws: whatever one registration holds, the others are not affected. */
export function readEntry (entry: unknown, rules: EntryRules): ReadEntry {
  if (!isObject(entry)) return drop('an entry is not an object')
  const service = entry.Service
  const node = isObject(entry.Node) ? entry.Node : {}
  if (!isObject(service)) return drop('an entry has no Service', {}, node)
  const registeredAs = text(service.Service)
  const id = text(service.ID)
  // Consul lists everything under an ID, on a node. Anything in their place would make a new registration of one that is only listed badly.
  if (id === '') return drop('an entry has no ID', service, node)
  const nodeName = text(node.Node)
  if (nodeName === '') return drop('an entry has no node', service, node)
  const datacenter = text(node.Datacenter) || undefined
  const nodeIdentity = identityOf(node)
  const tags = strings(service.Tags)
  const isElsewhere = rules.environmentTag !== undefined && !carriesTag(tags, rules.environmentTag)
  if (isElsewhere && isList(service.Tags, isText)) return { elsewhere: true }

  const meta = textRecord(service.Meta)
  const written = text(service.Address)
  const kind = kindOf(id, registeredAs, written, tags)
  const { names, version } = readNames(kind, tags, meta, rules)
  const parsed = parseAddress({
    address: written,
    port: typeof service.Port === 'number' ? service.Port : Number.NaN,
    nodeAddress: text(node.Address),
    scheme: meta.scheme?.toLowerCase() === 'https' ? 'https' : 'http'
  })
  const malformed = faultOf(service, entry) ?? ('refused' in parsed ? parsed.refused : undefined)
  const { health, notes, healthCheck, checkless } = judgeHealth(Array.isArray(entry.Checks) ? entry.Checks.filter(isObject) as ConsulCheck[] : [])
  return {
    registration: {
      id,
      registry: rules.registry,
      registeredAs,
      service: serviceOfId(id) ?? (registeredAs || id),
      kind,
      address: 'address' in parsed ? parsed.address : undefined,
      refused: refusal(service, entry, isElsewhere) ?? ('refused' in parsed ? parsed.refused : undefined),
      ...(malformed === undefined ? {} : { malformed }),
      names,
      version: version ?? (kind === 'req' ? versionInId(id) : undefined),
      tags,
      meta,
      weights: weightsOf(service.Weights),
      health,
      ...(healthCheck === true ? { healthCheck } : {}),
      ...(checkless === true ? { checkless } : {}),
      notes,
      createIndex: typeof service.CreateIndex === 'number' ? service.CreateIndex : 0,
      node: nodeName,
      ...(nodeIdentity === undefined ? {} : { nodeIdentity }),
      datacenter,
      ownNode: rules.isOurs(nodeName, datacenter)
    }
  }
}

/** Where an entry stands in its datacenter, as node and id; undefined where it does not say so. */
export function placeIn (entry: unknown): string | undefined {
  if (!isObject(entry) || !isObject(entry.Node) || !isObject(entry.Service)) return undefined
  const [node, id] = [text(entry.Node.Node), text(entry.Service.ID)]
  return node === '' || id === '' ? undefined : placeOf({ node, id })
}

export const placeOf = ({ node, id }: Pick<Registration, 'node' | 'id'>): string => `${node}/${id}`

/** Which node of its name a Node object of Consul is: after a lost data directory it was made anew, under another ID or another index. */
export function identityOf ({ ID, CreateIndex }: Readonly<Record<string, unknown>>): string | undefined {
  return typeof CreateIndex === 'number' ? `${text(ID)}/${CreateIndex}` : undefined
}

function drop (reason: string, service: Record<string, unknown> = {}, node: Record<string, unknown> = {}): ReadEntry {
  const known = (value: unknown): string | undefined => text(value) || undefined
  return { dropped: { reason, id: known(service.ID), registeredAs: known(service.Service), node: known(node.Node), datacenter: known(node.Datacenter) } }
}

/** Why the entry as such cannot be used, whatever its address. */
function refusal (service: Record<string, unknown>, entry: Record<string, unknown>, isElsewhere: boolean): string | undefined {
  const kind = text(service.Kind)
  if (kind !== '') return `it is a ${kind} of the service mesh, not a service`
  // Without its checks nobody knows whether it is in maintenance.
  if (!Array.isArray(entry.Checks) && entry.Checks !== null) return 'the registry lists it without its checks'
  return isElsewhere ? 'its tags cannot be read, so nobody knows its environment' : undefined
}

/** What has the wrong type: such an entry is no word of whoever registered it. Null is how Go writes an empty list or map. */
function faultOf (service: Record<string, unknown>, entry: Record<string, unknown>): string | undefined {
  if (!isList(entry.Checks, check => isObject(check) && isText(check.Status))) return Array.isArray(entry.Checks) ? 'a check of it cannot be read' : 'the registry lists it without its checks'
  if (!isText(service.Service)) return 'its service name is no text'
  if (!isNothing(service.Address) && !isText(service.Address)) return 'its address is no text'
  if (!isNothing(service.Port) && typeof service.Port !== 'number') return 'its port is no number'
  if (!isList(service.Tags, isText)) return 'its tags are no list of texts'
  if (!isNothing(service.Meta) && !(isObject(service.Meta) && Object.values(service.Meta).every(isText))) return 'its Meta is no map of texts'
  return undefined
}

function kindOf (id: string, registeredAs: string, address: string, tags: readonly string[]): Kind {
  const versioned = tags.some((tag) => /^ss-version-/i.test(tag))
  const url = /^https?:\/\//i.test(address)
  if (pluginId.test(id) ? versioned || url : versioned && url) return 'plugin'
  // The plugin of April 2016: SS-ServiceA, SS-ServiceAv2-0, the tag ServiceStack, req- in front of every message.
  if ((carriesTag(tags, 'ServiceStack') || /^SS-/.test(registeredAs)) && tags.some((tag) => /^req-./i.test(tag))) return 'req'
  return 'plain'
}

/** SS-ServiceAv2-0 -> 2.0 */
function versionInId (id: string): string | undefined {
  const found = /v([0-9]+)-([0-9]+)$/.exec(id)
  return found === null ? undefined : `${found[1]}.${found[2]}`
}

function weightsOf (value: unknown): Registration['weights'] {
  const weights = isObject(value) ? value : {}
  return { passing: weight(weights.Passing), warning: weight(weights.Warning) }
}

/** Consul's own bounds: 0 to 65535, 1 when nothing is said. */
const weight = (value: unknown): number =>
  typeof value === 'number' && value >= 0 ? Math.min(65_535, Math.trunc(value)) : 1

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isText = (value: unknown): value is string => typeof value === 'string'
const isNothing = (value: unknown): boolean => value === null || value === undefined
/** Null is an empty one. */
const isList = (value: unknown, isItem: (item: unknown) => boolean): boolean => value === null || (Array.isArray(value) && value.every(isItem))
const text = (value: unknown): string => typeof value === 'string' ? value : ''
const strings = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []

function textRecord (value: unknown): Record<string, string> {
  // No prototype: a key of foreign text must not find Object's own.
  const record = Object.create(null) as Record<string, string>
  if (isObject(value)) for (const [key, item] of Object.entries(value)) if (typeof item === 'string') record[key] = item
  return record
}
