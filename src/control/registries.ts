// What each registry is remembered to have said, where its answers come from, and whether it has answered since the start. Pure but for what it remembers.
import type { Config } from '../config/schema.ts'
import type { LastWord, Registration, Snapshot, UnreadPart, WatchState } from '../registry/registration.ts'
import { expire, lastWordOf, remember, type CatalogEntry, type RegistryMemory } from './catalog.ts'
import { failsFor, isFailing, isUnvouched } from './stale.ts'
import { memoriesOf, type KeptState } from './state-file.ts'
import { registriesOf } from './watches.ts'

type Registry = Registration['registry']

export class Registries {
  readonly #memories = new Map<Registry, RegistryMemory>()
  /** Counted once: registries tell how they are far more often than what they list changes. */
  readonly #unvouched = new WeakMap<RegistryMemory, number>()
  readonly #sources = new Map<Registry, string>()
  /** Those that have answered since the start, since when (ms since epoch), and those whose last good answer came from disk. */
  readonly #answered = new Map<Registry, number>()
  readonly #restored = new Set<Registry>()

  /** Something has been told at all, by a registry or from disk. */
  get hasAny (): boolean { return this.#answered.size > 0 || this.#restored.size > 0 }

  /** See `remember`. */
  told (snapshot: Snapshot, now: number, lastGoodAt: number | undefined): void {
    const { registry } = snapshot
    this.#memories.set(registry, remember(this.#memories.get(registry), snapshot, now, lastGoodAt))
    if (!this.#answered.has(registry)) this.#answered.set(registry, now)
    this.#restored.delete(registry)
  }

  /** Another source is another truth: its first answer replaces what the former said, without doubting what it leaves out; until then that serves on. Gives back what this one is known to have said. */
  started (registry: Registry, source: string): LastWord | undefined {
    const before = this.#sources.get(registry)
    const known = this.#memories.get(registry)
    if (before !== undefined && before !== source && known !== undefined) this.#memories.set(registry, { ...known, replaced: true })
    this.#sources.set(registry, source)
    return lastWordOf(this.#memories.get(registry))
  }

  stopped (registry: Registry): void {
    for (const all of [this.#memories, this.#sources, this.#answered]) all.delete(registry)
  }

  /** Drops what has been unconfirmed for longer than `unconfirmedMs`. */
  expire (now: number, unconfirmedMs: number): void {
    for (const [registry, known] of this.#memories) this.#memories.set(registry, expire(known, now, unconfirmedMs))
  }

  * entries (): Generator<CatalogEntry> {
    for (const { entries } of this.#memories.values()) yield * entries.values()
  }

  /** Registrations in force that the registry does not vouch for now: while it fails, all it fails for. */
  staleIn (state: WatchState): number {
    const known = this.#memories.get(state.registry)
    if (known === undefined) return 0
    if (isFailing(state)) return countInForce(known, entry => isUnvouched(entry) || failsFor(state, entry.registration))
    let count = this.#unvouched.get(known)
    if (count === undefined) this.#unvouched.set(known, count = countInForce(known, isUnvouched))
    return count
  }

  /**
   * All that are configured have answered since the start, and whole: an owner may be in the part that could not be read. He is waited for as long as one
   * whom a registry has forgotten: a part that may never be read must not keep names for ever.
   */
  isComplete (config: Config['registry'], now: number): boolean {
    return registriesOf(config).every(registry => {
      const since = this.#answered.get(registry)
      return since !== undefined && (this.#missingOf(registry).length === 0 || now - since >= config.unconfirmedMs)
    })
  }

  /** Configured, and nothing known of it, from disk neither. */
  unanswered (config: Config['registry']): Registry[] {
    return registriesOf(config).filter(registry => !this.#answered.has(registry) && !this.#restored.has(registry))
  }

  /** See `unanswered`; of those that are known: for which services nothing is. */
  missing (config: Config['registry']): string[] {
    const unanswered = this.unanswered(config)
    return registriesOf(config).flatMap(registry => {
      if (unanswered.includes(registry)) return [registry]
      return this.#missingOf(registry).map(({ service, datacenter }) => `${registry} (${service}${datacenter === undefined ? '' : ` in ${datacenter}`})`)
    })
  }

  #missingOf (registry: Registry): readonly UnreadPart[] { return this.#memories.get(registry)?.missing ?? [] }

  /** To be written down. `vouchedAtOf`: see stale.ts. */
  keep (vouchedAtOf: (entry: CatalogEntry) => number): KeptState['registries'] {
    return [...this.#memories].map(([registry, known]) => ({ registry, source: this.#sources.get(registry) ?? '', index: known.index, ...(known.missing === undefined ? {} : { missing: known.missing }), entries: [...known.entries.values()].map(entry => ({ ...entry, vouchedAt: vouchedAtOf(entry) })) }))
  }

  restore (kept: KeptState, config: Config['registry']): void {
    for (const [registry, remembered] of memoriesOf(kept, config)) {
      this.#memories.set(registry, remembered)
      this.#restored.add(registry)
    }
  }
}

/** What can never be used as it stands is in force neither way. */
function countInForce ({ entries }: RegistryMemory, is: (entry: CatalogEntry) => boolean): number {
  let count = 0
  for (const entry of entries.values()) if (entry.registration.address !== undefined && entry.registration.refused === undefined && is(entry)) count++
  return count
}
