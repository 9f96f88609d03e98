// One sentence for each registration: why its endpoint stands as it does, and what would change it. Pure.
import type { Registration } from '../registry/registration.ts'
import type { LeftOut } from '../upstream/left-out.ts'
import type { EndpointCause, Verdict } from './endpoints.ts'
import { yamlKey, type Explanation } from './explain.ts'
import type { EndpointDecision } from './plan.ts'

const nameOf: Readonly<Record<Registration['registry'], string>> = { consul: 'Consul', embedded: 'the embedded registry', file: 'the services file', config: 'postern.yaml' }

/** What takes a registration away, as an order. */
const sayRemove = ({ registry }: Registration) => registry === 'file' ? 'take it out of the services file' : 'deregister it'

/** Of what no check has told of: why. */
const sayUnchecked = ({ registration: { checkless } }: Verdict) => checkless === true ? 'nobody checks it but Postern' : 'its registry has not checked it yet'

const sayUnwell = ({ knowledge }: Verdict) => knowledge?.silent === undefined
  ? `it says that it is not well (${knowledge?.sick ?? 'its heartbeat fails'})`
  : `it does not answer us (${knowledge.silent.reason})`

/** Why something worse than a passing endpoint gets calls. `isLast`: better ones of its upstream are left, and lack its messages. */
const sayLack = (isLast: boolean, ofAll: string) => isLast ? 'no passing endpoint has its messages' : ofAll
const nobodyWell = 'no endpoint of its upstream is well'

const sayNotes = ({ notes = '' }: Registration) => notes === '' ? '' : `: ${notes.slice(0, 300)}`

// ---- Out: as the data plane sees it ----

/** What speaks for an endpoint that is left out all the same. */
const saysWell: Partial<Record<EndpointCause, string>> = {
  restarted: 'it answered us last', passing: 'its checks pass', fixed: 'postern.yaml names it', answered: 'it answered our own question', 'had-traffic': 'it had traffic', unconfirmed: 'it answered us last'
}

/** What speaks against it as well. */
function sayIll (verdict: Verdict): string {
  switch (verdict.cause) {
    case 'warning': return 'its checks warn'
    case 'critical': return 'its checks fail'
    case 'warns': return `it warns (${verdict.knowledge?.warns ?? 'its health check'})`
    default: return sayUnwell(verdict)
  }
}

function explainOut ({ cause, reason }: LeftOut, verdict: Verdict): Explanation {
  const well = saysWell[verdict.cause]
  const although = well === undefined ? `, and ${sayIll(verdict)}.` : `, although ${well}.`
  const because = reason === undefined ? '' : ` (${reason.slice(0, 200)})`
  switch (cause) {
    case 'unreachable': return { why: `Out: a connection to it failed${because}${although}`, hint: 'It comes back as soon as Postern can connect and it has said who it is.' }
    case 'breaker': return { why: `Out: its calls failed, and its breaker lets only trials through${although}`, hint: 'It comes back when trials succeed; postern breaker list shows it.' }
    case 'held': return { why: `Out: an operator holds its breaker open${although}`, hint: 'It comes back by postern breaker release, or when the hold is over.' }
    case 'ejected': return { why: `Out: it does worse than the others${because}${although}`, hint: 'It comes back by itself after a while, or by postern breaker release.' }
    case 'paused': return { why: `Out: it asked to be left alone (Retry-After)${although}`, hint: 'It comes back by itself when that is over.' }
  }
}

// ---- Who is there ----

function explainRefused ({ registration: { registry, service, refused = 'its address cannot be used', cure } }: Verdict): Explanation {
  const correct = registry === 'config' ? `Correct upstreams.${yamlKey(service)}.endpoints` : registry === 'file' ? 'Correct the entry in the services file' : 'Correct the registration, where it is made'
  const why = `Refused: ${refused}.`
  switch (cure) {
    case 'networks': return { why, hint: `${correct}, or add that network to registry.allowedNetworks.` }
    case 'name': return { why, hint: `${correct}, or what name servers say of that name (registry.nameServers); it is asked again by itself.` }
    case 'fewer-names': return { why, hint: 'It is used when others are not needed any more; addresses in place of names need no room.' }
    default: return { why, hint: `${correct}: no setting lets it in.` }
  }
}

