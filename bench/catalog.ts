// A large catalogue that never rests: 1 % of its instances change every second. What that costs the data plane's event loop, and whether memory is flat.
import { Agent } from 'node:http'
import { join } from 'node:path'
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect, liveMemory, type Inspector } from './support/inspector.ts'
import { startIdleThread, type IdleDelay, type IdleThread } from './support/idle-thread.ts'
import { ask, freePorts, waitUntil } from './support/network.ts'
import { openStage } from './support/stage.ts'
import { quantile } from './support/statistics.ts'
import { mostClaimed } from '../src/control/claimed.ts'
import { mostDeparted } from '../src/control/departed.ts'
import type { Fleet } from './swap/fleet.ts'
import { forkFleet } from './swap/fleet-process.ts'

export interface CatalogOptions {
  readonly messages: number
  readonly endpoints: number
  readonly minutes: number
  readonly progress: (line: string) => void
}

/** One every ten seconds. Milliseconds since the last one, bytes. */
export interface CatalogSample {
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly longest: number
  /** The delay without what the thread, ready to run, waited for a core (the kernel counts it), at p99.9 and at most: what is the gateway's own doing. */
  readonly own999: number
  readonly ownLongest: number
  /** Share of a core that the data plane's thread used. */
  readonly busy: number
  /** Resident set of the whole process, control thread included. */
  readonly rss: number
}

export interface CatalogResult {
  readonly samples: readonly CatalogSample[]
  /** Live heap of all threads after a full collection, before and after the time measured. Bytes. */
  readonly liveBefore: number
  readonly liveAfter: number
  /** Over the whole time, ms. */
  readonly p999: number
  /** Without what was spent waiting for a core, over the whole time, ms. */
  readonly own999: number
  /** Of an event loop beside it that had nothing to do. */
  readonly idle: IdleDelay
  readonly swaps: number
  /** Names that went in that time and never come again. */
  readonly namesGone: number
  /** From the change in the catalogue until the new name is in the table, ms. */
  readonly propagationsMs: readonly number[]
}

const sampleEveryMs = 10_000
/**
 * The targets: event-loop delay at p99.9; growth of the resident set from the first to the last quarter (V8 moves its young generation by 32 MB a
 * thread, and collects the old one when it likes); and of what is live, for that alone tells a leak from garbage.
 */
export const mostDelayMs = 10
export const mostGrowth = 64 * 1_048_576
export const mostLiveGrowth = 8 * 1_048_576
/** Of a name that went it is remembered that it was claimed, and of the last ones whose it was: bytes of each, measured, and how many of them. */
const remembered = [{ bytes: 62, most: mostClaimed }, { bytes: 48, most: mostDeparted }]
export const rememberedOf = (names: number): number => remembered.reduce((sum, { bytes, most }) => sum + bytes * Math.min(names, most), 0)
const warmUpMs = 10_000
/** Of what is live. */
const readings = 10
/** After the collection that reads what is live, until the heap is as large again as it is kept. */
const settleMs = 30_000

export function growthOf (samples: readonly CatalogSample[]): number {
  const quarter = Math.max(1, Math.floor(samples.length / 4))
  const resident = (part: readonly CatalogSample[]) => quantile(part.map(({ rss }) => rss), 0.5)
  return resident(samples.slice(-quarter)) - resident(samples.slice(0, quarter))
}

export const isMet = (result: CatalogResult): boolean => result.p999 <= mostDelayMs && growthOf(result.samples) <= mostGrowth && result.liveAfter - result.liveBefore <= mostLiveGrowth + rememberedOf(result.namesGone)

/** The result as text. */
export function describeCatalog (result: CatalogResult): string {
  const row = ({ p50, p99, p999, longest, own999, ownLongest, busy, rss }: CatalogSample, index: number) =>
    `| ${(index + 1) * sampleEveryMs / 1_000} | ${[p50, p99, p999, longest, own999, ownLongest].map(ms => ms.toFixed(1)).join(' | ')} | ${(busy * 100).toFixed(0)} | ${(rss / 1_048_576).toFixed(0)} |`
  return [
    '| s | delay p50 ms | p99 ms | p99.9 ms | longest ms | own p99.9 ms | longest ms | busy % | resident MB |',
    '| --: | --: | --: | --: | --: | --: | --: | --: | --: |',
    ...result.samples.map(row),
    '',
    `Event-loop delay of the data plane at p99.9 over the whole time: ${result.p999.toFixed(1)} ms (at most ${mostDelayMs}); without its waiting for a core of this machine ${result.own999.toFixed(1)} ms; of an event loop beside it with nothing to do ${result.idle.p999.toFixed(1)} ms, ${result.idle.longest.toFixed(1)} at the longest.`,
    `The resident set of the last quarter is ${(growthOf(result.samples) / 1_048_576).toFixed(0)} MB above that of the first (at most ${mostGrowth / 1_048_576}).`,
    `Live heap of both planes after a full collection: ${(result.liveBefore / 1_048_576).toFixed(1)} MB before, ${(result.liveAfter / 1_048_576).toFixed(1)} MB after (at most ${mostLiveGrowth / 1_048_576} more, and ${(rememberedOf(result.namesGone) / 1_048_576).toFixed(1)} for what is remembered of ${result.namesGone} names that went).`,
    `${result.swaps} tables swapped; a change was in the table after ${quantile(result.propagationsMs, 0.5).toFixed(0)} ms (median), ${quantile(result.propagationsMs, 0.99).toFixed(0)} ms (p99).`,
    isMet(result) ? 'Met.' : '**Not met.**',
    ''
  ].join('\n')
}

