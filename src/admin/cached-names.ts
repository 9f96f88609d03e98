// Names that left the table and are answered from what is stored alone, as rows of /api/routes. Pure.

export interface CachedName {
  /** `upstream`: whose answers they are. */
  readonly plan: { readonly name: string, readonly upstream: string }
  /** Both since the epoch. */
  readonly sinceMs: number
  readonly untilMs: number
}

const toTime = (ms: number) => new Date(ms).toISOString()

export const cachedRows = (names: readonly CachedName[]): object[] => names.toSorted((a, b) => a.plan.name < b.plan.name ? -1 : 1).map(({ plan: { name, upstream }, sinceMs, untilMs }) => ({
  message: name,
  state: 'cached',
  upstream,
  endpoints: 0,
  why: `Cached: no service has it any more, and what is stored of the answers of ${upstream} may be given out until ${toTime(untilMs)}.`,
  hint: 'It is routed again when a service lists it, and unknown when the last answer has ended.',
  since: toTime(sinceMs)
}))
