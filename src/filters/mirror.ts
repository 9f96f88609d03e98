// Copies a share of the safe traffic to another upstream. Nobody waits for a copy, nobody sees its answer, nobody feels its failure.
import { compose, type Filter } from '../exchange/compose.ts'
import { deadlineExceeded } from '../exchange/deadline.ts'
import { toGatewayError, type GatewayError } from '../exchange/errors.ts'
import { Exchange, type Policy, type UpstreamHandle, type UpstreamResponse } from '../exchange/exchange.ts'
import { headerValue } from '../exchange/headers.ts'
import { identityPairs, isProxyIdentity, toIdentityHeaders } from '../exchange/identity.ts'
import { classifyError, classifyStatus, type Outcome } from '../exchange/outcome.ts'
import type { BodySink } from '../exchange/response-body.ts'
import { pickEndpoint } from './pick-endpoint.ts'
import { send } from './send.ts'

export interface MirrorOptions {
  /** The upstream of this name, if there is one now. */
  readonly upstreamNamed: (name: string) => UpstreamHandle | undefined
  /** What became of a copy; `dropped`: there was no room for it, no upstream, or one that a breaker keeps it out of. */
  readonly count: (upstream: string, result: Outcome | 'dropped') => void
  /** A copy of this message took too long: its error says which limit, its value and what was waited for. */
  readonly timedOut: (upstream: string, message: string, error: GatewayError) => void
  /** 0 to 1. */
  readonly random?: () => number
}

/** Tells a copy from the real thing. What carries it already is not copied again. */
export const mirrorHeader = 'X-Postern-Mirror'

const nobody: BodySink = { write: () => true, end () {}, fail () {} }

/**
 * Undefined where nothing is mirrored. Below the bulkhead, so that only what goes to the service is copied, and once. A copy takes a slot of the
 * other upstream only if one is free at once, meets its breakers and tells them nothing, is tried once, and is over, body included, within the
 * message's deadline.
 */
export function mirror ({ mirror: { to, percent, maxConcurrent, identity }, cache, deadlineMs }: Policy, { upstreamNamed, count, timedOut, random = Math.random }: MirrorOptions): Filter | undefined {
  if (to === undefined || percent === 0) return undefined
  const path = compose([pickEndpoint], send)
  const isIdentity = toIdentityHeaders([...cache.identity.headers, 'cookie'])
  let underWay = 0

  const run = async (copy: Exchange, upstream: UpstreamHandle) => {
    let response: UpstreamResponse | undefined
    const timer = setTimeout(() => {
      const late = deadlineExceeded(copy, copy.waitsFor ?? 'response body')
      copy.end(late)
      response?.body.cancel(late)
    }, deadlineMs)
    const over = (error: GatewayError | undefined) => {
      clearTimeout(timer)
      underWay--
      upstream.releaseExtra()
      copy.over(response, error)
      if (error?.detail?.['waitedFor'] !== undefined) timedOut(to, copy.route.name, error)
      count(to, error === undefined ? classifyStatus(response!.status) : classifyError(error))
    }
    try {
      response = await path(copy)
    } catch (thrown) {
      over(toGatewayError(thrown))
      return
    }
    response.body.onFinished(over)
    // Read to its end, so that the connection can be used again.
    response.body.pipe(nobody)
  }

  const withoutIdentity = (headers: readonly string[]) => {
    const kept: string[] = []
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i]!.toLowerCase()
      if (!isIdentity(name) && !isProxyIdentity(name)) kept.push(headers[i]!, headers[i + 1]!)
    }
    return kept
  }

  /** While the other upstream recovers, copies come in as growing a share as its own calls, by chance: they are none of those that are due. */
  const isLetIn = ({ breakers }: UpstreamHandle, exchange: Exchange) => {
    const share = breakers.share(exchange)
    return share > 0 && (share === 1 || random() < share)
  }

  const start = (exchange: Exchange) => {
    const upstream = upstreamNamed(to)
    if (upstream === exchange.upstream) return
    if (upstream === undefined || underWay >= maxConcurrent || !isLetIn(upstream, exchange) || !upstream.tryAcquire()) return count(to, 'dropped')
    underWay++
    const { request, upstreamRequest, route } = exchange
    const headers = identity === 'send' ? [...upstreamRequest.headers] : withoutIdentity(upstreamRequest.headers)
    headers.push(mirrorHeader, '1')
    const copy = new Exchange(request, { ...upstreamRequest, headers }, route, performance.now())
    copy.isMirrored = true
    copy.upstream = upstream
    copy.endpoints = undefined
    void run(copy, upstream)
  }

  return function mirror (exchange, next) {
    const answer = next(exchange)
    const { effect, body, headers, path: target } = exchange.upstreamRequest
    const isDue = effect === 'safe' && body.kind !== 'stream' && !exchange.upgrade && random() * 100 < percent &&
      headerValue(headers, 'x-postern-mirror') === undefined && (identity === 'send' || identityPairs(target).length === 0)
    if (isDue) start(exchange)
    return answer
  }
}