/** Of what asks what is in the table: a new connection for each question would be work of the thread that is measured. */
const connections = new Agent({ keepAlive: true })

/** Whether the gateway knows a message: the fleet behind it answers 404 too, but not in these words. */
const isKnown = async (port: number, message: string): Promise<boolean> => !/MessageNotFound|RoutesNotReady/.test((await ask(port, `/json/reply/${message}`, 'GET', undefined, connections)).body.toString())

/** Between looks of one question: each is a request, and so work of the thread that is measured. */
const lookEveryMs = 100

/** Milliseconds until the gateway knows the message; an error after 30 s. */
async function untilKnown (port: number, message: string): Promise<number | Error> {
  const startedAtMs = performance.now()
  while (!await isKnown(port, message)) {
    if (performance.now() > startedAtMs + 30_000) return new Error(`${message} is not in the table after 30 s`)
    await sleep(lookEveryMs)
  }
  return performance.now() - startedAtMs
}

/** Changes one service in a hundred every second, however long the gateway takes, and notes when the last of them is in the table. */
async function keepChanging (fleet: Fleet, port: number, untilMs: number): Promise<{ readonly propagationsMs: number[], readonly namesGone: number }> {
  const routed: Array<Promise<number | Error>> = []
  let namesGone = 0
  const atOnce = Math.max(1, Math.round(fleet.services / 100))
  const startedAtMs = performance.now()
  for (let next = 0; performance.now() < untilMs;) {
    const changed = Array.from({ length: atOnce }, () => next++ % fleet.services)
    const before = changed.flatMap(service => fleet.messagesOf(service))
    fleet.replace(changed)
    const after = new Set(changed.flatMap(service => fleet.messagesOf(service)))
    namesGone += before.filter(name => !after.has(name)).length
    routed.push(untilKnown(port, fleet.messagesOf(changed.at(-1)!)[1]!).catch((error: unknown) => error as Error))
    await sleep(Math.max(0, startedAtMs + routed.length * 1_000 - performance.now()))
  }
  const propagationsMs = (await Promise.all(routed)).map(result => {
    if (result instanceof Error) throw result
    return result
  })
  return { propagationsMs, namesGone }
}

