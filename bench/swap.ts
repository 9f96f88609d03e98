// What swapping a large route table adds to requests in flight: steady requests, in phases with and without swaps.
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { nginxUser } from './scenarios.ts'
import { inspect, type Inspector } from './support/inspector.ts'
import { ask, freePorts, waitUntil } from './support/network.ts'
import { openStage, type RunningProcess, type Stage } from './support/stage.ts'
import { quantile } from './support/statistics.ts'
import { between, parseBuilds, type Builds } from './swap/builds.ts'
import type { Fleet } from './swap/fleet.ts'
import { forkFleet } from './swap/fleet-process.ts'
import type { Phase, PhaseKind, SwapResult } from './swap/verdict.ts'

export interface SwapOptions {
  readonly messages: number
  readonly endpoints: number
  /** Length of a phase. */
  readonly seconds: number
  /** How often each kind of phase is measured, each time beside a quiet one. */
  readonly pairs: number
  /** Requests a second: few enough that none waits for another. */
  readonly rate: number
  readonly tools: { readonly nginx: string }
  readonly progress: (line: string) => void
}

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

interface Setting {
  readonly stage: Stage
  readonly fleet: Fleet
  readonly server: RunningProcess
  readonly inspector: Inspector
  readonly port: number
  readonly adminPort: number
  /** Puts another default policy into postern.yaml: every message is built anew. */
  reconfigure (): void
}

/** Not read while requests are timed: writing the metrics of 2,000 endpoints is work on the same thread. */
const readBuilds = async (adminPort: number): Promise<Builds> => parseBuilds((await ask(adminPort, '/metrics')).body.toString())

const answers = async (port: number, message: string): Promise<string | undefined> => {
  const { status, body } = await ask(port, `/json/reply/${message}`)
  return status === 200 ? undefined : `status ${status}: ${body.toString('utf8', 0, 300)}`
}

/** Starts what a measurement needs, and waits until the whole table is there. */
const setUp = async (stage: Stage, { messages, endpoints, tools, progress }: SwapOptions, closing: Array<() => unknown>): Promise<Setting> => {
  const [originPort = 0, fleetPort = 0, port = 0, adminPort = 0, inspectorPort = 0] = await freePorts(5)
  const { directory } = stage
  // In a directory of its own: Postern watches it, and its log is written into the stage's all the time.
  const file = join(directory, 'config/postern.yaml')
  mkdirSync(join(directory, 'config'))
  let headersTimeoutMs = 10_000
  const reconfigure = (): void => {
    writeFileSync(`${file}.new`, [
      `listener: { address: "127.0.0.1:${port}" }`,
      `admin: { address: "127.0.0.1:${adminPort}" }`,
      `registry: { consul: { agents: ["http://127.0.0.1:${fleetPort}"] } }`,
      `log: { destination: ${JSON.stringify(join(directory, 'postern.log'))} }`,
      `defaults: { policy: { headersTimeoutMs: ${headersTimeoutMs++} } }`,
      ''
    ].join('\n'))
    renameSync(`${file}.new`, file)
  }
  reconfigure()
  writeFileSync(join(directory, 'origin.conf'), originConfig(directory, originPort, fleetPort))
  stage.start('origin', tools.nginx, ['-c', join(directory, 'origin.conf'), '-e', join(directory, 'origin-error.log')])
  // Elsewhere in life: where cores are few, writing a catalogue must not keep requests waiting here.
  const fleet = await forkFleet({ messages, endpoints, origin: `http://127.0.0.1:${originPort}`, port: fleetPort }, { givesWay: true })
  closing.push(() => fleet.close())
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
  const server = stage.start('postern', process.execPath, [`--inspect=127.0.0.1:${inspectorPort}`, main, 'start', '--config', file])
  const startedAtMs = performance.now()
  for (let service = 0; service < fleet.services; service++) {
    const last = fleet.messagesOf(service).at(-1)!
    await waitUntil(`message ${last}`, () => answers(port, last), server, 120_000)
  }
  progress(`${messages} messages of ${endpoints} endpoints callable ${Math.round(performance.now() - startedAtMs)} ms after the start`)
  const inspector = await inspect(inspectorPort)
  closing.push(() => inspector.close())
  await inspector.evaluate('globalThis.benchDelay = process.getBuiltinModule("perf_hooks").monitorEventLoopDelay({ resolution: 1 }), benchDelay.enable()')
  return { stage, fleet, server, inspector, port, adminPort, reconfigure }
}

