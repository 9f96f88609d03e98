// Postern's own connect: an endpoint that refused a connection gets no traffic until this succeeds.
import type { LookupFunction } from 'node:net'
import { dial } from './dial.ts'

export interface Probe {
  close (): void
}

const firstDelayMs = 25
const longestDelayMs = 1_000

/**
 * Tries to connect to an origin until it can, then calls `onReachable` once. Backs off with full jitter, at most 1 s between two tries.
 */
export function probeUntilReachable (origin: string, { connectTimeoutMs, lookup, random = Math.random }: { connectTimeoutMs: number, lookup?: LookupFunction, random?: () => number }, onReachable: () => void): Probe {
  let closed = false
  let timer: NodeJS.Timeout | undefined
  let delayMs = firstDelayMs

  const again = () => {
    if (closed) return
    timer = setTimeout(attempt, firstDelayMs + random() * delayMs)
    timer.unref()
    delayMs = Math.min(delayMs * 2, longestDelayMs - firstDelayMs)
  }
  const attempt = () => {
    dial(origin, connectTimeoutMs, lookup).then(() => {
      if (closed) return
      closed = true
      onReachable()
    // A refusal is what we are waiting to end.
    }, again)
  }

  again()
  return {
    close () {
      closed = true
      clearTimeout(timer)
    }
  }
}
