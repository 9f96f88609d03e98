// The whole engine of the request path: filters around a last step.
import type { Exchange, UpstreamResponse } from './exchange.ts'

export type Next = (exchange: Exchange) => Promise<UpstreamResponse>
/**
 * Our around-layer. The promise settles at the response head. A filter that only holds something hands it to `Exchange.atEnd` and returns
 * `next(exchange)` as it is; only one that looks at the response or the error waits for it.
 */
export type Filter = (exchange: Exchange, next: Next) => Promise<UpstreamResponse>

/** Chains filters, first = outermost. `undefined` means "not configured for this route". */
export function compose (filters: ReadonlyArray<Filter | undefined>, last: Next): Next {
  return filters
    .filter(filter => filter !== undefined)
    .reduceRight<Next>((next, filter) => exchange => filter(exchange, next), last)
}
