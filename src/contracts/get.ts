// One bounded GET to an endpoint, or POST or PUT to an admin listener, never following redirects. I/O.
import http from 'node:http'
import https from 'node:https'
import { lookupOf } from '../lib/lookup.ts'

/** TLS of the upstream an endpoint belongs to; PEM texts, already read. */
export interface AskTls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly servername?: string
  readonly rejectUnauthorized?: boolean
}

export interface GetOptions {
  /** Limit on the whole question, connect to last byte, ms. */
  readonly timeoutMs: number
  readonly maxAnswerBytes: number
  readonly tls: AskTls | undefined
  readonly agent: http.Agent
  readonly signal: AbortSignal
  /** Somebody has taken the connection. */
  readonly onConnect?: (() => void) | undefined
  /** Sent as JSON in place of the GET. */
  readonly tell?: { readonly method: 'POST' | 'PUT', readonly body: unknown } | undefined
}

export type GetResult =
  | { readonly kind: 'answer', readonly status: number, readonly contentType: string, readonly poweredBy: string, readonly body: string }
  /** Bytes of HTTP came, but no whole answer: too long, too slow, cut. */
  | { readonly kind: 'broken', readonly reason: string }
  /**
   * Nobody there: refused, unreachable, silent. `connected`: somebody took the connection and said nothing. `listens`: and still held it when the time
   * was over.
   */
  | { readonly kind: 'silent', readonly reason: string, readonly connected: boolean, readonly listens: boolean }

const codeOf = (error: Error): string => 'code' in error && typeof error.code === 'string' ? error.code : error.message

/** `ips`: where the host name leads. Makes the agent that the questions of one ask share: they go over one connection, which is gone afterwards. */
export function createAgent (url: string, ips?: readonly string[]): http.Agent {
  const options = { keepAlive: true, maxSockets: 1, maxFreeSockets: 1, ...(ips === undefined ? {} : { lookup: lookupOf(() => ips) }) }
  return url.startsWith('https:') ? new https.Agent(options) : new http.Agent(options)
}

/** Never rejects: what went wrong is part of the result. */
export function get (url: string, options: GetOptions): Promise<GetResult> {
  return new Promise(resolve => {
    let connected = false
    let answered = false
    const body = options.tell === undefined ? undefined : JSON.stringify(options.tell.body)
    const client = url.startsWith('https:') ? https : http
    let request: http.ClientRequest
    const finish = (result: GetResult) => {
      clearTimeout(timer)
      options.signal.removeEventListener('abort', onAbort)
      resolve(result)
    }
    const fail = (reason: string, isLate = false) => {
      finish(answered ? { kind: 'broken', reason } : { kind: 'silent', reason, connected, listens: connected && isLate })
      request?.destroy()
    }
    const onAbort = () => fail('the question was given up')
    const timer = setTimeout(() => fail(`no whole answer within ${options.timeoutMs} ms`, true), options.timeoutMs)
    options.signal.addEventListener('abort', onAbort, { once: true })
    try {
      request = client.request(url, {
        method: options.tell?.method ?? 'GET',
        agent: options.agent,
        headers: { accept: 'application/json', 'user-agent': 'postern', ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }) },
        maxHeaderSize: 16_384,
        ...options.tls
      })
    } catch (error) {
      // A URL that node:http refuses; registrations are parsed before, so this is rare and told like any other failure.
      return finish({ kind: 'silent', reason: error instanceof Error ? error.message : String(error), connected, listens: false })
    }
    request.on('socket', socket => {
      const onConnect = () => {
        connected = true
        options.onConnect?.()
      }
      if (socket.connecting) socket.once('connect', onConnect)
      else onConnect()
    })
    request.on('error', error => fail(codeOf(error)))
    request.on('response', response => {
      answered = true
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > options.maxAnswerBytes) fail(`the answer is longer than ${options.maxAnswerBytes} bytes`)
        else chunks.push(chunk)
      })
      response.on('error', error => fail(codeOf(error)))
      response.on('aborted', () => fail('the answer was cut'))
      response.on('end', () => {
        if (!response.complete) return fail('the answer was cut')
        finish({
          kind: 'answer',
          status: response.statusCode ?? 0,
          contentType: response.headers['content-type'] ?? '',
          poweredBy: String(response.headers['x-powered-by'] ?? ''),
          body: Buffer.concat(chunks).toString('utf8')
        })
      })
    })
    request.end(body)
  })
}
