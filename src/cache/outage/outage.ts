// Outage copies: each chosen request is fetched on a schedule, kept in memory and on disk, and found when nothing else is left to give.
import type { Config } from '../../config/schema.ts'
import { policyFor } from '../../config/resolve.ts'
import { GatewayError } from '../../exchange/errors.ts'
import { currentAgeS } from '../freshness.ts'
import { PurgeLog, type Selector } from '../purge-log.ts'
import type { Frame } from '../second-level/frame.ts'
import { CopyBook, isMessage } from './copy-book.ts'
import { CopyFiles } from './copy-files.ts'
import { copyOf, copyRules, frameOf, originOf, plainRequest, type Copy } from './copy.ts'
import { fetchCopy, NoCopy, type FetchParts, type FetchResult } from './fetch.ts'
import { Schedule, type Task } from './schedule.ts'
import { wantedOf, type Wanted } from './wanted.ts'

export interface OutageOptions extends Pick<FetchParts, 'config' | 'cache' | 'get'> {
  /** What the table in force says of a message; undefined = it is not there. */
  readonly stateOf: (key: string) => 'routed' | 'hidden' | 'unread' | undefined
  readonly events: OutageEvents
}

export interface OutageEvents {
  /** A request could not be fetched, although the last time it could. */
  failed (target: string, reason: string): void
  recovered (target: string): void
  /** Of the disk. */
  problem (problem: string, error: Error): void
}

/** A message of which there are copies, and until when those may be given out. */
export interface CopiedMessage {
  /** Lower-case. */
  readonly key: string
  readonly name: string
  readonly upstream: string
  /** Since the epoch. */
  readonly untilMs: number
}

/** What another table may cure. */
const waitsForTable: ReadonlySet<string> = new Set(['MessageNotFound', 'RoutesNotReady', 'NoEndpoint'])

export class Outage {
  readonly fetches: Record<FetchResult, number> = { kept: 0, refused: 0, failed: 0 }
  /** Copies given out. */
  readonly given = new Map<string, { readonly upstream: string, readonly message: string, count: number }>()
  readonly #options: OutageOptions
  readonly #book: CopyBook
  readonly #files: CopyFiles
  readonly #schedule = new Schedule(task => this.#offer(task))
  /** What was purged while something was being fetched. */
  readonly #purges = new PurgeLog()
  #config: Config

  constructor (options: OutageOptions) {
    const { config, events } = options
    this.#options = options
    this.#config = config
    const wanted = wantedOf(config)
    this.#book = new CopyBook(config, wanted)
    this.#files = new CopyFiles(config.dataDirectory, events.problem)
    this.#schedule.configure(wanted)
  }

