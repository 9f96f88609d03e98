// How the cache works: its memory and what it asks of origins by itself; and per message, how it collapses, hides and empties.
import { Type } from 'typebox'
import { bytes, count, ms, section } from './kit.ts'

/** Part of a policy, beside `cache.ts`. */
export const cacheWorkFields = {
  collapseWaitMs: ms('Concurrent requests for an answer that is not stored wait for one request to the origin. Whoever waits so long looks again, and asks himself if need be.', 5_000),
  hitForMissMs: ms('After an answer proved not to be storable, requests for the same key do not wait for each other for so long. 0 = they always do.', 10_000, 0)
}

export const CacheMemory = section({
  maxBytes: bytes('Memory for stored answers, heads and keys counted.', 134_217_728, 1_048_576),
  maxEntries: count('Most stored answers.', 100_000, 16),
  maxEntryBytes: bytes('Largest answer that is stored; larger ones are streamed only.', 8_388_608, 1_024),
  messageSharePercent: Type.Integer({ minimum: 1, maximum: 100, default: 50, description: 'What one message may take of maxBytes and maxEntries: a flood of different queries pushes out its own answers first, and no others.' }),
  background: section({
    concurrency: count('Requests at one time.', 4, 1),
    perSecond: count('Requests begun in a second.', 50, 1),
    queue: count('Requests that wait for their turn; beyond that they are left to the next client that asks.', 1_000, 1)
  }, 'What the cache asks of each upstream by itself (refreshing behind a client\'s back, ahead of the end, after a purge). Losing the whole cache under load never exceeds it.')
}, 'The cache of this process. What is stored, and how long, is part of the policy.')
