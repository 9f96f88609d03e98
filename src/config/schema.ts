// Every setting an operator can write: one declaration with type, default, limits and description.
// The validator, the TypeScript types, config/postern.schema.json and docs/CONFIG.md are all made from it.
import { Type, type Static, type TSchema, type TProperties } from 'typebox'

const closed = { additionalProperties: false }
const object = <P extends TProperties>(properties: P, options: { description: string, default?: unknown }) =>
  Type.Object(properties, { ...closed, ...options })
/** An object that may be left out: every field of it has a default. */
const section = <P extends TProperties>(properties: P, description: string) => object(properties, { description, default: {} })
const ms = (description: string, byDefault: number, minimum = 1) =>
  Type.Integer({ minimum, maximum: 86_400_000, default: byDefault, description: `${description} Milliseconds.` })
const bytes = (description: string, byDefault: number, minimum = 0) =>
  Type.Integer({ minimum, default: byDefault, description: `${description} Bytes.` })
const count = (description: string, byDefault: number, minimum = 0) =>
  Type.Integer({ minimum, default: byDefault, description })
const flag = (description: string, byDefault: boolean) => Type.Boolean({ default: byDefault, description })
const text = (description: string) => Type.String({ minLength: 1, description })
/** Relative paths are taken from the directory of postern.yaml; the loader makes them absolute. */
const path = (description: string) => Type.String({ minLength: 1, format: 'path', description })
const names = (description: string, byDefault: string[]) => Type.Array(Type.String({ minLength: 1 }), { default: byDefault, description })
const oneOf = <const V extends readonly string[]>(values: V, byDefault: V[number], description: string) =>
  Type.Unsafe<V[number]>({ type: 'string', enum: [...values], default: byDefault, description })
/** Without a default for what is off when left out. */
const address = (description: string, byDefault?: string) => Type.String({
  format: 'listen-address',
  description: `${description} HOST:PORT; port 0 picks a free one.`,
  ...(byDefault === undefined ? {} : { default: byDefault })
})

// ---- Policies: what may differ per message, per upstream, or as a default --------------------

const timeouts = {
  connectTimeoutMs: ms('Limit on making a connection to an endpoint, TLS included.', 1_000),
  queueTimeoutMs: ms('Limit on waiting for a bulkhead slot.', 1_000, 0),
  headersTimeoutMs: ms('Limit on waiting for the response head, per attempt.', 10_000),
  bodyIdleTimeoutMs: ms('Limit on silence between two pieces of a body, either direction.', 30_000),
  deadlineMs: ms('Budget of the whole exchange until the response head: queueing, back-off and all attempts. Afterwards only bodyIdleTimeoutMs counts. Does not hold for upgraded or text/event-stream exchanges.', 15_000)
}
const retry = {
  attempts: Type.Integer({ minimum: 1, maximum: 5, default: 2, description: 'Tries per exchange, the first included. Repeated is only what provably was not sent, and GET or HEAD without a response byte.' })
}
export const policyFields = { ...timeouts, ...retry }
const optional = <P extends TProperties>(properties: P) =>
  Object.fromEntries(Object.entries(properties).map(([name, schema]) => {
    const { default: _, ...rest } = schema as TSchema & { default?: unknown }
    return [name, Type.Optional(rest as TSchema)]
  })) as { [K in keyof P]: ReturnType<typeof Type.Optional<P[K]>> }

const Policy = section(policyFields, 'What holds for every message unless its upstream or the message itself says otherwise.')

const Bulkhead = section({
  maxConcurrent: count('Exchanges at one time to this upstream, all its endpoints together.', 256, 1),
  maxQueue: count('Exchanges that may wait for a slot, first come first served. Beyond that: 503 at once.', 128)
}, 'The bound on concurrency and queue of each upstream.')

