// Who is at an address and may it get traffic: the registrations there, judged by what the endpoint itself said (decisions 1.2–1.4). Pure.
import { serviceOfId } from '../registry/consul-entry.ts'
import type { Registration } from '../registry/registration.ts'
import type { CatalogEntry } from './catalog.ts'
import { isDead, type Knowledge } from './knowledge.ts'

/** 1: gets traffic; 2: when no 1 is left; 3: panic rule only; 0: none. */
export type Tier = 0 | 1 | 2 | 3

export type EndpointCause =
  | 'refused' | 'resolving' | 'unresolved' | 'fixed' | 'passing' | 'warning' | 'critical' | 'maintenance' | 'answered' | 'restarted' | 'had-traffic' | 'not-asked' | 'no-answer' | 'sick' | 'warns'
  | 'other-id' | 'unknown-id' | 'newer' | 'twin' | 'lists-nothing' | 'says-nothing' | 'unconfirmed' | 'unconfirmed-unwell' | 'unconfirmed-silent' | 'old-process' | 'was-dead'

/** `out` and `standby` are decide.ts's: they take more than the registrations of one address. */
export type EndpointState = 'routed' | 'out' | 'standby' | 'waiting' | 'critical' | 'draining' | 'ghost' | 'stranger' | 'unconfirmed' | 'refused'

export interface Verdict {
  readonly entry: CatalogEntry
  readonly registration: Registration
  /** '' for a registration without a usable address. */
  readonly url: string
  readonly knowledge: Knowledge | undefined
  /** What the asker asks for; equal to knowledge.key once that is answered. '' = not asked. */
  readonly key: string
  readonly tier: Tier
  /** As it stands before the upstream is looked at whole, and before the data plane is heard. */
  readonly state: EndpointState
  readonly cause: EndpointCause
  /** Another registration id the verdict is about. */
  readonly otherId?: string
  /** Whose maintenance drains it. */
  readonly order?: Registration
  /** The registration of the same process in another registry, which counts in its place. */
  readonly twin?: Registration
  /** Ghosts and refused ones say nothing about messages. */
  readonly speaks: boolean
  /** It does not speak because nobody knows yet whether its process is there: what it carries may be called soon. */
  readonly untold?: true
}

/** Whether it has messages, or may have them. */
export const mayHave = ({ speaks, untold }: Verdict): boolean => speaks || untold === true

const letter: Record<Registration['health'], string> = { passing: 'p', warning: 'p', unchecked: 'u', critical: 'c', maintenance: 'm' }

/** The key of a question: which registrations stand at the address and how. Every change of it is a reason to ask again. */
export function toAskKey (entries: readonly CatalogEntry[]): string {
  return entries
    .map(({ registration, unconfirmedSince }) => `${registration.registry}/${registration.id}=${unconfirmedSince === undefined ? letter[registration.health] : 'x'}${registration.healthCheck === true ? 'h' : ''}`)
    .sort().join(' ')
}

/** Whether two keys are of the same registrations, however those stand. */
export const isSameAddress = (a: string, b: string): boolean => [a, b].map(key => key.replace(/=[pucmx]h?(?= |$)/g, '')).every((ids, _, [first]) => ids === first)

/** Whether a registration is one of a key: that it stands otherwise by now makes the process there no other. */
const isToldOf = (key: string, { registry, id }: Registration): boolean => ` ${key}`.includes(` ${registry}/${id}=`)

/** Indexes of different registries cannot be compared; what an operator wrote counts most. */
const rank: Record<Registration['registry'], number> = { config: 4, file: 3, consul: 2, embedded: 1 }

export function isNewer (a: CatalogEntry, b: CatalogEntry): boolean {
  // A registry that has forgotten numbers anew: what it names now is younger than what it no longer names.
  if ((a.unconfirmedSince === undefined) !== (b.unconfirmedSince === undefined)) return a.unconfirmedSince === undefined
  const [one, other] = [a.registration, b.registration]
  if (one.registry !== other.registry) return rank[one.registry] > rank[other.registry]
  return one.createIndex === other.createIndex ? one.id > other.id : one.createIndex > other.createIndex
}

const newestOf = (entries: readonly CatalogEntry[]): CatalogEntry | undefined => entries.length === 0 ? undefined : entries.reduce((a, b) => isNewer(b, a) ? b : a)

/**
 * The registration that holds at an address, or none when the endpoint runs under an id that no registry lists. `unheard`: those of which nobody
 * can have been told what has become of them since that process is there (stale.ts).
 */
