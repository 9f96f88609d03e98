// In front of the queue: the breakers of the upstream and of the message. An open one answers at once.
import type { Filter } from '../exchange/compose.ts'
import { toGatewayError } from '../exchange/errors.ts'
import type { AdmittedCall } from '../exchange/breakers.ts'
import type { UpstreamResponse } from '../exchange/exchange.ts'

function failed (call: AdmittedCall, thrown: unknown): never {
  call.failed(toGatewayError(thrown))
  throw thrown
}

/**
 * Waits for the response head, because only here is it known what became of the whole exchange: an attempt that failed and was repeated with
 * success is nobody's failure. Stands outside the bulkhead, so that full queues are seen too.
 */
export const breaker: Filter = function breaker (exchange, next) {
  const call = exchange.admitted = exchange.upstream.breakers.enter(exchange)
  let response: Promise<UpstreamResponse>
  try {
    response = next(exchange)
  } catch (thrown) {
    return failed(call, thrown)
  }
  return response.then(answer => {
    call.answered(answer.status)
    return answer
  }, (thrown: unknown) => failed(call, thrown))
}