/** Deploys one service in a hundred anew, again and again until the time is over. Resolves with the times until they were callable. */
const keepDeploying = async ({ fleet, port, server }: Setting, untilMs: number): Promise<number[]> => {
  const changedAtOnce = Math.max(1, Math.round(fleet.services / 100))
  const propagationsMs: number[] = []
  let next = stableServices
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

const keepReloading = async ({ reconfigure }: Setting, untilMs: number): Promise<void> => {
  while (performance.now() < untilMs) {
    reconfigure()
    await sleep(1_000)
  }
}

interface Probe { readonly latencies: readonly number[], readonly failures: readonly string[], readonly failed: number }

const readProbe = (file: string): Probe => {
  const probe = JSON.parse(readFileSync(file, 'utf8')) as Probe
  rmSync(file)
  return probe
}

/** Runs the phases. Everything it started is gone when it resolves or rejects. */
export const measureSwap = async (options: SwapOptions): Promise<SwapResult> => {
  const stage = openStage()
  const closing: Array<() => unknown> = []
  try {
    const setting = await setUp(stage, options, closing)
    const { fleet, server, inspector, port, adminPort } = setting
    const firstBuilds = between({ count: 0, sumMs: 0, below: new Map() }, await readBuilds(adminPort))
    const stable = Array.from({ length: Math.min(stableServices, fleet.services) }, (_, service) => `/json/reply/${fleet.messagesOf(service)[0]!}`)
    const prober = fileURLToPath(new URL('swap/prober.ts', import.meta.url))
    const output = join(stage.directory, 'probe.json')
    const propagationsMs: number[] = []
    const failures: string[] = []

    const run = async (kind: PhaseKind, seconds: number): Promise<Phase> => {
      const before = await readBuilds(adminPort)
      await inspector.evaluate('benchDelay.reset()')
      const untilMs = performance.now() + seconds * 1_000
      const probe = stage.start('prober', process.execPath, [prober, String(port), String(options.rate), String(seconds), stable.join(',')], { stdoutFile: output })
      if (kind === 'deploying') propagationsMs.push(...await keepDeploying(setting, untilMs))
      if (kind === 'reloading') await keepReloading(setting, untilMs)
      if (await probe.exit !== 0) throw new Error(probe.ended)
      const loopMax = await inspector.evaluate<number>('benchDelay.max') / 1e6
      const builds = between(before, await readBuilds(adminPort))
      if (server.ended !== undefined) throw new Error(server.ended)
      const { latencies, failures: some, failed } = readProbe(output)
      failures.push(...some)
      const phase = { kind, p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99), p999: quantile(latencies, 0.999), max: Math.max(...latencies), loopMax, failed, builds }
      options.progress(`${kind}: p99.9 ${phase.p999.toFixed(1)} ms, max ${phase.max.toFixed(1)} ms, ${builds.count} tables built`)
      return phase
    }
    await run('deploying', Math.min(5, options.seconds)) // Warms up the code; does not count.
    propagationsMs.length = failures.length = 0
    const phases: Phase[] = []
    // Each phase with swaps follows a quiet one: what the machine does beside it changes from minute to minute.
    for (let pair = 0; pair < options.pairs; pair++) {
      for (const kind of ['quiet', 'deploying', 'quiet', 'reloading'] as const) phases.push(await run(kind, options.seconds))
    }
    return { phases, firstBuilds, propagationsMs, failures }
  } finally {
    await stage.close()
    for (const close of closing) await close()
  }
}
