// Which upstream claims which names, with which endpoints: the offers of all endpoints of an upstream, joined per name. Pure.
import { markedEffect } from '../contracts/markers.ts'
import type { Operation } from '../contracts/operations.ts'
import { stricter, type Effect } from '../exchange/effect.ts'
import type { EndpointPlan, LevelPlan } from '../routing/plan.ts'
import { isTimed } from './catalog.ts'
import { isGoing, mayHave, type Verdict } from './endpoints.ts'
import { groupOffers, toOffers, type Offer, type OfferGroup, type Standing } from './offers.ts'
import type { Locate } from './locality.ts'
import type { Claimant } from './ownership.ts'
import type { Splits } from './splits.ts'
import { findUnspoken, type Unspoken } from './unspoken.ts'

/** What one upstream says of one name. */
export interface Claim {
  readonly key: string
  name: string
  standing: Standing
  restricted: boolean
  visible: boolean
  /** What its marker says; undefined without one. */
  effect: Effect | undefined
  /** Indexes of the offer groups whose endpoints have the message. */
  readonly groups: number[]
}

export interface UpstreamView {
  readonly name: string
  readonly verdicts: readonly Verdict[]
  readonly groups: readonly OfferGroup[]
  readonly claims: ReadonlyMap<string, Claim>
  /** Names that nothing which speaks for it has. */
  readonly unspoken: ReadonlyMap<string, Unspoken>
  /** This upstream as a claimant of a name that an endpoint of it really has, of one that it may have, and of one that nobody believes it to have. */
  readonly confirmed: readonly Claimant[]
  readonly unread: readonly Claimant[]
  readonly weak: readonly Claimant[]
  /** Whether strangers are all that answers at the addresses of what speaks for it. */
  readonly isStrange: boolean
  /** See Claimant. */
  readonly isLost: boolean
}

const strength: Record<Standing, number> = { listed: 5, trusted: 4, unread: 3, unlisted: 2, strange: 1, absent: 0 }
/** Whether an endpoint really has the message, as far as can be known. */
export function isConfirmed (standing: Standing): standing is 'listed' | 'trusted' {
  return standing === 'listed' || standing === 'trusted'
}

/** Merely slow, as far as is known: he takes our connection, and his registry says that he is well, or has said something else since. */
const isSlow = ({ registration: { health }, entry, knowledge, key }: Verdict): boolean =>
  knowledge?.silent?.listens === true && (knowledge.key !== key || (entry.unconfirmedSince === undefined && (health === 'passing' || health === 'warning')))

/** Nobody answers at a host name that leads nowhere, from when that was found out. */
const toSilence = ({ failedSince }: NonNullable<Verdict['registration']['unresolved']>) => failedSince === undefined ? undefined : { since: failedSince, reached: false }

function silentSinceOf (verdicts: readonly Verdict[]): number | undefined {
  let since: number | undefined
  for (const verdict of verdicts) {
    if (!mayHave(verdict)) continue
    const { state, registration, knowledge, key } = verdict
    const silence = registration.unresolved === undefined ? knowledge?.silent : toSilence(registration.unresolved)
    // Merely unhealthy or slow, or not asked yet: that is not gone.
    if (isSlow(verdict) || registration.registry === 'config' || silence === undefined || silence.reached) return undefined
    // Who is drained is asked only while somebody else claims a name of his: what was known before that is no answer.
    if (state === 'draining' && knowledge?.key !== key) return undefined
    since = Math.max(since ?? 0, silence.since)
  }
  return since
}

/** What a registration carries whose process is still asked who it is: it may have it. */
function addUntold (claims: Map<string, Claim>, { key, name, standing }: Offer): void {
  const claim = claims.get(key)
  if (claim === undefined) claims.set(key, { key, name, standing, restricted: false, visible: true, effect: undefined, groups: [] })
  else if (strength[standing] > strength[claim.standing]) claim.standing = standing
}

/** Joins what the endpoints of one upstream offer. `believed`: lower-cased names that are believed without a list. */
export function viewUpstream (name: string, verdicts: readonly Verdict[], trustTags: boolean, believed: ReadonlySet<string>): UpstreamView {
  const groups = groupOffers(verdicts, trustTags, believed)
  const claims = new Map<string, Claim>()
  groups.forEach(({ offers, markers }, index) => {
    for (const { key, name: listedName, standing, operation } of offers) {
      const restricted = operation?.restricted ?? false
      const visible = operation?.visible ?? true
      const effect = operation === undefined ? undefined : markedEffect(operation, markers)
      const claim = claims.get(key)
      if (claim === undefined) {
        claims.set(key, { key, name: listedName, standing, restricted, visible, effect, groups: isConfirmed(standing) ? [index] : [] })
        continue
      }
      if (strength[standing] > strength[claim.standing]) {
        claim.standing = standing
        claim.name = listedName
      }
      // Where endpoints differ, the stricter one holds for all.
      claim.restricted ||= restricted
      claim.visible &&= visible
      claim.effect = stricter(claim.effect, effect)
      if (isConfirmed(standing)) claim.groups.push(index)
    }
  })
  const untold = verdicts.filter(verdict => verdict.untold === true).map(({ registration: { names } }) => names)
  for (const offer of toOffers([...new Set(untold.flat())], undefined, trustTags, believed)) addUntold(claims, offer)
  const speakers = verdicts.filter(({ speaks }) => speaks)
  const firstIndex = speakers.reduce((first, { registration }) => Math.min(first, registration.createIndex), Infinity)
  const having = verdicts.filter(mayHave)
  const isLost = having.length > 0 && having.every(verdict => isTimed(verdict.entry) && isGoing(verdict))
  const claimant = { upstream: name, firstIndex, silentSince: silentSinceOf(verdicts), isLost }
  return { name, verdicts, groups, claims, unspoken: findUnspoken(verdicts, claims), confirmed: [{ ...claimant, confirmed: true, unread: false }], unread: [{ ...claimant, confirmed: false, unread: true }], weak: [{ ...claimant, confirmed: false, unread: false }], isStrange: speakers.length > 0 && speakers.every(({ state }) => state === 'stranger'), isLost }
}

