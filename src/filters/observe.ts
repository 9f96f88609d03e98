// Counts and logs every exchange that has a route, once, when its body is finished or it failed.
import type { Filter } from '../exchange/compose.ts'
import { toGatewayError, type GatewayError } from '../exchange/errors.ts'
import type { Exchange } from '../exchange/exchange.ts'
import type { Log } from '../telemetry/log.ts'

export function observe (log: Log): Filter {
  return async function observe (exchange, next) {
    exchange.route.meter.start()
    try {
      const response = await next(exchange)
      response.body.onFinished(error => record(log, exchange, error?.code === 'ClientClosed' ? error.spec.status : response.status, response.body.receivedBytes, error))
      return response
    } catch (thrown) {
      const error = toGatewayError(thrown)
      record(log, exchange, error.spec.status, 0, error)
      if (error.code === 'InternalError') log.error({ err: error.cause, correlationId: exchange.request.correlationId }, 'exchange failed by a bug')
      throw error
    }
  }
}

function record (log: Log, exchange: Exchange, status: number, bytes: number, error: GatewayError | undefined): void {
  const { request, route, attempts } = exchange
  const durationMs = performance.now() - exchange.startedAtMs
  for (let i = 1; i < attempts.length; i++) route.meter.retry()
  route.meter.done(status, durationMs, error?.code)
  log.exchange({
    service: route.upstream.name,
    endpoint: exchange.endpoint?.url,
    message: route.name,
    method: request.method,
    path: request.target,
    status,
    errorCode: error?.code,
    detail: error?.detail,
    durationMs,
    bytes,
    traceId: request.traceId,
    correlationId: request.correlationId,
    clientAddress: request.clientAddress,
    attempts
  })
}
