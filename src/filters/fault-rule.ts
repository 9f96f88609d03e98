// What a fault is, and whether an attempt gets it. Pure: chance and clock are passed in.
import type { Exchange, Policy } from '../exchange/exchange.ts'
import { headerValue } from '../exchange/headers.ts'

/** A fault as it is written in postern.yaml or set by an operator. */
export type FaultSettings = Policy['fault']

export interface FaultRule {
  readonly delayMs: number
  /** Answered in place of the endpoint; 0 = none. */
  readonly abortStatus: number
  /** The connection breaks before an answer. */
  readonly reset: boolean
  /** Share of the attempts. */
  readonly percent: number
  /** Only callers with this header; `value` undefined = with any value. */
  readonly header: { readonly name: string, readonly value: string | undefined } | undefined
  /** Date.now() from which on there is no fault. */
  readonly untilMs: number
}

/** Undefined when the settings ask for no fault. */
export function toFaultRule ({ delayMs, abortStatus, reset, percent, header, until }: FaultSettings): FaultRule | undefined {
  if ((delayMs === 0 && abortStatus === 0 && !reset) || percent === 0) return undefined
  const colon = header.indexOf(':')
  return {
    delayMs,
    abortStatus,
    reset,
    percent,
    header: header === '' ? undefined : { name: (colon === -1 ? header : header.slice(0, colon)).trim().toLowerCase(), value: colon === -1 ? undefined : header.slice(colon + 1).trim() },
    untilMs: Date.parse(until)
  }
}

/** `random`: from 0 up to 1. */
export function applies (rule: FaultRule, { upstreamRequest: { headers } }: Exchange, nowMs: number, random: () => number): boolean {
  if (nowMs >= rule.untilMs) return false
  if (rule.header !== undefined) {
    const value = headerValue(headers, rule.header.name)
    if (value === undefined || (rule.header.value !== undefined && value !== rule.header.value)) return false
  }
  return rule.percent >= 100 || random() * 100 < rule.percent
}

/** For log and API: `delay 500 ms, abort 503`. */
export function describeFault ({ delayMs, abortStatus, reset }: FaultRule): string {
  return [...delayMs > 0 ? [`delay ${delayMs} ms`] : [], ...reset ? ['reset'] : abortStatus > 0 ? [`abort ${abortStatus}`] : []].join(', ')
}
