// What the cache counts of one message: plain numbers, read when somebody asks.
import type { Forwarded } from './entry.ts'
import type { NotKept } from './fill-result.ts'

/** What became of a request: from memory, past its end, with somebody else's answer, from the origin, or without the cache. */
export type CacheResult = 'hit' | 'stale' | 'collapsed' | 'miss' | 'pass'
export const cacheResults = ['hit', 'stale', 'collapsed', 'miss', 'pass'] as const satisfies readonly CacheResult[]

/** Answers in a row that could not be stored, after which requests of the message do not wait for each other any more. */
const hopelessAfter = 32

export class Tally {
  readonly upstream: string
  readonly message: string
  readonly results: Record<CacheResult, number> = { hit: 0, stale: 0, collapsed: 0, miss: 0, pass: 0 }
  /** Why requests went to the origin. */
  readonly forwarded = new Map<Forwarded, number>()
  /** Why answers were not stored. */
  readonly notStored = new Map<NotKept, number>()
  /** Answers in a row that could not be stored and likely never can; the next storable one begins anew. */
  notStoredInARow = 0
  /** Headers of a client's own by which its answers vary: the service is told them (`ForAll.tell`). */
  readonly told = new Set<string>()
  /** By kind. */
  readonly alarms = new Map<string, number>()
  /** Date.now() of the last alarm of a kind. */
  readonly alarmedAtMs = new Map<string, number>()

  constructor (upstream: string, message: string) {
    this.upstream = upstream
    this.message = message
  }

  get isHopeless (): boolean { return this.notStoredInARow >= hopelessAfter }

  forward (why: Forwarded): void {
    this.forwarded.set(why, (this.forwarded.get(why) ?? 0) + 1)
  }

  refuse (reason: NotKept): void {
    this.notStored.set(reason, (this.notStored.get(reason) ?? 0) + 1)
  }
}
