// A request -> the bytes of its head. Framing and Host are written here and nowhere else. Pure.
import { NameSet } from '../../lib/name-set.ts'
import { isFieldValue, isTarget, isToken } from './characters.ts'
import { UnwritableRequest } from './errors.ts'

export interface RequestHead {
  readonly method: string
  /** Origin form. */
  readonly target: string
  readonly host: string
  /** End-to-end, flat list. What frames the message or belongs to the connection is passed over. */
  readonly headers: readonly string[]
  /** Of the body; undefined = none, 'chunked' = not known. */
  readonly length: number | 'chunked' | undefined
}

/** Methods whose requests mean something by their content: without any they say so (RFC 9110 section 8.6). */
const expectsContent = new Set(['POST', 'PUT', 'PATCH', 'QUERY', 'PROPFIND', 'PROPPATCH'])

const ours = new NameSet(['host', 'connection', 'content-length', 'transfer-encoding', 'expect', 'upgrade', 'keep-alive'])

/**
 * One character a byte, to be written as latin1.
 * @throws UnwritableRequest where a method, target, name or value holds a character that would end it: nobody writes a second request into ours
 */
export function requestHead ({ method, target, host, headers, length }: RequestHead): string {
  if (!isToken(method)) throw new UnwritableRequest('a method that is none')
  if (!isTarget(target)) throw new UnwritableRequest('a request target holds a character that it may not')
  if (!isFieldValue(host)) throw new UnwritableRequest('Host holds a character that it may not')
  let head = `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: keep-alive\r\n`
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!
    const value = headers[i + 1]!
    if (ours.has(name)) continue
    if (!isToken(name)) throw new UnwritableRequest('a header name is no token')
    if (!isFieldValue(value)) throw new UnwritableRequest('a header value holds a character that it may not')
    head += `${name}: ${value}\r\n`
  }
  if (length === 'chunked') head += 'Transfer-Encoding: chunked\r\n'
  else if (length !== undefined) head += `Content-Length: ${length}\r\n`
  else if (expectsContent.has(method)) head += 'Content-Length: 0\r\n'
  return `${head}\r\n`
}
