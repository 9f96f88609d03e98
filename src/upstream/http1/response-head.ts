// A scanned response head -> status, reason, end-to-end headers in the service's order and letter case, and how its body is delimited. Pure.
import { without } from '../../exchange/headers.ts'
import { latin1 } from '../../lib/latin1.ts'
import { mayTrail, namedForHop } from '../answer-fields.ts'
import type { HeadScanner } from './head-scanner.ts'
import { ProtocolError } from './errors.ts'

/** How a body ends (RFC 9112 section 6.3). */
export type Framing = 'none' | 'length' | 'chunked' | 'close'

export interface ResponseHead {
  readonly status: number
  /** Bytes as they came, one character each. */
  readonly reason: string
  /** End-to-end. Flat list. */
  readonly headers: string[]
  /** The same as lines, as they came; undefined where some of them are left out because Connection names them. */
  readonly lines: string | undefined
  readonly framing: Framing
  /** Of the body to come; 0 unless `framing` is length. */
  readonly length: number
  /** Whether the connection may carry another exchange. */
  readonly keepAlive: boolean
  /** How long the endpoint says that it keeps the connection, ms; undefined = it does not say. */
  readonly keepAliveMs: number | undefined
}

const closes = /(?:^|,)[\t ]*close[\t ]*(?:,|$)/i
const keeps = /(?:^|,)[\t ]*keep-alive[\t ]*(?:,|$)/i
const keepAliveTimeout = /(?:^|[,\t ])timeout[\t ]*=[\t ]*"?(\d{1,6})/i
/** Beyond it a number is not exact any more. */
const lengthShape = /^\d{1,15}$/

/** Fields of this hop only (RFC 9110 section 7.6.1) whose contents do not matter, by the length of their names. HTTP2-Settings is as long as Content-Length. */
const droppedByLength: ReadonlyArray<string | undefined> = (() => {
  const byLength: string[] = []
  for (const name of ['te', 'upgrade', 'proxy-connection', 'proxy-authenticate']) byLength[name.length] = name
  return byLength
})()

const emptyLine = 2

/** What the fields say of the connection and of the body's end. */
class Delimiters {
  length = -1
  chunked = false
  connection: string | undefined
  keepAlive: string | undefined

  /**
   * Whether the field stays on this hop. Names are looked at by their length first: most are passed over by one comparison of numbers.
   * @throws ProtocolError for what leaves two opinions on where a body ends: two lengths, any coding but chunked
   */
  take (name: string, value: string): boolean {
    switch (name.length) {
      case 10: return this.#connection(name.toLowerCase(), value)
      case 14:
        if (name.toLowerCase() !== 'content-length') return name.toLowerCase() === 'http2-settings'
        if (this.length !== -1) throw new ProtocolError('more than one Content-Length')
        if (!lengthShape.test(value)) throw new ProtocolError('malformed Content-Length')
        this.length = Number(value)
        return false
      case 17:
        if (name.toLowerCase() !== 'transfer-encoding') return false
        if (this.chunked || value.toLowerCase() !== 'chunked') throw new ProtocolError('a Transfer-Encoding other than chunked')
        this.chunked = true
        return true
    }
    const dropped = droppedByLength[name.length]
    return dropped !== undefined && name.toLowerCase() === dropped
  }

  #connection (lower: string, value: string): boolean {
    if (lower === 'keep-alive') this.keepAlive = value
    else if (lower !== 'connection') return false
    else this.connection = this.connection === undefined ? value : `${this.connection},${value}`
    return true
  }
}

/**
 * `headOnly`: the answer to a HEAD request.
 * @throws ProtocolError
 */
export function readHead (scanner: HeadScanner, bytes: Buffer, from: number, end: number, headOnly: boolean): ResponseHead {
  const text = latin1(bytes, from, end)
  const { marks, fields, status, minor } = scanner
  const headers: string[] = []
  const delimiters = new Delimiters()
  // Fields that stay next to each other stay one piece of text.
  let lines = ''
  let linesAt = -1
  for (let i = 0, mark = 0; i < fields; i++, mark += 4) {
    const name = text.slice(marks[mark]!, marks[mark + 1]!)
    const value = text.slice(marks[mark + 2]!, marks[mark + 3]!)
    if (!delimiters.take(name, value)) {
      headers.push(name, value)
      if (linesAt === -1) linesAt = marks[mark]!
    } else if (linesAt !== -1) {
      lines += text.slice(linesAt, marks[mark]!)
      linesAt = -1
    }
  }
  if (linesAt !== -1) lines += text.slice(linesAt, text.length - emptyLine)
  const { length, chunked, connection, keepAlive } = delimiters
  if (chunked && length !== -1) throw new ProtocolError('both Content-Length and Transfer-Encoding')
  const bodiless = headOnly || status < 200 || status === 204 || status === 304
  const framing = bodiless ? 'none' : chunked ? 'chunked' : length === -1 ? 'close' : length === 0 ? 'none' : 'length'
  // Of a 204 or 304 that announces a body: it might follow all the same, and be taken for the next answer.
  const unclear = bodiless && !headOnly && (chunked || length > 0)
  const named = connection === undefined ? undefined : namedForHop(connection)
  return {
    status,
    reason: text.slice(scanner.reasonAt, scanner.reasonEnd),
    headers: named === undefined ? headers : without(headers, named),
    lines: named === undefined ? lines : undefined,
    framing,
    length: framing === 'length' ? length : 0,
    keepAlive: framing !== 'close' && !unclear && staysOpen(minor, connection, chunked),
    keepAliveMs: keepAlive === undefined ? undefined : timeoutOf(keepAlive)
  }
}

/** RFC 9112 section 9.3. A chunked HTTP/1.0 answer counts as badly framed (section 6.1). */
function staysOpen (minor: number, connection: string | undefined, chunked: boolean): boolean {
  if (connection === undefined) return minor === 1
  if (connection === 'keep-alive') return minor === 1 || !chunked
  if (closes.test(connection)) return false
  return minor === 1 || (!chunked && keeps.test(connection))
}

function timeoutOf (keepAlive: string): number | undefined {
  const seconds = keepAliveTimeout.exec(keepAlive)?.[1]
  return seconds === undefined ? undefined : Number(seconds) * 1_000
}

/** Flat list of those that may stand there. */
export function readTrailers (scanner: HeadScanner, bytes: Buffer, from: number, end: number): string[] {
  const text = latin1(bytes, from, end)
  const { marks, fields } = scanner
  const trailers: string[] = []
  for (let i = 0, mark = 0; i < fields; i++, mark += 4) {
    const name = text.slice(marks[mark]!, marks[mark + 1]!)
    if (mayTrail(name.toLowerCase())) trailers.push(name, text.slice(marks[mark + 2]!, marks[mark + 3]!))
  }
  return trailers
}
