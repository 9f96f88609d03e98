// One sentence for each registration: why its endpoint stands as it does, and what would change it. Pure.
import type { LeftOut } from '../upstream/left-out.ts'
import type { EndpointCause, Verdict } from './endpoints.ts'
import { yamlKey, type Explanation } from './explain.ts'
import type { EndpointDecision } from './plan.ts'

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
  restarted: 'it answers us', passing: 'its checks pass', warns: 'its health check warns', warning: 'its checks warn', critical: 'its checks fail', fixed: 'postern.yaml names it', answered: 'it answered our own question', 'had-traffic': 'it had traffic', unconfirmed: 'it answers us'
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

/** Of one whose messages nobody knows yet: none is sent there. */
const explainUntold = ({ reason }: NonNullable<EndpointDecision['untold']>, { cause }: Verdict): Explanation => ({
  why: `Waiting: ${saysWell[cause] ?? 'nothing speaks against it'}, but its list of operations is not read yet${reason === undefined ? '' : ` (${reason})`}: it gets no call before that.`,
  hint: 'It is asked for it again and again (/operations/metadata), and gets traffic when it tells it.'
})

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

/** Of what its registry checks, and where those checks decide. */
function explainChecked ({ verdict: { cause, registration }, byPanic, isLast, state }: EndpointDecision): Explanation {
  const notes = sayNotes(registration)
  switch (cause) {
    case 'passing': return state === 'standby'
      ? { why: 'Standby: its checks pass, but no message or path needs it.', hint: 'It gets traffic when it has told its whole list, and a message of it is routed here.' }
      : { why: 'Routed: its checks pass.', hint: 'It leaves when they fail, a connection to it fails, or somebody sets maintenance.' }
    case 'warning': return state === 'standby'
      ? { why: `Standby: its checks warn${notes}, and others pass.`, hint: 'It gets traffic when no passing endpoint is left.' }
      : { why: `Routed although its checks warn${notes}: ${sayLack(isLast, 'no passing endpoint is left')}.`, hint: 'It stands by again when another endpoint passes.' }
    default: return byPanic
      ? { why: `Routed although its checks fail${notes}: ${sayLack(isLast, 'every endpoint of its upstream fails them')}.`, hint: 'It ends when one of them passes; registry.panic: false would refuse instead.' }
      : { why: `Critical: its checks fail${notes}.`, hint: 'It comes back when they pass.' }
  }
}

const isNameless = ({ verdict: { registration: { kind, names } } }: EndpointDecision): boolean => kind === 'plugin' && names.length === 0

export function explainEndpoint (decision: EndpointDecision): Explanation {
  const { verdict, state, untold, out } = decision
  if (out !== undefined) return explainOut(out, verdict)
  if (untold !== undefined) return explainUntold(untold, verdict)
  return (state === 'routed' || state === 'standby') && isNameless(decision) ? explainNameless(verdict, state) : explainCause(decision)
}

function explainCause (decision: EndpointDecision): Explanation {
  const { verdict } = decision
  const { registration, otherId } = verdict
  switch (verdict.cause) {
    case 'refused': return { why: `Refused: ${registration.refused ?? 'its address cannot be used'}.`, hint: registration.registry === 'config' ? `Correct upstreams.${yamlKey(registration.service)}.endpoints.` : 'Correct the registration, or registry.allowedNetworks.' }
    case 'resolving':
    case 'unresolved': return { why: `Waiting: ${registration.unresolved?.reason ?? 'its host name leads nowhere yet'}.`, hint: 'It is asked who it is when its name leads to an address; name servers (registry.nameServers) are asked for that every few seconds.' }
    case 'fixed': return explainFixed(verdict)
    case 'passing':
    case 'warning':
    case 'critical': return explainChecked(decision)
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
