// The calls of one upstream that have no answer yet, oldest first, and how long each message normally takes. No I/O.
import type { GatewayError } from '../exchange/errors.ts'
import type { Attempt } from '../exchange/attempt.ts'
import type { AdmittedCall } from '../exchange/breakers.ts'
import type { Exchange } from '../exchange/exchange.ts'
import { slowCause, type FailureCause } from '../exchange/outcome.ts'
import type { Linked } from '../lib/linked-list.ts'
import { Comparison, type Elsewhere } from './elsewhere.ts'
import { Seen } from './suspicion.ts'

/** Answers after which a message's normal time counts as known. */
const knownAfter = 5
/** Weight of each new answer. With slowCallFactor at 10 or more, one late answer is enough for the next like it to be in time. */
const weight = 0.1

/** What is known of one message on one upstream. */
export class MessageHistory {
  readonly name: string
  /** Smoothed time to the response head of answers that are no failures, ms. */
  normalMs = 0
  /** Of its endpoints, while it fails at any: what always works is not compared. */
  #comparison: Comparison | undefined
  /** Where it was answered well. */
  readonly #answeredBy = new Seen()
  #answers = 0
  /** Called since this was last looked at. */
  used = true

  constructor (name: string) {
    this.name = name
  }

  get known (): boolean { return this.#answers >= knownAfter }

  /** An endpoint answered it well. */
  worked (endpoint: string, nowMs: number): void {
    this.#answeredBy.add(endpoint, nowMs)
    this.#comparison?.add(endpoint, true, nowMs)
  }

  /** An attempt at this endpoint has failed that is under way since `sinceMs`: what others answered meanwhile is compared with it. */
  failed (endpoint: string, nowMs: number, sinceMs = nowMs): void {
    if (this.#comparison === undefined) {
      this.#comparison = new Comparison()
      const otherAtMs = this.#answeredBy.otherAtMs(endpoint)
      if (otherAtMs >= sinceMs) this.#comparison.add('', true, otherAtMs)
    }
    this.#comparison.add(endpoint, false, nowMs)
  }

  /** How it fares at the other endpoints. */
  elsewhere (endpoint: string, nowMs: number, windowMs: number): Elsewhere {
    return this.#comparison?.elsewhere(endpoint, nowMs, windowMs) ?? 'unknown'
  }

  /** Forgets failures from before this time. */
  forget (beforeMs: number): void {
    if (this.#comparison !== undefined && this.#comparison.failedAtMs < beforeMs) this.#comparison = undefined
  }

  answered (ms: number): void {
    this.normalMs = this.#answers === 0 ? ms : this.normalMs + weight * (ms - this.normalMs)
    this.#answers++
  }
}

/** Who is told what became of a call. */
export interface CallOwner {
  answered (call: Call, status: number): void
  failed (call: Call, error: GatewayError): void
  left (call: Call): void
}

/** One call between its entry and its response head. */
export class Call implements AdmittedCall, Linked<Call> {
  readonly exchange: Exchange
  readonly history: MessageHistory
  /** Trial of the upstream's breaker, of the message's. */
  readonly trialOfUpstream: boolean
  readonly trialOfMessage: boolean
  /** It took too long and was counted for that: what becomes of it is not counted again. */
  overdue = false
  previous: Call | undefined = undefined
  next: Call | undefined = undefined
  readonly #owner: CallOwner
  /** Attempts that it came with, from another upstream. */
  readonly #before: number
  #isOver = false

  constructor (owner: CallOwner, exchange: Exchange, history: MessageHistory, trialOfUpstream: boolean, trialOfMessage: boolean) {
    this.#owner = owner
    this.#before = exchange.attempts.length
    this.exchange = exchange
    this.history = history
    this.trialOfUpstream = trialOfUpstream
    this.trialOfMessage = trialOfMessage
  }

  /** Its attempts here. */
  get firstAttempt (): Attempt | undefined { return this.exchange.attempts[this.#before] }
  get lastAttempt (): Attempt | undefined {
    const { attempts } = this.exchange
    return attempts.length > this.#before ? attempts.at(-1) : undefined
  }

  answered (status: number): void {
    if (this.#ends()) this.#owner.answered(this, status)
  }

  failed (error: GatewayError): void {
    if (this.#ends()) this.#owner.failed(this, error)
  }

  left (): void {
    if (this.#ends()) this.#owner.left(this)
  }

  #ends (): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    return true
  }
}

interface SlowSettings {
  readonly slowCallFactor: number
  readonly slowCallMs: number
}

/** How long a call may take before it counts as slow, ms. */
export function slowAfterMs ({ normalMs }: MessageHistory, { slowCallFactor, slowCallMs }: SlowSettings): number {
  return Math.max(slowCallMs, slowCallFactor * normalMs)
}

/** What a slow call is in the log: which of the two limits it was, its value, the time that came to, and what was waited for. */
export function slowCall (history: MessageHistory, settings: SlowSettings, waitedFor = 'response head'): FailureCause {
  const afterMs = slowAfterMs(history, settings)
  const limit = afterMs === settings.slowCallMs ? 'slowCallMs' : 'slowCallFactor'
  return { cause: slowCause, limit, value: settings[limit], afterMs: Math.round(afterMs), waitedFor }
}
