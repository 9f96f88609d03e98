// The strategies by their names in postern.yaml (config/schema/balancing.ts). A new one is a file beside this one, a line here, and its name there.
import type { BalancerConfig } from '../../config/schema.ts'
import type { Candidate, Picker } from './candidate.ts'
import { hashRing } from './hash-ring.ts'
import { leastRequests } from './least-requests.ts'
import type { Level } from './level.ts'
import { peakEwma } from './peak-ewma.ts'
import { roundRobin } from './round-robin.ts'
import { weighted } from './weighted.ts'

export const strategies: Readonly<Record<BalancerConfig['strategy'], <E extends Candidate>(level: Level<E>) => Picker<E>>> = {
  'peak-ewma': peakEwma,
  'round-robin': roundRobin,
  'least-requests': leastRequests,
  weighted,
  hash: hashRing
}
