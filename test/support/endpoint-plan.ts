// The plan of an endpoint with everything said that a test does not say.
import type { EndpointPlan } from '../../src/routing/plan.ts'

export function endpointPlan (url: string, like: Partial<EndpointPlan> = {}): EndpointPlan {
  return { url, origin: url, basePath: '', weight: 1, version: undefined, node: undefined, labels: [], datacenter: undefined, zone: undefined, level: 0, rttMs: undefined, ...like }
}
