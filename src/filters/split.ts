// Sends an exchange to its part of the traffic: by a condition on the call, else by share, else to the rest.
import type { Filter } from '../exchange/compose.ts'
import type { EndListener, Exchange, PartMeter, Policy, UpstreamHandle } from '../exchange/exchange.ts'
import { endpointsAt, nowhere } from '../exchange/follow.ts'
import { cookieValue, headerValue } from '../exchange/headers.ts'
import type { Rest, Selector } from '../exchange/selection.ts'
import { hashOf } from '../lib/hash.ts'
import { callerKey, readProperty, readQuery } from './split-values.ts'

type SplitPolicy = Policy['split']
type PartPolicy = SplitPolicy['parts'][number]

export interface SplitOptions {
  /** The upstream of this name, if there is one now. */
  readonly upstreamNamed: (name: string) => UpstreamHandle | undefined
  readonly meter: (upstream: string, part: string) => PartMeter
  /** 0 to 1. */
  readonly random?: () => number
}

interface Part {
  readonly name: string
  /** Undefined: the exchange's own upstream. */
  readonly upstream: string | undefined
  readonly selector: Selector
  readonly percent: number
  readonly when: ((exchange: Exchange) => boolean) | undefined
  /** Whether calls of its condition yield to the rest as drawn ones do. */
  readonly orRest: boolean
}

const restName = 'rest'

const record: EndListener = (exchange, response, error) => {
  exchange.part!.done(error?.spec.status ?? response!.status, performance.now() - exchange.startedAtMs)
}

/** Undefined when the policy splits nothing. Endpoint sets are made once per plan of the upstream, not per call. */
export function split (policy: SplitPolicy, { upstreamNamed, meter, random = Math.random }: SplitOptions): Filter | undefined {
  if (policy.parts.length === 0 && policy.versions === 'all') return undefined
  const parts = policy.parts.map(toPart)
  const rest: Rest = { outside: parts.filter(({ upstream }) => upstream === undefined).map(({ selector }) => selector), versions: policy.versions, takeoverMs: policy.takeoverMs }
  const draw = policy.by === 'caller' ? (exchange: Exchange) => hundredth(callerKey(exchange)) : () => random() * 100
  const meters = new Map<string, PartMeter>()

  const go = (exchange: Exchange, name: string, upstream: UpstreamHandle, endpoints: ReadonlySet<string> | undefined, spare: Rest | undefined) => {
    exchange.upstream = upstream
    exchange.endpoints = endpoints
    exchange.spare = spare
    // Named by the route's own upstream: the parts of one split stand side by side.
    const key = `${exchange.route.upstream.name} ${name}`
    let part = meters.get(key)
    if (part === undefined) meters.set(key, part = meter(exchange.route.upstream.name, name))
    exchange.part = part
    exchange.atEnd(record)
  }

  /**
   * Who asked for a part by a condition means that one or none: a pinned version is never another. Who was drawn for it, or only tries it (`yields`),
   * is served by the rest while nobody of the part may be called, or a breaker of its upstream keeps it out.
   */
  const goTo = (exchange: Exchange, part: Part, yields: boolean): boolean => {
    const own = part.upstream === undefined
    const upstream = own ? exchange.upstream : upstreamNamed(part.upstream!)
    const endpoints = upstream?.select(part.selector, endpointsAt(exchange.route, upstream)) ?? nowhere
    if (yields && (upstream?.isUsable(endpoints) !== true || (!own && upstream.breakers.defers(exchange)))) return false
    go(exchange, part.name, upstream ?? exchange.upstream, endpoints, yields ? rest : undefined)
    return true
  }

  return function split (exchange, next) {
    let drawn: number | undefined
    let below = 0
    let placed = parts.some(part => part.when?.(exchange) === true && goTo(exchange, part, part.orRest))
    for (const part of placed ? [] : parts) {
      if (part.percent === 0) continue
      drawn ??= draw(exchange)
      below += part.percent
      if (drawn >= below) continue
      placed = goTo(exchange, part, true)
      break
    }
    if (!placed) go(exchange, restName, exchange.upstream, exchange.upstream.selectRest(rest, exchange.route.endpoints), rest)
    return next(exchange)
  }
}

function toPart ({ name, to, percent = 0, when }: PartPolicy): Part {
  const labels = [...to.tag === undefined ? [] : [`tag:${to.tag}`], ...Object.entries(to.meta ?? {}).map(([key, value]) => `meta:${key}=${value}`)]
  return { name, upstream: to.upstream, selector: { version: to.version === undefined ? undefined : toPattern(to.version), labels }, percent, when: when === undefined ? undefined : toCondition(when), orRest: when?.orRest ?? false }
}

function toCondition ({ header, cookie, query, property, value }: NonNullable<PartPolicy['when']>): (exchange: Exchange) => boolean {
  const pattern = value === undefined ? undefined : toPattern(value)
  const holds = (found: string | undefined) => found !== undefined && (pattern === undefined || pattern.test(found))
  const lower = header?.toLowerCase() ?? ''
  if (header !== undefined) return exchange => holds(headerValue(exchange.upstreamRequest.headers, lower))
  if (cookie !== undefined) return exchange => holds(cookieValue(exchange.upstreamRequest.headers, cookie))
  if (query !== undefined) return exchange => holds(readQuery(exchange, query, false))
  return exchange => holds(readProperty(exchange, property!))
}

const toPattern = (text: string): RegExp => new RegExp(`^${text.split('*').map(part => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*')}$`, 'is')

/** 0 to 100, the same for the same text. */
const hundredth = (text: string): number => hashOf(text) / 0x1_0000_0000 * 100
