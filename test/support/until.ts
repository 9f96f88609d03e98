// Waiting in tests: a condition polled with a deadline, or a promise with one. Never a bare sleep.
import { setTimeout as sleep } from 'node:timers/promises'

const defaultTimeoutMs = 30_000

/** Resolves with the first result that is neither false nor undefined. Rejects after `timeoutMs` (default 30 s: a machine may be busy with other things), saying what was waited for. */
export async function until<T> (what: string, check: () => T | Promise<T>, options: { timeoutMs?: number, everyMs?: number } = {}): Promise<Exclude<T, false | undefined>> {
  const deadline = performance.now() + (options.timeoutMs ?? defaultTimeoutMs)
  for (;;) {
    const result = await check()
    if (result !== false && result !== undefined) return result as Exclude<T, false | undefined>
    if (performance.now() > deadline) throw new Error(`waited ${options.timeoutMs ?? defaultTimeoutMs} ms in vain for: ${what}`)
    await sleep(options.everyMs ?? 10)
  }
}

/** Rejects when the promise takes longer. */
export async function within<T> (what: string, ms: number, promise: Promise<T>): Promise<T> {
  const timer = new AbortController()
  try {
    return await Promise.race([
      promise,
      sleep(ms, undefined, { signal: timer.signal }).then(() => { throw new Error(`not within ${ms} ms: ${what}`) })
    ])
  } finally {
    timer.abort()
  }
}
