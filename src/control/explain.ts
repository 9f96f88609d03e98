// One sentence for each name and registration: why it stands as it does, and what would change it. Pure.
import type { LeftOut } from '../upstream/left-out.ts'
import type { EndpointCause, Verdict } from './endpoints.ts'
import type { MoveReason } from './ownership.ts'
import type { EndpointDecision, NameDecision, PathConflict } from './plan.ts'

/** Both are whole sentences; since when is told beside them. */
export interface Explanation {
  /** Begins with the state, in the word that log, metrics and API use for it. */
  readonly why: string
  /** What would change it. */
  readonly hint: string
}

const list = (names: readonly string[]) => names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ')

const moveReasons: Readonly<Record<MoveReason, string>> = { gone: 'who has gone', unlisted: 'who no longer has it', silent: 'of whom no endpoint answered any more', replaced: 'which it replaces under another name', drained: 'of which all was drained', stopped: 'of which nothing took connections any more', returned: 'who had it while this one was drained or restarted', settled: 'by an operator\'s word' }

/** Where a name came from, as the end of a sentence. */
function sayMove ({ moved }: NameDecision): string {
  if (moved === undefined) return ''
  const note = moved.note === undefined ? '' : ` (${moved.note.slice(0, 200)})`
  return `; it moved here from ${moved.from}, ${moveReasons[moved.because]}${note}, at ${new Date(moved.at).toISOString()}`
}

/** A key of YAML, quoted where it must be. */
const yamlKey = (name: string) => /^[A-Za-z_][\w.-]*$/.test(name) ? name : JSON.stringify(name)

/** Two messages want one path; whose service had its message first keeps it. */
export const explainPath = ({ path, upstream, message, conflictWith }: PathConflict): Explanation => ({
  why: `Conflict: ${message} of ${upstream} wants ${path} too, where ${conflictWith} is; by this path it cannot be called.`,
  hint: 'By its name it can. Give one of the two another path, or other verbs.'
})

/** What takes a routed name away, by what it is routed for. */
function sayLeaving ({ upstream, cause }: NameDecision, message: string): string {
  switch (cause) {
    case 'trusted': return `It goes when no registration of ${upstream} names it any more, or by messages.${message}.expose: false`
    case 'yaml': return `It stays so until messages.${message} is changed in postern.yaml.`
    default: return `It goes when no endpoint of ${upstream} lists it any more, or by messages.${message}.expose: false`
  }
}

/** What of postern.yaml lets out what its service restricts. */
function sayLetOut ({ letOut }: NameDecision, message: string): string {
  if (letOut === undefined) return ''
  return `, restricted to internal callers, and ${letOut === 'pattern' ? 'exposeRestricted' : `messages.${message}.expose: true`} lets it out`
}

function explainRouted (decision: NameDecision, message: string): Explanation {
  const { name, upstream, conflictWith, endpoints, isStrange, cause } = decision
  const reason = cause === 'listed' ? `${upstream} lists it${sayLetOut(decision, message)}` : cause === 'trusted' ? `${upstream} publishes no list and its names are believed` : `postern.yaml says so${sayLetOut(decision, message)}`
  const from = sayMove(decision)
  // Nobody to call is what matters most to whoever asks.
  if (endpoints === 0 && isStrange) return { why: `Routed to ${upstream}, but only strangers answer at its addresses: calls are answered 503${from}.`, hint: `It gets calls when a host of ${upstream} answers there, or is registered elsewhere.` }
  if (endpoints === 0) return { why: `Routed to ${upstream}, but none of its endpoints can take calls: they are answered 503${from}.`, hint: 'Its registrations say what each of them waits for.' }
  if (decision.moved?.because === 'drained' && conflictWith.includes(decision.moved.from)) return { why: `Routed to ${upstream}: ${reason}${from}.`, hint: `It goes back to ${decision.moved.from} when maintenance is taken off there, and stays when what is in maintenance is deregistered. If ${upstream} is to have it now, run postern settle ${name} ${upstream}` }
  if (conflictWith.length === 0) return { why: `Routed to ${upstream}: ${reason}${from}.`, hint: sayLeaving(decision, message) }
  return {
    why: `Routed to ${upstream}${from === '' ? ', who had it first' : ''}; ${list(conflictWith)} claims it too and is quarantined${from}.`,
    hint: decision.by === 'yaml' ? settledByYaml(message) : `To settle it write messages.${message}.upstream or run postern settle ${name} UPSTREAM, or take the message out of one of the services.`
  }
}

const settledByYaml = (message: string) => `postern.yaml has settled it: only another messages.${message}.upstream changes that.`

