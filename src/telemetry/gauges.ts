// What live parts tell at a scrape, read by callbacks. Types only.

/** What an upstream tells at a scrape. */
export interface UpstreamGauges {
  readonly name: string
  readonly bulkhead: { readonly inFlight: number, readonly limit: number, readonly queued: number, readonly maxQueue: number, readonly rejections: Iterable<{ readonly limit: string, readonly priority: string, readonly count: number }> }
  readonly retryBudget: { readonly left: number, readonly refused: number }
  /** Breakers that remember something or are held; `message` '' = the upstream's own. */
  readonly breakers: Iterable<{ readonly message: string, readonly state: 'closed' | 'half-open' | 'open' }>
  readonly held: { readonly open: number, readonly closed: number }
  readonly endpoints: Iterable<EndpointGauges>
  /** Attempts that went farther than to the nearest zone and datacenter. */
  readonly overflowed: number
  /** How endpoints share the calls: asked when scraped. */
  balance (): ReadonlyMap<{ readonly url: string }, { readonly share: number, readonly scoreMs: number }>
}

export interface EndpointGauges {
  readonly url: string
  readonly breaker: 'closed' | 'half-open' | 'open'
  readonly available: boolean
  readonly ejected: boolean
  readonly inFlight: number
  /** Undefined: it has none of its own. */
  readonly limit: number | undefined
  readonly busy: number
  readonly idle: number
}
export interface RegistryGauges {
  readonly registry: string
  readonly ok: boolean
  /** Date.now() of the last good answer; undefined before the first. */
  readonly lastGoodAt: number | undefined
}
export interface TableGauges {
  /** Names by state. */
  readonly routes: Readonly<Record<string, number>>
  readonly conflicts: number
  /** Registrations by state. */
  readonly registrations: Readonly<Record<string, number>>
  /** Names that changed hands, by reason. */
  readonly moves: Readonly<Record<string, number>>
  /** Registrations in force that their registry does not vouch for now, by registry. */
  readonly stale: Readonly<Record<string, number>>
  /** Unreadable entries, by registry. */
  readonly dropped: Readonly<Record<string, number>>
  /** Whether what was to be kept last is on disk; left out: nothing was to be. */
  readonly stateKept?: boolean | undefined
}

/** Faults injected, by upstream and kind. */
export type FaultCounts = Iterable<readonly [upstream: string, counts: Readonly<Record<string, number>>]>
