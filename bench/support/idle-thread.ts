// An event loop beside those that are measured, with nothing to do: what it waits is the machine's doing (other processes, other guests of its host).
import { Worker } from 'node:worker_threads'
import { once } from 'node:events'

const loop = `
const { parentPort } = require('node:worker_threads')
const delay = require('node:perf_hooks').monitorEventLoopDelay({ resolution: 1 })
delay.enable()
parentPort.on('message', () => parentPort.postMessage({ p999: delay.percentile(99.9) / 1e6, longest: delay.max / 1e6 }))
`

/** Milliseconds since it was started. */
export interface IdleDelay { readonly p999: number, readonly longest: number }

export interface IdleThread {
  read (): Promise<IdleDelay>
  close (): Promise<unknown>
}

export function startIdleThread (): IdleThread {
  const worker = new Worker(loop, { eval: true })
  return {
    async read () {
      worker.postMessage('read')
      const [delay] = await once(worker, 'message') as [IdleDelay]
      return delay
    },
    close: () => worker.terminate()
  }
}
