// The control plane's loop: what registries and endpoints say goes in, a decision comes out, its differences are sent. Runs in the control thread.
import type { Config } from '../config/schema.ts'
import type { AskTls } from '../contracts/get.ts'
import { unknownDistances } from '../registry/coordinates.ts'
import type { Registration, WatchState } from '../registry/registration.ts'
import type { ChangeBatch } from '../routing/plan.ts'
import type { Admission } from './admission.ts'
import { expire, remember, type CatalogEntry, type RegistryMemory } from './catalog.ts'
import { ClaimedNames } from './claimed.ts'
import { describeChanges, type LogLine } from './changes-log.ts'
import { decide } from './decide.ts'
import { countDecision, describeRoutes, describeUpstreams } from './describe.ts'
import { diff, namesOf, toBatches, unknownPlan } from './diff.ts'
import { toFixedRegistrations } from './fixed.ts'
import type { Knowledge } from './knowledge.ts'
import { createLoop } from './loop.ts'
import { emptyMemory, type Decision, type Memory, type Plan } from './plan.ts'
import { noCounts, type ControlStatus } from './protocol.ts'
import { createQuestions, type Asking } from './questions.ts'
import type { KeptState } from './state-file.ts'
import { toTargets } from './targets.ts'
import { createWatches, registriesOf, sourceOf, type WatchStarters } from './watches.ts'

export interface EngineOptions extends Asking {
  readonly config: Config
  readonly generation: number
  /** Resolves when the data plane has the batch. */
  readonly send: (batch: ChangeBatch) => Promise<void>
  readonly log: (line: LogLine) => void
  readonly onStatus: (status: ControlStatus) => void
  readonly starters: WatchStarters
  readonly createAdmission: (config: Config, onChange: () => void) => Admission
  readonly loadTls: (config: Config) => ReadonlyMap<string, AskTls>
  /** What the data plane has of an earlier thread, contents unknown. */
  readonly applied: Plan
  readonly owners: Memory['owners']
  /** Read from disk. */
  readonly kept?: KeptState | undefined
  /** Called with what is worth keeping, after a decision that changed something. */
  readonly keep?: (state: () => KeptState) => void
  /** ms since epoch. */
  readonly now?: () => number
  /** How long the first table waits for every registry, ms. */
  readonly firstTableMs?: number
}

export interface Engine {
  /** Resolves with what could not be started; waits for no answer of a registry. */
  start (): Promise<readonly Error[]>
  configure (config: Config, generation: number): void
  recheck (url: string): void
  describe (what: 'routes' | 'upstreams'): string
  /** For tests: settles when nothing is left to decide or send. */
  idle (): Promise<void>
  close (): Promise<void>
}

/** How long a thread that takes over asks the endpoints before its first table goes out all the same, ms. */
const takeoverMs = 10_000
/** How long the first table waits for registries that do not answer while others do, ms (docs/decisions/0006-first-table.md). */
const firstTableMs = 2_000
/** Shortest time between two decisions, ms. */
const coalesceMs = 50

