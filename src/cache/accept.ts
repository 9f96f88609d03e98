// Which Accept a service gets with what is asked for the cache: on message routes the one of the format that the path says, whatever the client's. Pure.
import type { Exchange } from '../exchange/exchange.ts'
import { without } from '../exchange/headers.ts'
import { mediaTypes } from '../lib/formats.ts'
import type { CacheConfig } from './rules.ts'

/** `/json/reply/GetOrder`; `/api/GetOrder`, which is JSON unless a format stands behind it. */
const formatOf = (canonicalPath: string): string =>
  canonicalPath.startsWith('/api/') ? canonicalPath.slice(canonicalPath.lastIndexOf('.') + 1) : canonicalPath.slice(1, canonicalPath.indexOf('/', 1))

/**
 * Headers for a question whose answer everybody may get. Where Accept tells no answers apart it must not shape one either: a service that
 * negotiates by it would give all what the client that came first asked for. `headers`: as that one sent them.
 */
export function withRouteAccept (headers: string[], { route, upstreamRequest: { canonicalPath } }: Pick<Exchange, 'route' | 'upstreamRequest'>, { normalizeAccept }: CacheConfig): string[] {
  if (!normalizeAccept || route.kind !== 'message') return headers
  return [...without(headers, accepted), 'Accept', mediaTypes.get(formatOf(canonicalPath)) ?? 'application/json']
}
const accepted: readonly string[] = ['accept']
