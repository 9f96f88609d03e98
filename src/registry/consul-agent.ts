// One Consul agent, read through the `consul` package with the bounds that package lacks: size, connect time, answers that end short.
import { EventEmitter } from 'node:events'
import { readFile } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import Consul from 'consul'
import type { ConsulConfig } from '../config/schema.ts'
import { RepeatedList } from '../lib/repeated-list.ts'
import { identityOf, placeIn } from './consul-entry.ts'

export type AgentConfig = Pick<ConsulConfig, 'token' | 'tls' | 'stale' | 'maxAnswerBytes'> & {
  /** Undefined: the agent's own. */
  readonly datacenter: string | undefined
}

/** What `GET /v1/health/service/:name` answered. */
export interface AgentAnswer {
  /** One that says what it said in the last answer on this connection is the same object. */
  readonly entries: readonly unknown[]
  /** X-Consul-Index; undefined when missing or no number. */
  readonly index: number | undefined
  /** X-Consul-KnownLeader; true when the header is missing (proxies and the embedded registry). */
  readonly knownLeader: boolean
  /** X-Consul-Results-Filtered-By-ACLs (Consul 1.11 and later): something was withheld from our token. */
  readonly filteredByAcl: boolean
}

export interface HealthQuery {
  readonly service: string
  /** 0: answer at once. Else: answer when the index is greater, or after `waitMs`. */
  readonly index: number
  readonly waitMs: number
}

/** What `GET /v1/catalog/node/:name` answered. */
export interface CatalogNode {
  /** See identityOf; undefined where there is no node of that name. */
  readonly identity: string | undefined
  /** Of what is registered on it: by id the name of the service, which may be another one by now. */
  readonly services: ReadonlyMap<string, string>
}

export interface AgentSelf {
  readonly node: string | undefined
  readonly datacenter: string | undefined
}

/** Everything that is not a complete, well-formed list is an error: refused (401, 403), failed, cut short, too large, late, no array. */
export class AgentError extends Error {
  override name = 'AgentError'
  readonly status: number | undefined
  constructor (message: string, status?: number) {
    super(message)
    this.status = status
  }
}

export interface AgentConnection {
  readonly url: string
  /** Whether the agent runs on our machine, as the latest connection's addresses tell. Undefined before the first answer. */
  readonly onOurMachine: boolean | undefined
  /**
   * The agent has closed the connection that its latest list came on, without having said that it would: it may have been restarted, and an
   * index of before says nothing any more.
   */
  readonly interrupted: boolean
  /** Throws AgentError, or the signal's reason. */
  healthOf (query: HealthQuery, signal: AbortSignal): Promise<AgentAnswer>
  /** Name and datacenter of the agent's node; undefined where the agent does not say (no agent:read). Throws only the signal's reason. */
  self (signal: AbortSignal): Promise<AgentSelf>
  /** What the catalogue has of a node; `unknown` where that may not be asked. Throws AgentError, or the signal's reason. */
  nodeOf (node: string, signal: AbortSignal): Promise<CatalogNode | 'unknown'>
  /** Whether the agent has access rules (ACLs); `unknown` where it does not know the question. Throws AgentError where it refuses our token, or the signal's reason. */
  acl (signal: AbortSignal): Promise<'on' | 'off' | 'unknown'>
  /** `GET /v1/coordinate/nodes` or `/datacenters` as it came. Throws AgentError, or the signal's reason. */
  coordinates (of: 'nodes' | 'datacenters', signal: AbortSignal): Promise<unknown>
  close (): void
}

/** Limits of their own, because the agent is near or not worth waiting for: the next one is tried. Milliseconds. */
const connectTimeoutMs = 2_000
const answerTimeoutMs = 10_000
/** Of questions beside the watch, whose answers are small. */
const quickTimeoutMs = 2_000

/** Bytes: below it remembering costs more than parsing. */
const smallList = 65_536

/** The part of `papi` (below the `consul` package) whose extension point lets every request pass through our hands. */
interface Extensible {
  _ext (event: 'onRequest', extension: (request: PapiRequest, next: () => void) => void): void
  _get (
    request: { name: string, path: string, headers: object, timeout: number, ctx: EventEmitter },
    answer: (request: { err?: Error, res?: { body: unknown } }, next: (abort: boolean, error: Error | undefined, result: unknown) => void) => void
  ): Promise<unknown>
}
interface PapiRequest { transport: Transport, readonly opts: { readonly name?: string } }
interface Transport { request (options: http.RequestOptions): http.ClientRequest }
type Context = EventEmitter & { includeResponse: boolean }

