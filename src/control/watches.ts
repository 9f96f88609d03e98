// The registries being watched, as configured: started, restarted where their settings changed, stopped. I/O.
import type { Config, RegistryConfig } from '../config/schema.ts'
import type { NetworkRules, OwnListener } from '../registry/allowed-networks.ts'
import type { LastWord, Registration, Watch, WatchListener } from '../registry/registration.ts'

export type WatchedRegistry = Exclude<Registration['registry'], 'config'>

/** How each registry is watched; the composition in thread.ts gives the real ones, tests give their own. */
export interface WatchStarters {
  /** `known`: what this Consul is known to have said before. */
  consul (config: NonNullable<RegistryConfig['consul']>, listener: WatchListener, known: LastWord | undefined): Watch
  file (path: string, listener: WatchListener): Watch
  /** Starts the registry itself, then watches it. `networks`: where its checks may go, now. */
  embedded (config: NonNullable<RegistryConfig['embedded']>, listener: WatchListener, networks: () => NetworkRules): Promise<Watch & EmbeddedStarted>
}

/** Where the embedded registry answers, and its listener as it was configured. */
export interface EmbeddedStarted { readonly url: string, readonly listener: OwnListener }

export interface WatchesEvents extends WatchListener {
  /** `source`: what the answers come from; answers of another source replace the earlier ones whole. Gives back what this one is known to have said. */
  started (registry: WatchedRegistry, source: string): LastWord | undefined
  stopped (registry: WatchedRegistry): void
  embedded (started: EmbeddedStarted | undefined): void
  failed (registry: WatchedRegistry, error: Error): void
}

export interface Watches {
  /** Resolves with what could not be started, told to `failed` as well. Waits for no answer of a registry. */
  configure (registry: Config['registry']): Promise<readonly Error[]>
  close (): Promise<void>
}

interface Running { readonly settings: string, readonly watch: Watch, readonly gate: { open: boolean } }

const kinds: readonly WatchedRegistry[] = ['consul', 'embedded', 'file']

/** Which registries a configuration names. */
export function registriesOf (registry: Config['registry']): WatchedRegistry[] {
  return kinds.filter(kind => registry[kind] !== undefined)
}

/** What decides whose answers these are; a new token or another rhythm does not. */
export function sourceOf (registry: Config['registry'], kind: WatchedRegistry): string {
  if (kind === 'file') return `file ${registry.file}`
  if (kind === 'embedded') return 'embedded'
  const consul = registry.consul
  return `consul ${JSON.stringify([consul?.agents.toSorted(), consul?.datacenter, consul?.datacenters, consul?.services.toSorted(), consul?.environmentTag])}`
}

export function createWatches (starters: WatchStarters, networks: () => NetworkRules, events: WatchesEvents): Watches {
  const running = new Map<WatchedRegistry, Running>()
  let queue: Promise<readonly Error[]> = Promise.resolve([])
  let closed = false

  const stop = async (kind: WatchedRegistry) => {
    const current = running.get(kind)
    if (current === undefined) return
    running.delete(kind)
    current.gate.open = false
    await current.watch.close()
    if (kind === 'embedded') events.embedded(undefined)
  }

  const start = async (kind: WatchedRegistry, registry: Config['registry'], settings: string): Promise<Error | undefined> => {
    // What a stopped watch still says is not heard.
    const gate = { open: true }
    const listener: WatchListener = {
      snapshot: snapshot => { if (gate.open) events.snapshot(snapshot) },
      state: state => { if (gate.open) events.state(state) },
      distances: distances => { if (gate.open) events.distances?.(distances) }
    }
    const known = events.started(kind, sourceOf(registry, kind))
    try {
      let watch: Watch
      if (kind === 'consul') watch = starters.consul(registry.consul!, listener, known)
      else if (kind === 'file') watch = starters.file(registry.file!, listener)
      else {
        const embedded = await starters.embedded(registry.embedded!, listener, networks)
        events.embedded(embedded)
        watch = embedded
      }
      running.set(kind, { settings, watch, gate })
      return undefined
    } catch (thrown) {
      gate.open = false
      const error = new Error(`${kind === 'embedded' ? `the embedded registry (registry.embedded.address: ${registry.embedded?.address})` : kind} could not be started: ${(thrown as Error).message}`, { cause: thrown })
      events.failed(kind, error)
      return error
    }
  }

  const apply = async (registry: Config['registry']): Promise<readonly Error[]> => {
    const failures: Error[] = []
    for (const kind of kinds) {
      const settings = JSON.stringify(registry[kind])
      if (running.get(kind)?.settings === settings && settings !== undefined) continue
      const wasRunning = running.has(kind)
      await stop(kind)
      if (settings === undefined && wasRunning) events.stopped(kind)
      const failure = settings !== undefined && !closed ? await start(kind, registry, settings) : undefined
      if (failure !== undefined) failures.push(failure)
    }
    return failures
  }

  return {
    configure (registry) {
      queue = queue.then(() => closed ? [] : apply(registry))
      return queue
    },
    async close () {
      closed = true
      await queue
      await Promise.all(kinds.map(stop))
    }
  }
}
