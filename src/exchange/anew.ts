// The same request as if it came now, on nobody's behalf: a task of its own, which no client can cancel.
import { Exchange } from './exchange.ts'

export function anew ({ request, upstreamRequest, route, upstream, endpoints, spare, part, follows, timeoutHeader }: Exchange, instead = upstreamRequest): Exchange {
  const exchange = new Exchange(request, instead, route, performance.now())
  exchange.upstream = upstream
  exchange.endpoints = endpoints
  exchange.spare = spare
  exchange.part = part
  exchange.follows = follows
  exchange.timeoutHeader = timeoutHeader
  return exchange
}
