// The last step: one attempt at one endpoint, written down.
import type { Next } from '../exchange/compose.ts'
import { Attempt } from '../exchange/exchange.ts'
import { tellTimeout } from '../exchange/timeout-header.ts'

export const send: Next = function send (exchange) {
  const attempt = new Attempt(exchange.endpoint!, exchange.isHedge)
  exchange.attempts.push(attempt)
  if (exchange.timeoutHeader !== undefined) tellTimeout(exchange, attempt.startedAtMs)
  return exchange.endpoint!.request(exchange, attempt)
}
