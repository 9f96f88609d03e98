// Every error the gateway answers with itself: one table that also makes docs/ERRORS.md.

/** Those error types of RFC 9209 that Postern uses. */
export type ProxyStatusError =
  | 'destination_not_found' | 'destination_unavailable' | 'connection_refused' | 'connection_terminated' | 'connection_timeout' | 'connection_read_timeout' | 'connection_limit_reached'
  | 'http_request_error' | 'http_request_denied' | 'http_response_incomplete' | 'http_response_timeout' | 'http_protocol_error' | 'proxy_internal_response' | 'proxy_internal_error' | 'proxy_loop_detected'

/** Who caused it; and whether the request may be sent again: `always` = it provably was not sent, `if-safe` = only what is safe or idempotent by its effect. */
export interface ErrorSpec {
  readonly status: number
  readonly source: 'client' | 'gateway' | 'upstream'
  readonly retry: 'always' | 'if-safe' | 'never'
  /** The nearest word of RFC 9209 section 2.3, sent in Proxy-Status. */
  readonly proxyStatus: ProxyStatusError
  /** Seconds, sent as Retry-After. */
  readonly retryAfterS?: number
  /** Logged to the security stream too (docs/SECURITY-LOG.md). */
  readonly security?: true
  /** A read may be answered with a stale entry of the cache in its place: nothing was sent, and the service is not to be troubled. */
  readonly staleable?: true
  /** Sent to the client as `message`, unless the thrower gives a better one. */
  readonly message: string
  /** For the operator: what it means and what to do. */
  readonly help: string
}

