// Which names of a registration are messages: the tags held against the endpoint's own list (decisions 2.1, 2.4). Pure.
import type { Listed } from '../contracts/ask.ts'
import { findOperations, isMessageName, operationLimits, type Operation, type OperationList } from '../contracts/operations.ts'
import type { Markers } from '../contracts/markers.ts'
import type { Verdict } from './endpoints.ts'

/**
 * `listed`: in the tags and in the list. `trusted`: the endpoint publishes no list and its names are believed. `unread`: not read yet.
 * `unlisted`: no list, and nobody said to believe the tags. `strange`: only a stranger answers, and nobody knows the list. `absent`: the list does not have it: a custom tag, or a stranger's.
 */
export type Standing = 'listed' | 'trusted' | 'unread' | 'unlisted' | 'strange' | 'absent'

export interface Offer {
  /** Lower-cased. */
  readonly key: string
  readonly name: string
  readonly standing: Standing
  readonly operation: Operation | undefined
}

/**
 * `believesTags`: plain services name their messages on purpose, and operators may say so for others (trustTags). `believed`: names that an
 * operator exposes one by one, lower-cased. `isStranger`: nobody believes the names of one registration for the sake of another program at its
 * address, nor waits for that to list them.
 */
export function toOffers (names: readonly string[], listed: Listed | undefined, believesTags: boolean, believed: ReadonlySet<string>, isStranger = false): Offer[] {
  const offers = new Map<string, Offer>()
  const add = (name: string, standing: Standing, operation?: Operation) => {
    const key = name.toLowerCase()
    if (!offers.has(key) || operation !== undefined) offers.set(key, { key, name, standing, operation })
  }
  for (const name of names.slice(0, operationLimits.operations)) {
    if (!isMessageName(name)) continue
    if (listed?.state === 'read') {
      const operations = findOperations(listed.list, name.toLowerCase())
      if (operations.length === 0) add(name, 'absent')
      for (const operation of operations) add(operation.name, 'listed', operation)
    } else if (isStranger) add(name, 'strange')
    else if (listed === undefined || listed.state === 'unread') add(name, 'unread')
    else add(name, believesTags || believed.has(name.toLowerCase()) ? 'trusted' : 'unlisted')
  }
  return [...offers.values()]
}

/** Endpoints that offer the same: computed once for all instances of a service. */
export interface OfferGroup {
  readonly offers: readonly Offer[]
  readonly markers: Markers | undefined
  readonly verdicts: Verdict[]
}

/** Groups the endpoints of one upstream by what they offer. */
export function groupOffers (verdicts: readonly Verdict[], trustTags: boolean, believed: ReadonlySet<string>): OfferGroup[] {
  const numbers = new Map<OperationList | Markers, number>()
  const numberOf = (shared: OperationList | Markers) => {
    const number = numbers.get(shared) ?? numbers.size
    numbers.set(shared, number)
    return number
  }
  const buckets = new Map<string, Array<OfferGroup & { readonly names: readonly string[] }>>()
  const groups: OfferGroup[] = []
  for (const verdict of verdicts) {
    const { names, kind } = verdict.registration
    if (!verdict.speaks || names.length === 0) continue
    const listed = listedOf(verdict)
    const isStranger = verdict.state === 'stranger'
    const believes = trustTags || kind === 'plain'
    let identity: string = listed?.state ?? 'unread'
    const markers = verdict.knowledge?.markers
    if (listed?.state === 'read') identity = markers === undefined ? String(numberOf(listed.list)) : `${numberOf(listed.list)}/${numberOf(markers)}`
    // Comparing names in place costs a fifth of joining them to a key.
    const signature = `${identity} ${believes} ${isStranger} ${names.length} ${names[0]} ${names.at(-1)}`
    const bucket = buckets.get(signature) ?? []
    const group = bucket.find(other => other.names.every((name, index) => name === names[index]))
    if (group !== undefined) {
      group.verdicts.push(verdict)
      continue
    }
    const fresh = { names, offers: toOffers(names, listed, believes, believed, isStranger), markers, verdicts: [verdict] }
    bucket.push(fresh)
    buckets.set(signature, bucket)
    groups.push(fresh)
  }
  return groups
}

/**
 * A plain service that its registry calls healthy needs not answer us: without a list its names hold, until one is read. A stranger's word
 * takes nothing from the list of whom it stands in for.
 */
function listedOf ({ registration, knowledge, state }: Verdict): Listed | undefined {
  if (state === 'stranger' && knowledge?.lastList !== undefined) return { state: 'read', list: knowledge.lastList }
  if (knowledge === undefined || registration.kind !== 'plain') return knowledge?.listed
  const { listed, silent, servicestackVersion } = knowledge
  if (listed?.state === 'unread') return servicestackVersion === undefined ? { state: 'none', reason: listed.reason } : listed
  const isHealthy = registration.health === 'passing' || registration.health === 'warning'
  return listed ?? (isHealthy && silent !== undefined ? { state: 'none', reason: silent.reason } : undefined)
}
