// Who stands between clients and services in the story, each as its users would first set it up. Pure but for the files it writes.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { nginxUser } from '../scenarios.ts'
import type { RunningProcess, Stage } from '../support/stage.ts'

export interface StoryPlace {
  readonly stage: Stage
  readonly port: number
  readonly adminPort: number
  /** Ports of the services, in the order of `paths`. */
  readonly services: readonly number[]
}

export interface StoryContender {
  readonly name: string
  readonly title: string
  /** The program of other people it needs; undefined = this Node. */
  readonly program: string | undefined
  /** How many rounds of `rounds` it takes part in: others only show what happens. */
  readonly everyRound: boolean
  start (program: string, place: StoryPlace): RunningProcess
}

/** Letters, because a host's message names have them. */
export const paths = (services: number): string[] => Array.from({ length: services }, (_, n) => `/json/reply/Story${String.fromCharCode(65 + n)}`)

const withFile = (stage: Stage, name: string, text: string): string => {
  const file = join(stage.directory, name)
  writeFileSync(file, text)
  return file
}

const nginx = ({ stage: { directory }, port, services }: StoryPlace): string => `
${nginxUser()}
# worker_processes and worker_connections as Debian ships them.
worker_processes auto; daemon off; pid ${directory}/nginx.pid; error_log ${directory}/nginx-error.log;
events { worker_connections 768; }
http {
  access_log ${directory}/nginx.log;
  client_body_temp_path ${directory}/nginx-body; proxy_temp_path ${directory}/nginx-proxy; fastcgi_temp_path ${directory}/nginx-fastcgi;
  uwsgi_temp_path ${directory}/nginx-uwsgi; scgi_temp_path ${directory}/nginx-scgi;
  server {
    listen 127.0.0.1:${port};
${services.map((service, n) => `    location = ${paths(services.length)[n]} { proxy_pass http://127.0.0.1:${service}; }`).join('\n')}
  }
}
`

const haproxy = ({ port, services }: StoryPlace): string => `
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  timeout queue 1s
frontend listener
  bind 127.0.0.1:${port}
${services.map((_, n) => `  use_backend service${n} if { path ${paths(services.length)[n]} }`).join('\n')}
${services.map((service, n) => `backend service${n}\n  server one 127.0.0.1:${service} maxconn 64`).join('\n')}
`

const caddy = ({ port, services }: StoryPlace): string => JSON.stringify({
  admin: { disabled: true },
  apps: {
    http: {
      servers: {
        story: {
          listen: [`127.0.0.1:${port}`],
          automatic_https: { disable: true },
          routes: services.map((service, n) => ({ match: [{ path: [paths(services.length)[n]] }], handle: [{ handler: 'reverse_proxy', upstreams: [{ dial: `127.0.0.1:${service}` }] }] }))
        }
      }
    }
  }
})

/** Addresses and what is routed where; everything else as it comes. */
const postern = ({ stage, port, adminPort, services }: StoryPlace, name: string): string => [
  `listener: { address: "127.0.0.1:${port}" }`,
  `admin: { address: "127.0.0.1:${adminPort}" }`,
  `log: { destination: ${JSON.stringify(join(stage.directory, `${name}.log`))} }`,
  `upstreams: { ${services.map((service, n) => `service${n}: { endpoints: ["http://127.0.0.1:${service}"] }`).join(', ')} }`,
  `messages: { ${paths(services.length).map((path, n) => `${path.slice(path.lastIndexOf('/') + 1)}: { upstream: service${n} }`).join(', ')} }`,
  ''
].join('\n')

/** The site of the story: five systems behind one pool of connections, whose queue has neither a bound nor a time-out, and no breaker. */
const unprotected = (place: StoryPlace): string => {
  const { stage, port, adminPort, services } = place
  const file = withFile(stage, 'services.yaml', services.map((service, n) =>
    `- { service: site, url: "http://127.0.0.1:${service}", messages: [${paths(services.length)[n]!.split('/').at(-1)}] }\n`).join(''))
  return [
    `listener: { address: "127.0.0.1:${port}" }`,
    `admin: { address: "127.0.0.1:${adminPort}" }`,
    `log: { destination: ${JSON.stringify(join(stage.directory, 'postern-unprotected.log'))} }`,
    `registry: { file: ${JSON.stringify(file)} }`,
    'defaults:',
    '  policy: { attempts: 1, queueTimeoutMs: 600000, headersTimeoutMs: 600000, deadlineMs: 600000 }',
    '  bulkhead: { maxConcurrent: 64, maxQueue: 1000000 }',
    '  breaker: { errorThresholdPercent: 100, volumeThreshold: 1000000 }',
    ''
  ].join('\n')
}

const startPostern = (name: string, program: string, place: StoryPlace, text: string): RunningProcess => {
  // In a directory of its own: Postern watches it, and its log is written into the stage's all the time.
  const directory = join(place.stage.directory, `${name}-config`)
  mkdirSync(directory)
  const file = join(directory, 'postern.yaml')
  writeFileSync(file, text)
  return place.stage.start(name, program, [fileURLToPath(new URL('../../src/main.ts', import.meta.url)), 'start', '--config', file])
}

export const storyContenders: readonly StoryContender[] = [
  { name: 'postern', title: 'Postern, defaults', program: undefined, everyRound: true, start: (program, place) => startPostern('postern', program, place, postern(place, 'postern')) },
  { name: 'postern-unprotected', title: 'Postern, protections off: one pool of 64 for all, no time-outs', program: undefined, everyRound: false, start: (program, place) => startPostern('postern-unprotected', program, place, unprotected(place)) },
  {
    name: 'nginx',
    title: 'nginx, as Debian ships it',
    program: 'nginx',
    everyRound: false,
    start: (program, place) => place.stage.start('nginx', program, ['-c', withFile(place.stage, 'nginx.conf', nginx(place)), '-e', join(place.stage.directory, 'nginx-error.log')])
  },
  {
    name: 'haproxy',
    title: 'HAProxy, 64 connections a server, 1 s of queue',
    program: 'haproxy',
    everyRound: false,
    start: (program, { stage, ...place }) => stage.start('haproxy', program, ['-db', '-f', withFile(stage, 'haproxy.cfg', haproxy({ stage, ...place }))])
  },
  {
    name: 'caddy',
    title: 'Caddy, defaults',
    program: 'caddy',
    everyRound: false,
    start: (program, { stage, ...place }) => stage.start('caddy', program, ['run', '--config', withFile(stage, 'caddy.json', caddy({ stage, ...place }))], { environment: { HOME: stage.directory, XDG_DATA_HOME: stage.directory, XDG_CONFIG_HOME: stage.directory } })
  }
]
