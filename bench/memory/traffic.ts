// What is sent while memory is watched: answers, refusals, failures of every sort, and clients that leave.
import { fileURLToPath } from 'node:url'
import { posternBeside, type Beside } from '../contenders/configurations.ts'
import { scenarios } from '../scenarios.ts'
import { runLoad } from '../support/load.ts'
import type { Stage } from '../support/stage.ts'

/** Where failures are. */
export interface FailingPorts {
  /** Takes requests and does not answer in time. */
  readonly silentPort: number
  /** Nobody listens there. */
  readonly closedPort: number
  /** Answers; its path BenchFailing with 500. */
  readonly originPort: number
}

/**
 * `failing` opens its breakers, as it would; `silent` never does, so that every call there is a time-out, and for a GET a second attempt.
 */
export const failingUpstreams = ({ silentPort, closedPort, originPort }: FailingPorts): Beside => posternBeside({
  failing: [originPort, 'BenchFailing'],
  gone: [closedPort, 'BenchGone'],
  silent: [silentPort, 'BenchSilent', 'breaker: { enabled: false }, policy: { headersTimeoutMs: 50, messageBreaker: { enabled: false } }']
})

interface Kind {
  readonly path: string
  readonly method?: 'POST'
  readonly bodyBytes?: number
  readonly names?: 'random'
  /** Whether every answer is an error. */
  readonly fails?: boolean
  /** Seconds of it in each turn. */
  readonly seconds: number
}

const [get, , post] = scenarios

/** One turn. A name that does not exist is a new one each time: what is unknown must not be kept either. */
const kinds: readonly Kind[] = [
  { path: get!.path, seconds: 2 },
  { path: post!.path, method: 'POST', bodyBytes: post!.bodyBytes, seconds: 2 },
  { path: '/json/reply/Unknown', names: 'random', fails: true, seconds: 2 },
  { path: '/json/reply/BenchFailing', fails: true, seconds: 1 },
  { path: '/json/reply/BenchGone', fails: true, seconds: 1 },
  { path: '/json/reply/BenchSilent', fails: true, seconds: 2 },
  { path: '/json/reply/BenchSilent', method: 'POST', bodyBytes: post!.bodyBytes, fails: true, seconds: 1 }
]

const leaver = fileURLToPath(new URL('leaver.ts', import.meta.url))
const leavingSeconds = 2

export interface TrafficOptions { readonly stage: Stage, readonly wrk: string, readonly port: number, readonly connections: number }

/** One turn of everything. Resolves with the number of requests. Throws when something was answered otherwise than it should. */
export async function sendTurn ({ stage, wrk, port, connections }: TrafficOptions): Promise<number> {
  let sent = 0
  for (const { path, method = 'GET', bodyBytes = 0, names, fails = false, seconds } of kinds) {
    const result = await runLoad(stage, wrk, { port, path, method, bodyBytes, ...names !== undefined && { names }, seconds, connections })
    if (result.refused !== (fails ? result.requests : 0) || result.broken > 0) throw new Error(`${method} ${path}: ${result.refused} of ${result.requests} refused, ${result.broken} broken`)
    sent += result.requests
  }
  const leavers = stage.start('leaver', process.execPath, [leaver, String(port), '/json/reply/BenchSilent', String(leavingSeconds)])
  if (await leavers.exit !== 0) throw new Error(leavers.ended)
  return sent + Number(leavers.output)
}
