// The last step: one attempt at one endpoint, written down and told to the endpoint's breaker.
import { classifyError, classifyStatus } from '../exchange/outcome.ts'
import { toGatewayError } from '../exchange/errors.ts'
import type { Next } from '../exchange/compose.ts'
import type { Attempt } from '../exchange/exchange.ts'

export const send: Next = async function send (exchange) {
  const endpoint = exchange.endpoint!
  const attempt: Attempt = { endpoint: endpoint.url, startedAtMs: performance.now(), durationMs: 0, outcome: 'ignored', result: '' }
  exchange.attempts.push(attempt)
  const trial = endpoint.begin()
  try {
    const response = await endpoint.request(exchange)
    attempt.durationMs = performance.now() - attempt.startedAtMs
    attempt.outcome = classifyStatus(response.status)
    attempt.result = String(response.status)
    endpoint.report(attempt, trial, response)
    return response
  } catch (thrown) {
    const error = toGatewayError(thrown)
    attempt.durationMs = performance.now() - attempt.startedAtMs
    attempt.outcome = classifyError(error)
    attempt.result = error.code
    exchange.lastError = error
    endpoint.report(attempt, trial, error)
    throw error
  }
}
