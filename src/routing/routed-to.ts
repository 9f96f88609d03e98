// Whether a message is routed to an upstream. Pure.
import type { MessagePlan } from './plan.ts'

/** As its owner, or as a part of a split. A name that is routed to another service says nothing of this one's own of that name. */
export function isRoutedTo (upstream: string, plan: MessagePlan | undefined): boolean {
  return plan?.state === 'routed' && (plan.upstream === upstream || plan.alternatives?.some(other => other.upstream === upstream) === true)
}
