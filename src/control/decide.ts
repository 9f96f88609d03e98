// What is routed, from what the registries say, what the endpoints say and what the operator wrote. Pure: same input, same plan.
import type { Config } from '../config/schema.ts'
import type { MessagePlan, UpstreamPlan } from '../routing/plan.ts'
import type { CatalogEntry } from './catalog.ts'
import { Choices } from './choices.ts'
import { isConfirmed, listedBy, viewUpstream, type Claim, type UpstreamView } from './claims.ts'
import { planCustomRoutes } from './custom-routes.ts'
import { judgeAddress, judgeRefused, type Verdict } from './endpoints.ts'
import { createExposure, type ExposureCause } from './exposure.ts'
import type { Knowledge } from './knowledge.ts'
import { resolveOwner, type Claimant, type Owner, type Resolution } from './ownership.ts'
import type { Decision, EndpointDecision, Mark, Memory, NameDecision } from './plan.ts'

export type DecideConfig = Pick<Config, 'exposure' | 'upstreams' | 'messages' | 'prefixes'> & {
  readonly registry: Pick<Config['registry'], 'ownerGoneMs' | 'unconfirmedMs' | 'panic'>
}

export interface DecideInput {
  /** Of all registries, fixed endpoints of postern.yaml among them. */
  readonly entries: Iterable<CatalogEntry>
  /** By endpoint url. */
  readonly knowledge: ReadonlyMap<string, Knowledge>
  readonly config: DecideConfig
  readonly memory: Memory
  /** Every registry has answered since the start. */
  readonly complete: boolean
  /** ms since epoch. */
  readonly now: number
}

/** Settings of an upstream by name; names come from registries, so `constructor` must find nothing. */
export const settingsOf = (config: Pick<Config, 'upstreams'>, name: string) => Object.hasOwn(config.upstreams, name) ? config.upstreams[name] : undefined

const silentUpstream = (name: string): UpstreamView => ({ name, verdicts: [], groups: [], claims: new Map(), firstIndex: Infinity, silentSince: undefined })

function viewUpstreams (input: DecideInput): { views: Map<string, UpstreamView>, verdicts: Verdict[] } {
  const byUrl = new Map<string, CatalogEntry[]>()
  const verdicts: Verdict[] = []
  for (const entry of input.entries) {
    const { address, refused } = entry.registration
    if (address === undefined || refused !== undefined) {
      verdicts.push(judgeRefused(entry))
      continue
    }
    const same = byUrl.get(address.url)
    if (same === undefined) byUrl.set(address.url, [entry])
    else same.push(entry)
  }
  for (const [url, entries] of byUrl) verdicts.push(...judgeAddress(url, entries, input.knowledge.get(url), input.memory.served.has(url)))
  const byUpstream = new Map<string, Verdict[]>()
  for (const verdict of verdicts) {
    const name = verdict.registration.service
    const same = byUpstream.get(name)
    if (same === undefined) byUpstream.set(name, [verdict])
    else same.push(verdict)
  }
  const views = new Map<string, UpstreamView>()
  for (const [name, own] of byUpstream) views.set(name, viewUpstream(name, own, settingsOf(input.config, name)?.trustTags ?? false))
  return { views, verdicts }
}

const nobody: readonly string[] = []

/** Those who claim a name, each with what ownership asks of it. */
function toClaimants (key: string, views: readonly UpstreamView[]): Claimant[] {
  const claimants: Claimant[] = []
  for (const { name, claims, firstIndex, silentSince } of views) {
    const standing = claims.get(key)?.standing ?? 'absent'
    if (standing !== 'absent') claimants.push({ upstream: name, confirmed: isConfirmed(standing), firstIndex, silentSince })
  }
  return claimants
}

interface NamePlan { readonly decision: NameDecision, readonly plan: MessagePlan | undefined, readonly choice: readonly Verdict[] | undefined }

