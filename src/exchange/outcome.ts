// The one place that says whether a call succeeded, and for whom: retry, breakers, balancer and metrics ask it.
import type { GatewayError } from './errors.ts'

export type Outcome = 'success' | 'failure' | 'ignored'

/** What a failure was, for the log: a status, the code of an error, or in words; of a limit its name, its value, and what was waited for. */
export interface FailureCause {
  readonly cause: string
  readonly limit?: string
  readonly value?: number
  /** The time that the limit came to, ms. */
  readonly afterMs?: number
  readonly waitedFor?: string
}

/** Of what counts as a failure while it is under way, and may be answered well all the same. */
export const slowCause = 'slow call'

/** What one answer says of the endpoint that gave it, of the upstream as a whole, and of the message on it. */
export interface Verdict {
  readonly endpoint: Outcome
  readonly upstream: Outcome
  readonly message: Outcome
}

const fine: Verdict = { endpoint: 'success', upstream: 'success', message: 'success' }
export const nobodys: Verdict = { endpoint: 'ignored', upstream: 'ignored', message: 'ignored' }
/** By itself one message's fault. The endpoint's where the message works at another one (`upstream/elsewhere.ts`), the upstream's once a second message fails (`upstream/suspicion.ts`). */
const ofMessage: Verdict = { endpoint: 'success', upstream: 'success', message: 'failure' }
const ofAll: Verdict = { endpoint: 'failure', upstream: 'failure', message: 'failure' }
/** Nobody was reached, so nothing is known of the message. */
const ofConnection: Verdict = { endpoint: 'failure', upstream: 'failure', message: 'ignored' }

/**
 * 502, 503 and 504 say that the endpoint cannot work. Any other 5xx is by itself the message's: on ServiceStack hosts a plain 500 is one
 * message's unhandled exception (`500 InvalidOperationException`). 4xx never counts: the client was wrong, the service works.
 */
export function judgeStatus (status: number): Verdict {
  if (status < 500) return fine
  return status === 502 || status === 503 || status === 504 ? ofAll : ofMessage
}

/** The client leaving or giving up, and whatever is its own or our own doing (an open breaker, a full queue, no endpoint), is nobody's failure. */
export function judgeError (error: GatewayError): Verdict {
  if (error.blameless) return nobodys
  switch (error.code) {
    case 'ConnectFailed':
    case 'ConnectTimeout': return ofConnection
    case 'BreakerOpen':
    case 'NoEndpoint': return nobodys
    case 'DeadlineExceeded': return ofAll
    default: return error.spec.source === 'upstream' ? ofAll : nobodys
  }
}

/** What an attempt's status by itself says of its endpoint. */
export const classifyStatus = (status: number): Outcome => judgeStatus(status).endpoint

/** What an attempt's error says of its endpoint. */
export const classifyError = (error: GatewayError): Outcome => judgeError(error).endpoint