  get bytes (): number { return this.#book.bytes }
  get held (): number { return this.#book.size }
  get missing (): number { return this.#schedule.size - this.#book.size }
  /** Age of the oldest copy in seconds; undefined where there is none. */
  get oldestAgeS (): number | undefined {
    let bornAtMs = Infinity
    for (const { stored: { terms } } of this.#book.all) bornAtMs = Math.min(bornAtMs, terms.bornAtMs)
    return bornAtMs === Infinity ? undefined : currentAgeS(bornAtMs, Date.now())
  }

  /** Whether what is on disk is what is in memory. */
  get onDisk (): boolean { return this.#files.inStep }

  /** Of each request: its copy, and what went wrong the last time. */
  * described (): Generator<{ readonly wanted: Wanted, readonly copy: Copy | undefined, readonly failure: Task['failure'] }> {
    for (const { wanted, failure } of this.#schedule.tasks) yield { wanted, copy: this.#book.of(wanted.id), failure }
  }

  /** What was kept on disk, as far as it is still wanted and not too old. */
  async load (): Promise<void> {
    const frames = await this.#files.load(this.#schedule.ids, this.#options.cache.store.limits.maxEntryBytes)
    for (const frame of frames) this.#restore(frame)
  }

  /** From now on requests are fetched. */
  start (): void {
    this.#schedule.start()
  }

  /** Another configuration is in force. */
  configure (config: Config): void {
    this.#config = config
    const wanted = wantedOf(config)
    for (const id of this.#book.configure(config, wanted)) this.#files.remove(id)
    this.#schedule.configure(wanted)
  }

  /** Another table is in force: what could not be asked perhaps can; copies of what is hidden go (decisions 5.4). */
  swapped (): void {
    for (const task of this.#schedule.tasks) {
      const { wanted: { id, key }, failure } = task
      if (this.#book.of(id) !== undefined && isMessage(key) && this.#options.stateOf(key) === 'hidden') this.#drop(id)
      if (failure !== undefined && waitsForTable.has(failure.reason)) this.#schedule.hasten(task)
    }
  }

  /** The copy for a request; see `CopyBook.find`. */
  find (upstream: string, meaning: string, host: string): Copy | undefined {
    return this.#book.find(upstream, meaning, host)
  }

  count ({ stored: { place: { upstream, message } } }: Copy): void {
    const key = `${upstream}\n${message}`
    const given = this.given.get(key)
    if (given === undefined) this.given.set(key, { upstream, message, count: 1 })
    else given.count++
  }

  /** Those that have copies. */
  messages (): Iterable<CopiedMessage> {
    const messages = new Map<string, CopiedMessage>()
    for (const copy of this.#book.all) {
      const { key } = this.#schedule.of(copy.id)!.wanted
      const { upstream, message: name } = copy.stored.place
      const untilMs = this.#book.usableUntilMs(copy)
      if (isMessage(key) && untilMs > (messages.get(key)?.untilMs ?? 0)) messages.set(key, { key, name, upstream, untilMs })
    }
    return messages.values()
  }

  /** As `Cache.storedUntil`. */
  storedUntil (upstream: string, message: string): number {
    let untilMs = 0
    for (const copy of this.#book.ofMessage(upstream, message)) untilMs = Math.max(untilMs, this.#book.usableUntilMs(copy))
    return untilMs
  }

  /** What was purged hard is wrong also in an outage: it goes, and is fetched anew at once. How many copies it was. */
  purge (selector: Selector): number {
    this.#purges.add(selector)
    const meant = this.#book.meant(selector)
    for (const { id } of meant) {
      this.#drop(id)
      const task = this.#schedule.of(id)
      if (task !== undefined) this.#schedule.hasten(task)
    }
    return meant.length
  }

  async close (): Promise<void> {
    this.#schedule.close()
    await this.#files.close()
  }

  #drop (id: string): void {
    this.#book.remove(id)
    this.#files.remove(id)
  }

  #restore (frame: Frame): void {
    const origin = originOf(frame)
    const task = origin === undefined ? undefined : this.#schedule.of(origin.id)
    if (origin === undefined || task === undefined) return
    const { key } = task.wanted
    const { cache } = policyFor(this.#config, origin.upstream, key)
    const rules = copyRules(cache, this.#config.edge.correlationHeader)
    const { status, reason, headers, requestAtMs, responseAtMs, body, endpointUrl } = frame
    const request = plainRequest(rules, origin.sent, isMessage(key) ? 'message' : 'prefix', [])
    const copy = copyOf(origin, request, { head: { status, reason, headers, requestAtMs, responseAtMs }, body, endpointUrl }, rules, frame)
    const nowMs = Date.now()
    if ('refused' in copy || nowMs > copy.stored.terms.bornAtMs + cache.outage.maxAgeMs || !this.#book.put(copy)) this.#files.remove(origin.id)
    else this.#schedule.resume(task, cache.outage.everyMs, nowMs - responseAtMs)
  }

  /** Its turn comes among whatever else the cache asks of that upstream by itself. */
  #offer (task: Task): void {
    const { wanted: { id, target, host } } = task
    const { get, cache: { background } } = this.#options
    try {
      const { upstream } = get(target, host)
      if (!background.offer(upstream.name, `outage ${id}`, () => this.#fetch(task))) throw new NoCopy('too much waits already in cache.background', 'failed')
    } catch (error) {
      this.#failed(task, error)
      this.#schedule.over(task)
    }
  }

  /** Never rejects. */
  async #fetch (task: Task): Promise<void> {
    const { wanted } = task
    try {
      const { copy, everyMs } = await fetchCopy(wanted, { ...this.#options, config: this.#config, purges: this.#purges })
      if (!this.#schedule.has(task)) return
      if (!this.#book.put(copy)) throw new NoCopy('cache.outageMaxBytes is used up', 'refused')
      this.#files.write(wanted.id, frameOf(copy, Date.now()))
      this.fetches.kept++
      if (task.failures > 0) this.#options.events.recovered(wanted.target)
      this.#schedule.succeeded(task, everyMs)
    } catch (error) {
      this.#failed(task, error)
    } finally {
      this.#schedule.over(task)
    }
  }

  #failed (task: Task, error: unknown): void {
    const { id, key, target } = task.wanted
    if (!this.#schedule.has(task)) return
    const reason = error instanceof GatewayError ? error.code : error instanceof Error ? error.message : String(error)
    this.fetches[error instanceof NoCopy ? error.result : 'failed']++
    if (task.failures === 0) this.#options.events.failed(target, reason)
    const copy = this.#book.of(id)
    const { everyMs } = policyFor(this.#config, copy?.stored.place.upstream ?? '', key).cache.outage
    this.#schedule.failed(task, everyMs, reason)
    if (copy !== undefined && this.#book.usableUntilMs(copy) < Date.now()) this.#drop(id)
  }
}
