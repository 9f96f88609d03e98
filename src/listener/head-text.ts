// The head of an answer that many clients get in a row, as text: checked and put together once, in place of once a client.
import { ServerResponse, validateHeaderName, validateHeaderValue } from 'node:http'

/** What `writeHead` itself calls with its status line: no part of Node's documentation, so it may be missing one day. */
interface StoresHeader { _storeHeader? (firstLines: string, headers: readonly string[]): void }
export const takesText = typeof (ServerResponse.prototype as StoresHeader)._storeHeader === 'function'

/** Fields by which Node decides how it frames an answer, or that name what differs from client to client. */
const unfit: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding', 'trailer', 'upgrade', 'expect', 'location', 'content-location'])

/** Without Content-Length and the client's own correlation id; undefined where it cannot be the same text for everybody. */
export function headText (status: number, reason: string, headers: readonly string[], correlationHeader: string): string | undefined {
  let text = `HTTP/1.1 ${status} ${reason}\r\n`
  let hasDate = false
  try {
    validateHeaderValue('reason', reason)
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i]!
      const value = headers[i + 1]!
      const lower = name.toLowerCase()
      if (unfit.has(lower)) return undefined
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

/** `writeHead`, where the text is there. Connection, keep-alive and framing are Node's to decide, as always. */
export function writeHeadText (res: ServerResponse, status: number, reason: string, text: string, headers: readonly string[]): void {
  res.statusCode = status
  res.statusMessage = reason
  // Date is in the text.
  res.sendDate = false
  ;(res as StoresHeader)._storeHeader!(text, headers)
}
