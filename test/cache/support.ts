// Requests, answers and rules for tests of the cache's decisions: everything has a default.
import { cacheRules, type CacheConfig, type CacheRules } from '../../src/cache/rules.ts'
import type { EntryHead, Terms } from '../../src/cache/entry.ts'
import { mayStore } from '../../src/cache/policy.ts'
import type { CacheRequest, RequestParts } from '../../src/cache/request.ts'
import { httpDate } from '../../src/cache/http-date.ts'
import { validate } from '../../src/config/validator.ts'

/** 2026-11-27T12:00:00Z: when everything here is received. */
export const now = Date.UTC(2026, 10, 27, 12)
export const defaults: CacheConfig = validate({}).config.defaults.policy.cache

type Partly<T> = { readonly [K in keyof T]?: T[K] extends readonly unknown[] ? T[K] : T[K] extends object ? Partly<T[K]> : T[K] }

export function rulesOf (own: Partly<CacheConfig> = {}): CacheRules {
  const config = { ...defaults } as Record<string, unknown>
  for (const [name, value] of Object.entries(own)) config[name] = typeof value === 'object' && !Array.isArray(value) ? { ...config[name] as object, ...value } : value
  return cacheRules(config as CacheConfig, 'x-mac-requestId')
}
export const byDefault = rulesOf()

/** `Name: value` lines as a flat list. */
export const flat = (...lines: string[]): string[] => lines.flatMap(line => {
  const colon = line.indexOf(':')
  return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')]
})

export interface RequestOptions extends Partial<Omit<RequestParts, 'headers'>> {
  readonly headers?: readonly string[]
  readonly rules?: CacheRules
}
export function requestOf ({ rules = byDefault, headers = [], ...parts }: RequestOptions = {}): CacheRequest {
  const method = parts.method ?? 'GET'
  return rules.reader.read({ method, target: '/json/reply/GetOrder?Id=1', safe: method === 'GET' || method === 'HEAD', routeKind: 'message', trusted: false, ...parts, headers: flat(...headers) })
}

/** An answer received now, asked for in no time, with Date: now unless there is one. */
export function headOf (headers: readonly string[], options: Partial<EntryHead> = {}): EntryHead {
  const hasDate = headers.some(line => /^date:/i.test(line))
  return { status: 200, reason: 'OK', headers: flat(...hasDate ? [] : [`Date: ${httpDate(now)}`], ...headers), requestAtMs: now, responseAtMs: now, ...options }
}

/** Its terms; throws when it is not stored. */
export function termsOf (headers: readonly string[], options: Partial<EntryHead> & { request?: CacheRequest, rules?: CacheRules } = {}): Terms {
  const { request = requestOf(), rules = byDefault, ...rest } = options
  const decision = mayStore(request, headOf(headers, rest), rules)
  if (!decision.store) throw new Error(`not stored: ${decision.reason}`)
  return decision.terms
}

/** Seconds of freshness from now on, or why it is not stored. */
export function lifetimeOf (headers: readonly string[], options: Partial<EntryHead> & { request?: CacheRequest, rules?: CacheRules } = {}): number | string {
  const { request = requestOf(), rules = byDefault, ...rest } = options
  const decision = mayStore(request, headOf(headers, rest), rules)
  return decision.store ? (decision.terms.freshUntilMs - now) / 1_000 : decision.reason
}
