// The contenders: how each is started, in front of the same origin, with an access log in a file where it can write one.
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import type { RunningProcess, Stage } from './support/stage.ts'
import { environmentFor, findProgram, versionOf } from './support/binaries.ts'
import { freePorts } from './support/network.ts'
import { type Beside, caddyConfig, everythingOn, haproxyConfig, nginxCacheConfig, nginxConfig, posternConfig, protectionsOff, varnishConfig } from './contenders/configurations.ts'

export interface Place {
  readonly stage: Stage
  /** Where the contender listens. */
  readonly port: number
  readonly originPort: number
  /** Arguments for Node in front of the script, e.g. --inspect; only contenders that run in Node heed them. */
  readonly nodeArguments?: readonly string[]
  /** What Postern has beside the origin. */
  readonly beside?: Beside
}

export interface Contender {
  readonly name: string
  readonly title: string
  /** The program of other people it needs; undefined = Node, which is here. */
  readonly program: string | undefined
  /** Arguments that make the program print its version. */
  readonly versionArguments?: readonly string[]
  /** File name, within the stage's directory, of its access log; undefined = it writes none. */
  readonly accessLog: string | undefined
  start (program: string, place: Place): Promise<RunningProcess> | RunningProcess
}

const local = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

const node = (name: string, title: string): Contender => ({
  name,
  title,
  program: undefined,
  accessLog: undefined,
  start: (program, { stage, port, originPort, nodeArguments = [] }) =>
    stage.start(name, program, [...nodeArguments, local(`contenders/${name}.ts`), String(port), String(originPort)])
})

/** Postern, started by this script with `start --config FILE`. `more`: settings beside addresses and what is routed. */
const posternBy = (name: string, title: string, main: string, more = ''): Contender => ({
  name,
  title,
  program: undefined,
  accessLog: `${name}.log`,
  start: async (program, { stage, port, originPort, nodeArguments = [], beside }) => {
    const [adminPort = 0] = await freePorts(1)
    // In a directory of its own: Postern watches it, and logs are written into the stage's all the time.
    const directory = join(stage.directory, `${name}-config`)
    mkdirSync(directory)
    const file = join(directory, 'postern.yaml')
    writeFileSync(file, posternConfig({ port, adminPort, originPort, logFile: join(stage.directory, `${name}.log`), beside }) + more)
    return stage.start(name, program, [...nodeArguments, main, 'start', '--config', file])
  }
})

/** As a user runs it: `postern start` with defaults, log and metrics on. `main` is the script of the command. */
export const postern = (name = 'postern', main = local('../src/main.ts')): Contender => posternBy(name, name === 'postern' ? 'Postern' : `Postern (${name})`, main)

/** The same code with every protection off: what YAML can switch off by YAML, the other filters left out of the request path. */
export const unprotected: Contender = posternBy('postern-unprotected', 'Postern, protections off', local('contenders/postern-unprotected.ts'), protectionsOff)

/** With those protections that are off as it comes: hedging, an adaptive limit, one for each endpoint, a degraded answer, a split, faults allowed. */
export const everything: Contender = posternBy('postern-everything', 'Postern, everything on', local('../src/main.ts'), everythingOn)

const withFile = (stage: Stage, name: string, text: string): string => {
  const file = join(stage.directory, name)
  writeFileSync(file, text)
  return file
}

const nginx = (name: string, title: string, config: typeof nginxCacheConfig): Contender => ({
  name,
  title,
  program: 'nginx',
  versionArguments: ['-v'],
  accessLog: `${name}.log`,
  start: (program, { stage, port, originPort }) => {
    const file = withFile(stage, `${name}.conf`, config({ port, originPort, directory: stage.directory }))
    return stage.start(name, program, ['-c', file, '-e', join(stage.directory, `${name}-error.log`)])
  }
})

/** Those with a cache, as each comes: for the scenario cache-hit. */
export const cachingContenders: readonly Contender[] = [
  nginx('nginx-cache', 'nginx proxy_cache, one worker', nginxCacheConfig),
  {
    name: 'varnish',
    title: 'Varnish, access log by varnishncsa',
    program: 'varnishd',
    versionArguments: ['-V'],
    accessLog: 'varnish.log',
    start: (program, { stage, port, originPort }) => {
      const config = withFile(stage, 'varnish.vcl', varnishConfig({ port, originPort }))
      const name = join(stage.directory, 'varnish')
      const log = join(stage.directory, 'varnish.log')
      // Both in one process tree, so that the log's writer is counted as it is for the others.
      const command = `"$1" -F -n "$2" -a 127.0.0.1:${port} -f "$3" -s malloc,256m & "$(dirname "$1")/../bin/varnishncsa" -n "$2" -t off -a -w "$4" & wait`
      return stage.start('varnish', '/bin/sh', ['-c', command, 'varnish', program, name, config, log], { environment: environmentFor(program) })
    }
  }
]

export const contenders: readonly Contender[] = [
  postern(),
  unprotected,
  nginx('nginx', 'nginx, one worker', nginxConfig),
  {
    name: 'haproxy',
    title: 'haproxy, one thread',
    program: 'haproxy',
    versionArguments: ['-v'],
    accessLog: 'haproxy.log',
    start: (program, { stage, port, originPort }) => {
      const config = withFile(stage, 'haproxy.cfg', haproxyConfig({ port, originPort }))
      return stage.start('haproxy', program, ['-db', '-f', config], { stdoutFile: join(stage.directory, 'haproxy.log') })
    }
  },
  {
    name: 'caddy',
    title: 'Caddy, GOMAXPROCS=1',
    program: 'caddy',
    versionArguments: ['version'],
    accessLog: 'caddy.log',
    start: (program, { stage, port, originPort }) => {
      const config = withFile(stage, 'caddy.json', caddyConfig({ port, originPort, logFile: join(stage.directory, 'caddy.log') }))
      return stage.start('caddy', program, ['run', '--config', config], { environment: { GOMAXPROCS: '1', HOME: stage.directory, XDG_DATA_HOME: stage.directory, XDG_CONFIG_HOME: stage.directory } })
    }
  },
  node('tcp-relay', 'TCP relay in Node'),
  node('http-proxy', '@fastify/http-proxy')
]

/** What to run a contender with: its own program, or this Node. Undefined when the program is missing on this machine. */
export const programOf = (contender: Contender): string | undefined =>
  contender.program === undefined ? process.execPath : findProgram(contender.program)

/** The version of what a contender runs on. */
export const versionOfContender = (contender: Contender, program: string): string =>
  contender.program === undefined ? `Node ${process.versions.node}` : versionOf(program, ...contender.versionArguments ?? [])
