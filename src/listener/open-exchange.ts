// One request from its head to its answer: admitted, its body prepared, handed to its route, written or refused.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { Readable } from 'node:stream'
import { notAsked } from '../cache/cache-status.ts'
import { GatewayError, toGatewayError } from '../exchange/errors.ts'
import { Exchange, type UpstreamResponse } from '../exchange/exchange.ts'
import { headerValue } from '../exchange/headers.ts'
import { parseTimeout } from '../exchange/timeout-header.ts'
import { latin1 } from '../lib/latin1.ts'
import type { RequestTarget } from '../routing/request-target.ts'
import { isHttp2, mentionsForm, type Admission, type Admitted, type AnyRequest, type Identity } from './admission.ts'
import type { GatewayCore } from './gateway-core.ts'
import { headAsRead, headText } from './head-text.ts'
import { renderLocalReply, replyFormat, type LocalReply } from './local-reply.ts'
import { MultipartScan } from './multipart-scan.ts'
import { readParameters } from './parameters.ts'
import { proxyStatus } from './proxy-status.ts'
import { replyHeaders, type ReplyContext, type ReplyHeaders } from './reply-headers.ts'
import { BodyAccount, gatherBody, planBody, StreamedBody, type BodyMemory, type Inspect } from './request-body.ts'
import { expectsBody, Http1Reply, type Reply } from './send-response.ts'
import { Http2Reply } from './send-response-http2.ts'
import { stripFormFields } from './stranger-fields.ts'
import type { UnreadAnswers } from './unread.ts'

export type AnyResponse = ServerResponse | Http2ServerResponse

/** Set on requests whose client waits for 100 Continue. */
export const awaitsContinue = Symbol('awaitsContinue')

/** What stays the same from request to request. `admission` is replaced when the configuration changes. */
export interface ListenerState {
  admission: Admission
  readonly gateway: GatewayCore
  readonly bodyMemory: BodyMemory
  /** Draining: connections end with the answer that is due. */
  closing: boolean
  readonly unread: UnreadAnswers
}

export async function openExchange (state: ListenerState, req: AnyRequest, res: AnyResponse, rawTarget: string): Promise<void> {
  const startedAtMs = performance.now()
  const { admission, gateway } = state
  const peer = admission.peer(req)
  const reply: Reply = isHttp2(req)
    ? new Http2Reply(req, res as Http2ServerResponse, state)
    : new Http1Reply(req as IncomingMessage, res as ServerResponse, state)
  let identity: Identity | undefined
  let target: RequestTarget | undefined
  let exchange: Exchange | undefined
  let handled = false
  try {
    const head = admission.read(req, rawTarget, peer)
    const client = admission.identify(req, rawTarget, peer, head)
    identity = client
    target = admission.parse(rawTarget)
    const admitted = admission.route(client, target, head, peer, gateway)
    const { route } = admitted.matched
    exchange = new Exchange(client, admitted.upstream, route, startedAtMs)
    if (route.policy.tellTimeout && admission.rules.timeoutHeader !== '') exchange.timeoutHeader = admission.rules.timeoutHeader
    if (head.timeout !== undefined) exchange.callerTimeoutMs = parseTimeout(head.timeout)
    reply.attach(exchange)
    if (hasBody(req)) await prepareBody(state, req, reply, exchange, admitted)
    if (req.httpVersion !== '1.0') exchange.informed = reply
    handled = true
    sendAnswer(await route.handle(exchange), exchange, reply, admission, gateway)
  } catch (thrown) {
    const error = exchange?.ended ?? toGatewayError(thrown)
    identity ??= admission.anonymous(req.method!, rawTarget, peer.address)
    // What the route handled is counted and logged by its filters.
    if (!handled) gateway.refused(error, identity)
    if (!handled && error.code === 'InternalError') gateway.log.error({ err: error.cause, correlationId: identity.correlationId }, 'request failed by a bug')
    if (error.code !== 'ClientClosed') reply.sendLocal(localReply(error, target, identity, admission, exchange?.addedHeaders))
  }
}

/** @throws GatewayError BadAnswer */
export function sendAnswer (response: UpstreamResponse, exchange: Exchange, reply: Reply, admission: Admission, gateway: GatewayCore): void {
  try {
    reply.send(response, headersFor(response, exchange, reply, admission, gateway))
  } catch (unwritable) {
    throw badAnswer(gateway, exchange, response, unwritable as Error)
  }
}

function headersFor (response: UpstreamResponse, exchange: Exchange, reply: Reply, { rules }: Admission, gateway: GatewayCore): ReplyHeaders {
  const { correlationHeader, pseudonym } = rules
  const { request: { scheme, authority, correlationId }, route: { rewrite }, degradedBy } = exchange
  // Two prefixes may lead to one stored answer, each with a Location of its own.
  const shared = reply.takesText && rewrite === undefined && exchange.addedHeaders === response.shared?.added && degradedBy === undefined ? response.shared : undefined
  if (shared?.text !== undefined) return { text: shared.text, headers: ['Content-Length', shared.length, correlationHeader, correlationId], trailerAt: -1, hasLength: true, hasDate: true }
  const context: ReplyContext = {
    endpointUrl: response.endpointUrl ?? exchange.endpoint?.url,
    endpointAt: gateway.endpointAt,
    scheme,
    authority,
    correlationHeader,
    correlationId,
    pseudonym,
    rewrite,
    // An answer in place of an error says which one.
    added: degradedBy === undefined ? exchange.addedHeaders : [...exchange.addedHeaders, 'Proxy-Status', proxyStatus(pseudonym, degradedBy)]
  }
  const headers = (reply.takesText ? headAsRead(response, context) : undefined) ?? replyHeaders(response, context)
  // Not for the first one: most answers are asked for once in a while only.
  if (shared !== undefined && ++shared.uses === 2) {
    shared.text = headText(response.status, response.reason, headers.headers, correlationHeader)
    shared.length = headerValue(headers.headers, 'content-length') ?? ''
  }
  return headers
}

