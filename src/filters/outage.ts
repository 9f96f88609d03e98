// The last that is left to give: a copy that was fetched beforehand, in place of an error that nothing else stood in for.
import { fromStored } from '../cache/answers.ts'
import { isKeyed } from '../cache/key.ts'
import { copyRules, mayHave, type Copy } from '../cache/outage/copy.ts'
import type { Outage } from '../cache/outage/outage.ts'
import { meaningOf, sentTarget } from '../cache/outage/wanted.ts'
import { ReadyHeads } from '../cache/ready-heads.ts'
import type { CacheRequest } from '../cache/request.ts'
import { mayBeStoodInFor } from '../cache/stand-in.ts'
import type { Filter } from '../exchange/compose.ts'
import { GatewayError, toGatewayError } from '../exchange/errors.ts'
import type { Exchange, Policy, UpstreamResponse } from '../exchange/exchange.ts'
import { toMatch } from '../lib/match-names.ts'

export interface OutageFilterOptions {
  readonly outage: Pick<Outage, 'find' | 'count'>
  /** Name of the gateway's own header, on which no answer depends. */
  readonly correlationHeader: string
}

/** Undefined when the policy has no copies. Outside `degraded`: what stands in there goes before. */
export function outage ({ outage, correlationHeader }: OutageFilterOptions, policy: Policy): Filter | undefined {
  if (policy.cache.outage.requests.length === 0) return undefined
  const rules = copyRules(policy.cache, correlationHeader)
  const heads = new ReadyHeads()
  const { ignoreQuery } = policy.cache.key
  const isIgnored = ignoreQuery.length === 0 ? undefined : toMatch(ignoreQuery)

  const found = (exchange: Exchange, asked: number, nowMs: number): { readonly copy: Copy, readonly request: CacheRequest } | undefined => {
    const { request: { scheme, authority, trusted }, route, upstreamRequest: { method, path, headers: sent, effect } } = exchange
    // Parts of a split have answers of their own.
    if (exchange.upgrade || exchange.part !== undefined || exchange.ended?.code === 'ClientClosed' || effect !== 'safe' || !isKeyed(exchange.upstreamRequest) || (method !== 'GET' && method !== 'HEAD')) return undefined
    const copy = outage.find(route.upstream.name, meaningOf(sentTarget(exchange), isIgnored, route.kind !== 'prefix'), `${scheme}://${authority.toLowerCase()}`)
    if (copy === undefined) return undefined
    const headers = sent.slice(0, asked)
    const request = rules.reader.read({ method, target: path, headers, safe: true, routeKind: route.kind, trusted })
    return mayHave(request, copy, nowMs, rules) ? { copy, request } : undefined
  }

  /** `asked`: how many items of its headers are the client's: attempts add their own behind them. */
  const instead = (exchange: Exchange, asked: number): UpstreamResponse | undefined => {
    const nowMs = Date.now()
    const given = found(exchange, asked, nowMs)
    if (given === undefined) return undefined
    outage.count(given.copy)
    exchange.cached = 'copy'
    return fromStored(exchange, given.request, given.copy.stored, heads.at(given.copy.stored, nowMs), 'outage-copy')
  }

  return async function outage (exchange, next) {
    const asked = exchange.upstreamRequest.headers.length
    let response: UpstreamResponse
    try {
      response = await next(exchange)
    } catch (thrown) {
      const error = toGatewayError(thrown)
      const copy = mayBeStoodInFor(error) ? instead(exchange, asked) : undefined
      if (copy === undefined) throw thrown
      exchange.degradedBy = error
      return copy
    }
    const copy = mayBeStoodInFor(response.status) ? instead(exchange, asked) : undefined
    if (copy === undefined) return response
    exchange.degradedBy = response.status
    response.body.cancel(new GatewayError('ClientClosed'))
    return copy
  }
}
