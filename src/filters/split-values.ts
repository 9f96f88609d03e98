// What of a call a split can look at: query, properties of the message, the caller. Pure.
import type { Exchange } from '../exchange/exchange.ts'
import { headerValue, sessionId } from '../exchange/headers.ts'

/** Longest JSON body that is read for a property, bytes. */
const mostBodyBytes = 65_536

/** Value of a query key; undefined where there is none. `anyCase`: as hosts bind properties. */
export function readQuery ({ upstreamRequest: { path } }: Exchange, name: string, anyCase: boolean): string | undefined {
  const at = path.indexOf('?')
  return at === -1 ? undefined : valueIn(path.slice(at + 1), name, anyCase)
}

/** A top-level property of the message, where hosts look for it: in the query, in a form, in a JSON body. Undefined when it is not there or no plain value. */
export function readProperty (exchange: Exchange, name: string): string | undefined {
  const inQuery = readQuery(exchange, name, true)
  const { body } = exchange.upstreamRequest
  if (inQuery !== undefined || body.kind !== 'held' || body.bytes.length > mostBodyBytes) return inQuery
  const type = headerValue(exchange.upstreamRequest.headers, 'content-type')?.toLowerCase() ?? ''
  if (type.startsWith('application/x-www-form-urlencoded')) return valueIn(body.bytes.toString(), name, true)
  // As hosts do: JsonApiClient sends its JSON as text/plain, others say nothing.
  if (type !== '' && !type.includes('json') && !type.startsWith('text/plain')) return undefined
  const message = parseObject(body.bytes.toString())
  const key = message === undefined ? undefined : Object.keys(message).find(key => key.toLowerCase() === name.toLowerCase())
  const value = key === undefined ? undefined : message![key]
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
}

/** Who calls, as far as can be told without asking: the session, else the client's address. */
export function callerKey ({ request, upstreamRequest: { headers } }: Exchange): string {
  return sessionId(headers) ?? request.clientAddress
}

function valueIn (text: string, name: string, anyCase: boolean): string | undefined {
  const wanted = anyCase ? name.toLowerCase() : name
  for (const [key, value] of new URLSearchParams(text)) if ((anyCase ? key.toLowerCase() : key) === wanted) return value
  return undefined
}

function parseObject (text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : undefined
  } catch {
    // No JSON: the host will say so. It has no property that could be looked at.
    return undefined
  }
}
