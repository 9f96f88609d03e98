// The control thread: glue between the main thread's messages and the engine. Started by control-plane.ts.
import { parentPort, workerData } from 'node:worker_threads'
import { ask, askMarkers } from '../contracts/ask.ts'
import { createMarkerParser } from '../contracts/markers.ts'
import { parseOperations, type OperationList } from '../contracts/operations.ts'
import { SharedByText } from '../lib/shared-by-text.ts'
import { watchConsul } from '../registry/consul-watch.ts'
import { watchEmbedded } from '../registry/embedded-watch.ts'
import { startEmbeddedRegistry } from '../registry/embedded.ts'
import { watchFile } from '../registry/file-watch.ts'
import { OwnNodes } from '../registry/own-nodes.ts'
import type { ChangeBatch } from '../routing/plan.ts'
import type { LastHeard } from '../upstream/last-heard.ts'
import { createAdmission } from './admission.ts'
import { loadAskTls } from './ask-tls.ts'
import { createFleetWatch, standBehindRequests } from './behind-requests.ts'
import { createEngine, type Engine } from './engine.ts'
import type { LogLine } from './changes-log.ts'
import { unknownPlan } from './diff.ts'
import { pack } from './packed.ts'
import { createPacedLog } from './paced-log.ts'
import type { ControlStart, FromThread, ToThread } from './protocol.ts'
import { createStateFile } from './state-file.ts'
import type { WatchStarters } from './watches.ts'

if (parentPort === null) throw new Error('control/thread.ts runs as a worker thread only')
const port = parentPort
const start = workerData as ControlStart

const post = (message: FromThread) => port.postMessage(message)
const { log, flush } = createPacedLog(({ level, fields, message }: LogLine) => post({ kind: 'log', level, fields, message }))

const heedSize = createFleetWatch(() => {
  try {
    standBehindRequests()
  } catch (error) {
    log({ level: 'warn', fields: { error: (error as Error).message }, message: 'the control thread cannot be put behind requests' })
  }
})

/** One batch is on the way at a time; the main thread says when it has it. */
let acknowledge: ((error: string | undefined) => void) | undefined
const send = (batch: ChangeBatch) => new Promise<void>((resolve, reject) => {
  acknowledge = error => error === undefined ? resolve() : reject(new Error(error))
  post({ kind: 'batch', batch: pack(batch) })
})

let tellLastHeard: ((last: LastHeard) => void) | undefined
const lastHeard = (urls: readonly string[]) => new Promise<LastHeard>(resolve => {
  tellLastHeard = resolve
  post({ kind: 'last-heard', urls })
})

const splitAddress = (address: string) => {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) }
}

const startersWith = (ownNodes: OwnNodes): WatchStarters => ({
  consul: (config, listener, known) => watchConsul(config, listener, { ownNodes, known }),
  file: (path, listener) => watchFile(path, listener),
  async embedded (config, listener, networks) {
    const { host, port } = splitAddress(config.address)
    const registry = await startEmbeddedRegistry({ host, port, networks })
    const watch = watchEmbedded(registry, config, listener)
    return { url: registry.url, listener: { host, port: Number(new URL(registry.url).port) }, close: async () => { await watch.close(); await registry.close() } }
  }
})

// Instances of a service send the same bytes: they share one list.
const lists = new SharedByText<OperationList>()
const parse = (body: string) => lists.get(body, () => parseOperations(body))
const parseMarkers = createMarkerParser()
const stateFile = start.config.dataDirectory === undefined
  ? undefined
  : createStateFile(start.config.dataDirectory, (problem, error) => log({ level: 'error', fields: { error: error.message }, message: problem }), { onKept: isKept => post({ kind: 'kept', isKept }) })

async function open (): Promise<Engine> {
  const kept = await stateFile?.load()
  const ownNodes = new OwnNodes(kept?.ownNodes)
  const since = Date.now()
  const engine = createEngine({
    config: start.config,
    generation: start.generation,
    send,
    log,
    onStatus (status) {
      heedSize(Object.values(status.counts.registrations).reduce((sum, count) => sum + count, 0))
      post({ kind: 'status', status })
    },
    starters: startersWith(ownNodes),
    ask: (question, limits, signal, onConnect) => ask(question, limits, signal, onConnect, parse),
    askMarkers: (question, limits, signal) => askMarkers(question, limits, signal, parseMarkers),
    lastHeard,
    createAdmission: (config, known, onChange) => createAdmission({ settings: config.registry, ownListeners: start.ownListeners, known, onChange }),
    loadTls: config => loadAskTls(config.upstreams, (upstream, error) => log({ level: 'error', fields: { service: upstream, error: error.message }, message: 'TLS files of an upstream cannot be read' })),
    applied: unknownPlan(start.applied),
    leftOut: start.leftOut,
    owners: new Map(start.applied.messages.map(([key, upstream]) => [key, { upstream, since }])),
    kept,
    ...(stateFile === undefined
      ? {}
      : {
          keep: state => stateFile.save(() => ({ ...state(), ownNodes: ownNodes.said })),
          written: () => stateFile.flush()
        })
  })
  const failures = await engine.start()
  if (start.first && failures[0] !== undefined) throw failures[0]
  return engine
}

const reply = async (id: number, make: () => string | Promise<string>) => {
  try {
    post({ kind: 'reply', id, json: await make(), error: undefined })
  } catch (error) {
    post({ kind: 'reply', id, json: undefined, error: (error as Error).message })
  }
}

const opened = open()
opened.then(() => post({ kind: 'started' }), (error: unknown) => { throw error })

port.on('message', (message: ToThread) => {
  if (message.kind === 'applied') return acknowledge?.(message.error)
  if (message.kind === 'last-heard') return tellLastHeard?.(message.last)
  opened.then(async engine => {
    switch (message.kind) {
      case 'configure': return engine.configure(message.config, message.generation)
      case 'left-out': return engine.leaveOut(message.all)
      case 'recheck': return await reply(message.id, async () => { await engine.recheck(message.url, message.why); return '{}' })
      case 'settle': return await reply(message.id, async () => JSON.stringify(await engine.settle(message.wish)))
      case 'describe': return await reply(message.id, () => engine.describe(message.what))
      case 'close': {
        const closed = engine.close()
        // A batch on the way is no longer waited for.
        acknowledge?.('the control plane is closing')
        tellLastHeard?.([])
        await closed
        await stateFile?.close()
        flush()
        post({ kind: 'closed' })
        port.close()
      }
    }
  }).catch((error: unknown) => log({ level: 'error', fields: { err: { message: (error as Error).message, stack: (error as Error).stack } }, message: 'control thread failed to do what it was asked' }))
})
