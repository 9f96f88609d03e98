// How the cache works: its memory and what it asks of origins by itself; and per message, how it collapses, hides and empties.
import { Type } from 'typebox'
import { bytes, count, flag, ms, names, object, oneOf, section, text } from './kit.ts'

/** Part of a policy, beside `cache.ts`. */
export const cacheWorkFields = {
  collapseWaitMs: ms('Concurrent requests for an answer that is not stored wait for one request to the origin, nobody longer than his own deadline. Each time that it takes so long, or as soon as a breaker counts it as too slow (messageBreaker.slowCallFactor and slowCallMs: ten times as long as the message normally takes, and no less than 1 s), one of those who wait asks as well; whichever is answered first is for all of them.', 5_000),
  invalidates: Type.Array(object({
    message: text('The message whose stored answers are wrong after this one succeeded.'),
    property: Type.Optional(text('The property of its requests that says which of them. Left out: all of its answers.')),
    from: Type.Optional(Type.String({ pattern: '^(?:request|response)\\..+$', description: 'Where the value stands: request.NAME (query, form or JSON body) or response.NAME (JSON body). Default: the property of the same name in the request. Where it is not found, all answers of the message go; and so does each that was asked for with the property where it cannot be read (in a RESTful path, XML or JSV). A list of values is none: all answers of the message go.' }))
  }, { description: 'What is wrong after a write.' }), { default: [], description: 'What the success of this message makes wrong of other messages\' stored answers, so that nobody reads his own write stale. Its own URL, and what Location and Content-Location name, go always (RFC 9111 section 4.4). A message with such a list of its own writes: where neither its effect nor a marker says otherwise it is unsafe, by GET too. While response.NAME is looked for, an answer of up to 64 KB waits for its end.' }),
  hideOrigin: oneOf(['no', 'busy', 'accepted'], 'no', 'No request of a client reaches the service for what may be stored: what is not here is answered 503 (busy) or 202 (accepted) with Retry-After, and asked for in the background. What proves not to be storable is answered 503 (AnswerNotStorable) without asking for hitForMissMs; so is always a GET that only the service could answer (If-Match, If-Unmodified-Since, a body). With identity.mode pass that is what callers with an identity get, unless the service says public or s-maxage: for answers of their own it takes perIdentity. A client that says no-cache is answered so too, though an answer is stored: clientDirectives: nobody does not heed it. Of a message it holds by a prefix that leads to it, too.'),
  refreshAhead: section({
    percent: Type.Integer({ minimum: 0, maximum: 90, default: 0, description: 'Asks anew in the background when so much of the lifetime is left, so that popular answers never end. 0 = off.' }),
    minHits: count('Answers that were asked for less often just end.', 3, 1)
  }, 'Refreshing ahead of the end, by popularity.'),
  refillAfterPurge: flag('What is purged, hard or soft, although it was asked for refreshAhead.minHits times is asked for again at once, in the background.', false),
  purgeTagHeaders: names('Headers of a successful write\'s answer that name tags to purge. They do not leave the gateway.', ['Purge-Tag']),
  hitForMissMs: ms('After an answer proved not to be storable, requests for the same key do not wait for each other for so long. 0 = they always do.', 10_000, 0)
}

const secondLevel = object({
  url: Type.String({ pattern: '^rediss?://[^\\s/]+(?:/\\d+)?$', description: 'redis://HOST:PORT/DATABASE, or rediss:// for TLS (certificates as Node trusts them: NODE_EXTRA_CA_CERTS for an authority of your own). A user name may stand in it: redis://USER@HOST.' }),
  password: Type.Optional(text('Its password, best kept outside this file (secrets).')),
  prefix: Type.String({ maxLength: 64, default: 'postern:', description: 'What all keys begin with. Gateways that share answers and purges have the same.' }),
  timeoutMs: ms('Longest wait for an answer of the server, and so the most that its slowness adds to any call. After three failures in a row it is not asked at all until it answers again.', 20),
  confirmMs: ms('A write that makes stored answers wrong is answered when every other gateway has dropped them, so that whoever writes through one and reads through another gets what he wrote; longest wait for that, and so the most that a gateway which hangs adds to a write. Mostly it takes a few milliseconds. Where the server is away, or no other gateway is there, nobody waits. 0 = never.', 50, 0),
  maxEntryBytes: bytes('Largest body that is shared.', 1_048_576, 1_024)
}, { description: 'A Valkey or Redis server in which gateways share stored answers, and by which a purge at one reaches all. Whoever can read it can read the answers. Left out: none; the memory of this process is all there is.' })

export const CacheMemory = section({
  maxBytes: bytes('Memory for stored answers, heads and keys counted: no more than is counted is really taken.', 134_217_728, 1_048_576),
  maxEntries: count('Most stored answers.', 100_000, 16),
  maxEntryBytes: bytes('Largest answer that is stored; larger ones are streamed only. Of several clients who read one that comes without Content-Length, and proves to be larger, all go on at the pace of the slowest; who takes nothing for bodyIdleTimeoutMs is cut.', 8_388_608, 1_024),
  maxArrivingBytes: bytes('Memory for bodies that are still arriving and are to be stored, all together; what a slow client who reads along has not read counts until he has. One that does not fit is streamed only, and whoever waits for the same answer asks by himself.', 67_108_864, 1_024),
  messageSharePercent: Type.Integer({ minimum: 1, maximum: 100, default: 50, description: 'What one message may take of maxBytes and maxEntries: a flood of different queries pushes out its own answers first, and no others.' }),
  outageMaxBytes: bytes('Memory, and space on disk, for the outage copies of all messages. A copy that does not fit is not kept, and said so.', 67_108_864, 1_024),
  secondLevel: Type.Optional(secondLevel),
  background: section({
    concurrency: count('Requests at one time.', 4, 1),
    perSecond: count('Requests begun in a second.', 50, 1),
    queue: count('Requests that wait for their turn; beyond that they are left to the next client that asks.', 1_000, 1)
  }, 'What the cache asks of each upstream by itself (refreshing behind a client\'s back, ahead of the end, after a purge). Losing the whole cache under load never exceeds it.')
}, 'The cache of this process. What is stored, and how long, is part of the policy.')