/** Node refuses to write what endpoints may send: a header twice that HTTP/2 knows once only. */
function badAnswer ({ log }: GatewayCore, { endpoint, request }: Exchange, { status, body }: UpstreamResponse, thrown: Error): GatewayError {
  const detail = { endpoint: endpoint?.url, status, reason: thrown.message }
  const error = new GatewayError('BadAnswer', { detail, cause: thrown })
  body.cancel(error)
  log.warn({ ...detail, correlationId: request.correlationId }, 'an answer of a service cannot be written; its client gets 502')
  return error
}

/** `added`: what filters add; none have where the request did not come as far as the cache. */
export function localReply (error: GatewayError, target: RequestTarget | undefined, identity: Identity, admission: Admission, added: readonly string[] = []): LocalReply {
  return renderLocalReply(error, replyFormat(target, identity.target), [admission.rules.correlationHeader, identity.correlationId, 'Proxy-Status', proxyStatus(admission.rules.pseudonym, error), ...added.length > 0 ? added : notAsked])
}

function hasBody (req: AnyRequest): boolean {
  return isHttp2(req) ? !req.stream.endAfterHeaders : expectsBody(req as IncomingMessage)
}

/** @throws GatewayError what is wrong with the body, or why the exchange ended */
async function prepareBody (state: ListenerState, req: AnyRequest, reply: Reply, exchange: Exchange, admitted: Admitted): Promise<void> {
  const { limits } = state.admission
  const { upstream, fields, head } = admitted
  const form = fields.treats.size === 0 ? undefined : formOf(head.contentType, req.headers['content-encoding'])
  const declared = req.headers['content-length']
  const plan = planBody({ present: true, length: declared === undefined ? undefined : Number(declared), routeKind: exchange.route.kind, urlencodedForm: form?.kind === 'urlencoded' }, limits)
  if (plan.kind === 'none') return
  if ((req as { [awaitsContinue]?: true })[awaitsContinue] === true) reply.writeContinue()
  const scan = form?.kind === 'multipart' ? new MultipartScan(form.boundary, fields) : undefined
  const inspect: Inspect | undefined = scan === undefined ? undefined : chunk => scan.push(chunk)
  const watch = { idleMs: limits.bodyIdleTimeoutMs, inspect }
  const source = req as Readable
  if (plan.kind === 'stream') {
    const { length: contentLength } = plan
    if (contentLength !== undefined) upstream.headers.push('Content-Length', String(contentLength))
    const stream = new StreamedBody(source, limits.bodyBytes, watch, error => exchange.end(error))
    upstream.body = { kind: 'stream', stream, contentLength }
    return
  }
  const account = new BodyAccount(state.bodyMemory)
  reply.hold(account)
  let bytes: Buffer
  try {
    bytes = await gatherBody(source, plan, account, watch)
  } catch (error) {
    throw exchange.ended ?? error
  }
  if (form?.kind === 'urlencoded') {
    const text = latin1(bytes)
    const stripped = stripFormFields(text, fields)
    if (stripped !== text) bytes = Buffer.from(stripped, 'latin1')
  }
  upstream.body = bytes.length === 0 ? { kind: 'none' } : { kind: 'held', bytes }
}

type Form = { readonly kind: 'urlencoded' } | { readonly kind: 'multipart', readonly boundary: string }

/**
 * Which kind of form a body is, whose fields have to be looked at.
 * @throws GatewayError FieldNotAllowed for forms in which nobody can look, or not as the host would
 */
function formOf (contentType: string | undefined, contentEncoding: string | undefined): Form | undefined {
  if (contentType === undefined || !mentionsForm(contentType)) return undefined
  const type = /^\s*([^\s;/,]+\/[^\s;/,]+)/.exec(contentType)
  const parameters = type === null ? undefined : readParameters(contentType, type[0].length)
  if (type === null || parameters === undefined) {
    throw new GatewayError('FieldNotAllowed', { message: 'The Content-Type of a form is accepted well-formed only, each parameter once.', detail: { contentType } })
  }
  const name = type[1]!.toLowerCase()
  const multipart = name.startsWith('multipart/')
  if (!multipart && name !== 'application/x-www-form-urlencoded') return undefined
  const charset = parameters.get('charset')?.toLowerCase()
  const readable = charset === undefined || /^(?:utf-?8|us-ascii|iso-8859-\d+|windows-125\d|latin1)$/.test(charset)
  if (!readable || (contentEncoding !== undefined && contentEncoding.toLowerCase() !== 'identity')) {
    throw new GatewayError('FieldNotAllowed', { message: 'Forms are accepted without compression and in an ASCII-compatible character set only.', detail: { charset, contentEncoding } })
  }
  if (!multipart) return { kind: 'urlencoded' }
  // Without one it is no form to any host.
  const boundary = parameters.get('boundary')
  return boundary === undefined ? undefined : { kind: 'multipart', boundary }
}
