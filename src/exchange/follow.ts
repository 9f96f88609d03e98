// Where the table in force sends an exchange that has waited: endpoints may have left its message since, or the message its upstream.
import type { Exchange, Route, UpstreamHandle } from './exchange.ts'

export const nowhere: ReadonlySet<string> = new Set()

/** The route of its message by now; undefined: it has none any more. Of what is no message's, or went elsewhere on purpose, the one it follows. */
function inForce ({ route, follows, isMirrored, degradedBy }: Exchange): Route | undefined {
  return route.inForce === undefined || isMirrored || degradedBy !== undefined ? follows : route.inForce()
}

/**
 * Endpoints of an upstream that the calls of a route may go to; undefined: its base. Of another service that lists its messages only those that
 * have the message for outside callers: it may restrict it, or not have it.
 */
export function endpointsAt ({ upstream: own, endpoints, alternatives }: Route, upstream: UpstreamHandle): ReadonlySet<string> | undefined {
  if (upstream === own) return endpoints
  return alternatives?.has(upstream.name) === true || upstream.takesUnlisted ? alternatives?.get(upstream.name) : nowhere
}

/** The chosen set itself where nothing of it has gone: what is known of its shares hangs on it. */
function among (chosen: ReadonlySet<string> | undefined, having: ReadonlySet<string> | undefined): ReadonlySet<string> | undefined {
  if (chosen === undefined || having === undefined) return chosen ?? having
  const left = new Set(chosen).intersection(having)
  return left.size === chosen.size ? chosen : left
}

/** Whether it may go on at another upstream: its message is that one's by now, or it was only drawn for this one (`isSpared`). */
export function isElsewhere (exchange: Exchange): boolean {
  const now = inForce(exchange)
  return now !== undefined && (now.upstream !== exchange.follows.upstream || isSpared(exchange))
}

/** Whether its split had drawn it for another upstream, of which nobody may be called: it goes to what no part has taken. */
export function isSpared ({ spare, upstream, follows, endpoints }: Exchange): boolean {
  return spare !== undefined && upstream !== follows.upstream && !upstream.isUsable(endpoints)
}

/**
 * Takes from an exchange what its message has no more: for whoever has waited, before an endpoint is picked. Where the message is another
 * upstream's by now, nothing of the first is left to it, and `move` takes it there.
 */
export function renew (exchange: Exchange): void {
  const { follows, upstream } = exchange
  const now = inForce(exchange)
  if (now === follows) return
  if (now === undefined || now.upstream !== follows.upstream) {
    exchange.endpoints = nowhere
    exchange.spare = undefined
    return
  }
  exchange.follows = now
  const having = endpointsAt(now, upstream)
  exchange.endpoints = exchange.part === undefined ? having : among(exchange.endpoints, having)
}

/**
 * Whether it goes on at another upstream: where its message is by now, or back where its split has drawn it. Once each: names do not go round.
 * Where its message is by now, not if the path is spelled in a form that the hosts there do not know, nor on a path of the first service's own.
 */
export function move (exchange: Exchange): boolean {
  const { route, follows, spare, upstreamRequest: { path } } = exchange
  const now = inForce(exchange)
  if (now === undefined) return false
  if (now.upstream === follows.upstream) {
    if (!isSpared(exchange)) return false
    handOver(exchange, now.upstream, now.upstream.selectRest(spare!, now.endpoints))
    exchange.spare = spare
    exchange.follows = now
    return true
  }
  if (follows.upstream !== route.upstream) return false
  if (route.kind !== 'message' || (/^\/api\//i.test(path) && !now.upstream.apiForm)) return false
  handOver(exchange, now.upstream, now.endpoints)
  exchange.follows = now
  return true
}

/** The exchange goes on at another upstream, and gives back what it held of the first. A message that came there by a split is no part of it any more. */
export function handOver (exchange: Exchange, upstream: UpstreamHandle, endpoints: Exchange['endpoints']): void {
  exchange.admitted?.left()
  exchange.slot?.release(exchange)
  exchange.slot = undefined
  exchange.upstream = upstream
  exchange.endpoints = endpoints
  exchange.spare = undefined
  exchange.lastError = undefined
}