function pickTrue (entries: readonly CatalogEntry[], knowledge: Knowledge | undefined, isAsked: boolean, unheard: readonly CatalogEntry[]): CatalogEntry | undefined {
  const ownId = knowledge?.ownId
  if (ownId === undefined) return newestOf(entries)
  const own = entries.filter(({ registration }) => registration.id === ownId)
  if (own.length > 0) return newestOf(own)
  // An older answer only says that it is time to ask.
  if (!isAsked || knowledge?.silent !== undefined) return newestOf(entries)
  // It said so for just these registrations: all of them are ghosts, but for what an operator wrote into a file, whose ids are no process's.
  const written = newestOf(entries.filter(({ registration }) => registration.registry === 'file'))
  // A process of the same service has restarted, and nobody can have told us its new id: it has what its last registration says.
  const service = serviceOfId(ownId)
  return written ?? newestOf(unheard.filter(({ registration }) => registration.service === service))
}

/** Drained on purpose, or nobody answers there any more. */
export const isGoing = ({ state, knowledge }: Verdict): boolean => state === 'draining' || isDead(knowledge)

/**
 * The registration whose maintenance drains the address: the true one's, and where the process there does not say which it is, that of another
 * registry too. Of the same registry an older registration is a ghost, and so is one that the process says it is not.
 */
function findOrder (truth: CatalogEntry | undefined, entries: readonly CatalogEntry[], knowledge: Knowledge | undefined): Registration | undefined {
  const isOrder = ({ registration: { registry, health } }: CatalogEntry) => health === 'maintenance' && knowledge?.ownId === undefined && registry !== truth?.registration.registry
  return truth?.registration.health === 'maintenance' ? truth.registration : entries.find(isOrder)?.registration
}

/**
 * Whether a registration that does not hold is, for all that is known, of the very process of the one that does: an entry of a file has no id that a process
 * could name, registries do not know of each other, and nodes of one neither.
 */
const isTwin = (one: Registration, truth: Registration, ownId: string | undefined): boolean =>
  one.id === truth.id || (one.registry !== truth.registry && (one.registry === 'file' || ownId === undefined))

/**
 * Whether a registration beside the one that holds is, by the word of the process there, of an earlier process: it was registered before that one, also while
 * nobody answers; or it stood there already when that one was asked and answered.
 */
function isOfEarlier (entry: CatalogEntry, truth: CatalogEntry, { ownId, silent, key }: Knowledge, isAsked: boolean): boolean {
  const isOlder = ownId === truth.registration.id && entry.registration.registry === truth.registration.registry && isNewer(truth, entry)
  return isOlder || (silent === undefined && (isAsked || isToldOf(key, entry.registration)))
}

/** Whether nothing that a registration names is in the endpoint's own list: somebody else answers there. */
function listsNothing (registration: Registration, knowledge: Knowledge | undefined): boolean {
  if (registration.names.length === 0 || knowledge?.listed?.state !== 'read') return false
  const { byName, byLastPart } = knowledge.listed.list
  return !registration.names.some(name => byName.has(name.toLowerCase()) || byLastPart.has(name.toLowerCase()))
}

/** `unchecked` and `unconfirmed` endpoints live by our own question; while it is being asked, by the traffic they had. */
function answersUs (knowledge: Knowledge | undefined, isAsked: boolean, hadTraffic: boolean): EndpointCause {
  if (isAsked && knowledge?.silent !== undefined) return 'no-answer'
  if (isAsked && knowledge?.sick !== undefined) return 'sick'
  if (isAsked) return knowledge?.warns === undefined ? 'answered' : 'warns'
  return hadTraffic ? 'had-traffic' : 'not-asked'
}

/**
 * What its registry has forgotten is served while it answers us, in the order of its last known health: whoever failed its checks before is
 * there for the panic rule only, and so is whoever says of itself that it is not well.
 */
function judgeUnconfirmed ({ health }: Registration, said: EndpointCause): [Tier, EndpointState, EndpointCause] {
  if (said === 'no-answer' || said === 'not-asked') return [0, 'unconfirmed', 'unconfirmed-silent']
  if (said === 'sick' || health === 'critical') return [3, 'unconfirmed', 'unconfirmed-unwell']
  return [said === 'warns' || health === 'warning' ? 2 : 1, 'unconfirmed', 'unconfirmed']
}

function judgeChecked (health: Registration['health'], said: EndpointCause, knowledge: Knowledge | undefined): [Tier, EndpointState, EndpointCause] {
  // Whoever makes its checks pass again may be another process, with other messages: that one says so in a moment.
  if ((health === 'passing' || health === 'warning') && said === 'not-asked' && isDead(knowledge)) return [0, 'waiting', 'was-dead']
  switch (health) {
    case 'passing': return [1, 'routed', 'passing']
    case 'warning': return [2, 'routed', 'warning']
    case 'critical': return [3, 'critical', 'critical']
    // Maintenance is drained before that.
    default: return judgeUnchecked(said, knowledge)
  }
}

