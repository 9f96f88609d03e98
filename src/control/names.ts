// What becomes of each name: whose it is, whether it may be called, and which endpoints get it. Pure.
import { stricter, type Effect } from '../exchange/effect.ts'
import { LargeMap } from '../lib/large-map.ts'
import type { MessagePlan } from '../routing/plan.ts'
import { isOpen } from '../routing/routed-to.ts'
import type { Choices } from './choices.ts'
import { isConfirmed, lacks, listedBy, type Claim, type UpstreamView } from './claims.ts'
import { asMove, rememberDeparted, type Departed } from './departed.ts'
import { isGoing, type Verdict } from './endpoints.ts'
import type { Exposure } from './exposure.ts'
import type { LeftOutBook } from './left-out-book.ts'
import { timed, type MarkBook } from './marks.ts'
import { countingOf, lenderOf, resolveOwner, type Claimant, type Move, type Owner, type Resolution } from './ownership.ts'
import type { NameDecision } from './plan.ts'
import type { Splits } from './splits.ts'
import { Takeovers } from './takeover.ts'
import { tellClaim, tellOwner } from './told.ts'
import { decideUnspoken } from './unspoken.ts'

export interface NameContext {
  readonly views: ReadonlyMap<string, UpstreamView>
  readonly choices: ReadonlyMap<string, Choices>
  readonly leftOut: LeftOutBook
  readonly exposure: Exposure
  readonly splits: Splits
  /** Messages that postern.yaml exposes one by one, lower-cased. */
  readonly believed: ReadonlySet<string>
  /** messages.X.upstream of postern.yaml, by lower-cased name. */
  readonly settled: ReadonlyMap<string, { readonly upstream: string, readonly name: string }>
  readonly owners: ReadonlyMap<string, Owner>
  readonly departed: Departed
  readonly book: MarkBook
  readonly ownerGoneMs: number
  readonly complete: boolean
  readonly now: number
}

/** A name of one upstream: its decision and, where it is routed, the endpoints that get it. */
interface NamePlan {
  readonly decision: NameDecision
  readonly choice: readonly Verdict[] | undefined
  readonly suggest: boolean
}

export interface NamesDecided {
  readonly names: readonly NameDecision[]
  readonly messages: ReadonlyMap<string, MessagePlan>
  readonly owners: ReadonlyMap<string, Owner>
  readonly departed: Departed
  /** Names that changed hands just now. */
  readonly moves: readonly Move[]
  /** Endpoints of owners, and of those who may become it, whose name others claim too. */
  readonly watched: ReadonlySet<string>
  readonly nextAt: number | undefined
}

/** One name while it is decided. */
interface Case {
  readonly key: string
  readonly resolution: Resolution
  readonly claimants: readonly Claimant[]
  /** As it is remembered from now on. */
  readonly owner: Owner | undefined
}

const nobody: readonly string[] = []
const none: readonly Claimant[] = []

/** Decides all names that anybody claims or postern.yaml gives to somebody. */
export function decideNames (context: NameContext): NamesDecided {
  const planned: NamePlan[] = []
  // Who does not claim a name any more keeps it only until every registry has spoken, of all that is watched.
  const owners = new LargeMap<Owner>(context.complete ? [] : context.owners)
  const watched = new Set<string>()
  const moves: Move[] = []
  const takeovers = new Takeovers(context.views, context.leftOut)
  let nextAt: number | undefined
  const claimed = claimsByKey(context)
  for (const [key, views] of claimed) {
    const claimants = toClaimants(key, views)
    const recorded = context.owners.get(key)
    const resolved = resolve(context, takeovers, key, claimants)
    const resolution = recorded === undefined ? asMove(resolved, context.departed.get(key)) : resolved
    const owner = toOwner(resolution, recorded, claimants)
    if (owner !== undefined) owners.set(key, owner)
    if (resolution.moved !== undefined && owner?.upstream === resolution.owner) moves.push(resolution.moved)
    if (resolution.nextAt !== undefined && (nextAt === undefined || resolution.nextAt < nextAt)) nextAt = resolution.nextAt
    if (resolution.quarantined.length > 0 || resolution.waitsFor !== undefined) watchOwner(context, { key, resolution, claimants, owner }, watched)
    planned.push(...planName(context, { key, resolution, claimants, owner }, views))
  }
  return { names: [...planned.map(({ decision }) => decision), ...decideUnspoken(context.views, claimed, context.book)], messages: toMessages(context, planned), owners, departed: rememberDeparted(context.departed, context.owners, owners), moves, watched, nextAt }
}

