// The comparison: contenders take turns in short slices of one run, and each slice gives CPU time per request.
import { statSync, truncateSync } from 'node:fs'
import { cpus, loadavg, release } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { programOf, versionOfContender, type Contender } from './contenders.ts'
import { complaint, startOrigin, type Scenario } from './scenarios.ts'
import { createCpuClock } from './support/cpu-time.ts'
import { runLoad, type LoadResult } from './support/load.ts'
import { freePorts, waitUntil } from './support/network.ts'
import { openStage, type RunningProcess, type Stage } from './support/stage.ts'

export interface CompareOptions {
  readonly contenders: readonly Contender[]
  readonly scenarios: readonly Scenario[]
  readonly rounds: number
  /** Length of a slice; whole seconds. */
  readonly seconds: number
  /** Load on each contender and scenario before the first round; whole seconds. */
  readonly warmUpSeconds: number
  readonly connections: number
  readonly tools: { readonly nginx: string, readonly wrk: string }
  readonly progress: (line: string) => void
}

export interface Slice {
  readonly round: number
  readonly scenario: string
  readonly contender: string
  readonly requests: number
  readonly cpuSeconds: number
  readonly microsecondsPerRequest: number
  readonly requestsPerSecond: number
  readonly latency: LoadResult['latency']
  /** Why the slice does not count; undefined when it does. */
  readonly invalid: string | undefined
}

export interface Comparison {
  readonly machine: { readonly cores: number, readonly cpu: string, readonly kernel: string, readonly loadBefore: number }
  readonly rounds: number
  readonly seconds: number
  readonly connections: number
  readonly contenders: ReadonlyArray<{ readonly name: string, readonly title: string, readonly version: string }>
  readonly skipped: readonly string[]
  readonly scenarios: ReadonlyArray<Pick<Scenario, 'name' | 'title'>>
  readonly slices: readonly Slice[]
}

interface Entrant { readonly contender: Contender, readonly process: RunningProcess, readonly port: number, readonly version: string }

const start = async (stage: Stage, contender: Contender, port: number, originPort: number, scenarios: readonly Scenario[]): Promise<Entrant> => {
  const program = programOf(contender)
  if (program === undefined) throw new Error(`${contender.program} is not installed`)
  const process = await contender.start(program, { stage, port, originPort })
  for (const scenario of scenarios) await waitUntil(contender.name, () => complaint(port, scenario), process)
  return { contender, process, port, version: versionOfContender(contender, program) }
}

/** Bytes written to the access log since the last call; the file is emptied, so that a long run does not fill the disk. */
const takeLog = (file: string): number => {
  const { size, blocks } = statSync(file)
  truncateSync(file, 0)
  return Math.min(size, blocks * 512)
}

/** Why what wrk saw cannot be counted. */
export const flaw = (result: LoadResult, scenario: Scenario, logBytes: number | undefined): string | undefined => {
  if (result.refused > 0) return `${result.refused} answers with an error status`
  if (result.broken > 0) return `${result.broken} broken connections or timeouts`
  if (result.requests === 0) return 'no answer at all'
  if (result.bytes < result.requests * scenario.answerBytes) return 'answers shorter than the origin\'s'
  if (logBytes === 0) return 'nothing in the access log'
  return undefined
}

/** Runs the comparison. Everything it started is gone when it resolves or rejects. */
export const compare = async (options: CompareOptions): Promise<Comparison> => {
  const { scenarios, rounds, seconds, connections, tools, progress } = options
  const loadBefore = loadavg()[0] ?? 0
  const cpuTime = createCpuClock()
  const stage = openStage()
  try {
    const [originPort = 0, ...ports] = await freePorts(options.contenders.length + 1)
    const origin = await startOrigin(stage, tools.nginx, originPort)
    const entrants: Entrant[] = []
    const skipped: string[] = []
    for (const [index, contender] of options.contenders.entries()) {
      try {
        entrants.push(await start(stage, contender, ports[index]!, originPort, scenarios))
      } catch (error) {
        skipped.push(`${contender.name}: ${(error as Error).message}`)
        progress(`!!! ${contender.name} IS SKIPPED: ${(error as Error).message}`)
      }
    }

    const slice = async (round: number, scenario: Scenario, { contender, process, port }: Entrant, length: number): Promise<Slice> => {
      const before = cpuTime(process.pid)
      const result = await runLoad(stage, tools.wrk, { port, path: scenario.path, method: scenario.method, bodyBytes: scenario.bodyBytes, seconds: length, connections })
      await sleep(100) // What is written behind (logs) belongs to the slice.
      const cpuSeconds = cpuTime(process.pid) - before
      const log = contender.accessLog === undefined ? undefined : takeLog(join(stage.directory, contender.accessLog))
      for (const needed of [process, origin]) if (needed.ended !== undefined) throw new Error(needed.ended)
      return {
        round,
        scenario: scenario.name,
        contender: contender.name,
        requests: result.requests,
        cpuSeconds,
        microsecondsPerRequest: cpuSeconds / result.requests * 1e6,
        requestsPerSecond: result.requests / result.seconds,
        latency: result.latency,
        invalid: flaw(result, scenario, log)
      }
    }

    for (const entrant of entrants) {
      progress(`warming up ${entrant.contender.name}`)
      for (const scenario of scenarios) await slice(0, scenario, entrant, options.warmUpSeconds)
    }
    const slices: Slice[] = []
    for (let round = 1; round <= rounds; round++) {
      for (const scenario of scenarios) {
        // Each round begins with another one, so that nobody always comes after the same neighbour's cache.
        const first = round % entrants.length
        for (const entrant of [...entrants.slice(first), ...entrants.slice(0, first)]) {
          const done = await slice(round, scenario, entrant, seconds)
          slices.push(done)
          progress(`round ${round}/${rounds} ${scenario.name} ${done.contender}: ${done.microsecondsPerRequest.toFixed(1)} µs, ${Math.round(done.requestsPerSecond)}/s${done.invalid === undefined ? '' : ` INVALID: ${done.invalid}`}`)
        }
      }
    }
    return {
      machine: { cores: cpus().length, cpu: cpus()[0]?.model ?? 'unknown', kernel: release(), loadBefore },
      rounds,
      seconds,
      connections,
      contenders: entrants.map(({ contender: { name, title }, version }) => ({ name, title, version })),
      skipped,
      scenarios: scenarios.map(({ name, title }) => ({ name, title })),
      slices
    }
  } finally {
    await stage.close()
  }
}

/**
 * As `compare`, with all contenders started anew so many times, and the rounds shared out among the starts: two starts of the same code in Node
 * differ by up to a fifth, which no number of rounds evens out.
 */
export const compareStarts = async (options: CompareOptions, starts: number): Promise<Comparison> => {
  const rounds = Math.ceil(options.rounds / starts)
  const runs: Comparison[] = []
  for (let start = 0; start < starts; start++) runs.push(await compare({ ...options, rounds }))
  return { ...runs[0]!, rounds: rounds * starts, slices: runs.flatMap(({ slices }, start) => slices.map(slice => ({ ...slice, round: slice.round + start * rounds }))) }
}