export const errorTable = {
  MessageNotFound: { status: 404, source: 'client', retry: 'never', proxyStatus: 'destination_not_found', message: 'The message does not exist.', help: 'No route has this name or path, or it is hidden, or several services claim it and nobody gets it (`conflict`): all answer alike. `postern routes` says which.' },
  RoutesNotReady: { status: 503, source: 'gateway', retry: 'never', proxyStatus: 'destination_unavailable', retryAfterS: 1, message: 'The routes are not known yet.', help: 'No route table yet, a registry has not answered since the start, the service has registered but its list of operations is not read yet, or an upstream of postern.yaml has not said yet what it is (`postern routes` says which).' },
  BadRequest: { status: 400, source: 'client', retry: 'never', proxyStatus: 'http_request_error', security: true, message: 'The request is not valid HTTP.', help: 'The HTTP parser refused it, it has no Host or a malformed one, it has two of Content-Length, Host or Content-Type, or it names another HTTP version than it is sent by.' },
  BadRequestTarget: { status: 400, source: 'client', retry: 'never', proxyStatus: 'http_request_denied', security: true, message: 'The request target is spelled in a way that is not accepted.', help: 'Dot segments, encoded slashes, NUL, bad escapes, or text after the message name: hosts read them as another message than an edge does.' },
  FieldNotAllowed: { status: 400, source: 'client', retry: 'never', proxyStatus: 'http_request_denied', security: true, message: 'The request carries a field that is not accepted from outside.', help: 'It has a method override, session header or debug key, and edge.* says refuse; or a form whose fields two readers could read differently.' },
  RequestTargetTooLong: { status: 414, source: 'client', retry: 'never', proxyStatus: 'http_request_error', message: 'The request target is too long.', help: 'listener.limits.requestTargetBytes.' },
  HeadersTooLarge: { status: 431, source: 'client', retry: 'never', proxyStatus: 'http_request_error', message: 'The request headers are too large.', help: 'listener.limits.headerBytes and headerCount.' },
  BodyTooLarge: { status: 413, source: 'client', retry: 'never', proxyStatus: 'http_request_error', message: 'The request body is too large.', help: 'listener.limits.bodyBytes; for bodies that must be gathered gatheredBodyBytes.' },
  BodyMemoryFull: { status: 503, source: 'gateway', retry: 'never', proxyStatus: 'proxy_internal_response', retryAfterS: 1, message: 'Too many request bodies are being gathered.', help: 'listener.limits.gatheredTotalBytes is used up.' },
  BodyIncomplete: { status: 400, source: 'client', retry: 'never', proxyStatus: 'http_request_error', message: 'The request body ended short.', help: 'The client closed or broke its body; nothing of it counts as sent.' },
  RequestTimeout: { status: 408, source: 'client', retry: 'never', proxyStatus: 'http_request_error', message: 'The request did not arrive in time.', help: 'listener.limits.headersTimeoutMs or bodyIdleTimeoutMs.' },
  MethodNotAllowed: { status: 405, source: 'client', retry: 'never', proxyStatus: 'http_request_error', message: 'The method is not allowed.', help: 'CONNECT, TRACE and what is no method that HTTP knows are refused, and written to the security stream; a custom route allows the verbs its service lists. Allow names what works.' },
  UpgradeNotAllowed: { status: 400, source: 'client', retry: 'never', proxyStatus: 'http_request_error', message: 'This path takes no upgrade.', help: 'WebSocket passes on prefix routes with websocket: true only.' },
  LoopDetected: { status: 508, source: 'client', retry: 'never', proxyStatus: 'proxy_loop_detected', security: true, message: 'The request came through this gateway already.', help: 'The own Via was seen twice: an upstream points back at Postern.' },
  BulkheadFull: { status: 503, source: 'gateway', retry: 'never', proxyStatus: 'connection_limit_reached', retryAfterS: 1, staleable: true, message: 'The service is busy.', help: 'The upstream\'s bulkhead and its queue are full (bulkhead.maxConcurrent, maxQueue).' },
  QueueTimeout: { status: 503, source: 'gateway', retry: 'never', proxyStatus: 'connection_limit_reached', retryAfterS: 1, staleable: true, message: 'The service is busy.', help: 'No bulkhead slot became free within queueTimeoutMs.' },
  Overloaded: { status: 503, source: 'gateway', retry: 'never', proxyStatus: 'proxy_internal_response', retryAfterS: 1, staleable: true, message: 'The gateway is overloaded.', help: 'Its event loop is late or its heap nearly full (shedding.*), and messages of this priority are refused until it has recovered.' },
  NoEndpoint: { status: 503, source: 'upstream', retry: 'never', proxyStatus: 'destination_unavailable', retryAfterS: 1, staleable: true, message: 'No instance of the service is available.', help: 'Every endpoint is unreachable or still being asked who it is, has an open breaker, or has gone. `postern routes` and /api/upstreams say why.' },
  BreakerOpen: { status: 503, source: 'upstream', retry: 'never', proxyStatus: 'destination_unavailable', retryAfterS: 5, staleable: true, message: 'The service is failing and gets a pause.', help: 'The breaker of the message, of its upstream, or of all its endpoints is open, held open by hand, or they asked for a pause: `postern breaker list`.' },
  ConnectFailed: { status: 502, source: 'upstream', retry: 'always', proxyStatus: 'connection_refused', message: 'The service could not be reached.', help: 'The connection was refused, reset while connecting, or TLS failed. The endpoint gets no traffic until Postern can connect again.' },
  ConnectTimeout: { status: 504, source: 'upstream', retry: 'always', proxyStatus: 'connection_timeout', message: 'The service could not be reached in time.', help: 'connectTimeoutMs.' },
  ConnectionClosed: { status: 502, source: 'upstream', retry: 'if-safe', proxyStatus: 'connection_terminated', message: 'The service closed the connection without an answer.', help: 'The endpoint closed or reset before the response head.' },
  BadAnswer: { status: 502, source: 'upstream', retry: 'if-safe', proxyStatus: 'http_protocol_error', message: 'The service answered with something that is not HTTP.', help: 'The response head could not be parsed, is beyond the limits, holds what may not be sent on, or says 304 to a request without conditions.' },
  HeadersTimeout: { status: 504, source: 'upstream', retry: 'if-safe', proxyStatus: 'http_response_timeout', message: 'The service did not answer in time.', help: 'headersTimeoutMs.' },
  BodyTimeout: { status: 504, source: 'upstream', retry: 'never', proxyStatus: 'connection_read_timeout', message: 'The service stopped sending.', help: 'bodyIdleTimeoutMs. The response head was already sent, so the connection is cut.' },
  BodyCut: { status: 502, source: 'upstream', retry: 'never', proxyStatus: 'http_response_incomplete', message: 'The service broke off its answer.', help: 'The endpoint closed in the middle of a body; the client\'s connection is cut, so that nobody takes it for whole.' },
  NotStored: { status: 504, source: 'client', retry: 'never', proxyStatus: 'proxy_internal_response', message: 'No stored answer can be used.', help: 'The client asked for nothing but a stored answer (only-if-cached), and none is fresh enough.' },
  AnswerNotReady: { status: 503, source: 'gateway', retry: 'never', proxyStatus: 'proxy_internal_response', retryAfterS: 1, staleable: true, message: 'The answer is not ready yet.', help: 'cache.hideOrigin: nothing is stored for this request, and it is being asked for in the background.' },
  AnswerOrdered: { status: 202, source: 'gateway', retry: 'never', proxyStatus: 'proxy_internal_response', retryAfterS: 1, staleable: true, message: 'The answer is being made ready.', help: 'cache.hideOrigin: accepted. As AnswerNotReady, for clients that rather read a 202.' },
  AnswerNotStorable: { status: 503, source: 'gateway', retry: 'never', proxyStatus: 'proxy_internal_response', staleable: true, message: 'The answer cannot be stored, and its service is not asked for anybody.', help: 'cache.hideOrigin: what the service answered last may not be stored for this caller (private, no-store, a cookie, no lifetime; or he carries an identity, and it said neither public nor s-maxage). It is asked again after cache.hitForMissMs (Retry-After). For callers with an identity: cache.identity.mode perIdentity or shared. Or only the service could answer: a GET with If-Match, If-Unmodified-Since or a body.' },
  DeadlineExceeded: { status: 504, source: 'gateway', retry: 'never', proxyStatus: 'http_response_timeout', message: 'The service did not answer in time.', help: 'deadlineMs, over queueing and all attempts.' },
  ClientClosed: { status: 499, source: 'client', retry: 'never', proxyStatus: 'http_request_error', message: 'The client left.', help: 'Only in logs and metrics: nobody is there to read it. Nobody\'s failure.' },
  Superseded: { status: 502, source: 'gateway', retry: 'never', proxyStatus: 'proxy_internal_response', message: 'Another attempt takes its place.', help: 'Only in the attempts of the log: an answer that was tried again, or the slower one of two attempts. No client gets it, nobody\'s failure.' },
  InternalError: { status: 500, source: 'gateway', retry: 'never', proxyStatus: 'proxy_internal_error', message: 'The gateway failed.', help: 'A bug of ours; the log has the stack.' }
} as const satisfies Record<string, ErrorSpec>