export function createEngine (options: EngineOptions): Engine {
  const now = options.now ?? Date.now
  let { config, generation } = options
  let memory: Memory = { ...emptyMemory, owners: options.owners }
  let sent: Plan = options.applied
  let decision: Decision | undefined
  let hasTable = false
  let mustSend = true
  let closed = false
  let embeddedUrl: string | undefined
  const registries = new Map<Registration['registry'], RegistryMemory>()
  const sources = new Map<Registration['registry'], string>()
  /** Registries that have answered since the start, and those whose last good answer came from disk. */
  const answered = new Set<Registration['registry']>()
  const restored = new Set<Registration['registry']>()
  const states = new Map<Registration['registry'], WatchState>()
  const knowledge = new Map<string, Knowledge>()
  // Of a thread that takes over: what the one before had.
  let claimed = new ClaimedNames([...options.owners.keys(), ...options.applied.messages.keys()])
  let tls = options.loadTls(config)
  let distances = unknownDistances
  let fixed: CatalogEntry[] = []
  let admission = options.createAdmission(config, () => trigger())

  const questions = createQuestions({ ask: options.ask, askMarkers: options.askMarkers, settings: config.registry.ask, knowledge, onNews: () => trigger(), now })

  const watches = createWatches(options.starters, {
    snapshot (snapshot) {
      const { registry } = snapshot
      registries.set(registry, remember(registries.get(registry), snapshot, now()))
      answered.add(registry)
      restored.delete(registry)
      trigger()
    },
    state (state) {
      const before = states.get(state.registry)
      states.set(state.registry, state)
      // The first failure is news too, although nothing was good before.
      if (before?.ok !== state.ok || (before.error === undefined && state.error !== undefined)) {
        options.log(state.ok
          ? { level: 'info', fields: { registry: state.registry, agent: state.agent }, message: 'registry answers' }
          : { level: 'warn', fields: { registry: state.registry, error: state.error, lastGoodAt: state.lastGoodAt }, message: 'registry does not answer; its last good list stays in force' })
      }
      postStatus()
    },
    distances: told => { distances = told; trigger() },
    started (registry, source) {
      // Another source is another truth: its first answer replaces what the former said, without doubting what it leaves out.
      if (sources.get(registry) !== undefined && sources.get(registry) !== source) forgetIndex(registry)
      sources.set(registry, source)
      if (!states.has(registry)) states.set(registry, { registry, ok: false, lastGoodAt: undefined, error: undefined, agent: undefined })
      postStatus()
    },
    stopped (registry) {
      registries.delete(registry)
      sources.delete(registry)
      states.delete(registry)
      answered.delete(registry)
      trigger()
    },
    embedded (url) {
      embeddedUrl = url
      postStatus()
    },
    failed (registry, error) {
      states.set(registry, { registry, ok: false, lastGoodAt: undefined, error: error.message, agent: undefined })
      options.log({ level: 'error', fields: { registry, error: error.message }, message: 'registry could not be started' })
      postStatus()
    }
  })

  /** After a change of source: the entries serve on until the new one answers, which then holds whole. */
  function forgetIndex (registry: Registration['registry']): void {
    const known = registries.get(registry)
    if (known !== undefined) registries.set(registry, { ...known, replaced: true })
  }

  const refreshFixed = () => {
    const before = new Map(fixed.map(entry => [entry.registration.id, entry.firstSeenAt]))
    fixed = toFixedRegistrations(config.upstreams).map(registration => ({ registration, firstSeenAt: before.get(registration.id) ?? now(), unconfirmedSince: undefined, stale: false }))
  }

  function * entries (): Generator<CatalogEntry> {
    yield * fixed
    for (const { entries: own } of registries.values()) {
      for (const entry of own.values()) {
        const admitted = admission.admit(entry.registration)
        yield admitted === entry.registration ? entry : { ...entry, registration: admitted }
      }
    }
  }

  const postStatus = () => {
    if (closed) return
    options.onStatus({ registries: [...states.values()], embeddedUrl, hasTable, counts: decision === undefined ? noCounts : countDecision(decision) })
  }

  // ---- Deciding: one at a time, coalesced, the next one only when the data plane has the last ----

  const loop = createLoop(() => run(), {
    everyMs: coalesceMs,
    retryMs: 1_000,
    // A bug of ours must not take the table away: the last one stays.
    onError: error => options.log({ level: 'error', fields: { err: { message: error.message, stack: error.stack } }, message: 'decision failed; the last table stays in force' })
  })
  const trigger = () => loop.trigger()

  const isComplete = () => registriesOf(config.registry).every(registry => answered.has(registry))
  // The data plane serves the table of a thread that died: ours must not say "not read yet" of what it knows already.
  const takesOverUntil = options.applied.messages.size > 0 ? performance.now() + takeoverMs : 0
  const isAsked = (next: Decision) => performance.now() >= takesOverUntil || next.endpoints.every(({ verdict }) => verdict.key === '' || verdict.registration.health === 'maintenance' || knowledge.has(verdict.url))
  const missing = () => registriesOf(config.registry).filter(registry => !answered.has(registry) && !restored.has(registry))
  // What the data plane has of an earlier thread is better than a table without one registry.
  const waitsForAllUntil = options.applied.upstreams.size > 0 ? Infinity : performance.now() + (options.firstTableMs ?? firstTableMs)
  const isEnough = () => missing().length === 0 || (performance.now() >= waitsForAllUntil && (answered.size > 0 || restored.size > 0 || fixed.length > 0))
  const canCommit = (next: Decision) => hasTable || (isEnough() && isAsked(next))
  /** What is not found may be what a registry knows that has not answered yet. */
  let sentIncomplete = false

  async function run (): Promise<void> {
    const time = now()
    for (const [registry, known] of registries) registries.set(registry, expire(known, time, config.registry.unconfirmedMs))
    const before = decision
    if (claimed.read(entries(), knowledge.values(), config.messages)) options.log({ level: 'error', fields: { names: claimed.keys.size }, message: 'more names were claimed than can be remembered; unknown messages go to no fallback any more' })
    const hasFallback = config.exposure.fallback !== undefined && !claimed.overflown
    const next = decide({ entries: entries(), knowledge, distances, config, memory, claimed: hasFallback ? claimed.keys : undefined, complete: isComplete(), now: time })
    questions.update(toTargets(next, config.upstreams, tls))
    forgetEndpoints(next)
    memory = next.memory
    decision = next
    loop.wakeAfter(next.nextAt === undefined ? undefined : next.nextAt - time)
    if (!canCommit(next)) {
      // Every answer triggers; the last word is the clock's.
      if (takesOverUntil > 0) loop.wakeAfter(takeoverMs)
      else if (performance.now() < waitsForAllUntil) loop.wakeAfter(waitsForAllUntil - performance.now())
      return postStatus()
    }
    const target = next.plan
    const changes = diff(sent, target)
    const incomplete = missing().length > 0
    const hasNews = changes.length > 0 || mustSend || incomplete !== sentIncomplete
    if (hasNews) {
      mustSend = false
      const batches = toBatches(changes, generation, { incomplete, fallback: hasFallback })
      try {
        for (const batch of batches) await options.send(batch)
      } catch (error) {
        mustSend = true
        sent = unknownPlan(namesOf(sent), namesOf(target))
        throw error
      }
      sent = target
      if (incomplete && !sentIncomplete) options.log({ level: 'warn', fields: { registries: missing() }, message: 'route table without all registries: those named have not answered yet' })
      sentIncomplete = incomplete
    }
    for (const line of describeChanges(hasTable ? before : undefined, next)) options.log(line)
    hasTable = true
    if (hasNews) options.keep?.(toKept)
    postStatus()
  }

  /** What is known of endpoints that nobody names any more goes with them. */
  function forgetEndpoints (next: Decision): void {
    const named = new Set(next.endpoints.map(({ verdict }) => verdict.url))
    for (const url of knowledge.keys()) if (!named.has(url)) knowledge.delete(url)
  }

  function toKept (): KeptState {
    return {
      registries: [...registries].map(([registry, known]) => ({ registry, source: sources.get(registry) ?? '', index: known.index, entries: [...known.entries.values()] })),
      knowledge: [...knowledge],
      owners: [...memory.owners],
      claimed: [...claimed.keys]
    }
  }

  function restore (kept: KeptState): void {
    for (const { registry, source, index, entries: own } of kept.registries) {
      // The operator has pointed us somewhere else since.
      if (registry === 'config' || config.registry[registry] === undefined || sourceOf(config.registry, registry) !== source) continue
      registries.set(registry, { index, entries: new Map(own.map(entry => [entry.registration.id, { ...entry, stale: true }])) })
      restored.add(registry)
    }
    for (const [url, known] of kept.knowledge) knowledge.set(url, known)
    memory = { ...memory, owners: new Map([...kept.owners, ...memory.owners]) }
    claimed = new ClaimedNames([...claimed.keys, ...kept.claimed ?? []])
  }

  return {
    async start () {
      refreshFixed()
      if (options.kept !== undefined) restore(options.kept)
      trigger()
      return await watches.configure(config.registry)
    },
    configure (next, nextGeneration) {
      const networks = JSON.stringify(config.registry.allowedNetworks) !== JSON.stringify(next.registry.allowedNetworks)
      config = next
      generation = nextGeneration
      mustSend = true
      tls = options.loadTls(config)
      refreshFixed()
      questions.configure(config.registry.ask)
      if (networks) {
        admission.close()
        admission = options.createAdmission(config, () => trigger())
      }
      watches.configure(config.registry).catch((error: unknown) => options.log({ level: 'error', fields: { error: (error as Error).message }, message: 'registries could not be reconfigured' }))
      trigger()
    },
    recheck: url => questions.recheck(url),
    describe: what => {
      if (decision === undefined) return what === 'routes' ? '{"routes":[],"prefixes":[],"customRoutes":[],"pathConflicts":[]}' : JSON.stringify({ upstreams: [], registries: [...states.values()] })
      return what === 'routes' ? describeRoutes(decision, config) : describeUpstreams(decision, [...states.values()])
    },
    idle: () => loop.idle(),
    async close () {
      closed = true
      questions.close()
      admission.close()
      await Promise.all([loop.close(), watches.close()])
    }
  }
}
