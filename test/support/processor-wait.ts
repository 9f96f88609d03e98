// How long threads waited for a processor, as the kernel counts it: what of a time is the machine's and not the program's.
import { readdirSync, readFileSync } from 'node:fs'

export interface Threads {
  readonly pid: number
  /** As the kernel knows them: `node-MainThread`, or the name of a worker. */
  readonly names: readonly string[]
}

/** Nanoseconds by thread. Empty where nobody counts it, and of who has ended. */
function read (threads: readonly Threads[]): Map<string, number> {
  const waited = new Map<string, number>()
  for (const { pid, names } of threads) {
    try {
      for (const id of readdirSync(`/proc/${pid}/task`)) {
        const path = `/proc/${pid}/task/${id}`
        if (names.includes(readFileSync(`${path}/comm`, 'utf8').trim())) waited.set(path, Number(readFileSync(`${path}/schedstat`, 'utf8').split(' ')[1]))
      }
    } catch (error) {
      // It ended just now, or this is another system.
      if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    }
  }
  return waited
}

/** From now on. Call the result for the ms until then that these threads, which work one after the other, waited in all. */
export function measureWait (threads: readonly Threads[]): () => number {
  const before = read(threads)
  return () => {
    let waited = 0
    for (const [path, ns] of read(threads)) waited += ns - (before.get(path) ?? 0)
    return waited / 1e6
  }
}