const Breaker = section({
  errorThresholdPercent: Type.Integer({ minimum: 1, maximum: 100, default: 50, description: 'Share of failed attempts within the window that opens the breaker of an endpoint.' }),
  volumeThreshold: count('Attempts within the window below which a breaker never opens.', 10, 10),
  windowMs: ms('Length of the rolling window.', 10_000, 1_000),
  resetTimeoutMs: ms('How long a breaker stays open before a trial call is let through.', 5_000)
}, 'Circuit breaker of each endpoint (opossum).')

const UpstreamTls = object({
  caFile: Type.Optional(path('PEM file with the authorities that may sign the endpoint\'s certificate, in place of the system\'s.')),
  serverName: Type.Optional(text('Name sent by SNI and expected in the certificate, in place of the endpoint\'s host.')),
  certFile: Type.Optional(path('PEM file with the client certificate to present.')),
  keyFile: Type.Optional(path('PEM file with its private key.')),
  verify: flag('Whether the certificate is verified. Switching it off is logged as a warning at every load.', true)
}, { description: 'TLS towards the endpoints of this upstream (for https origins).' })

const exposureFields = {
  expose: names('Message name patterns (* matches anything) that outside clients may call.', ['*']),
  hide: names('Message name patterns that are hidden although expose matches them.', []),
  exposeRestricted: names('Message name patterns that stay callable although the service restricts them to internal callers.', [])
}
const Exposure = section({
  ...exposureFields,
  suggest: flag('Whether the answer to an unknown message may name the nearest existing ones that may be seen.', false)
}, 'Which messages may be called from outside. What is hidden answers exactly like what does not exist.')

const Upstream = object({
  endpoints: Type.Optional(Type.Array(Type.String({ format: 'base-url', pattern: '^https?://' }), { minItems: 1, description: 'Fixed base URLs of this upstream. Left out for what the registry lists.' })),
  ...optional(exposureFields),
  trustTags: flag('Routes what the tags of a registration name, although the service publishes no list of operations. Restricted messages can then not be told apart.', false),
  customRoutes: flag('Also routes the RESTful paths of the service\'s own list (/products/{Id}), verbs as listed.', false),
  preserveHost: flag('Sends the client\'s Host header on instead of the endpoint\'s authority.', false),
  livenessPath: Type.Optional(Type.String({ pattern: '^/', description: 'Path asked of an unchecked endpoint that is no ServiceStack host; any complete answer below 500 counts. Default: /' })),
  tls: Type.Optional(UpstreamTls),
  bulkhead: Type.Optional(object(optional(Bulkhead.properties), { description: 'In place of defaults.bulkhead.' })),
  breaker: Type.Optional(object(optional(Breaker.properties), { description: 'In place of defaults.breaker.' })),
  policy: Type.Optional(object(optional(policyFields), { description: 'In place of defaults.policy.' }))
}, { description: 'An upstream: a ServiceStack AppHost\'s service name, a Consul service, or a fixed list of endpoints.' })

const Message = object({
  upstream: Type.Optional(text('The upstream that answers this message. Needed for built-in messages that no registry lists (Authenticate, GetAccessToken); for others it settles a conflict.')),
  expose: Type.Optional(Type.Boolean({ description: 'Decides exposure of this message, over every pattern and over the service\'s own restriction.' })),
  policy: Type.Optional(object(optional(policyFields), { description: 'In place of the upstream\'s policy.' }))
}, { description: 'Settings of one message.' })

const Prefix = object({
  upstream: text('The upstream that gets these requests.'),
  rewrite: Type.Optional(Type.String({ pattern: '^/', description: 'What the prefix is replaced by. Left out: the path is sent as it came.' })),
  websocket: flag('Whether WebSocket upgrades pass.', true),
  policy: Type.Optional(object(optional(policyFields), { description: 'In place of the upstream\'s policy.' }))
}, { description: 'A prefix route, for what is not a message. Key: a path ending in /*. The longest prefix wins, messages always win over prefixes.' })

// ---- Listeners --------------------------------------------------------------------------------

const Certificate = object({
  certFile: path('PEM file with the certificate chain. Reloaded when it changes.'),
  keyFile: path('PEM file with the private key.'),
  hosts: names('Host names this certificate answers for (*.example.com allowed). Empty: the names in the certificate.', [])
}, { description: 'A certificate and the names it serves.' })

