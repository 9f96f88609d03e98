// The second level of the cache: answers shared by all gateways in a Valkey or Redis server. Asked for a bounded time, or not at all.
import { randomUUID } from 'node:crypto'
import type { Config } from '../../config/schema.ts'
import { guarded, type GuardRules } from '../guard.ts'
import { mayStore, usableUntil } from '../policy.ts'
import type { CacheRequest } from '../request.ts'
import type { CacheRules } from '../rules.ts'
import { keptBody, Stored, type Draft, type Place } from '../stored.ts'
import { variantOf } from '../vary.ts'
import { Circuit } from './circuit.ts'
import { decodeValue, digestOf, type Frame } from './frame.ts'
import { Link, TimedOut, within } from './link.ts'
import { PurgeStream } from './purge-stream.ts'
import type { Outgoing } from './purges.ts'
import { WriteQueue } from './write-queue.ts'

export type SecondLevelConfig = NonNullable<Config['cache']['secondLevel']>

/** How questions ended. `purged`: found, and from before a purge. `wrong`: what was found is no answer of ours. `skipped`: not asked. */
export type ReadResult = 'hit' | 'miss' | 'purged' | 'wrong' | 'timeout' | 'error' | 'skipped'

export interface SecondLevelEvents {
  /** Another gateway purged. */
  purged (purge: Outgoing): void
  /** What others purged cannot be known: everything counts as stale. */
  missedPurges (reason: string): void
  /** It has an answer here, which may be given out until then with nobody to ask. Since the epoch. */
  shared (place: Place, untilMs: number): void
  /** Whether it is asked. */
  state (up: boolean, reason: string): void
}

/** On whose behalf it is asked. */
export interface Wanted {
  readonly place: Place
  readonly request: CacheRequest
  readonly rules: CacheRules
  readonly guard: GuardRules
  readonly again: Draft['again']
}

/** Questions at one time: those that nobody waits for any more count until they are answered. */
const mostReads = 256
/** The server has so long to answer when it is tried again. */
const tryMs = 1_000

export class SecondLevel {
  readonly config: SecondLevelConfig
  readonly reads: Record<ReadResult, number> = { hit: 0, miss: 0, purged: 0, wrong: 0, timeout: 0, error: 0, skipped: 0 }
  bytesRead = 0
  readonly writes: WriteQueue
  readonly #events: SecondLevelEvents
  readonly #link: Link
  readonly #stream: PurgeStream
  readonly #circuit = new Circuit()
  #reading = 0
  #timer: NodeJS.Timeout | undefined
  #told: boolean | undefined
  #closed = false