export function explainName (decision: NameDecision): Explanation {
  const { name, upstream, conflictWith, cause, only } = decision
  const message = yamlKey(name)
  switch (cause) {
    case 'listed':
    case 'trusted':
    case 'yaml': return explainRouted(decision, message)
    case 'not-read': return { why: `Unread: the list of operations of ${upstream} is not read yet; calls are answered 503 RoutesNotReady.`, hint: 'It is asked for again and again, until an endpoint answers.' }
    case 'waits': return { why: `Unread: ${list(conflictWith)} was registered before ${upstream} and may have it, and its list of operations is not read yet; calls are answered 503 RoutesNotReady.`, hint: `Whose it is is decided when that list is read, or after registry.ownerGoneMs; messages.${message}.upstream decides at once.` }
    case 'no-list': return { why: `Hidden: ${upstream} publishes no list of operations, so restricted messages cannot be told from others.`, hint: `If all it registers may be called from outside, write upstreams.${yamlKey(upstream)}.trustTags: true` }
    case 'stranger': return { why: `Hidden: only strangers answer at the addresses of ${upstream}, and its own list of operations is not known.`, hint: `It is read when a host of ${upstream} answers there, or is registered elsewhere.` }
    case 'not-listed': return { why: `Absent: ${upstream} has it as a tag, but no endpoint lists it, so it is no message.`, hint: `It becomes one when an endpoint of ${upstream} lists it; a custom tag never does.` }
    case 'unspoken': return { why: `Absent: only ${only?.id ?? 'a registration'} has it, which is ${only?.state === 'ghost' ? 'a ghost' : only?.state ?? 'refused'} and says nothing about messages.`, hint: 'The row of that registration says what is wrong with it.' }
    case 'restricted': return { why: `Hidden: ${upstream} restricts it to internal callers.`, hint: `To let it out all the same, write messages.${message}.expose: true` }
    case 'never': return { why: 'Hidden: internal messages of the host and of the discovery plugin are never routed.', hint: 'Nothing changes that, postern.yaml included.' }
    case 'message-setting': return { why: `Hidden: messages.${message}.expose is false.`, hint: 'Take that line out of postern.yaml.' }
    case 'hide': return { why: 'Hidden: it matches a pattern of exposure hide.', hint: `Change exposure.hide or upstreams.${yamlKey(upstream)}.hide, or write messages.${message}.expose: true` }
    case 'not-in-expose': return { why: 'Hidden: it matches no pattern of exposure expose.', hint: `Add it to exposure.expose or upstreams.${yamlKey(upstream)}.expose` }
    case 'owned': return {
      why: `Quarantined: ${list(conflictWith.length > 0 ? conflictWith : ['another service'])} owns the name and keeps its traffic.`,
      hint: decision.by === 'yaml'
        ? settledByYaml(message)
        : `It passes to ${upstream} when its owner has gone, no longer lists it or is replaced by it; or write messages.${message}.upstream: ${yamlKey(upstream)}, or run postern settle ${name} ${upstream}`
    }
    case 'split': return { why: `Routed in part: postern.yaml splits the calls of the name's owner, and ${upstream} gets some of them.`, hint: 'Change policy.split to end it; /api/splits shows the parts side by side.' }
    case 'several': return { why: `Conflict: its owner has gone and ${list([upstream, ...conflictWith])} all claim it; nobody gets it.`, hint: `Write messages.${message}.upstream or run postern settle ${name} UPSTREAM` }
  }
}

const sayUnwell = ({ knowledge }: Verdict) => knowledge?.silent === undefined
  ? `it says that it is not well (${knowledge?.sick ?? 'its heartbeat fails'})`
  : `it does not answer us (${knowledge.silent.reason})`

/** Why something worse than a passing endpoint gets calls. `isLast`: others of its upstream pass, and lack its messages. */
const sayLack = (isLast: boolean, ofAll: string) => isLast ? 'no passing endpoint has its messages' : ofAll

/** Of what its registry has not checked, and its own words say against it. */
function explainUnwell ({ verdict, state, byPanic, isLast }: EndpointDecision): Explanation {
  if (verdict.cause === 'warns') {
    const warning = verdict.knowledge?.warns ?? 'its health check warns'
    return state === 'standby'
      ? { why: `Standby: its registry has not checked it yet, and it warns (${warning}), and others are well.`, hint: 'It gets traffic when no other endpoint is left.' }
      : { why: `Routed although it warns (${warning}): ${sayLack(isLast, 'no passing endpoint is left')}.`, hint: 'It stands by again when another endpoint is well.' }
  }
  return byPanic
    ? { why: `Routed although ${sayUnwell(verdict)}: ${sayLack(isLast, 'no endpoint of its upstream is well')}.`, hint: 'It ends when one of them is well; registry.panic: false would refuse instead.' }
    : { why: `Waiting: its registry has not checked it yet, and ${sayUnwell(verdict)}.`, hint: 'It gets traffic as soon as it answers well or its checks pass.' }
}

