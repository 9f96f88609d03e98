// The fixed endpoints of postern.yaml as registrations, so that the same rules hold for them. Pure.
import type { Config } from '../config/schema.ts'
import type { Registration } from '../registry/registration.ts'
import type { CatalogEntry } from './catalog.ts'

/** Query and fragment of a base URL mean nothing; its trailing slash is ours to put. */
export function toFixedRegistrations (upstreams: Config['upstreams']): Registration[] {
  return Object.entries(upstreams).flatMap(([service, { endpoints = [] }]) => [...new Set(endpoints)].map((text): Registration => {
    const url = new URL(text)
    const basePath = url.pathname.replace(/\/+$/, '')
    return {
      id: `config:${service}:${url.origin}${basePath}`,
      registry: 'config',
      registeredAs: service,
      service,
      kind: 'plain',
      address: { url: url.origin + basePath, origin: url.origin, basePath },
      refused: undefined,
      names: [],
      version: undefined,
      tags: [],
      meta: {},
      weights: { passing: 1, warning: 1 },
      health: 'passing',
      notes: undefined,
      createIndex: Number.MAX_SAFE_INTEGER,
      node: '',
      datacenter: undefined
    }
  }))
}

/** The same as entries of a catalog; those that stood there `before` stand there since then. `now`: ms since epoch. */
export function toFixedEntries (upstreams: Config['upstreams'], before: readonly CatalogEntry[], now: number): CatalogEntry[] {
  const firstSeen = new Map(before.map(entry => [entry.registration.id, entry.firstSeenAt]))
  return toFixedRegistrations(upstreams).map(registration => ({ registration, firstSeenAt: firstSeen.get(registration.id) ?? now, unconfirmedSince: undefined, stale: false }))
}
