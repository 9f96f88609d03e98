// Chooses an endpoint for this attempt. An open breaker or an unreachable endpoint is avoided here rather than hit.
import { deadlineExceeded, isLate } from '../exchange/deadline.ts'
import type { Filter } from '../exchange/compose.ts'
import type { Exchange } from '../exchange/exchange.ts'
import { renew } from '../exchange/follow.ts'
import { pause } from '../exchange/pause.ts'

/**
 * Longest wait for the word of an endpoint, where there is no other, ms. Its slot bounds how many wait. Longer than a connect and what the control
 * plane waits for then (a second): one that nobody could be asked about is back by that time, and is tried.
 */
const longestAskMs = 2_500

export const pickEndpoint: Filter = function pickEndpoint (exchange, next) {
  if (pick(exchange)) return next(exchange)
  const asked = exchange.upstream.asked(exchange)
  if (asked === undefined) throw whyNone(exchange)
  return pickAsked(exchange, asked).then(() => next(exchange))
}

/** One after the other says who it is, and each may be somebody else, or no longer have the message. */
async function pickAsked (exchange: Exchange, asked: Promise<void> | undefined): Promise<void> {
  const untilMs = performance.now() + longestAskMs
  for (let leftMs = longestAskMs; asked !== undefined && leftMs > 0; leftMs = untilMs - performance.now()) {
    await pause(exchange, leftMs, 'endpoint to say who it is', { until: asked })
    renew(exchange)
    if (pick(exchange)) return
    asked = exchange.upstream.asked(exchange)
  }
  throw whyNone(exchange)
}

function pick (exchange: Exchange): boolean {
  if (exchange.ended !== undefined) throw exchange.ended
  // Timers may be late: what nobody waits for any more is not started.
  if (isLate(exchange)) throw deadlineExceeded(exchange, 'endpoint')
  const endpoint = exchange.upstream.pick(exchange)
  if (endpoint !== undefined) exchange.endpoint = endpoint
  return endpoint !== undefined
}

/** With nowhere left to go, the failure that brought us here tells the client more than "none available". */
const whyNone = (exchange: Exchange) => exchange.lastError ?? exchange.upstream.whyNone(exchange)