function claimsByKey ({ views, settled }: NameContext): LargeMap<UpstreamView[]> {
  const claimed = new LargeMap<UpstreamView[]>()
  for (const view of views.values()) {
    for (const key of view.claims.keys()) {
      const same = claimed.get(key)
      if (same === undefined) claimed.set(key, [view])
      else same.push(view)
    }
  }
  for (const key of settled.keys()) if (!claimed.has(key)) claimed.set(key, [])
  return claimed
}

/** Those who claim a name, each with what ownership asks of it. */
function toClaimants (key: string, views: readonly UpstreamView[]): readonly Claimant[] {
  const [first] = views
  if (views.length === 1 && first !== undefined) return toClaimant(first, key)
  return views.flatMap(view => isLeaving(view, key) ? none : toClaimant(view, key))
}

/** None or one. The same objects for all names of an upstream: there are many names. */
function toClaimant (view: UpstreamView, key: string): readonly Claimant[] {
  const standing = view.claims.get(key)?.standing ?? 'absent'
  if (standing === 'absent') return none
  return isConfirmed(standing) ? view.confirmed : standing === 'unread' ? view.unread : view.weak
}

/**
 * Whether a service is being deployed without this name: its endpoints that have it are dead or draining, and others of it live without it.
 * Its own list lacks the name then, as far as it can still be called.
 */
function isLeaving (view: UpstreamView, key: string): boolean {
  const claim = view.claims.get(key)
  if (claim === undefined || claim.groups.length === 0) return false
  const having = new Set(claim.groups.flatMap(index => view.groups[index]?.verdicts ?? []))
  const livesWithout = (verdict: Verdict) => verdict.speaks && !having.has(verdict) && verdict.tier > 0 && verdict.knowledge?.listed?.state === 'read' && !isGoing(verdict)
  return [...having].every(isGoing) && view.verdicts.some(livesWithout)
}

function resolve ({ settled, owners, views, book, ownerGoneMs, complete, now }: NameContext, takeovers: Takeovers, key: string, claimants: readonly Claimant[]): Resolution {
  const recorded = owners.get(key)
  const setting = settled.get(key)
  const only = claimants.length === 1 && setting === undefined ? claimants[0] : undefined
  // One claimant and no other owner: nearly every name, so it is decided without a rule being asked.
  if (only?.confirmed === true && (recorded === undefined || recorded.upstream === only.upstream)) {
    return { owner: only.upstream, since: recorded?.since ?? now, quarantined: nobody, by: recorded === undefined ? 'only' : 'kept', moved: undefined, nextAt: undefined }
  }
  const ownerIsThere = recorded !== undefined && (views.get(recorded.upstream)?.verdicts.some(({ speaks }) => speaks) ?? false)
  return resolveOwner(claimants, recorded, { settled: setting?.upstream, ownerGoneMs, complete, ownerIsThere, replacedBy: upstream => recorded === undefined ? undefined : takeovers.of(recorded.upstream, upstream), hasReturned: (upstream, since) => takeovers.hasReturned(upstream, since), waitingSince: upstream => book.mark(`${timed}${upstream}`, key, 'unread'), now })
}

/** What is remembered: also of an owner who has gone, while several others wait for a word of the operator. */
function toOwner (resolution: Resolution, recorded: Owner | undefined, claimants: readonly Claimant[]): Owner | undefined {
  if (resolution.owner === undefined) return claimants.length > 0 ? recorded : undefined
  // Who does not claim it has it as long as postern.yaml says so, be that a slip of the pen, and leaves it to whose it was.
  if (resolution.by === 'yaml' && !claimants.some(({ upstream }) => upstream === resolution.owner)) return claimants.length > 0 && recorded?.upstream !== resolution.owner ? recorded : undefined
  if (recorded?.upstream === resolution.owner) return recorded
  return { upstream: resolution.owner, since: resolution.since, ...(resolution.moved === undefined ? {} : { moved: resolution.moved }) }
}

