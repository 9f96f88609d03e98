// The control plane's loop: what registries and endpoints say goes in, a decision comes out, its differences are sent. Runs in the control thread.
import type { Config } from '../config/schema.ts'
import type { AskTls } from '../contracts/get.ts'
import { unknownDistances } from '../registry/coordinates.ts'
import type { ChangeBatch } from '../routing/plan.ts'
import type { LeftOut } from '../upstream/left-out.ts'
import { createEntryAdmission, type Admission, type ResolvedName } from './admission.ts'
import type { CatalogEntry } from './catalog.ts'
import { ClaimedNames } from './claimed.ts'
import { describeChanges, type LogLine } from './changes-log.ts'
import { decide, settledOf } from './decide.ts'
import { countDecision, describeRoutes, describeUpstreams } from './describe.ts'
import { diff, namesOf, toBatches, unknownPlan } from './diff.ts'
import { FirstTable } from './first-table.ts'
import { FirstWord } from './first-word.ts'
import { toFixedEntries } from './fixed.ts'
import { isFresh, isSameKnowledge, type Knowledge } from './knowledge.ts'
import { createLoop } from './loop.ts'
import { timed } from './marks.ts'
import { emptyMemory, type Decision, type Memory, type Plan } from './plan.ts'
import type { MoveReason } from './ownership.ts'
import { noCounts, type ControlStatus, type RecheckReason } from './protocol.ts'
import { createQuestions, type Asking } from './questions.ts'
import { createRechecks } from './rechecks.ts'
import { Registries } from './registries.ts'
import { RegistryStates } from './registry-states.ts'
import { settle, type Settled, type SettleWish } from './settle.ts'
import type { KeptState } from './state-file.ts'
import { isUnheard, vouchedAtOf, type StateOf } from './stale.ts'
import { toTargets } from './targets.ts'
import { createWatches, type EmbeddedStarted, type WatchStarters } from './watches.ts'

export interface EngineOptions extends Asking {
  readonly config: Config
  readonly generation: number
  /** Resolves when the data plane has the batch. */
  readonly send: (batch: ChangeBatch) => Promise<void>
  readonly log: (line: LogLine) => void
  readonly onStatus: (status: ControlStatus) => void
  readonly starters: WatchStarters
  /** `known`: what host names resolved to when Postern ran last. */
  readonly createAdmission: (config: Config, known: readonly ResolvedName[], onChange: () => void) => Admission
  readonly loadTls: (config: Config) => ReadonlyMap<string, AskTls>
  /** What the data plane has of an earlier thread, contents unknown. */
  readonly applied: Plan
  /** What of it gets no calls at the moment. */
  readonly leftOut?: readonly LeftOut[]
  readonly owners: Memory['owners']
  /** Read from disk. */
  readonly kept?: KeptState | undefined
  /** Called with what is worth keeping, after a decision that changed something. `written`: settles when that is on disk, or with false. */
  readonly keep?: (state: () => KeptState) => void
  readonly written?: () => Promise<boolean>
  /** ms since epoch. */
  readonly now?: () => number
  /** How long the first table waits for every registry, ms. */
  readonly firstTableMs?: number
}

export interface Engine {
  /** Resolves with what could not be started; waits for no answer of a registry. */
  start (): Promise<readonly Error[]>
  configure (config: Config, generation: number): void
  /** What of the table gets no calls at the moment: told, and waited for before a lent name goes back. */
  leaveOut (all: readonly LeftOut[]): void
  /** Asks an endpoint again; see asker.ts. Settles when the table has what somebody there answered; see rechecks.ts. */
  recheck (url: string, why: RecheckReason): Promise<void>
  /** An operator says whose a name is. Settles when the table has it. */
  settle (wish: SettleWish): Promise<Settled>
  /** What is in force. */
  describe (what: 'routes' | 'upstreams'): string
  /** For tests: settles when nothing is left to decide or send. */
  idle (): Promise<void>
  close (): Promise<void>
}

/** Shortest time between two decisions, ms. */
const coalesceMs = 50

