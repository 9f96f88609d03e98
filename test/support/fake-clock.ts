// A clock that moves only when a test moves it, for all timers of this thread; sockets and files go on in real time.
import { syncBuiltinESMExports } from 'node:module'
import promises from 'node:timers/promises'
import type { TestContext } from 'node:test'

export interface FakeClock {
  readonly nowMs: number
  /** Promised pauses (timers/promises) that are waiting. */
  readonly sleeping: number
  /** Moves on, from timer to timer; `settle` is awaited after each of them, and at the end. */
  moveTo (ms: number, settle: () => Promise<void>): Promise<void>
}

interface Pending { readonly atMs: number, readonly order: number, readonly everyMs: number | undefined, readonly run: () => void }

/** What code gets in place of a Timeout. */
class FakeTimeout {
  ref (): this { return this }
  unref (): this { return this }
  hasRef (): boolean { return true }
}

/**
 * Takes the place of setTimeout, setInterval, timers/promises' setTimeout, Date.now, performance.now and of the CPU time of this thread
 * (work takes no time on this clock) until the test is over. Timers that Node sets for itself (sockets, the test runner) stay real.
 */
export function installFakeClock (t: TestContext, epochMs = Date.UTC(2026, 0, 1)): FakeClock {
  const timers = new Map<FakeTimeout, Pending>()
  let nowMs = 0
  let order = 0
  let sleeping = 0
  const real = { clearTimeout, clearInterval }
  const add = (run: () => void, ms = 0, everyMs?: number): FakeTimeout => {
    const timeout = new FakeTimeout()
    timers.set(timeout, { atMs: nowMs + Math.max(1, ms), order: order++, everyMs, run })
    return timeout
  }
  const drop = (clear: (timer: NodeJS.Timeout) => void) => (timer: unknown) => {
    if (timer instanceof FakeTimeout) timers.delete(timer)
    else clear(timer as NodeJS.Timeout)
  }
  const sleep = <T>(ms?: number, value?: T, { signal }: { signal?: AbortSignal } = {}) => new Promise<T | undefined>((resolve, reject) => {
    const over = (settle: () => void) => {
      sleeping--
      signal?.removeEventListener('abort', onAbort)
      settle()
    }
    const onAbort = () => {
      timers.delete(timer)
      over(() => reject(new DOMException('The operation was aborted', 'AbortError')))
    }
    if (signal?.aborted === true) return reject(new DOMException('The operation was aborted', 'AbortError'))
    sleeping++
    const timer = add(() => over(() => resolve(value)), ms)
    signal?.addEventListener('abort', onAbort, { once: true })
  })

  t.mock.method(globalThis, 'setTimeout', ((callback: (...all: unknown[]) => void, ms?: number, ...all: unknown[]) => add(() => callback(...all), ms)) as never)
  t.mock.method(globalThis, 'setInterval', ((callback: (...all: unknown[]) => void, ms?: number, ...all: unknown[]) => add(() => callback(...all), ms, Math.max(1, ms ?? 0))) as never)
  t.mock.method(globalThis, 'clearTimeout', drop(real.clearTimeout) as never)
  t.mock.method(globalThis, 'clearInterval', drop(real.clearInterval) as never)
  t.mock.method(promises, 'setTimeout', sleep as never)
  t.mock.method(Date, 'now', () => epochMs + nowMs)
  t.mock.method(performance, 'now', () => nowMs)
  t.mock.method(process, 'threadCpuUsage', (() => ({ user: 0, system: 0 })) as never)
  syncBuiltinESMExports()
  t.after(() => {
    t.mock.restoreAll()
    syncBuiltinESMExports()
  })

  const nextBefore = (ms: number): [FakeTimeout, Pending] | undefined => {
    let next: [FakeTimeout, Pending] | undefined
    for (const item of timers) {
      const [, { atMs, order }] = item
      if (atMs <= ms && (next === undefined || atMs < next[1].atMs || (atMs === next[1].atMs && order < next[1].order))) next = item
    }
    return next
  }
  return {
    get nowMs () { return nowMs },
    get sleeping () { return sleeping },
    async moveTo (ms, settle) {
      for (let next = nextBefore(ms); next !== undefined; next = nextBefore(ms)) {
        const [timeout, { atMs, everyMs, run }] = next
        nowMs = Math.max(nowMs, atMs)
        timers.delete(timeout)
        if (everyMs !== undefined) timers.set(timeout, { atMs: atMs + everyMs, order: order++, everyMs, run })
        run()
        await settle()
      }
      nowMs = Math.max(nowMs, ms)
      await settle()
    }
  }
}
