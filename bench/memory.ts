// Whether requests leave anything behind: the live heap and the resident set of Postern over a million requests.
import { postern } from './contenders.ts'
import { complaint, scenarios, startOrigin } from './scenarios.ts'
import { inspect } from './support/inspector.ts'
import { runLoad, type LoadResult } from './support/load.ts'
import { freePorts, waitUntil } from './support/network.ts'
import { openStage } from './support/stage.ts'
import { quantile, slope } from './support/statistics.ts'

export interface MemoryOptions {
  /** Requests after the warm-up. */
  readonly requests: number
  readonly connections: number
  readonly tools: { readonly nginx: string, readonly wrk: string }
  readonly progress: (line: string) => void
}

/** Memory after a full garbage collection; bytes. */
export interface Sample {
  /** Requests answered since the warm-up. */
  readonly requests: number
  readonly heapUsed: number
  readonly external: number
  readonly rss: number
}

export interface Verdict {
  /** Live heap and external memory that stay for each request; bytes. */
  readonly bytesPerRequest: number
  /** How much higher the resident set is in the last quarter than in the first; bytes. */
  readonly residentGrowth: number
  readonly flat: boolean
}

const requestsPerSample = 50_000
/** Half of the least that JavaScript can keep for a request, one slot of 8 bytes in a list. Measured on the live heap, after collection. */
const mostBytesPerRequest = 4
/** V8 moves its young generation by up to 32 MB, and malloc keeps what it once had; a leak of 32 bytes a request is above it. */
const mostResidentGrowth = 32 * 1_048_576

/** Judges a series: flat, when neither the live heap nor the resident set grows with the requests. */
export const judge = (samples: readonly Sample[]): Verdict => {
  const bytesPerRequest = slope(samples.map(({ requests, heapUsed, external }) => [requests, heapUsed + external]))
  const quarter = Math.max(1, Math.floor(samples.length / 4))
  const resident = (part: readonly Sample[]) => quantile(part.map(({ rss }) => rss), 0.5)
  const residentGrowth = resident(samples.slice(-quarter)) - resident(samples.slice(0, quarter))
  return { bytesPerRequest, residentGrowth, flat: bytesPerRequest <= mostBytesPerRequest && residentGrowth <= mostResidentGrowth }
}

const megabytes = (bytes: number) => (bytes / 1_048_576).toFixed(1)

/** The series and the verdict as text. */
export const describe = (samples: readonly Sample[], verdict: Verdict): string => [
  '| requests | live heap MB | external MB | resident MB |',
  '| --: | --: | --: | --: |',
  ...samples.map(({ requests, heapUsed, external, rss }) => `| ${requests} | ${megabytes(heapUsed)} | ${megabytes(external)} | ${megabytes(rss)} |`),
  '',
  `Live memory grows by ${verdict.bytesPerRequest.toFixed(2)} bytes a request (at most ${mostBytesPerRequest}: half of the least that can be kept for one).`,
  `The resident set of the last quarter is ${megabytes(verdict.residentGrowth)} MB above that of the first (at most ${megabytes(mostResidentGrowth)}).`,
  verdict.flat ? 'Flat.' : '**Not flat.**',
  ''
].join('\n')

/**
 * Sends the requests, in turn GETs, POSTs, and GETs of messages that do not exist (a new name each time: what is unknown must not be kept
 * either), and takes a sample every 50,000.
 */
export const measureMemory = async ({ requests, connections, tools, progress }: MemoryOptions): Promise<{ samples: Sample[], verdict: Verdict }> => {
  const stage = openStage()
  try {
    const [originPort = 0, port = 0, inspectorPort = 0] = await freePorts(3)
    await startOrigin(stage, tools.nginx, originPort)
    const [get, , post] = scenarios
    const server = await postern().start(process.execPath, { stage, port, originPort, nodeArguments: [`--inspect=127.0.0.1:${inspectorPort}`] })
    await waitUntil('postern', () => complaint(port, get!), server)

    const kinds = [
      { path: get!.path, method: 'GET', bodyBytes: 0 },
      { path: post!.path, method: 'POST', bodyBytes: post!.bodyBytes },
      { path: get!.path, method: 'GET', bodyBytes: 0 },
      { path: '/json/reply/Unknown', method: 'GET', bodyBytes: 0, randomNames: true }
    ]
    const send = async (turn: number, seconds: number): Promise<LoadResult> => {
      const kind = kinds[turn % kinds.length]!
      const result = await runLoad(stage, tools.wrk, { ...kind, port, seconds, connections })
      const expectedRefused = kind.randomNames === true ? result.requests : 0
      if (result.refused !== expectedRefused || result.broken > 0) throw new Error(`${kind.method} ${kind.path}: ${result.refused} of ${result.requests} refused, ${result.broken} broken`)
      return result
    }
    const sample = async (done: number): Promise<Sample> => {
      const inspector = await inspect(inspectorPort)
      // Twice: what finalizers let go of in the first is freed by the second.
      await inspector.call('HeapProfiler.collectGarbage')
      await inspector.call('HeapProfiler.collectGarbage')
      const { heapUsed, external, rss } = await inspector.evaluate<NodeJS.MemoryUsage>('process.memoryUsage()')
      inspector.close()
      return { requests: done, heapUsed, external, rss }
    }

    const perSecond: number[] = []
    for (const turn of kinds.keys()) {
      const { requests: answered, seconds } = await send(turn, 3)
      perSecond.push(answered / seconds)
    }
    const samples = [await sample(0)]
    let done = 0
    for (let turn = 0, next = requestsPerSample; done < requests; turn++) {
      done += (await send(turn, Math.max(1, Math.round(requestsPerSample / perSecond[turn % kinds.length]!)))).requests
      if (done < next) continue
      const taken = await sample(done)
      samples.push(taken)
      next = done + requestsPerSample
      progress(`${done} requests: live heap ${megabytes(taken.heapUsed)} MB, resident ${megabytes(taken.rss)} MB`)
    }
    return { samples, verdict: judge(samples) }
  } finally {
    await stage.close()
  }
}
