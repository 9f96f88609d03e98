// The control plane as the main thread sees it: a worker thread that is kept running, its batches, status and answers.
import { Worker } from 'node:worker_threads'
import type { Config } from '../config/schema.ts'
import type { OwnListener } from '../registry/allowed-networks.ts'
import type { ChangeBatch } from '../routing/plan.ts'
import type { LastHeard } from '../upstream/last-heard.ts'
import type { LeftOut } from '../upstream/left-out.ts'
import type { Log } from '../telemetry/log.ts'
import type { Settled, SettleWish } from './settle.ts'
import { unpack } from './packed.ts'
import { noCounts, noMoves, type Applied, type ControlStart, type ControlStatus, type FromThread, type RecheckReason, type ToThread } from './protocol.ts'

export interface ControlPlaneOptions {
  readonly config: Config
  readonly log: Pick<Log, 'debug' | 'info' | 'warn' | 'error'>
  /** Postern's own listeners: no endpoint may stand there. */
  readonly ownListeners?: readonly OwnListener[]
  /** Awaited before the next batch is sent. A rejection means that the batch is not applied: everything is sent again. */
  readonly onChanges: (batch: ChangeBatch) => Promise<void> | void
  /** When calls had their last answer of these endpoints, ms since epoch. Left out: nobody is called. */
  readonly lastHeard?: (urls: readonly string[]) => LastHeard
  /** Questions to a registry failed: so many more. */
  readonly onRegistryErrors?: (registry: string, more: number) => void
  /** First pause before a thread that died is started again; doubles up to 32 times that. ms. */
  readonly restartMs?: number
  /** The thread's entry file; another one in tests of its death. */
  readonly thread?: URL
}

export interface ControlPlane {
  /** Resolves when the thread runs and the embedded registry, if any, listens; waits for no answer of a registry. Rejects when the thread or that registry cannot start. */
  start (): Promise<void>
  /** A new configuration: watches are restarted only where their settings changed. A batch with this generation follows. */
  configure (config: Config, generation: number): void
  /** What of the table gets no calls at the moment, whole: explained and counted, never decided by. */
  leaveOut (all: readonly LeftOut[]): void
  /**
   * An endpoint is asked who it is. Settles when the table has what it says, or, where it is lost, that it says nothing; at latest after recheckMs, for the data plane waits for nobody; or, as long as `mayWait` says so, after
   * longestRecheckMs. Never rejects.
   */
  recheck (endpointUrl: string, why: RecheckReason, mayWait?: () => boolean): Promise<void>
  /** An operator says whose a name is. Rejects while the thread is being restarted. */
  settle (wish: SettleWish): Promise<Settled>
  /** JSON text, made in the thread. Rejects while the thread is being restarted. */
  describe (what: 'routes' | 'upstreams'): Promise<string>
  status (): ControlStatus
  close (): Promise<void>
}

/** Heap of the thread. A catalog of 5,000 instances (16 MB of JSON) takes about 200 MB while it is compared. */
const heapMb = 1_024
/** Beside it for what is new. What one decision makes fills any: V8's own would be tens of MB more in use, for a tenth less work of a thread that gives way. */
const youngMb = 24
/** Longest that anybody waits for an endpoint to say who it is, ms: who has nothing else, and who has. */
const recheckMs = 1_000
const longestRecheckMs = 30_000
const closeTimeoutMs = 5_000
/** A thread that ran this long has not died of what it was started with. */
const settledMs = 60_000

/** Runs as .ts by type stripping and as compiled .js. */
const threadUrl = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url)

