// The cache of this process: what is stored, what is being asked, what runs behind the clients' backs, and what is counted.
import { policyFor } from '../config/resolve.ts'
import type { Config } from '../config/schema.ts'
import type { Next } from '../exchange/compose.ts'
import type { Exchange, Policy, Route } from '../exchange/exchange.ts'
import { Background } from './background.ts'
import type { Alarm } from './entry.ts'
import { Fills } from './fills.ts'
import { judgedAnew } from './judged-anew.ts'
import { KeyMaker, targetIndex } from './key.ts'
import { LatePurges } from './late-purges.ts'
import { usableUntil } from './policy.ts'
import { type Selector } from './purge-log.ts'
import { ReadyHeads } from './ready-heads.ts'
import type { CacheRequest } from './request.ts'
import { cacheRules, type CacheRules } from './rules.ts'
import { SecondLevel, type SecondLevelConfig } from './second-level/second-level.ts'
import { SharedMessages, type SharedMessage } from './second-level/shared-messages.ts'
import { CacheStore, type Found } from './store.ts'
import type { Stored } from './stored.ts'
import { Tally } from './tally.ts'
import { indexedProperties, type Indexed } from './writes.ts'

/** What the cache tells; for log and metrics. */
export interface CacheEvents {
  /** What a service stamps on its answers: at most once a minute for a message and a kind. */
  alarm (upstream: string, message: string, alarm: Alarm): void
  /** `ofWrite`: a write made it necessary, here or at another gateway, and no operator. */
  purged (selector: Selector, soft: boolean, count: number, by: PurgedBy, ofWrite: boolean): void
  /** Whether the second level is asked. */
  secondLevel (up: boolean, reason: string): void
  /** Something could not be read or kept. */
  problem (problem: string, error: Error): void
  /** What other gateways purged cannot be known: everything stored is stale from now on. */
  missedPurges (reason: string): void
}

/** A GET of this path and query as the table in force has it; undefined where that has no route. */
export type GetOf = (target: string) => Exchange | undefined

/** `gateway`: another one, which told of it through the second level. */
export type PurgedBy = 'operator' | 'write' | 'gateway'

/** How answers under one policy are stored. */
export interface Caching {
  readonly rules: CacheRules
  readonly keys: KeyMaker
  /** Everything below the cache, with a deadline of its own. */
  readonly path: Next
}

const alarmEveryMs = 60_000

/** A GET of a message, of nobody. */
const plainRequest = ({ reader }: CacheRules): CacheRequest => reader.read({ method: 'GET', target: '/', headers: [], safe: true, routeKind: 'message', trusted: true })

export class Cache {
  readonly store: CacheStore
  readonly fills = new Fills()
  readonly heads = new ReadyHeads()
  readonly background: Background
  readonly purged: Record<PurgedBy, number> = { operator: 0, write: 0, gateway: 0 }
  readonly #cachings = new WeakMap<Policy, Caching>()
  readonly #events: CacheEvents
  readonly #getOf: GetOf
  #config: Config
  #indexed: Indexed
  #secondLevel: SecondLevel | undefined
  readonly #shared: SharedMessages
  readonly #tallies = new Map<string, Tally>()
  readonly #ofRoute = new WeakMap<Route, Tally>()
  readonly #late = new LatePurges(selector => { this.purge(selector, false, 'write') })

  constructor (config: Config, events: CacheEvents, getOf: GetOf) {
    this.store = new CacheStore(config.cache)
    this.background = new Background(config.cache.background)
    this.#config = config
    this.#indexed = indexedProperties(config)
    this.#events = events
    this.#getOf = getOf
    this.#shared = new SharedMessages(config.dataDirectory, events.problem)
    this.#secondLevel = this.#makeSecondLevel(config.cache.secondLevel)
  }

