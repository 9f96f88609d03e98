// What swapping a large route table adds to requests in flight: steady requests, in phases with and without swaps.
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { nginxUser } from './scenarios.ts'
import { inspect, type Inspector } from './support/inspector.ts'
import { ask, freePorts, waitUntil } from './support/network.ts'
import { openStage, type RunningProcess, type Stage } from './support/stage.ts'
import { quantile } from './support/statistics.ts'
import { startFleet, type Fleet } from './swap/fleet.ts'

export interface SwapOptions {
  readonly messages: number
  readonly endpoints: number
  /** Length of a phase; there are three pairs of a quiet one and one with swaps. */
  readonly seconds: number
  /** Requests a second: few enough that none waits for another. */
  readonly rate: number
  readonly tools: { readonly nginx: string }
  readonly progress: (line: string) => void
}

/** Milliseconds, as the client saw it, and the longest time the gateway's event loop was late. */
export interface Phase { readonly swaps: number, readonly p50: number, readonly p99: number, readonly p999: number, readonly max: number, readonly loopMax: number, readonly failed: number }

export interface SwapResult {
  readonly quiet: readonly Phase[]
  readonly swapping: readonly Phase[]
  /** Building the first, whole table, in as many steps as its endpoints answered; milliseconds, all steps together. */
  readonly firstBuildMs: number
  /** Building and swapping changed tables; for each phase with swaps. */
  readonly builds: ReadonlyArray<ReturnType<typeof between>>
  /** From the change in the catalogue until a new message is answered; milliseconds. */
  readonly propagationsMs: readonly number[]
  readonly failures: readonly string[]
}

const pairs = 3
/** Targets: added to any request, and to build the table. */
const mostAddedMs = 10
const mostBuildMs = 100
/** These services never change, and are the ones called. */
const stableServices = 20

const originConfig = (directory: string, port: number, fleetPort: number): string => `
${nginxUser()}
worker_processes 1; daemon off; pid ${directory}/origin.pid; error_log ${directory}/origin-error.log;
events { worker_connections 8192; }
http {
  access_log off; default_type application/json; keepalive_timeout 3600s; keepalive_requests 1000000000;
  client_body_temp_path ${directory}/origin-body; proxy_temp_path ${directory}/origin-proxy; fastcgi_temp_path ${directory}/origin-fastcgi;
  uwsgi_temp_path ${directory}/origin-uwsgi; scgi_temp_path ${directory}/origin-scgi;
  upstream fleet { server 127.0.0.1:${fleetPort}; keepalive 64; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location ~ /json/reply/Call { return 200 '{"ok":true}'; }
    location / { proxy_pass http://fleet; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
`

const posternConfig = (port: number, adminPort: number, fleetPort: number, logFile: string): string => `
listener: { address: "127.0.0.1:${port}" }
admin: { address: "127.0.0.1:${adminPort}" }
registry: { consul: { agents: ["http://127.0.0.1:${fleetPort}"] } }
log: { destination: ${JSON.stringify(logFile)} }
`

/** How often and how long tables were built, from the gateway's own histogram. `below`: by upper bound in ms, how many took no longer. */
interface Builds { readonly count: number, readonly sumMs: number, readonly below: ReadonlyMap<number, number> }

