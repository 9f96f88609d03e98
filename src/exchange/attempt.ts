// One try at one endpoint: as logged, and as told to the endpoint.
import type { GatewayError } from './errors.ts'
import type { EndpointHandle, Exchange } from './exchange.ts'
import { headerValue } from './headers.ts'
import { classifyError, classifyStatus, type FailureCause, type Outcome } from './outcome.ts'
import { parseRetryAfter } from './retry-after.ts'

/** One try at one endpoint: as logged, and as told to the endpoint. */
export class Attempt {
  readonly endpoint: string
  readonly startedAtMs = performance.now()
  /** performance.now() from which on the time is the endpoint's. A streamed body ends first; Infinity while the client still sends it. */
  dueFromMs = this.startedAtMs
  /** The endpoint's time until the response head, or until it failed; where it never had the whole request (`isTimed`), that of the whole attempt. */
  durationMs = 0
  outcome: Outcome = 'ignored'
  /** HTTP status, or the code of the GatewayError; empty while it is under way. */
  result = ''
  /** What it failed with. */
  error: GatewayError | undefined = undefined
  /** The endpoint may have seen it. */
  sent = true
  /** A second attempt that began before the first had ended. */
  readonly hedge: boolean
  /** A mirrored copy: what becomes of it touches nobody. */
  readonly isMirrored: boolean
  /** The fault that was injected into it, for the log. */
  fault: string | undefined = undefined
  /** The route it belongs to. */
  readonly message: string
  /** How long the endpoint asked to be left alone (Retry-After of a 429 or 503), ms. */
  retryAfterMs: number | undefined = undefined
  /** It counted as a failure while it was under way: for the endpoint's breaker, what becomes of it is not counted again. */
  isCounted = false
  readonly #handle: EndpointHandle
  #trial: boolean
  #seated = true

  constructor (handle: EndpointHandle, { route, isHedge, isMirrored }: Exchange) {
    this.endpoint = handle.url
    this.hedge = isHedge
    this.isMirrored = isMirrored
    this.message = route.name
    this.#handle = handle
    this.#trial = handle.begin()
  }

  /** Trial of the endpoint's breaker. */
  get trial (): boolean { return this.#trial }
  /** Whether the endpoint had the whole request: else how long it took was up to the client. */
  get isTimed (): boolean { return this.dueFromMs !== Infinity }

  /** It takes too long, and that is known to be the endpoint's doing. A trial has failed then in any case: the breaker need not wait for it. */
  overdue (cause: FailureCause, isEndpoints: boolean): void {
    if (this.result !== '' || !(this.#trial || isEndpoints)) return
    this.isCounted = true
    this.#handle.overdue(this.#trial, cause)
    this.#trial = false
  }

  /** A trial that failed here while those at other endpoints succeeded. Where no answer came, it is the endpoint that hangs. */
  singledOut (): void {
    if (this.result === '' || (this.sent && this.error !== undefined)) this.#handle.singledOut({ cause: this.result === '' ? 'slow trial' : this.result })
  }

  /** `headers`: undefined of an answer that the endpoint did not give. */
  answered (status: number, headers?: readonly string[]): void {
    if (headers !== undefined && (status === 429 || status === 503)) {
      const field = headerValue(headers, 'retry-after')
      if (field !== undefined) this.retryAfterMs = parseRetryAfter(field, Date.now())
    }
    this.#finish(classifyStatus(status), String(status), status, undefined, headers)
  }

  failed (error: GatewayError): void {
    this.error = error
    if (error.spec.retry === 'always') this.sent = false
    this.#finish(classifyError(error), error.code, undefined, error)
    this.leave()
  }

  /** Gives its place at the endpoint back: it failed, or the exchange is over, body included. */
  leave (): void {
    if (!this.#seated) return
    this.#seated = false
    this.#handle.leave()
  }

  #finish (outcome: Outcome, result: string, status: number | undefined, error: GatewayError | undefined, headers?: readonly string[]): void {
    if (this.result !== '') return
    this.durationMs = performance.now() - (this.isTimed ? this.dueFromMs : this.startedAtMs)
    this.outcome = outcome
    this.result = result
    this.#handle.report(this, this.#trial, status, error, headers)
  }
}
