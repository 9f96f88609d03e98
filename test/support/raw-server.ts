// An HTTP/1.1 server on bare sockets, for doubles: requests are read strictly, answers are whatever bytes the handler writes.
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { ByteReader, EndOfBytes, readChunks, splitHeader } from './byte-reader.ts'
import { freePorts } from './ports.ts'

export type HeaderList = Array<[name: string, value: string]>

export interface RawRequest {
  readonly method: string
  readonly target: string
  readonly version: string
  /** In the order and letter case received. */
  readonly headers: HeaderList
  readonly trailers: HeaderList
  /** Which connection of this server, counted from 1. */
  readonly connection: number
  readonly chunked: boolean
  readonly socket: Socket
  /** Aborted when the client went away before `done`. */
  readonly gone: AbortSignal
  /** First value of a header. */
  header (name: string): string | undefined
  /** The body piece by piece, chunked framing removed. */
  pieces (): AsyncGenerator<Buffer>
  /** The whole body; the same bytes when asked again. */
  body (): Promise<Buffer>
}

/** Writes the answer to `request.socket`. The connection goes on with the next request if both sides keep it. */
export type RawHandler = (request: RawRequest) => Promise<void>

export interface RawServer {
  readonly port: number
  readonly host: string
  readonly connections: ReadonlySet<Socket>
  /** Connections accepted so far. */
  readonly accepted: number
  /** What went wrong while reading requests: the test should find none. */
  readonly complaints: string[]
  /** Stops listening and cuts every connection: what a killed process looks like. */
  kill (): Promise<void>
  /** Listens again on the same port. */
  listen (): Promise<void>
}

export interface RawServerOptions {
  readonly handler: RawHandler
  readonly host?: string
  readonly port?: number
  readonly tls?: TlsOptions
  /** Called for every new connection before anything is read; return false to take it over. */
  readonly onConnection?: (socket: Socket) => boolean
  /** Do not listen yet. */
  readonly listen?: boolean
}

/** Starts the server. With `listen: false` the port is picked, but nothing listens there until `listen()`. */
export async function startRawServer (options: RawServerOptions): Promise<RawServer> {
  const host = options.host ?? '127.0.0.1'
  const connections = new Set<Socket>()
  const complaints: string[] = []
  const loops = new Set<Promise<void>>()
  /** The sockets below TLS. */
  const beneath = new Set<Socket>()
  let accepted = 0
  let port = options.port ?? 0
  let server: Server | undefined

  const onConnection = (socket: Socket) => {
    accepted++
    const connection = accepted
    connections.add(socket)
    socket.on('close', () => connections.delete(socket))
    socket.setNoDelay(true)
    if (options.onConnection?.(socket) === false) return
    const loop: Promise<void> = serve(socket, connection, options.handler)
      .catch((error: unknown) => {
        if (!(error instanceof EndOfBytes)) complaints.push(String(error))
        socket.destroy()
      })
      .finally(() => loops.delete(loop))
    loops.add(loop)
  }

  const listen = async (): Promise<void> => {
    // Half-open, so that a client's FIN does not end the answer under way.
    const made = options.tls === undefined
      ? createServer({ allowHalfOpen: true }, onConnection)
      : createTlsServer({ ...options.tls, allowHalfOpen: true }, onConnection)
    server = made
    // A connection whose handshake fails never gets as far as onConnection.
    if (options.tls !== undefined) {
      made.on('connection', (socket: Socket) => {
        beneath.add(socket)
        socket.on('close', () => beneath.delete(socket))
      })
    }
    await new Promise<void>((resolve, reject) => {
      made.once('error', reject)
      made.listen(port, host, resolve)
    })
    port = (made.address() as { port: number }).port
  }
  const kill = async (): Promise<void> => {
    const closing = server
    server = undefined
    const closed = closing === undefined ? undefined : new Promise(resolve => closing.close(resolve))
    for (const socket of [...connections, ...beneath]) socket.destroy()
    await closed
    await Promise.all(loops)
  }

  if (options.listen !== false) await listen()
  else if (port === 0) [port] = await freePorts(1) as [number]
  return {
    get port () { return port },
    host,
    connections,
    get accepted () { return accepted },
    complaints,
    kill,
    listen
  }
}

