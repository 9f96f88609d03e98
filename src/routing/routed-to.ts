// Whether a message is routed to an upstream, and whether that can be said yet. Pure.
import type { MessagePlan, UpstreamPlan } from './plan.ts'

/** As its owner, or as a part of a split. A name that is routed to another service says nothing of this one's own of that name. */
export function isRoutedTo (upstream: string, plan: MessagePlan | undefined): boolean {
  return plan?.state === 'routed' && (plan.upstream === upstream || plan.alternatives?.some(other => other.upstream === upstream) === true)
}

/** Whether nobody knows yet what may be called of an upstream: what it is, or what it lists. */
export function isOpen ({ servicestack, lists }: Pick<UpstreamPlan, 'servicestack' | 'lists'>): boolean {
  return servicestack === undefined || (servicestack && lists === 'unread')
}
