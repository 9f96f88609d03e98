// The clients of the story: calls at a steady rate whether or not earlier ones were answered, while one service turns slow and recovers.
// Arguments: a JSON object (DriverPlan). Prints one JSON object (DriverResult).
import { Agent, request } from 'node:http'
import { ask } from '../support/network.ts'

export interface DriverPlan {
  readonly port: number
  readonly controlPort: number
  readonly rate: number
  /** One path a service; the last one turns slow. */
  readonly paths: readonly string[]
  /** Of 100 calls, so many go to the slow service. */
  readonly slowPercent: number
  readonly slowDelayMs: number
  readonly warmUpS: number
  readonly quietS: number
  readonly slowS: number
  readonly recoveryS: number
}

/** One call: when it was due (ms since the quiet phase began), whether to the slow service, how long it took, its status (0: none). */
export type Call = readonly [dueMs: number, slow: 0 | 1, durationMs: number, status: number]

export interface DriverResult {
  readonly calls: readonly Call[]
  /** Calls without an answer, sampled: ms since the quiet phase began, all of them, those to the slow service. */
  readonly pending: ReadonlyArray<readonly [atMs: number, all: number, slow: number]>
}

/** A caller that gives up: longer than any protection here waits. */
const clientTimeoutMs = 30_000
const sampleMs = 100

if (import.meta.main) await drive(JSON.parse(process.argv[2]!) as DriverPlan)

async function drive (plan: DriverPlan): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 512 })
  const calls: Call[] = []
  const pending: Array<[number, number, number]> = []
  const slowService = plan.paths.length - 1
  const startedAtMs = performance.now()
  const beginsAtMs = startedAtMs + plan.warmUpS * 1_000
  const total = plan.rate * (plan.warmUpS + plan.quietS + plan.slowS + plan.recoveryS)
  const waiting = { all: 0, slow: 0 }
  let sent = 0

  const setDelay = async (delayMs: number) => { await ask(plan.controlPort, `/?service=${slowService}&delayMs=${delayMs}`) }
  const after = (seconds: number, action: () => Promise<void>) => setTimeout(() => { action().catch((error: unknown) => { throw error }) }, seconds * 1_000)
  after(plan.warmUpS + plan.quietS, () => setDelay(plan.slowDelayMs))
  after(plan.warmUpS + plan.quietS + plan.slowS, () => setDelay(5))

  // Spread evenly: with 5 %, every twentieth call.
  const isSlow = (n: number) => Math.floor((n + 1) * plan.slowPercent / 100) > Math.floor(n * plan.slowPercent / 100)

  const send = () => {
    const n = sent++
    const slow = isSlow(n) ? 1 : 0
    const dueAtMs = startedAtMs + n / plan.rate * 1_000
    waiting.all++
    waiting.slow += slow
    const over = (status: number) => {
      waiting.all--
      waiting.slow -= slow
      calls.push([Math.round(dueAtMs - beginsAtMs), slow, Math.round((performance.now() - dueAtMs) * 100) / 100, status])
    }
    const outgoing = request({ host: '127.0.0.1', port: plan.port, path: plan.paths[slow === 1 ? slowService : n % slowService], agent, timeout: clientTimeoutMs }, incoming => {
      incoming.resume()
      incoming.once('close', () => over(incoming.complete ? incoming.statusCode ?? 0 : 0))
    })
    let answered = false
    outgoing.once('response', () => { answered = true })
    outgoing.once('timeout', () => outgoing.destroy(new Error('no answer')))
    outgoing.once('error', () => { if (!answered) over(0) })
    outgoing.end()
  }

  const sampler = setInterval(() => pending.push([Math.round(performance.now() - beginsAtMs), waiting.all, waiting.slow]), sampleMs)
  await new Promise<void>(resolve => {
    const timer = setInterval(() => {
      const due = Math.min(total, Math.floor((performance.now() - startedAtMs) / 1_000 * plan.rate))
      while (sent < due) send()
      if (sent === total && waiting.all === 0) {
        clearInterval(timer)
        resolve()
      }
    }, 1)
  })
  clearInterval(sampler)
  agent.destroy()
  const result: DriverResult = { calls, pending }
  process.stdout.write(`${JSON.stringify(result)}\n`)
}