function judgeUnchecked (said: EndpointCause, knowledge: Knowledge | undefined): [Tier, EndpointState, EndpointCause] {
  switch (said) {
    case 'answered':
    case 'had-traffic': return [1, 'routed', said]
    case 'warns': return [2, 'routed', said]
    // It was well once, and is as good as critical now: there for the panic rule, as those are whose failing Consul tells.
    default: return [knowledge?.wasWell === true && said !== 'not-asked' ? 3 : 0, 'waiting', said]
  }
}

/** Judges all registrations of one address. `hadTraffic`: whether the address is in the table now. `unheard`: see pickTrue. */
export function judgeAddress (url: string, entries: readonly CatalogEntry[], knowledge: Knowledge | undefined, hadTraffic: boolean, unheard: readonly CatalogEntry[]): Verdict[] {
  const asked = entries.filter(({ registration }) => registration.registry !== 'config')
  const key = toAskKey(entries)
  const isAsked = knowledge?.key === key
  const truth = asked.length === 0 ? undefined : pickTrue(asked, knowledge, isAsked, unheard)
  /** Its process is another one of the same service by now. */
  const restartedAs = truth !== undefined && truth.registration.registry !== 'file' && isAsked && knowledge.silent === undefined && knowledge.ownId !== truth.registration.id ? knowledge.ownId : undefined
  const order = findOrder(truth, asked, knowledge)
  return entries.map(entry => {
    const registration = entry.registration
    const make = (tier: Tier, state: EndpointState, cause: EndpointCause, speaks = true, otherId?: string): Verdict =>
      ({ entry, registration, url, knowledge, key, tier, state, cause, speaks, ...(otherId === undefined ? {} : { otherId }) })

    const drain = (order: Registration): Verdict => ({ ...make(0, 'draining', 'maintenance'), order })
    if (registration.registry === 'config') return order === undefined ? make(1, 'routed', 'fixed') : drain(order)
    if (entry !== truth) {
      if (truth === undefined) return make(0, 'ghost', 'unknown-id', false, knowledge?.ownId)
      if (restartedAs !== undefined) return make(0, 'ghost', 'other-id', false, restartedAs)
      if (isTwin(registration, truth.registration, knowledge?.ownId)) {
        const twin = registration.health === 'maintenance' ? { ...drain(registration), speaks: false } : make(0, 'standby', 'twin', false)
        return { ...twin, twin: truth.registration }
      }
      if (knowledge?.ownId !== undefined && isOfEarlier(entry, truth, knowledge, isAsked)) return make(0, 'ghost', 'other-id', false, knowledge.ownId)
      // The new process of a restart has registered and the old one's answer still stands.
      if (knowledge?.ownId === truth.registration.id) return { ...registration.health === 'maintenance' ? { ...drain(registration), speaks: false } : make(0, 'waiting', 'old-process', false, truth.registration.id), untold: true }
      return make(0, 'ghost', 'newer', false, truth.registration.id)
    }
    if (order !== undefined) return drain(order)
    if (listsNothing(registration, knowledge)) return make(0, 'stranger', 'lists-nothing')
    if (registration.kind !== 'plain' && knowledge?.strange === true) return make(0, 'stranger', 'says-nothing')
    if (entry.unconfirmedSince !== undefined) return make(...judgeUnconfirmed(registration, answersUs(knowledge, isAsked, hadTraffic)))
    const said = answersUs(knowledge, isAsked, hadTraffic)
    if (restartedAs === undefined) return make(...judgeChecked(registration.health, said, knowledge))
    // Its checks were another process's.
    return said === 'answered' ? make(1, 'routed', 'restarted', true, restartedAs) : make(...judgeUnchecked(said, knowledge))
  })
}

/** The verdict on what stands at a host name that leads nowhere yet: a name server has to answer, and what the endpoint has to say is not known. */
export function judgeUnresolved (entry: CatalogEntry, url: string, knowledge: Knowledge | undefined): Verdict {
  const { registration } = entry
  const isDrained = registration.health === 'maintenance'
  const cause = registration.unresolved?.failedSince === undefined ? 'resolving' : 'unresolved'
  return { entry, registration, url, knowledge, key: '', tier: 0, state: isDrained ? 'draining' : 'waiting', cause: isDrained ? 'maintenance' : cause, speaks: true }
}

/** The verdict on what can never be used as it stands. */
export function judgeRefused (entry: CatalogEntry): Verdict {
  return { entry, registration: entry.registration, url: entry.registration.address?.url ?? '', knowledge: undefined, key: '', tier: 0, state: 'refused', cause: 'refused', speaks: false }
}
