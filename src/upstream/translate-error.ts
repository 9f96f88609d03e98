// What undici and the sockets throw -> what we answer. The only place that knows their codes.
import { GatewayError, type ErrorCode } from '../exchange/errors.ts'

const answerCodes = new Set([
  'UND_ERR_HEADERS_OVERFLOW', 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'UND_ERR_RES_EXCEEDED_MAX_SIZE'
])

/** Where the attempt stood: before anything was written, before the response head, or inside its body. */
export type AttemptStage = 'connecting' | 'sent' | 'body'

/**
 * `connecting` is the only stage in which the request provably was not sent: undici calls onRequestStart just before it writes.
 */
export function translateError (error: Error & { code?: string }, stage: AttemptStage, endpoint: string): GatewayError {
  if (error instanceof GatewayError) return error
  return new GatewayError(codeFor(error, stage), { cause: error, detail: { endpoint, cause: error.code ?? error.name, message: error.message } })
}

function codeFor (error: Error & { code?: string }, stage: AttemptStage): ErrorCode {
  if (stage === 'connecting') return error.code === 'UND_ERR_CONNECT_TIMEOUT' ? 'ConnectTimeout' : 'ConnectFailed'
  if (stage === 'body') return 'BodyCut'
  if (error.code === 'UND_ERR_HEADERS_TIMEOUT') return 'HeadersTimeout'
  if (error.name === 'HTTPParserError' || answerCodes.has(error.code ?? '') || error.message === 'bad response') return 'BadAnswer'
  return 'ConnectionClosed'
}
