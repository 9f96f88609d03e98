// What is asked of every contender, and the origin behind all of them.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RunningProcess, Stage } from './support/stage.ts'
import { ask, waitUntil } from './support/network.ts'

export interface Scenario {
  readonly name: string
  readonly title: string
  readonly method: 'GET' | 'POST'
  /** Name of the message it calls. */
  readonly message: string
  readonly path: string
  readonly bodyBytes: number
  readonly answerBytes: number
  /** Measured unless the operator names scenarios. */
  readonly standard: boolean
}

const smallBytes = 693
const largeBytes = 65_536

const scenario = (name: string, title: string, method: 'GET' | 'POST', message: string, bodyBytes: number, answerBytes: number, standard = true): Scenario =>
  ({ name, title, method, message, path: `/json/reply/${message}`, bodyBytes, answerBytes, standard })

export const scenarios: readonly Scenario[] = [
  scenario('get-small', `GET, answer of ${smallBytes} bytes`, 'GET', 'GetBench', 0, smallBytes),
  scenario('get-64k', 'GET, answer of 64 KB', 'GET', 'GetBenchLarge', 0, largeBytes),
  scenario('post-small', `POST of 1 KB, answer of ${smallBytes} bytes`, 'POST', 'PostBench', 1_024, smallBytes),
  scenario('post-get-64k', 'POST of 1 KB, answer of 64 KB', 'POST', 'PostBenchLargeAnswer', 1_024, largeBytes),
  scenario('cache-hit', `GET, answer of ${smallBytes} bytes from the cache`, 'GET', 'GetBenchCached', 0, smallBytes, false),
  scenario('post-64k', `POST of 64 KB, answer of ${smallBytes} bytes`, 'POST', 'PostBenchLarge', largeBytes, smallBytes, false)
]

/** Whose answers end soon. */
export const shortLived = { message: 'GetBenchShort', seconds: 6 }

/** A JSON object of exactly so many bytes. */
export const json = (bytes: number): string => {
  const frame = '{"items":""}'
  return `{"items":"${'abcdefghij'.repeat(Math.ceil(bytes / 10)).slice(0, bytes - frame.length)}"}`
}

/** Files of nginx must be readable by its workers, which drop root's rights unless told not to. */
export const nginxUser = (): string => process.getuid?.() === 0 ? 'user root;' : ''

const originConfig = (directory: string, port: number): string => `
${nginxUser()}
worker_processes 1; daemon off; pid ${directory}/origin.pid; error_log ${directory}/origin-error.log;
events { worker_connections 4096; }
http {
  access_log off; sendfile on; tcp_nopush on; open_file_cache max=16; default_type application/json;
  keepalive_timeout 3600s; keepalive_requests 1000000000; client_max_body_size 1m; client_body_buffer_size 128k;
  client_body_temp_path ${directory}/origin-body; proxy_temp_path ${directory}/origin-proxy; fastcgi_temp_path ${directory}/origin-fastcgi;
  uwsgi_temp_path ${directory}/origin-uwsgi; scgi_temp_path ${directory}/origin-scgi;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /json/reply/GetBenchLarge { alias ${directory}/large.json; }
    # A file is only given to a GET: what a POST gets is that of another location.
    location = /json/reply/PostBenchLargeAnswer { error_page 405 =200 /json/reply/GetBenchLarge; alias ${directory}/large.json; }
    location = /json/reply/GetBenchCached { add_header Cache-Control "max-age=86400"; return 200 '${json(smallBytes)}'; }
    location = /json/reply/${shortLived.message} { add_header Cache-Control "max-age=${shortLived.seconds}"; return 200 '${json(smallBytes)}'; }
    location = /json/reply/BenchFailing { return 500; }
    location /json/reply/ { return 200 '${json(smallBytes)}'; }
  }
}
`

/** Starts the origin: nginx with answers that cost next to nothing, so that the two cores are left to the contender and the load. */
export const startOrigin = async (stage: Stage, nginx: string, port: number): Promise<RunningProcess> => {
  const { directory } = stage
  writeFileSync(join(directory, 'large.json'), json(largeBytes))
  writeFileSync(join(directory, 'origin.conf'), originConfig(directory, port))
  const origin = stage.start('origin', nginx, ['-c', join(directory, 'origin.conf'), '-e', join(directory, 'origin-error.log')])
  await waitUntil('origin', async () => await complaint(port, scenarios[0]!), origin)
  return origin
}

/** Why the answer at a port is not the one of the scenario; undefined when it is. */
export const complaint = async (port: number, { path, method, bodyBytes, answerBytes }: Scenario): Promise<string | undefined> => {
  const body = bodyBytes === 0 ? undefined : Buffer.from(json(bodyBytes))
  const answer = await ask(port, path, method, body)
  if (answer.status !== 200) return `${method} ${path} gave ${answer.status}: ${answer.body.toString('utf8', 0, 300)}`
  if (answer.body.length !== answerBytes) return `${method} ${path} gave ${answer.body.length} bytes in place of ${answerBytes}`
  return undefined
}