/** Everything it started is gone when it resolves or rejects. */
export async function measureCatalog ({ messages, endpoints, minutes, progress }: CatalogOptions): Promise<CatalogResult> {
  const stage = openStage()
  let fleet: Fleet | undefined
  try {
    const [fleetPort = 0, port = 0, adminPort = 0, inspectorPort = 0] = await freePorts(4)
    const directory = join(stage.directory, 'config')
    mkdirSync(directory)
    const file = join(directory, 'postern.yaml')
    writeFileSync(file, [
      `listener: { address: "127.0.0.1:${port}" }`,
      `admin: { address: "127.0.0.1:${adminPort}" }`,
      `registry: { consul: { agents: ["http://127.0.0.1:${fleetPort}"] } }`,
      `dataDirectory: ${JSON.stringify(join(stage.directory, 'data'))}`,
      `log: { destination: ${JSON.stringify(join(stage.directory, 'postern.log'))} }`,
      ''
    ].join('\n'))
    const started = fleet = await forkFleet({ messages, endpoints, origin: `http://127.0.0.1:${fleetPort}`, port: fleetPort }, { givesWay: true })
    const server = stage.start('postern', process.execPath, [`--inspect=127.0.0.1:${inspectorPort}`, fileURLToPath(new URL('../src/main.ts', import.meta.url)), 'start', '--config', file])
    const startedAtMs = performance.now()
    for (let service = 0; service < started.services; service += 10) {
      await waitUntil('the whole table', async () => await isKnown(port, started.messagesOf(service).at(-1)!) ? undefined : 'unknown', server, 180_000)
    }
    progress(`${messages} messages of ${endpoints} endpoints in the table ${Math.round(performance.now() - startedAtMs)} ms after the start`)
    await keepChanging(started, port, performance.now() + warmUpMs)

    const inspector = await inspect(inspectorPort)
    let idleThread: IdleThread | undefined
    try {
      const threads = [inspector, ...await inspector.workers()]
      const liveBefore = await liveIn(threads)
      await keepChanging(started, port, performance.now() + settleMs)
      await inspector.evaluate(`(() => {
        const { monitorEventLoopDelay } = process.getBuiltinModule('perf_hooks')
        globalThis.benchAll = monitorEventLoopDelay({ resolution: 1 })
        globalThis.benchPart = monitorEventLoopDelay({ resolution: 1 })
        benchAll.enable(); benchPart.enable()
        const { createHistogram } = process.getBuiltinModule('perf_hooks')
        const { openSync, readSync } = process.getBuiltinModule('fs')
        const file = openSync('/proc/thread-self/schedstat')
        const text = Buffer.alloc(64)
        // Nanoseconds: running, and ready to run without a core.
        const look = () => { const [ran, waited] = text.latin1Slice(0, readSync(file, text, 0, 64, 0)).split(' '); return { ran: Number(ran), waited: Number(waited), at: performance.now() } }
        globalThis.benchOwn = createHistogram()
        globalThis.benchOwnAll = createHistogram()
        globalThis.benchLook = look
        globalThis.benchSince = look()
        let last = look()
        setInterval(() => {
          const now = look()
          const us = Math.max(1, Math.round((now.at - last.at) * 1e3 - (now.waited - last.waited) / 1e3))
          last = now
          benchOwn.record(us); benchOwnAll.record(us)
        }, 1)
      })()`)
      idleThread = startIdleThread()
      const swapsBefore = await readSwaps(adminPort)
      const untilMs = performance.now() + minutes * 60_000
      const changing = keepChanging(started, port, untilMs)
      const samples: CatalogSample[] = []
      while (performance.now() < untilMs) {
        await sleep(sampleEveryMs)
        samples.push(await inspector.evaluate<CatalogSample>(`(() => {
          const at = share => benchPart.percentile(share) / 1e6
          const now = benchLook()
          const busy = (now.ran - benchSince.ran) / 1e6 / (now.at - benchSince.at)
          const sample = { p50: at(50), p99: at(99), p999: at(99.9), longest: benchPart.max / 1e6, own999: benchOwn.percentile(99.9) / 1e3, ownLongest: benchOwn.max / 1e3, busy, rss: process.memoryUsage.rss() }
          benchPart.reset(); benchOwn.reset(); benchSince = now
          return sample
        })()`))
        const { p999, own999, rss } = samples.at(-1)!
        progress(`p99.9 ${p999.toFixed(1)} ms, without waiting for a core ${own999.toFixed(1)} ms, ${(rss / 1_048_576).toFixed(0)} MB`)
      }
      const p999 = await inspector.evaluate<number>('benchAll.percentile(99.9) / 1e6')
      const own999 = await inspector.evaluate<number>('benchOwnAll.percentile(99.9) / 1e3')
      const idle = await idleThread.read()
      const { propagationsMs, namesGone } = await changing
      const swaps = await readSwaps(adminPort) - swapsBefore
      return { samples, p999, own999, idle, namesGone, propagationsMs, swaps, liveBefore, liveAfter: await liveIn(threads) }
    } finally {
      inspector.close()
      await idleThread?.close()
    }
  } finally {
    connections.destroy()
    await stage.close()
    await fleet?.close()
  }
}

/** Bytes in the heaps of these threads: the least of several readings, for a decision or a state that is being written at that moment is live too. */
async function liveIn (threads: ReadonlyArray<Pick<Inspector, 'call' | 'evaluate'>>): Promise<number> {
  let bytes = 0
  for (const thread of threads) {
    let least = Infinity
    for (let reading = 0; reading < readings; reading++) {
      least = Math.min(least, (await liveMemory(thread)).heapUsed)
      await sleep(500)
    }
    bytes += least
  }
  return bytes
}

/** Read before and after only: the metrics of 5,000 endpoints are work on the thread that is measured. */
async function readSwaps (adminPort: number): Promise<number> {
  return Number(/^postern_table_swaps_total (\d+)/m.exec((await ask(adminPort, '/metrics')).body.toString())?.[1] ?? 0)
}
