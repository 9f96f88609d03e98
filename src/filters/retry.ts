// The only filter that repeats, and only what is safe to repeat.
import { toGatewayError, type GatewayError } from '../exchange/errors.ts'
import type { Filter } from '../exchange/compose.ts'
import type { Exchange } from '../exchange/exchange.ts'

/**
 * What provably was not sent goes on to the next endpoint as long as there is one (an endpoint that refused is out from then on, so each
 * is found dead once). What may have been sent is repeated within policy.attempts, and only GET and HEAD: RFC 9110 section 9.2.2 allows
 * more methods, but these hosts' messages are not idempotent by method alone.
 */
export const retry: Filter = async function retry (exchange, next) {
  let refused = 0
  for (;;) {
    const before = exchange.attempts.length
    try {
      return await next(exchange)
    } catch (thrown) {
      const error = toGatewayError(thrown)
      exchange.lastError = error
      // Nothing was attempted: no endpoint is left.
      if (exchange.attempts.length === before) throw error
      if (error.spec.retry === 'always') refused++
      if (!repeatable(exchange, error, exchange.attempts.length - refused)) throw error
    }
  }
}

const mostRefusals = 8

function repeatable (exchange: Exchange, error: GatewayError, sent: number): boolean {
  if (exchange.ended !== undefined) return false
  if (exchange.upstreamRequest.body.kind === 'stream' && exchange.upstreamRequest.body.stream.readableDidRead) return false
  switch (error.spec.retry) {
    case 'always': return exchange.attempts.length < mostRefusals
    case 'if-safe': return exchange.upstreamRequest.effect !== 'unsafe' && sent < exchange.route.policy.attempts
    case 'never': return false
  }
}
