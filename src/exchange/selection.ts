// Which endpoints of an upstream a part of the traffic may go to: by version, tag or Meta. Pure.

export interface Selectable {
  readonly version: string | undefined
  /** `tag:canary`, `meta:track=blue`: those that some part of postern.yaml names. */
  readonly labels: readonly string[]
  /** performance.now() when it appeared. */
  readonly sinceMs: number
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
  /** How long an endpoint must have been there before its version takes over, ms. */
  readonly takeoverMs: number
}

export function matches ({ version, labels }: Selectable, selector: Selector): boolean {
  if (selector.version !== undefined && (version === undefined || !selector.version.test(version))) return false
  return selector.labels.every(label => labels.includes(label))
}

/** Endpoints, and until when (performance.now()) they are the right ones. */
export interface Selected<E> {
  readonly chosen: readonly E[]
  readonly untilMs: number
}

/**
 * The rest. Never empty while there is an endpoint: where every one belongs to some part, all get it. A version takes over when one of its
 * endpoints has been there for `takeoverMs`, and shares with the one before it until then.
 */
export function selectRest<E extends Selectable> (endpoints: readonly E[], { outside, versions, takeoverMs }: Rest, nowMs: number): Selected<E> {
  const free = outside.length === 0 ? endpoints : endpoints.filter(endpoint => !outside.some(selector => matches(endpoint, selector)))
  const candidates = free.length > 0 ? free : endpoints
  if (versions === 'all' || candidates.length < 2) return { chosen: candidates, untilMs: Infinity }
  const sign = versions === 'highest' ? -1 : 1
  // Best first; those without a version come last either way.
  const order = (a: E, b: E) => a.version === undefined || b.version === undefined
    ? Number(a.version === undefined) - Number(b.version === undefined)
    : sign * compareVersions(a.version, b.version)
  const sorted = candidates.toSorted(order)
  const established = sorted.find(({ sinceMs }) => nowMs - sinceMs >= takeoverMs) ?? sorted.at(-1)!
  const chosen = sorted.filter(endpoint => order(endpoint, established) <= 0)
  return { chosen, untilMs: Math.min(...chosen.map(({ sinceMs }) => sinceMs + takeoverMs).filter(at => at > nowMs)) }
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
