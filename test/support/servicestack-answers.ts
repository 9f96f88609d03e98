// How a ServiceStack host writes an answer: header order, framing and error bodies as recorded, per generation.
import { chunk, head, write, type HeaderList, type RawRequest } from './raw-server.ts'
import type { Generation, RecordedCase } from './recordings.ts'

/** What a message handler of the double answers. */
export interface Answer {
  readonly status?: number
  readonly reason?: string
  /** Headers beside the host's own; a Content-Type here replaces the format's. */
  readonly headers?: HeaderList
  /** An object is sent as JSON, pieces one chunk each. Left out: 204. */
  readonly body?: object | string | Buffer | AsyncIterable<Buffer | string>
  /** Content-Length in place of chunks. */
  readonly sized?: boolean
  readonly trailers?: HeaderList
  /** 1xx answers sent before. */
  readonly informational?: ReadonlyArray<{ status: number, reason: string, headers: HeaderList }>
  /** Closes the connection in the middle of the body. */
  readonly cut?: boolean
}

const contentTypes: Record<string, string> = {
  json: 'application/json; charset=utf-8',
  xml: 'application/xml',
  jsv: 'application/jsv',
  csv: 'text/csv',
  html: 'text/html'
}
const reasons: Record<number, string> = { 200: 'OK', 204: 'No Content', 304: 'Not Modified', 400: 'Bad Request', 404: 'Not Found', 405: 'Method Not Allowed', 500: 'Internal Server Error' }
const poweredBy: Record<Generation, string> = {
  '10.1.5': 'ServiceStack/10.15 NET10/Linux/net10/NO',
  '5.2.0': 'ServiceStack/5.00 NETStandard/Linux'
}

const closes = (request: RawRequest) => request.version === 'HTTP/1.0' || /\bclose\b/i.test(request.header('connection') ?? '')

/** An answer of Kestrel itself or of no handler: status and an empty body. */
export async function writeEmpty (request: RawRequest, status: number): Promise<void> {
  await write(request.socket, head(status, reasons[status] ?? '', [
    ['Content-Length', '0'],
    ...connectionHeader(request),
    ['Date', new Date().toUTCString()],
    ['Server', 'Kestrel']
  ]))
}

/** An error as ServiceStack writes it: `errors: []` only in the newer generation. */
export function errorAnswer (generation: Generation, status: number, errorCode: string, message: string): Answer {
  const errors = generation === '10.1.5' ? { errors: [] } : {}
  return { status, ...status === 405 || status === 400 ? {} : { reason: errorCode }, body: { responseStatus: { errorCode, message, ...errors } } }
}

/** Writes what a handler answered, in the header order of the recordings. */
export async function writeAnswer (request: RawRequest, generation: Generation, format: string, answer: Answer): Promise<void> {
  const { socket } = request
  for (const { status, reason, headers } of answer.informational ?? []) await write(socket, head(status, reason, headers))
  const own = answer.headers ?? []
  const status = answer.status ?? (answer.body === undefined ? 204 : 200)
  const bare = status === 204 || status === 304
  const streamed = isStream(answer.body)
  const data = streamed || answer.body === undefined ? undefined : toBytes(answer.body as object | string | Buffer)
  const page = data !== undefined && format === 'html' && !own.some(([name]) => name === 'Content-Type')
  const whole = page ? Buffer.from(`<!doctype html>\n<html lang="en"><body><pre>${data.toString()}</pre></body></html>`) : data
  const sized = answer.sized === true && whole !== undefined
  const type = own.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? contentTypes[format] ?? 'text/html'
  const bodyless = bare || request.method === 'HEAD'
  await write(socket, head(status, answer.reason ?? reasons[status] ?? '', [
    ...sized ? [['Content-Length', String(whole.length)] as const] : [],
    ...connectionHeader(request),
    ...bare ? [] : [['Content-Type', type] as const],
    ['Date', new Date().toUTCString()],
    ['Server', 'Kestrel'],
    ...own.filter(([name]) => name.toLowerCase() !== 'content-type'),
    ...sized || bodyless ? [] : [['Transfer-Encoding', 'chunked'] as const],
    ['Vary', 'Accept'],
    ['X-Powered-By', poweredBy[generation]]
  ]))
  if (bodyless) return
  if (answer.cut === true) {
    await write(socket, sized ? whole.subarray(0, whole.length >> 1) : chunk(whole ?? 'cut here'))
    socket.destroySoon()
    return
  }
  if (streamed) {
    for await (const piece of answer.body as AsyncIterable<Buffer | string>) {
      if (piece.length > 0 && !await write(socket, chunk(piece))) return
    }
  } else if (sized) {
    await write(socket, whole)
    return
  } else if (whole !== undefined && whole.length > 0) await write(socket, chunk(whole))
  const trailers = (answer.trailers ?? []).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  await write(socket, `0\r\n${trailers}\r\n`)
}

/** Writes a recorded answer: its bytes, with this `date`, this double's address, and no `Connection: close` on a connection that stays. */
export async function writeRecorded (request: RawRequest, recorded: RecordedCase, replace: { from: string, to: string }, date: string): Promise<void> {
  const body = recorded.body === undefined ? htmlOf(recorded.htmlBytes) : replaceAddress(recorded, replace)
  const headers = recorded.headers.flatMap<readonly [string, string]>(([name, value]) => {
    if (name === 'Date') return [[name, date]]
    if (name === 'Connection') return connectionHeader(request)
    if (name === 'Content-Length') return [[name, String(body.length)]]
    return [[name, value]]
  })
  const [, status, reason] = /^HTTP\/1\.1 (\d+) (.*)$/.exec(recorded.status)!
  await write(request.socket, head(Number(status), reason!, headers))
  await write(request.socket, body)
}

function connectionHeader (request: RawRequest): Array<readonly [string, string]> {
  return closes(request) ? [['Connection', 'close']] : []
}

function isStream (body: Answer['body']): body is AsyncIterable<Buffer | string> {
  return typeof body === 'object' && Symbol.asyncIterator in body
}

function toBytes (body: object | string | Buffer): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
}

/** A page of as many bytes on the wire as the recorded one; only its size was kept. */
function htmlOf (wireBytes: number): Buffer {
  const page = '<!doctype html>\n<html lang="en"><body>'
  const framing = `${wireBytes.toString(16)}\r\n`.length + '\r\n0\r\n\r\n'.length
  const size = wireBytes - framing
  return Buffer.concat([chunk(page + ' '.repeat(size - page.length)), Buffer.from('0\r\n\r\n')])
}

/** Puts the double's own address in place of the recorded one, chunk by chunk, so that the framing stays right. */
function replaceAddress (recorded: RecordedCase, { from, to }: { from: string, to: string }): Buffer {
  const bytes = recorded.body!
  if (from === to || !bytes.includes(from)) return bytes
  const swap = (piece: Buffer) => Buffer.from(piece.toString('latin1').replaceAll(from, to), 'latin1')
  if (!recorded.headers.some(([name]) => name === 'Transfer-Encoding')) return swap(bytes)
  const out: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    out.push(size === 0 ? Buffer.from('0\r\n\r\n') : chunk(swap(bytes.subarray(lineEnd + 2, lineEnd + 2 + size))))
    at = lineEnd + 2 + size + 2
  }
  return Buffer.concat(out)
}
