// One budget for queueing, back-off and all attempts, until the response head.
import { GatewayError } from '../exchange/errors.ts'
import type { Filter } from '../exchange/compose.ts'
import type { Exchange } from '../exchange/exchange.ts'

function endLate (exchange: Exchange): void {
  const { deadlineMs } = exchange.route.policy
  exchange.end(new GatewayError('DeadlineExceeded', { detail: { limit: 'deadlineMs', value: deadlineMs, attempts: exchange.attempts.length, endpoint: exchange.endpoint?.url } }))
}

/** After the head only the body's idle timeout counts, so a download may last as long as it moves: `settle` stops the timer there. */
export const deadline: Filter = function deadline (exchange, next) {
  exchange.deadlineTimer = setTimeout(endLate, exchange.route.policy.deadlineMs, exchange)
  return next(exchange)
}
