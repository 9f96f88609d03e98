// Which endpoint gets the next attempt: round robin, by weight where weights differ. Pure but for the counters it is handed.

export interface Candidate {
  readonly url: string
  readonly available: boolean
  readonly plan: { readonly weight: number }
  currentWeight: number
}

export interface PickRules {
  /** Keys of the endpoints that have the message; undefined = all. */
  readonly only: ReadonlySet<string> | undefined
  /** Endpoints tried already in this exchange. */
  readonly tried: ReadonlyArray<{ readonly endpoint: string }>
}

/** Round robin over one upstream's endpoints. `equal` tells that all weights are the same, which saves looking at all of them. */
export class RoundRobin<E extends Candidate> {
  #position = 0

  pick (endpoints: readonly E[], equal: boolean, rules: PickRules): E | undefined {
    return equal ? this.#next(endpoints, rules) : heaviest(endpoints, rules)
  }

  #next (endpoints: readonly E[], rules: PickRules): E | undefined {
    const { length } = endpoints
    for (let step = 0; step < length; step++) {
      const position = (this.#position + step) % length
      const endpoint = endpoints[position]!
      if (!eligible(endpoint, rules)) continue
      this.#position = position + 1
      return endpoint
    }
    return undefined
  }
}

/** Smooth weighted round robin, as nginx does it: a, a, b, a, c … instead of a, a, a, b, c. */
function heaviest<E extends Candidate> (endpoints: readonly E[], rules: PickRules): E | undefined {
  let best: E | undefined
  let total = 0
  for (const endpoint of endpoints) {
    if (!eligible(endpoint, rules)) continue
    total += endpoint.plan.weight
    endpoint.currentWeight += endpoint.plan.weight
    if (best === undefined || endpoint.currentWeight > best.currentWeight) best = endpoint
  }
  if (best !== undefined) best.currentWeight -= total
  return best
}

function eligible (endpoint: Candidate, { only, tried }: PickRules): boolean {
  if (only !== undefined && !only.has(endpoint.url)) return false
  for (const attempt of tried) if (attempt.endpoint === endpoint.url) return false
  return endpoint.available
}