export function createControlPlane (options: ControlPlaneOptions): ControlPlane {
  const { log, onChanges } = options
  const restartMs = options.restartMs ?? 500
  let { config } = options
  let generation = 1
  let status: ControlStatus = { registries: [], embeddedUrl: undefined, hasTable: false, counts: noCounts, moves: noMoves, dropped: {}, stale: {} }
  let worker: Worker | undefined
  let closing = false
  let deaths = 0
  let restart: NodeJS.Timeout | undefined
  let leftOut: readonly LeftOut[] = []
  let started: { resolve: () => void, reject: (error: Error) => void } | undefined
  let onClosed: (() => void) | undefined
  let questionId = 0
  const questions = new Map<number, { resolve: (json: string) => void, reject: (error: Error) => void }>()

  // What the data plane has by now, in names: a new thread starts from it.
  const upstreams = new Set<string>()
  const messages = new Map<string, string>()
  const customRoutes = new Set<string>()

  const note = (batch: ChangeBatch) => {
    for (const change of batch.changes) {
      switch (change.kind) {
        case 'upstream': upstreams.add(change.plan.name); break
        case 'upstream-gone': upstreams.delete(change.name); break
        case 'message': messages.set(change.plan.key, change.plan.upstream); break
        case 'message-gone': messages.delete(change.key); break
        case 'custom-routes': if (change.routes.length > 0) customRoutes.add(change.upstream); else customRoutes.delete(change.upstream)
      }
    }
  }

  const post = (message: ToThread, to = worker) => to?.postMessage(message)

  const apply = async (batch: ChangeBatch, from: Worker) => {
    // Noted first: what a rejected batch may have left behind must be known too.
    note(batch)
    let error: string | undefined
    try {
      await onChanges(batch)
    } catch (thrown) {
      error = (thrown as Error).message
      log.error({ err: thrown }, 'a change of the route table was not applied')
    }
    if (from === worker) post({ kind: 'applied', error })
  }

  const onMessage = (message: FromThread, from: Worker) => {
    switch (message.kind) {
      case 'started': started?.resolve(); started = undefined; break
      case 'batch': apply(unpack(message.batch), from).catch((error: unknown) => log.error({ err: error }, 'control plane failed')); break
      case 'status':
        for (const registry of message.status.registries) {
          const [now, before] = [registry, status.registries.find(one => one.registry === registry.registry)].map(one => one?.errors ?? 0) as [number, number]
          // A new watch, or a new thread, counts anew.
          const more = now < before ? now : now - before
          if (more > 0) options.onRegistryErrors?.(registry.registry, more)
        }
        status = { ...status, ...message.status, hasTable: status.hasTable || message.status.hasTable }
        break
      case 'kept': status = { ...status, stateKept: message.isKept }; break
      case 'last-heard': post({ kind: 'last-heard', last: options.lastHeard?.(message.urls) ?? [] }, from); break
      case 'log': log[message.level](message.fields, message.message); break
      case 'reply': {
        const question = questions.get(message.id)
        questions.delete(message.id)
        if (message.json !== undefined) question?.resolve(message.json)
        else question?.reject(new Error(message.error))
        break
      }
      case 'closed': onClosed?.()
    }
  }

  const question = (toMessage: (id: number) => ToThread): Promise<string> => {
    if (worker === undefined) return Promise.reject(new Error('the control thread is being started'))
    return new Promise((resolve, reject) => {
      const id = ++questionId
      questions.set(id, { resolve, reject })
      post(toMessage(id))
    })
  }

  const refuseQuestions = (why: string) => {
    for (const { reject } of questions.values()) reject(new Error(why))
    questions.clear()
  }

  const spawn = () => {
    const applied: Applied = { upstreams: [...upstreams], messages: [...messages], customRoutes: [...customRoutes] }
    const workerData: ControlStart = { config, generation, ownListeners: options.ownListeners ?? [], applied, leftOut, first: started !== undefined }
    const bornAt = performance.now()
    const next = new Worker(options.thread ?? threadUrl, { name: 'postern-control', workerData, resourceLimits: { maxOldGenerationSizeMb: heapMb, maxYoungGenerationSizeMb: youngMb } })
    let reason: unknown
    worker = next
    next.on('message', (message: FromThread) => onMessage(message, next))
    next.on('error', error => { reason = error })
    next.on('exit', code => {
      if (worker === next) worker = undefined
      onClosed?.()
      refuseQuestions('the control thread has stopped')
      if (closing) return
      if (started !== undefined) return started.reject(reason instanceof Error ? reason : new Error(`the control thread stopped with code ${code}`))
      deaths = performance.now() - bornAt > settledMs ? 1 : deaths + 1
      const pauseMs = Math.min(32, 2 ** (deaths - 1)) * restartMs
      log.error({ err: reason, code, pauseMs }, 'control thread died; the last route table stays in force, and it is started again')
      restart = setTimeout(spawn, pauseMs)
    })
  }

  return {
    start () {
      return new Promise((resolve, reject) => {
        started = { resolve, reject }
        spawn()
      })
    },
    configure (next, nextGeneration) {
      config = next
      generation = nextGeneration
      post({ kind: 'configure', config, generation })
    },
    leaveOut (all) {
      leftOut = all
      post({ kind: 'left-out', all })
    },
    async recheck (url, why, mayWait = () => false) {
      let limit: NodeJS.Timeout | undefined
      let waitedMs = 0
      const over = new Promise<void>(resolve => {
        limit = setInterval(() => {
          waitedMs += recheckMs
          if (waitedMs >= longestRecheckMs || !mayWait()) resolve()
        }, recheckMs)
      })
      // A thread that died asks everybody anew when it is back.
      await Promise.race([question(id => ({ kind: 'recheck', id, url, why })).then(() => undefined, () => over), over])
      clearInterval(limit)
    },
    async settle (wish) { return JSON.parse(await question(id => ({ kind: 'settle', id, wish }))) as Settled },
    describe: what => question(id => ({ kind: 'describe', id, what })),
    status: () => status,
    async close () {
      closing = true
      clearTimeout(restart)
      const current = worker
      started?.reject(new Error('the control plane was closed'))
      if (current === undefined) return
      const closed = new Promise<void>(resolve => { onClosed = resolve })
      post({ kind: 'close' })
      const limit = setTimeout(() => onClosed?.(), closeTimeoutMs)
      await closed
      clearTimeout(limit)
      await current.terminate()
    }
  }
}
