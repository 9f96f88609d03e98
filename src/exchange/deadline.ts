// When an exchange must be over, and what is said when it is not. Pure but for the clock.
import { GatewayError } from './errors.ts'
import type { Exchange } from './exchange.ts'

/** Whether the budget is used up: timers may be late, and what nobody waits for any more is not started. */
export const isLate = (exchange: Exchange): boolean => performance.now() >= exchange.deadlineAtMs

/**
 * `waitedFor`: what the exchange was doing when its time was up. Nobody's failure where a caller waits less than we would, or was still
 * sending: neither says anything of the service.
 */
export function deadlineExceeded (exchange: Exchange, waitedFor: string): GatewayError {
  const { callerTimeoutMs, route: { policy: { deadlineMs } } } = exchange
  const isCallers = callerTimeoutMs !== undefined && callerTimeoutMs < deadlineMs
  const limit = isCallers ? { limit: 'caller\'s timeout', value: callerTimeoutMs } : { limit: 'deadlineMs', value: deadlineMs }
  const isSending = exchange.attempts.at(-1)?.isTimed === false
  return new GatewayError('DeadlineExceeded', { detail: { ...limit, waitedFor, attempts: exchange.attempts.length, endpoint: exchange.endpoint?.url }, blameless: isCallers || isSending })
}
