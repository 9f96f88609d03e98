// Which endpoints of an upstream a part of the traffic may go to: by version, tag or Meta. Pure.

export interface Selectable {
  readonly version: string | undefined
  /** `tag:canary`, `meta:track=blue`: those that some part of postern.yaml names. */
  readonly labels: readonly string[]
  /** performance.now() when it appeared. */
  readonly sinceMs: number
  readonly weight: number
  /** Whether it may be called, full or not, or soon may because it is only asked who it is. */
  readonly expected: boolean
}

/** What an endpoint must be. An object's identity is its key: selectors are made once, when the pipeline is built. */
export interface Selector {
  /** Pattern; `*` matches anything. */
  readonly version?: RegExp | undefined
  readonly labels: readonly string[]
}

/** Endpoints for what no part has taken: outside every part, and of the version that is to get it. */
export interface Rest {
  readonly outside: readonly Selector[]
  readonly versions: 'all' | 'highest' | 'lowest'
  /** How long a new version takes to take over, ms. */
  readonly takeoverMs: number
}

export function matches ({ version, labels }: Selectable, selector: Selector): boolean {
  if (selector.version !== undefined && (version === undefined || !selector.version.test(version))) return false
  return selector.labels.every(label => labels.includes(label))
}

/** Endpoints, and until when (performance.now()) they are the right ones. */
export interface Selected<E> {
  readonly chosen: readonly E[]
  /** What each of them weighs while a version takes over; undefined: as much as ever. */
  readonly weights?: readonly number[]
  readonly untilMs: number
}

/** Steps of a takeover. */
const steps = 20
/** How long a version is passed over because none of its endpoints may be called, until it is looked at again. ms. */
const passedOverMs = 500
/** What all endpoints weigh together meanwhile. */
const whole = 1_000

/**
 * The rest. Never empty while there is an endpoint: where every one belongs to some part, all get it. A version that came later than others takes
 * over from them step by step; those that came together, as at a start, have nothing to take over. A version none of whose endpoints may be called
 * is passed over, unless that is so of all.
 */
export function selectRest<E extends Selectable> (endpoints: readonly E[], { outside, versions, takeoverMs }: Rest, nowMs: number): Selected<E> {
  const free = outside.length === 0 ? endpoints : endpoints.filter(endpoint => !outside.some(selector => matches(endpoint, selector)))
  const candidates = free.length > 0 ? free : endpoints
  if (versions === 'all' || candidates.length < 2) return { chosen: candidates, untilMs: Infinity }
  const ageOf = (some: readonly E[]) => nowMs - Math.min(...some.map(({ sinceMs }) => sinceMs))
  const wholeMs = Math.min(takeoverMs, ageOf(candidates))
  const chosen: E[] = []
  const weights: number[] = []
  let left = whole
  const all = byVersion(candidates, versions === 'highest' ? -1 : 1)
  const alive = all.filter(version => version.some(({ expected }) => expected))
  const sorted = alive.length === 0 ? all : alive
  for (const [index, version] of sorted.entries()) {
    const ageMs = ageOf(version)
    const part = ageMs >= wholeMs || index === sorted.length - 1 ? 1 : Math.ceil(steps * ageMs / wholeMs) / steps
    const total = version.reduce((sum, { weight }) => sum + Math.max(1, weight), 0)
    chosen.push(...version)
    weights.push(...version.map(({ weight }) => Math.max(1, Math.round(left * part * Math.max(1, weight) / total))))
    if (part === 1 && index === 0) return { chosen, untilMs: sorted === alive && alive.length < all.length ? nowMs + passedOverMs : Infinity }
    if (part === 1) break
    left -= left * part
  }
  return { chosen, weights, untilMs: nowMs + takeoverMs / steps }
}

/** Best first; those without a version come last either way. */
function byVersion<E extends Selectable> (endpoints: readonly E[], sign: 1 | -1): E[][] {
  const order = (a: E, b: E) => a.version === undefined || b.version === undefined
    ? Number(a.version === undefined) - Number(b.version === undefined)
    : sign * compareVersions(a.version, b.version)
  const groups: E[][] = []
  for (const endpoint of endpoints.toSorted(order)) {
    const same = groups.at(-1)
    if (same !== undefined && order(same[0]!, endpoint) === 0) same.push(endpoint)
    else groups.push([endpoint])
  }
  return groups
}

/**
 * Dotted numbers by number, whatever else by text: 2.10 is above 2.9, 2.0 above 2.0-beta (semantic versioning 2.0.0, section 11).
 * Negative when a is below b.
 */
export function compareVersions (a: string, b: string): number {
  const [coreA, coreB] = [coreOf(a), coreOf(b)]
  const [partsA, partsB] = [coreA.split('.'), coreB.split('.')]
  for (let i = 0; i < Math.max(partsA.length, partsB.length); i++) {
    const [x, y] = [Number(partsA[i] ?? 0), Number(partsB[i] ?? 0)]
    const difference = Number.isNaN(x) || Number.isNaN(y) ? compareTexts(partsA[i] ?? '', partsB[i] ?? '') : x - y
    if (difference !== 0) return difference
  }
  const [tailA, tailB] = [a.slice(coreA.length), b.slice(coreB.length)]
  if (tailA === '' || tailB === '') return Number(tailA === '') - Number(tailB === '')
  return compareTexts(tailA, tailB)
}

/** What stands before a pre-release or build. */
const coreOf = (version: string): string => /^[^-+]*/.exec(version)![0]
const compareTexts = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0
