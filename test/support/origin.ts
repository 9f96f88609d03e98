// A plain origin with scripted behaviour: resets, hangs, garbage, wrong lengths, 1xx, trailers. For what a healthy host never does.
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from './ports.ts'
import { chunk, head, startRawServer, write, type HeaderList, type RawRequest, type RawServer } from './raw-server.ts'

/** What the origin does with one request. */
export type Behaviour = (request: RawRequest) => Promise<void>

export interface OriginRequest {
  readonly method: string
  readonly target: string
  readonly headers: HeaderList
  readonly connection: number
  readonly chunked: boolean
  gone: boolean
  header (name: string): string | undefined
}

export interface Origin {
  readonly url: string
  readonly port: number
  /** Requests but Postern's own questions: those are answered 404 at once, whatever the behaviour. */
  readonly received: OriginRequest[]
  /** How many connections carried them. */
  readonly connectionsUsed: number
  readonly complaints: string[]
  readonly server: RawServer
  /** In place of the behaviour given at the start. */
  behave (behaviour: Behaviour): void
  close (): Promise<void>
  [Symbol.asyncDispose] (): Promise<void>
}

/** Starts an origin. Default behaviour: `ok()`. */
export async function startOrigin (behaviour: Behaviour = ok(), options: { port?: number, host?: string, listen?: boolean } = {}): Promise<Origin> {
  const received: OriginRequest[] = []
  let current = behaviour
  const server = await startRawServer({
    ...options,
    handler: async request => {
      if (request.header('user-agent') === 'postern') return await ok('', { status: 404, reason: 'Not Found' })(request)
      const record: OriginRequest = { method: request.method, target: request.target, headers: request.headers, connection: request.connection, chunked: request.chunked, gone: false, header: request.header }
      received.push(record)
      let finished = false
      request.gone.addEventListener('abort', () => { record.gone = !finished })
      await current(request)
      finished = true
    }
  })
  const close = async () => { await server.kill() }
  return {
    get url () { return `http://${server.host}:${server.port}` },
    get port () { return server.port },
    received,
    get connectionsUsed () { return new Set(received.map(({ connection }) => connection)).size },
    complaints: server.complaints,
    server,
    behave: next => { current = next },
    close,
    [Symbol.asyncDispose]: close
  }
}

/** Status, headers and a body with Content-Length. */
export function ok (body = 'ok', options: { status?: number, reason?: string, headers?: HeaderList } = {}): Behaviour {
  return async request => {
    await request.body()
    const bytes = Buffer.from(body)
    await write(request.socket, head(options.status ?? 200, options.reason ?? 'OK', [...options.headers ?? [['Content-Type', 'text/plain']], ['Content-Length', String(bytes.length)]]))
    if (request.method !== 'HEAD') await write(request.socket, bytes)
  }
}

/** Sends the request back: method, target, headers and body, as JSON. */
export function echo (): Behaviour {
  return async request => {
    const body = await request.body()
    const text = Buffer.from(JSON.stringify({ method: request.method, target: request.target, headers: request.headers, chunked: request.chunked, trailers: request.trailers, body: body.toString('latin1') }))
    await write(request.socket, head(200, 'OK', [['Content-Type', 'application/json'], ['Content-Length', String(text.length)]]))
    if (request.method !== 'HEAD') await write(request.socket, text)
  }
}

/** Exactly these bytes, after the request was read; then the connection stays unless `close`. */
export function raw (bytes: string | Buffer, options: { close?: boolean } = {}): Behaviour {
  return async request => {
    await request.body()
    await write(request.socket, bytes)
    if (options.close === true) request.socket.destroySoon()
  }
}

/** Resets the connection: `before` the body is read, or after it was (`after`). */
export function reset (when: 'before' | 'after' = 'after'): Behaviour {
  return async request => {
    if (when === 'after') await request.body()
    request.socket.resetAndDestroy()
  }
}

/** Sends part of the head, then resets or closes. */
export function cutHead (options: { reset?: boolean } = {}): Behaviour {
  return async request => {
    await request.body()
    await write(request.socket, 'HTTP/1.1 200 OK\r\nContent-Ty')
    if (options.reset === true) request.socket.resetAndDestroy()
    else request.socket.destroySoon()
  }
}

