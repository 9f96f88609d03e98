// How each registry is doing, for /api, metrics and log: its last state, and what it listed that nobody can read.
import { sameData } from '../lib/same-data.ts'
import type { Registration, Snapshot, WatchState } from '../registry/registration.ts'
import { describeDropped, describeRegistry, type LogLine } from './changes-log.ts'
import type { Unreadable } from './protocol.ts'
import { isFailing } from './stale.ts'

type Registry = Registration['registry']
/** Reasons that are shown. */
const reasonsShown = 10

/** What an answer of a registry has that cannot be read, or not whole. */
function toUnreadable ({ dropped = [], registrations }: Snapshot): Unreadable | undefined {
  const reasons = dropped.map(({ reason }) => reason)
  for (const { id, malformed } of registrations) if (malformed !== undefined) reasons.push(`${id}: ${malformed}`)
  return reasons.length === 0 ? undefined : { count: reasons.length, reasons: reasons.slice(0, reasonsShown) }
}

export type DescribedRegistry = WatchState & {
  /** Registrations in force that it does not vouch for now. */
  readonly stale: number
  readonly dropped: Unreadable | undefined
}

export class RegistryStates {
  readonly #log: (line: LogLine) => void
  readonly #staleIn: (state: WatchState) => number
  readonly #states = new Map<Registry, WatchState>()
  readonly #dropped = new Map<Registry, Unreadable>()

  /** `staleIn`: how many registrations are in force that the registry does not vouch for. */
  constructor (log: (line: LogLine) => void, staleIn: (state: WatchState) => number) {
    this.#log = log
    this.#staleIn = staleIn
  }

  get all (): WatchState[] { return [...this.#states.values()] }
  /** Each with what it listed that cannot be read, and what stays in force without its word. */
  get described (): DescribedRegistry[] { return this.all.map(state => ({ ...state, stale: this.#staleIn(state), dropped: this.#dropped.get(state.registry) })) }
  get stale (): Record<string, number> { return Object.fromEntries(this.all.map(state => [state.registry, this.#staleIn(state)])) }
  get dropped (): Record<string, Unreadable> { return Object.fromEntries(this.#dropped) }

  of (registry: Registry): WatchState | undefined { return this.#states.get(registry) }

  /** Whether it fails, or answers, for something else than before. */
  told (state: WatchState): boolean {
    const before = this.#states.get(state.registry)
    const line = describeRegistry(before, state, this.#staleIn(state))
    this.#states.set(state.registry, state)
    if (line !== undefined) this.#log(line)
    return isFailing(before) !== isFailing(state) || !sameData(before?.failing, state.failing)
  }

  read (snapshot: Snapshot): void {
    const { registry } = snapshot
    const dropped = toUnreadable(snapshot)
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
    this.#states.set(registry, { registry, ok: false, lastGoodAt: undefined, error: error.message, agent: undefined, errors: 1 })
    this.#log({ level: 'error', fields: { registry, error: error.message }, message: 'registry could not be started' })
  }
}
