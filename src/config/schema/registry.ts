// Where endpoints come from, and how Postern asks them.
import { Type } from 'typebox'
import { address, bytes, count, flag, ms, names, object, oneOf, path, section, text } from './kit.ts'

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
  datacenters: names('Several datacenters to watch in place of one, each through the same agents; nearest first. When the nearest lacks healthy endpoints, calls go to the next.', []),
  datacenterOrder: oneOf(['list', 'coordinates'], 'list', 'Which datacenter is the next nearest: as listed, or by Consul\'s network coordinates. The gateway\'s own (locality.datacenter, else the first listed) always comes first.'),
  coordinatesMs: ms('How often Consul\'s network coordinates are read: the first guess of how far an endpoint is. 0 = never.', 300_000, 0),
  stale: flag('Allows any server to answer (stale reads), so a lost leader does not stop the watch.', true),
  services: names('Consul services to watch. The discovery plugin registers everything as api.', ['api']),
  ...messageNames,
  environmentTag: Type.Optional(text('Only registrations that carry this tag are used.')),
  waitMs: ms('Longest time one blocking query waits.', 15_000, 100),
  minIntervalMs: ms('Shortest time between two queries; a storm of changes is coalesced into one read per interval.', 100, 20),
  maxBackoffMs: ms('Longest back-off after a failed query (full jitter).', 5_000, 100),
  maxAnswerBytes: bytes('Largest accepted answer of an agent.', 134_217_728, 1_048_576)
}, { description: 'Watches a Consul catalog.' })

export const Registry = section({
  consul: Type.Optional(Consul),
  embedded: Type.Optional(object({
    address: address('Where services register.', '127.0.0.1:8500'),
    ...messageNames
  }, { description: 'Runs a registry of our own that speaks the part of Consul\'s HTTP API that services use. All services registered there are seen, whatever their name. A change of these settings starts it anew, with nothing registered.' })),
  file: Type.Optional(path('A services.yaml with fixed registrations, watched. What may stand in it: config/services.example.yaml, and OPERATIONS.md (Services in a file).')),
  allowedNetworks: names('Networks that endpoints may stand in (CIDR), and checks of the embedded registry go to. Link-local and metadata addresses and Postern\'s own listeners are refused always.', ['127.0.0.0/8', '::1/128', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']),
  nameServers: names('DNS servers that host names of endpoints are asked of (ADDRESS or ADDRESS:PORT, e.g. 127.0.0.1:8600 for Consul\'s). Default: the system\'s. The next is asked when one is silent or fails; the first to answer is believed, so all should say the same. What they do not know is looked up as the system does it. Answers hold for their TTL, between 1 and 300 s; a name whose endpoint cannot be connected to is asked again every 5 s.', []),
  ask: section({
    intervalMs: ms('How often an unchecked endpoint is asked during its first minute.', 300, 50),
    maxIntervalMs: ms('How often after that.', 5_000, 100),
    timeoutMs: ms('Limit on one question.', 2_000, 50),
    concurrency: count('Questions at one time, all endpoints together. Connects that take longer than 100 ms do not count, up to 16 times as many.', 32, 1),
    maxAnswerBytes: bytes('Largest accepted answer.', 4_194_304, 65_536)
  }, 'How Postern asks endpoints for their own id and list of operations.'),
  panic: flag('When every endpoint of an upstream fails its checks, serve from them anyway (bounded by bulkhead and breakers) rather than refuse everybody. Endpoints in maintenance are never served.', true),
  unconfirmedMs: ms('How long endpoints that an amnesic Consul no longer names are served while they answer our own question.', 600_000, 0),
  ownerGoneMs: ms('How long no endpoint of a message\'s owner must answer before the name passes to the single other claimant (one that takes connections is slow, and no more, while its checks pass or calls are answered); how long names that passed to a newer service with all of them, because the owner refuses connections, go back to it when it is there again; and how long, where nobody remembers an owner, the list of who was registered first is waited for.', 30_000, 0)
}, 'Where endpoints come from.')