/** Opens a connection. Certificate files are read anew each time, so that renewed ones take effect. Throws when one cannot be read. */
export async function connectAgent (url: string, config: AgentConfig): Promise<AgentConnection> {
  const tls = config.tls === undefined ? {} : await tlsOptions(config.tls)
  const httpAgent = url.startsWith('https:')
    ? new https.Agent({ keepAlive: true, maxSockets: 4, ...tls })
    : new http.Agent({ keepAlive: true, maxSockets: 4 })
  let onOurMachine: boolean | undefined
  let followed: Socket | undefined
  let interrupted = false
  const follow = (response: http.IncomingMessage): void => {
    const { socket } = response
    interrupted = false
    if (socket === followed) return
    followed = socket
    const announced = response.headers.connection?.toLowerCase() === 'close'
    socket.once('close', () => { if (socket === followed && !announced) interrupted = true })
  }
  const defaults = {
    stale: config.stale,
    ...(config.token === undefined ? {} : { token: config.token }),
    ...(config.datacenter === undefined ? {} : { dc: config.datacenter })
  }
  // The list of a large catalogue comes whole whatever changed in it, and is by far the longest of what comes.
  const list = new RepeatedList(placeIn)
  const decode = (body: Buffer): unknown => body.length < smallList ? JSON.parse(body.toString()) : list.read(body)
  const options = { baseUrl: `${url.replace(/\/+$/, '')}/v1`, agent: httpAgent, defaults, decoders: { 'application/json': decode } }
  const consul = new Consul(options as ConstructorParameters<typeof Consul>[0])
  const extensible = consul as unknown as Extensible
  extensible._ext('onRequest', (request, next) => {
    request.transport = bounded(request.transport, config.maxAnswerBytes, (response) => {
      onOurMachine = isOurs(response.socket)
      // Only the socket of a list counts: others lie idle until the agent tires of them.
      if (request.opts.name === 'health.service') follow(response)
    })
    next()
  })

  /** The package has no word for some questions, only what its own words are made of. */
  const get = async (signal: AbortSignal, name: string, path: string): Promise<unknown> => {
    const [, body] = await call(signal, (ctx) => extensible._get(
      { name, path, headers: config.token === undefined ? {} : { 'x-consul-token': config.token }, timeout: answerTimeoutMs, ctx },
      ({ err, res }, next) => next(false, err, [res, res?.body])))
    return body
  }

  return {
    url,
    get onOurMachine () { return onOurMachine },
    get interrupted () { return interrupted },
    async healthOf ({ service, index, waitMs }, signal) {
      const blocking = index > 0
      // Consul adds up to a sixteenth of the wait; the rest is for the answer itself.
      const timeout = blocking ? waitMs + Math.ceil(waitMs / 16) + answerTimeoutMs / 4 : answerTimeoutMs
      const [response, body] = await call(signal, (ctx) => consul.health.service(
        { service, timeout, ctx, ...(blocking ? { index: String(index), wait: `${waitMs}ms` } : {}) } as never))
      if (!Array.isArray(body)) throw new AgentError('the answer is no list')
      return {
        entries: body,
        index: indexOf(response.headers['x-consul-index']),
        knownLeader: response.headers['x-consul-knownleader'] !== 'false',
        filteredByAcl: response.headers['x-consul-results-filtered-by-acls'] === 'true'
      }
    },
    async self (signal) {
      try {
        const [, body] = await call(signal, (ctx) => consul.agent.self({ timeout: quickTimeoutMs, ctx } as never))
        const { NodeName: node, Datacenter: datacenter } = (body as { Config?: { NodeName?: unknown, Datacenter?: unknown } } | undefined)?.Config ?? {}
        return { node: typeof node === 'string' ? node : undefined, datacenter: typeof datacenter === 'string' ? datacenter : undefined }
      } catch (error) {
        signal.throwIfAborted()
        // Not to know is an answer: registrations on loopback are then judged by their node's address.
        if (error instanceof AgentError) return { node: undefined, datacenter: undefined }
        throw error
      }
    },
    async nodeOf (node, signal) {
      try {
        const [, body] = await call(signal, (ctx) => consul.catalog.node.services({ node, timeout: quickTimeoutMs, ctx } as never))
        // Consul's word for one that is not there.
        if (body === null) return { identity: undefined, services: new Map() }
        const { Node, Services } = body as { Node?: Record<string, unknown>, Services?: Record<string, { Service?: unknown } | null> | null }
        return typeof Node === 'object' && typeof Services === 'object' ? { identity: identityOf(Node), services: new Map(Object.entries(Services ?? {}).map(([id, one]) => [id, String(one?.Service)])) } : 'unknown'
      } catch (error) {
        const { status = 0 } = error instanceof AgentError ? error : {}
        if (status >= 400 && status < 500) return 'unknown'
        throw error
      }
    },
    async acl (signal) {
      try {
        await get(signal, 'acl.token.self', '/acl/token/self')
        return 'on'
      } catch (error) {
        const { status = 0 } = error instanceof AgentError ? error : {}
        if (status === 401) return 'off'
        // Nobody's token is not found [M], and is no refusal of what we are.
        if (status === 403 && config.token === undefined) return 'on'
        if (status >= 400 && status < 500 && status !== 403) return 'unknown'
        throw error
      }
    },
    coordinates: (of, signal) => get(signal, `coordinate.${of}`, `/coordinate/${of}`),
    close () { httpAgent.destroy() }
  }
}