/** Whether they answer decides whose a name is: the owner, who came first and may become it, or who has lent it and gets it back. */
function watchOwner (context: NameContext, { owner, resolution: { owner: name, waitsFor = name } }: Case, watched: Set<string>): void {
  const { views } = context
  for (const upstream of [waitsFor, lenderOf(owner, context)]) {
    for (const { url, key } of upstream === undefined ? [] : views.get(upstream)?.verdicts ?? []) if (key !== '') watched.add(url)
  }
}

function planName (context: NameContext, current: Case, views: readonly UpstreamView[]): NamePlan[] {
  const { key } = current
  const setting = context.settled.get(key)
  const isSettledHere = (view: UpstreamView) => setting?.upstream === view.name && !isConfirmed(view.claims.get(key)?.standing ?? 'absent')
  const plans: NamePlan[] = []
  const chosen = setting === undefined ? undefined : context.views.get(setting.upstream)
  if (setting !== undefined && chosen !== undefined && isSettledHere(chosen)) plans.push(planSettled(context, current, chosen, setting.name))
  for (const view of views) {
    const claim = view.claims.get(key)
    if (claim !== undefined && !isSettledHere(view)) plans.push(planClaim(context, current, view, claim))
  }
  return plans
}

type Outcome = Pick<NameDecision, 'name' | 'state' | 'cause'> & { readonly letOut?: NameDecision['letOut'], readonly marker?: Effect | undefined, readonly choice?: readonly Verdict[], readonly suggest?: boolean }

/** Whether postern.yaml lets two upstreams share the name. */
function isShared ({ splits }: NameContext, { key, resolution: { owner } }: Case, one: string, other: string): boolean {
  return owner !== undefined && (owner === one ? splits.shares(key, owner, other) : owner === other && splits.shares(key, owner, one))
}

function toPlan (context: NameContext, current: Case, upstream: string, outcome: Outcome): NamePlan {
  const { book, leftOut } = context
  const { key, resolution, claimants, owner } = current
  const { name, state, cause, choice, marker, letOut, suggest = false } = outcome
  const conflictWith = claimants.length < 2 && claimants[0]?.upstream === upstream ? nobody : countingOf(claimants.filter(other => other.upstream !== upstream && (resolution.waitsFor === undefined ? other.confirmed : other.upstream === resolution.waitsFor) && !isShared(context, current, upstream, other.upstream))).map(other => other.upstream)
  const endpoints = choice === undefined ? 0 : leftOut.countIn(upstream, choice)
  const view = context.views.get(upstream)
  // Routed to nobody is told as something else, so it has a time of its own.
  const since = book.mark(upstream, key, state === 'routed' && endpoints === 0 ? 'routed to nobody' : state)
  const decision: NameDecision = { key, name, upstream, state, cause, by: resolution.by, conflictWith, moved: owner?.upstream === upstream && owner.moved !== undefined ? { ...owner.moved, at: owner.since } : undefined, marker, endpoints, isStrange: view?.isStrange ?? false, isLost: view?.isLost ?? false, letOut, ...tellOwner(context, resolution, owner, claimants), ...tellClaim(view, key), since }
  return { decision, choice, suggest }
}

/** Of what is exposed: what lets it out although its service restricts it. */
const sayLetOut = ({ believed }: NameContext, key: string, restricted: boolean): NameDecision['letOut'] => !restricted ? undefined : believed.has(key) ? 'message-setting' : 'pattern'

function planClaim (context: NameContext, current: Case, view: UpstreamView, claim: Claim): NamePlan {
  const { name, standing, restricted, groups } = claim
  const { owner, quarantined, waitsFor } = current.resolution
  const of = (state: NameDecision['state'], cause: NameDecision['cause']) => toPlan(context, current, view.name, { name, state, cause })
  if (standing === 'absent') return of('absent', 'not-listed')
  if (owner === undefined && quarantined.includes(view.name)) return of('conflict', 'several')
  const isPart = owner !== undefined && owner !== view.name && isConfirmed(standing) && context.splits.shares(claim.key, owner, view.name)
  // Another service has it: what this one's list says, or will say, changes nothing.
  if (owner !== undefined && owner !== view.name && !isPart) return of('quarantined', 'owned')
  const said = context.exposure(view.name, claim.key, restricted)
  if (said !== 'exposed') return of('hidden', said)
  if (standing === 'unlisted' || standing === 'strange') return of('hidden', standing === 'strange' ? 'stranger' : 'no-list')
  if (standing === 'unread') return of('unread', 'not-read')
  if (waitsFor !== undefined) return of('unread', 'waits')
  const choice = context.choices.get(view.name)?.ofGroups(groups) ?? []
  return toPlan(context, current, view.name, { name, state: 'routed', cause: isPart ? 'split' : standing, choice, marker: claim.effect, suggest: claim.visible, letOut: sayLetOut(context, claim.key, restricted) })
}