function explainTwin ({ registration, twin, knowledge }: Verdict): Explanation {
  const where = nameOf[twin!.registry]
  const isSame = knowledge?.ownId !== undefined || twin!.id === registration.id
  return {
    why: isSame
      ? `Standby: the process at this address is ${twin!.id} in ${where}, and that registration counts.`
      : `Standby: ${where} has ${twin!.id} at the same address, and that counts, because the process there does not say which it is.`,
    hint: `It counts when that one goes. If one is enough, ${sayRemove(registration)}.`
  }
}

function explainGhost ({ verdict: { cause, registration: { registry }, otherId = 'somebody else', knowledge }, elsewhere }: EndpointDecision): Explanation {
  if (cause === 'other-id' && elsewhere === undefined && knowledge?.silent !== undefined) return { why: `Ghost: the process at this address last said that it runs as ${otherId}, and nobody answers now.`, hint: 'It goes when its registry removes it. Should its own process come back, that says so and gets the traffic.' }
  if (cause === 'other-id' || elsewhere !== undefined) return { why: `Ghost: the process at this address says that it runs as ${otherId}${elsewhere === undefined ? '' : `, which is registered at ${elsewhere}`}.`, hint: 'It goes when its registry removes it; deregistering it by hand is safe.' }
  if (cause === 'unknown-id') return { why: `Ghost: the process at this address says that it runs as ${otherId}, which no registry lists there.`, hint: 'The process has to register, or this registration has to go.' }
  return registry === 'file'
    ? { why: `Ghost: ${otherId} stands further down in the services file with the same address, and an address is of one service.`, hint: 'Take one of the two entries out.' }
    : { why: `Ghost: ${otherId} is registered at the same address and newer, and no process there says that it is this one.`, hint: 'It goes when its registry removes it.' }
}

function explainStranger ({ cause, knowledge, registration }: Verdict): Explanation {
  const { silent } = knowledge ?? {}
  const hint = `It gets traffic when a host of the service answers there; ${sayRemove(registration)} if none is to come.`
  if (silent !== undefined && !silent.reached) {
    const last = cause === 'lists-nothing' ? 'listed none of the messages it was registered with' : 'said neither who it is nor what it lists'
    return { why: `Stranger: whoever answered at this address last ${last}; nobody answers there now (${silent.reason}).`, hint }
  }
  return cause === 'lists-nothing'
    ? { why: 'Stranger: the process at this address lists none of the messages it was registered with.', hint: `Another program answers at this address, or one without these messages; ${sayRemove(registration)} if none with them is to come.` }
    : { why: 'Stranger: whoever answers at this address says neither who it is nor what it lists, to questions that a host of the service answers.', hint }
}

// ---- What its checks say, and our own question ----

function explainChecked ({ verdict: { cause, registration }, byPanic, isLast, state }: EndpointDecision): Explanation {
  const notes = sayNotes(registration)
  switch (cause) {
    case 'passing': return { why: 'Routed: its checks pass.', hint: 'It leaves when they fail, a connection to it fails, or somebody sets maintenance.' }
    case 'warning': return state === 'standby'
      ? { why: `Standby: its checks warn${notes}, and others pass.`, hint: 'It gets traffic when no passing endpoint is left.' }
      : { why: `Routed although its checks warn${notes}: ${sayLack(isLast, 'no passing endpoint is left')}.`, hint: 'It stands by again when another endpoint passes.' }
    default: return byPanic
      ? { why: `Routed although its checks fail${notes}: ${sayLack(isLast, nobodyWell)}.`, hint: 'It ends when one of them passes; registry.panic: false would refuse instead.' }
      : { why: `Critical: its checks fail${notes}.`, hint: 'It comes back when they pass.' }
  }
}

