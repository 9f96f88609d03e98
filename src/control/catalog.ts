// What the registries say, remembered against their forgetting (decisions 1.5): snapshot after snapshot, entry by entry. Pure.
import { LargeMap } from '../lib/large-map.ts'
import { sameData } from '../lib/same-data.ts'
import type { Dropped, LastWord, Registration, Snapshot, UnreadPart } from '../registry/registration.ts'
import { isOf } from './stale.ts'

export interface CatalogEntry {
  readonly registration: Registration
  /** ms since epoch. */
  readonly firstSeenAt: number
  /** The registry no longer names it, but has visibly forgotten more than that. ms since epoch. */
  readonly unconfirmedSince: number | undefined
  /** From our own disk, or from before a change of what is watched: the registry has not answered for it yet. */
  readonly stale: boolean
  /**
   * When its registry last said of it what is remembered here, and would have told what has come after it; ms since epoch. Only of what it does not
   * vouch for now; left out in files of older versions.
   */
  readonly vouchedAt?: number
  /** Why what the registry lists of it now cannot be read: this is its last good form. Unconfirmed as well: it is missing, and an unreadable entry may be it. */
  readonly unread?: string | undefined
}

/** Whether it is unconfirmed for a while only. What may be listed in a form that cannot be read has not been forgotten. */
export const isTimed = ({ unconfirmedSince, unread }: CatalogEntry): boolean => unconfirmedSince !== undefined && unread === undefined

/** An id is unique on its node only: another datacenter's web-1 is another one. */
export function keyOf ({ id, node, datacenter }: Registration): string {
  return datacenter === undefined ? id : `${datacenter}/${node}/${id}`
}

/** One registry's part. */
export interface RegistryMemory {
  /** The last one that it gave. */
  readonly index: number | undefined
  readonly entries: ReadonlyMap<string, CatalogEntry>
  /** The operator has pointed to another registry: its first answer holds whole, what it leaves out is gone. */
  readonly replaced?: boolean
  /** What of its last answer could not be read. Left out: not known. */
  readonly suspects?: readonly Dropped[]
  /** What it has not answered for since it is watched, and of which nothing is remembered either: whoever looks for a name may find it there. */
  readonly missing?: readonly UnreadPart[]
}

export type Catalog = ReadonlyMap<Registration['registry'], RegistryMemory>

/** Most entries kept that a registry no longer names: a registry of ours may forget, it may not grow us without end. */
export const mostUnconfirmed = 10_000

/** An order of an operator counts, whose next step is to deregister; failing checks do not: they may come of what made the registry forget, the end of a machine. */
const isInService = ({ registration: { address, health }, unconfirmedSince }: CatalogEntry): boolean =>
  unconfirmedSince === undefined && address !== undefined && health !== 'maintenance'

/**
 * Whether an answer is to be doubted where it leaves something out: the index went backwards or got lost, or all endpoints of two or more
 * services in service vanished at once, or a node is another one of the same name (an agent restarted without data, or a token that lost its rights,
 * answers a calm `200 []`). Services that were drained are on their way out: that they go together is no sign. `answered`:
 * what is remembered of what the answer is about.
 */
export function looksForgetful (index: number | undefined, answered: readonly CatalogEntry[], snapshot: Snapshot): boolean {
  // A file forgets nothing: what an operator took out is out.
  if (snapshot.registry === 'file') return false
  if (snapshot.reset) return true
  if (index !== undefined && (snapshot.index === undefined || snapshot.index < lowestIndex(index, answered, snapshot))) return true
  if (isBegunAnew(answered, snapshot)) return true
  const named = new Set<string>()
  for (const { service } of snapshot.registrations) named.add(service)
  const vanished = new Set<string>()
  for (const entry of answered) if (isInService(entry) && !named.has(entry.registration.service)) vanished.add(entry.registration.service)
  return vanished.size >= 2
}

const nodeOf = ({ datacenter, node }: Registration): string => `${datacenter}/${node}`

function isBegunAnew (answered: readonly CatalogEntry[], { registrations }: Snapshot): boolean {
  const nodes = new Map(registrations.map(registration => [nodeOf(registration), registration.nodeIdentity]))
  // Of what cannot be read now an older form is remembered, with the node of that time.
  return answered.some(({ registration, unconfirmedSince, unread }) => {
    const now = nodes.get(nodeOf(registration))
    return unconfirmedSince === undefined && unread === undefined && now !== undefined && registration.nodeIdentity !== undefined && now !== registration.nodeIdentity
  })
}

/** A registry that still is what it was answers no less. Where parts of it are not read, theirs may have been the highest: but no list is older than what it named. */
function lowestIndex (index: number, answered: readonly CatalogEntry[], { unread }: Snapshot): number {
  return unread === undefined ? index : Math.min(index, answered.reduce((highest, { registration }) => Math.max(highest, registration.createIndex), 0))
}

const isPart = (a: UnreadPart, b: UnreadPart): boolean => a.service === b.service && a.datacenter === b.datacenter

/** `memory`: what was known before. From disk, or of the same source, it has all that was watched; of another source only what it names. */
function findMissing (memory: RegistryMemory | undefined, { unread = [] }: Snapshot): readonly UnreadPart[] {
  const isRemembered = (part: UnreadPart): boolean => {
    if (memory === undefined) return false
    return memory.replaced === true ? memory.entries.values().some(({ registration }) => isOf(part, registration)) : memory.missing?.some(one => isPart(one, part)) !== true
  }
  return unread.filter(part => part.awaited && !isRemembered(part))
}

