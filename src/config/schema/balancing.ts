// How an upstream's calls are shared among its endpoints: the strategy per message, what holds for the endpoints whatever the strategy, and where this gateway stands.
import { Type } from 'typebox'
import { count, ms, oneOf, section, text } from './kit.ts'

export const Balancer = section({
  strategy: oneOf(['peak-ewma', 'round-robin', 'least-requests', 'weighted', 'hash'], 'peak-ewma', 'peak-ewma: of two endpoints at random, the one with the better time to the response head and fewer calls in flight. round-robin: each in turn. least-requests: of two at random, the one with fewer calls in flight. weighted: smoothly by weight alone. hash: the same endpoint for the same caller (stickTo). All of them honour weights, slow start, and what is not available.'),
  stickTo: oneOf(['session', 'client', 'header', 'cookie'], 'session', 'What strategy hash sticks to: ServiceStack\'s session (ss-pid, else ss-id, as X- header or cookie), the client\'s address, a header, or a cookie. A call that has none of it is balanced as by peak-ewma.'),
  name: Type.Optional(text('Name of the header or cookie that stickTo means.')),
  boundPercent: Type.Integer({ minimum: 101, maximum: 1_000, default: 125, description: 'With strategy hash, most calls in flight at one endpoint, in percent of the average; what is beyond goes to the next on the ring.' })
}, 'Which endpoint gets the next call.')

const balancingFields = {
  decayMs: ms('How long a measured time to the response head counts: an old one gives way to the upstream\'s typical time.', 10_000, 100),
  failurePenaltyMs: ms('What a failed attempt counts as, at least: an endpoint that fails fast must not look fast.', 5_000, 0),
  slowStartMs: ms('How long a new endpoint\'s share, or that of one that is back after a restart, grows until it is whole. 0 = whole at once. Endpoints that come together share equally from the start.', 30_000, 0),
  slowStartPercent: Type.Integer({ minimum: 1, maximum: 100, default: 10, description: 'Part of its share that a new endpoint begins with.' }),
  overprovisioningPercent: count('How much more than its part a nearer zone or datacenter can carry: with 140, calls overflow to the next one only when less than 71 % of its endpoints (by weight) are available, and then in proportion; and when it holds 140 % of its part of the calls that the upstream\'s bulkhead admits, what is beyond.', 140, 100),
  warning: oneOf(['standby', 'weighted'], 'standby', 'Endpoints whose checks warn: get calls only when no passing one is left, or always, by their Weights.Warning.')
}
export const Balancing = section(balancingFields, 'How the endpoints of each upstream share its calls.')

export const Locality = section({
  zone: Type.Optional(text('The zone this gateway stands in. Endpoints of the same zone get calls first. Left out: zones make no difference.')),
  datacenter: Type.Optional(text('The datacenter this gateway stands in. Left out: the first of registry.consul.datacenters.')),
  zoneMetaKey: Type.String({ minLength: 1, default: 'zone', description: 'Service Meta key by which a registration names its zone.' })
}, 'Where this gateway stands: the nearest healthy endpoints get calls first.')