  constructor (config: SecondLevelConfig, events: SecondLevelEvents) {
    this.config = config
    this.#events = events
    this.#link = new Link(config, {
      up: () => {
        this.#circuit.close()
        this.#stream.tellWaiting()
        this.#tellState('connected')
      },
      down: reason => this.#tellState(reason)
    })
    this.#stream = new PurgeStream({ ...config, key: `${config.prefix}purges`, gatewaysKey: `${config.prefix}gateways`, gateway: randomUUID() }, this.#link, {
      heard: purge => events.purged(purge),
      missed: reason => events.missedPurges(reason),
      state: (_up, reason) => this.#tellState(reason)
    })
    this.writes = new WriteQueue(this.#link, {
      failed: error => this.#failed(error),
      succeeded: () => this.#circuit.succeeded()
    })
  }

  /** Whether it is asked now: connected, answering, and in step with the purges of the others. */
  get up (): boolean { return this.#link.up && !this.#circuit.open && this.#stream.live }
  /** `gateways`: others that share it now. */
  get purges (): { readonly told: number, readonly heard: number, readonly late: number, readonly waiting: number, readonly gateways: number } {
    const { counts, others, purges } = this.#stream
    return { ...counts, late: others.late, waiting: purges.waiting, gateways: others.size }
  }

  /** What an answer that is asked for from now on is newer than. */
  get mark (): string { return this.#stream.mark }

  start (): void {
    this.#link.start()
    this.#stream.start()
  }

  async close (): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    this.writes.close()
    await this.#stream.close()
    this.#link.close()
  }

  /** undefined, at once: it is not asked. Never rejects; settles within `timeoutMs`, less what a call has waited for it already. */
  read (wanted: Wanted, spentMs = 0): Promise<Stored | undefined> | undefined {
    const leftMs = this.config.timeoutMs - spentMs
    if (this.up && this.#reading < mostReads && leftMs >= 1) return this.#read(wanted, leftMs)
    this.reads.skipped++
    return undefined
  }

  /** Behind everybody's back. `mark`: as it was when the answer was asked for. */
  write (stored: Stored, mark: string): void {
    const { maxEntryBytes, prefix } = this.config
    if (stored.body.length > maxEntryBytes) return
    if (this.up) this.#events.shared(stored.place, usableUntil(stored.terms))
    this.writes.offer(keyOf(prefix, stored.place.key), variantKeyOf(prefix, stored), stored, mark, this.up)
  }

  /** Behind everybody's back; while the server cannot be reached, not at all. */
  remove (stored: Stored): void {
    const { prefix } = this.config
    this.writes.remove(variantKeyOf(prefix, stored) ?? keyOf(prefix, stored.place.key))
  }

  /** Carried out here; the others hear of it now, or when the server is there again. */
  purge (purge: Outgoing): void {
    this.#stream.tell(purge)
  }

  /** Settles when all other gateways have carried out what was purged here until now, or after `confirmMs`. undefined: there is nobody to wait for. */
  confirmed (): Promise<void> | undefined {
    return this.#stream.confirmed()
  }

  async #read (wanted: Wanted, leftMs: number): Promise<Stored | undefined> {
    this.#reading++
    const asked = this.#ask(wanted).finally(() => { this.#reading-- })
    try {
      const { result, stored } = await within(leftMs, asked)
      this.reads[result]++
      this.#circuit.succeeded()
      return stored
    } catch (error) {
      this.reads[error instanceof TimedOut ? 'timeout' : 'error']++
      // Who had little time left says nothing of the server.
      if (!(error instanceof TimedOut) || leftMs === this.config.timeoutMs) this.#failed(error as Error)
      return undefined
    }
  }

  async #ask (wanted: Wanted): Promise<{ readonly result: ReadResult, readonly stored?: Stored }> {
    const { place: { key }, request } = wanted
    const { prefix } = this.config
    let found = await this.#get(keyOf(prefix, key))
    let variant = ''
    if (found !== undefined && found.value !== undefined && 'pointer' in found.value) {
      variant = variantOf(found.value.pointer.vary, request.headers)
      found = await this.#get(keyOf(prefix, `${key}\n\n${variant}`))
    }
    if (found === undefined) return { result: 'miss' }
    const { value, leftMs } = found
    // Two keys of one digest, or a value that was copied to another place.
    if (value === undefined || !('answer' in value) || value.answer.key !== digestOf(key) || value.answer.variant !== digestOf(variant)) return { result: 'wrong' }
    return this.#judge(wanted, value.answer, leftMs)
  }

  async #get (key: string): Promise<{ readonly value: ReturnType<typeof decodeValue>, readonly leftMs: number } | undefined> {
    const [bytes, leftMs] = await Promise.all([this.#link.commandForBytes<Buffer | null>('GET', key), this.#link.command<number>('PTTL', key)])
    // No end (-1): nothing that Postern wrote.
    if (bytes === null || leftMs === -2) return undefined
    this.bytesRead += bytes.length
    return { value: leftMs === -1 ? undefined : decodeValue(bytes), leftMs }
  }

  /** By this gateway's own policy, as if it had come from the origin when it did. */
  #judge ({ place, request, rules, guard, again }: Wanted, answer: Frame, leftMs: number): { readonly result: ReadResult, readonly stored?: Stored } {
    // How long it has been there the server knows best: clocks of gateways differ.
    const nowMs = Date.now()
    const shiftMs = nowMs - Math.max(0, answer.usefulMs - leftMs) - answer.writtenAtMs
    const head = { status: answer.status, reason: answer.reason, headers: answer.headers, requestAtMs: answer.requestAtMs + shiftMs, responseAtMs: answer.responseAtMs + shiftMs }
    const decision = mayStore(request, head, rules)
    const variant = variantOf(answer.vary, request.headers)
    if (!decision.store || digestOf(variant) !== answer.variant) return { result: 'miss' }
    const judged = this.#stream.purges.judge(answer.mark, place, decision.terms.tags)
    if (judged === 'gone') return { result: 'purged' }
    const { terms } = decision
    const stored = new Stored({
      head,
      terms: { ...terms, vary: answer.vary },
      place,
      variant,
      guard,
      leaving: guarded(head, head.responseAtMs, guard),
      endpointUrl: answer.endpointUrl,
      again
    }, keptBody([answer.body]))
    this.#events.shared(place, usableUntil(stored.terms))
    return { result: 'hit', stored: judged === 'stale' ? stored.staleFrom(nowMs) : stored }
  }

  #failed (error: Error): void {
    if (!this.#circuit.failed()) return
    this.#tellState(error.message)
    this.#tryLater()
  }

  #tryLater (): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => { void this.#try() }, this.#circuit.waitMs).unref()
  }

  /** Not with a client's request. */
  async #try (): Promise<void> {
    if (this.#closed || !this.#circuit.open) return
    try {
      // Without a connection there is nothing to try: a new one closes the circuit.
      if (this.#link.up) await within(tryMs, this.#link.command('PING'))
    } catch {
      this.#circuit.waitLonger()
      this.#link.drop('does not answer')
    }
    if (!this.#circuit.open || this.#closed) return
    if (this.#link.up) {
      this.#circuit.close()
      this.#tellState('answers again')
    } else this.#tryLater()
  }

  /** Once for each change. */
  #tellState (reason: string): void {
    const up = this.#link.up && !this.#circuit.open
    if (up === this.#told || this.#closed) return
    this.#told = up
    this.#events.state(up, reason)
  }
}

/** undefined: it does not vary. */
const variantKeyOf = (prefix: string, { terms: { vary }, place, variant }: Stored): string | undefined =>
  vary.length === 0 ? undefined : keyOf(prefix, `${place.key}\n\n${variant}`)

/** Compact, and of one length: 128 bits of a digest. What stands there is compared with the whole key. */
function keyOf (prefix: string, id: string): string {
  return prefix + digestOf(id).slice(0, 22)
}
