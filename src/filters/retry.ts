// The only filter that repeats an attempt that failed, and only what is safe to repeat, within the upstream's budget.
import { GatewayError, toGatewayError } from '../exchange/errors.ts'
import type { Filter, Next } from '../exchange/compose.ts'
import type { Exchange, Policy, UpstreamResponse } from '../exchange/exchange.ts'
import { isSpared, move, renew } from '../exchange/follow.ts'
import { pause } from '../exchange/pause.ts'
import { headerValue } from '../exchange/headers.ts'
import { parseRetryAfter } from '../exchange/retry-after.ts'

export interface RetryOptions {
  /** The path of an exchange whose message is another upstream's by now: its breakers, a slot of its own, its endpoints. Undefined: it goes nowhere. */
  readonly elsewhere?: Next
  /** 0 to 1. */
  readonly random?: () => number
}

/**
 * What provably was not sent goes on to the next endpoint at once, as long as there is one (an endpoint that refused is out from then on,
 * so each is found dead once). What may have been sent is repeated within policy.attempts, and only what is safe or idempotent by its effect (RFC 9110
 * section 9.2.2), after a pause with full jitter. Nothing is repeated once a response byte went to the client: a filter's promise settles at
 * the response head, and what comes after it is not seen here. Where nobody is left because endpoints have just died, the table that is made of
 * that is waited for: the message may be another upstream's then, and what has not been done goes on there. What a split had only drawn for an
 * upstream of which nobody is left goes back at once.
 */
export function retry (policy: Policy, { elsewhere, random = Math.random }: RetryOptions = {}): Filter {
  const { statuses } = policy.retry
  return async function retry (exchange, next) {
    exchange.upstream.retryBudget.exchange()
    let hasLooked = false
    for (;;) {
      const before = exchange.attempts.length
      const { retryBudget } = exchange.upstream
      const { answers } = retryBudget
      let failed: UpstreamResponse | GatewayError
      try {
        failed = await next(exchange)
        if (failed.status < 500) retryBudget.answered()
        if (failed.status < 400 || !statuses.includes(failed.status)) return failed
        exchange.lastError = undefined
      } catch (thrown) {
        failed = exchange.lastError = toGatewayError(thrown)
        const isUnattempted = exchange.attempts.length === before
        if (!hasLooked && isLeftAlone(exchange, failed, isUnattempted, policy)) {
          hasLooked = true
          if (!isSpared(exchange)) await nextTable(exchange)
          if (elsewhere !== undefined && move(exchange)) return await elsewhere(exchange)
          renew(exchange)
          if (isUnattempted && exchange.upstream.reach(exchange) !== 'none') continue
        }
        // Nothing was attempted: no endpoint is left.
        if (isUnattempted) throw failed
      }
      const pauseMs = failed instanceof GatewayError ? pauseAfterError(exchange, failed, policy, random) : pauseAfterAnswer(exchange, failed, policy, random)
      if (pauseMs === undefined || !(isFree(exchange, failed, retryBudget.answers > answers) || isPaidFor(exchange))) {
        if (failed instanceof GatewayError) throw failed
        return failed
      }
      if (!(failed instanceof GatewayError)) discard(exchange, failed)
      if (pauseMs > 0) await pause(exchange, pauseMs, 'pause before the next attempt')
      renew(exchange)
    }
  }
}

/** Whether what has not been done could be done by nobody: it was sent to nobody, or what was sent may be repeated, and none is left. */
function isLeftAlone (exchange: Exchange, { spec }: GatewayError, isUnattempted: boolean, policy: Policy): boolean {
  return (isUnattempted || spec.retry === 'always' || (spec.retry === 'if-safe' && mayRepeat(exchange, policy))) && exchange.ended === undefined && !exchange.isMirrored && !wasRead(exchange) && exchange.upstream.reach(exchange) === 'none'
}

/** Longest wait for a table without the endpoints that have just died, ms. Its slot bounds how many wait. */
const longestTableMs = 1_000

