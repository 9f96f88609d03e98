// The load generator: wrk, and what it says.
import { fileURLToPath } from 'node:url'
import type { Stage } from './stage.ts'

export interface Load {
  readonly port: number
  readonly path: string
  readonly method: string
  /** Bytes of JSON sent with each request; 0 = no body. */
  readonly bodyBytes: number
  /** Calls `path` followed by a name each time: a random one, or one of so many in turn. */
  readonly names?: 'random' | number
  readonly seconds: number
  readonly connections: number
}

export interface LoadResult {
  /** Complete answers. */
  readonly requests: number
  /** Bytes received, heads included. */
  readonly bytes: number
  readonly seconds: number
  /** Answers with a status of 400 or more. */
  readonly refused: number
  /** Connections that failed, broke or timed out. */
  readonly broken: number
  /** Time to answer as a client saw it; microseconds. */
  readonly latency: { readonly p50: number, readonly p99: number, readonly p999: number, readonly max: number }
}

/** Reads the line that load.lua ends with. Throws when it is not there: then wrk did not finish. */
export const parseResult = (output: string): LoadResult => {
  const line = /^RESULT (\{.*\})$/m.exec(output)?.[1]
  if (line === undefined) throw new Error(`wrk printed no result: ${output.slice(-500)}`)
  const values = JSON.parse(line) as Record<string, number>
  const value = (name: string): number => {
    const found = values[name]
    if (found === undefined) throw new Error(`wrk's result has no ${name}`)
    return found
  }
  return {
    requests: value('requests'),
    bytes: value('bytes'),
    seconds: value('durationMicroseconds') / 1e6,
    refused: value('status'),
    broken: value('connect') + value('read') + value('write') + value('timeout'),
    latency: { p50: value('p50'), p99: value('p99'), p999: value('p999'), max: value('max') }
  }
}

const script = fileURLToPath(new URL('load.lua', import.meta.url))

/** Puts load on a port for whole seconds, with one thread of wrk. */
export const runLoad = async (stage: Stage, wrk: string, load: Load): Promise<LoadResult> => {
  const generator = stage.start('wrk', wrk, [
    '-t1', `-c${load.connections}`, `-d${load.seconds}s`, '-s', script, `http://127.0.0.1:${load.port}${load.path}`,
    '--', load.method, String(load.bodyBytes), ...load.names === undefined ? [] : [load.path, ...load.names === 'random' ? [] : [String(load.names)]]
  ])
  const code = await generator.exit
  if (code !== 0) throw new Error(generator.ended)
  return parseResult(generator.output)
}