/** Runs one call of the package so that it ends when the signal does, and its errors say what happened. */
async function call (signal: AbortSignal, start: (ctx: Context) => Promise<unknown>): Promise<[http.IncomingMessage, unknown]> {
  signal.throwIfAborted()
  const ctx = Object.assign(new EventEmitter(), { includeResponse: true })
  const cancel = (): void => { ctx.emit('cancel') }
  signal.addEventListener('abort', cancel, { once: true })
  try {
    return await start(ctx) as [http.IncomingMessage, unknown]
  } catch (error) {
    signal.throwIfAborted()
    throw asAgentError(error as PackageError)
  } finally {
    signal.removeEventListener('abort', cancel)
  }
}

/** The package's errors: `isResponse` for a status other than 2xx, `isCodec` for a body that cannot be parsed, else of the connection. */
interface PackageError extends Error {
  readonly isResponse?: boolean
  readonly isCodec?: boolean
  readonly response?: { readonly statusCode?: number, readonly body?: unknown }
}

function asAgentError (error: PackageError): AgentError {
  const status = error.response?.statusCode
  if (error.isCodec === true) return new AgentError('the answer is no valid JSON', status)
  if (error.isResponse !== true || status === undefined) return new AgentError(error.message.replace(/^consul: [a-z.]+: /, ''))
  const said = error.response?.body
  const words = typeof said === 'string' ? said : Buffer.isBuffer(said) ? said.toString('utf8', 0, 200) : ''
  return new AgentError(`HTTP ${status}${words.trim() === '' ? '' : `: ${words.trim().slice(0, 200)}`}`, status)
}

/**
 * A transport that fails where the package would wait or gather for ever: it has no limit on size or connect time, and never notices
 * that an answer ended short (it listens for `end` only). An `error` event on the request is how it is told.
 */
function bounded (transport: Transport, maxBytes: number, onResponse: (response: http.IncomingMessage) => void): Transport {
  return {
    request (options) {
      const host = options.hostname ?? ''
      const request = transport.request({ ...options, hostname: host?.startsWith('[') ? host.slice(1, -1) : host })
      const fail = (message: string): void => {
        request.emit('error', new Error(message))
        request.destroy()
      }
      request.once('socket', (socket) => {
        if (!socket.connecting) return
        const timer = setTimeout(() => fail(`no connection within ${connectTimeoutMs} ms`), connectTimeoutMs)
        const stop = (): void => {
          clearTimeout(timer)
          // A listener that stayed would keep this request's whole answer for as long as the connection lives.
          socket.off('connect', stop).off('close', stop)
        }
        socket.on('connect', stop).on('close', stop)
      })
      request.once('response', (response) => {
        onResponse(response)
        let received = 0
        const tooLarge = (): void => fail(`the answer is larger than ${maxBytes} bytes`)
        if (Number(response.headers['content-length'] ?? 0) > maxBytes) {
          tooLarge()
          return
        }
        response.on('data', (chunk: Buffer) => {
          received += chunk.length
          if (received > maxBytes) tooLarge()
        })
        response.once('close', () => { if (!response.complete) fail('the answer ended before it was whole') })
      })
      return request
    }
  }
}

/** A connection whose ends have one address stays on the machine. */
function isOurs ({ remoteAddress, localAddress }: Socket): boolean {
  return remoteAddress !== undefined && (remoteAddress === localAddress || /^(::ffff:)?127\.|^::1$/.test(remoteAddress))
}

function indexOf (header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^[0-9]{1,15}$/.test(header) ? Number(header) : undefined
}

async function tlsOptions (tls: NonNullable<AgentConfig['tls']>): Promise<https.AgentOptions> {
  const options: https.AgentOptions = {}
  if (tls.caFile !== undefined) options.ca = await readFile(tls.caFile)
  if (tls.certFile !== undefined) options.cert = await readFile(tls.certFile)
  if (tls.keyFile !== undefined) options.key = await readFile(tls.keyFile)
  if (tls.serverName !== undefined) options.servername = tls.serverName
  return options
}