export type ErrorCode = keyof typeof errorTable

/** The only error thrown below the listener. `detail` is for the log, `message` for the client. */
export class GatewayError extends Error {
  readonly code: ErrorCode
  readonly spec: ErrorSpec
  readonly detail: Readonly<Record<string, unknown>> | undefined
  /** Nobody's failure, although another of its code may be somebody's. */
  readonly blameless: boolean
  /** Headers of the local reply, e.g. Allow. Flat list. */
  readonly headers: readonly string[]
  /** Logged to the security stream too. */
  readonly security: boolean

  constructor (code: ErrorCode, options: { message?: string, detail?: Record<string, unknown>, headers?: readonly string[], blameless?: boolean, security?: boolean, cause?: unknown } = {}) {
    const spec: ErrorSpec = errorTable[code]
    super(options.message ?? spec.message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'GatewayError'
    this.code = code
    this.spec = spec
    this.detail = options.detail
    this.blameless = options.blameless === true
    this.headers = options.headers ?? []
    this.security = options.security ?? spec.security === true
  }
}

/** Whatever was thrown, as one of ours; anything unknown is a bug of ours. */
export function toGatewayError (error: unknown): GatewayError {
  return error instanceof GatewayError ? error : new GatewayError('InternalError', { cause: error })
}
