// Puts the control thread behind the thread that serves requests, together with V8's helper threads, which mostly collect the control thread's garbage. I/O.
import { readdirSync, readFileSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'

/** Nice value: where cores are few, requests come first. */
const behind = 10

/**
 * Of the calling thread and the helpers. Only Linux has a nice value for each thread; elsewhere it would be the whole process's, so nothing is done.
 * Throws what the system says against it.
 */
export function standBehindRequests (): void {
  if (process.platform !== 'linux') return
  // A process that was started behind others stays there: to come forward takes rights.
  const nice = Math.max(behind, getPriority())
  setPriority(nice)
  for (const thread of readdirSync('/proc/self/task')) {
    try {
      if (readFileSync(`/proc/self/task/${thread}/comm`, 'latin1').includes('V8Worker')) setPriority(Number(thread), nice)
    } catch (error) {
      // It has ended meanwhile.
      if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    }
  }
}
