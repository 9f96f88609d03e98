// What is answered while a service cannot be called: another upstream, or a fixed body, in place of the error.
import { emergencyHeaders } from '../cache/guard.ts'
import type { Filter, Next } from '../exchange/compose.ts'
import { toGatewayError, type GatewayError } from '../exchange/errors.ts'
import type { Exchange, Policy, UpstreamHandle, UpstreamResponse } from '../exchange/exchange.ts'
import { handOver } from '../exchange/follow.ts'
import { ResponseBody } from '../exchange/response-body.ts'

export interface DegradedOptions {
  /** The upstream of this name, if there is one now. */
  readonly upstreamNamed: (name: string) => UpstreamHandle | undefined
  /** The path below the cache: what a fallback answers is nobody else's answer. */
  readonly below: Next
}

const bodiless: ReadonlySet<number> = new Set([204, 205, 304])

/** Undefined when the policy names no answer. */
export function degraded (policy: Policy['degraded'], { upstreamNamed, below }: DegradedOptions): Filter | undefined {
  const { on, upstream, body, status, contentType, headers } = policy
  if (upstream === undefined && body === undefined) return undefined
  const codes = new Set<string>(on)
  const bytes = Buffer.from(body ?? '')
  // RFC 9110 section 8.6: nothing of a body where the status has none.
  const ofBody = bodiless.has(status) ? [] : ['Content-Type', contentType, 'Content-Length', String(bytes.length)]
  const fields = [...ofBody, 'Cache-Control', 'no-store', ...Object.entries(headers).flat()]

  const fixed = (): UpstreamResponse => ({ status, reason: 'Degraded', headers: [...fields], body: ResponseBody.of(bodiless.has(status) ? Buffer.alloc(0) : bytes) })

  const instead = async (exchange: Exchange, error: GatewayError): Promise<UpstreamResponse> => {
    if (!codes.has(error.code) || exchange.ended !== undefined) throw error
    const fallback = upstream === undefined ? undefined : upstreamNamed(upstream)
    if (fallback === undefined && body === undefined) throw error
    exchange.degradedBy = error
    exchange.route.meter.degraded(fallback === undefined ? 'fixed' : 'upstream')
    if (fallback === undefined) return fixed()
    try {
      handOver(exchange, fallback, undefined)
      const response = await below(exchange)
      // Under this URL it must not outlive the emergency.
      return { ...response, headers: emergencyHeaders(response.headers) }
    } catch (thrown) {
      // What the fallback says of itself is told, unless there is something better.
      if (body === undefined) throw thrown
      return fixed()
    }
  }

  return async function degraded (exchange, next) {
    try {
      return await next(exchange)
    } catch (thrown) {
      return await instead(exchange, toGatewayError(thrown))
    }
  }
}
