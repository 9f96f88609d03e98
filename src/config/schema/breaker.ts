// When calls are kept away from what fails, and what is answered meanwhile: breakers, ejection of outliers, degraded answers.
import { Type } from 'typebox'
import { count, flag, ms, oneOf, optional, section, text } from './kit.ts'

const percent = (description: string, byDefault: number) => Type.Integer({ minimum: 1, maximum: 100, default: byDefault, description })

const thresholds = {
  errorThresholdPercent: percent('Share of failures within the window that opens a breaker.', 50),
  volumeThreshold: count('Calls within the window below which that share opens nothing.', 10, 10),
  consecutiveFailures: count('Failures in a row that open a breaker at once, whatever succeeded before within the window.', 20, 1),
  windowMs: ms('Length of the rolling window.', 10_000, 1_000),
  resetTimeoutMs: ms('How long a breaker stays open before a trial call is let through.', 2_000),
  trials: count('Trial calls that must succeed before it closes: one first, and with each that succeeds one more at a time. Of a breaker in front of several endpoints also the most of them that are tried beside each other.', 3, 1),
  rampMs: ms('After that, how long the share of the calls that is let through grows until it is all of them.', 1_500, 0)
}

export const Breaker = section({
  enabled: flag('Whether the breakers of this upstream, its messages and its endpoints open by themselves. Held by hand they are in any case.', true),
  ...thresholds,
  askIdleMs: ms('How long a breaker of an endpoint waits half-open for a call to try; then Postern asks the endpoint\'s own heartbeat (livenessPath for what is no ServiceStack host). 0 = never: after two windows without a call it is closed, as those of messages and upstreams are.', 5_000, 0),
  pauseStatuses: Type.Array(Type.Integer({ minimum: 400, maximum: 599 }), { default: [503], description: 'Of 429 and 503, those whose Retry-After pauses the endpoint that sent it. A 429 concerns its caller and pauses nobody else, unless it stands here.' }),
  maxPauseMs: ms('Longest such pause, whatever Retry-After says. 0 = no pause: the answer counts as a failure.', 5_000, 0)
}, 'Circuit breakers (opossum): of each endpoint, of the upstream, and of each of its messages that fails.')

export const MessageBreaker = section({
  enabled: flag('Whether this message has a breaker of its own on its upstream. Without one its failures count for the upstream only.', true),
  slowCallFactor: count('A call counts as failed as soon as it takes so many times as long as the message\'s answers normally do, and is not waited for. 0 = slow calls count when their time-out comes.', 10),
  slowCallMs: ms('Never before it has taken so long; also the measure for trial calls of a message whose normal time is not known.', 1_000, 10),
  ...optional(thresholds)
}, 'The breaker of a message, and which calls are too slow. What is left out of its thresholds and times is that of its upstream\'s breaker.')

export const Degraded = section({
  on: Type.Array(oneOf(['BreakerOpen', 'BulkheadFull', 'QueueTimeout', 'NoEndpoint', 'Overloaded'], 'BreakerOpen', 'An error.'), { default: ['BreakerOpen'], description: 'Errors in place of which the degraded answer is given. A stale entry of the cache goes before it.' }),
  upstream: Type.Optional(text('Fallback upstream that is asked instead, behind its own bulkhead and breakers.')),
  body: Type.Optional(Type.String({ maxLength: 65_536, description: 'Fixed answer.' })),
  status: Type.Integer({ minimum: 200, maximum: 599, default: 200, description: 'Its status.' }),
  contentType: Type.String({ minLength: 1, default: 'application/json; charset=utf-8', description: 'Its content type.' }),
  headers: Type.Record(Type.String(), Type.String(), { default: {}, description: 'Further headers of it.' })
}, 'What is answered in place of an error while a service cannot be called: another upstream, or a fixed body. Left out: the error itself.')

export const Outliers = section({
  enabled: flag('Whether an endpoint that does worse than the others gets no traffic for a while.', true),
  intervalMs: ms('How often endpoints are compared.', 10_000, 1_000),
  minEndpoints: count('Endpoints with enough attempts from which on they are compared with each other; below that, each with its own past.', 5, 3),
  minAttempts: count('Attempts within the interval below which an endpoint is not judged.', 50, 5),
  stdevFactor: Type.Number({ minimum: 0.5, maximum: 10, default: 1.9, description: 'An endpoint is ejected when its success rate is below the mean by so many standard deviations …' }),
  minDropPercent: percent('… and by at least so many percentage points; with few endpoints, when it is below its own past by so many while the others are not.', 15),
  maxPercent: percent('Most of the endpoints that may be ejected at one time; one may always be, the last one never.', 30),
  baseMs: ms('How long an ejection lasts: so long × the number of ejections in a row.', 10_000, 100),
  maxMs: ms('At most.', 300_000, 100)
}, 'Ejection of endpoints that answer, and do it worse than their equals.')
