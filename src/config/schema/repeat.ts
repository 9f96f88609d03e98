// What may be sent more than once: effect, retry, hedging, mirroring per message; the budget of an upstream.
import { Type } from 'typebox'
import { bytes, count, flag, ms, oneOf, section } from './kit.ts'

const percent = (description: string, byDefault: number, minimum = 0) => Type.Number({ minimum, maximum: 100, default: byDefault, description })

const Retry = section({
  statuses: Type.Array(Type.Integer({ minimum: 400, maximum: 599 }), { default: [502, 503, 504], description: 'Answers in place of which a safe or idempotent message is tried again. 429 is the word of the service to one caller; where it is listed here, its Retry-After is waited for.' }),
  backoffMs: ms('Base of the pause before a repeated attempt that may have been sent: a random time up to base × 2^(repeats so far). What provably was not sent goes on without a pause.', 25, 0),
  maxBackoffMs: ms('Longest pause of that kind.', 250, 0),
  maxRetryAfterMs: ms('Longest Retry-After of a 503 or 429 that is waited for, if the deadline leaves the time; a longer one is answered to the client as it is.', 1_000, 0),
  replayBytes: bytes('Longest request body that is sent again. Bodies that were not read whole before they were sent (listener.limits.heldBodyBytes) are never sent again once a byte of them was read.', 65_536),
  honoursIdempotencyKey: flag('The service executes requests with the same Idempotency-Key once: then a client\'s Idempotency-Key makes its request idempotent. ServiceStack hosts do not honour it by themselves.', false)
}, 'Repeating an attempt, within attempts and the upstream\'s retryBudget.')

const Hedge = section({
  enabled: flag('A safe request that takes longer than most of its message is sent to a second endpoint too; the first good answer wins, the other attempt is cancelled.', false),
  percentile: Type.Number({ minimum: 50, maximum: 99.9, default: 95, description: 'Of the message\'s own times to the response head: a request slower than this share of them gets a second attempt.' }),
  minDelayMs: ms('Shortest wait before the second attempt, however fast the message is.', 10)
}, 'A second attempt before the first has failed. It counts in attempts and in the upstream\'s retryBudget.')

const Mirror = section({
  to: Type.Optional(Type.String({ minLength: 1, description: 'The upstream that gets copies of safe requests; its answers are dropped. Left out: nothing is mirrored.' })),
  percent: percent('Share of the safe requests that is copied.', 100),
  maxConcurrent: count('Copies under way at one time; what is beyond is not copied.', 16, 1),
  identity: oneOf(['remove', 'send'], 'remove', 'Whether copies carry who asks: cookies, and all headers that are an identity for the cache (cache.identity), those of proxies in front included. Requests that say it in their query are only copied with send.')
}, 'Copies of a share of the safe traffic to another upstream. Its failures touch nobody.')

export const repeatFields = {
  effect: oneOf(['auto', 'safe', 'idempotent', 'unsafe'], 'auto', 'What repeating a message does. auto: what its marker says (IGet is safe, IPut and IDelete idempotent, IPost and IPatch unsafe), without one by the method: GET and HEAD are safe, but of a message with a cache.invalidates of its own. One-way calls and batches are always unsafe. By a prefix route a call has its message\'s effect, or the prefix\'s where that is stricter.'),
  attempts: Type.Integer({ minimum: 1, maximum: 5, default: 2, description: 'Tries per exchange that may have been sent, the first included. Repeated is only what provably was not sent, and what is safe or idempotent by effect.' }),
  retry: Retry,
  hedge: Hedge,
  mirror: Mirror
}

export const RetryBudget = section({
  percent: percent('Repeated attempts, hedges included, as a share of the upstream\'s exchanges within the window.', 20),
  perSecond: count('Repeated attempts per second that are allowed beyond that share, so that a quiet service is repeated at all.', 10),
  windowMs: ms('Length of the sliding window.', 10_000, 1_000)
}, 'Bound on repeated attempts to each upstream: a service that fails altogether gets little more than its own traffic.')