/** Of what its registry has forgotten. */
function sayUnconfirmed ({ verdict, byPanic, isLast }: EndpointDecision): string {
  const { cause, knowledge, entry: { unread } } = verdict
  const forgotten = unread === undefined
    ? 'Unconfirmed: its registry has forgotten it together with others'
    : `Unconfirmed: its registry does not name it, but lists an entry that may be it and cannot be read (${unread})`
  if (cause === 'unconfirmed') return `${forgotten}, ${unread === undefined ? 'but it answers us; served for registry.unconfirmedMs at most' : 'and it answers us'}.`
  if (cause === 'unconfirmed-silent') return `${forgotten}, and it does not answer us.`
  const unwell = knowledge?.sick === undefined ? 'its checks failed before that, although it answers us' : sayUnwell(verdict)
  return `${forgotten}, and ${unwell}; ${byPanic ? `served because ${sayLack(isLast, 'no endpoint of its upstream is well')}` : 'it gets traffic only when no other endpoint is well'}.`
}

/** What speaks for an endpoint that is left out all the same. */
const saysWell: Partial<Record<EndpointCause, string>> = {
  restarted: 'it answers us', passing: 'its checks pass', warning: 'its checks warn', critical: 'its checks fail', fixed: 'postern.yaml names it', answered: 'it answered our own question', 'had-traffic': 'it had traffic', unconfirmed: 'it answers us'
}

/** Of one that the table has and that gets no calls, as the data plane sees it. */
function explainOut ({ cause, reason }: LeftOut, verdict: Verdict): Explanation {
  const although = `, although ${saysWell[verdict.cause] ?? 'it is in the table'}.`
  const because = reason === undefined ? '' : ` (${reason.slice(0, 200)})`
  switch (cause) {
    case 'unreachable': return { why: `Out: a connection to it failed${because}${although}`, hint: 'It comes back as soon as Postern can connect and it has said who it is.' }
    case 'breaker': return { why: `Out: its calls failed, and its breaker lets only trials through${although}`, hint: 'It comes back when trials succeed; postern breaker list shows it.' }
    case 'held': return { why: `Out: an operator holds its breaker open${although}`, hint: 'It comes back by postern breaker release, or when the hold is over.' }
    case 'ejected': return { why: `Out: it does worse than the others${because}${although}`, hint: 'It comes back by itself after a while, or by postern breaker release.' }
    case 'paused': return { why: `Out: it asked to be left alone (Retry-After)${although}`, hint: 'It comes back by itself when that is over.' }
  }
}

const sayNotes = ({ notes = '' }: Verdict['registration']) => notes === '' ? '' : `: ${notes.slice(0, 300)}`

const sayOrder = ({ registration, order = registration }: Verdict) =>
  `an operator set ${order === registration ? 'it' : `${order.id}, at the same address,`} to maintenance${sayNotes(order)}`

const explainRestarted = ({ verdict, state }: EndpointDecision): Explanation => ({
  why: `${state === 'standby' ? 'Standby' : 'Routed'}: the process at this address restarted as ${verdict.otherId}, which its registry cannot tell us, and it answers us.`,
  hint: 'When its registry answers again, what that says of the address counts.'
})

function explainFixed ({ registration: { service }, knowledge }: Verdict): Explanation {
  const isUnread = knowledge?.listed?.state === 'unread'
  if (knowledge?.answeredAt !== undefined && !isUnread) return { why: 'Routed: a fixed endpoint of postern.yaml.', hint: 'It stays until its line there is changed.' }
  const said = isUnread ? knowledge.listed.reason : knowledge?.silent?.reason
  const reason = said === undefined ? '' : ` (${said})`
  return {
    why: `Routed: a fixed endpoint of postern.yaml. It has not said yet ${knowledge?.servicestackVersion === undefined ? 'what it is' : 'what it lists'}${reason}: until one of its upstream has, what postern.yaml sends there is answered 503 RoutesNotReady.`,
    hint: `It is asked again and again (/operations/metadata). Where nothing good comes of that, write what it is in upstreams.${yamlKey(service)}.servicestack.`
  }
}

/** Of a host that nothing leads to by name. */
const explainNameless = ({ cause, registration: { service, registry } }: Verdict, state: 'routed' | 'standby'): Explanation => ({
  why: `${state === 'routed' ? 'Routed' : 'Standby'}: ${saysWell[cause] ?? 'it is in the table'}, and its registration names no messages: only prefixes can lead there.`,
  hint: `${registry === 'file' ? 'Write messages: [NAME] to it in the services file' : 'It has to register with its messages'}, or a prefix of upstream ${yamlKey(service)}.`
})

