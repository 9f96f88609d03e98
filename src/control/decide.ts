// What is routed, from what the registries say, what the endpoints say and what the operator wrote. Pure: same input, same plan.
import type { Config, UpstreamConfig } from '../config/schema.ts'
import { neverRouted } from '../config/never-routed.ts'
import { LargeMap } from '../lib/large-map.ts'
import type { Distances } from '../registry/coordinates.ts'
import type { MessagePlan, UpstreamPlan } from '../routing/plan.ts'
import { isOpen, isRoutedTo } from '../routing/routed-to.ts'
import type { LeftOut } from '../upstream/left-out.ts'
import { isTimed, keyOf, type CatalogEntry } from './catalog.ts'
import { Choices, type SaidOfUpstream } from './choices.ts'
import type { UpstreamView } from './claims.ts'
import { planCustomRoutes, type RouteSource } from './custom-routes.ts'
import { judgeRefused, judgeUnresolved, type Verdict } from './endpoints.ts'
import { createExposure, type Exposure } from './exposure.ts'
import { JudgeBook } from './judged.ts'
import { whyUnread, type Knowledge } from './knowledge.ts'
import { createLocate } from './locality.ts'
import { MarkBook } from './marks.ts'
import { LeftOutBook } from './left-out-book.ts'
import { decideNames, type NameContext, type NamesDecided } from './names.ts'
import type { Decision, EndpointDecision, Memory } from './plan.ts'
import { Splits } from './splits.ts'

export type DecideConfig = Pick<Config, 'defaults' | 'locality' | 'exposure' | 'upstreams' | 'messages' | 'prefixes'> & {
  readonly registry: Pick<Config['registry'], 'consul' | 'ownerGoneMs' | 'unconfirmedMs' | 'panic'>
}

export interface DecideInput {
  /** Of all registries, fixed endpoints of postern.yaml among them. */
  readonly entries: Iterable<CatalogEntry>
  /** By endpoint url. */
  readonly knowledge: ReadonlyMap<string, Knowledge>
  readonly distances: Distances
  readonly config: DecideConfig
  readonly memory: Memory
  /** Every name ever claimed, lower-cased, where unknown ones go to a fallback; undefined = there is none. */
  readonly claimed?: ReadonlySet<string> | undefined
  /** What of the table gets no calls at the moment. */
  readonly leftOut: readonly LeftOut[]
  /** Whether nobody can have been told what has become of a registration since then (ms since epoch); see stale.ts. */
  readonly isUnheard: (entry: CatalogEntry, since: number) => boolean
  /** Every registry has answered since the start. */
  readonly complete: boolean
  /** ms since epoch. */
  readonly now: number
}

/** Settings of an upstream by name; names come from registries, so `constructor` must find nothing. */
export function settingsOf (config: Pick<Config, 'upstreams'>, name: string): UpstreamConfig | undefined {
  return Object.hasOwn(config.upstreams, name) ? config.upstreams[name] : undefined
}

function addTo<T> (map: Map<string, T[]>, key: string, item: T): void {
  const same = map.get(key)
  if (same === undefined) map.set(key, [item])
  else same.push(item)
}

const none: readonly CatalogEntry[] = []

function judgeAll ({ entries, knowledge, memory, isUnheard }: DecideInput, judges: JudgeBook): Verdict[] {
  const byUrl = new Map<string, CatalogEntry[]>()
  const verdicts: Verdict[] = []
  for (const entry of entries) {
    const { address, refused, unresolved } = entry.registration
    if (address === undefined || refused !== undefined) verdicts.push(judgeRefused(entry))
    else if (unresolved !== undefined) verdicts.push(judgeUnresolved(entry, address.url, knowledge.get(address.url)))
    else addTo(byUrl, address.url, entry)
  }
  for (const [url, own] of byUrl) {
    const known = knowledge.get(url)
    const isMissed = (entry: CatalogEntry) => known !== undefined && isUnheard(entry, known.ownSince)
    verdicts.push(...judges.address(url, own, known, memory.served.has(url), own.some(isMissed) ? own.filter(isMissed) : none))
  }
  return verdicts
}

