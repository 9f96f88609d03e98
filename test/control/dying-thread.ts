// The control thread, but for one word on which it dies: for the test of what happens then.
import { parentPort } from 'node:worker_threads'
import '../../src/control/thread.ts'

parentPort?.on('message', (message: { kind: string, url?: string }) => {
  if (message.kind === 'recheck' && message.url === 'die') throw new Error('died on purpose')
})