function explainStranger ({ cause, knowledge }: Verdict): Explanation {
  const { silent } = knowledge ?? {}
  if (silent !== undefined && !silent.reached) {
    const last = cause === 'lists-nothing' ? 'listed none of the messages it was registered with' : 'said neither who it is nor what it lists'
    return { why: `Stranger: whoever answered at this address last ${last}; nobody answers there now (${silent.reason}).`, hint: 'It gets traffic when a host of the service answers there; deregister it if none is to come.' }
  }
  return cause === 'lists-nothing'
    ? { why: 'Stranger: the process at this address lists none of the messages it was registered with.', hint: 'Another program answers at this address; deregister the old one.' }
    : { why: 'Stranger: whoever answers at this address says neither who it is nor what it lists, to questions that a host of the service answers.', hint: 'It gets traffic when a host of the service answers there; deregister it if none is to come.' }
}

const isNameless = ({ verdict: { registration: { kind, names } } }: EndpointDecision): boolean => kind === 'plugin' && names.length === 0

export function explainEndpoint (decision: EndpointDecision): Explanation {
  const { verdict, state, out } = decision
  if (out !== undefined) return explainOut(out, verdict)
  return (state === 'routed' || state === 'standby') && isNameless(decision) ? explainNameless(verdict, state) : explainCause(decision)
}

function explainCause (decision: EndpointDecision): Explanation {
  const { verdict, byPanic, isLast, state } = decision
  const { registration, otherId } = verdict
  const notes = sayNotes(registration)
  switch (verdict.cause) {
    case 'refused': return { why: `Refused: ${registration.refused ?? 'its address cannot be used'}.`, hint: registration.registry === 'config' ? `Correct upstreams.${yamlKey(registration.service)}.endpoints.` : 'Correct the registration, or registry.allowedNetworks.' }
    case 'fixed': return explainFixed(verdict)
    case 'passing': return state === 'standby'
      ? { why: 'Standby: its checks pass, but no message or path needs it.', hint: 'It gets traffic when it has told its whole list, and a message of it is routed here.' }
      : { why: 'Routed: its checks pass.', hint: 'It leaves when they fail, a connection to it fails, or somebody sets maintenance.' }
    case 'warning': return state === 'standby'
      ? { why: `Standby: its checks warn${notes}, and others pass.`, hint: 'It gets traffic when no passing endpoint is left.' }
      : { why: `Routed although its checks warn${notes}: ${sayLack(isLast, 'no passing endpoint is left')}.`, hint: 'It stands by again when another endpoint passes.' }
    case 'critical': return byPanic
      ? { why: `Routed although its checks fail${notes}: ${sayLack(isLast, 'every endpoint of its upstream fails them')}.`, hint: 'It ends when one of them passes; registry.panic: false would refuse instead.' }
      : { why: `Critical: its checks fail${notes}.`, hint: 'It comes back when they pass.' }
    case 'maintenance': return { why: `Draining: ${sayOrder(verdict)}.`, hint: 'It comes back when maintenance is taken off.' }
    case 'answered': return { why: 'Routed: its registry has not checked it yet, and it answered our own question.', hint: 'Its checks decide as soon as they have run; until then it leaves when it no longer answers well.' }
    case 'restarted': return explainRestarted(decision)
    case 'had-traffic': return { why: 'Routed: it had traffic, and is being asked again.', hint: 'Its answer decides.' }
    case 'not-asked': return { why: 'Waiting: its registry has not checked it yet, and it is being asked.', hint: 'It gets traffic as soon as it answers.' }
    case 'warns':
    case 'no-answer':
    case 'sick': return explainUnwell(decision)
    case 'other-id': return { why: `Ghost: the process at this address says that it runs as ${otherId}.`, hint: 'It goes when its registry removes it; deregistering it by hand is safe.' }
    case 'unknown-id': return { why: `Ghost: the process at this address says that it runs as ${otherId ?? 'somebody else'}, which no registry lists.`, hint: 'The process has to register, or this registration has to go.' }
    case 'newer': return { why: `Ghost: ${otherId} is registered at the same address and newer, and the process there does not say who it is.`, hint: 'It goes when its registry removes it.' }
    case 'old-process': return { why: `Waiting: the process at this address last said that it runs as ${otherId}; it is being asked again.`, hint: 'It gets traffic as soon as the process there answers under this id.' }
    case 'lists-nothing':
    case 'says-nothing': return explainStranger(verdict)
    case 'unconfirmed':
    case 'unconfirmed-unwell':
    case 'unconfirmed-silent': return { why: sayUnconfirmed(decision), hint: 'It has to register again.' }
  }
}
