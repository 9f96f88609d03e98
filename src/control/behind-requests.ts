// Puts the control thread behind the thread that serves requests, together with V8's helper threads, which mostly collect the control thread's garbage. I/O.
import { readdirSync, readFileSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'

/** Nice value: where cores are few, requests come first. */
const behind = 10
/**
 * From so many registrations on: deciding of fewer takes some milliseconds, which no request misses, while a thread that stands behind everybody
 * hears of the end of a process seconds late on a machine that others keep busy.
 */
const largeFleet = 500

/** Told how many registrations there are; `put` is called once, when they are many. There is no way back: to come forward takes rights. */
export function createFleetWatch (put: () => void): (registrations: number) => void {
  let isBehind = false
  return registrations => {
    if (isBehind || registrations <= largeFleet) return
    isBehind = true
    put()
  }
}

/**
 * Of the calling thread and the helpers. Only Linux has a nice value for each thread; elsewhere it would be the whole process's, so nothing is done.
 * Throws what the system says against it.
 */
export function standBehindRequests (): void {
  if (process.platform !== 'linux') return
  // A process that was started behind others stays there.
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
