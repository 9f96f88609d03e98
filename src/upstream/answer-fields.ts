// Fields that say what an answer is, how it may be kept and by whom: neither taken away by Connection nor believed behind the body. Pure.
import { connectionOptions } from '../exchange/headers.ts'

/** Response controls and content format (RFC 9110 section 6.5.1), what is said to one cache (RFC 9213) and to one client (RFC 6265). */
const controls = /^(?:(?:.+-)?cache-control|surrogate-control|edge-control|x-accel-expires|expires|pragma|age|date|vary|warning|location|retry-after|set-cookie2?|www-authenticate|content-(?:type|encoding|range|location))$/
/** What is of the answer, and may also come behind its body. */
const validators: ReadonlySet<string> = new Set(['etag', 'last-modified'])
/** Fields that frame or route a message mean nothing behind it (RFC 9110 section 6.5.1). */
const framing: ReadonlySet<string> = new Set(['transfer-encoding', 'content-length', 'host', 'connection', 'keep-alive', 'te', 'trailer', 'upgrade', 'proxy-connection', 'proxy-authenticate', 'http2-settings'])

/** Whether it may stand in trailers. `lower`: its name. */
export const mayTrail = (lower: string): boolean => !framing.has(lower) && !controls.test(lower)

/**
 * Lower-case names of what Connection keeps to this hop; undefined where that is nothing. What is meant for whoever gets the answer it may
 * not name (RFC 9110 section 7.6.1 has Cache-Control as the example): without it the answer would be another, and private no more.
 */
export function namedForHop (connection: string): readonly string[] | undefined {
  const named = connectionOptions(connection, undefined)?.filter(name => !controls.test(name) && !validators.has(name))
  return named === undefined || named.length === 0 ? undefined : named
}
