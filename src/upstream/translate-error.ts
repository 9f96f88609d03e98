// What connections, their sockets and their time-outs report -> what we answer.
import { GatewayError, type ErrorCode } from '../exchange/errors.ts'
import type { Exchange } from '../exchange/exchange.ts'
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

/** The endpoint has the request, and no head came. */
export function noHead ({ route: { policy: { headersTimeoutMs } } }: Exchange, endpoint: string): GatewayError {
  return new GatewayError('HeadersTimeout', { detail: { endpoint, limit: 'headersTimeoutMs', value: headersTimeoutMs, waitedFor: 'response head' } })
}

/** Nothing of a body moved for so long, ms. `paused`: it was the client who took nothing. */
export function silentBody (endpoint: string, silenceMs: number, paused: boolean): GatewayError {
  return new GatewayError(paused ? 'ClientClosed' : 'BodyTimeout', { detail: { endpoint, limit: 'bodyIdleTimeoutMs', value: silenceMs, waitedFor: paused ? 'client' : 'endpoint' } })
}

function codeFor (error: Error & { code?: string }, stage: AttemptStage): ErrorCode {
  if (error instanceof BrokenBody) return 'BodyIncomplete'
  if (error instanceof UnwritableRequest) return 'InternalError'
  // ETIMEDOUT: the operating system, or every address of a name, gave up before we did.
  if (stage === 'connecting') return error instanceof ConnectTimeout || error.code === 'ETIMEDOUT' ? 'ConnectTimeout' : 'ConnectFailed'
  if (stage === 'body') return 'BodyCut'
  return error instanceof ProtocolError ? 'BadAnswer' : 'ConnectionClosed'
}
