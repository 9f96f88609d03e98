// What a whole list of Consul says of one service: its registrations, each once. An entry that is as it was is not read again.
import { LargeMap } from '../lib/large-map.ts'
import { sameData } from '../lib/same-data.ts'
import type { AgentAnswer } from './consul-agent.ts'
import { placeIn, placeOf, readEntry, type EntryRules, type ReadEntry } from './consul-entry.ts'
import type { Dropped, Registration } from './registration.ts'

/** What one service's latest good answer said. */
export interface ServiceView {
  readonly registrations: readonly Registration[]
  readonly dropped: readonly Dropped[]
  readonly index: number | undefined
  /** Something was withheld from our token. */
  readonly filtered: boolean
}

interface Known { readonly entry: unknown, readonly read: ReadEntry }

export class ListReader {
  readonly #of: { readonly service: string, readonly datacenter: string | undefined }
  readonly #rules: EntryRules
  /** By place (node and id) what the entries of the last answer were read as. */
  #before = new LargeMap<Known>()

  /** `of`: what the lists are of; `datacenter` undefined: the agent's own. */
  constructor (of: { readonly service: string, readonly datacenter: string | undefined }, rules: EntryRules) {
    this.#of = of
    this.#rules = rules
  }

  /** Entries that are objects of the last answer give what they gave then. */
  read ({ entries, index, filteredByAcl }: AgentAnswer): ServiceView {
    const { service, datacenter } = this.#of
    const registrations = new LargeMap<Registration>()
    const dropped: Dropped[] = []
    const known = new LargeMap<Known>()
    for (const entry of entries) {
      const at = placeIn(entry)
      const before = at === undefined ? undefined : this.#before.get(at)
      const read = before !== undefined && before.entry === entry ? before.read : readEntry(entry, this.#rules)
      if (at !== undefined) known.set(at, { entry, read })
      if ('registration' in read) {
        const place = placeOf(read.registration)
        const twin = registrations.get(place)
        // No registry does that: of two words of one registration neither is the later one.
        if (twin === undefined) registrations.set(place, read.registration)
        else if (!sameData(twin, read.registration)) dropped.push({ reason: 'it is listed twice, and not alike', id: twin.id, registeredAs: twin.registeredAs, node: twin.node, datacenter: twin.datacenter })
      } else if ('dropped' in read) dropped.push({ ...read.dropped, registeredAs: read.dropped.registeredAs ?? service, datacenter: read.dropped.datacenter ?? datacenter })
    }
    this.#before = known
    return { registrations: [...registrations.values()], dropped, index, filtered: filteredByAcl }
  }

  /** Everything is read anew: which nodes are ours is known otherwise. */
  forget (): void {
    this.#before = new LargeMap()
  }
}
