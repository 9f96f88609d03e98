// Chooses an endpoint for this attempt. An open breaker or an unreachable endpoint is avoided here rather than hit.
import type { Filter } from '../exchange/compose.ts'

export const pickEndpoint: Filter = function pickEndpoint (exchange, next) {
  if (exchange.ended !== undefined) throw exchange.ended
  const { upstream } = exchange
  const endpoint = upstream.pick(exchange)
  // With nowhere left to go, the failure that brought us here tells the client more than "none available".
  if (endpoint === undefined) throw exchange.lastError ?? upstream.whyNone(exchange)
  exchange.endpoint = endpoint
  return next(exchange)
}
