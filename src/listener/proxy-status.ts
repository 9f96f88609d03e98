// Proxy-Status of a local reply, and of what stands in for one: what went wrong in words that other proxies and people know (RFC 9209). Pure.
import type { GatewayError } from '../exchange/errors.ts'

/** What of an error's detail strangers may read, in this order: limits and occupancy. Addresses, causes and names of services stay in the log. */
const published = ['limit', 'value', 'measured', 'waitedFor', 'full', 'fullAt', 'inFlight', 'queued', 'priority', 'displacedBy'] as const

/**
 * `error` is the nearest type of RFC 9209 section 2.3, `details` begins with our own code, which says more. `next-hop` is left out: it would
 * tell strangers where the services are. `name` is how this gateway is called in Via. A number is the service's own status, in place of which
 * the gateway answered.
 */
export function proxyStatus (name: string, cause: GatewayError | number): string {
  if (typeof cause === 'number') return `${name}; received-status=${cause}`
  const { code, spec, detail } = cause
  const facts = detail === undefined
    ? []
    : published.flatMap(key => typeof detail[key] === 'string' || typeof detail[key] === 'number' ? [`${key}=${detail[key]}`] : [])
  return `${name}; error=${spec.proxyStatus}; details=${sfString([code, ...facts].join(' '))}`
}

/** A String of RFC 9651 section 3.3.3: printable ASCII in quotes. */
function sfString (text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`
}