/** Not read while requests are timed: writing the metrics of 2,000 endpoints is work on the same thread. */
const readBuilds = async (adminPort: number): Promise<Builds> => {
  const text = (await ask(adminPort, '/metrics')).body.toString()
  const value = (name: string) => Number(new RegExp(`^postern_table_build_seconds_${name} (\\S+)$`, 'm').exec(text)?.[1] ?? 0)
  const buckets = [...text.matchAll(/^postern_table_build_seconds_bucket\{le="([^"]+)"\} (\S+)$/mg)]
  return {
    count: value('count'),
    sumMs: value('sum') * 1_000,
    below: new Map(buckets.map(([, bound, count]) => [bound === '+Inf' ? Infinity : Number(bound) * 1_000, Number(count)]))
  }
}

/** What was built between two readings: how many, the mean, and the bound that none went over. */
export const between = (before: Builds, after: Builds): { count: number, meanMs: number, atMostMs: number } => {
  const count = after.count - before.count
  const bound = [...after.below].sort(([a], [b]) => a - b).find(([le, n]) => n - (before.below.get(le) ?? 0) === count)
  return { count, meanMs: count === 0 ? 0 : (after.sumMs - before.sumMs) / count, atMostMs: bound?.[0] ?? Infinity }
}

const answers = async (port: number, message: string): Promise<string | undefined> => {
  const { status } = await ask(port, `/json/reply/${message}`)
  return status === 200 ? undefined : `${message}: ${status}`
}

/** Starts what a measurement needs, and waits until the whole table is there. */
const setUp = async (stage: Stage, { messages, endpoints, tools, progress }: SwapOptions) => {
  const [originPort = 0, fleetPort = 0, port = 0, adminPort = 0, inspectorPort = 0] = await freePorts(5)
  const { directory } = stage
  writeFileSync(join(directory, 'origin.conf'), originConfig(directory, originPort, fleetPort))
  writeFileSync(join(directory, 'postern.yaml'), posternConfig(port, adminPort, fleetPort, join(directory, 'postern.log')))
  stage.start('origin', tools.nginx, ['-c', join(directory, 'origin.conf'), '-e', join(directory, 'origin-error.log')])
  const fleet = await startFleet({ messages, endpoints, origin: `http://127.0.0.1:${originPort}`, port: fleetPort })
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
  const server = stage.start('postern', process.execPath, [`--inspect=127.0.0.1:${inspectorPort}`, main, 'start', '--config', join(directory, 'postern.yaml')])
  const startedAtMs = performance.now()
  for (let service = 0; service < fleet.services; service++) {
    const last = fleet.messagesOf(service).at(-1)!
    await waitUntil(`message ${last}`, () => answers(port, last), server, 120_000)
  }
  progress(`${messages} messages of ${endpoints} endpoints callable ${Math.round(performance.now() - startedAtMs)} ms after the start`)
  const inspector = await inspect(inspectorPort)
  await inspector.evaluate('globalThis.benchDelay = process.getBuiltinModule("perf_hooks").monitorEventLoopDelay({ resolution: 1 }), benchDelay.enable()')
  return { fleet, server, port, adminPort, inspector }
}

/** Replaces one service in a hundred, again and again until the time is over. */
const keepSwapping = async (fleet: Fleet, port: number, server: RunningProcess, untilMs: number): Promise<number[]> => {
  const changedAtOnce = Math.max(1, Math.round(fleet.services / 100))
  let next = stableServices
  const propagationsMs: number[] = []
  while (performance.now() < untilMs) {
    const changed = Array.from({ length: changedAtOnce }, () => {
      if (next >= fleet.services) next = stableServices
      return next++
    })
    const atMs = performance.now()
    fleet.replace(changed)
    for (const service of changed) {
      const renamed = fleet.messagesOf(service)[1]!
      await waitUntil(`message ${renamed}`, () => answers(port, renamed), server, 30_000)
    }
    propagationsMs.push(performance.now() - atMs)
    await sleep(100)
  }
  return propagationsMs
}

/** Runs the phases. Everything it started is gone when it resolves or rejects. */
export const measureSwap = async (options: SwapOptions): Promise<SwapResult> => {
  const stage = openStage()
  let fleet: Fleet | undefined
  let inspector: Inspector | undefined
  try {
    const running = await setUp(stage, options)
    const { port, adminPort, server } = running
    fleet = running.fleet
    inspector = running.inspector
    const first = await readBuilds(adminPort)
    const stable = Array.from({ length: Math.min(stableServices, fleet.services) }, (_, service) => `/json/reply/${running.fleet.messagesOf(service)[0]!}`)
    const prober = fileURLToPath(new URL('swap/prober.ts', import.meta.url))
    const result = { quiet: [] as Phase[], swapping: [] as Phase[], firstBuildMs: first.sumMs, builds: [] as Array<ReturnType<typeof between>>, propagationsMs: [] as number[], failures: [] as string[] }

    const phase = async (swapping: boolean, seconds: number): Promise<Phase> => {
      const before = await readBuilds(adminPort)
      await running.inspector.evaluate('benchDelay.reset()')
      const probe = stage.start('prober', process.execPath, [prober, String(port), String(options.rate), String(seconds), stable.join(',')], { stdoutFile: join(stage.directory, 'probe.json') })
      if (swapping) result.propagationsMs.push(...await keepSwapping(running.fleet, port, server, performance.now() + seconds * 1_000))
      if (await probe.exit !== 0) throw new Error(probe.ended)
      const loopMax = await running.inspector.evaluate<number>('benchDelay.max') / 1e6
      const built = between(before, await readBuilds(adminPort))
      if (swapping) result.builds.push(built)
      const { latencies, failures, failed } = readProbe(join(stage.directory, 'probe.json'))
      result.failures.push(...failures)
      const measured = { swaps: built.count, p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99), p999: quantile(latencies, 0.999), max: Math.max(...latencies), loopMax, failed }
      options.progress(`${swapping ? `with ${built.count} swaps` : 'quiet'}: p99.9 ${measured.p999.toFixed(1)} ms, max ${measured.max.toFixed(1)} ms`)
      return measured
    }
    await phase(true, Math.min(5, options.seconds)) // Warms up the code of both.
    result.builds.length = result.propagationsMs.length = 0
    for (let pair = 0; pair < pairs; pair++) {
      result.quiet.push(await phase(false, options.seconds))
      result.swapping.push(await phase(true, options.seconds))
    }
    return result
  } finally {
    inspector?.close()
    await stage.close()
    await fleet?.close()
  }
}