/** A message that postern.yaml gives to an upstream which is not known to have it: built-in ones (Authenticate), or lists not read yet. */
function planSettled (context: NameContext, current: Case, view: UpstreamView, written: string): NamePlan {
  const listed = listedBy(view, current.key)
  const name = listed?.operation.name ?? written
  const of = (outcome: Omit<Outcome, 'name'>) => toPlan(context, current, view.name, { name, ...outcome })
  const said = context.exposure(view.name, current.key, listed?.operation.restricted ?? false)
  if (said !== 'exposed') return of({ state: 'hidden', cause: said })
  // It is among the tags, but nobody can say whether it is restricted: who answers it is settled, who may call it is not.
  const standing = view.claims.get(current.key)?.standing
  if (standing === 'unlisted' || standing === 'strange') return of({ state: 'hidden', cause: standing === 'strange' ? 'stranger' : 'no-list' })
  // A restricted message must not slip out while its list is on the way.
  const hosts = view.verdicts.filter(verdict => verdict.speaks && verdict.registration.kind !== 'plain')
  const isUnread = hosts.length > 0 && hosts.every(({ knowledge }) => knowledge?.listed === undefined || knowledge.listed.state === 'unread')
  const choices = context.choices.get(view.name)
  // Nor while nobody knows whether there is a list, unless it may be called restricted or not.
  const isOpenYet = choices !== undefined && isOpen(choices) && context.exposure(view.name, current.key, true) !== 'exposed'
  if (isUnread || isOpenYet) return of({ state: 'unread', cause: 'not-read' })
  const lacking = listed === undefined ? lacks(view, current.key) : undefined
  // Whose own list lacks it does not get it, whoever says so; of those who have not told theirs nobody knows whether it is restricted there.
  const choice = (listed !== undefined ? choices?.of(listed.verdicts) : lacking === undefined ? choices?.base : choices?.of(lacking.others)) ?? []
  return of({ state: 'routed', cause: lacking?.others.length === 0 ? 'lacks' : 'yaml', choice, marker: listed?.effect, letOut: sayLetOut(context, current.key, listed?.operation.restricted ?? false), suggest: listed?.operation.visible ?? false })
}

/** The table of messages. Only after all choices are made is it known which are all endpoints of their upstream. */
function toMessages ({ choices }: NameContext, planned: readonly NamePlan[]): ReadonlyMap<string, MessagePlan> {
  const messages = new LargeMap<MessagePlan>()
  const shared = Map.groupBy(planned.filter(({ decision: { cause, state } }) => cause === 'split' && state === 'routed'), ({ decision }) => decision.key)
  for (const { decision: { key, name, state, upstream, cause, marker }, choice, suggest } of planned) {
    if ((state !== 'routed' && state !== 'hidden' && state !== 'unread') || cause === 'split') continue
    const before = messages.get(key)
    // Several weak claims of one name and no owner: not knowing yet (503) is said before not existing.
    if (before !== undefined && (before.state !== 'hidden' || state === 'hidden')) continue
    const parts = shared.get(key)
    const alternatives = parts?.map(({ decision: other, choice: theirs }) => ({ upstream: other.upstream, endpoints: choices.get(other.upstream)?.urls(theirs!) }))
    messages.set(key, { key, name, state, upstream, endpoints: choice === undefined ? undefined : choices.get(upstream)?.urls(choice), alternatives, suggest, effect: parts === undefined ? marker : parts.reduce<Effect | undefined>((effect, { decision }) => stricter(effect, decision.marker), marker) })
  }
  return messages
}
