// What is routed where, and who may call it: exposure, upstreams, messages, prefixes.
import { Type } from 'typebox'
import { Balancing } from './balancing.ts'
import { flag, names, object, optional, path, section, text } from './kit.ts'
import { Breaker, Outliers } from './breaker.ts'
import { Bulkhead, policyFields } from './policy.ts'
import { RetryBudget } from './repeat.ts'

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
export const Exposure = section({
  ...exposureFields,
  fallback: Type.Optional(text('Upstream that gets the messages nobody knows (the strangler pattern). Only names that no registration, list, restriction or vanished service has ever claimed; those are remembered in dataDirectory; and only those that expose and hide (its own, else these) let out: the others are 404 as what does not exist, also below a prefix that leads to it. So a hidden name (404) can be told from one that nobody has (which that upstream answers). What it is sent waits (503) as paths of a prefix do until it is known what it is and what it lists; a ServiceStack host that publishes no list gets it only with trustTags.')),
  suggest: flag('Whether the answer to an unknown message may name the nearest existing ones that may be seen.', false)
}, 'Which messages may be called from outside. What is hidden answers exactly like what does not exist.')

export const Upstream = object({
  endpoints: Type.Optional(Type.Array(Type.String({ format: 'base-url', pattern: '^https?://' }), { minItems: 1, description: 'Fixed base URLs of this upstream. Left out for what the registry lists.' })),
  ...optional(exposureFields),
  trustTags: flag('Routes what the tags of a registration name, although the service publishes no list of operations. Restricted messages can then not be told apart.', false),
  customRoutes: flag('Also routes the RESTful paths of the service\'s own list (/products/{Id}), verbs as listed.', false),
  preserveHost: flag('Sends the client\'s Host header on instead of the endpoint\'s authority.', false),
  servicestack: Type.Optional(Type.Boolean({ description: 'What its endpoints are, for as long as none of them has said it: ServiceStack hosts, or others. Left out: nobody knows until one has answered /operations/metadata below 500. Until then what postern.yaml sends there (prefixes, messages.X.upstream without expose: true, exposure.fallback) is answered 503.' })),
  livenessPath: Type.Optional(Type.String({ pattern: '^/', description: 'Path asked of an endpoint that no registry calls a ServiceStack host: any complete answer below 500 counts. Default: /' })),
  tls: Type.Optional(UpstreamTls),
  bulkhead: Type.Optional(object(optional(Bulkhead.properties), { description: 'In place of defaults.bulkhead.' })),
  breaker: Type.Optional(object(optional(Breaker.properties), { description: 'In place of defaults.breaker.' })),
  outliers: Type.Optional(object(optional(Outliers.properties), { description: 'In place of defaults.outliers.' })),
  retryBudget: Type.Optional(object(optional(RetryBudget.properties), { description: 'In place of defaults.retryBudget.' })),
  balancing: Type.Optional(object(optional(Balancing.properties), { description: 'In place of defaults.balancing.' })),
  policy: Type.Optional(object(optional(policyFields), { description: 'In place of defaults.policy.' }))
}, { description: 'An upstream: a ServiceStack AppHost\'s service name, a Consul service, or a fixed list of endpoints.' })

export const Message = object({
  upstream: Type.Optional(text('The upstream that answers this message. Needed for built-in messages that no registry lists (Authenticate, GetAccessToken); for others it settles a conflict. Answered 503 until it is known whether that upstream restricts it, and where its own list does not have it.')),
  expose: Type.Optional(Type.Boolean({ description: 'Decides exposure of this message, over every pattern and over the service\'s own restriction.' })),
  policy: Type.Optional(object(optional(policyFields), { description: 'In place of the upstream\'s policy.' }))
}, { description: 'Settings of one message.' })

export const Prefix = object({
  upstream: text('The upstream that gets these requests.'),
  rewrite: Type.Optional(Type.String({ pattern: '^/', description: 'What the prefix is replaced by. In Location and Content-Location that are relative or name the endpoint that answered the prefix is put back; Path of cookies and links within bodies stay as the service wrote them. Left out: the path is sent as it came.' })),
  websocket: flag('Whether WebSocket upgrades pass.', true),
  policy: Type.Optional(object(optional(policyFields), { description: 'In place of the upstream\'s policy.' }))
}, { description: 'A prefix route, for what is not a message. Key: a path ending in /*. The longest prefix wins, messages always win over prefixes. A message form begins with a format (json, xml …) or api: below any other first segment reply and oneway are words like others. A path below it that a ServiceStack host would read as a message or as the discovery plugin\'s (…/reply/X, …/api/X, …/discovery/services), or that is in its list as a RESTful path, is passed to such hosts only for what is routed to that upstream. While the list of such a host is not read yet, all its paths answer 503; where it publishes none, or more than is taken in (20,000 operations and as many paths, 64 paths of one, 1,024 characters of a path, 256 of a name), 404, unless trustTags is on. Of several endpoints only those get such paths that have told their whole list, as soon as one has. Other pages of such a host do pass: /* reaches its /metadata and /operations/metadata, which name its messages. Before an endpoint of an upstream has said what it is, all its paths answer 503 RoutesNotReady too: it is asked at once, and any answer of /operations/metadata below 500 says it; so do, without asking, a registration of the discovery plugin, servicestack: true in a services file, and upstreams.NAME.servicestack.' })
