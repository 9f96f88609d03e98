// One budget for queueing, back-off and all attempts, until the response head: the policy's, or less where a trusted caller waits less.
import { deadlineExceeded, isLate } from '../exchange/deadline.ts'
import type { Deadlines } from '../exchange/deadlines.ts'
import type { Filter } from '../exchange/compose.ts'
import type { Exchange } from '../exchange/exchange.ts'

/**
 * After the head only the body's idle timeout counts, so a download may last as long as it moves: `settle` ends the watch there. The time
 * in which the client sent its body does not count, but a caller's own timeout runs from the head on: that is when it began to wait.
 */
export function deadline (deadlines: Deadlines): Filter {
  const watch = (exchange: Exchange) => deadlines.add(exchange)
  return function deadline (exchange, next) {
    exchange.deadlineAtMs = performance.now() + exchange.route.policy.deadlineMs
    if (exchange.callerTimeoutMs !== undefined) {
      exchange.deadlineAtMs = Math.min(exchange.deadlineAtMs, exchange.startedAtMs + exchange.callerTimeoutMs)
      if (isLate(exchange)) throw deadlineExceeded(exchange, 'request')
    }
    exchange.onFirstWait = watch
    return next(exchange)
  }
}
