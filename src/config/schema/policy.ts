// What may differ per message, per upstream, or as a default.
import { Type } from 'typebox'
import { Balancer } from './balancing.ts'
import { Degraded, MessageBreaker } from './breaker.ts'
import { Cache } from './cache.ts'
import { count, flag, ms, oneOf, section } from './kit.ts'
import { Fault } from './operate.ts'
import { repeatFields } from './repeat.ts'
import { Split } from './split.ts'

const timeouts = {
  connectTimeoutMs: ms('Limit on making a connection to an endpoint, TLS included.', 1_000),
  queueTimeoutMs: ms('Limit on waiting for a bulkhead slot.', 1_000, 0),
  headersTimeoutMs: ms('Limit on waiting for the response head, per attempt.', 10_000),
  bodyIdleTimeoutMs: ms('Limit on silence between two pieces of a body, either direction. Does not hold for what the endpoint sends as text/event-stream: nobody knows when the next event is due.', 30_000),
  deadlineMs: ms('Budget of the whole exchange until the response head: queueing, back-off and all attempts. Afterwards only bodyIdleTimeoutMs counts. Does not hold for upgraded or text/event-stream exchanges.', 15_000)
}
const tellTimeout = flag('Tells endpoints in edge.timeoutHeader how long the answer is still waited for: the rest of the deadline, or headersTimeoutMs where that is less.', true)
const priority = oneOf(['critical', 'normal', 'sheddable'], 'normal', 'Who gives way under load. The queue of a bulkhead lets higher classes out first and, when it is full, turns away the lowest for a higher one; an overloaded gateway refuses sheddable first and critical last.')

export const policyFields = {
  ...timeouts,
  tellTimeout,
  priority,
  fault: Fault,
  ...repeatFields,
  balancer: Balancer,
  messageBreaker: MessageBreaker,
  degraded: Degraded,
  cache: Cache,
  split: Split
}

export const Policy = section(policyFields, 'What holds for every message unless its upstream or the message itself says otherwise.')

export const Bulkhead = section({
  maxConcurrent: count('Exchanges at one time to this upstream, all its endpoints together.', 256, 1),
  maxQueue: count('Exchanges that may wait for a slot, first come first served within their priority. Beyond that: 503 at once, for the lowest priority.', 128),
  maxPerEndpoint: Type.Optional(Type.Integer({ minimum: 1, description: 'Exchanges at one time to each endpoint. An endpoint at this limit gets none while others have room; when all are at it, exchanges wait in the queue. Left out: no limit of its own.' })),
  adaptive: section({
    enabled: flag('Finds the limit between minConcurrent and maxConcurrent from the latency of the upstream: it falls when answers take longer than tolerance × the lowest recent latency, and rises again. Traffic is never held back in order to measure.', false),
    minConcurrent: count('Lowest limit it may set.', 8, 1),
    tolerance: Type.Number({ minimum: 1.1, maximum: 10, default: 2, description: 'How many times the lowest recent latency is still fine.' })
  }, 'A limit that follows what the upstream can take.')
}, 'The bound on concurrency and queue of each upstream.')
