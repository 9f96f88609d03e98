// 5,000 instances with 20,000 messages, of which 1 % change every second: how much work that is for the thread that serves requests. `npm run bench -- catalog` measures it for ten minutes.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { createHistogram } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { forkFleet } from '../../bench/swap/fleet-process.ts'
import { startGateway } from '../support/gateway.ts'
import { until } from '../support/until.ts'

const [messages, endpoints] = [20_000, 5_000]
/** Seconds of changes. */
const changes = 5

/** CPU time of this thread in every millisecond or so: waiting for a core of a busy machine is not in it. */
function watchWork () {
  const work = createHistogram()
  const look = () => { const { user, system } = process.threadCpuUsage(); return user + system }
  let last = look()
  const timer = setInterval(() => {
    const now = look()
    work.record(Math.max(1, now - last))
    last = now
  }, 1)
  return { atMs: (percent: number) => work.percentile(percent) / 1_000, longestMs: () => work.max / 1_000, stop: () => clearInterval(timer) }
}

test('a large catalogue that never rests is little work for the data plane', { timeout: 240_000 }, async t => {
  const fleet = await forkFleet({ messages, endpoints, port: 0 }, { givesWay: false })
  try {
    await using gateway = await startGateway({ registry: { consul: { agents: [`http://127.0.0.1:${fleet.port}`] } } } as never)
    const isKnown = async (message: string) => !/MessageNotFound|RoutesNotReady/.test((await gateway.get(`/json/reply/${message}`)).text())
    for (let service = 0; service < fleet.services; service++) {
      const message = fleet.messagesOf(service).at(-1)!
      await until(message, () => isKnown(message), { timeoutMs: 180_000, everyMs: 50 })
    }
    const work = watchWork()
    let next = 0
    for (let second = 0; second < changes; second++) {
      const startedAtMs = performance.now()
      const changed = Array.from({ length: fleet.services / 100 }, () => next++)
      fleet.replace(changed)
      const renamed = changed.map(service => fleet.messagesOf(service)[1]!)
      for (const message of renamed) await until(message, () => isKnown(message), { timeoutMs: 60_000, everyMs: 20 })
      await sleep(Math.max(0, startedAtMs + 1_000 - performance.now()))
    }
    work.stop()
    t.diagnostic(`work between two looks: p99.9 ${work.atMs(99.9).toFixed(1)} ms, longest ${work.longestMs().toFixed(1)} ms`)
    // Measured on a busy machine: 2 ms, and 4 ms at most. The bound is far above, for slower cores and a garbage collector that comes by.
    assert.ok(work.atMs(99.9) < 20, `p99.9 ${work.atMs(99.9)} ms`)
  } finally {
    await fleet.close()
  }
})