/** Decides everything anew. `memory` of the result belongs into the next call. */
export function decide (input: DecideInput): Decision {
  const { config, memory, now } = input
  const exposure = createExposure(config)
  const { views, verdicts } = viewUpstreams(input)
  const marks = new Map<string, Map<string, Mark>>()
  const mark = (group: string, subject: string, state: string): number => {
    const before = memory.marks.get(group)?.get(subject)
    const kept = before?.state === state ? before : { state, since: now }
    let own = marks.get(group)
    if (own === undefined) marks.set(group, own = new Map())
    own.set(subject, kept)
    return kept.since
  }
  const settled = new Map<string, { upstream: string, name: string }>()
  for (const [name, { upstream }] of Object.entries(config.messages)) if (upstream !== undefined) settled.set(name.toLowerCase(), { upstream, name })
  for (const name of [...Object.values(config.prefixes).map(prefix => prefix.upstream), ...[...settled.values()].map(({ upstream }) => upstream), ...Object.keys(config.upstreams)]) {
    if (!views.has(name)) views.set(name, silentUpstream(name))
  }
  const choices = new Map<string, Choices>()
  for (const view of views.values()) choices.set(view.name, new Choices(view, config.registry.panic))

  const claimed = new Map<string, UpstreamView[]>()
  for (const view of views.values()) {
    for (const key of view.claims.keys()) {
      const same = claimed.get(key)
      if (same === undefined) claimed.set(key, [view])
      else same.push(view)
    }
  }
  for (const key of settled.keys()) if (!claimed.has(key)) claimed.set(key, [])

  const owners = new Map<string, Owner>()
  // Who does not claim a name any more keeps it only until every registry has spoken.
  if (!input.complete) for (const [key, owner] of memory.owners) owners.set(key, owner)
  const watched = new Set<string>()
  let nextAt: number | undefined
  const wake = (at: number | undefined) => { if (at !== undefined && (nextAt === undefined || at < nextAt)) nextAt = at }
  const planned: NamePlan[] = []

  for (const [key, claimViews] of claimed) {
    const setting = settled.get(key)
    const recorded = memory.owners.get(key)
    const claimants = toClaimants(key, claimViews)
    const only = claimants.length === 1 && setting === undefined ? claimants[0] : undefined
    // One claimant and no other owner: nearly every name, so it is decided without a rule being asked.
    const resolution: Resolution = only?.confirmed === true && (recorded === undefined || recorded.upstream === only.upstream)
      ? { owner: only.upstream, since: recorded?.since ?? now, quarantined: nobody, by: recorded === undefined ? 'only' : 'kept', from: undefined, nextAt: undefined }
      : resolveOwner(claimants, recorded, { settled: setting?.upstream, ownerGoneMs: config.registry.ownerGoneMs, complete: input.complete, now })
    if (resolution.owner !== undefined) owners.set(key, recorded?.upstream === resolution.owner ? recorded : { upstream: resolution.owner, since: resolution.since })
    else if (recorded !== undefined && claimants.length > 0) owners.set(key, recorded)
    wake(resolution.nextAt)
    if (resolution.quarantined.length > 0 && resolution.owner !== undefined) for (const { url, key: asks } of views.get(resolution.owner)?.verdicts ?? []) if (asks !== '') watched.add(url)
    if (setting !== undefined) {
      const view = views.get(setting.upstream) ?? silentUpstream(setting.upstream)
      if (!isConfirmed(view.claims.get(key)?.standing ?? 'absent')) planned.push(planSettled(key, setting.name, view, resolution))
    }
    for (const view of claimViews) {
      const claim = view.claims.get(key)
      if (claim === undefined || (setting?.upstream === view.name && !isConfirmed(claim.standing))) continue
      planned.push(planClaim(claim, view, resolution, claimants))
    }
  }

  function toDecision (key: string, name: string, upstream: string, resolution: Resolution, state: NameDecision['state'], cause: NameDecision['cause'], endpoints: number, claimants: readonly Claimant[] = []): NameDecision {
    const conflictWith = claimants.length < 2 && claimants[0]?.upstream === upstream ? nobody : claimants.filter(other => other.upstream !== upstream && other.confirmed).map(other => other.upstream)
    return { key, name, upstream, state, cause, by: resolution.by, conflictWith, from: resolution.from, endpoints, since: mark(upstream, key, state) }
  }

  function toNamePlan (decision: NameDecision, choice?: readonly Verdict[], suggest = false): NamePlan {
    const { key, name, upstream, state } = decision
    if (state !== 'routed' && state !== 'hidden' && state !== 'unread') return { decision, plan: undefined, choice }
    return { decision, plan: { key, name, state, upstream, endpoints: undefined, suggest }, choice }
  }

  function planClaim (claim: Claim, view: UpstreamView, resolution: Resolution, claimants: readonly Claimant[]): NamePlan {
    const { key, name, standing } = claim
    const said = exposure(view.name, key, claim.restricted)
    const of = (state: NameDecision['state'], cause: NameDecision['cause'], endpoints = 0) => toDecision(key, name, view.name, resolution, state, cause, endpoints, claimants)
    if (standing === 'absent') return toNamePlan(of('absent', 'not-listed'))
    if (resolution.quarantined.includes(view.name)) return toNamePlan(of(resolution.owner === undefined ? 'conflict' : 'quarantined', resolution.owner === undefined ? 'several' : 'owned'))
    // Another service has it: what this one's list will say changes nothing yet.
    if (resolution.owner !== undefined && resolution.owner !== view.name) return toNamePlan(of('quarantined', 'owned'))
    if (said !== 'exposed') return toNamePlan(of('hidden', said))
    if (standing === 'unlisted') return toNamePlan(of('hidden', 'no-list'))
    if (standing === 'unread') return toNamePlan(of('unread', 'not-read'))
    const choice = choices.get(view.name)?.ofGroups(claim.groups) ?? []
    return toNamePlan(of('routed', standing === 'listed' ? 'listed' : 'trusted', choice.length), choice, claim.visible)
  }

  /** A message that postern.yaml gives to an upstream which does not name it: built-in ones (Authenticate), or tags not read yet. */
  function planSettled (key: string, name: string, view: UpstreamView, resolution: Resolution): NamePlan {
    const listed = listedBy(view, key)
    const said: ExposureCause = exposure(view.name, key, listed?.operation.restricted ?? false)
    const title = listed?.operation.name ?? name
    if (said !== 'exposed') return toNamePlan(toDecision(key, title, view.name, resolution, 'hidden', said, 0))
    // A restricted message must not slip out while its list is on the way.
    const hosts = view.verdicts.filter(verdict => verdict.speaks && verdict.registration.kind !== 'plain')
    const isUnread = hosts.length > 0 && hosts.every(({ knowledge }) => knowledge?.listed === undefined || knowledge.listed.state === 'unread')
    if (isUnread) return toNamePlan(toDecision(key, title, view.name, resolution, 'unread', 'not-read', 0))
    const chosen = choices.get(view.name)
    const choice = listed === undefined ? chosen?.base ?? [] : chosen?.of(listed.verdicts) ?? []
    return toNamePlan(toDecision(key, title, view.name, resolution, 'routed', 'yaml', choice.length), choice, listed?.operation.visible ?? false)
  }

  const messages = new Map<string, MessagePlan>()
  for (const { plan, choice } of planned) {
    if (plan === undefined) continue
    const before = messages.get(plan.key)
    // Several weak claims of one name and no owner: not knowing yet (503) is said before not existing.
    if (before !== undefined && (before.state !== 'hidden' || plan.state === 'hidden')) continue
    messages.set(plan.key, choice === undefined ? plan : { ...plan, endpoints: choices.get(plan.upstream)?.urls(choice) })
  }

  const upstreams = new Map<string, UpstreamPlan>()
  const served = new Set<string>()
  for (const view of views.values()) {
    const plan = choices.get(view.name)?.upstreamPlan()
    if (plan === undefined) continue
    if (view.verdicts.some(verdict => verdict.speaks) || view.verdicts.length === 0) upstreams.set(view.name, plan)
    for (const { url } of plan.endpoints) served.add(url)
  }

  const { routes, conflicts } = planCustomRoutes([...views.values()].map(view => ({
    upstream: view.name,
    lists: [...new Set(view.verdicts.map(({ speaks, state, knowledge }) => speaks && state !== 'stranger' && knowledge?.listed?.state === 'read' ? knowledge.listed.list : undefined).filter(list => list !== undefined))],
    isOn: settingsOf(config, view.name)?.customRoutes ?? false,
    hasDiscovery: view.verdicts.some(({ speaks, registration }) => speaks && registration.kind !== 'plain'),
    isHidden: (key, restricted) => exposure(view.name, key, restricted) !== 'exposed',
    routedSince: key => {
      const plan = messages.get(key)
      return plan?.state === 'routed' && plan.upstream === view.name ? owners.get(key)?.since : undefined
    }
  })))

  const endpoints = verdicts.map((verdict): EndpointDecision => {
    const upstream = verdict.registration.service
    const isServed = choices.get(upstream)?.has(verdict) ?? false
    const state = isServed && verdict.state === 'critical' ? 'routed' : !isServed && verdict.state === 'routed' ? 'standby' : verdict.state
    if (verdict.entry.unconfirmedSince !== undefined) wake(verdict.entry.unconfirmedSince + config.registry.unconfirmedMs)
    return { upstream, verdict, state, byPanic: isServed && verdict.tier === 3, since: mark(`${verdict.registration.registry}/`, verdict.registration.id, `${state} ${verdict.cause}`) }
  })

  return {
    plan: { upstreams, messages, customRoutes: routes },
    memory: { served, owners, marks },
    names: planned.map(({ decision }) => decision),
    endpoints,
    pathConflicts: conflicts,
    watched,
    nextAt
  }
}
