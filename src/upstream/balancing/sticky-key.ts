// What a call sticks to an endpoint by: its session, its client, a header or a cookie. Pure.
import type { BalancerConfig } from '../../config/schema.ts'
import type { Exchange } from '../../exchange/exchange.ts'
import { cookieValue, headerValue, sessionId } from '../../exchange/headers.ts'
import { hashOf } from '../../lib/hash.ts'

/** Undefined when the call has nothing of it. */
export function stickyKey ({ request, upstreamRequest: { headers } }: Exchange, { stickTo, name = '' }: BalancerConfig): number | undefined {
  let value: string | undefined
  switch (stickTo) {
    case 'client': value = request.clientAddress; break
    case 'header': value = headerValue(headers, name.toLowerCase()); break
    case 'cookie': value = cookieValue(headers, name); break
    case 'session': value = sessionId(headers)
  }
  return value === undefined || value === '' ? undefined : hashOf(value)
}