/** Of what its registry has not checked, and its own words say against it. */
function explainUnwell ({ verdict, state, byPanic, isLast }: EndpointDecision): Explanation {
  if (verdict.cause === 'warns') {
    const warning = verdict.knowledge?.warns ?? 'its health check warns'
    return state === 'standby'
      ? { why: `Standby: ${sayUnchecked(verdict)}, and it warns (${warning}), and others are well.`, hint: 'It gets traffic when no other endpoint is left.' }
      : { why: `Routed although it warns (${warning}): ${sayLack(isLast, 'no passing endpoint is left')}.`, hint: 'It stands by again when another endpoint is well.' }
  }
  return byPanic
    ? { why: `Routed although ${sayUnwell(verdict)}: ${sayLack(isLast, nobodyWell)}.`, hint: 'It ends when one of them is well; registry.panic: false would refuse instead.' }
    : { why: `Waiting: ${sayUnchecked(verdict)}, and ${sayUnwell(verdict)}.`, hint: `It gets traffic as soon as it answers well${verdict.registration.checkless === true ? '' : ' or its checks pass'}.` }
}

/** Of what its registry does not name. */
const sayForgotten = ({ entry: { unread } }: Verdict) => unread === undefined
  ? 'its registry no longer names it, without a sign that it was deregistered'
  : `its registry does not name it, but lists an entry that may be it and cannot be read (${unread})`

function sayUnconfirmed ({ verdict, byPanic, isLast }: EndpointDecision): string {
  const { cause, knowledge, entry: { unread } } = verdict
  const forgotten = `Unconfirmed: ${sayForgotten(verdict)}`
  if (cause === 'unconfirmed') return `${forgotten}, ${unread === undefined ? 'but it answers us; served for registry.unconfirmedMs at most' : 'and it answers us'}.`
  if (cause === 'unconfirmed-silent') return `${forgotten}, and it does not answer us.`
  const unwell = knowledge?.sick === undefined ? 'its checks failed before that, although it answers us' : sayUnwell(verdict)
  return `${forgotten}, and ${unwell}; ${byPanic ? `served because ${sayLack(isLast, nobodyWell)}` : 'it gets traffic only when no other endpoint is well, by the panic rule (registry.panic)'}.`
}

/** What ends it: who was forgotten registers again; who only cannot be seen is registered all the time. */
function sayNameAgain ({ registration: { registry }, entry: { unread } }: Verdict): string {
  if (unread !== undefined) return 'Its registry has to list it in a form that can be read.'
  return registry === 'consul'
    ? 'It has to register again; if Consul still has it, look whether Postern\'s token (registry.consul.token) may read the service.'
    : 'It has to register again.'
}

const sayOrder = ({ registration, order = registration }: Verdict) =>
  `an operator set ${order === registration ? 'it' : `${order.id}, at the same address,`} to maintenance${sayNotes(order)}`

/** Who was forgotten in maintenance stays drained: nobody can take that off before it is named again. */
function explainDraining (verdict: Verdict): Explanation {
  return verdict.entry.unconfirmedSince === undefined
    ? { why: `Draining: ${sayOrder(verdict)}.`, hint: 'It comes back when maintenance is taken off.' }
    : { why: `Draining: ${sayOrder(verdict)}; unconfirmed: ${sayForgotten(verdict)}.`, hint: `${sayNameAgain(verdict)} In maintenance it stays out then, too.` }
}

function explainFixed ({ verdict: { registration: { service }, knowledge }, isOpen }: EndpointDecision): Explanation {
  const isUnread = knowledge?.listed?.state === 'unread'
  if (knowledge?.answeredAt !== undefined && !isUnread) return { why: 'Routed: a fixed endpoint of postern.yaml.', hint: 'It stays until its line there is changed.' }
  const said = isUnread ? knowledge.listed.reason : knowledge?.silent?.reason
  const reason = said === undefined ? '' : ` (${said})`
  const unsaid = `Routed: a fixed endpoint of postern.yaml. It has not said yet ${knowledge?.servicestackVersion === undefined ? 'what it is' : 'what it lists'}${reason}`
  return isOpen
    ? { why: `${unsaid}: until one of its upstream has, what postern.yaml sends there is answered 503 RoutesNotReady.`, hint: `It is asked again and again (/operations/metadata). Where nothing good comes of that, write what it is in upstreams.${yamlKey(service)}.servicestack.` }
    : { why: `${unsaid}.`, hint: 'It gets calls all the same. It is asked again and again (/operations/metadata).' }
}

// ---- All together ----

