// A raw HTTP/1.1 client: sends exactly these bytes, returns exactly what came. For comparing byte for byte.
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { ByteReader, EndOfBytes, readChunks, splitHeader } from './byte-reader.ts'
import type { HeaderList } from './raw-server.ts'

export interface RawResponse {
  readonly statusLine: string
  readonly status: number
  readonly reason: string
  /** In the order and letter case received. */
  readonly headers: HeaderList
  /** The body with its framing, as sent on the wire. */
  readonly rawBody: Buffer
  /** The body without framing. */
  readonly body: Buffer
  /** Sizes of its chunks; empty unless chunked. */
  readonly chunkSizes: readonly number[]
  readonly trailers: HeaderList
  readonly informational: ReadonlyArray<{ status: number, headers: HeaderList }>
  /** Whether the body came whole. `false`: cut. */
  readonly whole: boolean
  header (name: string): string | undefined
  all (name: string): string[]
  text (): string

  json (): any
}

export interface RawConnection {
  readonly socket: Socket
  readonly reader: ByteReader
  send (bytes: string | Buffer): void
  /** Reads one response. `method` of its request decides whether a body is expected. Rejects with EndOfBytes when none comes. */
  response (method?: string): Promise<RawResponse>
  /** Reads a response head only; the body is then for `reader`. */
  head (): Promise<{ statusLine: string, status: number, reason: string, headers: HeaderList }>
  close (): void
  [Symbol.dispose] (): void
}

export interface Target { readonly host: string, readonly port: number, readonly tls?: ConnectionOptions }

/** Host and port of http://host:port. */
export function targetOf (url: string): Target {
  const { hostname, port, protocol } = new URL(url)
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || (protocol === 'https:' ? 443 : 80)) }
}

/** Opens a connection. Everything on it must be done within `timeoutMs` (default 10 s), or it is destroyed. */
export async function openConnection (target: Target | string, options: { timeoutMs?: number } = {}): Promise<RawConnection> {
  const { host, port, tls } = typeof target === 'string' ? targetOf(target) : target
  const socket = tls === undefined ? connectTcp({ host, port, allowHalfOpen: true }) : connectTls({ host, port, ...tls })
  socket.setNoDelay(true)
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      socket.off('error', reject)
      resolve()
    })
  })
  const reader = new ByteReader(socket)
  const timer = setTimeout(() => socket.destroy(new Error('the test waited too long')), options.timeoutMs ?? 10_000)
  socket.on('close', () => clearTimeout(timer))
  const close = () => { socket.destroy() }
  return {
    socket,
    reader,
    send: bytes => { socket.write(bytes) },
    response: async (method = 'GET') => await readResponse(reader, method),
    head: async () => await readHead(reader),
    close,
    [Symbol.dispose]: close
  }
}

/** Sends these bytes on a connection of its own and reads one response. */
export async function sendBytes (target: Target | string, bytes: string | Buffer, options: { method?: string, timeoutMs?: number } = {}): Promise<RawResponse> {
  using connection = await openConnection(target, options)
  connection.send(bytes)
  const method = options.method ?? /^[^ ]+/.exec(bytes.toString('latin1', 0, 64))?.[0] ?? 'GET'
  return await connection.response(method)
}

export interface RequestOptions {
  readonly method?: string
  readonly headers?: ReadonlyArray<readonly [string, string]>
  readonly body?: string | Buffer
  readonly timeoutMs?: number
}

/** Bytes of a request: the headers as given, Host first and Content-Length last where left out. */
export function requestBytes (authority: string, path: string, options: RequestOptions = {}): Buffer {
  const body = options.body === undefined ? undefined : Buffer.from(options.body)
  const headers = [...options.headers ?? []]
  const has = (name: string) => headers.some(([key]) => key.toLowerCase() === name)
  if (!has('host')) headers.unshift(['Host', authority])
  if (body !== undefined && !has('content-length') && !has('transfer-encoding')) headers.push(['Content-Length', String(body.length)])
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return Buffer.concat([Buffer.from(`${options.method ?? 'GET'} ${path} HTTP/1.1\r\n${lines}\r\n`, 'latin1'), body ?? Buffer.alloc(0)])
}

/** A request on a connection of its own. */
export async function request (target: Target | string, path: string, options: RequestOptions = {}): Promise<RawResponse> {
  const to = typeof target === 'string' ? targetOf(target) : target
  const timeoutMs = options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }
  return await sendBytes(to, requestBytes(`${to.host}:${to.port}`, path, options), { method: options.method ?? 'GET', ...timeoutMs })
}

async function readHead (reader: ByteReader): Promise<{ statusLine: string, status: number, reason: string, headers: HeaderList }> {
  const [statusLine, ...lines] = (await reader.until('\r\n\r\n')).toString('latin1').slice(0, -4).split('\r\n')
  const match = /^HTTP\/1\.1 (\d{3}) (.*)$/.exec(statusLine!)
  if (match === null) throw new Error(`bad status line ${JSON.stringify(statusLine)}`)
  return { statusLine: statusLine!, status: Number(match[1]), reason: match[2]!, headers: lines.map(splitHeader) }
}

async function readResponse (reader: ByteReader, method: string): Promise<RawResponse> {
  const informational: Array<{ status: number, headers: HeaderList }> = []
  let head = await readHead(reader)
  while (head.status < 200 && head.status !== 101) {
    informational.push({ status: head.status, headers: head.headers })
    head = await readHead(reader)
  }
  const all = (name: string) => head.headers.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value)
  const header = (name: string) => all(name)[0]
  const trailers: HeaderList = []
  const pieces: Buffer[] = []
  const chunkSizes: number[] = []
  let whole = true
  let framed = false
  if (method !== 'HEAD' && head.status >= 200 && head.status !== 204 && head.status !== 304) {
    try {
      if (header('transfer-encoding')?.toLowerCase() === 'chunked') {
        framed = true
        for await (const piece of readChunks(reader, trailers)) {
          pieces.push(piece)
          chunkSizes.push(piece.length)
        }
      } else if (header('content-length') !== undefined) {
        for (let missing = Number(header('content-length')); missing > 0;) {
          const piece = await reader.some(missing)
          if (piece === undefined) throw new EndOfBytes(`${missing} bytes missing`)
          pieces.push(piece)
          missing -= piece.length
        }
      } else pieces.push(await reader.rest())
    } catch (error) {
      if (!(error instanceof EndOfBytes)) throw error
      whole = false
    }
  }
  const body = Buffer.concat(pieces)
  const rawBody = !framed
    ? body
    : Buffer.concat([
      ...pieces.flatMap(piece => [Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]),
      ...whole ? [Buffer.from(`0\r\n${trailers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`)] : []
    ])
  return {
    ...head,
    rawBody,
    body,
    chunkSizes,
    trailers,
    informational,
    whole,
    header,
    all,
    text: () => body.toString(),
    json: () => JSON.parse(body.toString())
  }
}
