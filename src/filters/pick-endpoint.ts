// Chooses an endpoint for this attempt. An open breaker or an unreachable endpoint is avoided here rather than hit.
import { deadlineExceeded, isLate } from '../exchange/deadline.ts'
import type { Filter } from '../exchange/compose.ts'

export const pickEndpoint: Filter = function pickEndpoint (exchange, next) {
  if (exchange.ended !== undefined) throw exchange.ended
  // Timers may be late: what nobody waits for any more is not started.
  if (isLate(exchange)) throw deadlineExceeded(exchange, 'endpoint')
  const { upstream } = exchange
  const endpoint = upstream.pick(exchange)
  // With nowhere left to go, the failure that brought us here tells the client more than "none available".
  if (endpoint === undefined) throw exchange.lastError ?? upstream.whyNone(exchange)
  exchange.endpoint = endpoint
  return next(exchange)
}