/** Whether an unreadable entry may be about a registration: nothing of it that can be read says otherwise. */
const couldBe = (suspect: Dropped, registration: Registration): boolean =>
  (['id', 'registeredAs', 'node', 'datacenter'] as const).every(field => suspect[field] === undefined || suspect[field] === registration[field])

/** Those that an earlier answer did not have: what was unreadable while a registration was listed beside it is not that registration. */
function newAmong (suspects: readonly Dropped[], before: readonly Dropped[] = []): readonly Dropped[] {
  const left = new Map<string, number>()
  for (const suspect of before) {
    const signature = JSON.stringify(suspect)
    left.set(signature, (left.get(signature) ?? 0) + 1)
  }
  return suspects.filter(suspect => {
    const signature = JSON.stringify(suspect)
    const count = left.get(signature) ?? 0
    left.set(signature, count - 1)
    return count <= 0
  })
}

/** What is remembered of a registration that was just listed. What cannot be read whole takes nothing away from what was read before. */
function take (before: CatalogEntry | undefined, registration: Registration, now: number, lastGoodAt: number): CatalogEntry {
  const held = registration.malformed !== undefined && before?.registration.malformed === undefined ? before?.registration : undefined
  const unread = held === undefined ? undefined : registration.malformed
  const isSame = before !== undefined && (held !== undefined || sameData(before.registration, registration))
  if (isSame && before.unconfirmedSince === undefined && !before.stale && before.unread === unread) return before
  return { registration: isSame ? before.registration : registration, firstSeenAt: before?.firstSeenAt ?? now, unconfirmedSince: undefined, stale: false, ...(unread === undefined ? {} : { unread, vouchedAt: before?.vouchedAt ?? lastGoodAt }) }
}

/** Whether a snapshot says nothing of an entry, because where it is listed could not be read. */
const isUnread = ({ unread }: Snapshot, { registration }: CatalogEntry): boolean => unread?.some(part => isOf(part, registration)) === true

/** Adds what was known of what is not read: it stays as it is, and nobody vouches for it. Gives back the rest. */
function keepUnread (entries: LargeMap<CatalogEntry>, memory: RegistryMemory | undefined, snapshot: Snapshot, lastGoodAt: number): CatalogEntry[] {
  const answered: CatalogEntry[] = []
  for (const [id, entry] of memory?.entries ?? []) {
    if (!isUnread(snapshot, entry)) answered.push(entry)
    else if (!entries.has(id)) entries.set(id, entry.stale ? entry : { ...entry, stale: true, vouchedAt: entry.vouchedAt ?? lastGoodAt })
  }
  return answered
}

/** The highest index that a registry has given: one lower may be that of a part only. */
function highestIndex (before: number | undefined, { index, unread }: Snapshot): number | undefined {
  return index === undefined || (unread !== undefined && before !== undefined && before > index) ? before : index
}

/** The memory after a snapshot. What says the same as before stays the same object: nothing that was made of it has to be made anew. `lastGoodAt`: of its registry's last good answer before this one. ms since epoch. */
export function remember (memory: RegistryMemory | undefined, snapshot: Snapshot, now: number, lastGoodAt = now): RegistryMemory {
  const { dropped: suspects = [] } = snapshot
  const known = memory?.replaced === true ? undefined : memory
  const entries = new LargeMap<CatalogEntry>()
  for (const registration of snapshot.registrations) {
    const key = keyOf(registration)
    entries.set(key, take(known?.entries.get(key), registration, now, lastGoodAt))
  }
  const missing = findMissing(memory, snapshot)
  const answered = keepUnread(entries, memory, snapshot, lastGoodAt)
  if (known === undefined) return { index: snapshot.index, entries, suspects, missing }
  const forgetful = looksForgetful(known.index, answered, snapshot)
  const fresh = newAmong(suspects, known.suspects)
  let kept = 0
  for (const [id, entry] of known.entries) {
    if (entries.has(id) || kept === mostUnconfirmed) continue
    const isForgotten = entry.unconfirmedSince !== undefined && entry.unread === undefined
    const suspect = (entry.unconfirmedSince === undefined ? fresh : suspects).find(one => couldBe(one, entry.registration))
    // What is unconfirmed stays so until the registry names it again or its time is over; what goes one by one is gone, unless it may still be
    // there in a form that cannot be read.
    if (!forgetful && !isForgotten && suspect === undefined) continue
    kept++
    entries.set(id, { ...entry, stale: false, unconfirmedSince: entry.unconfirmedSince ?? now, vouchedAt: entry.vouchedAt ?? lastGoodAt, unread: forgetful || isForgotten ? undefined : suspect?.reason })
  }
  return { index: highestIndex(known.index, snapshot), entries, suspects, missing }
}

/** What a registry named last, for a watch of it that begins anew; nothing where another one has taken its place. */
export function lastWordOf (memory: RegistryMemory | undefined): LastWord | undefined {
  if (memory === undefined || memory.replaced === true) return undefined
  return { registrations: [...memory.entries.values()].filter(({ unconfirmedSince }) => unconfirmedSince === undefined).map(({ registration }) => registration), index: memory.index }
}

/** Drops what has been unconfirmed for longer than `unconfirmedMs`. Gives back the same object when nothing is. */
export function expire (memory: RegistryMemory, now: number, unconfirmedMs: number): RegistryMemory {
  const isOver = (entry: CatalogEntry) => isTimed(entry) && now - entry.unconfirmedSince! >= unconfirmedMs
  if (![...memory.entries.values()].some(isOver)) return memory
  return { ...memory, entries: new Map([...memory.entries].filter(([, entry]) => !isOver(entry))) }
}
