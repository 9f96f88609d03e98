// The faults that operators have set while the gateway runs, and what was injected. Bounded; nothing of it survives a restart.
import type { FaultRule } from './fault-rule.ts'

export interface SetFault {
  /** As it was asked for. */
  readonly message: string
  readonly rule: FaultRule
  readonly by: string
  readonly reason: string
}

const maxFaults = 100
export const faultKinds = ['delay', 'abort', 'reset'] as const

export class Faults {
  readonly #set = new Map<string, SetFault>()
  readonly #injected = new Map<string, Record<typeof faultKinds[number], number>>()

  get size (): number { return this.#set.size }

  /** By the route's name in lower case: a message, or the pattern of a prefix. */
  of (route: string, nowMs: number): FaultRule | undefined {
    const rule = this.#set.get(route.toLowerCase())?.rule
    return rule === undefined || rule.untilMs <= nowMs ? undefined : rule
  }

  /** False when there are too many. What has expired makes room. */
  set (fault: SetFault, nowMs: number): boolean {
    for (const [key, { rule }] of this.#set) if (rule.untilMs <= nowMs) this.#set.delete(key)
    const key = fault.message.toLowerCase()
    if (this.#set.size >= maxFaults && !this.#set.has(key)) return false
    this.#set.set(key, fault)
    return true
  }

  clear (message: string): boolean {
    return this.#set.delete(message.toLowerCase())
  }

  clearAll (): number {
    const { size } = this.#set
    this.#set.clear()
    return size
  }

  list (nowMs: number): SetFault[] {
    return [...this.#set.values()].filter(({ rule }) => rule.untilMs > nowMs)
  }

  count (upstream: string, { delayMs, abortStatus, reset }: FaultRule): void {
    let counts = this.#injected.get(upstream)
    if (counts === undefined) this.#injected.set(upstream, counts = { delay: 0, abort: 0, reset: 0 })
    if (delayMs > 0) counts.delay++
    if (reset) counts.reset++
    else if (abortStatus > 0) counts.abort++
  }

  /** Counts by upstream. */
  get injected (): Iterable<readonly [upstream: string, counts: Readonly<Record<typeof faultKinds[number], number>>]> {
    return this.#injected
  }
}