const Listener = section({
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
    headersTimeoutMs: ms('Limit on receiving the request head.', 10_000),
    bodyIdleTimeoutMs: ms('Limit on silence while receiving a request body; then 408.', 30_000),
    keepAliveTimeoutMs: ms('How long an idle client connection is kept.', 65_000),
    maxConnections: count('Most client connections at one time.', 20_000, 1),
    maxRequestsPerConnection: count('Requests after which a client connection is closed. 0 = no limit.', 0),
    http2MaxStreams: count('Concurrent streams per HTTP/2 connection.', 128, 1)
  }, 'Limits towards clients.')
}, 'The public listener.')

const treat = (what: string) => oneOf(['remove', 'refuse', 'allow'], 'remove', `${what} From strangers: remove it, refuse the request with 400, or allow it.`)
const Edge = section({
  trustedProxies: names('Addresses or CIDR ranges of proxies in front of Postern. Only their X-Forwarded-*, Forwarded, correlation ids and trace ids are believed; everybody else is a stranger.', []),
  methodOverride: treat('X-HTTP-Method-Override as header, query key or form field.'),
  sessionHeaders: treat('X-ss-id, X-ss-pid and X-ss-opt, which win over the session cookies on ServiceStack hosts.'),
  debugKeys: treat('authsecret, debug and simulate as query key, form field or header.'),
  correlationHeader: Type.String({ default: 'x-mac-requestId', description: 'Header that carries the correlation id: made at the edge, forwarded, echoed and logged.' })
}, 'Who is believed, and what strangers may not send.')

const Admin = section({
  address: address('Where operators and probes call: /livez, /readyz, /metrics, /api.', '127.0.0.1:9901'),
  probesAddress: Type.Optional(address('A second address that serves /livez and /readyz only.'))
}, 'The admin listener. Loopback by default; it has no login.')

// ---- Registry ---------------------------------------------------------------------------------

/** How ordinary services name their messages. */
const messageNames = {
  messageTagPrefix: Type.Optional(text('Tag prefix by which ordinary services name their messages, e.g. msg- for msg-PlaceOrder.')),
  messageMetaKey: Type.String({ minLength: 1, default: 'messages', description: 'Service Meta key by which ordinary services name their messages, separated by commas or spaces.' }),
  ignoreTags: names('Tag patterns that are never message names.', [])
}

const Consul = object({
  agents: Type.Array(Type.String({ format: 'base-url', pattern: '^https?://' }), { minItems: 1, default: ['http://127.0.0.1:8500'], description: 'Agents, tried in turn.' }),
  // eslint-disable-next-line no-template-curly-in-string -- this is how it is written in YAML
  token: Type.Optional(Type.String({ minLength: 1, writeOnly: true, description: 'ACL token. Better ${env:NAME} or ${file:PATH} than the token itself.' })),
  tls: Type.Optional(object({
    caFile: Type.Optional(path('PEM file with the authorities of the agents\' certificates.')),
    certFile: Type.Optional(path('PEM file with the client certificate.')),
    keyFile: Type.Optional(path('PEM file with its private key.')),
    serverName: Type.Optional(text('Name expected in the agent\'s certificate.'))
  }, { description: 'TLS towards the agents.' })),
  datacenter: Type.Optional(text('Datacenter to read; default: the agent\'s own.')),
  stale: flag('Allows any server to answer (stale reads), so a lost leader does not stop the watch.', true),
  services: names('Consul services to watch. The discovery plugin registers everything as api.', ['api']),
  ...messageNames,
  environmentTag: Type.Optional(text('Only registrations that carry this tag are used.')),
  waitMs: ms('Longest time one blocking query waits.', 15_000, 100),
  minIntervalMs: ms('Shortest time between two queries; a storm of changes is coalesced into one read per interval.', 100, 20),
  maxBackoffMs: ms('Longest back-off after a failed query (full jitter).', 5_000, 100),
  maxAnswerBytes: bytes('Largest accepted answer of an agent.', 134_217_728, 1_048_576)
}, { description: 'Watches a Consul catalog.' })

