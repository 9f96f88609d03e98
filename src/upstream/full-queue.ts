// Whether calls that find the queue full are a sign of an upstream that hangs. No I/O.
import type { LinkedList } from '../lib/linked-list.ts'
import { slowAfterMs, type Call } from './calls.ts'

interface HangSettings {
  readonly consecutiveFailures: number
  readonly resetTimeoutMs: number
}

/** A full queue says nothing of an upstream that answers, and a burst after a quiet time is answered soon. */
export class FullQueue {
  #answeredAtMs = performance.now()
  #rejected = 0

  answered (nowMs: number): void {
    this.#answeredAtMs = nowMs
    this.#rejected = 0
  }

  /** One more found no room. `calls`: without an answer, oldest first; `overdue`: how many more take too long and were counted for it. */
  rejected (calls: LinkedList<Call>, overdue: number, { consecutiveFailures, resetTimeoutMs }: HangSettings): boolean {
    this.#rejected++
    const nowMs = performance.now()
    if (this.#rejected < consecutiveFailures || nowMs - this.#answeredAtMs < resetTimeoutMs) return false
    if (overdue === 0 && !isWaitedFor(calls, nowMs, resetTimeoutMs)) return false
    this.#rejected = 0
    return true
  }
}

/** Whether the eldest call that an endpoint has waits longer than its message may take. */
function isWaitedFor (calls: LinkedList<Call>, nowMs: number, leastMs: number): boolean {
  for (let call = calls.first; call !== undefined; call = call.next) {
    const { history, lastAttempt: attempt, exchange: { route: { policy: { messageBreaker } } } } = call
    if (attempt?.isTimed === true && attempt.result === '') return nowMs - attempt.dueFromMs >= Math.max(leastMs, slowAfterMs(history, messageBreaker))
  }
  return false
}
