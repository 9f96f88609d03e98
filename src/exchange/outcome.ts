// The one place that says whether an attempt succeeded; retry, breaker, balancer and metrics ask it.
import type { GatewayError } from './errors.ts'

export type Outcome = 'success' | 'failure' | 'ignored'

/**
 * A status says whether the endpoint works, not whether the client was right: 502, 503 and 504 are the endpoint's failure. A plain 500
 * is not: on ServiceStack hosts it is one message's unhandled exception (`500 InvalidOperationException`) and says nothing of the others.
 */
export function classifyStatus (status: number): Outcome {
  return status === 502 || status === 503 || status === 504 ? 'failure' : 'success'
}

/** The client leaving, or anything that is its own or our own doing, is nobody's failure. */
export function classifyError (error: GatewayError): Outcome {
  return error.spec.source === 'upstream' || error.code === 'DeadlineExceeded' ? 'failure' : 'ignored'
}
