// Which failures of an origin a stored answer may stand in for. Pure.
import type { GatewayError } from '../exchange/errors.ts'

/** The origin could not be asked, or could not answer. */
export const mayBeStoodInFor = ({ spec, code }: GatewayError): boolean => spec.source === 'upstream' || code === 'DeadlineExceeded' || spec.staleable === true

/** Answers of an origin that count as its failure there (RFC 5861 section 4). */
export const countsAsError = (status: number): boolean => status === 500 || status === 502 || status === 503 || status === 504
