// What the breaker actions see and do: the data plane's breakers and holds.
import { policyFor } from '../config/resolve.ts'
import type { Config } from '../config/schema.ts'
import type { DataPlane } from '../data-plane.ts'
import type { BreakerBoard, BreakerTarget } from './breakers.ts'

type Plane = Pick<DataPlane, 'holds' | 'upstreams' | 'upstreamNamed' | 'planOf' | 'config'>

/** `written`: of the file that keeps what is held. */
export function createBreakerBoard (plane: Plane, { written }: { readonly written: () => Promise<boolean> }): BreakerBoard {
  const { holds } = plane
  const findEndpoint = ({ upstream, endpoint }: BreakerTarget) => plane.upstreamNamed(upstream)?.endpoints.find(({ url }) => url === endpoint?.replace(/\/$/, ''))
  const isHeld = ({ upstream, message, endpoint }: BreakerTarget) =>
    holds.of(upstream).find(hold => hold.endpoint === endpoint && hold.message?.toLowerCase() === message?.toLowerCase())
  return {
    get holds () { return holds.all },
    hasRoomFor: target => !holds.isFull || isHeld(target) !== undefined,
    get outlivesRestart () { return plane.config.dataDirectory !== undefined },
    states: () => [...plane.upstreams].flatMap(upstream => [
      ...upstream.breakerStates().map(({ message, ...state }) => ({ upstream: upstream.name, ...message === undefined ? {} : { message }, ...state })),
      ...upstream.endpoints
        .filter(({ breakerState, breakerHeld, ejection, pausedMs }) => breakerState !== 'closed' || breakerHeld !== undefined || ejection !== undefined || pausedMs > 0)
        .map(({ url, breakerState, breakerHeld, ejection, pausedMs, retryAfterMs }) => ({
          upstream: upstream.name,
          endpoint: url,
          state: breakerState,
          held: breakerHeld !== undefined,
          retryAfterMs: breakerState === 'open' ? Math.round(retryAfterMs) : 0,
          pausedMs: Math.round(pausedMs),
          ejected: ejection?.reason ?? null
        }))
    ]),
    find (target) {
      // What is held can be released, also when it is not there any more.
      const held = isHeld(target)
      if (held !== undefined) return { upstream: held.upstream, message: held.message, endpoint: held.endpoint }
      const { upstream, message } = target
      if (plane.upstreamNamed(upstream) === undefined) return undefined
      if (message !== undefined) {
        const name = spelled(plane, upstream, message)
        return name === undefined ? undefined : { upstream, message: name }
      }
      if (target.endpoint === undefined) return { upstream }
      const endpoint = findEndpoint(target)
      return endpoint === undefined ? undefined : { upstream, endpoint: endpoint.url }
    },
    hold (hold) {
      holds.set(hold)
      return written()
    },
    release (target) {
      const wasHeld = holds.release(target) !== undefined
      if (!wasHeld && target.endpoint === undefined) plane.upstreamNamed(target.upstream)?.breakers.reset(target.message)
      findEndpoint(target)?.reset()
      return wasHeld
    }
  }
}

/** A message or prefix of this upstream, or of another one whose policy sends some of its calls here, as its routes spell it, or one that a breaker has here, as `(fallback)`; undefined where there is none of this name. */
function spelled (plane: Plane, upstream: string, name: string): string | undefined {
  const owner = plane.config.prefixes[name]?.upstream
  if (owner !== undefined) return owner === upstream || isSentTo(plane.config, owner, name, upstream) ? name : undefined
  const failing = plane.upstreamNamed(upstream)?.breakers.messages.find(({ message }) => message.toLowerCase() === name.toLowerCase())
  if (failing !== undefined) return failing.message
  const plan = plane.planOf(name)
  return plan?.upstream === upstream || (plan !== undefined && isSentTo(plane.config, plan.upstream, name.toLowerCase(), upstream)) ? plan.name : undefined
}

function isSentTo (config: Config, owner: string, key: string, upstream: string): boolean {
  const { split, mirror, degraded } = policyFor(config, owner, key)
  return mirror.to === upstream || degraded.upstream === upstream || split.parts.some(({ to }) => to.upstream === upstream)
}
