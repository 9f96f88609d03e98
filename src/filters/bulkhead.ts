// Bounded concurrency and a bounded queue per upstream: one slow service never takes more than its share.
import type { Filter, Next } from '../exchange/compose.ts'
import type { Exchange, UpstreamResponse } from '../exchange/exchange.ts'
import { renew } from '../exchange/follow.ts'

function giveBack (exchange: Exchange): void {
  exchange.slot?.release(exchange)
  exchange.slot = undefined
}

function holding (exchange: Exchange, next: Next): Promise<UpstreamResponse> {
  exchange.slot = exchange.upstream
  exchange.atEnd(giveBack)
  return next(exchange)
}

function waited (exchange: Exchange, next: Next): Promise<UpstreamResponse> {
  renew(exchange)
  return holding(exchange, next)
}

/** The slot is held until the body is finished: a service that answers its head fast and its body slowly is slow all the same. */
export const bulkhead: Filter = function bulkhead (exchange, next) {
  const slot = exchange.upstream.acquire(exchange)
  return slot === undefined ? holding(exchange, next) : slot.then(() => waited(exchange, next))
}