/** Never answers; ends when the caller leaves. */
export function hang (): Behaviour {
  return async request => {
    await request.body()
    await left(request)
  }
}

/** A body that is shorter than its Content-Length, or a chunked one without its end; then the connection closes. */
export function cutBody (framing: 'length' | 'chunked' = 'length'): Behaviour {
  return async request => {
    await request.body()
    await write(request.socket, framing === 'length'
      ? `${head(200, 'OK', [['Content-Type', 'text/plain'], ['Content-Length', '100']])}half of it`
      : Buffer.concat([Buffer.from(head(200, 'OK', [['Content-Type', 'text/plain'], ['Transfer-Encoding', 'chunked']])), chunk('half of it')]))
    request.socket.destroySoon()
  }
}

/** Sends the head and part of the body, then nothing more. */
export function stall (): Behaviour {
  return async request => {
    await request.body()
    await write(request.socket, `${head(200, 'OK', [['Content-Type', 'text/plain'], ['Content-Length', '100']])}half of it`)
    await left(request)
  }
}

/** One chunk every `everyMs`, `times` times. */
export function drip (times: number, everyMs: number): Behaviour {
  return async request => {
    await request.body()
    await write(request.socket, head(200, 'OK', [['Content-Type', 'text/plain'], ['Transfer-Encoding', 'chunked']]))
    for (let n = 0; n < times; n++) {
      if (!await write(request.socket, chunk(`${n}\n`))) return
      await sleep(everyMs, undefined, { signal: request.gone }).catch(() => {}) // The caller left: the next write says so.
    }
    await write(request.socket, '0\r\n\r\n')
  }
}

/** 1xx answers, then the last one with trailers. */
export function informational (): Behaviour {
  return async request => {
    await request.body()
    await write(request.socket, head(103, 'Early Hints', [['Link', '</style.css>; rel=preload']]))
    await write(request.socket, head(200, 'OK', [['Trailer', 'X-Checksum'], ['Transfer-Encoding', 'chunked']]))
    await write(request.socket, chunk('with trailers'))
    await write(request.socket, '0\r\nX-Checksum: abc\r\n\r\n')
  }
}

/** A stream of `totalBytes`, written as fast as the reader takes it. */
export function flood (totalBytes: number, options: { onWritten?: (bytes: number) => void } = {}): Behaviour {
  return async request => {
    await request.body()
    await write(request.socket, head(200, 'OK', [['Content-Type', 'application/octet-stream'], ['Content-Length', String(totalBytes)]]))
    const piece = Buffer.alloc(65_536, 'x')
    for (let sent = 0; sent < totalBytes;) {
      const next = piece.subarray(0, Math.min(piece.length, totalBytes - sent))
      if (!await write(request.socket, next)) return
      sent += next.length
      options.onWritten?.(sent)
    }
  }
}

/** Every second request fails with a plain 500, the first among them. */
export function failingHalf (): Behaviour {
  let requests = 0
  return async request => await (requests++ % 2 === 0 ? ok('', { status: 500, reason: 'Broken' }) : ok())(request)
}

/** Well, and no connection is kept: once the origin is gone each call to it is refused, and so may be repeated. */
export function closing (): Behaviour {
  return raw('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n', { close: true })
}

/** By path: the longest key the target starts with. */
export function byPath (behaviours: Readonly<Record<string, Behaviour>>, otherwise: Behaviour = ok()): Behaviour {
  const keys = Object.keys(behaviours).sort((a, b) => b.length - a.length)
  return async request => {
    const key = keys.find(key => request.target.startsWith(key))
    await (key === undefined ? otherwise : behaviours[key]!)(request)
  }
}

/** The caller left. */
export async function left (request: RawRequest): Promise<void> {
  if (request.gone.aborted) return
  await new Promise(resolve => request.gone.addEventListener('abort', resolve, { once: true }))
}

/** A port on which nothing listens. */
export async function closedPort (): Promise<number> {
  return (await freePorts(1))[0]!
}