async function serve (socket: Socket, connection: number, handler: RawHandler): Promise<void> {
  const reader = new ByteReader(socket)
  for (;;) {
    const request = await readHead(socket, reader, connection)
    if (request === undefined) break
    await handler(request)
    if (socket.destroyed || !socket.writable) break
    await request.body() // What the handler left unread is not the next request.
    if (request.version === 'HTTP/1.0' || /\bclose\b/i.test(request.header('connection') ?? '')) break
  }
  if (!socket.destroyed) socket.end()
}

async function readHead (socket: Socket, reader: ByteReader, connection: number): Promise<RawRequest | undefined> {
  let head: string
  try {
    head = (await reader.until('\r\n\r\n')).toString('latin1')
  } catch (error) {
    if (error instanceof EndOfBytes && !reader.pending) return undefined
    throw error
  }
  const [requestLine, ...lines] = head.slice(0, -4).split('\r\n')
  const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) (\S+) (HTTP\/1\.[01])$/.exec(requestLine!)
  if (match === null) throw new Error(`bad request line ${JSON.stringify(requestLine)}`)
  const headers = lines.map(splitHeader)
  const all = (name: string) => headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value)
  const header = (name: string) => all(name.toLowerCase())[0]
  const chunked = header('transfer-encoding')?.toLowerCase() === 'chunked'
  const lengths = all('content-length')
  if (chunked && lengths.length > 0) throw new Error('both Content-Length and Transfer-Encoding')
  if (lengths.length > 1 || (lengths[0] !== undefined && !/^\d+$/.test(lengths[0]))) throw new Error(`bad Content-Length ${lengths.join()}`)
  const length = Number(lengths[0] ?? 0)
  const trailers: HeaderList = []

  let state: 'unread' | 'reading' | 'read' = 'unread'
  async function * pieces (): AsyncGenerator<Buffer> {
    if (state !== 'unread') return
    state = 'reading'
    if (!reader.pending && (length > 0 || chunked) && /100-continue/i.test(header('expect') ?? '')) socket.write('HTTP/1.1 100 Continue\r\n\r\n')
    if (chunked) yield * readChunks(reader, trailers)
    else {
      for (let missing = length; missing > 0;) {
        const piece = await reader.some(missing)
        if (piece === undefined) throw new EndOfBytes(`${missing} of ${length} body bytes missing`)
        missing -= piece.length
        yield piece
      }
    }
    state = 'read'
  }
  let body: Promise<Buffer> | undefined
  return {
    method: match[1]!,
    target: match[2]!,
    version: match[3]!,
    headers,
    trailers,
    connection,
    chunked,
    socket,
    gone: reader.gone,
    header,
    pieces,
    body: () => {
      body ??= (async () => Buffer.concat(await Array.fromAsync(pieces())))()
      return body
    }
  }
}

/** Bytes of an answer's head. */
export function head (status: number, reason: string, headers: Iterable<readonly [string, string]>): string {
  let text = `HTTP/1.1 ${status} ${reason}\r\n`
  for (const [name, value] of headers) text += `${name}: ${value}\r\n`
  return `${text}\r\n`
}

/** One chunk of a chunked body; of no bytes: its end. */
export function chunk (bytes: Buffer | string): Buffer {
  const data = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
  return Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from('\r\n')])
}

/** Writes, and waits while the other side does not read. False when it has gone. */
export async function write (socket: Socket, bytes: Buffer | string): Promise<boolean> {
  if (socket.destroyed || !socket.writable) return false
  if (socket.write(bytes)) return true
  return await new Promise<boolean>(resolve => {
    const done = () => {
      socket.off('drain', done)
      socket.off('close', done)
      resolve(!socket.destroyed)
    }
    socket.on('drain', done)
    socket.on('close', done)
  })
}
