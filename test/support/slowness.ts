// How much longer than on an idle machine everything takes here and now: what a test may allow for that promises a time.
import { once } from 'node:events'
import { setPriority } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isMainThread, threadId, Worker, workerData } from 'node:worker_threads'

/** One turn of the measuring thread: it sleeps, then computes. ms. */
const [sleepMs, computeMs] = [40, 2]
/** That of Postern's control thread, which gives way to requests. */
const nice = 10

export interface Slowness extends AsyncDisposable {
  /** From now on. Call the result for the factor until then, at least 1. */
  measure (): () => number
}

/** Starts a thread that sleeps and computes at the priority of the control thread, and takes the time of both. */
export async function watchSlowness (): Promise<Slowness> {
  const shared = new Float64Array(new SharedArrayBuffer(8))
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { slowness: shared } })
  await once(worker, 'message')
  return {
    measure () {
      const [turns, startedAt] = [shared[0]!, performance.now()]
      // A turn is under way at both ends.
      return () => Math.max(1, (performance.now() - startedAt) / (((shared[0]! - turns) + 1) * (sleepMs + computeMs)))
    },
    async [Symbol.asyncDispose] () { await worker.terminate() }
  }
}

if (!isMainThread && threadId > 0 && typeof workerData === 'object' && workerData !== null && 'slowness' in workerData) {
  const shared = workerData.slowness as Float64Array
  const { parentPort } = await import('node:worker_threads')
  if (process.platform === 'linux') setPriority(nice)
  parentPort!.postMessage('ready')
  for (;;) {
    await sleep(sleepMs)
    const before = process.threadCpuUsage()
    for (let used = 0; used < computeMs * 1_000;) {
      const { user, system } = process.threadCpuUsage(before)
      used = user + system
    }
    shared[0]!++
  }
}
