// Where a call goes that was drawn for an endpoint of which nobody has heard for a while: it is asked who it is, and the call goes to one that has spoken lately, or waits.
import type { Exchange } from '../exchange/exchange.ts'
import type { Avoid } from './balancing/candidate.ts'
import { stickyKey } from './balancing/sticky-key.ts'
import type { Endpoint } from './endpoint.ts'

/** Most that one call has asked: the word of one may not come, and a large fleet that rests is not to be woken by a single call. */
const mostAsked = 3

const cold: Avoid = { has: (one: Endpoint) => one.isCold }

/** `drawn` is cold. `draw`: another one, but none that is asked. Undefined: the word of one of those is waited for. */
export function askCold (drawn: Endpoint, exchange: Exchange, draw: (avoid?: Avoid) => Endpoint | undefined): Endpoint | undefined {
  let next: Endpoint | undefined = drawn
  const { balancer } = exchange.route.policy
  const isBound = balancer.strategy === 'hash' && stickyKey(exchange, balancer) !== undefined
  for (let asked = 1; next !== undefined; asked++) {
    next.askAnew()
    // What belongs to one endpoint waits for that one.
    if (asked === mostAsked || isBound) return undefined
    const other = draw(cold)
    if (other !== undefined) return other
    next = draw()
  }
  return undefined
}
