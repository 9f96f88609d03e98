// For game days, where faults are allowed: some attempts are delayed, broken or answered in place of their endpoint.
import { GatewayError } from '../exchange/errors.ts'
import type { Filter } from '../exchange/compose.ts'
import type { Attempt, Exchange, UpstreamResponse } from '../exchange/exchange.ts'
import { pause } from '../exchange/pause.ts'
import { ResponseBody } from '../exchange/response-body.ts'
import { applies, describeFault, type FaultRule } from './fault-rule.ts'
import type { Faults } from './faults.ts'
import { begin } from './send.ts'

/**
 * In place of `send`, inside the attempt, so that every protection sees a fault as it would see the endpoint's own: it holds slot and seat, the deadline and
 * headersTimeoutMs end it, the breaker counts it, retry repeats it elsewhere. What an operator has set wins over postern.yaml.
 */
export function fault (faults: Faults, own: FaultRule | undefined, random: () => number = Math.random): Filter {
  return function fault (exchange, next) {
    const nowMs = Date.now()
    const rule = faults.size === 0 ? own : faults.of(exchange.route.name, nowMs) ?? own
    if (rule === undefined || !applies(rule, exchange, nowMs, random)) return next(exchange)
    faults.count(exchange.upstream.name, rule)
    const attempt = begin(exchange)
    attempt.fault = describeFault(rule)
    return inject(exchange, attempt, rule)
  }
}

async function inject (exchange: Exchange, attempt: Attempt, rule: FaultRule): Promise<UpstreamResponse> {
  const { headersTimeoutMs } = exchange.route.policy
  if (rule.delayMs > 0) await pause(exchange, Math.min(rule.delayMs, headersTimeoutMs), 'injected delay', { onCancel: error => attempt.failed(error) })
  if (rule.delayMs >= headersTimeoutMs) {
    throw failed(attempt, new GatewayError('HeadersTimeout', { detail: { endpoint: attempt.endpoint, limit: 'headersTimeoutMs', value: headersTimeoutMs, waitedFor: 'injected delay' } }))
  }
  if (rule.reset) throw failed(attempt, new GatewayError('ConnectionClosed', { detail: { endpoint: attempt.endpoint, cause: 'injected reset' } }))
  if (rule.abortStatus === 0) return await exchange.endpoint!.request(exchange, attempt)
  attempt.answered(rule.abortStatus)
  return {
    status: rule.abortStatus,
    reason: 'FaultInjected',
    headers: ['Content-Type', 'application/json; charset=utf-8', 'Content-Length', String(abortBody.length), 'Cache-Control', 'no-store'],
    body: ResponseBody.of(exchange.upstreamRequest.method === 'HEAD' ? Buffer.alloc(0) : abortBody)
  }
}

const abortBody = Buffer.from('{"responseStatus":{"errorCode":"FaultInjected","message":"An operator lets this message fail.","errors":[]}}')

function failed (attempt: Attempt, error: GatewayError): GatewayError {
  attempt.failed(error)
  return error
}
