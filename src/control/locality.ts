// How far each endpoint is from this gateway: its zone, its datacenter, and what Consul's network coordinates say. Pure.
import type { Config } from '../config/schema.ts'
import type { Distances } from '../registry/coordinates.ts'
import type { Registration } from '../registry/registration.ts'

/** Where an endpoint stands, as its plan says it. */
export interface Place {
  readonly datacenter: string | undefined
  readonly zone: string | undefined
  /** 0 is nearest. Calls go to the next level as far as the nearer ones cannot carry them. */
  readonly level: number
  /** Estimated round trip, ms; undefined = not known. */
  readonly rttMs: number | undefined
}

export type Locate = (registration: Registration) => Place

export type LocalityRules = Pick<Config, 'locality'> & { readonly registry: Pick<Config['registry'], 'consul'> }

/** A datacenter that nobody listed is farther than all that are. */
const unlisted = 1_000

/**
 * Own zone, then the rest of the own datacenter, then the other datacenters in their order, each a level of its own. An endpoint that
 * says no datacenter (fixed ones, those of a file) counts as being in ours; without a zone of our own, zones make no difference.
 */
export function createLocate ({ locality, registry: { consul } }: LocalityRules, distances: Distances): Locate {
  const listed = consul?.datacenters ?? []
  const own = locality.datacenter ?? listed[0]
  const order = listed.filter(datacenter => datacenter !== own)
  if (consul?.datacenterOrder === 'coordinates') {
    const far = (datacenter: string) => distances.datacenter(datacenter) ?? Infinity
    // Those whose distance is not known keep their order, behind.
    order.sort((a, b) => far(a) === far(b) ? 0 : far(a) - far(b))
  }
  const levels = new Map(order.map((datacenter, index) => [datacenter, 2 + index]))
  return ({ meta, datacenter, node, registry }) => {
    const zone = meta[locality.zoneMetaKey]
    const near = own === undefined || datacenter === undefined || datacenter === own || registry !== 'consul'
    const level = !near ? levels.get(datacenter) ?? unlisted : locality.zone === undefined || zone === locality.zone ? 0 : 1
    return { datacenter, zone, level, rttMs: registry === 'consul' ? distances.node(datacenter, node) : undefined }
  }
}
