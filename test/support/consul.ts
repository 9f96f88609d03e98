// A real Consul agent for tests: fetched by the project's own set-up script when it is not there, started on free ports, ended with the test.
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePorts } from './ports.ts'
import { until } from './until.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))
/** Part name -> the program below .parts/NAME, as .ci/parts sets it up. */
const programs = {
  consul: 'usr/bin/consul', nginx: 'usr/sbin/nginx', haproxy: 'usr/sbin/haproxy', caddy: 'usr/bin/caddy', valkey: 'usr/bin/valkey-server', varnish: 'usr/sbin/varnishd', chromium: 'usr/bin/chromium'
} as const
export type Part = keyof typeof programs

/** Longest time that fetching a part may take. Milliseconds. */
const fetchTimeoutMs = 120_000
const fetched = new Map<Part, Promise<string | undefined>>()

/**
 * Path of a real program, set up by `.ci/parts` when it is missing (that script locks, so files that run in parallel fetch it once).
 * Undefined when it cannot be had here.
 */
export function ensurePart (part: Part): Promise<string | undefined> {
  const known = fetched.get(part)
  if (known !== undefined) return known
  const program = join(repository, '.parts', part, programs[part])
  const found = existsSync(program)
    ? Promise.resolve(program)
    : runParts(part).then((problem) => {
      if (problem === undefined) return program
      process.stderr.write(`\n*** ${part} cannot be had here, so tests against the real one do not run: ${problem}\n\n`)
      return undefined
    })
  fetched.set(part, found)
  return found
}

function runParts (part: Part): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(join(repository, '.ci', 'parts'), [part], { stdio: ['ignore', 'ignore', 'pipe'], timeout: fetchTimeoutMs })
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => { said = (said + chunk.toString()).slice(-2_000) })
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code) => resolve(code === 0 ? undefined : said.trim().split('\n').at(-1) ?? `exit code ${code}`))
  })
}

/**
 * For node:test's `skip`: false when a real Consul is there. With POSTERN_PARTS=required it throws in place of skipping, so that where the
 * real parts are promised a test can never be left out silently.
 */
export async function consulSkip (): Promise<string | false> {
  if (await ensurePart('consul') !== undefined) return false
  if (process.env.POSTERN_PARTS === 'required') throw new Error('POSTERN_PARTS=required, but consul cannot be had')
  return 'SKIPPED: consul cannot be had on this machine (.ci/parts consul says why)'
}

export interface RealConsul {
  readonly url: string
  readonly nodeName: string
  /** Where agents of other datacenters join, with `wan`. */
  readonly wanAddress: string
  /** PUT with a JSON body (or none). Throws on an answer other than 200. */
  put (path: string, body?: unknown): Promise<string>
  get (path: string): Promise<unknown>
  /** Ends the agent politely and removes its data. */
  stop (): Promise<void>
  /** SIGKILL. */
  kill (): Promise<void>
  /** Starts it again on the same ports. A -dev agent has forgotten everything; with `keepData` it remembers. */
  restart (): Promise<void>
}

export interface ConsulOptions {
  /** A server with a data directory in place of -dev: what is registered survives a restart. */
  readonly keepData?: boolean
  /** ACL token of every call that this file makes. */
  readonly token?: string
  /** Default: dc1. */
  readonly datacenter?: string
  /** Takes part in a pool of several datacenters; `join`: the wanAddress of an agent of another one. */
  readonly wan?: { readonly join?: string }
  /** Further agent configuration as an object (HCL's JSON form), e.g. acl. */
  readonly config?: object
}

/** Starts an agent on 127.0.0.1 with ports of its own. Resolves once it knows a leader. */
export async function startConsul (options: ConsulOptions = {}): Promise<RealConsul> {
  const program = await ensurePart('consul')
  if (program === undefined) throw new Error('consul cannot be had on this machine')
  const data = await mkdtemp(join(tmpdir(), 'postern-consul-'))
  const [http, server, serf, serfWan] = await freePorts(4)
  const nodeName = `node-${http}`
  const url = `http://127.0.0.1:${http}`
  const args = [
    'agent', ...(options.keepData === true ? ['-server', '-bootstrap-expect=1', `-data-dir=${data}`] : ['-dev']),
    '-bind=127.0.0.1', '-client=127.0.0.1', `-node=${nodeName}`, `-datacenter=${options.datacenter ?? 'dc1'}`, '-log-level=warn', '-disable-host-node-id=true',
    `-http-port=${http}`, `-server-port=${server}`, `-serf-lan-port=${serf}`, `-serf-wan-port=${options.wan === undefined ? -1 : serfWan}`, ...(options.wan?.join === undefined ? [] : [`-retry-join-wan=${options.wan.join}`]), '-dns-port=-1', '-grpc-port=-1',
    '-hcl', JSON.stringify({ performance: { raft_multiplier: 1 }, disable_update_check: true, ...options.config })
  ]
  const headers = options.token === undefined ? {} : { 'x-consul-token': options.token }
  let child: ChildProcess | undefined
  let said = ''

  const start = async (): Promise<void> => {
    const started = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    child = started
    const note = (chunk: Buffer): void => { said = (said + chunk.toString()).slice(-4_000) }
    started.stdout.on('data', note)
    started.stderr.on('data', note)
    await until('consul to know a leader', async () => {
      if (started.exitCode !== null) throw new Error(`consul ended with ${started.exitCode}: ${said}`)
      const answer = await fetch(`${url}/v1/status/leader`).catch(() => undefined)
      const leader = answer?.ok === true && await answer.text() !== '""'
      // The leader's own node is what services are listed on.
      return leader && (await (await fetch(`${url}/v1/catalog/nodes`, { headers })).text()).includes(nodeName)
    }, { everyMs: 50 })
  }
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    const ending = child
    child = undefined
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return
    const ended = new Promise<void>((resolve) => { ending.once('exit', () => resolve()) })
    ending.kill(signal)
    const timer = setTimeout(() => ending.kill('SIGKILL'), 3_000)
    await ended
    clearTimeout(timer)
  }
  // A test run that is interrupted leaves no agent behind.
  const onExit = (): void => { child?.kill('SIGKILL') }
  process.once('exit', onExit)

  try {
    await start()
  } catch (error) {
    await end('SIGKILL')
    await rm(data, { recursive: true, force: true })
    throw error
  }
  return {
    url,
    nodeName,
    wanAddress: `127.0.0.1:${serfWan}`,
    async put (path, body) {
      const answer = await fetch(`${url}${path}`, { method: 'PUT', headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
      const text = await answer.text()
      if (answer.status !== 200) throw new Error(`PUT ${path}: ${answer.status} ${text}`)
      return text
    },
    async get (path) { return await (await fetch(`${url}${path}`, { headers })).json() },
    async stop () {
      await end('SIGTERM')
      process.removeListener('exit', onExit)
      await rm(data, { recursive: true, force: true })
    },
    kill: () => end('SIGKILL'),
    async restart () {
      await end('SIGKILL')
      await start()
    }
  }
}
