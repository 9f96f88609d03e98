// From a request's head to the route it may take: limits, who it comes from, what it asks for, what it may carry. No I/O.
import { METHODS, type IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import type { EdgeConfig, ListenerConfig } from '../config/schema.ts'
import { effectOfCall, type Effect } from '../exchange/effect.ts'
import { GatewayError } from '../exchange/errors.ts'
import type { ClientRequest, UpstreamRequest } from '../exchange/exchange.ts'
import { addForwarding } from '../exchange/forwarded.ts'
import { HeaderReader, headerValue, type HeaderRules, type RequestHead } from '../exchange/headers.ts'
import { absoluteAuthority, parseRequestTarget, type RequestTarget } from '../routing/request-target.ts'
import { formats, type Matched } from '../routing/table.ts'
import { createTrust, originOf, plainAddress, type Origin } from './client-address.ts'
import type { IdSource } from './ids.ts'
import { isCorrelationId, parseTraceparent } from './ids.ts'
import type { GatewayCore } from './gateway-core.ts'
import { createFieldRules, overrideInQuery, stripQueryKeys, type FieldRules } from './stranger-fields.ts'

export type AnyRequest = IncomingMessage | Http2ServerRequest

/** A request line may say HTTP/2.0 on a connection of HTTP/1.x too: then there is no stream. */
export const isHttp2 = (req: AnyRequest): req is Http2ServerRequest => req.httpVersionMajor === 2 && (req as Partial<Http2ServerRequest>).stream !== undefined

/** Who is at the other end of a connection; worked out once per connection and configuration. */
export interface Peer {
  readonly admission: Admission
  readonly address: string
  readonly trusted: boolean
  readonly scheme: 'http' | 'https'
  /** The last authority that was found well-formed. */
  authority: string
}

/** What is known of a request however early it is refused. */
export interface Identity {
  readonly method: string
  readonly target: string
  readonly clientAddress: string
  readonly correlationId: string
  readonly traceId: string
}

export interface Admitted {
  readonly target: RequestTarget
  readonly head: RequestHead
  readonly matched: Matched
  readonly client: ClientRequest
  readonly upstream: UpstreamRequest
  readonly fields: FieldRules
}

/** Everything that Node knows but CONNECT and TRACE: no client of a gateway has a use for them. */
const allowedMethods = new Set(METHODS.filter(method => method !== 'CONNECT' && method !== 'TRACE'))
export const methodNotAllowed = (): GatewayError => new GatewayError('MethodNotAllowed', { headers: ['Allow', [...allowedMethods].join(', ')], security: true })

const peerOf = Symbol('peer')
const authorityShape = /^(?:[\w.~!$&'()*+,;=%-]+|\[[0-9a-fA-F:.]+\])(?::\d{0,5})?$/

/** One per configuration: a new one takes over with the next request. */
export class Admission {
  readonly limits: ListenerConfig['limits']
  readonly rules: HeaderRules
  readonly ids: IdSource
  readonly #reader: HeaderReader
  readonly #fields: FieldRules
  readonly #trusts: (address: string) => boolean
  readonly #overridePasses: boolean

  constructor (config: ListenerConfig, edge: EdgeConfig, pseudonym: string, ids: IdSource) {
    this.limits = config.limits
    this.ids = ids
    this.rules = { methodOverride: edge.methodOverride, sessionHeaders: edge.sessionHeaders, debugKeys: edge.debugKeys, correlationHeader: edge.correlationHeader, timeoutHeader: edge.timeoutHeader, pseudonym }
    this.#reader = new HeaderReader(this.rules)
    this.#fields = createFieldRules(edge)
    this.#trusts = createTrust(edge.trustedProxies)
    this.#overridePasses = edge.methodOverride === 'allow'
  }

  peer (req: AnyRequest): Peer {
    const connection = (isHttp2(req) ? req.stream.session ?? req.socket : req.socket) as object & { [peerOf]?: Peer }
    const known = connection[peerOf]
    if (known?.admission === this) return known
    const address = plainAddress(req.socket.remoteAddress)
    const peer: Peer = { admission: this, address, trusted: this.#trusts(address), scheme: (req.socket as TLSSocket).encrypted === true ? 'https' : 'http', authority: '' }
    connection[peerOf] = peer
    return peer
  }

  /** For requests that are refused before their headers could be read. */
  anonymous (method: string, target: string, address: string): Identity {
    const id = this.ids.traceId()
    return { method, target, clientAddress: address, correlationId: id, traceId: id }
  }

  /** @throws GatewayError HeadersTooLarge, RequestTargetTooLong, FieldNotAllowed, LoopDetected, BadRequest */
  read (req: AnyRequest, rawTarget: string, peer: Peer): RequestHead {
    const { limits } = this
    const http2 = isHttp2(req)
    if (req.httpVersionMajor !== 1 && !http2) throw new GatewayError('BadRequest', { message: 'The HTTP version is not one that is spoken here.', detail: { httpVersion: req.httpVersion } })
    if (rawTarget.length > limits.requestTargetBytes) throw new GatewayError('RequestTargetTooLong', { detail: { limit: 'requestTargetBytes', value: limits.requestTargetBytes } })
    if (req.rawHeaders.length > limits.headerCount * 2) throw new GatewayError('HeadersTooLarge', { detail: { limit: 'headerCount', value: limits.headerCount } })
    // HTTP/2 has the target among them, which has a limit of its own.
    let bytes = http2 ? -rawTarget.length : 0
    for (const text of req.rawHeaders) bytes += text.length
    if (bytes > limits.headerBytes) throw new GatewayError('HeadersTooLarge', { detail: { limit: 'headerBytes', value: limits.headerBytes } })
    return this.#reader.read(req.rawHeaders, peer.trusted)
  }

  /** Who asks, and under which ids. `head` is undefined when it could not be read. */
  identify (req: AnyRequest, rawTarget: string, peer: Peer, head: RequestHead): ClientRequest & { traceparent: string } {
    const received = absoluteAuthority(rawTarget) ?? (isHttp2(req) ? req.authority || head.host : head.host)
    if (received === undefined && req.httpVersion === '1.1') throw new GatewayError('BadRequest', { message: 'The request has no Host header.' })
    const authority = received ?? ''
    if (authority !== peer.authority) {
      if (authority !== '' && !authorityShape.test(authority)) throw new GatewayError('BadRequest', { message: 'The Host header is malformed.' })
      peer.authority = authority
    }
    const { traceId, traceparent } = this.#trace(head)
    const origin: Origin = peer.trusted ? originOf(peer.address, head, this.#trusts) : peer
    const scheme = origin.proto?.toLowerCase()
    return {
      method: req.method!,
      target: rawTarget,
      httpVersion: req.httpVersion as ClientRequest['httpVersion'],
      scheme: scheme === 'https' || scheme === 'http' ? scheme : peer.scheme,
      authority: origin.host !== undefined && authorityShape.test(origin.host) ? origin.host : authority,
      clientAddress: origin.address,
      trusted: peer.trusted,
      correlationId: head.correlationId !== undefined && isCorrelationId(head.correlationId) ? head.correlationId : traceId,
      traceId,
      traceparent
    }
  }

  /**
   * Finds the route and writes the request as an endpoint gets it; its body is none yet.
   * @throws GatewayError BadRequestTarget, FieldNotAllowed, MethodNotAllowed, and what `match` throws
   */
  route (client: ClientRequest & { traceparent: string }, parsed: RequestTarget, head: RequestHead, peer: Peer, gateway: Pick<GatewayCore, 'match'>): Admitted {
    if (!allowedMethods.has(client.method)) throw methodNotAllowed()
    const fields = this.#fields
    const query = stripQueryKeys(parsed.query, fields)
    const target = query === parsed.query ? parsed : { ...parsed, query }
    const override = head.methodOverride ?? (this.#overridePasses ? overrideInQuery(query) : undefined)
    const matched = gateway.match(target, override === undefined ? client.method : override.toUpperCase())
    addForwarding(head, {
      clientAddress: client.clientAddress,
      peer: peer.address,
      scheme: client.scheme,
      authority: client.authority,
      receivedScheme: peer.scheme,
      httpVersion: client.httpVersion,
      correlationId: client.correlationId,
      traceparent: client.traceparent
    }, this.rules)
    // A form field could override the method where that is allowed.
    const method = this.#overridePasses && mentionsForm(head.contentType ?? '') ? '' : client.method
    const upstream: UpstreamRequest = {
      method: client.method,
      path: matched.path,
      canonicalPath: matched.canonicalPath,
      headers: head.headers,
      body: { kind: 'none' },
      effect: withKey(effectOfCall(matched.effect, method, override, matched.single), matched, head),
      reached: matched.reached
    }
    return { target, head, matched, client, upstream, fields }
  }

  /** Reads a target; formats as hosts know them. */
  parse (rawTarget: string): RequestTarget {
    return parseRequestTarget(rawTarget, formats)
  }

  /** A trusted proxy's trace goes on, a stranger's does not: anybody could write into it. */
  #trace (head: RequestHead): { traceId: string, traceparent: string } {
    const given = head.traceparent === undefined ? undefined : parseTraceparent(head.traceparent)
    if (given === undefined) head.tracestate = undefined
    const traceId = given?.traceId ?? this.ids.traceId()
    return { traceId, traceparent: `00-${traceId}-${this.ids.spanId()}-${given?.flags ?? '01'}` }
  }
}

/** A client's Idempotency-Key makes its call repeatable only where postern.yaml says that the service honours it. */
function withKey (effect: Effect, { route: { policy }, single }: Matched, { headers }: RequestHead): Effect {
  return effect === 'unsafe' && single && policy.retry.honoursIdempotencyKey && headerValue(headers, 'idempotency-key') !== undefined ? 'idempotent' : effect
}

/** Whether a host could take a body of this type for a form. */
export const mentionsForm = (contentType: string): boolean => /x-www-form-urlencoded|multipart/i.test(contentType)
