// The messages of the two recorded hosts, Catalog and Orders, off the recorded cases: what their services did.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Answer } from './servicestack-answers.ts'
import type { RawRequest } from './raw-server.ts'
import type { Generation, Operation } from './recordings.ts'

/** One execution of a message. */
export interface Call {
  readonly request: RawRequest
  readonly name: string
  /** The effective verb: an override is obeyed. */
  readonly verb: string
  readonly format: string
  /** Members of the request DTO, names in lower case. */
  readonly dto: Readonly<Record<string, unknown>>
  readonly host: { readonly generation: Generation, readonly address: string }
}

/** Returns the answer; undefined = 204; 'handled' = it wrote to the socket itself. Throwing gives a 500 with the message. */
export type MessageHandler = (call: Call) => Promise<Answer | 'handled' | undefined> | Answer | 'handled' | undefined

export interface MessageDefinition {
  /** Upper-case verbs, or ['ANY']. */
  readonly actions: readonly string[]
  /** Name of the service class, as error texts name it. */
  readonly serviceName: string
  readonly routes?: readonly string[]
  readonly restrictTo?: readonly string[]
  /** Who may see it; where left out: whoever may call it. */
  readonly visibleTo?: readonly string[]
  /** The interface of ServiceStack's that its DTO has. */
  readonly marker?: 'IGet' | 'IPost' | 'IPut' | 'IPatch' | 'IDelete'
  readonly responseName?: string
  /** The handler reads `request.pieces()` itself; the DTO stays empty. */
  readonly streams?: boolean
  readonly handler: MessageHandler
}

const internalOnly = ['AnySecurityMode, AnyHttpMethod, AnyCallStyle, AnyFormat, AnyEndpoint, InternalNetworkAccess']
const product = (id: number) =>
  `{"id":${id},"name":"Lamp ${id}","price":19.90,"added":"\\/Date(1767323045000)\\/","leadTime":"P1DT12H30M","key":"00112233445566778899aabbccddeeff","shade":"Dark","maker":{"name":"Ünal & Söhne","country":"DE"},"labels":["indoor","a,b"]}`
const number = (value: unknown): number => Number.isFinite(Number(value)) ? Number(value) : 0
const lastModified = 'Fri, 02 Jan 2026 03:04:05 GMT'

const catalog: Record<string, MessageDefinition> = {
  GetProduct: {
    actions: ['GET'],
    marker: 'IGet',
    serviceName: 'CatalogServices',
    routes: ['/products/{Id}'],
    responseName: 'Product',
    handler: ({ request, dto, host }) => {
      const id = number(dto['id'])
      if (id === 404) return error(host.generation, 404, 'NotFound', 'no product 404')
      if (id === 500) return error(host.generation, 500, 'InvalidOperationException', 'database on fire')
      const headers: Array<[string, string]> = [['Cache-Control', 'max-age=30'], ['ETag', `"p${id}-v1"`], ['Last-Modified', lastModified]]
      const fresh = request.header('if-none-match') === `"p${id}-v1"` || request.header('if-modified-since') === lastModified
      return fresh ? { status: 304, headers } : { headers, body: product(id) }
    }
  },
  SearchProducts: {
    actions: ['GET'],
    marker: 'IGet',
    serviceName: 'CatalogServices',
    responseName: 'SearchProductsResponse',
    handler: ({ dto }) => ({
      sized: true,
      headers: [['Cache-Control', 'max-age=20'], ['Last-Modified', new Date().toUTCString()]],
      body: `{"seen":{"text":${JSON.stringify(String(dto['text'] ?? ''))}},"results":[${product(1)}]}`
    })
  },
  GetPicture: {
    actions: ['GET'],
    marker: 'IGet',
    serviceName: 'CatalogServices',
    responseName: 'Byte[]',
    handler: () => ({ sized: true, headers: [['Content-Type', 'image/png'], ['Accept-Ranges', 'bytes']], body: Buffer.from('iVBORwc=', 'base64') })
  },
  SlowReport: {
    actions: ['ANY'],
    serviceName: 'CatalogServices',
    responseName: 'SearchProductsResponse',
    handler: async ({ request, dto }) => {
      await sleep(number(dto['milliseconds']), undefined, { signal: request.gone }).catch(() => {}) // The caller left: nobody waits for the rest.
      return { body: '{"results":[]}' }
    }
  },
  ReindexProducts: { actions: ['POST'], marker: 'IPost', serviceName: 'CatalogServices', restrictTo: internalOnly, handler: () => undefined }
}

