// A double of a real ServiceStack host of either generation: recorded requests get the recorded bytes, others what such a host does.
import { randomUUID } from 'node:crypto'
import type { TlsOptions } from 'node:tls'
import { startRawServer, type HeaderList, type RawRequest, type RawServer } from './raw-server.ts'
import { recordedAddress, recordedOperations, type Generation, type Operation, type RecordedCase } from './recordings.ts'
import { findCase, pause, replayCases } from './servicestack-replay.ts'
import { formats, matchesRoute, readPath } from './servicestack-paths.ts'
import { errorAnswer, writeAnswer, writeEmpty, writeRecorded, type Answer } from './servicestack-answers.ts'
import { bind, effectiveVerb, queryOf, type Bound } from './servicestack-binding.ts'
import { recordedMessages, toOperation, type MessageDefinition, type MessageHandler } from './servicestack-messages.ts'

export type { Answer } from './servicestack-answers.ts'
export type { Call, MessageHandler } from './servicestack-messages.ts'
export type { Generation } from './recordings.ts'

export interface Received {
  readonly method: string
  readonly target: string
  readonly headers: HeaderList
  readonly chunked: boolean
  readonly connection: number
  body: Buffer
  /** The message that was executed for it, if any. */
  executed: string | undefined
  /** The caller went away before the answer was written. */
  gone: boolean
  header (name: string): string | undefined
}

export interface HostOptions {
  readonly generation?: Generation
  /** `Catalog` and `Orders` have the recorded messages and answers; any other name has only `messages`. Default `Catalog`. */
  readonly service?: string
  readonly host?: string
  readonly port?: number
  /** '' or '/sub/api'. */
  readonly basePath?: string
  /** More messages, or others in place of recorded ones. A bare handler takes any verb. */
  readonly messages?: Readonly<Record<string, MessageHandler | (Partial<MessageDefinition> & { handler: MessageHandler })>>
  /** Whether recorded bytes are used where a request matches a recorded case. Default true. */
  readonly replay?: boolean
  /** The Date of recorded answers. Default: the time of day. */
  readonly recordedDate?: string
  /** The address in recorded bodies. Default: this double's own. */
  readonly address?: string
  readonly version?: string
  /** Tags beside the messages'. */
  readonly customTags?: readonly string[]
  /** Own id; default ss-{service}-{guid}, new at every start. */
  readonly id?: string
  /** What /operations/metadata answers: the list, or a status (404, 401, 503), or an HTML page. Default `list`. */
  readonly publishes?: 'list' | 'html' | number
  readonly tls?: TlsOptions
  /** false: the port is picked, nothing listens there until listen(). */
  readonly listen?: boolean
}

export interface ServiceStackHost {
  /** As the plugin registers it: base URL with a trailing slash where there is no base path. */
  readonly address: string
  /** Without the trailing slash: the endpoint's key in Postern. */
  readonly url: string
  readonly port: number
  readonly service: string
  readonly generation: Generation
  /** Id of the running process: another one after restart(). */
  readonly id: string
  readonly tags: readonly string[]
  readonly operations: readonly Operation[]
  /** Every request, in order. */
  readonly received: Received[]
  /** Requests that were not Postern's or Consul's own questions. */
  readonly calls: Received[]
  /** Names of executed messages, in order; once per batch item. */
  readonly executed: string[]
  /** Requests the double could not read. */
  readonly complaints: string[]
  readonly server: RawServer
  publishes: 'list' | 'html' | number
  /** Makes the heartbeat and health check fail with this status. */
  failing: number | undefined
  /** Makes only the health check fail with this status; the heartbeat is fine. */
  unhealthy: number | undefined
  listen (): Promise<void>
  /** Cut off: as kill -9. */
  kill (): Promise<void>
  /** A new process on the same port: new id. */
  restart (): Promise<void>
  close (): Promise<void>
  [Symbol.asyncDispose] (): Promise<void>
}

const ownQuestions = /^(\/operations\/metadata|\/types\/metadata\.json|\/json\/reply\/(ServiceRegistration|Heartbeat|HealthCheck))\b/i

