// Refuses work while the process itself has too much of it: the lowest priority first.
import type { Filter } from '../exchange/compose.ts'
import { GatewayError } from '../exchange/errors.ts'
import type { Policy } from '../exchange/exchange.ts'
import { refusedFrom, type ShedGauge } from './shed-level.ts'

/** Reading one number is all it costs while nothing is refused. */
export function shed (gauge: ShedGauge, { priority }: Policy): Filter {
  const from = refusedFrom[priority]
  return function shed (exchange, next) {
    if (gauge.level < from) return next(exchange)
    const { limits: { eventLoopDelayMs, heapPercent }, delayMs } = gauge
    const isLate = eventLoopDelayMs > 0 && delayMs >= eventLoopDelayMs * from * 0.5
    const limit = isLate ? { limit: 'eventLoopDelayMs', value: eventLoopDelayMs, measured: Math.round(delayMs) } : { limit: 'heapPercent', value: heapPercent, measured: Math.round(gauge.heapPercent) }
    throw new GatewayError('Overloaded', { detail: { ...limit, priority } })
  }
}
