// Whether requests leave anything behind: memory, timers and listeners of Postern over a million requests, failing ones among them.
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { postern } from './contenders.ts'
import { takeSample } from './memory/sample.ts'
import { failingUpstreams, sendTurn } from './memory/traffic.ts'
import { judge, type Sample, type Verdict } from './memory/verdict.ts'
import { complaint, scenarios, startOrigin } from './scenarios.ts'
import { ask, freePorts, waitUntil } from './support/network.ts'
import { openStage, type Stage } from './support/stage.ts'

export interface MemoryOptions {
  /** Requests after the warm-up. */
  readonly requests: number
  readonly connections: number
  readonly tools: { readonly nginx: string, readonly wrk: string }
  readonly progress: (line: string) => void
}

/** Until what was under way has ended: the longest wait in the traffic, and what follows it. */
const settleMs = 1_000
const hourMs = 3_600_000

/** A service that takes requests and answers an hour later. */
async function startSilent (stage: Stage, port: number, controlPort: number): Promise<void> {
  stage.start('silent', process.execPath, [fileURLToPath(new URL('story/origin.ts', import.meta.url)), String(controlPort), String(port)])
  await waitUntil('silent service', async () => (await ask(controlPort, `/?service=0&delayMs=${hourMs}`)).status === 200 ? undefined : 'no 200', undefined)
}

/** Sends turns of traffic, and takes a sample after each. */
export const measureMemory = async ({ requests, connections, tools, progress }: MemoryOptions): Promise<{ samples: Sample[], verdict: Verdict }> => {
  const stage = openStage()
  try {
    const [originPort = 0, port = 0, inspectorPort = 0, silentPort = 0, controlPort = 0, closedPort = 0] = await freePorts(6)
    await startOrigin(stage, tools.nginx, originPort)
    await startSilent(stage, silentPort, controlPort)
    const server = await postern().start(process.execPath, { stage, port, originPort, nodeArguments: [`--inspect=127.0.0.1:${inspectorPort}`], beside: failingUpstreams({ silentPort, closedPort, originPort }) })
    await waitUntil('postern', () => complaint(port, scenarios[0]!), server)

    const turn = async () => {
      const sent = await sendTurn({ stage, wrk: tools.wrk, port, connections })
      await sleep(settleMs)
      return sent
    }
    await turn()
    const samples = [await takeSample(inspectorPort, 0)]
    for (let done = 0; done < requests;) {
      done += await turn()
      const taken = await takeSample(inspectorPort, done)
      samples.push(taken)
      progress(`${done} requests: live heap ${(taken.heapUsed / 1_048_576).toFixed(1)} MB, resident ${(taken.rss / 1_048_576).toFixed(1)} MB, ${taken.timers} timers, ${taken.listeners} listeners, ${taken.handles} handles`)
    }
    return { samples, verdict: judge(samples) }
  } finally {
    await stage.close()
  }
}