/** Starts the double. */
export async function startServiceStackHost (options: HostOptions = {}): Promise<ServiceStackHost> {
  const generation = options.generation ?? '10.1.5'
  const service = options.service ?? 'Catalog'
  const basePath = options.basePath ?? ''
  const messages = new Map<string, MessageDefinition & { name: string }>()
  for (const [name, definition] of Object.entries(recordedMessages(service))) messages.set(name.toLowerCase(), { name, ...definition })
  for (const [name, given] of Object.entries(options.messages ?? {})) {
    const definition = typeof given === 'function' ? { handler: given } : given
    messages.set(name.toLowerCase(), { name, actions: ['ANY'], serviceName: `${service}Services`, ...definition })
  }
  const recordedService = service === 'Catalog' || service === 'Orders' ? service : undefined
  const cases = options.replay === false || recordedService === undefined
    ? new Map<string, RecordedCase>()
    : replayCases(generation, recordedService === 'Catalog' ? 'catalog' : 'orders', Object.keys(options.messages ?? {}))
  const recordedFrom = recordedAddress[service === 'Orders' ? 'orders' : 'catalog'][generation]
  const builtIn = recordedOperations('Catalog', generation).filter(operation => operation.serviceName !== 'CatalogServices')
  const operations = [...builtIn, ...Array.from(messages.values(), definition => toOperation(definition.name, definition))]
    .sort((a, b) => a.name < b.name ? -1 : 1)
    .map(operation => generation === '10.1.5' ? operation : withoutTags(operation))
  const newId = () => options.id ?? `ss-${service}-${randomUUID()}`

  const received: Received[] = []
  const executed: string[] = []
  const state = { id: newId(), publishes: options.publishes ?? 'list' as const, failing: undefined as number | undefined, unhealthy: undefined as number | undefined }
  const tags = [
    `ss-version-${options.version ?? '1.0'}`,
    ...Array.from(messages.values(), definition => definition.name),
    ...options.customTags ?? (recordedService === undefined ? [] : [`team-${service.toLowerCase()}`])
  ]
  const address = () => `${options.tls === undefined ? 'http' : 'https'}://${server.host.includes(':') ? `[${server.host}]` : server.host}:${server.port}${basePath === '' ? '/' : basePath}`

  const handler = async (request: RawRequest): Promise<void> => {
    const record: Received = { method: request.method, target: request.target, headers: request.headers, chunked: request.chunked, connection: request.connection, body: Buffer.alloc(0), executed: undefined, gone: false, header: request.header }
    received.push(record)
    let answered = false
    request.gone.addEventListener('abort', () => { record.gone = !answered })
    try {
      await answer(request, record)
    } finally {
      answered = true
    }
  }

  const answer = async (request: RawRequest, record: Received): Promise<void> => {
    const path = readPath(request.target, basePath, generation)
    if (path.kind === 'refused') return await writeEmpty(request, path.status)
    if (path.kind === 'api-index') {
      const links = operations.map(({ name, responseName }) => ({ name, returns: responseName, links: { api: `${address()}api/${name}`, ui: `${address()}ui/${name}` } }))
      return await writeAnswer(request, generation, 'json', { body: { other: links } })
    }
    const name = path.kind === 'message' ? path.name : routedName(path.path)
    const definition = name === undefined ? undefined : messages.get(name.toLowerCase())
    const body = definition?.streams === true ? Buffer.alloc(0) : await request.body()
    record.body = body

    const recorded = findCase(cases, request, belowBase(request.target, basePath), body)
    if (recorded !== undefined) {
      await pause(recorded, request)
      if (definition !== undefined && !/^HTTP\/1\.1 405/.test(recorded.status)) execute(record, definition.name)
      await writeRecorded(request, recorded, { from: recordedFrom, to: options.address ?? address() }, options.recordedDate ?? new Date().toUTCString())
      if (recorded.ended === 'timer' && !request.gone.aborted) await new Promise(resolve => request.gone.addEventListener('abort', resolve))
      return
    }
    const query = queryOf(request.target)
    const asked = (query.get('format') ?? (path.kind === 'message' ? path.format : 'json')).toLowerCase()
    const reply = async (given: Answer) => await writeAnswer(request, generation, asked, given)
    if (path.kind === 'message') {
      const own = builtInAnswer(path.name)
      if (own !== undefined) return await reply(own)
    } else if (definition === undefined) return await otherPath(request, path.path, reply)
    if (definition === undefined) {
      const text = generation === '10.1.5' ? 'The operation does not exist for this service' : `The operation '${name}' does not exist for this service`
      return await reply(errorAnswer(generation, 405, 'NotImplementedException', text))
    }
    await call(request, record, definition, body, asked, path.kind === 'message' && path.batch, reply)
  }

  const call = async (request: RawRequest, record: Received, definition: MessageDefinition & { name: string }, body: Buffer, format: string, batch: boolean, reply: (answer: Answer) => Promise<void>): Promise<void> => {
    const verb = effectiveVerb(request, body)
    const bound: Bound = definition.streams === true ? { kind: 'dto', dto: {} } : bind(request, body, verb, batch, generation)
    if (bound.kind === 'unreadable') {
      return await reply(errorAnswer(generation, 400, 'SerializationException', `Could not deserialize 'application/json' request using Shop.${service}.${definition.name}'\nError: System.NotSupportedException: Specified method is not supported.`))
    }
    if (!definition.actions.includes('ANY') && !definition.actions.includes(verb)) {
      const method = verb[0] + verb.slice(1).toLowerCase()
      return await reply(errorAnswer(generation, 405, 'NotImplementedException', `Could not find method named ${method}(${definition.name}) or Any(${definition.name}) on Service ${definition.serviceName}`))
    }
    const run = async (dto: Record<string, unknown>) => {
      execute(record, definition.name)
      return await definition.handler({ request, name: definition.name, verb, format, dto, host: { generation, address: options.address ?? address() } })
    }
    try {
      if (bound.kind === 'dto') {
        const answer = await run(bound.dto)
        if (answer !== 'handled') await reply(answer ?? {})
        return
      }
      const results: unknown[] = []
      for (const dto of bound.items) {
        const answer = await run(dto)
        if (answer === 'handled') return
        if ((answer?.status ?? 200) >= 400) return await reply({ ...answer, headers: [['X-AutoBatch-Completed', String(results.length)]] })
        results.push(typeof answer?.body === 'string' ? JSON.parse(answer.body) : answer?.body ?? null)
      }
      await reply({ body: results, ...results.length > 0 ? { headers: [['X-AutoBatch-Completed', String(results.length)]] } : {} })
    } catch (error) {
      await reply(errorAnswer(generation, 500, 'InvalidOperationException', error instanceof Error ? error.message : String(error)))
    }
  }

  const execute = (record: Received, name: string) => {
    record.executed = name
    executed.push(name)
  }

  const builtInAnswer = (name: string): Answer | undefined => {
    switch (name.toLowerCase()) {
      case 'heartbeat': return state.failing === undefined ? { body: { url: address() } } : errorAnswer(generation, state.failing, 'Exception', 'failing')
      case 'healthcheck': {
        const status = state.failing ?? state.unhealthy
        return status === undefined ? { body: { healthResult: 'Ok', message: 'working normally' } } : errorAnswer(generation, status, 'Exception', 'failing')
      }
      case 'serviceregistration': return { body: { name: 'api', id: state.id, address: address(), tags, port: server.port } } // The recording is cut within the tags.
      case 'getservices':
      case 'getservice': return { body: { services: [{ id: state.id, address: address(), name: 'api', tags, version: Number(options.version ?? '1.0') }] } }
      default: return undefined
    }
  }

  const otherPath = async (request: RawRequest, path: string, reply: (answer: Answer) => Promise<void>): Promise<void> => {
    const html: Answer = { headers: [['Content-Type', 'text/html']], body: '<!doctype html>\n<html lang="en"></html>' }
    switch (path.toLowerCase()) {
      case '/operations/metadata': {
        if (state.publishes === 'html') return await reply(html)
        if (state.publishes !== 'list') return await writeEmpty(request, state.publishes)
        return await reply(/\bapplication\/json\b/i.test(request.header('accept') ?? '') ? { body: operations } : html)
      }
      case '/discovery/registration': return await reply(/json/.test(request.header('accept') ?? '') ? builtInAnswer('ServiceRegistration')! : html)
      case '/types/metadata.json': return await reply({ body: { namespaces: [], types: [], operations: Array.from(messages.values(), ({ name, actions, marker }) => ({ request: { name, namespace: `Shop.${service}`, implements: marker === undefined ? [] : [{ name: marker, namespace: 'ServiceStack', genericArgs: [] }] }, actions })) } })
      case '/metadata':
      case '/types/metadata': return await reply(html)
      default: return await writeEmpty(request, 404)
    }
  }

  /** The message a RESTful path of the list belongs to: without its format (AllowRouteContentTypeExtensions), the most literal first (RestPath.MatchScore). */
  const routedName = (path: string): string | undefined => {
    const extension = path.slice(path.lastIndexOf('.') + 1).toLowerCase()
    const bare = formats.has(extension) ? path.slice(0, -extension.length - 1) : path
    const places = (route: string) => route.split('{').length + (route.includes('*') ? 100 : 0)
    return Array.from(messages.values()).flatMap(({ name, routes = [] }) => routes.map(route => ({ name, route })))
      .filter(({ route }) => matchesRoute(route, bare))
      .sort((a, b) => places(a.route) - places(b.route))[0]?.name
  }

  const server = await startRawServer({
    handler,
    ...options.host === undefined ? {} : { host: options.host },
    ...options.port === undefined ? {} : { port: options.port },
    ...options.tls === undefined ? {} : { tls: options.tls },
    ...options.listen === undefined ? {} : { listen: options.listen }
  })
  const close = async () => { await server.kill() }
  return {
    get address () { return address() },
    get url () { return address().replace(/\/$/, '') },
    get port () { return server.port },
    service,
    generation,
    get id () { return state.id },
    tags,
    operations,
    received,
    get calls () { return received.filter(({ target }) => !ownQuestions.test(belowBase(target, basePath))) },
    executed,
    complaints: server.complaints,
    server,
    get publishes () { return state.publishes },
    set publishes (value) { state.publishes = value },
    get failing () { return state.failing },
    set failing (value) { state.failing = value },
    get unhealthy () { return state.unhealthy },
    set unhealthy (value) { state.unhealthy = value },
    listen: async () => { await server.listen() },
    kill: async () => { await server.kill() },
    restart: async () => {
      state.id = newId()
      await server.listen()
    },
    close,
    [Symbol.asyncDispose]: close
  }
}

function belowBase (target: string, basePath: string): string {
  return basePath !== '' && target.startsWith(basePath) ? target.slice(basePath.length) : target
}

function withoutTags (operation: Operation): Operation {
  const { tags: _, ...rest } = operation
  return rest
}