/** Endpoints of an upstream's list that has the message, for messages that no tag names (Authenticate). Undefined = no list has it. */
export function listedBy (view: UpstreamView, key: string): { verdicts: Verdict[], operation: Operation, effect: Effect | undefined } | undefined {
  const verdicts: Verdict[] = []
  let found: Operation | undefined
  let effect: Effect | undefined
  for (const verdict of view.verdicts) {
    const { speaks, state, knowledge } = verdict
    const listed = speaks && state !== 'stranger' ? knowledge?.listed : undefined
    const operation = listed?.state === 'read' ? listed.list.byName.get(key) : undefined
    if (operation === undefined) continue
    verdicts.push(verdict)
    effect = stricter(effect, markedEffect(operation, knowledge?.markers))
    found = found === undefined ? operation : { ...found, restricted: found.restricted || operation.restricted, visible: found.visible && operation.visible }
  }
  return found === undefined ? undefined : { verdicts, operation: found, effect }
}

/** Where a list of an upstream lacks the message: those that publish none and may have it. Undefined: no list says so. */
export function lacks ({ verdicts }: UpstreamView, key: string): { readonly others: readonly Verdict[] } | undefined {
  const speaking = verdicts.filter(({ speaks, state }) => speaks && state !== 'stranger')
  const isLacking = ({ knowledge }: Verdict) => knowledge?.listed?.state === 'read' && !knowledge.listed.list.isCut && !knowledge.listed.list.byName.has(key) && !knowledge.listed.list.byLastPart.has(key)
  return speaking.some(isLacking) ? { others: speaking.filter(verdict => verdict.knowledge?.listed !== undefined && verdict.knowledge.listed.state !== 'unread' && !isLacking(verdict)) } : undefined
}

/** How endpoints are chosen. */
export interface ChoiceRules {
  /** Serve from endpoints that fail their checks when there are no others. */
  readonly panic: boolean
  readonly warning: 'standby' | 'weighted'
  readonly splits: Splits
  readonly locate: Locate
}

/**
 * Those of the best tier that has any: passing ones, else warning ones, else (panic rule) those that fail their checks. By a setting, passing
 * and warning ones are one tier, and Weights tell them apart.
 */
export function pickTier (verdicts: readonly Verdict[], { panic, warning }: Pick<ChoiceRules, 'panic' | 'warning'>): Verdict[] {
  for (const tier of panic ? [1, 2, 3] : [1, 2]) {
    const picked = verdicts.filter(verdict => verdict.tier === tier || (warning === 'weighted' && tier === 1 && verdict.tier === 2))
    if (picked.length === 0) continue
    if (tier < 3) return picked
    // Of the failing ones, those that spoke HTTP to us when last asked; where none did, all: the data plane finds out.
    const reached = picked.filter(({ knowledge }) => knowledge !== undefined && (knowledge.silent === undefined || knowledge.silent.reached))
    return reached.length > 0 ? reached : picked
  }
  return []
}

export function toEndpointPlan ({ registration, tier }: Verdict, { splits, locate }: ChoiceRules): EndpointPlan | undefined {
  const { address, weights, version, node } = registration
  if (address === undefined) return undefined
  return {
    url: address.url,
    origin: address.origin,
    basePath: address.basePath,
    weight: tier === 1 ? weights.passing : weights.warning,
    version,
    node: node === '' ? undefined : node,
    labels: splits.labelsOf(registration),
    ips: registration.ips,
    ...locate(registration)
  }
}

/** What is registered at each level, nearest first: those that fail or drain are counted too, for they are what a level lacks. */
export function toLevelPlans (verdicts: readonly Verdict[], locate: Locate): LevelPlan[] {
  const weights = new Map<number, number>()
  for (const { registration, speaks, state } of verdicts) {
    if (!speaks || state === 'stranger') continue
    const { level } = locate(registration)
    weights.set(level, (weights.get(level) ?? 0) + registration.weights.passing)
  }
  return [...weights].map(([level, weight]) => ({ level, weight })).sort((a, b) => a.level - b.level)
}
