// When a watch asks again, with which index, and whether the registry went back in time. Pure.

export interface PaceRules {
  readonly minIntervalMs: number
  readonly maxBackoffMs: number
  readonly waitMs: number
}

export interface IndexStep {
  /** Index to ask with next; 0 asks without blocking. */
  readonly next: number
  /** The registry's index is lower than any we saw before: it has forgotten something. */
  readonly reset: boolean
}

/**
 * Consul's rules for clients: an index that went backwards, is 0 or is missing is not to be waited on.
 * @param lastSeen highest index seen since the last reset; 0 at first
 */
export function stepIndex (lastSeen: number, answered: number | undefined): IndexStep {
  if (answered === undefined || answered === 0) return { next: 0, reset: false }
  if (answered < lastSeen) return { next: 0, reset: true }
  return { next: answered, reset: false }
}

/** Whether a blocking query came back early with nothing new: whoever answers does not block (a proxy, a cache). */
export function answeredEarly (asked: number, answered: number | undefined, tookMs: number, rules: PaceRules): boolean {
  if (answered === undefined || answered === 0) return true
  return asked > 0 && answered === asked && tookMs < rules.waitMs / 2
}

/** Longest interval at which an agent that does not block is polled. Milliseconds. */
const slowestPollMs = 1_000

/**
 * How long to wait after an answer. Storms are coalesced into one read per `minIntervalMs`; a large answer also leaves as much time idle as
 * it took to handle; an agent that does not block is polled ever more slowly.
 * @param early answers in a row that came early with nothing new
 */
export function delayAfterAnswer (tookMs: number, handlingMs: number, early: number, rules: PaceRules): number {
  const interval = early === 0 ? rules.minIntervalMs : Math.max(rules.minIntervalMs, Math.min(slowestPollMs, rules.minIntervalMs * 2 ** Math.min(early - 1, 16)))
  return Math.max(interval - tookMs - handlingMs, Math.min(handlingMs, slowestPollMs))
}

/**
 * How long to wait after a failure. Every agent is tried once before anything is waited for; then full jitter, so that many gateways do not come
 * back together.
 * @param failures failures in a row, this one included
 * @param random 0 ≤ random < 1
 */
export function delayAfterFailure (failures: number, agents: number, random: number, rules: PaceRules): number {
  if (failures % agents !== 0) return rules.minIntervalMs
  const round = failures / agents
  const ceiling = Math.min(rules.maxBackoffMs, rules.minIntervalMs * 2 ** Math.min(round, 16))
  return Math.max(rules.minIntervalMs, random * ceiling)
}