const orders: Record<string, MessageDefinition> = {
  PlaceOrder: {
    actions: ['POST'],
    marker: 'IPost',
    serviceName: 'OrderServices',
    responseName: 'PlaceOrderResponse',
    handler: ({ dto, host }) => {
      const lines = Array.isArray(dto['lines']) ? dto['lines'] : []
      const missing = [...dto['customer'] ? [] : ['Customer'], ...lines.length > 0 ? [] : ['Lines']]
      if (missing.length > 0) return invalid(host.generation, missing)
      return { body: { orderId: `o-${String(dto['customer'])}`, lines: lines.length, instance: host.address } }
    }
  },
  CancelOrder: { actions: ['DELETE'], marker: 'IDelete', serviceName: 'OrderServices', handler: () => undefined },
  OrderPlaced: { actions: ['POST'], marker: 'IPost', serviceName: 'OrderServices', handler: () => undefined },
  CountSeen: {
    actions: ['GET'],
    marker: 'IGet',
    serviceName: 'OrderServices',
    responseName: 'CountSeenResponse',
    handler: ({ request, host }) => {
      const remoteIp = request.header('x-forwarded-for') ?? request.header('x-real-ip') ?? '127.0.0.1'
      const baseUrl = request.header('x-forwarded-proto') === 'https' ? host.address.replace(/^http:/, 'https:') : host.address
      return { body: { oneWay: 0, cancelled: 0, headers: request.headers.map(([name, value]) => `${name}: ${value}`), remoteIp, baseUrl } }
    }
  },
  UploadNote: {
    actions: ['POST'],
    marker: 'IPost',
    serviceName: 'OrderServices',
    responseName: 'PlaceOrderResponse',
    handler: ({ dto }) => ({ body: { orderId: String(dto['title'] ?? ''), lines: 1 } })
  }
}

/** The own messages of a recorded host; none for any other service name. */
export function recordedMessages (service: string): Record<string, MessageDefinition> {
  return service === 'Catalog' ? catalog : service === 'Orders' ? orders : {}
}

/** What an operation list says of a message. */
export function toOperation (name: string, definition: MessageDefinition): Operation {
  const { visibleTo = definition.restrictTo } = definition
  return {
    name,
    ...definition.responseName === undefined ? {} : { responseName: definition.responseName },
    serviceName: definition.serviceName,
    ...definition.restrictTo === undefined ? {} : { restrictTo: definition.restrictTo },
    ...visibleTo === undefined ? {} : { visibleTo },
    actions: definition.actions,
    routes: definition.routes ?? [],
    tags: []
  }
}

function error (generation: Generation, status: number, errorCode: string, message: string): Answer {
  return { status, reason: errorCode, body: { responseStatus: { errorCode, message, ...generation === '10.1.5' ? { errors: [] } : {} } } }
}

function invalid (generation: Generation, fields: string[]): Answer {
  const verb = generation === '10.1.5' ? 'must' : 'should'
  const errors = fields.map(fieldName => ({ errorCode: 'NotEmpty', fieldName, message: `'${fieldName}' ${verb} not be empty.`, meta: { PropertyName: fieldName } }))
  return { status: 400, reason: 'NotEmpty', body: { lines: 0, responseStatus: { errorCode: 'NotEmpty', message: errors[0]!.message, errors } } }
}
