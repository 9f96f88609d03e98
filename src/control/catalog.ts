// What the registries say, remembered against their forgetting (decisions 1.5): snapshot after snapshot, entry by entry. Pure.
import { sameData } from '../lib/same-data.ts'
import type { Registration, Snapshot } from '../registry/registration.ts'

export interface CatalogEntry {
  readonly registration: Registration
  /** ms since epoch. */
  readonly firstSeenAt: number
  /** The registry no longer names it, but has visibly forgotten more than that. ms since epoch. */
  readonly unconfirmedSince: number | undefined
  /** Read from our own disk; the registry has not answered yet. */
  readonly stale: boolean
}

/** An id is unique on its node only: another datacenter's web-1 is another one. */
export function keyOf ({ id, node, datacenter }: Registration): string {
  return datacenter === undefined ? id : `${datacenter}/${node}/${id}`
}

/** One registry's part. */
export interface RegistryMemory {
  readonly index: number | undefined
  readonly entries: ReadonlyMap<string, CatalogEntry>
  /** The operator has pointed to another registry: its first answer holds whole, what it leaves out is gone. */
  readonly replaced?: boolean
}

export type Catalog = ReadonlyMap<Registration['registry'], RegistryMemory>

/** Most entries kept that a registry no longer names: a registry of ours may forget, it may not grow us without end. */
export const mostUnconfirmed = 10_000

const servicesOf = (entries: Iterable<CatalogEntry>): Set<string> => {
  const services = new Set<string>()
  for (const { registration, unconfirmedSince } of entries) {
    if (unconfirmedSince === undefined && registration.address !== undefined) services.add(registration.service)
  }
  return services
}

/**
 * Whether an answer is to be doubted where it leaves something out: the index went backwards, or all endpoints of two or more
 * services vanished at once (an agent restarted without data, or a token that lost its rights, answers a calm `200 []`).
 */
export function looksForgetful (memory: RegistryMemory, snapshot: Snapshot): boolean {
  // A file forgets nothing: what an operator took out is out.
  if (snapshot.registry === 'file') return false
  if (snapshot.reset) return true
  if (memory.index !== undefined && snapshot.index !== undefined && snapshot.index < memory.index) return true
  const named = new Set<string>()
  for (const { service } of snapshot.registrations) named.add(service)
  let vanished = 0
  for (const service of servicesOf(memory.entries.values())) if (!named.has(service) && ++vanished === 2) return true
  return false
}

/** The memory after a snapshot. What says the same as before stays the same object: nothing that was made of it has to be made anew. `now`: ms since epoch. */
export function remember (memory: RegistryMemory | undefined, snapshot: Snapshot, now: number): RegistryMemory {
  const entries = new Map<string, CatalogEntry>()
  for (const registration of snapshot.registrations) {
    const key = keyOf(registration)
    const before = memory?.entries.get(key)
    const isSame = before !== undefined && sameData(before.registration, registration)
    entries.set(key, isSame && before.unconfirmedSince === undefined && !before.stale
      ? before
      : { registration: isSame ? before.registration : registration, firstSeenAt: before?.firstSeenAt ?? now, unconfirmedSince: undefined, stale: false })
  }
  if (memory === undefined || memory.replaced === true) return { index: snapshot.index, entries }
  const forgetful = looksForgetful(memory, snapshot)
  let kept = 0
  for (const [id, entry] of memory.entries) {
    if (entries.has(id) || kept === mostUnconfirmed) continue
    // What is unconfirmed stays so until the registry names it again or its time is over; what goes one by one is gone.
    if (!forgetful && entry.unconfirmedSince === undefined) continue
    kept++
    entries.set(id, { ...entry, stale: false, unconfirmedSince: entry.unconfirmedSince ?? now })
  }
  return { index: snapshot.index, entries }
}

/** Drops what has been unconfirmed for longer than `unconfirmedMs`. Gives back the same object when nothing is. */
export function expire (memory: RegistryMemory, now: number, unconfirmedMs: number): RegistryMemory {
  const isOver = (entry: CatalogEntry) => entry.unconfirmedSince !== undefined && now - entry.unconfirmedSince >= unconfirmedMs
  if (![...memory.entries.values()].some(isOver)) return memory
  return { ...memory, entries: new Map([...memory.entries].filter(([, entry]) => !isOver(entry))) }
}