/** @throws GatewayError by the promise: why the exchange ended meanwhile */
async function nextTable (exchange: Exchange): Promise<void> {
  const lost = exchange.upstream.lost(exchange)
  if (lost !== undefined) await pause(exchange, longestTableMs, 'table without the endpoints that died', { until: lost })
}

/** Timers count whole milliseconds: one of a second may come so much early, and find the endpoint still at rest. */
const timerEarlyMs = 2

/** An exchange that meets nothing but dead endpoints gives up here. */
const mostUnsent = 8

/** The pause before the next attempt, ms; undefined when there must be none. */
function pauseAfterError (exchange: Exchange, error: GatewayError, policy: Policy, random: () => number): number | undefined {
  if (exchange.ended !== undefined || wasRead(exchange) || exchange.upstream.reach(exchange) === 'none') return undefined
  switch (error.spec.retry) {
    case 'always': return exchange.attempts.length < mostUnsent ? 0 : undefined
    case 'if-safe': return mayRepeat(exchange, policy) ? withinDeadline(exchange, backoffMs(exchange, policy, random)) : undefined
    case 'never': return undefined
  }
}

/**
 * Retry-After of a 503 is the word of one endpoint, so another one is asked without waiting for it; that of a 429 is the service's word to
 * this caller, whichever endpoint said it.
 */
function pauseAfterAnswer (exchange: Exchange, { status, headers }: UpstreamResponse, policy: Policy, random: () => number): number | undefined {
  if (exchange.ended !== undefined || wasRead(exchange) || !mayRepeat(exchange, policy)) return undefined
  const reach = exchange.upstream.reach(exchange)
  // The service's own answer tells the client more than ours that nobody is left.
  if (reach === 'none') return undefined
  const field = status === 429 || (status === 503 && reach === 'same') ? headerValue(headers, 'retry-after') : undefined
  const afterMs = field === undefined ? 0 : parseRetryAfter(field, Date.now()) ?? 0
  if (afterMs > policy.retry.maxRetryAfterMs) return undefined
  return withinDeadline(exchange, (afterMs === 0 ? 0 : afterMs + timerEarlyMs) + backoffMs(exchange, policy, random))
}

/** Whether what may have been sent may be sent once more. */
function mayRepeat ({ attempts, upstreamRequest: { effect, body } }: Exchange, { attempts: most, retry: { replayBytes } }: Policy): boolean {
  if (effect === 'unsafe' || (body.kind === 'held' && body.bytes.length > replayBytes)) return false
  let sent = 0
  for (const attempt of attempts) if (attempt.sent) sent++
  return sent < most
}

const wasRead = ({ upstreamRequest: { body } }: Exchange): boolean => body.kind === 'stream' && body.stream.readableDidRead

/** Full jitter: a fleet of gateways must not beat in time. */
function backoffMs ({ attempts }: Exchange, { retry: { backoffMs: base, maxBackoffMs } }: Policy, random: () => number): number {
  return random() * Math.min(maxBackoffMs, base * 2 ** (attempts.length - 1))
}

const withinDeadline = ({ deadlineAtMs }: Exchange, ms: number): number | undefined => performance.now() + ms < deadlineAtMs ? ms : undefined

/** What nobody got goes on to an untried endpoint for nothing while others are answered (`isAnswering`): not all of them fail, and each is tried once. */
function isFree (exchange: Exchange, failed: UpstreamResponse | GatewayError, isAnswering: boolean): boolean {
  return isAnswering && failed instanceof GatewayError && failed.spec.retry === 'always' && exchange.upstream.reach(exchange) === 'another'
}

function isPaidFor (exchange: Exchange): boolean {
  const isPaid = exchange.upstream.retryBudget.take()
  if (!isPaid) exchange.retryRefused = true
  return isPaid
}

/** Lets go of an answer that nobody gets: its connection, and its place at the endpoint. */
function discard ({ attempts }: Exchange, { body }: UpstreamResponse): void {
  body.cancel(new GatewayError('Superseded'))
  for (const attempt of attempts) attempt.leave()
}