/** Messages that postern.yaml exposes one by one: messages.X.expose: true says of one what trustTags says of all. */
const believedOf = ({ messages }: Pick<DecideConfig, 'messages'>) => new Set(Object.entries(messages).filter(([, { expose }]) => expose === true).map(([name]) => name.toLowerCase()))

/** All upstreams: those of the registries, and those that postern.yaml speaks of although nobody has registered for them. */
function viewAll ({ config }: DecideInput, verdicts: readonly Verdict[], judges: JudgeBook, believed: ReadonlySet<string>): Map<string, UpstreamView> {
  const byUpstream = new Map<string, Verdict[]>()
  for (const verdict of verdicts) addTo(byUpstream, verdict.registration.service, verdict)
  const spokenOf = [...Object.values(config.prefixes), ...Object.values(config.messages)].map(({ upstream }) => upstream)
  for (const name of [...spokenOf, ...Object.keys(config.upstreams)]) if (name !== undefined && !byUpstream.has(name)) byUpstream.set(name, [])
  return new Map([...byUpstream].map(([name, own]) => [name, judges.view(name, own, settingsOf(config, name)?.trustTags ?? false, believed)]))
}

const warningOf = (config: DecideConfig, name: string) => settingsOf(config, name)?.balancing?.warning ?? config.defaults.balancing.warning

/** Whose postern.yaml says a name is, by lower-cased name. */
export function settledOf ({ messages }: Pick<DecideConfig, 'messages'>): NameContext['settled'] {
  const settled = new Map<string, { upstream: string, name: string }>()
  for (const [name, { upstream }] of Object.entries(messages)) if (upstream !== undefined) settled.set(name.toLowerCase(), { upstream, name })
  return settled
}

function toRouteSource (view: UpstreamView, { config, now }: Pick<DecideInput, 'config' | 'now'>, exposure: Exposure, { messages, owners }: NamesDecided): RouteSource {
  const lists = view.verdicts.flatMap(({ speaks, state, knowledge }) => speaks && state !== 'stranger' && knowledge?.listed?.state === 'read' ? [knowledge.listed.list] : [])
  return {
    upstream: view.name,
    lists: [...new Set(lists)],
    isOn: settingsOf(config, view.name)?.customRoutes ?? false,
    hasPrefix: Object.values(config.prefixes).some(({ upstream }) => upstream === view.name),
    isHidden: (key, restricted) => exposure(view.name, key, restricted) !== 'exposed',
    isRouted: key => isRoutedTo(view.name, messages.get(key)),
    routedSince: key => {
      const plan = messages.get(key)
      if (plan?.state !== 'routed' || plan.upstream !== view.name) return undefined
      const owner = owners.get(key)
      // What only postern.yaml gives to it, it has after whoever owns his.
      return owner?.upstream === view.name ? owner.since : now
    }
  }
}

/** Where the ids are registered that processes say they run under, of those that no registry lists at their address: one process may be registered by two spellings of it. */
function findElsewhere (verdicts: readonly Verdict[]): ReadonlyMap<string, string> {
  const wanted = new Set(verdicts.flatMap(({ cause, otherId }) => cause === 'unknown-id' && otherId !== undefined ? [otherId] : []))
  return new Map(wanted.size === 0 ? [] : verdicts.flatMap(({ registration: { id }, url }) => wanted.has(id) && url !== '' ? [[id, url]] : []))
}

function toEndpointDecision (verdict: Verdict, choices: ReadonlyMap<string, Choices>, leftOut: LeftOutBook, elsewhere: ReadonlyMap<string, string>, book: MarkBook): EndpointDecision {
  const { registration, cause, otherId, tier } = verdict
  const choice = choices.get(registration.service)
  const isChosen = choice?.has(verdict) ?? false
  const out = isChosen ? leftOut.of(registration.service, verdict.url) : undefined
  const isUntold = cause !== 'fixed' && choice?.isUntold(verdict) === true
  const isServed = isChosen && !isUntold
  const state = out !== undefined ? 'out' : isServed && tier === 3 && verdict.state !== 'unconfirmed' ? 'routed' : !isServed && verdict.state === 'routed' ? (isUntold ? 'waiting' : 'standby') : verdict.state
  const untold = isUntold && state === 'waiting' && verdict.state === 'routed' ? { reason: whyUnread(verdict.knowledge) } : undefined
  const since = book.mark(`${registration.registry}/`, keyOf(registration), `${state} ${out?.cause ?? cause}`)
  return { upstream: registration.service, verdict, state, byPanic: isServed && tier === 3, isLast: choice?.isLastFor(verdict) ?? false, untold, elsewhere: cause === 'unknown-id' && otherId !== undefined ? elsewhere.get(otherId) : undefined, out, isOpen: choice !== undefined && isOpen(choice), since }
}