  /** Shared with other gateways; undefined where there is none. */
  get secondLevel (): SecondLevel | undefined { return this.#secondLevel }

  get tallies (): Iterable<Tally> { return this.#tallies.values() }

  /** For metrics. */
  get gauges (): { bytes: number, arriving: number, entries: number, evictions: number, purged: Record<PurgedBy, number>, secondLevel: SecondLevel | undefined, running: number, waiting: number, messages: Iterable<Tally> } {
    const { store, fills, background, purged, secondLevel } = this
    return { bytes: store.bytes, arriving: store.arriving.bytes, entries: store.size, evictions: store.evicted, purged, secondLevel, running: fills.size, waiting: background.waiting, messages: this.tallies }
  }

  /** By what stored answers must be found after a write. */
  get indexed (): Indexed { return this.#indexed }

  configure (config: Config): void {
    this.#config = config
    this.store.configure(config.cache)
    this.background.configure(config.cache.background)
    if (JSON.stringify(config.cache.secondLevel) !== JSON.stringify(this.#secondLevel?.config)) {
      void this.#secondLevel?.close()
      this.#secondLevel = this.#makeSecondLevel(config.cache.secondLevel)
    }
    const before = this.#indexed
    this.#indexed = indexedProperties(config)
    // What was stored until now could not be found by a property that counts from now on.
    for (const [message, properties] of this.#indexed) {
      if ([...properties].some(property => before.get(message)?.has(property) !== true)) this.purge({ kind: 'message', message }, false, 'operator', true)
    }
  }

  /** How answers are stored under a policy whose pipeline is built. */
  prepare (policy: Policy, correlationHeader: string, path: Next): Caching {
    const rules = cacheRules(policy.cache, correlationHeader)
    const caching = { rules, keys: new KeyMaker(rules.config), path }
    this.#cachings.set(policy, caching)
    return caching
  }

  /** The same, for what is stored without a client's asking. */
  cachingOf (policy: Policy): Caching | undefined { return this.#cachings.get(policy) }

  /** By what everything that is stored for a URL is found: as it is written, and as a client's GET of it would be stored. `target`: path and query. */
  targetsOf (target: string): readonly string[] {
    const exchange = this.#getOf(target)
    const keys = exchange === undefined ? undefined : this.cachingOf(exchange.route.policy)?.keys
    const written = targetIndex(target)
    const stored = keys === undefined ? written : targetIndex(keys.target(exchange!))
    return stored === written ? [written] : [written, stored]
  }

  /** Counts of a route's message: the same over swaps of the table. */
  tallyOf (route: Route): Tally {
    let tally = this.#ofRoute.get(route)
    if (tally !== undefined) return tally
    const key = `${route.upstream.name}\n${route.name}`
    tally = this.#tallies.get(key)
    if (tally === undefined) this.#tallies.set(key, tally = new Tally(route.upstream.name, route.name))
    this.#ofRoute.set(route, tally)
    return tally
  }

  /** A message left the table: its counts go. What is stored of it stays as long as it may be used. */
  forget (upstream: string, message: string): void {
    this.#tallies.delete(`${upstream}\n${message}`)
  }

  /** The stored answer that a request selects, on the terms of the settings in force. */
  find (key: string, request: CacheRequest, rules: CacheRules): Found {
    const found = this.store.find(key, request.headers)
    if (typeof found === 'string' || found.guard.judgedBy === rules.guard.judgedBy) return found
    const anew = judgedAnew(found, request, rules)
    this.store.remove(found)
    if (anew === undefined) return 'uri-miss'
    this.store.put(anew)
    return anew
  }

  /** Messages of which the second level has answers, as far as this gateway saw it, also before it was started. */
  get sharedMessages (): Iterable<SharedMessage> { return this.#secondLevel === undefined ? [] : this.#shared.all() }

  /** Until when something of a message may be given out with nobody to ask. Since the epoch; 0 = nothing. */
  storedUntil (upstream: string, message: string): number {
    let untilMs = this.#secondLevel === undefined ? 0 : this.#shared.until(upstream, message)
    let rules: CacheRules | undefined
    for (const stored of this.store.of(upstream, message)) {
      rules ??= cacheRules(policyFor(this.#config, upstream, message.toLowerCase()).cache, this.#config.edge.correlationHeader)
      const terms = stored.guard.judgedBy === rules.guard.judgedBy ? stored.terms : judgedAnew(stored, plainRequest(rules), rules)?.terms
      if (terms !== undefined) untilMs = Math.max(untilMs, usableUntil(terms))
    }
    return untilMs
  }

  alarm (tally: Tally, alarms: readonly Alarm[]): void {
    const nowMs = Date.now()
    for (const alarm of alarms) {
      if (nowMs - (tally.alarmedAtMs.get(alarm.kind) ?? 0) < alarmEveryMs) continue
      tally.alarmedAtMs.set(alarm.kind, nowMs)
      tally.alarms.set(alarm.kind, (tally.alarms.get(alarm.kind) ?? 0) + 1)
      this.#events.alarm(tally.upstream, tally.message, alarm)
    }
  }

  /** Settles when other gateways, too, have nothing any more of what was purged after `since` purges, or after a bound. undefined: nobody need be waited for. */
  confirmed (since: number): Promise<void> | undefined {
    return this.store.purges.count === since ? undefined : this.#secondLevel?.confirmed()
  }

  /** Removes what is meant, or makes it stale from now on; what is being asked for is not stored. How many entries it was. */
  purge (selector: Selector, soft: boolean, by: PurgedBy, ofWrite = by === 'write'): number {
    if (by !== 'gateway') this.#secondLevel?.purge({ selector, soft, ...ofWrite ? { write: true } : {} })
    if (!soft) this.#shared.forget(selector)
    this.fills.purge(selector)
    const purged: Stored[] = []
    const count = this.store.purge(selector, soft, Date.now(), stored => { if (stored.again !== undefined) purged.push(stored) })
    for (const stored of purged) stored.again?.ask(stored)
    this.purged[by] += count
    this.#events.purged(selector, soft, count, by, ofWrite)
    return count
  }

  /** The same for a write that may yet come to its end; unless the process ends before. */
  purgeLater (selector: Selector, inMs: number): void {
    this.#late.add(selector, inMs)
  }

  /** What was shared before the start. */
  async load (): Promise<void> {
    await this.#shared.load()
  }

  async close (): Promise<void> {
    this.background.close()
    this.#late.close()
    await this.#secondLevel?.close()
    await this.#shared.close()
  }

  #makeSecondLevel (config: SecondLevelConfig | undefined): SecondLevel | undefined {
    if (config === undefined) return undefined
    const second = new SecondLevel(config, {
      purged: ({ selector, soft, write = false }) => this.purge(selector, soft, 'gateway', write),
      missedPurges: reason => {
        if (this.purge({ kind: 'all' }, true, 'gateway') > 0) this.#events.missedPurges(reason)
      },
      shared: ({ upstream, message }, untilMs) => { this.#shared.note(upstream, message, untilMs) },
      state: (up, reason) => this.#events.secondLevel(up, reason)
    })
    second.start()
    return second
  }
}
