// What may differ per message, per upstream, or as a default.
import { Type } from 'typebox'
import { Balancer } from './balancing.ts'
import { Cache } from './cache.ts'
import { count, ms, section } from './kit.ts'
import { repeatFields } from './repeat.ts'
import { Split } from './split.ts'

const timeouts = {
  connectTimeoutMs: ms('Limit on making a connection to an endpoint, TLS included.', 1_000),
  queueTimeoutMs: ms('Limit on waiting for a bulkhead slot.', 1_000, 0),
  headersTimeoutMs: ms('Limit on waiting for the response head, per attempt.', 10_000),
  bodyIdleTimeoutMs: ms('Limit on silence between two pieces of a body, either direction.', 30_000),
  deadlineMs: ms('Budget of the whole exchange until the response head: queueing, back-off and all attempts. Afterwards only bodyIdleTimeoutMs counts. Does not hold for upgraded or text/event-stream exchanges.', 15_000)
}
export const policyFields = {
  ...timeouts,
  ...repeatFields,
  balancer: Balancer,
  cache: Cache,
  split: Split
}

export const Policy = section(policyFields, 'What holds for every message unless its upstream or the message itself says otherwise.')

export const Bulkhead = section({
  maxConcurrent: count('Exchanges at one time to this upstream, all its endpoints together.', 256, 1),
  maxQueue: count('Exchanges that may wait for a slot, first come first served. Beyond that: 503 at once.', 128)
}, 'The bound on concurrency and queue of each upstream.')

export const Breaker = section({
  errorThresholdPercent: Type.Integer({ minimum: 1, maximum: 100, default: 50, description: 'Share of failed attempts within the window that opens the breaker of an endpoint.' }),
  volumeThreshold: count('Attempts within the window below which a breaker never opens.', 10, 10),
  windowMs: ms('Length of the rolling window.', 10_000, 1_000),
  resetTimeoutMs: ms('How long a breaker stays open before a trial call is let through.', 5_000)
}, 'Circuit breaker of each endpoint (opossum).')
