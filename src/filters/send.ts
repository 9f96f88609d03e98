// The last step: one attempt at one endpoint, written down.
import type { Next } from '../exchange/compose.ts'
import { Attempt } from '../exchange/attempt.ts'
import type { Exchange } from '../exchange/exchange.ts'
import { tellTimeout } from '../exchange/timeout-header.ts'

export const send: Next = function send (exchange) {
  return exchange.endpoint!.request(exchange, begin(exchange))
}

/** An attempt begins at the endpoint that was picked. */
export function begin (exchange: Exchange): Attempt {
  const attempt = new Attempt(exchange.endpoint!, exchange)
  exchange.attempts.push(attempt)
  if (exchange.timeoutHeader !== undefined) tellTimeout(exchange, attempt.startedAtMs)
  return attempt
}
