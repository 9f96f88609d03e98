// What callers are told while a breaker admits nothing, and when to come again.
import { GatewayError } from '../exchange/errors.ts'
import type { Breaker } from './breaker.ts'

/** The answer while a breaker admits nothing, with the time it really has left. */
export function breakerOpen (breaker: Pick<Breaker, 'state' | 'held' | 'retryAfterMs'>, detail: Record<string, unknown>): GatewayError {
  const retryAfterS = Math.max(1, Math.ceil(breaker.retryAfterMs / 1_000))
  return new GatewayError('BreakerOpen', { detail: { ...detail, breaker: breaker.state, held: breaker.held !== undefined, retryAfterS }, headers: ['Retry-After', String(retryAfterS)] })
}
