// A small service of the ServiceStack kind: answers messages by name, says who it is and what it has, registers as the discovery plugin does.
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { formats, type Dto } from './formats.ts'

/** What is wrong with a message: sent as its responseStatus, the code as reason phrase too. */
export class MessageError extends Error {
  readonly status: number
  readonly code: string
  readonly field: string | undefined

  constructor (status: number, code: string, message: string, field?: string) {
    super(message)
    this.status = status
    this.code = code
    this.field = field
  }
}

export interface Message {
  /** Upper-case verbs, or ANY. */
  readonly actions: readonly string[]
  /** Callers from outside are not meant: a gateway hides it. */
  readonly internal?: true
  readonly answer: (dto: Dto, instance: string) => unknown
}

export interface HostOptions {
  readonly service: string
  /** How an answer names this instance. */
  readonly instance: string
  readonly messages: Readonly<Record<string, Message>>
  /** Consul's HTTP API, or a registry that speaks it. */
  readonly registry: string
  /** 0 or left out picks a free one. */
  readonly port?: number
}

export interface Host {
  readonly url: string
  /** Deregisters, then stops. */
  close (): Promise<void>
}

const maxBodyBytes = 1_048_576

/** Listens, then registers; settles when both are done. */
export async function startHost (options: HostOptions): Promise<Host> {
  const id = `ss-${options.service}-${randomUUID()}`
  const tags = ['ss-version-1.0', ...Object.keys(options.messages)]
  const own = { id, tags, address: '' }
  const server = createServer((request, response) => {
    answer(request, options, own).catch((error: unknown) => toFailure(error)).then(result => write(response, result), () => response.destroy())
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  own.address = `http://127.0.0.1:${port}/`
  const close = async () => {
    await new Promise<void>(resolve => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  }
  try {
    await put(options.registry, '/v1/agent/service/register', { ID: id, Name: 'api', Tags: tags, Address: own.address, Port: port })
    await put(options.registry, '/v1/agent/check/register', { ID: `${id}:SS-Heartbeat`, Name: 'SS-Heartbeat', ServiceID: id, HTTP: `${own.address}json/reply/Heartbeat`, Interval: '30s', DeregisterCriticalServiceAfter: '90m' })
  } catch (error) {
    await close()
    throw error
  }
  return {
    url: own.address,
    async close () {
      // The registry may be gone already: then there is nothing to take back.
      await put(options.registry, `/v1/agent/service/deregister/${id}`, undefined).catch(() => undefined)
      await close()
    }
  }
}

async function put (registry: string, path: string, body: object | undefined): Promise<void> {
  const response = await fetch(registry + path, { method: 'PUT', ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }), signal: AbortSignal.timeout(5_000) })
  await response.arrayBuffer()
  if (response.status !== 200) throw new Error(`PUT ${registry}${path} answered ${response.status}`)
}

interface Result {
  readonly status: number
  readonly reason: string
  readonly contentType: string
  readonly body: string
}

const own = (value: object): Result => ({ status: 200, reason: 'OK', contentType: 'application/json; charset=utf-8', body: JSON.stringify(value) })

async function answer (request: IncomingMessage, options: HostOptions, self: { id: string, tags: readonly string[], address: string }): Promise<Result> {
  const url = new URL(request.url ?? '/', 'http://host')
  if (url.pathname === '/operations/metadata') return own(toOperations(options))
  const [, formatName = '', name = ''] = /^\/([\w-]+)\/(?:reply|oneway)\/(\w+)\/?$/i.exec(url.pathname) ?? []
  const lower = formatName.toLowerCase()
  const format = Object.hasOwn(formats, lower) ? formats[lower] : undefined
  if (format === undefined) return { status: 404, reason: 'Not Found', contentType: 'text/plain', body: '' }
  switch (name.toLowerCase()) {
    case 'heartbeat': return own({ url: self.address })
    case 'serviceregistration': return own({ name: 'api', ...self })
  }
  const [listed, message] = Object.entries(options.messages).find(([key]) => key.toLowerCase() === name.toLowerCase()) ?? []
  try {
    const verb = request.method ?? 'GET'
    if (message === undefined || listed === undefined) throw new MessageError(405, 'NotImplementedException', `The operation '${name}' does not exist for this service`)
    if (!message.actions.includes(verb) && !message.actions.includes('ANY')) throw new MessageError(405, 'NotImplementedException', `${verb} is not implemented by ${listed}`)
    const body = await readBody(request)
    const dto = { ...Object.fromEntries(url.searchParams), ...body === '' ? {} : format.read(body) }
    return { status: 200, reason: 'OK', contentType: format.contentType, body: format.write(`${listed}Response`, message.answer(dto, options.instance)) }
  } catch (error) {
    const failure = error instanceof MessageError ? error : new MessageError(400, 'SerializationException', 'The message could not be read.')
    const errors = failure.field === undefined ? [] : [{ errorCode: failure.code, fieldName: failure.field, message: failure.message }]
    return {
      status: failure.status,
      reason: failure.code,
      contentType: format.contentType,
      body: format.write('ErrorResponse', { responseStatus: { errorCode: failure.code, message: failure.message, errors } })
    }
  }
}

function toOperations ({ messages, service }: HostOptions): object[] {
  return Object.entries(messages).map(([name, { actions, internal }]) => ({
    name,
    responseName: `${name}Response`,
    serviceName: `${service}Services`,
    ...internal === true ? { restrictTo: ['AnySecurityMode, AnyHttpMethod, InternalNetworkAccess'] } : {},
    actions,
    routes: [],
    tags: []
  }))
}

async function readBody (request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxBodyBytes) throw new MessageError(413, 'RequestTooLarge', 'The message is too long.')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function toFailure (error: unknown): Result {
  return { status: 500, reason: 'InternalError', contentType: 'application/json; charset=utf-8', body: JSON.stringify({ responseStatus: { errorCode: 'InternalError', message: error instanceof Error ? error.message : String(error) } }) }
}

function write (response: ServerResponse, { status, reason, contentType, body }: Result): void {
  response.writeHead(status, reason, { 'content-type': contentType, 'content-length': Buffer.byteLength(body), vary: 'Accept' }).end(body)
}
