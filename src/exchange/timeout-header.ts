// The header that says how long the caller still waits: read from trusted callers, told to every endpoint anew for each attempt. Pure.
import type { Exchange } from './exchange.ts'

/** Milliseconds a unit of gRPC's Timeout has. */
const units: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 }

/**
 * Milliseconds. Digits alone, as in Envoy's x-envoy-expected-rq-timeout-ms, or with one of gRPC's units, as in grpc-timeout ("150m" is 150 ms).
 * Undefined for anything else: what cannot be read limits nothing.
 */
export function parseTimeout (value: string): number | undefined {
  const found = /^\s*(\d{1,10})([HMSmun]?)\s*$/.exec(value)
  if (found === null) return undefined
  return Number(found[1]) * (found[2] === '' ? 1 : units[found[2]!]!)
}

/** grpc-timeout wants a unit and at most eight digits; everything else is milliseconds as they are. */
export function formatTimeout (name: string, ms: number): string {
  const whole = Math.max(1, Math.floor(ms))
  return name.length === 12 && name.toLowerCase() === 'grpc-timeout' ? `${Math.min(whole, 99_999_999)}m` : String(whole)
}

/**
 * Writes the time that is left for this attempt into the request: until the deadline, or until the response head is given up, whichever is
 * first. An endpoint that heeds it stops working when nobody waits any more.
 */
export function tellTimeout (exchange: Exchange, nowMs: number): void {
  const { timeoutHeader: name, upstreamRequest: { headers } } = exchange
  if (name === undefined) return
  const value = formatTimeout(name, Math.min(exchange.deadlineAtMs - nowMs, exchange.route.policy.headersTimeoutMs))
  // Of an earlier attempt: ours came last.
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (headers[i] !== name) continue
    headers[i + 1] = value
    return
  }
  headers.push(name, value)
}
