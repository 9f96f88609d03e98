// The whole engine of the request path: filters around a last step.
import type { Exchange, UpstreamResponse } from './exchange.ts'

export type Next = (exchange: Exchange) => Promise<UpstreamResponse>
/** Our around-layer. The promise settles at the response head; what is held until the body ends is released by `response.body.onFinished`. */
export type Filter = (exchange: Exchange, next: Next) => Promise<UpstreamResponse>

/** Chains filters, first = outermost. `undefined` means "not configured for this route". */
export function compose (filters: ReadonlyArray<Filter | undefined>, last: Next): Next {
  return filters
    .filter(filter => filter !== undefined)
    .reduceRight<Next>((next, filter) => exchange => filter(exchange, next), last)
}
