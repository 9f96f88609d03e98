// The cache's part of a policy, made ready to decide by: once per pipeline. Pure.
import type { PolicyConfig } from '../config/schema.ts'
import { ForAll } from './for-all.ts'
import type { GuardRules } from './guard.ts'
import { RequestReader } from './request.ts'

export type CacheConfig = PolicyConfig['cache']

/** Settings that say on which terms a stored answer may be given out, and nothing of whose it is: where they change, it is judged anew by its head. */
export const ofTerms: ReadonlySet<string> = new Set(['mode', 'lifetimes', 'negativeStatuses', 'heuristic', 'heuristicMaxMs', 'stale', 'guard', 'purgeTagHeaders'] satisfies Array<keyof CacheConfig>)

export interface CacheRules {
  readonly config: CacheConfig
  readonly reader: RequestReader
  readonly forAll: ForAll
  /** Lifetimes of the operator's own, by status. Milliseconds. */
  readonly ownLifetimes: ReadonlyMap<number, number>
  /** Methods whose answers may be reused; HEAD is answered from GET's. */
  readonly methods: ReadonlySet<string>
  /** Lower-case. */
  readonly tagHeaders: readonly string[]
  /** Holds also with mode off: what leaves goes through it whether anything is stored or not. */
  readonly guard: GuardRules
}

/** `correlationHeader`: the gateway's own, on which no answer depends. */
export function cacheRules (config: CacheConfig, correlationHeader: string): CacheRules {
  const lower = (names: readonly string[]) => names.map(name => name.toLowerCase())
  const tagHeaders = lower(config.tagHeaders)
  const judgedBy = JSON.stringify(Object.entries(config).filter(([name]) => ofTerms.has(name)))
  return {
    config,
    reader: new RequestReader(config, correlationHeader),
    forAll: new ForAll(config, correlationHeader),
    ownLifetimes: ownLifetimes(config),
    methods: new Set(['GET', 'HEAD', ...config.methods]),
    tagHeaders,
    guard: { maxClientMs: config.guard.maxClientMs, clientMs: config.guard.clientMs, tagHeaders: [...tagHeaders, ...lower(config.purgeTagHeaders)], judgedBy }
  }
}

function ownLifetimes ({ lifetimes: { successMs, redirectMs, negativeMs }, negativeStatuses }: CacheConfig): Map<number, number> {
  const own = new Map<number, number>()
  const give = (statuses: readonly number[], ms: number) => { if (ms > 0) for (const status of statuses) own.set(status, ms) }
  give([200, 203, 204], successMs)
  give([300, 301, 302, 303, 307, 308], redirectMs)
  give(negativeStatuses, negativeMs)
  return own
}