interface Probe { readonly latencies: readonly number[], readonly failures: readonly string[], readonly failed: number }

const readProbe = (file: string): Probe => {
  const probe = JSON.parse(readFileSync(file, 'utf8')) as Probe
  rmSync(file)
  return probe
}

const worst = (phases: readonly Phase[], of: (phase: Phase) => number) => Math.max(...phases.map(of))

/** What swaps added to the slowest requests (ms), and whether targets are met. */
export const judgeSwap = ({ quiet, swapping, firstBuildMs, builds }: SwapResult) => {
  const added = (of: (phase: Phase) => number) => worst(swapping, of) - worst(quiet, of)
  const addedMax = added(phase => phase.max)
  const slowestBuildMs = Math.max(firstBuildMs, ...builds.map(({ atMostMs }) => atMostMs))
  const failed = [...quiet, ...swapping].reduce((sum, phase) => sum + phase.failed, 0)
  const swaps = swapping.reduce((sum, phase) => sum + phase.swaps, 0)
  return { addedP999: added(phase => phase.p999), addedMax, slowestBuildMs, failed, swaps, met: swaps > 0 && failed === 0 && addedMax <= mostAddedMs && slowestBuildMs <= mostBuildMs }
}

/** The result as text. */
export const describeSwap = (result: SwapResult): string => {
  const verdict = judgeSwap(result)
  const row = (name: string, { swaps, p50, p99, p999, max, loopMax, failed }: Phase) =>
    `| ${name} | ${swaps} | ${[p50, p99, p999, max, loopMax].map(ms => ms.toFixed(1)).join(' | ')} | ${failed} |`
  return [
    '| phase | swaps | p50 ms | p99 ms | p99.9 ms | max ms | event loop late, max ms | failed |',
    '| --- | --: | --: | --: | --: | --: | --: | --: |',
    ...result.quiet.flatMap((quiet, pair) => [row('quiet', quiet), row('swapping', result.swapping[pair]!)]),
    '',
    `Added by swaps: ${verdict.addedP999.toFixed(1)} ms at p99.9, ${verdict.addedMax.toFixed(1)} ms at the slowest request (target ≤ ${mostAddedMs}).`,
    `Building the table: first ${result.firstBuildMs.toFixed(1)} ms, changed ones ${quantile(result.builds.map(({ meanMs }) => meanMs), 0.5).toFixed(1)} ms in the mean, at most ${Math.max(0, ...result.builds.map(({ atMostMs }) => atMostMs))} ms (target < ${mostBuildMs}).`,
    `From the change in the catalogue until new messages are answered: median ${Math.round(quantile(result.propagationsMs, 0.5))} ms, slowest ${Math.round(Math.max(0, ...result.propagationsMs))} ms.`,
    ...verdict.failed === 0 ? [] : [`**${verdict.failed} requests failed**, among them: ${result.failures.slice(0, 5).join('; ')}`],
    verdict.met ? 'Targets met.' : '**Targets missed.**',
    ''
  ].join('\n')
}