/** When time alone changes something: a name may pass, or an unconfirmed endpoint is dropped. */
function nextTime (names: NamesDecided, verdicts: readonly Verdict[], unconfirmedMs: number): number | undefined {
  let next = names.nextAt
  for (const { entry } of verdicts) {
    const { unconfirmedSince } = entry
    if (unconfirmedSince !== undefined && isTimed(entry) && (next === undefined || unconfirmedSince + unconfirmedMs < next)) next = unconfirmedSince + unconfirmedMs
  }
  return next
}

/** What was ever claimed stays a name: with a fallback for unknown ones it must not be taken for one of them. */
function withClaimed (messages: ReadonlyMap<string, MessagePlan>, claimed: ReadonlySet<string> | undefined): ReadonlyMap<string, MessagePlan> {
  if (claimed === undefined) return messages
  const all = new LargeMap(messages)
  for (const key of [...neverRouted, ...claimed]) if (!all.has(key)) all.set(key, { key, name: key, state: 'hidden', upstream: '', endpoints: undefined, suggest: false, effect: undefined })
  return all
}

/** Decides everything anew. `memory` of the result belongs into the next call. */
export function decide (input: DecideInput): Decision {
  const { config, memory, now, complete } = input
  const exposure = createExposure(config)
  const judges = new JudgeBook(memory.judged, config)
  const verdicts = judgeAll(input, judges)
  const believed = believedOf(config)
  const views = viewAll(input, verdicts, judges, believed)
  const splits = new Splits(config)
  const locate = createLocate(config, input.distances)
  const said = (name: string): SaidOfUpstream => {
    const { trustTags = false, servicestack } = settingsOf(config, name) ?? {}
    return { trustTags, servicestack }
  }
  const choices = new Map([...views].map(([name, view]) => [name, new Choices(view, { panic: config.registry.panic, warning: warningOf(config, name), splits, locate }, said(name))]))
  const book = new MarkBook(memory.marks, now)
  const leftOut = new LeftOutBook(input.leftOut)
  const names = decideNames({ views, choices, leftOut, exposure, splits, believed, settled: settledOf(config), owners: memory.owners, departed: memory.departed, book, ownerGoneMs: config.registry.ownerGoneMs, complete, now })

  const upstreams = new Map<string, UpstreamPlan>()
  const served = new Set<string>()
  for (const [name, choice] of choices) {
    const own = views.get(name)?.verdicts ?? []
    // Nothing but ghosts and refused ones is no upstream.
    if (own.length > 0 && !own.some(verdict => verdict.speaks)) continue
    const plan = choice.upstreamPlan()
    upstreams.set(name, plan)
    for (const { url } of plan.endpoints) served.add(url)
  }
  const messages = withClaimed(names.messages, input.claimed)
  const { routes, conflicts, cut } = planCustomRoutes([...views.values()].map(view => toRouteSource(view, input, exposure, names)))
  for (const name of cut) {
    const plan = upstreams.get(name)
    if (plan?.lists === 'read' && said(name).trustTags === false) upstreams.set(name, { ...plan, lists: 'none' })
  }
  const elsewhere = findElsewhere(verdicts)
  const endpoints = verdicts.map(verdict => toEndpointDecision(verdict, choices, leftOut, elsewhere, book))
  return {
    plan: { upstreams, messages, customRoutes: routes },
    memory: { served, owners: names.owners, departed: names.departed, marks: book.all, judged: judges.all },
    names: names.names,
    endpoints,
    pathConflicts: conflicts,
    moves: names.moves,
    watched: names.watched,
    nextAt: nextTime(names, verdicts, config.registry.unconfirmedMs)
  }
}
