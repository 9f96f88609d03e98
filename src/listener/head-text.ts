// The head of an answer as text: of one that many clients get in a row put together once, of any other its lines as they came.
import { OutgoingMessage, type ServerResponse, validateHeaderName, validateHeaderValue } from 'node:http'
import type { UpstreamResponse } from '../exchange/exchange.ts'
import { viaWith } from '../exchange/forwarded.ts'
import { NameSet } from '../lib/name-set.ts'
import { isContentless, type ReplyContext, type ReplyHeaders } from './reply-headers.ts'

/** What `writeHead` itself calls with its status line, and what that makes: no part of Node's documentation, so they may be missing one day. */
interface StoresHeader {
  _storeHeader (firstLines: string, headers: readonly string[]): void
  _header: string
}
export const takesText = '_storeHeader' in OutgoingMessage.prototype && '_header' in new OutgoingMessage()

/** Fields by which Node decides how it frames an answer. */
const framing = ['connection', 'keep-alive', 'transfer-encoding', 'trailer', 'upgrade', 'expect']
/** And those that name what differs from client to client. */
const unfit = new NameSet([...framing, 'location', 'content-location'])
/** What is changed on its way to the client, and what Node has to know of whoever writes it. */
const noted = new NameSet([...framing, 'via', 'location', 'content-location', 'content-length', 'date'])

/** `writeHead` itself takes note that no body follows; and a length may have to go. */
const isBodiless = (status: number): boolean => isContentless(status) || status === 304

/** Without the client's own correlation id; undefined where it cannot be the same text for everybody. */
export function headText (status: number, reason: string, headers: readonly string[], correlationHeader: string): string | undefined {
  if (isBodiless(status)) return undefined
  let text = `HTTP/1.1 ${status} ${reason}\r\n`
  let [hasDate, hasLength] = [false, false]
  try {
    validateHeaderValue('reason', reason)
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i]!
      const value = headers[i + 1]!
      const lower = name.toLowerCase()
      if (unfit.has(name)) return undefined
      hasDate ||= lower === 'date'
      hasLength ||= lower === 'content-length'
      if (name === correlationHeader) continue
      validateHeaderName(name)
      validateHeaderValue(name, value)
      text += `${name}: ${value}\r\n`
    }
  } catch {
    return undefined // writeHead refuses it, and says why.
  }
  return hasDate && hasLength ? text : undefined
}

/**
 * The head of an answer that a parser as strict as Node's has just read: its lines as they came, and ours. Undefined where one of them is not
 * to leave as it is. Node would look at each field once more and put the lines together anew.
 */
export function headAsRead ({ status, reason, headers, read }: UpstreamResponse, { added, correlationHeader, correlationId, pseudonym }: ReplyContext): ReplyHeaders | undefined {
  if (read?.lines === undefined || read.headers !== headers || isBodiless(status)) return undefined
  const left: string[] = []
  let hasDate = false
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!
    if (noted.has(name)) {
      const lower = name.toLowerCase()
      if (lower === 'content-length') left.push(name, headers[i + 1]!)
      else if (lower === 'date') hasDate = true
      else return undefined
    } else if (name.length === correlationHeader.length && name.toLowerCase() === correlationHeader.toLowerCase()) return undefined
  }
  let text = `HTTP/1.1 ${status} ${reason}\r\n${read.lines}`
  for (let i = 0; i < added.length; i += 2) text += `${added[i]!}: ${added[i + 1]!}\r\n`
  text += `Via: ${viaWith(undefined, '1.1', pseudonym)}\r\n${correlationHeader}: ${correlationId}\r\n`
  return { text, headers: left, trailerAt: -1, hasLength: left.length > 0, hasDate }
}

/**
 * `writeHead`, where the text is there. Connection, keep-alive and framing are Node's to decide, as always: it is told a length that is in the text,
 * and the line that it makes of it is left out, so that the field stays where the service put it.
 */
export function writeHeadText (res: ServerResponse, status: number, reason: string, text: string, { headers, hasLength, hasDate }: ReplyHeaders): void {
  res.statusCode = status
  res.statusMessage = reason
  if (hasDate) res.sendDate = false
  const head = res as unknown as StoresHeader
  head._storeHeader('', headers)
  head._header = text + (hasLength ? head._header.slice(`${headers[0]}: ${headers[1]}\r\n`.length) : head._header)
}
