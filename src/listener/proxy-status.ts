// Proxy-Status of a local reply: what went wrong in words that other proxies and people know (RFC 9209). Pure.
import type { GatewayError } from '../exchange/errors.ts'

/** What of an error's detail strangers may read, in this order: limits and occupancy. Addresses, causes and names of services stay in the log. */
const published = ['limit', 'value', 'measured', 'waitedFor', 'full', 'fullAt', 'inFlight', 'queued', 'priority', 'displacedBy'] as const

/**
 * `error` is the nearest type of RFC 9209 section 2.3, `details` begins with our own code, which says more. `next-hop` is left out: it would
 * tell strangers where the services are. `name` is how this gateway is called in Via.
 */
export function proxyStatus (name: string, { code, spec, detail }: GatewayError): string {
  const facts = detail === undefined
    ? []
    : published.flatMap(key => typeof detail[key] === 'string' || typeof detail[key] === 'number' ? [`${key}=${detail[key]}`] : [])
  return `${name}; error=${spec.proxyStatus}; details=${sfString([code, ...facts].join(' '))}`
}

/** A String of RFC 9651 section 3.3.3: printable ASCII in quotes. */
function sfString (text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`
}
