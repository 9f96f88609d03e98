// The head of an answer as text: of one that many clients get in a row put together once, of any other without a second look at each field.
import { ServerResponse, validateHeaderName, validateHeaderValue } from 'node:http'
import { NameSet } from '../lib/name-set.ts'
import type { ReplyHeaders } from './reply-headers.ts'

/** What `writeHead` itself calls with its status line: no part of Node's documentation, so it may be missing one day. */
interface StoresHeader { _storeHeader? (firstLines: string, headers: readonly string[]): void }
export const takesText = typeof (ServerResponse.prototype as StoresHeader)._storeHeader === 'function'

/** Fields by which Node decides how it frames an answer. */
const framing = ['connection', 'keep-alive', 'transfer-encoding', 'trailer', 'upgrade', 'expect']
/** And those that name what differs from client to client. */
const unfit = new NameSet([...framing, 'location', 'content-location'])
/** What Node has to know of, whoever writes it. */
const noted = new NameSet([...framing, 'content-length', 'date'])

/** `writeHead` itself takes note that no body follows. */
const isBodiless = (status: number): boolean => status === 204 || status === 304

/** Without Content-Length and the client's own correlation id; undefined where it cannot be the same text for everybody. */
export function headText (status: number, reason: string, headers: readonly string[], correlationHeader: string): string | undefined {
  if (isBodiless(status)) return undefined
  let text = `HTTP/1.1 ${status} ${reason}\r\n`
  let hasDate = false
  try {
    validateHeaderValue('reason', reason)
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i]!
      const value = headers[i + 1]!
      const lower = name.toLowerCase()
      if (unfit.has(name)) return undefined
      hasDate ||= lower === 'date'
      if (lower === 'content-length' || name === correlationHeader) continue
      validateHeaderName(name)
      validateHeaderValue(name, value)
      text += `${name}: ${value}\r\n`
    }
  } catch {
    return undefined // writeHead refuses it, and says why.
  }
  return hasDate ? text : undefined
}

/**
 * For fields that a parser as strict as Node's let through, and ours: Node would look at each of them once more, which is 3 % of an exchange
 * (measured). What it decides framing by is left to it.
 */
export function wellFormedText (status: number, reason: string, reply: ReplyHeaders): ReplyHeaders {
  const { headers, trailerAt, hasLength } = reply
  if (trailerAt !== -1 || isBodiless(status)) return reply
  const left: string[] = []
  let text = `HTTP/1.1 ${status} ${reason}\r\n`
  let hasDate = false
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!
    const value = headers[i + 1]!
    const lower = noted.has(name) ? name.toLowerCase() : ''
    if (lower === 'content-length') left.push(name, value)
    else if (lower === 'date' || lower === '') text += `${name}: ${value}\r\n`
    else return reply
    hasDate ||= lower === 'date'
  }
  return { headers: left, trailerAt, hasLength, text, hasDate }
}

/** `writeHead`, where the text is there. Connection, keep-alive and framing are Node's to decide, as always. */
export function writeHeadText (res: ServerResponse, status: number, reason: string, text: string, { headers, hasDate }: ReplyHeaders): void {
  res.statusCode = status
  res.statusMessage = reason
  if (hasDate) res.sendDate = false
  ;(res as StoresHeader)._storeHeader!(text, headers)
}