export function createEngine (options: EngineOptions): Engine {
  const now = options.now ?? Date.now
  let { config, generation } = options
  let memory: Memory = { ...emptyMemory, owners: options.owners }
  let sent: Plan = options.applied
  let decision: Decision | undefined
  /** Of the decision: registries tell their state far more often than anything is decided. */
  let counts = noCounts
  /** The last one that is in force. */
  let committed: Decision | undefined
  let mustSend = true
  /** Names that changed hands since the start. */
  const moves: Record<MoveReason, number> = { gone: 0, unlisted: 0, silent: 0, replaced: 0, drained: 0, stopped: 0, returned: 0, settled: 0 }
  let closed = false
  let embedded: EmbeddedStarted | undefined
  const registries = new Registries()
  const states = new RegistryStates(options.log, state => registries.staleIn(state))
  const stateOf: StateOf = registry => states.of(registry)
  const knowledge = new Map<string, Knowledge>()
  /** As it was when the table in force was decided. */
  let decidedBy: ReadonlyMap<string, Knowledge> = new Map()
  // Of a thread that takes over: what the one before had.
  let claimed = new ClaimedNames([...options.owners.keys(), ...options.applied.messages.keys()])
  let tls = options.loadTls(config)
  let distances = unknownDistances
  let leftOut = options.leftOut ?? []
  let fixed: CatalogEntry[] = []
  const admission = options.createAdmission(config, options.kept?.names ?? [], () => trigger())
  const admitEntry = createEntryAdmission(admission)

  const questions = createQuestions({ ask: options.ask, askMarkers: options.askMarkers, lastHeard: options.lastHeard, settings: config.registry.ask, knowledge, onNews: () => trigger(), onAnswer: (url, said) => rechecks.answered(url, said), now })

  const watches = createWatches(options.starters, () => admission.networks, {
    snapshot (snapshot) {
      registries.told(snapshot, now(), states.of(snapshot.registry)?.lastGoodAt)
      states.read(snapshot)
      trigger()
    },
    state (state) {
      // A process that restarts meanwhile is judged otherwise.
      if (states.told(state)) trigger()
      postStatus()
    },
    distances: told => { distances = told; trigger() },
    started (registry, source) {
      states.started(registry)
      postStatus()
      return registries.started(registry, source)
    },
    stopped (registry) {
      registries.stopped(registry)
      states.stopped(registry)
      trigger()
    },
    embedded (started) {
      embedded = started
      judgeNetworks()
      postStatus()
    },
    failed (registry, error) {
      states.failed(registry, error)
      postStatus()
    }
  })

  function judgeNetworks (): void {
    admission.configure(config.registry, embedded === undefined ? [] : [embedded.listener])
    trigger()
  }

  function * entries (): Generator<CatalogEntry> {
    for (const own of [fixed, registries.entries()]) for (const entry of own) yield admitEntry(entry)
  }

  const postStatus = () => { if (!closed) options.onStatus({ registries: states.all, embeddedUrl: embedded?.url, hasTable: committed !== undefined, counts, moves: { ...moves }, dropped: states.dropped, stale: states.stale }) }

  // ---- Deciding: one at a time, coalesced, the next one only when the data plane has the last ----

  const loop = createLoop(() => run(), {
    everyMs: coalesceMs,
    retryMs: 1_000,
    // A bug of ours must not take the table away: the last one stays.
    onError: error => options.log({ level: 'error', fields: { err: { message: error.message, stack: error.stack } }, message: 'decision failed; the last table stays in force' })
  })
  const trigger = () => loop.trigger()
  const rechecks = createRechecks((url, why) => questions.recheck(url, why !== 'doubted'), url => isFresh(knowledge.get(url), now()), async of => { if (of === undefined || !isSameKnowledge(decidedBy.get(of), knowledge.get(of))) await loop.settled() })

  const missing = () => registries.missing(config.registry)
  const first = new FirstTable(options.applied, options.firstTableMs)
  const firstWord = new FirstWord()
  const knows = (url: string) => knowledge.has(url)
  const mayStart = (next: Decision) => committed !== undefined || first.mayGo(next, { missing: registries.unanswered(config.registry).length + (admission.isResolving ? 1 : 0), unread: missing().length > 0, hasAny: registries.hasAny || fixed.length > 0, knows })
  const canCommit = (next: Decision) => mayStart(next) && firstWord.mayGo(committed === undefined && options.applied.upstreams.size === 0 ? undefined : sent, next.plan, config, knows)
  /** What is not found may be what a registry knows that has not answered yet. */
  let sentIncomplete = false

  async function run (): Promise<void> {
    await questions.listen(knowledge.keys())
    const time = now()
    registries.expire(time, config.registry.unconfirmedMs)
    const all = [...entries()]
    const known = new Map(knowledge)
    admission.forgetUnused()
    if (claimed.read(all, knowledge.values(), config.messages)) options.log({ level: 'error', fields: { names: claimed.keys.size }, message: 'more names were claimed than can be remembered; unknown messages go to no fallback any more' })
    const hasFallback = config.exposure.fallback !== undefined && !claimed.overflown
    const next = decide({ entries: all, knowledge, distances, leftOut, config, memory, isUnheard: (entry, since) => isUnheard(entry, since, stateOf), claimed: hasFallback ? claimed.keys : undefined, complete: registries.isComplete(config.registry, time), now: time })
    questions.update(toTargets(next, config.upstreams, tls))
    forgetEndpoints(next)
    for (const { because } of next.moves) moves[because]++
    memory = next.memory
    decision = next
    counts = countDecision(next)
    loop.wakeAfter(next.nextAt === undefined ? undefined : next.nextAt - time)
    if (!canCommit(next)) {
      // Every answer triggers; the last word is the clock's.
      const wakeMs = committed === undefined ? first.wakeMs ?? firstWord.wakeMs : firstWord.wakeMs
      if (wakeMs !== undefined) loop.wakeAfter(wakeMs)
      return postStatus()
    }
    const target = next.plan
    const changes = diff(sent, target)
    const incomplete = missing().length > 0
    const hasNews = changes.length > 0 || mustSend || incomplete !== sentIncomplete
    if (hasNews) {
      mustSend = false
      try {
        for (const batch of toBatches(changes, generation, { incomplete, fallback: hasFallback })) await options.send(batch)
      } catch (error) {
        mustSend = true
        sent = unknownPlan(namesOf(sent), namesOf(target))
        throw error
      }
      sent = target
      if (incomplete && !sentIncomplete) options.log({ level: 'warn', fields: { registries: missing() }, message: 'route table without all registries: those named have not answered yet' })
      sentIncomplete = incomplete
    }
    const lines = describeChanges(committed, next)
    for (const line of lines) options.log(line)
    committed = next
    decidedBy = known
    // Who runs at an address is worth keeping too, though its routes stay as they are: a start without Consul has to know it again.
    if (hasNews || lines.length > 0) options.keep?.(toKept)
    postStatus()
  }

  /** What is known of endpoints that nobody names any more goes with them. */
  function forgetEndpoints (next: Decision): void {
    const named = new Set(next.endpoints.map(({ verdict }) => verdict.url))
    for (const url of knowledge.keys()) if (!named.has(url)) knowledge.delete(url)
    rechecks.only(named)
  }

  function toKept (): KeptState {
    return {
      registries: registries.keep(entry => vouchedAtOf(entry, stateOf, now())),
      knowledge: [...knowledge],
      owners: [...memory.owners],
      departed: [...memory.departed],
      claimed: [...claimed.keys],
      names: admission.resolved,
      marks: new Map([...memory.marks].filter(([group]) => !group.startsWith(timed)))
    }
  }

  function restore (kept: KeptState): void {
    registries.restore(kept, config.registry)
    for (const [url, known] of kept.knowledge) knowledge.set(url, known)
    memory = { ...memory, owners: new Map([...kept.owners, ...memory.owners]), departed: new Map(kept.departed), marks: kept.marks ?? memory.marks }
    claimed = new ClaimedNames([...claimed.keys, ...kept.claimed ?? []])
  }

  return {
    async start () {
      fixed = toFixedEntries(config.upstreams, fixed, now())
      if (options.kept !== undefined) restore(options.kept)
      trigger()
      return await watches.configure(config.registry)
    },
    configure (next, nextGeneration) {
      config = next
      generation = nextGeneration
      mustSend = true
      tls = options.loadTls(config)
      fixed = toFixedEntries(config.upstreams, fixed, now())
      questions.configure(config.registry.ask)
      judgeNetworks()
      watches.configure(config.registry).catch((error: unknown) => options.log({ level: 'error', fields: { error: (error as Error).message }, message: 'registries could not be reconfigured' }))
    },
    leaveOut (all) {
      leftOut = all
      admission.doubt(new Set(all.filter(({ cause }) => cause === 'unreachable').map(({ url }) => new URL(url).hostname)))
      trigger()
    },
    recheck: (url, why) => rechecks.wait(url, why),
    async settle (wish) {
      const settled = settle(wish, { decision, owners: memory.owners, yaml: settledOf(config).get(wish.message.toLowerCase())?.upstream, now: now() })
      if (settled.kind === 'refused') return settled
      const { key, owner } = settled
      if (owner.moved !== memory.owners.get(key)?.moved) moves.settled++
      memory = { ...memory, owners: new Map(memory.owners).set(key, owner) }
      trigger()
      await loop.idle()
      // Who is told that it is done must not find it undone by a crash.
      options.keep?.(toKept)
      return { ...settled, outlivesRestart: await options.written?.() ?? false }
    },
    describe: what => {
      const registries = states.described
      if (committed === undefined) return JSON.stringify(what === 'routes' ? { routes: [], registrations: [], prefixes: [], customRoutes: [], pathConflicts: [], registries } : { upstreams: [], registries })
      return what === 'routes' ? describeRoutes(committed, config, registries, claimed.overflown ? undefined : config.exposure.fallback) : describeUpstreams(committed, registries)
    },
    idle: () => loop.idle(),
    async close () {
      closed = true
      questions.close()
      rechecks.only(new Set())
      admission.close()
      await Promise.all([loop.close(), watches.close()])
    }
  }
}