const Registry = section({
  consul: Type.Optional(Consul),
  embedded: Type.Optional(object({
    address: address('Where services register.', '127.0.0.1:8500'),
    ...messageNames
  }, { description: 'Runs a registry of our own that speaks the part of Consul\'s HTTP API that services use. All services registered there are seen, whatever their name. A change of these settings starts it anew, with nothing registered.' })),
  file: Type.Optional(path('A services.yaml with fixed registrations, watched.')),
  allowedNetworks: names('Networks that endpoints may stand in (CIDR). Link-local and metadata addresses and Postern\'s own listeners are refused always.', ['127.0.0.0/8', '::1/128', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']),
  ask: section({
    intervalMs: ms('How often an unchecked endpoint is asked during its first minute.', 300, 50),
    maxIntervalMs: ms('How often after that.', 5_000, 100),
    timeoutMs: ms('Limit on one question.', 2_000, 50),
    concurrency: count('Questions at one time, all endpoints together.', 32, 1),
    maxAnswerBytes: bytes('Largest accepted answer.', 4_194_304, 65_536)
  }, 'How Postern asks endpoints for their own id and list of operations.'),
  panic: flag('When every endpoint of an upstream fails its checks, serve from them anyway (bounded by bulkhead and breakers) rather than refuse everybody. Endpoints in maintenance are never served.', true),
  unconfirmedMs: ms('How long endpoints that an amnesic Consul no longer names are served while they answer our own question.', 600_000, 0),
  ownerGoneMs: ms('How long no endpoint of a message\'s owner must answer before the name passes to the single other claimant.', 30_000, 0)
}, 'Where endpoints come from.')

const Log = section({
  level: oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal'], 'info', 'Least severe line that is written.'),
  destination: Type.String({ minLength: 1, format: 'path', default: 'stderr', description: 'stderr, stdout or a file path.' }),
  exchanges: flag('One line an exchange.', true),
  securityDestination: Type.Optional(path('A file of its own for the security stream (refusals). Default: the same as destination, marked "stream":"security".'))
}, 'JSON lines (pino).')

export const ConfigSchema = Type.Object({
  listener: Listener,
  admin: Admin,
  edge: Edge,
  registry: Registry,
  exposure: Exposure,
  defaults: section({ policy: Policy, bulkhead: Bulkhead, breaker: Breaker }, 'What holds unless said otherwise below.'),
  upstreams: Type.Record(Type.String(), Upstream, { default: {}, description: 'Settings per upstream, keyed by its name.' }),
  messages: Type.Record(Type.String(), Message, { default: {}, description: 'Settings per message, keyed by its name in any letter case.' }),
  prefixes: Type.Record(Type.String(), Prefix, { default: {}, description: 'Prefix routes, keyed by path pattern. Their order never matters.' }),
  log: Log,
  dataDirectory: Type.Optional(path('Where the last good table, the services\' own lists and name ownership are kept, so that a restart needs neither Consul nor questions. Left out: nothing is kept.')),
  drainMs: ms('How long a stopping gateway waits for exchanges in flight.', 30_000, 0)
}, { ...closed, $id: 'postern.schema.json', title: 'postern.yaml', description: 'Configuration of the Postern API gateway.' })

/** The whole configuration, every default filled in. Optional means "feature off", nothing else. */
export type Config = Static<typeof ConfigSchema>
export type PolicyConfig = Config['defaults']['policy']
export type BulkheadConfig = Config['defaults']['bulkhead']
export type BreakerConfig = Config['defaults']['breaker']
export type UpstreamConfig = Config['upstreams'][string]
export type MessageConfig = Config['messages'][string]
export type PrefixConfig = Config['prefixes'][string]
export type RegistryConfig = Config['registry']
export type ConsulConfig = NonNullable<RegistryConfig['consul']>
export type ListenerConfig = Config['listener']
export type EdgeConfig = Config['edge']
