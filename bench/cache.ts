// What the cache holds and what its hits feel: memory of an entry, a flood of keys that never come again, 10,000 answers that end at once.
import { join } from 'node:path'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { CacheResult, HitPhase } from './cache/verdict.ts'
import { posternConfig } from './contenders/configurations.ts'
import { complaint, scenarios, shortLived, startOrigin } from './scenarios.ts'
import { inspect, liveMemory } from './support/inspector.ts'
import { runLoad, type Load } from './support/load.ts'
import { ask, freePorts, waitUntil } from './support/network.ts'
import { openStage } from './support/stage.ts'
import { quantile } from './support/statistics.ts'

export interface CacheOptions {
  /** Length of the flood. */
  readonly seconds: number
  readonly connections: number
  readonly tools: { readonly nginx: string, readonly wrk: string }
  readonly progress: (line: string) => void
}

/** What the cache may take; all of it for one message, so that the flood meets this bound. */
const maxBytes = 100_663_296
/** Enough that all the code that stores has run, and few enough that the cache holds them all: what lies between the two is the entries'. */
const fewKeys = 5_000
const filledKeys = 20_000
const endingKeys = 10_000
/** In which the answers that ended are asked for, all of them. */
const burstSeconds = 3
/** Hits on one fresh answer a second, which are timed. */
const probeRate = 200
/** Clients beside the prober: enough to ask for all that ended in the burst, too few to keep the gateway busy by themselves. */
const burstConnections = 8

const cached = scenarios.find(({ name }) => name === 'cache-hit')!

/** Everything it started is gone when it resolves or rejects. */
export const measureCache = async ({ seconds, connections, tools, progress }: CacheOptions): Promise<CacheResult> => {
  const stage = openStage()
  try {
    const [originPort = 0, port = 0, adminPort = 0, inspectorPort = 0] = await freePorts(4)
    await startOrigin(stage, tools.nginx, originPort)
    const directory = join(stage.directory, 'config')
    mkdirSync(directory)
    const file = join(directory, 'postern.yaml')
    writeFileSync(file, posternConfig({ port, adminPort, originPort, logFile: join(stage.directory, 'postern.log'), beside: { upstreams: [], messages: [`  ${shortLived.message}: { upstream: bench }`] } }) + `cache: { maxBytes: ${maxBytes}, messageSharePercent: 100 }\n`)
    const server = stage.start('postern', process.execPath, [`--inspect=127.0.0.1:${inspectorPort}`, fileURLToPath(new URL('../src/main.ts', import.meta.url)), 'start', '--config', file])
    await waitUntil('postern', () => complaint(port, cached), server)

    const load = (path: string, names: Load['names'], length: number, clients = connections) =>
      runLoad(stage, tools.wrk, { port, path: `${path}?Id=`, method: 'GET', bodyBytes: 0, seconds: length, connections: clients, ...names !== undefined && { names } })
    const gauge = async (name: string): Promise<number> => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec((await ask(adminPort, '/metrics')).body.toString())?.[1])
    const stored = async () => await gauge('postern_cache_entries')
    const sample = async () => {
      const inspector = await inspect(inspectorPort)
      try {
        const { heapUsed, external, rss } = await liveMemory(inspector)
        return { liveBytes: heapUsed + external, rss, entries: await stored(), storedBytes: await gauge('postern_cache_bytes') }
      } finally {
        inspector.close()
      }
    }
    const probe = async (kind: HitPhase['kind'], beside: string): Promise<HitPhase> => {
      const output = join(stage.directory, `${kind}.json`)
      const prober = stage.start('prober', process.execPath, [fileURLToPath(new URL('swap/prober.ts', import.meta.url)), String(port), String(probeRate), String(burstSeconds), cached.path], { stdoutFile: output })
      const { requests } = await load(beside, endingKeys, burstSeconds, burstConnections)
      if (await prober.exit !== 0) throw new Error(prober.ended)
      const { latencies, failed } = JSON.parse(readFileSync(output, 'utf8')) as { latencies: number[], failed: number }
      return { kind, p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99), max: Math.max(...latencies), failed, beside: requests }
    }

    const fill = async (keys: number) => {
      // Each load begins with the first key anew: on a busy machine it takes a longer one to come to the last.
      let length = 1
      do await load(cached.path, keys, length *= 2); while (await stored() < keys)
      return await sample()
    }
    await fill(fewKeys)
    const few = await fill(fewKeys)
    const filled = await fill(filledKeys)
    progress(`${filled.entries} entries: ${((filled.liveBytes - few.liveBytes) / (filled.entries - few.entries)).toFixed(0)} bytes each`)

    for (let length = 1; await stored() < filled.entries + endingKeys; length *= 2) await load(`/json/reply/${shortLived.message}`, endingKeys, length)
    const quiet = await probe('fresh', cached.path)
    await sleep(shortLived.seconds * 1_000)
    const ended = await probe('ended', `/json/reply/${shortLived.message}`)
    progress(`hits p99 ${quiet.p99.toFixed(1)} ms beside fresh answers, ${ended.p99.toFixed(1)} ms beside ${endingKeys} that ended`)

    const { requests } = await load(cached.path, 'random', seconds)
    const flooded = await sample()
    return { bodyBytes: cached.answerBytes, few, filled, phases: [quiet, ended], floodRequests: requests, flooded, maxBytes }
  } finally {
    await stage.close()
  }
}
