// Runs one job again and again when asked: never twice at once, never more often than every so many ms, again later when it failed.

export interface Loop {
  /** Something changed. The first run waits for nothing but the current turn. */
  trigger (): void
  /** Run after this long at the latest; replaces the last such wish. Undefined: no such wish. ms. */
  wakeAfter (ms: number | undefined): void
  /** Settles when what has been triggered by now has run, whatever comes meanwhile. */
  settled (): Promise<void>
  /** Settles when nothing is left to run. */
  idle (): Promise<void>
  close (): Promise<void>
}

/** Longest pause because of how much work the last run was, ms. */
const longestPauseMs = 1_000

/**
 * `everyMs`: shortest time between the end of a run and the next; after one that was more work twice as long as that took (CPU), so that two
 * thirds of the thread's core are left to whatever else there is to do. `retryMs`: after a run that failed.
 */
export function createLoop (run: () => Promise<void>, options: { everyMs: number, retryMs: number, onError: (error: Error) => void }): Loop {
  let wanted = false
  let closed = false
  let running: Promise<void> | undefined
  let pause: NodeJS.Timeout | undefined
  let alarm: NodeJS.Timeout | undefined
  let runs = 0
  let lastAt = -Infinity
  let pauseMs = options.everyMs

  const start = () => {
    pause = undefined
    wanted = false
    const before = process.threadCpuUsage()
    running = run().catch((error: unknown) => {
      if (closed) return
      options.onError(error as Error)
      wakeAfter(options.retryMs)
    }).finally(() => {
      running = undefined
      runs++
      lastAt = performance.now()
      const { user, system } = process.threadCpuUsage(before)
      pauseMs = Math.max(options.everyMs, Math.min(longestPauseMs, 2 * (user + system) / 1_000))
      if (wanted) trigger()
    })
  }

  const trigger = () => {
    if (closed) return
    wanted = true
    if (running !== undefined || pause !== undefined) return
    // setTimeout 0 still joins what comes in the same turn.
    pause = setTimeout(start, Math.max(0, lastAt + pauseMs - performance.now()))
  }

  const wakeAfter = (ms: number | undefined) => {
    clearTimeout(alarm)
    if (ms !== undefined && !closed) alarm = setTimeout(trigger, Math.min(2 ** 31 - 1, Math.max(10, ms)))
  }

  const isBusy = () => wanted || running !== undefined || pause !== undefined
  const waitUntil = async (isOver: () => boolean) => {
    while (isBusy() && !isOver()) await (running ?? new Promise(resolve => setTimeout(resolve, 5)))
  }

  return {
    trigger,
    wakeAfter,
    async settled () {
      // The run under way may have begun with less.
      const enough = runs + (running === undefined ? 1 : 2)
      await waitUntil(() => runs >= enough)
    },
    idle: () => waitUntil(() => false),
    async close () {
      closed = true
      wanted = false
      clearTimeout(pause)
      clearTimeout(alarm)
      pause = undefined
      await running
    }
  }
}
