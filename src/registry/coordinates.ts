// How far nodes and datacenters are by Consul's network coordinates. Pure.

/** Estimated round trips from the agent that told the coordinates, in ms; undefined = not known. */
export interface Distances {
  /** `datacenter` undefined: the agent's own. Of a node elsewhere all that is known is how far its datacenter is. */
  node (datacenter: string | undefined, node: string): number | undefined
  datacenter (datacenter: string): number | undefined
  /** Equal texts mean equal distances. */
  readonly signature: string
}

export const unknownDistances: Distances = { node: () => undefined, datacenter: () => undefined, signature: '' }

/** Most nodes whose coordinates are kept. */
const mostNodes = 20_000
const finestMs = 0.5
const step = 1.5

interface Coordinate { readonly position: readonly number[], readonly height: number, readonly adjustment: number }
type Own = { readonly node: string | undefined, readonly datacenter: string | undefined }

/** `nodes`: GET /v1/coordinate/nodes; `datacenters`: GET /v1/coordinate/datacenters; both as they came. What cannot be read is left out. */
export function readDistances (nodes: unknown, datacenters: unknown, own: Own): Distances {
  const byNode = distancesOfNodes(nodes, own.node)
  const byDatacenter = distancesOfDatacenters(datacenters, own.datacenter)
  return {
    node: (datacenter, node) => datacenter === undefined || own.datacenter === undefined || datacenter === own.datacenter ? byNode.get(node) : byDatacenter.get(datacenter),
    datacenter: datacenter => byDatacenter.get(datacenter),
    signature: JSON.stringify([[...byNode].sort(), [...byDatacenter].sort()])
  }
}

function distancesOfNodes (nodes: unknown, own: string | undefined): Map<string, number> {
  const found = new Map<string, Coordinate>()
  for (const entry of list(nodes).slice(0, mostNodes)) {
    const coordinate = readCoordinate(entry['Coord'])
    if (typeof entry['Node'] === 'string' && coordinate !== undefined) found.set(entry['Node'], coordinate)
  }
  const here = own === undefined ? undefined : found.get(own)
  if (here === undefined) return new Map()
  return new Map([...found].map(([node, there]) => [node, node === own ? finestMs : distanceMs(here, there)]))
}

/** Coordinates of two datacenters can only be compared within the pool of all servers (AreaID wan): the nearest pair counts. */
function distancesOfDatacenters (datacenters: unknown, own: string | undefined): Map<string, number> {
  const found = new Map<string, Coordinate[]>()
  for (const entry of list(datacenters)) {
    if (typeof entry['Datacenter'] !== 'string' || entry['AreaID'] !== 'wan') continue
    found.set(entry['Datacenter'], list(entry['Coordinates']).flatMap(server => readCoordinate(server['Coord']) ?? []))
  }
  const here = own === undefined ? [] : found.get(own) ?? []
  const distances = new Map<string, number>()
  for (const [datacenter, there] of found) {
    if (datacenter === own || there.length === 0 || here.length === 0) continue
    distances.set(datacenter, Math.min(...here.flatMap(a => there.map(b => distanceMs(a, b)))))
  }
  return distances
}

/**
 * As Consul's own documentation computes it (Internals, Network Coordinates). Rounded to steps of half as much again, so that the drift of
 * coordinates is no news.
 */
export function distanceMs (a: Coordinate, b: Coordinate): number {
  let squares = 0
  for (const [index, value] of a.position.entries()) squares += (value - (b.position[index] ?? 0)) ** 2
  const raw = Math.sqrt(squares) + a.height + b.height
  const adjusted = raw + a.adjustment + b.adjustment
  const ms = (adjusted > 0 ? adjusted : raw) * 1_000
  return Number((finestMs * step ** Math.max(0, Math.round(Math.log(ms / finestMs) / Math.log(step)))).toPrecision(3))
}

function readCoordinate (value: unknown): Coordinate | undefined {
  const { Vec: position, Height: height, Adjustment: adjustment } = (value ?? {}) as Record<string, unknown>
  if (!Array.isArray(position) || !position.every(Number.isFinite) || !Number.isFinite(height) || !Number.isFinite(adjustment)) return undefined
  return { position: position as number[], height: height as number, adjustment: adjustment as number }
}

const list = (value: unknown): Array<Record<string, unknown>> => Array.isArray(value) ? value.filter(item => typeof item === 'object' && item !== null) as Array<Record<string, unknown>> : []
