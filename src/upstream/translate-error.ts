// What connections and their sockets report -> what we answer.
import { GatewayError, type ErrorCode } from '../exchange/errors.ts'
import { BrokenBody, ConnectTimeout, ProtocolError, UnwritableRequest } from './http1/errors.ts'

/** Where the attempt stood: before anything was written, before the response head, or inside its body. */
export type AttemptStage = 'connecting' | 'sent' | 'body'

/** `connecting` is the only stage in which the request provably was not sent. */
export function translateError (error: Error & { code?: string }, stage: AttemptStage, endpoint: string, connectTimeoutMs: number): GatewayError {
  if (error.cause instanceof GatewayError) return error.cause
  const code = codeFor(error, stage)
  const limit = code === 'ConnectTimeout' ? { limit: 'connectTimeoutMs', value: connectTimeoutMs, waitedFor: 'connection' } : undefined
  return new GatewayError(code, { cause: error, detail: { endpoint, ...limit, cause: error.code ?? error.name, message: error.message } })
}

function codeFor (error: Error & { code?: string }, stage: AttemptStage): ErrorCode {
  if (error instanceof BrokenBody) return 'BodyIncomplete'
  if (error instanceof UnwritableRequest) return 'InternalError'
  // ETIMEDOUT: the operating system, or every address of a name, gave up before we did.
  if (stage === 'connecting') return error instanceof ConnectTimeout || error.code === 'ETIMEDOUT' ? 'ConnectTimeout' : 'ConnectFailed'
  if (stage === 'body') return 'BodyCut'
  return error instanceof ProtocolError ? 'BadAnswer' : 'ConnectionClosed'
}
