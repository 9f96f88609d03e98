// Which failures of an origin a stored answer may stand in for. Pure.
import type { GatewayError } from '../exchange/errors.ts'

/** Answers of an origin that count as its failure there (RFC 5861 section 4). */
export const countsAsError = (status: number): boolean => status === 500 || status === 502 || status === 503 || status === 504

/** The origin could not be asked, or could not answer; or what its own status says. */
export function mayBeStoodInFor (failure: GatewayError | number): boolean {
  if (typeof failure === 'number') return countsAsError(failure)
  return failure.spec.source === 'upstream' || failure.code === 'DeadlineExceeded' || failure.spec.staleable === true
}