/** Of one whose messages nobody knows yet: none is sent there. */
function explainUntold ({ reason }: NonNullable<EndpointDecision['untold']>, verdict: Verdict): Explanation {
  const well = saysWell[verdict.cause]
  return {
    why: `Waiting: ${well === undefined ? `${sayIll(verdict)}, and` : `${well}, but`} its list of operations is not read yet${reason === undefined ? '' : ` (${reason})`}: it gets no call before that.`,
    hint: 'It is asked for it again and again (/operations/metadata), and gets traffic when it tells it.'
  }
}

/** Nothing speaks against it, and nothing leads to it. */
const explainIdle = ({ cause }: Verdict): Explanation => ({
  why: `Standby: ${saysWell[cause] ?? 'nothing speaks against it'}, but no message or path needs it.`,
  hint: 'It gets traffic when it has told its whole list, and a message of it is routed here.'
})

/** Of a host that nothing leads to by name. */
const explainNameless = ({ why }: Explanation, { service, registry }: Registration): Explanation => ({
  why: `${why.slice(0, -1)}; its registration names no messages, so only postern.yaml leads there.`,
  hint: `${registry === 'file' ? 'Write messages: [NAME] to it in the services file' : 'It has to register with its messages'}, or a prefix of upstream ${yamlKey(service)} in postern.yaml.`
})

const isNameless = ({ verdict: { registration: { kind, names }, speaks } }: EndpointDecision): boolean => speaks && kind === 'plugin' && names.length === 0

export function explainEndpoint (decision: EndpointDecision): Explanation {
  const { verdict, state, untold, out } = decision
  if (out !== undefined) return explainOut(out, verdict)
  if (untold !== undefined) return explainUntold(untold, verdict)
  const said = state === 'standby' && verdict.tier === 1 ? explainIdle(verdict) : explainCause(decision)
  return (state === 'routed' || state === 'standby') && isNameless(decision) ? explainNameless(said, verdict.registration) : said
}

function explainCause (decision: EndpointDecision): Explanation {
  const { verdict } = decision
  const { registration, otherId } = verdict
  switch (verdict.cause) {
    case 'refused': return explainRefused(verdict)
    case 'resolving':
    case 'unresolved': return { why: `Waiting: ${registration.unresolved?.reason ?? 'its host name leads nowhere yet'}.`, hint: 'It is asked who it is when its name leads to an address; name servers (registry.nameServers) are asked for that every few seconds.' }
    case 'fixed': return explainFixed(decision)
    case 'passing':
    case 'warning':
    case 'critical': return explainChecked(decision)
    case 'maintenance': return explainDraining(verdict)
    case 'answered': return { why: `Routed: ${sayUnchecked(verdict)}, and it answered our own question.`, hint: registration.checkless === true ? 'It leaves when it no longer answers well, or a connection to it fails.' : 'Its checks decide as soon as they have run; until then it leaves when it no longer answers well.' }
    case 'restarted': return { why: `Routed: the process at this address restarted as ${otherId}, which its registry cannot tell us, and it answers us.`, hint: 'When its registry answers again, what that says of the address counts.' }
    case 'had-traffic': return { why: 'Routed: it had traffic, and is being asked again.', hint: 'Its answer decides.' }
    case 'not-asked': return { why: `Waiting: ${sayUnchecked(verdict)}, and it is being asked.`, hint: 'It gets traffic as soon as it answers.' }
    case 'warns':
    case 'no-answer':
    case 'sick': return explainUnwell(decision)
    case 'twin': return explainTwin(verdict)
    case 'other-id':
    case 'unknown-id':
    case 'newer': return explainGhost(decision)
    case 'old-process': return { why: `Waiting: the process at this address last said that it runs as ${otherId}; it is being asked again.`, hint: 'It gets traffic as soon as the process there answers under this id.' }
    case 'was-dead': return { why: 'Waiting: nobody was there when it was asked last, and it is being asked again.', hint: 'It gets traffic as soon as that question is answered.' }
    case 'lists-nothing':
    case 'says-nothing': return explainStranger(verdict)
    case 'unconfirmed':
    case 'unconfirmed-unwell':
    case 'unconfirmed-silent': return { why: sayUnconfirmed(decision), hint: sayNameAgain(verdict) }
  }
}
