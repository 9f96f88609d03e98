// Counts and logs every exchange that has a route, once, when its body is finished or it failed.
import type { Filter } from '../exchange/compose.ts'
import type { GatewayError } from '../exchange/errors.ts'
import type { ClientRequest, EndListener, UpstreamResponse } from '../exchange/exchange.ts'
import type { Log, SecurityLine } from '../telemetry/log.ts'

export function observe (log: Log): Filter {
  const record: EndListener = (exchange, response, error) => {
    const { request, route, attempts, degradedBy } = exchange
    const status = statusFor(response, error)
    const durationMs = performance.now() - exchange.startedAtMs
    for (let i = 1; i < attempts.length; i++) {
      if (attempts[i]!.hedge) route.meter.hedge()
      else route.meter.retry()
    }
    route.meter.done(status, durationMs, error?.code)
    log.exchange({
      service: exchange.upstream.name,
      endpoint: exchange.endpoint?.url,
      message: route.name,
      method: request.method,
      path: request.target,
      status,
      errorCode: error?.code,
      detail: error === undefined && typeof degradedBy === 'object' ? degradedBy.detail : error?.detail,
      part: exchange.part?.name,
      cache: exchange.cached,
      degradedBy: typeof degradedBy === 'number' ? String(degradedBy) : degradedBy?.code,
      durationMs,
      bytes: response?.body.receivedBytes ?? 0,
      traceId: request.traceId,
      correlationId: request.correlationId,
      clientAddress: request.clientAddress,
      attempts,
      retryRefused: exchange.retryRefused,
      fault: attempts.findLast(({ fault }) => fault !== undefined)?.fault
    })
    if (error?.security === true) log.security(refusal(error, request))
    if (error?.code === 'InternalError') log.error({ err: error.cause, correlationId: request.correlationId }, 'exchange failed by a bug')
  }
  return function observe (exchange, next) {
    exchange.route.meter.start()
    exchange.atEnd(record)
    return next(exchange)
  }
}

/** What the security stream says of a request that is refused because of how it was made. */
export function refusal (error: GatewayError, { clientAddress, method, target, correlationId, traceId }: Pick<ClientRequest, 'clientAddress' | 'method' | 'target' | 'correlationId' | 'traceId'>): SecurityLine {
  return { event: error.code, clientAddress, method, path: target, status: error.spec.status, correlationId, traceId, detail: error.detail }
}

/** A client that left in the middle of a body counts as such (499); any other break of a body leaves the status that was sent. */
function statusFor (response: UpstreamResponse | undefined, error: GatewayError | undefined): number {
  return response === undefined || error?.code === 'ClientClosed' ? error!.spec.status : response.status
}
