// The near side: the public listener, whom it believes, the admin listener, the log.
import { Type } from 'typebox'
import { address, bytes, count, flag, ms, names, object, oneOf, path, section } from './kit.ts'

const Certificate = object({
  certFile: path('PEM file with the certificate chain. Reloaded when it changes.'),
  keyFile: path('PEM file with the private key.'),
  hosts: names('Host names this certificate answers for (*.example.com allowed). Empty: the names in the certificate.', [])
}, { description: 'A certificate and the names it serves.' })

export const Listener = section({
  address: address('Where clients call.', '127.0.0.1:8080'),
  tls: Type.Optional(object({
    certificates: Type.Array(Certificate, { minItems: 1, description: 'The first one answers clients that send no name.' }),
    minVersion: oneOf(['TLSv1.2', 'TLSv1.3'], 'TLSv1.2', 'Oldest accepted TLS version.'),
    http2: flag('Offers HTTP/2 by ALPN beside HTTP/1.1.', true),
    redirectFrom: Type.Optional(address('A plain HTTP listener that redirects to this one with 308.'))
  }, { description: 'Terminates TLS on this listener.' })),
  limits: section({
    requestTargetBytes: bytes('Longest accepted request target; above: 414.', 8_192, 256),
    headerBytes: bytes('Most bytes of all request headers; above: 431.', 16_384, 1_024),
    headerCount: count('Most request headers; above: 431.', 100, 10),
    bodyBytes: bytes('Longest accepted request body; above: 413. 0 = no limit.', 104_857_600),
    gatheredBodyBytes: bytes('Longest body that is gathered before it is sent on (chunked bodies of messages, forms); above: 413.', 10_485_760),
    gatheredTotalBytes: bytes('All gathered bodies together; above: 503.', 268_435_456),
    heldBodyBytes: bytes('A declared body up to this size is read whole before an endpoint is chosen, so a slow client holds no slot and a refused connection costs nothing. Longer ones stream.', 65_536),
    headersTimeoutMs: ms('Limit on receiving the request head; and, as it was at the start, on a TLS handshake.', 10_000),
    bodyIdleTimeoutMs: ms('Limit on silence while receiving a request body, then 408; and on a client that takes nothing of a whole answer, then it is cut.', 30_000),
    keepAliveTimeoutMs: ms('How long an idle client connection is kept.', 65_000),
    maxConnections: count('Most client connections at one time.', 20_000, 1),
    maxRequestsPerConnection: count('Requests after which a client connection is closed. 0 = no limit.', 0),
    http2MaxStreams: count('Concurrent streams per HTTP/2 connection.', 128, 1)
  }, 'Limits towards clients.')
}, 'The public listener.')

const treat = (what: string) => oneOf(['remove', 'refuse', 'allow'], 'remove', `${what} From whomever, and whichever proxy passes it on: remove it, refuse the request with 400, or allow it.`)
export const Edge = section({
  trustedProxies: names('Addresses or CIDR ranges of proxies in front of Postern. Only their X-Forwarded-*, Forwarded, correlation ids, trace ids and timeoutHeader are believed; everybody else is a stranger. What clients may not send comes through them neither: they only pass it on.', []),
  methodOverride: treat('X-HTTP-Method-Override as header, query key or form field.'),
  sessionHeaders: treat('X-ss-id, X-ss-pid and X-ss-opt, which win over the session cookies on ServiceStack hosts.'),
  debugKeys: treat('authsecret, debug and simulate as query key, form field, header (also X-Param-Override-…) or cookie.'),
  correlationHeader: Type.String({ default: 'x-mac-requestId', description: 'Header that carries the correlation id: made at the edge, forwarded, echoed and logged.' }),
  timeoutHeader: Type.String({ pattern: '^[A-Za-z0-9-]*$', default: 'X-Request-Timeout-Ms', description: 'Header that tells endpoints how many milliseconds the answer is still waited for, anew for each attempt (policy.tellTimeout). A trusted proxy may send it: the shorter of its time and deadlineMs counts; a stranger\'s is removed. For callers or services behind Envoy: x-envoy-expected-rq-timeout-ms; grpc-timeout is written with its unit. Empty: neither read nor sent.' })
}, 'Who is believed, and what clients may not send.')

export const Admin = section({
  address: address('Where operators and probes call: /livez, /readyz, /metrics, /api.', '127.0.0.1:9901'),
  probesAddress: Type.Optional(address('A second address that serves /livez and /readyz only.'))
}, 'The admin listener. Loopback by default; it has no login.')

export const Log = section({
  level: oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal'], 'info', 'Least severe line that is written.'),
  destination: Type.String({ minLength: 1, format: 'path', default: 'stderr', description: 'stderr, stdout or a file path.' }),
  exchanges: flag('One line an exchange.', true),
  securityDestination: Type.Optional(path('A file of its own for the security stream (refusals). Default: the same as destination, marked "stream":"security".'))
}, 'JSON lines (pino).')
