// How each registry is doing, for /api, metrics and log: its last state, and what it listed that nobody can read.
import type { Registration, Snapshot, WatchState } from '../registry/registration.ts'
import { describeDropped, describeRegistry, type LogLine } from './changes-log.ts'

type Registry = Registration['registry']
type Dropped = NonNullable<Snapshot['dropped']>

export class RegistryStates {
  readonly #log: (line: LogLine) => void
  readonly #states = new Map<Registry, WatchState>()
  readonly #dropped = new Map<Registry, Dropped>()

  constructor (log: (line: LogLine) => void) { this.#log = log }

  get all (): WatchState[] { return [...this.#states.values()] }
  /** Each with what it listed that cannot be read. */
  get described (): Array<WatchState & { readonly dropped: Dropped | undefined }> { return this.all.map(state => ({ ...state, dropped: this.#dropped.get(state.registry) })) }
  get dropped (): Record<string, Dropped> { return Object.fromEntries(this.#dropped) }

  told (state: WatchState): void {
    const line = describeRegistry(this.#states.get(state.registry), state)
    this.#states.set(state.registry, state)
    if (line !== undefined) this.#log(line)
  }

  read ({ registry, dropped }: Pick<Snapshot, 'registry' | 'dropped'>): void {
    const line = describeDropped(registry, this.#dropped.get(registry), dropped)
    if (dropped === undefined) this.#dropped.delete(registry)
    else this.#dropped.set(registry, dropped)
    if (line !== undefined) this.#log(line)
  }

  started (registry: Registry): void {
    if (!this.#states.has(registry)) this.#states.set(registry, { registry, ok: false, lastGoodAt: undefined, error: undefined, agent: undefined })
  }

  stopped (registry: Registry): void {
    this.#states.delete(registry)
    this.#dropped.delete(registry)
  }

  failed (registry: Registry, error: Error): void {
    this.#states.set(registry, { registry, ok: false, lastGoodAt: undefined, error: error.message, agent: undefined })
    this.#log({ level: 'error', fields: { registry, error: error.message }, message: 'registry could not be started' })
  }
}
